//! How many tasks to claim ahead: enough to keep the threads busy between two claims, few enough that a more urgent
//! task isn't kept waiting behind them, and never more than the pool takes.

use mecapy_runtime::LaneStatus;
use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// Work claimed ahead is worth this much time.
const AHEAD: Duration = Duration::from_millis(60);
/// Weight of the newest duration in the average: one in so many.
const NEWEST_ONE_IN: u64 = 8;
/// Claims that may be under way at once, whatever their pace.
const CLAIMED_MAX: usize = 256;

/// The lane's threads, the average duration of its tasks, and how many are claimed.
#[derive(Debug)]
pub(super) struct Pace {
    threads: usize,
    claimed_max: usize,
    average_us: AtomicU64,
    in_flight: AtomicUsize,
}

impl Pace {
    /// Begins as if tasks took a second: nothing is claimed ahead until it is known that they are short.
    pub(super) fn new(lane: &LaneStatus) -> Self {
        Self {
            threads: lane.threads,
            claimed_max: CLAIMED_MAX.min(lane.threads.saturating_add(lane.waiting_max)),
            average_us: AtomicU64::new(1_000_000),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Claims that may be under way at once.
    fn claims_max(&self) -> usize {
        let average_us = self.average_us.load(Ordering::Relaxed).max(1);
        let ahead = AHEAD.as_micros() as u64 * self.threads as u64 / average_us;
        self.threads.saturating_add(usize::try_from(ahead).unwrap_or(usize::MAX)).min(self.claimed_max)
    }

    /// Claims that may be made now.
    pub(super) fn room(&self) -> usize {
        self.claims_max().saturating_sub(self.in_flight.load(Ordering::Acquire))
    }

    /// A claim takes a place; [`leave`](Self::leave) gives it back.
    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    /// A task took this long in its sandbox.
    pub(super) fn took(&self, duration: Duration) {
        let newest = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let average = self.average_us.load(Ordering::Relaxed);
        // Two updates at once may lose one: it is an estimate.
        let next = if newest > average { newest } else { average - (average - newest) / NEWEST_ONE_IN };
        self.average_us.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(threads: usize, waiting_max: usize) -> LaneStatus {
        LaneStatus { threads, running: 0, waiting: 0, waiting_max }
    }

    #[test]
    fn short_tasks_are_claimed_ahead_and_one_long_task_ends_that() {
        let pace = Pace::new(&lane(4, 1_000));
        assert_eq!(pace.room(), 4);
        (0..100).for_each(|_| pace.took(Duration::from_millis(1)));
        assert!(pace.room() > 200, "{}", pace.room());
        pace.enter();
        pace.took(Duration::from_secs(10));
        assert_eq!(pace.room(), 3);
        pace.leave();
        assert_eq!(pace.room(), 4);
    }

    #[test]
    fn no_more_is_claimed_than_the_pool_takes() {
        for (threads, waiting_max, expected) in [(4, 16, 20), (2, 0, 2), (4, usize::MAX, CLAIMED_MAX)] {
            let pace = Pace::new(&lane(threads, waiting_max));
            (0..100).for_each(|_| pace.took(Duration::from_micros(1)));
            assert_eq!(pace.room(), expected, "{threads} threads, {waiting_max} waiting");
        }
    }
}
