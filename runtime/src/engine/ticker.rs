//! The engine's clock: one thread that ticks while guests run and sleeps while none does.

use crate::priority::hurry;
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often a running guest looks at its deadline and at its cancel switch.
pub const TICK: Duration = Duration::from_millis(1);

/// Called at each tick, on the clock's thread: must not block.
type OnTick = Weak<dyn Fn() + Send + Sync>;

/// Advances the engine's epoch every [`TICK`] while at least one guest is active.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    active: AtomicUsize,
    stop: AtomicBool,
    on_tick: Mutex<Vec<OnTick>>,
}

/// Keeps the clock ticking while it lives.
pub(crate) struct Active(Arc<Shared>);

impl Ticker {
    pub(super) fn start(engine: wasmtime::Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("mecapy-tick".into()).spawn(move || tick(&for_thread, &engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Registers what else is to happen at each tick, for as long as it is held elsewhere.
    pub(crate) fn on_tick(&self, callback: OnTick) {
        self.shared.on_tick.lock().unwrap_or_else(PoisonError::into_inner).push(callback);
    }

    pub(crate) fn enter(&self) -> Active {
        if self.shared.active.fetch_add(1, Ordering::AcqRel) == 0 {
            self.wake();
        }
        Active(Arc::clone(&self.shared))
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Shared {
    fn call_back(&self) {
        let mut all = self.on_tick.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|callback| callback.strong_count() > 0);
        let due: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        drop(all);
        due.iter().for_each(|callback| callback());
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        // What was registered for each tick may hold the last handle: then this is the clock's own thread.
        if let Some(thread) = self.thread.take().filter(|own| own.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}

fn tick(shared: &Shared, engine: &wasmtime::Engine) {
    // A tick that comes late is late for every guest. Where that can't be asked for, ticks come as they can.
    let _ = hurry();
    let mut next = Instant::now() + TICK;
    while !shared.stop.load(Ordering::Acquire) {
        if shared.active.load(Ordering::Acquire) == 0 {
            thread::park();
            next = Instant::now() + TICK;
            continue;
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
        engine.increment_epoch();
        shared.call_back();
        // After a stall the clock goes on from now: ticks aren't made up for.
        next = (next + TICK).max(Instant::now());
    }
}
