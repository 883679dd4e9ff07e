//! Ctrl-C, as something a command can wait for.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears every Ctrl-C from when it began to listen; until then the process ends at one.
#[derive(Debug)]
pub(crate) struct Interrupt(Signal);

impl Interrupt {
    pub(crate) fn listen() -> io::Result<Self> {
        signal(SignalKind::interrupt()).map(Self)
    }

    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // The runtime hears no more signals, which happens only while it shuts down.
            std::future::pending::<()>().await;
        }
    }
}
