//! `mecapy serve`: answers HTTP, and runs tasks in the same process unless told not to.

use super::{
    exit::Exit,
    process::{self, Answering},
    terminal::Terminal,
};
use crate::{
    config::{Layer, Settings},
    http,
    worker::{WorkerConfig, WorkerKind},
};
use anyhow::Result;
use mecapy_model::Lane;
use std::time::Duration;

/// Running tasks may go on for so long after the signal to stop; then they go back to the queue.
const WORKER_DRAIN: Duration = Duration::from_secs(5);

/// Answer HTTP, and run tasks in this process
///
/// Everything it needs is inside: tasks, results and keys go to the data folder. The first start makes an admin
/// key and writes it to admin.key there. SIGTERM or Ctrl-C stops it: what runs is finished or goes back to the
/// queue, and nothing that was accepted is lost.
///
/// As a service, several of these share a PostgreSQL database that `mecapy migrate` prepared, and `mecapy worker`
/// runs tasks on further machines.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// Answer HTTP only: previews run here, tasks stay queued
    #[arg(long)]
    no_worker: bool,
    #[command(flatten)]
    settings: Layer,
}

pub(super) fn serve(arguments: ServeArguments, terminal: &Terminal) -> Result<Exit> {
    let ServeArguments { no_worker, settings } = arguments;
    let settings = process::prepare(settings)?;
    let serves = (!no_worker).then(|| WorkerConfig {
        kind: WorkerKind::Embedded,
        lanes: Lane::ALL.to_vec(),
        long_running: settings.claims.long_running,
    });
    process::run_to_end(run(settings, serves, terminal))
}

/// Serves until told to stop.
async fn run(settings: Settings, serves: Option<WorkerConfig>, terminal: &Terminal) -> Result<Exit> {
    let listener = process::listen(settings.listen, "--listen")?;
    let address = listener.local_addr()?;
    let composed = process::compose(&settings, serves, terminal).await?;
    let url = settings.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    process::greet(terminal, "MecaPy answers at", &url);
    tracing::info!(server.address = %address, "serve.listen: ready");
    let router = http::router(composed.app.clone());
    composed.run(Some(Answering { listener, router, limits: settings.connections }), WORKER_DRAIN).await
}
