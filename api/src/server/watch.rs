//! What one connection is doing, and until when it may go on doing it.

use super::ConnectionLimits;
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// "Not": no time that is a number of milliseconds since a connection's start.
const NEVER: u64 = u64::MAX;
/// A rest of a body that is surely skipped after its answer, bytes: what a connection reads at once.
const SKIPPED_BYTES_MAX: u64 = 4 << 10;

/// Written by the connection's stream and service, read by whoever enforces the limits.
#[derive(Debug)]
pub(super) struct Watch {
    started: Instant,
    first_byte_ms: AtomicU64,
    /// The first byte since the last request ended.
    head_ms: AtomicU64,
    idle_ms: AtomicU64,
    write_blocked_ms: AtomicU64,
    requests: AtomicU32,
    http2: AtomicBool,
    /// The last request's body was not read to its end.
    body_left: AtomicBool,
    /// And is too long to be skipped, so that the connection ends with the answer.
    long_body_left: AtomicBool,
    /// HTTP/2 alone, where the socket doesn't tell who reads: since when each stream's last piece waits for its reader.
    held: Mutex<Held>,
    evicted: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next_stream: u64,
    since_ms: HashMap<u64, u64>,
}

/// How dispensable a connection is; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// It never said anything.
    Silent,
    /// A request's headers have begun.
    Head,
    /// Between requests.
    Idle,
    /// At least one request is under way.
    Busy,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            first_byte_ms: AtomicU64::new(NEVER),
            head_ms: AtomicU64::new(NEVER),
            idle_ms: AtomicU64::new(NEVER),
            write_blocked_ms: AtomicU64::new(NEVER),
            requests: AtomicU32::new(0),
            http2: AtomicBool::new(false),
            body_left: AtomicBool::new(false),
            long_body_left: AtomicBool::new(false),
            held: Mutex::default(),
            evicted: Notify::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    /// Bytes came in.
    pub(super) fn read(&self) {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return;
        }
        let first = self.first_byte_ms.load(Ordering::Relaxed) == NEVER;
        // HTTP/2 peers also send frames that begin no request.
        let begins_head = self.head_ms.load(Ordering::Relaxed) == NEVER && !self.http2.load(Ordering::Relaxed);
        if !(first || begins_head) {
            return;
        }
        let now = self.now_ms();
        if first {
            self.first_byte_ms.store(now, Ordering::Relaxed);
        }
        if begins_head {
            self.head_ms.store(now, Ordering::Relaxed);
        }
    }

    /// A write did not go through at once.
    pub(super) fn write_blocked(&self) {
        if self.write_blocked_ms.load(Ordering::Relaxed) == NEVER {
            self.write_blocked_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    pub(super) fn write_done(&self) {
        if self.write_blocked_ms.load(Ordering::Relaxed) != NEVER {
            self.write_blocked_ms.store(NEVER, Ordering::Relaxed);
        }
    }

    /// A number for an HTTP/2 stream whose pieces are watched.
    pub(super) fn new_stream(&self) -> u64 {
        let mut held = self.held();
        held.next_stream += 1;
        held.next_stream
    }

    /// A piece of the stream's response has been handed to the connection.
    pub(super) fn piece_handed(&self, stream: u64) {
        let now = self.now_ms();
        self.held().since_ms.insert(stream, now);
    }

    /// The connection is done with the piece: it asks for the next, or gave the stream up.
    pub(super) fn piece_taken(&self, stream: u64) {
        self.held().since_ms.remove(&stream);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The headers of a request are complete.
    pub(super) fn request_started(&self, version: hyper::Version) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_ms.store(NEVER, Ordering::Relaxed);
        self.body_left.store(false, Ordering::Relaxed);
        self.long_body_left.store(false, Ordering::Relaxed);
        if version == hyper::Version::HTTP_2 {
            self.http2.store(true, Ordering::Relaxed);
        }
    }

    /// The response has been handed to the connection whole, or was given up.
    pub(super) fn request_ended(&self) {
        if self.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// A request's body was given up before its end; `rest_bytes` are still to come, where that is known.
    pub(super) fn leave_body(&self, rest_bytes: Option<u64>) {
        self.body_left.store(true, Ordering::Relaxed);
        let long = rest_bytes.is_none_or(|bytes| bytes > SKIPPED_BYTES_MAX);
        self.long_body_left.store(long, Ordering::Relaxed);
    }

    /// Whether so much of an HTTP/1 request's body was left that its connection can't serve another.
    pub(super) fn is_long_body_left(&self) -> bool {
        self.long_body_left.load(Ordering::Relaxed) && !self.http2.load(Ordering::Relaxed)
    }

    /// Whether the peer is still sending what nobody will read, so that closing at once could cost it our answer.
    pub(super) fn is_body_left(&self) -> bool {
        self.body_left.load(Ordering::Relaxed) && !self.http2.load(Ordering::Relaxed)
    }

    /// Asks the connection to close.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// What the connection is doing, and since when.
    pub(super) fn in_use(&self) -> (Use, Instant) {
        let at = |ms: u64| self.started + Duration::from_millis(if ms == NEVER { 0 } else { ms });
        let head_ms = self.head_ms.load(Ordering::Relaxed);
        if self.requests.load(Ordering::Relaxed) > 0 {
            (Use::Busy, self.started)
        } else if head_ms != NEVER {
            (Use::Head, at(head_ms))
        } else if self.first_byte_ms.load(Ordering::Relaxed) == NEVER {
            (Use::Silent, self.started)
        } else {
            (Use::Idle, at(self.idle_ms.load(Ordering::Relaxed)))
        }
    }

    /// When the connection must have moved on; `None` while a request is under way and its reader keeps up.
    pub(super) fn deadline(&self, limits: &ConnectionLimits) -> Option<Instant> {
        let blocked_ms = self.write_blocked_ms.load(Ordering::Relaxed);
        if blocked_ms != NEVER {
            return Some(self.started + Duration::from_millis(blocked_ms) + limits.write_timeout);
        }
        let (doing, since) = self.in_use();
        match doing {
            Use::Busy if self.http2.load(Ordering::Relaxed) => {
                let oldest_ms = self.held().since_ms.values().min().copied();
                oldest_ms.map(|ms| self.started + Duration::from_millis(ms) + limits.write_timeout)
            }
            Use::Busy => None,
            Use::Head => Some(since + limits.header_timeout),
            Use::Silent => Some(since + limits.first_byte_timeout),
            Use::Idle => Some(since + limits.idle_timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_judged_by_what_it_does() {
        let watch = Watch::new();
        let limits = ConnectionLimits::default();
        assert_eq!(watch.in_use().0, Use::Silent);
        watch.read();
        assert_eq!(watch.in_use().0, Use::Head);
        watch.request_started(hyper::Version::HTTP_11);
        assert_eq!((watch.in_use().0, watch.deadline(&limits)), (Use::Busy, None));
        watch.write_blocked();
        assert!(watch.deadline(&limits).is_some());
        watch.write_done();
        watch.request_ended();
        assert_eq!(watch.in_use().0, Use::Idle);
        watch.read();
        assert_eq!(watch.in_use().0, Use::Head);
    }

    #[test]
    fn a_stream_that_nobody_reads_ends_its_http2_connection() {
        let limits = ConnectionLimits { write_timeout: Duration::from_millis(5), ..ConnectionLimits::default() };
        let watch = Watch::new();
        watch.request_started(hyper::Version::HTTP_2);
        watch.request_started(hyper::Version::HTTP_2);
        let (unread, read) = (watch.new_stream(), watch.new_stream());
        assert_eq!(watch.deadline(&limits), None);
        watch.piece_handed(unread);
        let deadline = watch.deadline(&limits).unwrap();
        std::thread::sleep(Duration::from_millis(3));
        watch.piece_handed(read);
        assert_eq!(watch.deadline(&limits), Some(deadline), "the oldest counts");
        watch.piece_taken(unread);
        assert!(watch.deadline(&limits).unwrap() > deadline);
        watch.piece_taken(read);
        assert_eq!(watch.deadline(&limits), None);
    }

    #[test]
    fn frames_between_http2_requests_begin_no_headers() {
        let watch = Watch::new();
        watch.read();
        watch.request_started(hyper::Version::HTTP_2);
        watch.request_ended();
        watch.read();
        assert_eq!(watch.in_use().0, Use::Idle);
    }
}
