//! What `mecapy serve` and `mecapy worker` share: settings become a process that runs until it is told to stop.

mod compose;
mod descriptors;
mod python;
mod sandboxes;
mod signals;
mod store;

pub(super) use compose::{compose, compose_containers};
pub(super) use store::options as store_options;

use super::{
    exit::Exit,
    refusal::Misuse,
    terminal::{Style, Terminal},
};
use crate::{
    config::{ConfigError, Layer, SandboxSettings, Settings},
    server::{self, ConnectionLimits},
    telemetry::start_log,
};
use anyhow::Result;
use axum::Router;
use compose::Composed;
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// Threads for work that may block: object files, large analyses.
const BLOCKING_THREADS_MAX: usize = 64;

/// Reads the settings, raises the process's limits, and starts the log.
pub(super) fn prepare(layer: Layer) -> Result<Settings> {
    let mut settings = Settings::load(layer)?;
    settings.fit_descriptors(descriptors::raise());
    start_log(&settings.log, settings.log_format).map_err(|error| Misuse::new(format!("log: {error}")))?;
    if let Some(points) = &settings.fail_points {
        mecapy_store::arm_fail_points(points).map_err(|error| Misuse::new(format!("fail-points: {error}")))?;
        tracing::warn!(process.fail_points = %points, "process.fail_points: this process fails where it was told to");
    }
    Ok(settings)
}

/// Runs a process's work to its end, on threads of its own.
pub(super) fn run_to_end(work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SandboxSettings::cores().max(2))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("mecapy-http")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(work);
    // What still blocks (an interrupted build, a file) must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// A socket to answer at, and what it answers.
pub(super) struct Answering {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) limits: ConnectionLimits,
}

impl Composed {
    /// Answers (where there is something to answer) and works until told to stop; what runs then has `drain` to end.
    pub(super) async fn run(self, answering: Option<Answering>, drain: Duration) -> Result<Exit> {
        let stopping = self.app.stopping.clone();
        // Before the first answer: whoever has got one may send a signal.
        let told_to_stop = signals::told_to_stop()?;
        let stop = async move {
            tokio::select! {
                () = told_to_stop => (),
                () = stopping.cancelled() => (),
            }
            tracing::info!("process.stop: begins");
            stopping.cancel();
        };
        let serve = async move {
            match answering {
                Some(Answering { listener, router, limits }) => server::serve(listener, router, limits, stop).await,
                None => stop.await,
            }
        };
        tokio::join!(serve, self.drain_when_stopping(drain));
        self.app.sandboxes.shut_down();
        self.app.store.close().await;
        tracing::info!("process.stop: done");
        match self.take_failure() {
            Some(failure) => Err(failure.context("the process stopped: there is no Python interpreter")),
            None => Ok(Exit::Completed),
        }
    }
}

/// Listens at an address that `flag` can change.
pub(super) fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener> {
    server::listen(address).map_err(|error| cannot_listen(address, flag, error))
}

fn cannot_listen(listen: SocketAddr, flag: &str, error: io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there: stop it, or choose another port with",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose another with",
        io::ErrorKind::PermissionDenied => "this user may not: choose a port from 1024 on with",
        _ => return anyhow::Error::from(error).context(format!("can't listen at {listen}")),
    };
    Misuse::new(format!("can't listen at {listen}: {advice} {flag}")).into()
}

/// Says where the process answers.
pub(super) fn greet(terminal: &Terminal, what: &str, url: &str) {
    terminal.note(&format!("{} {url}", terminal.err.paint(Style::Green, what)));
}

/// Refuses what only processes with a database of their own do.
pub(super) fn must_be_shared(settings: &Settings, needed: &str) -> Result<(), ConfigError> {
    if settings.backends.is_shared() {
        return Ok(());
    }
    Err(ConfigError::Backend { setting: "database-url", needed: needed.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_can_not_be_had_is_for_the_user_to_change() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 80));
        let exit = |kind: io::ErrorKind| Exit::of_error(&cannot_listen(listen, "--listen", kind.into()));
        assert_eq!(exit(io::ErrorKind::AddrInUse), Exit::Misuse);
        assert_eq!(exit(io::ErrorKind::PermissionDenied), Exit::Misuse);
        assert_eq!(exit(io::ErrorKind::OutOfMemory), Exit::Internal);
    }
}
