//! How old previews and the slower lanes let fresh previews go first.
//!
//! The kernel alone does not see to it: a thread that wakes up may have to wait for its next timer interrupt, 4 ms on
//! many machines, before it gets a core from a thread of low priority. So at each tick of the engine's clock, and
//! whenever a preview starts, a run that isn't fresh sleeps while fresh ones are on, and else yields its core once.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The longest a run stands aside at once.
const ASIDE_MAX: Duration = Duration::from_millis(10);
/// A run that stood aside for so long goes on for this long at least: under a flood of fresh runs it has a tenth.
const TURN_MIN: Duration = Duration::from_millis(1);

/// Counts fresh runs; old ones wait for the count to reach zero.
#[derive(Debug, Default)]
pub(super) struct Courtesy {
    fresh: AtomicUsize,
    lock: Mutex<()>,
    quiet: Condvar,
}

impl Courtesy {
    fn fresh_began(&self) {
        self.fresh.fetch_add(1, Ordering::AcqRel);
    }

    fn fresh_ended(&self) {
        if self.fresh.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Taking the lock orders this with a waiter that has just seen a count above zero.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.quiet.notify_all();
        }
    }

    /// Waits while fresh runs are on, but not for long; says whether they are still on.
    fn stand_aside(&self) -> bool {
        let until = Instant::now() + ASIDE_MAX;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.fresh.load(Ordering::Acquire) > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return true;
            }
            guard = self.quiet.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    fn any_fresh(&self) -> bool {
        self.fresh.load(Ordering::Acquire) > 0
    }
}

/// Whether one run still counts as fresh; whoever ends that tells the others, once.
pub(super) struct Fresh {
    fresh: AtomicBool,
    courtesy: Arc<Courtesy>,
    /// Until when the run need not stand aside again.
    turn_until: Mutex<Option<Instant>>,
}

impl Fresh {
    pub(super) fn begin(courtesy: Arc<Courtesy>) -> Self {
        courtesy.fresh_began();
        Self { fresh: AtomicBool::new(true), ..Self::never(courtesy) }
    }

    /// A run that nobody stands aside for.
    pub(super) fn never(courtesy: Arc<Courtesy>) -> Self {
        Self { fresh: AtomicBool::new(false), courtesy, turn_until: Mutex::default() }
    }

    /// Says whether this call ended it.
    pub(super) fn end(&self) -> bool {
        let ended = self.fresh.swap(false, Ordering::AcqRel);
        if ended {
            self.courtesy.fresh_ended();
        }
        ended
    }

    /// What a run does at each tick, and whenever a preview starts.
    pub(super) fn checkpoint(self: &Arc<Self>) -> Arc<dyn Fn() + Send + Sync> {
        let fresh = Arc::clone(self);
        Arc::new(move || {
            if !fresh.fresh.load(Ordering::Acquire) {
                fresh.let_others_go_first();
            }
        })
    }

    fn let_others_go_first(&self) {
        let mut turn_until = self.turn_until.lock().unwrap_or_else(PoisonError::into_inner);
        if turn_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        *turn_until = None;
        if !self.courtesy.any_fresh() {
            // Whoever carries requests and answers may wait for this core.
            thread::yield_now();
        } else if self.courtesy.stand_aside() {
            *turn_until = Some(Instant::now() + TURN_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_old_waits_for_the_fresh_but_not_for_ever() {
        let courtesy = Arc::new(Courtesy::default());
        let old = Arc::new(Fresh::never(Arc::clone(&courtesy)));
        let aside = |old: &Arc<Fresh>| {
            let began = Instant::now();
            old.checkpoint()();
            began.elapsed()
        };
        assert!(aside(&old) < ASIDE_MAX);
        let fresh = Arc::new(Fresh::begin(Arc::clone(&courtesy)));
        assert!(aside(&fresh) < ASIDE_MAX, "a fresh run waits for nobody");
        assert!(aside(&old) >= ASIDE_MAX);
        let turn = *old.turn_until.lock().unwrap();
        assert!(turn.is_some(), "who waited in vain has a turn");
        *old.turn_until.lock().unwrap() = Some(Instant::now() + Duration::from_secs(60));
        assert!(aside(&old) < ASIDE_MAX);
        *old.turn_until.lock().unwrap() = None;
        let waits = Arc::clone(&old);
        let waiter = thread::spawn(move || aside(&waits));
        assert!(fresh.end() && !fresh.end());
        waiter.join().unwrap();
        assert!(!courtesy.any_fresh() && old.turn_until.lock().unwrap().is_none());
    }
}
