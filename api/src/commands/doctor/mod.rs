//! `mecapy doctor`: what this machine and the backends of a service have, what they lack, and what to do
//! about it. It changes nothing.

mod backends;
mod check;
mod containers;
mod engine;
mod folders;
mod ledger;
mod machine;
mod network;
mod tools;

use super::{
    exit::Exit,
    terminal::{Format, Style, Terminal, neutralise_line},
};
use crate::config::{ConfigError, ConnectionFlags, ContainerFlags, Layer, Settings};
use anyhow::Result;
use check::{Check, Status};
use serde::Serialize;

/// Check this machine and the backends of a service, and say what to do about what is wrong
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    containers: ContainerFlags,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Serialize)]
struct Findings<'a> {
    checks: &'a [Check],
    failed: usize,
    warned: usize,
}

pub(crate) async fn doctor(arguments: DoctorArguments, terminal: &Terminal) -> Result<Exit> {
    let bar = terminal.spinner();
    bar.set_message("looking around");
    let mut checks = machine::checks();
    match Settings::load(arguments.settings) {
        Ok(settings) => {
            checks.push(Check::ok("configuration", "can be used"));
            checks.push(engine::nan_payloads(settings.nan_payloads));
            checks.push(engine::kernels(settings.kernels));
            checks.push(engine::check(&settings.cache_dir, settings.nan_payloads));
            checks.extend(folders::checks(&settings));
            checks.extend(backends::checks(&settings).await);
            checks.extend(ledger::check(&settings).await);
            checks.extend(network::checks(&settings, &arguments.connection).await);
            checks.extend(containers::checks(&settings, arguments.containers).await);
        }
        Err(error) => checks.push(unusable(&error)),
    }
    checks.extend(tools::checks().await);
    bar.finish_and_clear();
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let (failed, warned) = (count(Status::Fail), count(Status::Warn));
    match terminal.format {
        Format::Json => terminal.print_json(&Findings { checks: &checks, failed, warned }),
        Format::Human => show(&checks, (failed, warned), terminal),
    }
    Ok(if failed == 0 { Exit::Completed } else { Exit::Failed })
}

/// Settings that can't be used.
fn unusable(error: &ConfigError) -> Check {
    Check::fail("configuration", error, "mend it; nothing starts before that")
}

fn show(checks: &[Check], (failed, warned): (usize, usize), terminal: &Terminal) {
    let widest = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in checks {
        let mark = match check.status {
            Status::Ok => terminal.out.paint(Style::Green, "ok  "),
            Status::Info => terminal.out.paint(Style::Blue, "info"),
            Status::Warn => terminal.out.paint(Style::Yellow, "warn"),
            Status::Fail => terminal.out.paint(Style::Red, "FAIL"),
        };
        terminal.print(&format!("{mark}  {:<widest$}  {}", check.name, neutralise_line(&check.finding)));
        if let Some(advice) = &check.advice {
            terminal.print(&format!("      {:<widest$}  → {}", "", neutralise_line(advice)));
        }
    }
    let summary = match (failed, warned) {
        (0, 0) => terminal.out.paint(Style::Green, "all is well"),
        (0, warned) => terminal.out.paint(Style::Yellow, &format!("it works; {warned} could be better")),
        (failed, _) => terminal.out.paint(Style::Red, &format!("{failed} must be mended")),
    };
    terminal.print(&summary);
}
