//! HTTP, intake, the embedded worker and the command line: everything behind the binary `mecapy`.

pub mod analysis;
mod app;
mod client;
mod commands;
mod config;
mod http;
mod intake;
mod json;
mod programs;
mod server;
mod telemetry;
mod worker;

pub use commands::run;
