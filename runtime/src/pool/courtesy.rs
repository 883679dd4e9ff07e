//! How old previews and the slower lanes let fresh previews go first.
//!
//! The kernel alone does not see to it: a thread that wakes up may have to wait for the next timer interrupt, 4 ms on
//! many machines, before it gets a core from a thread of low priority. So at each tick of the engine's clock, and
//! whenever a preview starts, a run that isn't fresh sleeps while fresh ones are on, and then yields its core once.
//! Where fresh runs never end, the others get a turn now and then, while which no preview starts.

use super::FRESH;
use crate::{Engine, engine::Active};
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The longest that others stand aside at once.
const ASIDE_MAX: Duration = Duration::from_millis(10);
/// The turn that they get then, from when the fresh runs are through.
const TURN: Duration = Duration::from_micros(1_500);

/// Counts fresh runs; others wait for the count to reach zero, or for their turn.
#[derive(Default)]
pub(super) struct Courtesy {
    fresh: AtomicUsize,
    /// Runs that stand aside.
    aside: AtomicUsize,
    is_turn: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Since when there was a fresh run at every tick.
    busy_since: Option<Instant>,
    turn: Option<Turn>,
}

struct Turn {
    began: Instant,
    /// Known once the fresh runs are through.
    until: Option<Instant>,
    /// The clock goes on until the turn is over, whoever runs: it is what starts the previews that waited.
    _ticking: Active,
}

impl Courtesy {
    fn fresh_began(&self) {
        self.fresh.fetch_add(1, Ordering::SeqCst);
    }

    fn fresh_ended(&self) {
        // In one order with `stand_aside`, which counts itself before it looks at the fresh ones: so either it sees
        // that there are none left, or it is seen here.
        if self.fresh.fetch_sub(1, Ordering::SeqCst) == 1 && self.aside.load(Ordering::SeqCst) > 0 {
            // Taking the lock orders this with a waiter that has just seen a count above zero.
            drop(self.lock());
            self.changed.notify_all();
        }
    }

    fn any_fresh(&self) -> bool {
        self.fresh.load(Ordering::SeqCst) > 0
    }

    /// Whether the others have their turn: no preview may start.
    pub(super) fn is_turn(&self) -> bool {
        self.is_turn.load(Ordering::Acquire)
    }

    /// Begins and ends turns, at each tick; says whether one has ended, so that previews may start again.
    pub(super) fn tick(&self, engine: &Engine, now: Instant) -> bool {
        // The clock waits for nobody: whoever holds the lock may itself be waiting for a core.
        let Ok(mut state) = self.state.try_lock() else { return false };
        if let Some(turn) = &mut state.turn {
            if turn.until.is_none() && (!self.any_fresh() || now.duration_since(turn.began) >= FRESH) {
                turn.until = Some(now + TURN);
            }
            let is_over = turn.until.is_some_and(|until| now >= until);
            if is_over {
                (state.turn, state.busy_since) = (None, None);
                self.is_turn.store(false, Ordering::Release);
            }
            return is_over;
        }
        if !self.any_fresh() {
            state.busy_since = None;
            return false;
        }
        let since = *state.busy_since.get_or_insert(now);
        if now.duration_since(since) >= ASIDE_MAX && self.aside.load(Ordering::SeqCst) > 0 {
            state.turn = Some(Turn { began: now, until: None, _ticking: engine.ticker().enter() });
            self.is_turn.store(true, Ordering::Release);
            drop(state);
            self.changed.notify_all();
        }
        false
    }

    /// Waits while fresh runs are on, until the turn of those who wait.
    fn stand_aside(&self) {
        // Should the clock be late, nobody waits for it for long.
        let until = Instant::now() + 2 * ASIDE_MAX;
        self.aside.fetch_add(1, Ordering::SeqCst);
        let mut state = self.lock();
        while self.any_fresh() && state.turn.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.aside.fetch_sub(1, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether one run still counts as fresh; whoever ends that tells the others, once.
pub(super) struct Fresh {
    fresh: AtomicBool,
    /// When its thread began to work on it, which may be long after it was handed to it.
    started: OnceLock<Instant>,
    courtesy: Arc<Courtesy>,
}

impl Fresh {
    pub(super) fn begin(courtesy: Arc<Courtesy>) -> Self {
        courtesy.fresh_began();
        Self { fresh: AtomicBool::new(true), ..Self::never(courtesy) }
    }

    /// A run that nobody stands aside for.
    pub(super) fn never(courtesy: Arc<Courtesy>) -> Self {
        Self { fresh: AtomicBool::new(false), started: OnceLock::new(), courtesy }
    }

    /// Its thread is at work on it from now on.
    pub(super) fn starts(&self) {
        self.started.get_or_init(Instant::now);
    }

    /// How long it has run.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.started.get().map_or(Duration::ZERO, |started| now.saturating_duration_since(*started))
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
        let run = Arc::clone(self);
        Arc::new(move || {
            if run.fresh.load(Ordering::Acquire) {
                return;
            }
            if run.courtesy.any_fresh() && !run.courtesy.is_turn() {
                run.courtesy.stand_aside();
            }
            // Whoever carries requests and answers may wait for this core: by its share it might have to wait for the
            // next interrupt.
            thread::yield_now();
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NanPayloads;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A run that isn't fresh comes to a checkpoint on a thread of its own.
    fn comes_to_a_checkpoint(courtesy: &Arc<Courtesy>) -> mpsc::Receiver<()> {
        let old = Arc::new(Fresh::never(Arc::clone(courtesy)));
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            old.checkpoint()();
            tell.send(()).unwrap();
        });
        told
    }

    #[test]
    fn others_wait_for_the_fresh_to_end_and_the_fresh_wait_for_nobody() {
        let courtesy = Arc::new(Courtesy::default());
        comes_to_a_checkpoint(&courtesy).recv().unwrap();
        let fresh = Arc::new(Fresh::begin(Arc::clone(&courtesy)));
        fresh.checkpoint()();
        let waits = comes_to_a_checkpoint(&courtesy);
        let began = Instant::now();
        while courtesy.aside.load(Ordering::SeqCst) == 0 {
            assert!(began.elapsed() < PATIENCE && waits.try_recv().is_err());
            thread::yield_now();
        }
        assert!(fresh.end() && !fresh.end());
        waits.recv().unwrap();
        assert_eq!(courtesy.aside.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn who_waits_in_vain_gets_a_turn_in_which_no_preview_starts() {
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let courtesy = Arc::new(Courtesy::default());
        let fresh = Fresh::begin(Arc::clone(&courtesy));
        let began = Instant::now();
        // Says what a tick answers at so many milliseconds, and whether it is the others' turn then.
        let tick = |millis| {
            let ended = courtesy.tick(&engine, began + Duration::from_millis(millis));
            (ended, courtesy.is_turn())
        };
        assert_eq!(tick(0), (false, false));
        assert_eq!(tick(20), (false, false), "nobody waits");
        courtesy.aside.store(1, Ordering::SeqCst);
        assert_eq!(tick(20), (false, true));
        comes_to_a_checkpoint(&courtesy).recv().unwrap();
        // The fresh run goes on, and then is fresh no more.
        assert_eq!(tick(24), (false, true));
        assert_eq!(tick(25), (false, true));
        assert_eq!(tick(26), (false, true));
        assert_eq!(tick(27), (true, false));
        assert_eq!([28, 37].map(tick), [(false, false); 2], "the next turn is as far away as the first");
        assert_eq!(tick(38), (false, true));
        // Once the fresh runs are through the turn is short.
        assert!(fresh.end());
        assert_eq!([39, 40].map(tick), [(false, true); 2]);
        assert_eq!(tick(41), (true, false));
        assert_eq!(tick(60), (false, false), "there are no fresh runs");
    }
}
