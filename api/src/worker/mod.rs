//! The worker: claims tasks, runs them in sandboxes or in containers, writes down how they ended. Sandboxes in a server or
//! in a process of its own; containers, which take a Docker engine, in a process that does nothing else.
//!
//! Knows nothing of HTTP. The database is the truth: a wake-up is a hint, and whatever this process claimed and did
//! not finish is claimed again, after a restart or when its lease has ended.

mod attempt;
mod claims;
mod containers;
mod ending;
mod follow;
mod held;
mod hold;
mod items;
mod lanes;
mod pace;
mod upkeep;

use crate::{config::LongRunningSettings, programs::Programs};
use claims::Claims;
use containers::Containers;
pub(crate) use containers::Images;
pub use containers::{ContainersConfig, ContainersError, MissingImage};
use follow::Follow;
use items::Sweeps;
use lanes::Sandboxed;
use mecapy_model::{Executor, Lane, Room, TaskId};
use mecapy_runtime::Sandboxes;
pub use mecapy_store::WorkerKind;
use mecapy_store::{ClaimRequest, Store, WorkerRow};
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
    time::{sleep, timeout},
};
use uuid::Uuid;

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
    means: Means,
    claims: Claims,
    draining: AtomicBool,
    /// Claims that were asked for, and are not registered yet.
    asking: AtomicUsize,
    /// Told when a claim ends and when a drain begins.
    changed: Notify,
}

/// What carries out the claims.
enum Means {
    Sandboxes(Arc<Sandboxed>),
    Containers(Arc<Containers>),
}

impl Means {
    /// Where what one run says is kept until it is written.
    fn follow(&self) -> Follow {
        match self {
            Means::Sandboxes(_) => Follow::default(),
            // Ended where it says too much; and what was dropped here would be missed when the log is taken up again.
            Means::Containers(_) => Follow::keeping_all(),
        }
    }

    /// Claims that stay when this process ends.
    fn left(&self) -> usize {
        match self {
            Means::Sandboxes(_) => 0,
            Means::Containers(containers) => containers.left(),
        }
    }
}

impl Worker {
    /// Starts the claim loops. `id` names this worker.
    pub fn start(store: Store, sandboxes: Sandboxes, programs: Arc<Programs>, id: Uuid, config: WorkerConfig) -> Self {
        let sandboxed = Arc::new(Sandboxed { sandboxes, programs, sweeps: Sweeps::default() });
        let shared = Shared::new(store, Means::Sandboxes(Arc::clone(&sandboxed)), id, config);
        let mut loops = JoinSet::new();
        for lane in shared.config.lanes.clone() {
            let pace = Arc::new(Pace::new(&sandboxed.sandboxes.lane_status(lane)));
            let sandboxed = Arc::clone(&sandboxed);
            let serve = move |shared| lanes::serve(shared, Arc::clone(&sandboxed), lane, Arc::clone(&pace));
            loops.spawn(supervise(Arc::clone(&shared), lane.as_str(), serve));
        }
        Self::keep_up(shared, loops)
    }

    /// Goes on with the containers that an earlier process of this worker left, and starts the loop that claims tasks
    /// for containers, once the engine answers.
    ///
    /// # Errors
    /// What is missing of the state folder or the store, and what an engine lacks that does answer.
    pub async fn start_containers(
        store: Store,
        containers: ContainersConfig,
        id: Uuid,
        config: WorkerConfig,
    ) -> Result<Self, ContainersError> {
        let containers = Arc::new(Containers::open(containers, id).await?);
        let shared = Shared::new(store, Means::Containers(Arc::clone(&containers)), id, config);
        containers::adopt_all(&shared, &containers).await?;
        let mut loops = JoinSet::new();
        let of = Arc::clone(&containers);
        let serve = move |shared| containers::serve(shared, Arc::clone(&of));
        loops.spawn(supervise(Arc::clone(&shared), "containers", serve));
        let of = Arc::clone(&containers);
        let watch = move |shared| containers::watch_engine(shared, Arc::clone(&of));
        loops.spawn(supervise(Arc::clone(&shared), "engine", watch));
        let of = Arc::clone(&containers);
        let look = move |shared| containers::watch_images(shared, Arc::clone(&of));
        loops.spawn(supervise(Arc::clone(&shared), "images", look));
        let sweep = move |shared| containers::sweep_now_and_then(shared, Arc::clone(&containers));
        loops.spawn(supervise(Arc::clone(&shared), "janitor", sweep));
        Ok(Self::keep_up(shared, loops))
    }

    fn keep_up(shared: Arc<Shared>, mut loops: JoinSet<()>) -> Self {
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

    /// The versions of the catalogue whose image is not on the engine's machine; none where sandboxes are run.
    pub fn missing_images(&self) -> Vec<MissingImage> {
        match &self.shared.means {
            Means::Sandboxes(_) => Vec::new(),
            Means::Containers(containers) => containers.images().missing,
        }
    }

    /// The URL of the Docker engine, where it does not answer: nothing is claimed until it does. What runs there is
    /// followed further when it is back.
    pub fn missing_engine(&self) -> Option<String> {
        match &self.shared.means {
            Means::Sandboxes(_) => None,
            Means::Containers(containers) => containers.missing_engine().map(str::to_owned),
        }
    }

    /// Whether this worker can do nothing now: it has no engine that answers, and no container that it follows.
    pub fn is_idle_without_engine(&self) -> bool {
        self.missing_engine().is_some() && self.shared.claims.len() == 0
    }

    /// Stops a running task at once. The store has been told before.
    pub fn cancel(&self, task: TaskId) {
        self.shared.claims.cancel(task);
    }

    /// Claims nothing more and waits for what runs. What isn't done in time is stopped and given back to the queue,
    /// without losing an attempt. Containers go on instead: the worker that follows finds them, under leases that hold
    /// until then.
    pub async fn drain(&self, at_most: Duration) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
        let announced = timeout(WITHDRAW_MAX, self.shared.store.announce_worker(self.row()));
        if let Means::Containers(containers) = &self.shared.means {
            containers.begin_to_hand_over();
        }
        let (ended, _) = tokio::join!(timeout(at_most, self.idle()), announced);
        if ended.is_err() && matches!(self.shared.means, Means::Sandboxes(_)) {
            self.shared.claims.give_back_all();
            // A tick stops a guest; the rest is the store's write.
            let _ = timeout(Duration::from_secs(5), self.idle()).await;
        }
        self.loops.lock().await.shutdown().await;
        if let Means::Containers(containers) = &self.shared.means {
            // After the last heartbeat, which would shorten what this extends.
            containers.hand_over(&self.shared).await;
        }
        // A row that stays is shown as lost for a while.
        let _ = timeout(WITHDRAW_MAX, self.shared.store.withdraw_worker(self.shared.id)).await;
    }

    async fn idle(&self) {
        loop {
            let changed = self.shared.changed.notified();
            // In this order: what was asked for is registered before it counts as asked no more.
            let asking = self.shared.asking.load(Ordering::SeqCst);
            if asking == 0 && self.shared.claims.len() == self.shared.means.left() {
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

impl Shared {
    fn new(store: Store, means: Means, id: Uuid, config: WorkerConfig) -> Arc<Self> {
        Arc::new(Self {
            id,
            host: host_name(),
            started_at: store.clock().now(),
            config,
            store,
            means,
            claims: Claims::default(),
            draining: AtomicBool::new(false),
            asking: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    /// The request with what the settings say of its lane.
    fn throttled(&self, request: ClaimRequest) -> ClaimRequest {
        if !is_capped(request.lane) {
            return request;
        }
        let LongRunningSettings { running_max, running_per_tenant_max, starts_per_minute_max } =
            self.config.long_running;
        ClaimRequest { running_max, running_per_tenant_max, starts_per_minute_max, ..request }
    }

    fn row(&self) -> WorkerRow {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (executor, total, free, solvers, concurrency) = match &self.means {
            Means::Sandboxes(sandboxed) => {
                let threads = sandboxed.threads(&self.config.lanes);
                (Executor::Sandbox, Room::default(), Room::default(), Vec::new(), number(threads))
            }
            Means::Containers(containers) => {
                let total = containers.total();
                // Each takes one core at least.
                (Executor::Container, total, containers.free(), containers.offered(), total.cpus)
            }
        };
        WorkerRow {
            id: self.id,
            kind: self.config.kind,
            host: self.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lanes: self.config.lanes.clone(),
            executor,
            total,
            free,
            solvers,
            concurrency,
            running: number(self.claims.len()),
            draining: self.draining.load(Ordering::Acquire),
            started_at: self.started_at,
        }
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
