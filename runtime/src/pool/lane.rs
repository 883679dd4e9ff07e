//! One lane's threads: they take jobs from its line, run them, and go on.

use super::{
    FRESH, Job, LaneStatus, Refused, SandboxesConfig,
    courtesy::{Courtesy, Fresh},
    line::{Full, Line, LineLimits},
    series::{self, Series},
    threads::Starter,
};
use crate::{
    priority::{lower_priority, this_thread},
    sandbox::{Run, Sandbox},
};
use mecapy_model::{ErrorKind, Lane, Outcome, TaskError, TenantId};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

/// The queue proper of the slower lanes is in the database; here waits what was claimed a moment early.
const CLAIMED_EARLY_MAX: usize = 256;
/// What a full lane tells its client to wait: a preview takes 5 s at most.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Added to the nice value of a thread whose run is old: it weighs as much as the `default` lane's, and a tenth of a
/// fresh one's.
const OLD_NICE: i32 = 10;

#[derive(Debug, Clone)]
pub(super) struct LaneConfig {
    lane: Lane,
    threads: usize,
    /// Added to the process's own nice value.
    nice: i32,
    limits: LineLimits,
}

pub(super) struct LanePool {
    config: LaneConfig,
    sandbox: Sandbox,
    courtesy: Arc<Courtesy>,
    starter: Starter,
    state: Mutex<LaneState>,
}

struct LaneState {
    line: Line<(Work, Instant)>,
    running: Vec<Running>,
    /// Threads without work, the last used on top: its caches and its slot are the warmest.
    idle: Vec<Seat>,
    next_run: u64,
    closing: bool,
}

/// A run, listed as long as its thread is at work on it.
struct Running {
    run: u64,
    tenant: TenantId,
    fresh: Arc<Fresh>,
    thread: libc::pid_t,
    /// The thread's priority is lower than the lane's.
    lowered: bool,
}

/// A thread of the lane, as its line knows it.
#[derive(Clone)]
struct Seat {
    thread: libc::pid_t,
    lowered: bool,
    /// Hands it a job; nothing makes it look around.
    mailbox: SyncSender<Option<Assigned>>,
}

/// What a thread can be given.
pub(super) enum Work {
    One(Job),
    Series(Series),
}

impl Work {
    fn tenant(&self) -> TenantId {
        match self {
            Work::One(job) => job.tenant,
            Work::Series(series) => series.tenant,
        }
    }
}

/// Work that a thread has to do now.
struct Assigned {
    run: u64,
    work: Work,
    queued_at: Instant,
    fresh: Arc<Fresh>,
}

impl LaneConfig {
    /// Whether the lane's runs are fresh at first: the others never are.
    fn are_fresh(&self) -> bool {
        self.limits.fresh_max.is_some()
    }

    pub(super) fn of(lane: Lane, config: &SandboxesConfig) -> Self {
        let owned = |threads: usize, nice| Self {
            lane,
            threads,
            nice,
            limits: LineLimits {
                waiting_max: CLAIMED_EARLY_MAX,
                waiting_per_tenant_max: usize::MAX,
                running_per_tenant_max: usize::MAX,
                fresh_max: None,
            },
        };
        match lane {
            Lane::HighPriority => Self {
                limits: LineLimits {
                    waiting_max: config.preview_waiting_max,
                    waiting_per_tenant_max: config.preview_waiting_per_tenant_max,
                    running_per_tenant_max: config.preview_running_per_tenant_max,
                    fresh_max: Some(config.cores),
                },
                ..owned(config.preview_threads, 0)
            },
            Lane::Default => owned(config.default_threads, 10),
            Lane::LongRunning => owned(config.long_running_threads, 15),
        }
    }
}

impl LanePool {
    pub(super) fn start(
        config: LaneConfig,
        sandbox: Sandbox,
        courtesy: Arc<Courtesy>,
        starter: Starter,
    ) -> io::Result<Arc<Self>> {
        let state = LaneState {
            line: Line::new(config.limits),
            running: Vec::new(),
            idle: Vec::new(),
            next_run: 0,
            closing: false,
        };
        let pool = Arc::new(Self { config, sandbox, courtesy, starter, state: Mutex::new(state) });
        for index in 0..pool.config.threads {
            let name = format!("mecapy-{}-{index}", pool.config.lane);
            pool.start_thread(name).inspect_err(|_| pool.close())?;
        }
        Ok(pool)
    }

    pub(super) fn submit(&self, work: Work) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closing {
            return Err(Refused::ShuttingDown);
        }
        state.line.push(work.tenant(), (work, Instant::now())).map_err(|full| match full {
            Full::Lane => Refused::LaneFull { retry_after: RETRY_AFTER },
            Full::Tenant => Refused::TenantFull { retry_after: RETRY_AFTER },
        })?;
        self.hand_out(state);
        Ok(())
    }

    pub(super) fn status(&self) -> LaneStatus {
        let state = self.lock();
        LaneStatus {
            threads: self.config.threads,
            running: state.line.running(),
            waiting: state.line.waiting(),
            waiting_max: self.config.limits.waiting_max,
        }
    }

    /// At each tick: ends the freshness of runs that have had their time, lowers their priority, and starts what waits
    /// for their places, or for the end of the others' turn.
    pub(super) fn age(&self) {
        // The clock waits for nobody: whoever holds the lock may itself be waiting for a core.
        let Ok(mut guard) = self.state.try_lock() else { return };
        let state = &mut *guard;
        let now = Instant::now();
        let mut places = self.courtesy.tick(&self.sandbox.engine, now);
        for running in state.running.iter_mut().filter(|running| running.fresh.age(now) >= FRESH) {
            if running.fresh.end() {
                state.line.age(running.tenant);
                running.lowered = running.lowered || lower_priority(running.thread, OLD_NICE);
                places = true;
            }
        }
        if places {
            self.hand_out(guard);
        }
    }

    /// No new jobs; the threads end when the queue is empty.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.look_around();
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives each job that can start to a thread without work. It counts as running from now on, so that others stand
    /// aside before its thread has woken up.
    fn hand_out(&self, mut guard: MutexGuard<'_, LaneState>) {
        let state = &mut *guard;
        let mut given = Vec::new();
        while let Some(seat) = state.idle.pop() {
            match self.assign(state, &seat) {
                Some(assigned) => given.push((seat, assigned)),
                None => {
                    state.idle.push(seat);
                    break;
                }
            }
        }
        drop(guard);
        if !given.is_empty() && self.config.are_fresh() {
            // Runs that are to stand aside find out at once.
            self.sandbox.engine.wasm().increment_epoch();
        }
        for (seat, assigned) in given {
            // Its thread waits for it: an idle thread's mailbox is empty.
            drop(seat.mailbox.try_send(Some(assigned)));
        }
    }

    /// Takes the next job that may start for the thread of `seat`.
    fn assign(&self, state: &mut LaneState, seat: &Seat) -> Option<Assigned> {
        let is_fresh = self.config.are_fresh();
        if is_fresh && !state.closing && self.courtesy.is_turn() {
            return None;
        }
        let (work, queued_at) = state.line.start()?;
        let run = state.next_run;
        state.next_run += 1;
        let courtesy = Arc::clone(&self.courtesy);
        let fresh = Arc::new(if is_fresh { Fresh::begin(courtesy) } else { Fresh::never(courtesy) });
        let Seat { thread, lowered, .. } = *seat;
        state.running.push(Running { run, tenant: work.tenant(), fresh: Arc::clone(&fresh), thread, lowered });
        Some(Assigned { run, work, queued_at, fresh })
    }

    fn start_thread(self: &Arc<Self>, name: String) -> io::Result<()> {
        let pool = Arc::clone(self);
        self.starter.start(name, move || pool.work())
    }

    fn work(self: &Arc<Self>) {
        let thread = this_thread();
        if self.config.nice > 0 {
            lower_priority(thread, self.config.nice);
        }
        let (mailbox, letters) = mpsc::sync_channel(1);
        let mut seat = Seat { thread, lowered: false, mailbox };
        let mut guard = self.lock();
        while let Some(Assigned { run, work, queued_at, fresh }) = self.next(guard, &seat, &letters) {
            fresh.starts();
            match work {
                Work::One(job) => self.run(job, queued_at.elapsed(), &fresh),
                Work::Series(series) => series::run(&self.sandbox, series, &fresh),
            }
            guard = self.lock();
            seat.lowered = guard.end(run);
            if seat.lowered {
                // This thread has its replacement to start: another may take what waited for the place.
                self.hand_out(guard);
                if self.start_replacement() {
                    return;
                }
                guard = self.lock();
            }
        }
    }

    /// The next job for the thread of `seat`, which waits for one where it has to; nothing where the lane has closed.
    ///
    /// A thread that has just ended a run comes first, under the same lock: it is awake, and one without work is not.
    fn next<'l>(
        &'l self,
        mut guard: MutexGuard<'l, LaneState>,
        seat: &Seat,
        letters: &Receiver<Option<Assigned>>,
    ) -> Option<Assigned> {
        loop {
            let state = &mut *guard;
            if let Some(assigned) = self.assign(state, seat) {
                // Several jobs may have become ready at once.
                self.hand_out(guard);
                return Some(assigned);
            }
            if state.closing && state.line.waiting() == 0 {
                // Those that became idle while something still waited.
                state.look_around();
                return None;
            }
            state.idle.push(seat.clone());
            drop(guard);
            if let Ok(Some(assigned)) = letters.recv() {
                return Some(assigned);
            }
            guard = self.lock();
        }
    }

    /// Starts a thread in place of this one; says whether it did. Where that fails this one goes on as it is.
    fn start_replacement(self: &Arc<Self>) -> bool {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let started = self.start_thread(name);
        if let Err(error) = &started {
            tracing::warn!(lane = %self.config.lane, %error, "pool.thread: not replaced, it goes on at a low priority");
        }
        started.is_ok()
    }

    fn run(&self, job: Job, queued: Duration, fresh: &Arc<Fresh>) {
        let Job { program, attempt, tenant, cancel, observer, done, .. } = job;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let deadline = Instant::now() + Duration::from_millis(attempt.limits.timeout_ms);
            let checkpoint = fresh.checkpoint();
            let run = Run { attempt: &attempt, tenant, cancel: &cancel, observer, deadline, checkpoint };
            self.sandbox.run(&program, &run)
        }));
        let (mut outcome, spent) = ran.map_or_else(
            |_| {
                tracing::error!(lane = %self.config.lane, "sandbox.run: panicked");
                let error = TaskError::new(ErrorKind::Executor, "the platform failed to run this computation");
                (Outcome::failed(error), None)
            },
            |(outcome, spent)| (outcome, Some(spent)),
        );
        outcome.usage.queued_ms = (queued.as_secs_f64() * 1e6).round() / 1e3;
        if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
            tracing::error!(lane = %self.config.lane, "sandbox.done: panicked");
        }
        // The outcome is told: whoever sends it on goes first where they share a core, and then the slot is reset.
        thread::yield_now();
        drop(spent);
    }
}

impl LaneState {
    /// Takes a run off the list; says whether its thread has a lower priority than the lane's.
    fn end(&mut self, run: u64) -> bool {
        let Some(index) = self.running.iter().position(|running| running.run == run) else { return false };
        let running = self.running.swap_remove(index);
        if running.fresh.end() {
            self.line.age(running.tenant);
        }
        self.line.end(running.tenant);
        running.lowered
    }

    /// Wakes the threads without work.
    fn look_around(&mut self) {
        for seat in self.idle.drain(..) {
            drop(seat.mailbox.try_send(None));
        }
    }
}
