//! How many tasks to claim ahead: enough to keep the threads busy between two claims, few enough that a more urgent
//! task isn't kept waiting behind them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Work claimed ahead is worth this much time.
const AHEAD: Duration = Duration::from_millis(60);
/// Weight of the newest duration in the average: one in so many.
const NEWEST_ONE_IN: u64 = 8;

/// The lane's threads, and the average duration of its tasks.
#[derive(Debug)]
pub(super) struct Pace {
    threads: usize,
    average_us: AtomicU64,
}

impl Pace {
    /// Begins as if tasks took a second: nothing is claimed ahead until it is known that they are short.
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, average_us: AtomicU64::new(1_000_000) }
    }

    /// Claims that may be under way at once.
    pub(super) fn claims_max(&self) -> usize {
        let average_us = self.average_us.load(Ordering::Relaxed).max(1);
        let ahead = AHEAD.as_micros() as u64 * self.threads as u64 / average_us;
        self.threads + usize::try_from(ahead).unwrap_or(usize::MAX)
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

    #[test]
    fn short_tasks_are_claimed_ahead_and_one_long_task_ends_that() {
        let pace = Pace::new(4);
        assert_eq!(pace.claims_max(), 4);
        (0..100).for_each(|_| pace.took(Duration::from_millis(1)));
        assert!(pace.claims_max() > 200, "{}", pace.claims_max());
        pace.took(Duration::from_secs(10));
        assert_eq!(pace.claims_max(), 4);
    }
}
