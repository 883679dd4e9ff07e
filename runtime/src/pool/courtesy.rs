//! How old previews let fresh ones go first.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The longest an old run stands aside at one tick: under a flood of fresh runs it goes on too, if slowly.
const ASIDE_MAX: Duration = Duration::from_millis(10);

/// Counts fresh runs; old ones wait for the count to reach zero.
#[derive(Debug, Default)]
pub(super) struct Courtesy {
    fresh: AtomicUsize,
    lock: Mutex<()>,
    quiet: Condvar,
}

impl Courtesy {
    pub(super) fn fresh_began(&self) {
        self.fresh.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn fresh_ended(&self) {
        if self.fresh.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Taking the lock orders this with a waiter that has just seen a count above zero.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.quiet.notify_all();
        }
    }

    /// Waits while fresh runs are on, but not for long.
    pub(super) fn stand_aside(&self) {
        if self.fresh.load(Ordering::Acquire) == 0 {
            return;
        }
        let until = Instant::now() + ASIDE_MAX;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.fresh.load(Ordering::Acquire) > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return;
            }
            guard = self.quiet.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
