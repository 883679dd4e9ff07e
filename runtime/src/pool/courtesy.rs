//! How old previews and the slower lanes let fresh previews go first.
//!
//! The kernel alone does not see to it: a thread that wakes up may have to wait for the next timer interrupt, 4 ms on
//! many machines, before it gets a core from a thread of low priority. So at each tick of the engine's clock, and
//! whenever a preview starts, a run that isn't fresh sleeps while fresh ones are on, and then yields its core once.
//! Where fresh runs never end, the others get a turn now and then, while which no preview starts.

use crate::{Engine, engine::Active};
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The longest that others stand aside at once.
const ASIDE_MAX: Duration = Duration::from_millis(10);
/// The turn that they get then: a tenth and more of the time.
const TURN: Duration = Duration::from_micros(1_500);

/// Counts fresh runs; others wait for the count to reach zero, or for their turn.
#[derive(Default)]
pub(super) struct Courtesy {
    fresh: AtomicUsize,
    is_turn: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Since when there has always been a fresh run.
    busy_since: Option<Instant>,
    /// Runs that stand aside.
    aside: usize,
    turn: Option<Turn>,
}

struct Turn {
    until: Instant,
    /// The clock goes on until the turn is over, whoever runs: it is what starts the previews that waited.
    _ticking: Active,
}

impl Courtesy {
    fn fresh_began(&self) {
        if self.fresh.fetch_add(1, Ordering::AcqRel) == 0 {
            self.lock().busy_since = Some(Instant::now());
        }
    }

    fn fresh_ended(&self) {
        if self.fresh.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut state = self.lock();
            // Another may have begun meanwhile: it is on since now, near enough.
            state.busy_since = self.any_fresh().then(Instant::now);
            drop(state);
            self.changed.notify_all();
        }
    }

    fn any_fresh(&self) -> bool {
        self.fresh.load(Ordering::Acquire) > 0
    }

    /// Whether the others have their turn: no preview may start.
    pub(super) fn is_turn(&self) -> bool {
        self.is_turn.load(Ordering::Acquire)
    }

    /// Begins and ends turns, at each tick; says whether one has ended, so that previews may start again.
    pub(super) fn tick(&self, engine: &Engine, now: Instant) -> bool {
        let mut state = self.lock();
        if let Some(turn) = &state.turn {
            let over = now >= turn.until;
            if over {
                state.turn = None;
                state.busy_since = self.any_fresh().then_some(now);
                self.is_turn.store(false, Ordering::Release);
            }
            return over;
        }
        let in_vain = state.busy_since.is_some_and(|since| now.duration_since(since) >= ASIDE_MAX);
        if in_vain && state.aside > 0 {
            state.turn = Some(Turn { until: now + TURN, _ticking: engine.ticker().enter() });
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
        let mut state = self.lock();
        state.aside += 1;
        while self.any_fresh() && state.turn.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.aside -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether one run still counts as fresh; whoever ends that tells the others, once.
pub(super) struct Fresh {
    fresh: AtomicBool,
    courtesy: Arc<Courtesy>,
}

impl Fresh {
    pub(super) fn begin(courtesy: Arc<Courtesy>) -> Self {
        courtesy.fresh_began();
        Self { fresh: AtomicBool::new(true), courtesy }
    }

    /// A run that nobody stands aside for.
    pub(super) fn never(courtesy: Arc<Courtesy>) -> Self {
        Self { fresh: AtomicBool::new(false), courtesy }
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
        assert!(waits.recv_timeout(ASIDE_MAX / 2).is_err());
        assert!(fresh.end() && !fresh.end());
        waits.recv().unwrap();
        let state = courtesy.lock();
        assert_eq!((state.aside, state.busy_since), (0, None));
    }

    #[test]
    fn who_waits_in_vain_gets_a_turn_in_which_no_preview_starts() {
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let courtesy = Arc::new(Courtesy::default());
        let fresh = Fresh::begin(Arc::clone(&courtesy));
        let began = courtesy.lock().busy_since.unwrap();
        let at = |millis| began + Duration::from_millis(millis);
        assert!(!courtesy.tick(&engine, at(20)) && !courtesy.is_turn(), "nobody waits");
        courtesy.lock().aside = 1;
        assert!(!courtesy.tick(&engine, at(9)) && !courtesy.is_turn(), "not for long enough");
        assert!(!courtesy.tick(&engine, at(10)) && courtesy.is_turn());
        comes_to_a_checkpoint(&courtesy).recv().unwrap();
        assert!(!courtesy.tick(&engine, at(11)) && courtesy.is_turn());
        assert!(courtesy.tick(&engine, at(12)) && !courtesy.is_turn());
        assert!(!courtesy.tick(&engine, at(21)) && !courtesy.is_turn(), "the next turn is as far away as the first");
        assert!(!courtesy.tick(&engine, at(22)) && courtesy.is_turn());
        assert!(fresh.end());
    }
}
