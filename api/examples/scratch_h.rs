//! Scratch check of the command line by its author; goes away.
#![allow(dead_code, unused_imports)]
#[path = "../src/analysis/mod.rs"] mod analysis;
#[path = "../src/client/mod.rs"] mod client;
#[path = "../src/config/mod.rs"] mod config;
#[path = "../src/server/mod.rs"] mod server;
mod commands {
#[path = "/work/main/api/src/commands/artifacts.rs"] mod artifacts;
#[path = "/work/main/api/src/commands/cancel.rs"] mod cancel;
#[path = "/work/main/api/src/commands/computation.rs"] mod computation;
#[path = "/work/main/api/src/commands/connection.rs"] mod connection;
#[path = "/work/main/api/src/commands/doctor/mod.rs"] mod doctor;
#[path = "/work/main/api/src/commands/exit.rs"] mod exit;
#[path = "/work/main/api/src/commands/following.rs"] mod following;
#[path = "/work/main/api/src/commands/inputs.rs"] mod inputs;
#[path = "/work/main/api/src/commands/interrupt.rs"] mod interrupt;
#[path = "/work/main/api/src/commands/logs.rs"] mod logs;
#[path = "/work/main/api/src/commands/preview.rs"] mod preview;
#[path = "/work/main/api/src/commands/python/mod.rs"] mod python;
#[path = "/work/main/api/src/commands/refusal.rs"] mod refusal;
#[path = "/work/main/api/src/commands/report.rs"] mod report;
#[path = "/work/main/api/src/commands/run/mod.rs"] mod run;
#[path = "/work/main/api/src/commands/submit.rs"] mod submit;
#[path = "/work/main/api/src/commands/terminal/mod.rs"] mod terminal;
#[path = "/work/main/api/src/commands/watch.rs"] mod watch;
}
fn main() {}
