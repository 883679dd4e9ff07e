//! The test harness: starts the real binary, talks to it over HTTP, and reads the tree for the tidy rules.
//!
//! Knows the API contract and the words of `mecapy-model`; it reaches nothing inside the other crates.

mod answer;
mod batch;
mod binary;
mod calendar;
mod cluster;
mod command_line;
mod company;
mod fixture;
pub mod guest;
pub mod guest_component;
mod invariants;
mod lane;
mod package;
mod place;
mod process;
mod raw;
mod server;
pub mod services;
mod sse;
pub mod tidy;
pub mod traffic;
mod until;
mod webhook_sink;
mod workflow;
mod workflow_fixture;

pub use answer::Answer;
pub use binary::{fixture_path, guest_wasm, mecapy_binary, repository_root};
pub use calendar::in_days;
pub use cluster::{Cluster, ClusterOptions, Worker};
pub use command_line::{CommandLine, exit};
pub use company::Company;
pub use fixture::{Case, Fixture, equal};
pub use invariants::{CapWatch, broken_invariants, invariants};
pub use lane::{Lane, solver};
pub use package::{archive_with, call, manifest, patched, zip_of, zip_of_folder};
pub use place::SharedBackends;
pub use process::{Process, run_binary, run_binary_in};
pub use raw::{RawResponse, raw_exchange, raw_exchange_lines};
pub use server::{Server, ServerOptions, merge, python, wasm};
pub use sse::{EventStream, SseEvent};
pub use until::until;
pub use webhook_sink::{Delivery, SinkAnswer, WebhookSink};
pub use workflow::{node, node_of};
pub use workflow_fixture::{check_workflow, workflow_fixture};
