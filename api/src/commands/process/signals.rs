//! The signals that stop a process.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Ends at the first signal to stop. A second one ends the process at once.
pub(super) fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
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
