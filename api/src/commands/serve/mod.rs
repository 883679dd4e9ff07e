//! `mecapy serve`: composes the store, the sandboxes, the worker and the HTTP server of one process.

mod compose;
mod descriptors;
mod python;

use super::{
    exit::Exit,
    refusal::Misuse,
    terminal::{Style, Terminal},
};
use crate::{
    config::{Layer, Settings},
    http, server,
    telemetry::start_log,
};
use anyhow::Result;
use compose::{Composed, WorkerRole};
use std::{io, net::SocketAddr, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Running tasks may go on for so long after the signal to stop; then they go back to the queue.
const WORKER_DRAIN: Duration = Duration::from_secs(5);
/// Threads for work that may block: object files, large analyses.
const BLOCKING_THREADS_MAX: usize = 64;

/// Answer HTTP, and run tasks in this process
///
/// Everything it needs is inside: tasks, results and keys go to the data folder. The first start makes an admin
/// key and writes it to admin.key there. SIGTERM or Ctrl-C stops it: what runs is finished or goes back to the
/// queue, and nothing that was accepted is lost.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// Answer HTTP only: previews run here, tasks stay queued
    #[arg(long)]
    no_worker: bool,
    #[command(flatten)]
    settings: Layer,
}

pub(super) fn serve(arguments: ServeArguments, terminal: &Terminal) -> Result<Exit> {
    let mut settings = Settings::load(arguments.settings)?;
    settings.fit_descriptors(descriptors::raise());
    start_log(&settings.log, settings.log_format).map_err(|error| Misuse::new(format!("log: {error}")))?;
    let role = if arguments.no_worker { WorkerRole::Absent } else { WorkerRole::Embedded };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(crate::config::SandboxSettings::cores().max(2))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("mecapy-http")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run(settings, role, terminal));
    // What still blocks (an interrupted build, a file) must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Serves until told to stop.
async fn run(settings: Settings, role: WorkerRole, terminal: &Terminal) -> Result<Exit> {
    let listener = server::listen(settings.listen).map_err(|error| cannot_listen(settings.listen, error))?;
    let address = listener.local_addr()?;
    let composed = compose::compose(&settings, role, terminal).await?;
    let url = settings.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    terminal.note(&format!("{} {}", terminal.err.paint(Style::Green, "MecaPy answers at"), url));
    tracing::info!(server.address = %address, "serve: listening");
    let stopping = composed.app.stopping.clone();
    // Before the first answer: whoever has got one may send a signal.
    let told_to_stop = told_to_stop()?;
    let stop = async move {
        tokio::select! {
            () = told_to_stop => (),
            () = stopping.cancelled() => (),
        }
        tracing::info!("serve: stopping");
        stopping.cancel();
    };
    let router = http::router(composed.app.clone());
    let worker = composed.drain_when_stopping(WORKER_DRAIN);
    tokio::join!(server::serve(listener, router, settings.connections, stop), worker);
    close(&composed).await;
    match composed.take_failure() {
        Some(failure) => Err(failure.context("the server stopped: there is no Python interpreter")),
        None => Ok(Exit::Completed),
    }
}

/// The last things, once nobody uses them.
async fn close(composed: &Composed) {
    composed.app.sandboxes.shut_down();
    composed.app.store.close().await;
    tracing::info!("serve: stopped");
}

/// Ends at the first signal to stop. A second one ends the process at once.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            // 128 + SIGTERM, as a shell would say it.
            std::process::exit(143);
        });
    })
}

fn cannot_listen(listen: SocketAddr, error: io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there: stop it, or choose another port with --listen",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose another with --listen",
        io::ErrorKind::PermissionDenied => "this user may not: choose a port from 1024 on with --listen",
        _ => return anyhow::Error::from(error).context(format!("can't listen at {listen}")),
    };
    Misuse::new(format!("can't listen at {listen}: {advice}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_can_not_be_had_is_for_the_user_to_change() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 80));
        let exit = |kind: io::ErrorKind| Exit::of_error(&cannot_listen(listen, kind.into()));
        assert_eq!(exit(io::ErrorKind::AddrInUse), Exit::Misuse);
        assert_eq!(exit(io::ErrorKind::PermissionDenied), Exit::Misuse);
        assert_eq!(exit(io::ErrorKind::OutOfMemory), Exit::Internal);
    }
}
