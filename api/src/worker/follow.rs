//! What a running guest says of itself, kept until it is written: log lines and progress.

use mecapy_model::{LogStream, Progress};
use mecapy_runtime::Observer;
use mecapy_store::NewLog;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Log text kept between two writes, bytes. The sandbox's own cap holds for the whole task; this one holds where the
/// store is slow, and the newest text is dropped.
const PENDING_BYTES_MAX: usize = 2 << 20;

/// Collects on the sandbox's thread, is drained on the worker's.
#[derive(Default)]
pub(super) struct Follow {
    pending: Mutex<Pending>,
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub(super) struct Pending {
    pub(super) logs: Vec<NewLog>,
    pub(super) progress: Option<Progress>,
    bytes: usize,
}

impl Follow {
    /// Held from a drain to the end of its write, so that entries are written in order and none after the finish.
    pub(super) async fn writing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// What came since the last call.
    pub(super) fn drain(&self) -> Pending {
        std::mem::take(&mut *self.lock())
    }

    /// Whether there is something to write.
    pub(super) fn has_news(&self) -> bool {
        let pending = self.lock();
        !pending.logs.is_empty() || pending.progress.is_some()
    }

    /// Log text that waits to be written.
    pub(super) fn pending_bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Follow {
    fn log(&self, stream: LogStream, text: &str) {
        let mut pending = self.lock();
        if pending.bytes + text.len() > PENDING_BYTES_MAX {
            return;
        }
        pending.bytes += text.len();
        match pending.logs.last_mut() {
            // Consecutive text of one stream is one entry: fewer rows.
            Some(last) if last.stream == stream => last.text.push_str(text),
            _ => pending.logs.push(NewLog { stream, text: text.to_owned() }),
        }
    }

    fn progress(&self, progress: Progress) {
        self.lock().progress = Some(progress);
    }
}
