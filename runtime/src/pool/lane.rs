//! One lane's queue and threads.

use super::{FRESH, Job, LaneStatus, Refused, SandboxesConfig, courtesy::Courtesy};
use crate::sandbox::{Run, Sandbox};
use mecapy_model::{ErrorKind, Lane, Outcome, TaskError, TenantId};
use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// Native stack of a thread that runs guests: the guest's 8 MiB and the host's own.
const THREAD_STACK_BYTES: usize = crate::engine::GUEST_STACK_BYTES_MAX + (4 << 20);
/// What a full lane tells its client to wait: a preview takes 5 s at most.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(super) struct LaneConfig {
    lane: Lane,
    threads: usize,
    /// Added to the process's own nice value.
    nice: i32,
    waiting_max: usize,
    waiting_per_tenant_max: usize,
    running_per_tenant_max: usize,
    /// Fresh runs at once.
    fresh_max: usize,
}

pub(super) struct LanePool {
    config: LaneConfig,
    sandbox: Sandbox,
    courtesy: Arc<Courtesy>,
    state: Mutex<LaneState>,
}

#[derive(Default)]
struct LaneState {
    waiting: VecDeque<(Job, Instant)>,
    running: Vec<Running>,
    /// Threads without work, the last used on top: its caches and its slot are the warmest.
    idle: Vec<Thread>,
    next_run: u64,
    closing: bool,
}

struct Running {
    run: u64,
    tenant: TenantId,
    since: Instant,
    fresh: Arc<Fresh>,
}

/// Whether one run still counts as fresh; whoever ends that tells the others, once.
struct Fresh {
    fresh: AtomicBool,
    courtesy: Arc<Courtesy>,
}

impl LaneConfig {
    pub(super) fn of(lane: Lane, config: &SandboxesConfig) -> Self {
        let owned = |threads: usize, nice| Self {
            lane,
            threads,
            nice,
            // The queue proper is in the database; here waits what was claimed a moment early.
            waiting_max: 4 * threads,
            waiting_per_tenant_max: usize::MAX,
            running_per_tenant_max: usize::MAX,
            fresh_max: usize::MAX,
        };
        match lane {
            Lane::HighPriority => Self {
                waiting_max: config.preview_waiting_max,
                waiting_per_tenant_max: config.preview_waiting_per_tenant_max,
                running_per_tenant_max: config.preview_running_per_tenant_max,
                fresh_max: config.cores,
                ..owned(config.preview_threads, 0)
            },
            Lane::Default => owned(config.default_threads, 10),
            Lane::LongRunning => owned(config.long_running_threads, 15),
        }
    }
}

impl LanePool {
    pub(super) fn start(config: LaneConfig, sandbox: Sandbox, courtesy: Arc<Courtesy>) -> io::Result<Arc<Self>> {
        let threads = config.threads;
        let pool = Arc::new(Self { config, sandbox, courtesy, state: Mutex::default() });
        for index in 0..threads {
            let pool = Arc::clone(&pool);
            let name = format!("mecapy-{}-{index}", pool.config.lane);
            thread::Builder::new().name(name).stack_size(THREAD_STACK_BYTES).spawn(move || pool.work())?;
        }
        Ok(pool)
    }

    pub(super) fn submit(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closing {
            return Err(Refused::ShuttingDown);
        }
        if state.waiting.len() >= self.config.waiting_max {
            return Err(Refused::LaneFull { retry_after: RETRY_AFTER });
        }
        let of_tenant = |(waiting, _): &&(Job, Instant)| waiting.tenant == job.tenant;
        if self.config.waiting_per_tenant_max < self.config.waiting_max
            && state.waiting.iter().filter(of_tenant).count() >= self.config.waiting_per_tenant_max
        {
            return Err(Refused::TenantFull { retry_after: RETRY_AFTER });
        }
        state.waiting.push_back((job, Instant::now()));
        self.wake_one(state);
        Ok(())
    }

    pub(super) fn status(&self) -> LaneStatus {
        let state = self.lock();
        LaneStatus {
            threads: self.config.threads,
            running: state.running.len(),
            waiting: state.waiting.len(),
            waiting_max: self.config.waiting_max,
        }
    }

    /// Ends the freshness of runs that have had their time, and starts what waits for their places.
    pub(super) fn age(&self) {
        let state = self.lock();
        let now = Instant::now();
        let mut aged = false;
        for running in state.running.iter().filter(|running| now.duration_since(running.since) >= FRESH) {
            aged |= running.fresh.end();
        }
        if aged {
            self.wake_one(state);
        }
    }

    /// No new jobs; the threads end when the queue is empty.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.idle.drain(..).for_each(|thread| thread.unpark());
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread that was used last, where a job can start.
    fn wake_one(&self, mut state: MutexGuard<'_, LaneState>) {
        let thread = if self.next_job(&state).is_some() { state.idle.pop() } else { None };
        drop(state);
        if let Some(thread) = thread {
            thread.unpark();
        }
    }

    /// The first job in line that may start now.
    fn next_job(&self, state: &LaneState) -> Option<usize> {
        let fresh = state.running.iter().filter(|running| running.fresh.is_fresh()).count();
        if fresh >= self.config.fresh_max {
            return None;
        }
        state.waiting.iter().position(|(job, _)| {
            let running = state.running.iter().filter(|running| running.tenant == job.tenant).count();
            running < self.config.running_per_tenant_max
        })
    }

    fn work(&self) {
        // SAFETY: sets the nice value of the calling thread; a failure leaves it as it is.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, libc::gettid() as libc::id_t, self.config.nice) };
        loop {
            let mut state = self.lock();
            let Some(index) = self.next_job(&state) else {
                if state.closing && state.waiting.is_empty() {
                    return;
                }
                state.idle.push(thread::current());
                drop(state);
                thread::park();
                // A wake-up without a reason leaves this thread listed: take it off before it is listed again.
                self.lock().idle.retain(|idle| idle.id() != thread::current().id());
                continue;
            };
            let Some((job, queued_at)) = state.waiting.remove(index) else { continue };
            let run = state.next_run;
            state.next_run += 1;
            let fresh = Arc::new(Fresh::begin(Arc::clone(&self.courtesy), self.config.lane));
            let since = Instant::now();
            state.running.push(Running { run, tenant: job.tenant, since, fresh: Arc::clone(&fresh) });
            // Several jobs may have become ready at once, while each wake-up wakes one thread.
            self.wake_one(state);
            self.run(job, since.duration_since(queued_at), &fresh);
            fresh.end();
            self.lock().running.retain(|running| running.run != run);
        }
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
        // The outcome is told: now the slot is reset.
        drop(spent);
    }
}

impl Fresh {
    /// Only previews are ever fresh: nobody stands aside for the other lanes.
    fn begin(courtesy: Arc<Courtesy>, lane: Lane) -> Self {
        let fresh = lane == Lane::HighPriority;
        if fresh {
            courtesy.fresh_began();
        }
        Self { fresh: AtomicBool::new(fresh), courtesy }
    }

    fn is_fresh(&self) -> bool {
        self.fresh.load(Ordering::Acquire)
    }

    /// Says whether this call ended it.
    fn end(&self) -> bool {
        let ended = self.fresh.swap(false, Ordering::AcqRel);
        if ended {
            self.courtesy.fresh_ended();
        }
        ended
    }

    /// What a run does at each tick: once it is old, it lets fresh ones go first.
    fn checkpoint(self: &Arc<Self>) -> Arc<dyn Fn() + Send + Sync> {
        let fresh = Arc::clone(self);
        Arc::new(move || {
            if !fresh.is_fresh() {
                fresh.courtesy.stand_aside();
            }
        })
    }
}
