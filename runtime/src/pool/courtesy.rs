//! How old previews and the slower lanes let fresh previews go first.
//!
//! The kernel alone does not see to it: a thread that wakes up may have to wait for the next timer interrupt, 4 ms on
//! many machines, before it gets a core from a thread of low priority. So at each tick of the engine's clock, and
//! whenever a preview starts, a run that isn't fresh sleeps while fresh ones are on, and then yields its core once.
//! Where that leaves the others less than a tenth of the time they get turns, in which no preview starts.

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

/// The longest that others stand aside at once, should the clock be late.
const ASIDE_MAX: Duration = Duration::from_millis(20);
/// The share of the time that they stand aside before they get a turn.
const ASIDE_SHARE_MAX: f64 = 0.9;
/// Ticks that the share is an average over; the older ones weigh less.
const SHARE_TICKS: f64 = 64.0;
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
    /// The share of the latest ticks at which others stood aside.
    aside_share: f64,
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
        let stands_aside = state.turn.is_none() && self.any_fresh() && self.aside.load(Ordering::SeqCst) > 0;
        state.aside_share += (f64::from(u8::from(stands_aside)) - state.aside_share) / SHARE_TICKS;
        if let Some(turn) = &mut state.turn {
            if turn.until.is_none() && (!self.any_fresh() || now.duration_since(turn.began) >= FRESH) {
                turn.until = Some(now + TURN);
            }
            let is_over = turn.until.is_some_and(|until| now >= until);
            if is_over {
                state.turn = None;
                self.is_turn.store(false, Ordering::Release);
            }
            return is_over;
        }
        if stands_aside && state.aside_share > ASIDE_SHARE_MAX {
            state.turn = Some(Turn { began: now, until: None, _ticking: engine.ticker().enter() });
            self.is_turn.store(true, Ordering::Release);
            drop(state);
            self.changed.notify_all();
        }
        false
    }

    /// Waits while fresh runs are on, until the turn of those who wait.
    fn stand_aside(&self) {
        let until = Instant::now() + ASIDE_MAX;
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

    /// Lets fresh runs go first, unless this is one or has its turn.
    pub(super) fn give_way(&self) {
        if !self.fresh.load(Ordering::Acquire) && self.courtesy.any_fresh() && !self.courtesy.is_turn() {
            self.courtesy.stand_aside();
        }
    }

    /// What a run does at each tick, and whenever a preview starts.
    pub(super) fn checkpoint(self: &Arc<Self>) -> Arc<dyn Fn() + Send + Sync> {
        let run = Arc::clone(self);
        Arc::new(move || {
            if run.fresh.load(Ordering::Acquire) {
                return;
            }
            run.give_way();
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

    /// Ticks a millisecond apart; each says what the clock was answered, and whether it is the others' turn then.
    struct Ticks<'c> {
        engine: Engine,
        courtesy: &'c Courtesy,
        now: Instant,
    }

    impl Iterator for Ticks<'_> {
        type Item = (bool, bool);

        fn next(&mut self) -> Option<Self::Item> {
            self.now += Duration::from_millis(1);
            Some((self.courtesy.tick(&self.engine, self.now), self.courtesy.is_turn()))
        }
    }

    #[test]
    fn who_waits_in_vain_gets_turns_in_which_no_preview_starts() {
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let courtesy = Arc::new(Courtesy::default());
        let fresh = Fresh::begin(Arc::clone(&courtesy));
        let mut ticks = Ticks { engine, courtesy: &courtesy, now: Instant::now() };
        assert!(ticks.by_ref().take(500).all(|tick| tick == (false, false)), "nobody waits");
        courtesy.aside.store(1, Ordering::SeqCst);
        let waited = ticks.by_ref().take_while(|(_, is_turn)| !is_turn).count();
        assert!((100..200).contains(&waited), "{waited}");
        comes_to_a_checkpoint(&courtesy).recv().unwrap();
        // The fresh run goes on for as long as it may be fresh; then the turn counts.
        let rest: Vec<_> = ticks.by_ref().take(7).collect();
        assert_eq!(rest[..6], [(false, true); 6]);
        assert_eq!(rest[6], (true, false));
        assert!(fresh.end());
        assert!(ticks.take(500).all(|tick| tick == (false, false)), "there are no fresh runs");
    }

    #[test]
    fn turns_make_up_a_tenth_and_none_are_needed_where_there_are_pauses() {
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let courtesy = Courtesy::default();
        let mut ticks = Ticks { engine, courtesy: &courtesy, now: Instant::now() };
        courtesy.aside.store(1, Ordering::SeqCst);
        // As the pool does it: no preview starts in a turn, so that none is fresh then.
        let mut turns_in = |ticks_all: usize, fresh_at: fn(usize) -> bool| {
            let mut of_turns = |tick: usize| {
                let fresh = fresh_at(tick) && !courtesy.is_turn();
                courtesy.fresh.store(usize::from(fresh), Ordering::SeqCst);
                ticks.next().is_some_and(|(_, is_turn)| is_turn)
            };
            (0..ticks_all).filter(|tick| of_turns(*tick)).count()
        };
        turns_in(500, |_| true);
        let turns = turns_in(2_000, |_| true);
        assert!((180..320).contains(&turns), "{turns} of 2000");
        turns_in(500, |tick| tick % 5 > 0);
        assert_eq!(turns_in(2_000, |tick| tick % 5 > 0), 0);
    }
}
