//! The worker: claims tasks, runs them in sandboxes, writes down how they ended. In a server or in a process of its own.
//!
//! Knows nothing of HTTP. The database is the truth: a wake-up is a hint, and whatever this process claimed and did
//! not finish is claimed again, after a restart or when its lease has ended.

mod attempt;
mod claims;
mod follow;
mod held;
mod hold;
mod pace;
mod upkeep;

use crate::{config::LongRunningSettings, programs::Programs};
use claims::Claims;
use held::{Place, Registered};
use mecapy_model::{Executor, Lane, Room, TaskId};
use mecapy_runtime::Sandboxes;
pub use mecapy_store::WorkerKind;
use mecapy_store::{ClaimRequest, Claimed, Store, StoreError, WorkerRow, fail_point};
use pace::Pace;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use uuid::Uuid;

/// The longest a lane sleeps without looking at its queue: a hint can be lost.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// Until a lane is looked at again that has a due task which a claim did not take: it came due just now, or its tenant
/// runs as many as its quota (or, in a lane with a cap for each tenant, that) allows.
const DUE_AGAIN: Duration = Duration::from_millis(1);
const DUE_AGAIN_CAPPED: Duration = Duration::from_millis(100);
/// The same where each look is a request to a server, whose clock may be another than ours.
const DUE_AGAIN_SHARED: Duration = Duration::from_millis(50);
const DUE_AGAIN_CAPPED_SHARED: Duration = Duration::from_millis(500);
/// How many tasks of one tenant may run in a capped lane where several workers share it, unless a setting says it.
const PER_TENANT_SHARED: u32 = 4;
const HOST_CHARS_MAX: usize = 128;
/// How long a worker that ends waits for the store to take note of it.
const WITHDRAW_MAX: Duration = Duration::from_secs(2);
/// Wait after the store or one of the worker's loops failed, before it is tried again.
const AFTER_FAULT: Duration = Duration::from_millis(500);

/// What this worker does.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub kind: WorkerKind,
    pub lanes: Vec<Lane>,
    pub long_running: LongRunningSettings,
}

/// A worker that runs until it is drained.
pub struct Worker {
    shared: Arc<Shared>,
    loops: tokio::sync::Mutex<JoinSet<()>>,
}

pub(crate) struct Shared {
    id: Uuid,
    host: String,
    started_at: OffsetDateTime,
    config: WorkerConfig,
    store: Store,
    sandboxes: Sandboxes,
    programs: Arc<Programs>,
    claims: Claims,
    draining: AtomicBool,
    /// Claims that were asked for, and are not registered yet.
    asking: AtomicUsize,
    /// Told when a claim ends and when a drain begins.
    changed: Notify,
}

impl Worker {
    /// Starts the claim loops. `id` names this worker.
    pub fn start(store: Store, sandboxes: Sandboxes, programs: Arc<Programs>, id: Uuid, config: WorkerConfig) -> Self {
        let started_at = store.clock().now();
        let shared = Arc::new(Shared {
            id,
            host: host_name(),
            started_at,
            config,
            store,
            sandboxes,
            programs,
            claims: Claims::default(),
            draining: AtomicBool::new(false),
            asking: AtomicUsize::new(0),
            changed: Notify::new(),
        });
        let mut loops = JoinSet::new();
        for lane in shared.config.lanes.clone() {
            let pace = Arc::new(Pace::new(&shared.sandboxes.lane_status(lane)));
            let serve = move |shared| serve_lane(shared, lane, Arc::clone(&pace));
            loops.spawn(supervise(Arc::clone(&shared), lane.as_str(), serve));
        }
        loops.spawn(supervise(Arc::clone(&shared), "heartbeats", upkeep::heartbeats));
        loops.spawn(supervise(Arc::clone(&shared), "cancels", upkeep::cancels));
        loops.spawn(supervise(Arc::clone(&shared), "fence", upkeep::fence));
        loops.spawn(supervise(Arc::clone(&shared), "announce", upkeep::announce));
        loops.spawn(supervise(Arc::clone(&shared), "follow", upkeep::follow));
        loops.spawn(supervise(Arc::clone(&shared), "sweep", upkeep::sweep));
        loops.spawn(supervise(Arc::clone(&shared), "orphans", upkeep::sweep_orphans));
        Self { shared, loops: tokio::sync::Mutex::new(loops) }
    }

    /// What this worker is and does now.
    pub fn row(&self) -> WorkerRow {
        self.shared.row()
    }

    /// Stops a running task at once. The store has been told before.
    pub fn cancel(&self, task: TaskId) {
        self.shared.claims.cancel(task);
    }

    /// Claims nothing more and waits for what runs. What isn't done in time is stopped and given back to the queue,
    /// without losing an attempt.
    pub async fn drain(&self, at_most: Duration) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
        let announced = timeout(WITHDRAW_MAX, self.shared.store.announce_worker(self.row()));
        let (ended, _) = tokio::join!(timeout(at_most, self.idle()), announced);
        if ended.is_err() {
            self.shared.claims.give_back_all();
            // A tick stops a guest; the rest is the store's write.
            let _ = timeout(Duration::from_secs(5), self.idle()).await;
        }
        self.loops.lock().await.shutdown().await;
        // A row that stays is shown as lost for a while.
        let _ = timeout(WITHDRAW_MAX, self.shared.store.withdraw_worker(self.shared.id)).await;
    }

    async fn idle(&self) {
        loop {
            let changed = self.shared.changed.notified();
            // In this order: what was asked for is registered before it counts as asked no more.
            if self.shared.asking.load(Ordering::SeqCst) == 0 && self.shared.claims.len() == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// Keeps a loop going: one that ends is started again, unless the worker drains.
async fn supervise<F>(shared: Arc<Shared>, name: &'static str, start: impl Fn(Arc<Shared>) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        // A set of one, so that the loop ends with its supervisor.
        let mut one = JoinSet::new();
        one.spawn(start(Arc::clone(&shared)));
        match one.join_next().await {
            Some(Err(error)) => tracing::error!(worker.part = name, %error, "worker.loop: failed, started again"),
            _ if shared.draining.load(Ordering::Acquire) => return,
            _ => tracing::error!(worker.part = name, "worker.loop: ended, started again"),
        }
        sleep(AFTER_FAULT).await;
    }
}

/// Claims from one lane for as long as there is room.
async fn serve_lane(shared: Arc<Shared>, lane: Lane, pace: Arc<Pace>) {
    let wakeup = shared.store.lane_wakeup(lane);
    while !shared.draining.load(Ordering::Acquire) {
        let ended = shared.changed.notified();
        let room = pace.room();
        if room == 0 {
            ended.await;
            continue;
        }
        match claim_some(&shared, lane, &pace, room).await {
            Ok(1..) => {}
            Ok(0) => {
                let until = shared.next_look(lane).await;
                tokio::select! {
                    () = wakeup.notified() => {}
                    () = sleep_until(until) => {}
                    () = shared.drain_begins() => {}
                }
            }
            Err(error) => {
                tracing::error!(%lane, %error, "worker.claim: the store failed");
                sleep_until(Instant::now() + AFTER_FAULT).await;
            }
        }
    }
}

/// Claims and starts what may start; answers how many.
async fn claim_some(shared: &Arc<Shared>, lane: Lane, pace: &Arc<Pace>, room: usize) -> Result<usize, StoreError> {
    let _asking = Asking::begin(shared);
    // A drain that began before doesn't wait for this; one that begins now does, so that no claim is dropped unseen.
    if shared.draining.load(Ordering::SeqCst) {
        return Ok(0);
    }
    let asked_at = shared.store.clock().monotonic();
    let claimed = shared.claim(lane, room).await?;
    if !claimed.is_empty() {
        fail_point("worker.after_claim");
    }
    let count = claimed.len();
    for claimed in claimed {
        let place = Place::take(shared, pace);
        let registered = Registered::new(shared, &claimed, asked_at);
        tokio::spawn(attempt::carry_out(claimed, registered, place));
    }
    Ok(count)
}

/// A claim that is being asked for, until it is registered.
struct Asking<'a>(&'a Shared);

impl<'a> Asking<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.asking.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::SeqCst);
        if self.0.draining.load(Ordering::SeqCst) {
            self.0.changed.notify_waiters();
        }
    }
}

/// Whether a tenant is kept from taking all of the lane's threads. Where tasks are short they take turns instead.
fn is_capped(lane: Lane) -> bool {
    lane == Lane::LongRunning
}

/// The machine's name, as it calls itself.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().take(HOST_CHARS_MAX).collect()
}

/// How many tasks of one tenant may run at once in a capped lane with so many threads: half of them, rounded up.
fn per_tenant_max(threads: usize) -> u32 {
    u32::try_from(threads.div_ceil(2).max(1)).unwrap_or(u32::MAX)
}

impl Shared {
    async fn claim(&self, lane: Lane, room: usize) -> Result<Vec<Claimed>, StoreError> {
        let mut request = ClaimRequest::new(lane, u32::try_from(room).unwrap_or(u32::MAX));
        if is_capped(lane) {
            let LongRunningSettings { running_max, running_per_tenant_max, starts_per_minute_max } =
                self.config.long_running;
            let usual = || match self.store.is_shared() {
                true => PER_TENANT_SHARED,
                false => per_tenant_max(self.sandboxes.lane_status(lane).threads),
            };
            request.running_max = running_max;
            request.running_per_tenant_max = Some(running_per_tenant_max.unwrap_or_else(usual));
            request.starts_per_minute_max = starts_per_minute_max;
        }
        self.store.claim(request).await
    }

    fn row(&self) -> WorkerRow {
        let threads: usize = self.config.lanes.iter().map(|lane| self.sandboxes.lane_status(*lane).threads).sum();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        WorkerRow {
            id: self.id,
            kind: self.config.kind,
            host: self.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lanes: self.config.lanes.clone(),
            executor: Executor::Sandbox,
            total: Room::default(),
            free: Room::default(),
            solvers: Vec::new(),
            concurrency: number(threads),
            running: number(self.claims.len()),
            draining: self.draining.load(Ordering::Acquire),
            started_at: self.started_at,
        }
    }

    /// When the lane has to be looked at again although nobody calls: at the next task that is due.
    async fn next_look(&self, lane: Lane) -> Instant {
        let due = self.store.next_due(lane).await.ok().flatten();
        let soonest = match (is_capped(lane) || self.store.has_running_quotas(), self.store.is_shared()) {
            (false, false) => DUE_AGAIN,
            (true, false) => DUE_AGAIN_CAPPED,
            (false, true) => DUE_AGAIN_SHARED,
            (true, true) => DUE_AGAIN_CAPPED_SHARED,
        };
        let wait = due.map_or(IDLE_MAX, |at| {
            Duration::try_from(at - self.store.now()).unwrap_or(soonest).clamp(soonest, IDLE_MAX)
        });
        Instant::now() + wait
    }

    async fn drain_begins(&self) {
        loop {
            let changed = self.changed.notified();
            if self.draining.load(Ordering::Acquire) {
                return;
            }
            changed.await;
        }
    }

    /// A claim has ended: there is room for another.
    fn room_made(&self) {
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_takes_half_of_a_capped_lane_and_one_thread_at_least() {
        assert_eq!([0, 1, 2, 3, 4, 9].map(per_tenant_max), [1, 1, 1, 2, 2, 5]);
    }
}
