//! The hint bus of the shared mode: processes tell one another over Redis what is worth a look.
//!
//! It may lose, double and reorder, and anybody with access to Redis may write to it: rows alone have authority, and
//! without Redis processes look at the database more often. Knows nothing of rows, and of what a hint leads to.

mod address;
mod hint;
mod link;
mod outbox;
mod probe;
#[cfg(test)]
mod tests;

pub use address::{BusAddress, BusAddressError};
pub use hint::Hint;
pub use probe::probe_bus;

use crate::clock::Clock;
use link::Link;
use outbox::Outbox;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How many messages a subscriber may be behind before it is told that it lagged.
const MESSAGES_BEHIND_MAX: usize = 256;
/// How long `close` waits for what is not yet sent.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// This process's place on the bus. Clones share it; with the last one its background task ends.
#[derive(Debug, Clone)]
pub struct Bus {
    place: Arc<Place>,
}

/// Whether hints get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusState {
    Up,
    /// Neither sends nor hears: look at the database more often.
    Down {
        since: Instant,
    },
}

/// What went over the bus since it was connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusCounts {
    /// Messages sent, heartbeats aside.
    pub published: u64,
    /// Messages heard from others, heartbeats aside.
    pub received: u64,
    /// Hints that found no place while they waited to be sent.
    pub dropped: u64,
    /// Messages that were not understood.
    pub unreadable: u64,
    /// Connections after the first one.
    pub reconnects: u64,
}

#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    hints: broadcast::WeakSender<Arc<Vec<Hint>>>,
    state: watch::Receiver<BusState>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What the handle and its background task both use.
#[derive(Debug)]
struct Shared {
    /// By this a process knows its own messages.
    sender: Uuid,
    clock: Arc<dyn Clock>,
    outbox: Mutex<Outbox>,
    /// Something waits in the outbox, or the bus was closed.
    wake: Notify,
    closed: AtomicBool,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    published: AtomicU64,
    received: AtomicU64,
    dropped: AtomicU64,
    unreadable: AtomicU64,
    reconnects: AtomicU64,
}

impl Bus {
    /// Joins the bus, in the background and for as long as it takes: a Redis that is down is no error. Needs a Tokio
    /// runtime. Two processes with the same prefix are on the same bus.
    pub fn connect(address: &BusAddress, clock: Arc<dyn Clock>) -> Bus {
        let mut sender = [0; 16];
        clock.fill_random(&mut sender);
        let shared = Arc::new(Shared {
            sender: Uuid::from_bytes(sender),
            clock,
            outbox: Mutex::default(),
            wake: Notify::new(),
            closed: AtomicBool::new(false),
            counters: Counters::default(),
        });
        let (hints, _) = broadcast::channel(MESSAGES_BEHIND_MAX);
        let (state_sender, state) = watch::channel(BusState::Down { since: Instant::now() });
        let weak = hints.downgrade();
        let link = Link { address: address.clone(), shared: Arc::clone(&shared), hints, state: state_sender };
        let task = Mutex::new(Some(tokio::spawn(link.run())));
        Bus { place: Arc::new(Place { shared, hints: weak, state, task }) }
    }

    /// Tells the other processes, soon: waits for nothing and never fails. What is published while a message is under
    /// way goes into the next one, each lane and task once. When too much waits the oldest hints are dropped, and the
    /// others are told to look at everything instead.
    pub fn publish(&self, hints: Vec<Hint>) {
        let shared = &self.place.shared;
        if !shared.closed.load(Ordering::Acquire) {
            shared.put(hints);
        }
    }

    /// What other processes say from now on, never what this one said. After each connection, the first included,
    /// comes [`Hint::Everything`]. A receiver that lagged has lost hints and must look at everything too. Ends with
    /// the bus.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Vec<Hint>>> {
        let ended = || broadcast::channel(1).1;
        self.place.hints.upgrade().map_or_else(ended, |hints| hints.subscribe())
    }

    /// Whether hints get through, now and later.
    pub fn state(&self) -> watch::Receiver<BusState> {
        self.place.state.clone()
    }

    pub fn counts(&self) -> BusCounts {
        let counters = &self.place.shared.counters;
        BusCounts {
            published: counters.published.load(Ordering::Relaxed),
            received: counters.received.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            unreadable: counters.unreadable.load(Ordering::Relaxed),
            reconnects: counters.reconnects.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits, for a second at most and only while Redis answers, and leaves the bus for all clones.
    pub async fn close(&self) {
        self.place.shared.closed.store(true, Ordering::Release);
        self.place.shared.wake.notify_one();
        let Some(mut task) = lock(&self.place.task).take() else { return };
        let down = *self.place.state.borrow() != BusState::Up;
        if down || tokio::time::timeout(CLOSE_MAX, &mut task).await.is_err() {
            task.abort();
            // Its own end is all that is waited for: it was told to stop, and how is the same to the caller.
            let _ = task.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl Shared {
    fn put(&self, hints: Vec<Hint>) {
        let mut outbox = lock(&self.outbox);
        let dropped = hints.into_iter().map(|hint| outbox.add(hint)).sum();
        drop(outbox);
        self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
