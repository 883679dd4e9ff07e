//! The test harness: starts the real binary, talks to it over HTTP, and reads the tree for the tidy rules.
//!
//! Knows the API contract and the words of `mecapy-model`; it reaches nothing inside the other crates.

mod answer;
mod binary;
mod calendar;
mod company;
mod fixture;
pub mod guest;
mod process;
mod raw;
mod server;
pub mod services;
mod sse;
pub mod tidy;
mod until;
mod webhook_sink;

pub use answer::Answer;
pub use binary::{fixture_path, guest_wasm, mecapy_binary, repository_root};
pub use calendar::in_days;
pub use company::Company;
pub use fixture::{Case, Fixture};
pub use process::Process;
pub use raw::{RawResponse, raw_exchange, raw_exchange_lines};
pub use server::{Server, ServerOptions, merge, python, wasm};
pub use sse::{EventStream, SseEvent};
pub use until::until;
pub use webhook_sink::{Delivery, SinkAnswer, WebhookSink};
