//! `mecapy worker`: claims tasks from a database that several processes share, and runs them.

use super::{
    exit::Exit,
    process::{self, Answering},
    terminal::Terminal,
};
use crate::{
    config::{Layer, Settings, WorkerFlags, WorkerRole},
    http,
    worker::{WorkerConfig, WorkerKind},
};
use anyhow::Result;

/// Run tasks of a service, without an API of its own
///
/// Claims tasks from the PostgreSQL database that `mecapy serve` writes them to, runs each in a sandbox of its own,
/// and writes back how it ended. Any number of workers share the work; one that dies has its tasks run by another.
/// SIGTERM or Ctrl-C stops it: it claims nothing more, and what is not done after --drain-seconds goes back to the
/// queue without losing an attempt. A second signal ends it at once. On one machine alone, `mecapy serve` runs a
/// worker itself.
///
/// With --docker-url it runs the tasks of solvers and compiles sources in C and Rust instead, each in a locked-down
/// container of that Docker engine, and no others. It must run as root, which mounts the work folders. On SIGTERM its
/// containers go on, and the worker that is started next with the same --state-dir goes on with them.
#[derive(Debug, clap::Args)]
pub(super) struct WorkerArguments {
    #[command(flatten)]
    flags: WorkerFlags,
    #[command(flatten)]
    settings: Layer,
}

pub(super) fn worker(arguments: WorkerArguments, terminal: &Terminal) -> Result<Exit> {
    let WorkerArguments { flags, settings } = arguments;
    let mut settings = process::prepare(settings)?;
    process::must_be_shared(
        &settings,
        "a worker needs a postgres:// URL, the one of `mecapy serve`; with sqlite: the server runs a worker itself",
    )?;
    let role = flags.load(&mut settings)?;
    process::run_to_end(run(settings, role, terminal))
}

/// Works until told to stop.
async fn run(settings: Settings, role: WorkerRole, terminal: &Terminal) -> Result<Exit> {
    let listener = role.health_listen.map(|address| process::listen(address, "--health-listen")).transpose()?;
    let config =
        WorkerConfig { kind: WorkerKind::Alone, lanes: role.lanes, long_running: settings.claims.long_running };
    let lanes: Vec<_> = config.lanes.iter().map(|lane| lane.as_str()).collect();
    let lanes = lanes.join(", ");
    let (composed, what) = match role.containers {
        Some(containers) => (
            process::compose_containers(&settings, containers, config, terminal).await?,
            "Solvers' tasks are claimed from",
        ),
        None => (process::compose(&settings, Some(config), terminal).await?, "Tasks are claimed from"),
    };
    let answering = match listener {
        Some(listener) => {
            process::greet(terminal, "Health is answered at", &format!("http://{}", listener.local_addr()?));
            let router = http::operations(composed.app.clone());
            Some(Answering { listener, router, limits: settings.connections })
        }
        None => None,
    };
    process::greet(terminal, what, &lanes);
    tracing::info!(worker.lanes = %lanes, "worker.start: ready");
    composed.run(answering, role.drain).await
}
