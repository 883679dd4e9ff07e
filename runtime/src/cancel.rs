//! A switch that stops an attempt, and wakes it where it waits.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Shared between the attempt and whoever may stop it. Once set it stays set.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    set: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the attempt: a running guest within a tick, a waiting one at once.
    pub fn cancel(&self) {
        let guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.set.store(true, Ordering::Release);
        drop(guard);
        self.0.changed.notify_all();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.set.load(Ordering::Acquire)
    }

    /// Sleeps until `until`, or less where it is cancelled; says whether it is cancelled.
    pub fn sleep_until(&self, until: Instant) -> bool {
        let mut guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.is_cancelled() || left == Duration::ZERO {
                return self.is_cancelled();
            }
            guard = self.0.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Stops an attempt when whoever waits for it goes away.
#[derive(Debug)]
pub struct StopOnDrop(Option<Cancel>);

impl StopOnDrop {
    pub fn of(cancel: &Cancel) -> Self {
        Self(Some(cancel.clone()))
    }

    /// The attempt has ended: there is nothing to stop.
    pub fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = self.0.take() {
            cancel.cancel();
        }
    }
}
