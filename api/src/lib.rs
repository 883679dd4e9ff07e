//! HTTP API, worker loop and command line of MecaPy.
//!
//! `http` never names the worker, `worker` never names axum, and only `commands` builds concrete backends from
//! what `config` read.

pub mod analysis;
pub mod app;
pub mod batches;
pub mod client;
pub mod commands;
pub mod compiling;
pub mod config;
pub mod functions;
pub mod http;
pub mod identity;
pub mod intake;
pub mod json;
pub mod packages;
pub mod programs;
pub mod schedules;
pub mod server;
pub mod studies;
pub mod tables;
pub mod telemetry;
pub mod webhooks;
pub mod worker;
pub mod workflows;

pub use commands::run;
