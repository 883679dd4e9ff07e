//! What a run says of itself, kept until it is written: log lines and progress.

use mecapy_model::{LogStream, Progress};
use mecapy_runtime::Observer;
use mecapy_store::NewLog;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Log text kept between two writes, bytes. The sandbox's own cap holds for the whole task; this one holds where the
/// store is slow, and the newest text is dropped.
const PENDING_BYTES_MAX: usize = 2 << 20;

/// Collects on the run's thread, is drained on the worker's.
pub(super) struct Follow {
    pending: Mutex<Pending>,
    bytes_max: usize,
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub(super) struct Pending {
    pub(super) logs: Vec<NewLog>,
    pub(super) progress: Option<Progress>,
    bytes: usize,
}

impl Default for Follow {
    fn default() -> Self {
        Self::new(PENDING_BYTES_MAX)
    }
}

impl Follow {
    fn new(bytes_max: usize) -> Self {
        Self { pending: Mutex::default(), bytes_max, writing: tokio::sync::Mutex::default() }
    }

    /// Drops nothing: for runs that are ended where they say too much.
    pub(super) fn keeping_all() -> Self {
        Self::new(usize::MAX)
    }

    /// Held from a drain to the end of its write, so that entries are written in order and none after the finish.
    pub(super) async fn writing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// What came since the last call.
    pub(super) fn drain(&self) -> Pending {
        std::mem::take(&mut *self.lock())
    }

    /// Takes back what could not be written, before what came since. Where both are too much, the newest text is dropped.
    pub(super) fn put_back(&self, unwritten: Pending) {
        let mut pending = self.lock();
        let newer = std::mem::replace(&mut *pending, unwritten);
        if newer.progress.is_some() {
            pending.progress = newer.progress;
        }
        for NewLog { stream, text } in newer.logs {
            pending.push(stream, &text, self.bytes_max);
        }
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

impl Pending {
    fn push(&mut self, stream: LogStream, text: &str, bytes_max: usize) {
        if self.bytes.saturating_add(text.len()) > bytes_max {
            return;
        }
        self.bytes += text.len();
        match self.logs.last_mut() {
            // Consecutive text of one stream is one entry: fewer rows.
            Some(last) if last.stream == stream => last.text.push_str(text),
            _ => self.logs.push(NewLog { stream, text: text.to_owned() }),
        }
    }
}

impl Observer for Follow {
    fn log(&self, stream: LogStream, text: &str) {
        self.lock().push(stream, text, self.bytes_max);
    }

    fn progress(&self, progress: Progress) {
        self.lock().progress = Some(progress);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(fraction: f64) -> Progress {
        Progress { fraction, message: None }
    }

    #[test]
    fn what_could_not_be_written_comes_before_what_came_since() {
        let follow = Follow::default();
        follow.log(LogStream::Stdout, "one\n");
        follow.progress(progress(0.1));
        let unwritten = follow.drain();
        assert!(!follow.has_news());
        follow.log(LogStream::Stdout, "two\n");
        follow.log(LogStream::Stderr, "three\n");
        follow.progress(progress(0.2));
        follow.put_back(unwritten);
        let pending = follow.drain();
        let logs: Vec<_> = pending.logs.iter().map(|log| (log.stream, log.text.as_str())).collect();
        assert_eq!(logs, [(LogStream::Stdout, "one\ntwo\n"), (LogStream::Stderr, "three\n")]);
        assert_eq!(pending.progress, Some(progress(0.2)));
        assert_eq!(pending.bytes, 14);
    }

    #[test]
    fn a_store_that_stays_away_costs_no_more_memory_than_one_text() {
        let follow = Follow::default();
        for _ in 0..3 {
            follow.log(LogStream::Stdout, &"x".repeat(PENDING_BYTES_MAX));
            let unwritten = follow.drain();
            follow.log(LogStream::Stdout, "newer");
            follow.put_back(unwritten);
            assert_eq!(follow.pending_bytes(), PENDING_BYTES_MAX);
        }
    }
}
