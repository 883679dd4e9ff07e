//! Tasks for containers: claimed where there is room in cores and memory, run on a Docker engine, gone on with where an
//! earlier process of this worker left them.

mod adopt;
mod attempt;
mod compile;
mod images;
mod link;
mod serve;
mod state;
mod study;
mod told;

pub(super) use adopt::adopt_all;
pub(crate) use images::Images;
pub use images::MissingImage;
pub(super) use images::watch_images;
pub(super) use link::watch_engine;
pub(super) use serve::serve;

use super::{Shared, held::Registered};
use attempt::{Begin, Solve};
use compile::UnderWay;
use link::Link;
use mecapy_model::{Lane, Room};
use mecapy_runtime::{
    container::{ContainerEngine, EngineError, SweepError, VolumeError, Volumes, sweep},
    solver::Solvers,
};
use mecapy_store::{Beat, Claimed, LEASE_HANDED_OVER_MAX, StoreError};
use state::State;
use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use uuid::Uuid;

/// Between two looks for what no claim owns: an end that could not be cleared up, a container whose lease was lost.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How long a worker that ends tries to extend its claims.
const HAND_OVER_MAX: Duration = Duration::from_secs(10);
/// Of the engine's memory, in eighths, what containers get where no setting says it: the engine and this worker need some.
const MEMORY_EIGHTHS: u64 = 7;

/// What a worker with containers is told.
#[derive(Debug, Clone)]
pub struct ContainersConfig {
    /// `unix:///path`, or `tcp://` with an address of this machine's loopback.
    pub docker_url: String,
    pub solvers: Arc<Solvers>,
    /// Cores for all containers together; `None`: all of the engine's machine.
    pub cores: Option<u32>,
    /// Memory for all of them; `None`: most of the machine's.
    pub memory_bytes: Option<u64>,
    /// Each container's work folder.
    pub disk_bytes: u64,
    /// Claims and work folders are kept here: one worker's own.
    pub state_dir: PathBuf,
    /// The engine's runtime for all containers, for instance `runsc`; `None`: the engine's default one.
    pub runtime: Option<String>,
}

/// Why a worker can't run containers.
#[derive(Debug, thiserror::Error)]
pub enum ContainersError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error("another worker uses the state folder {}: give each its own with --state-dir", folder.display())]
    InUse { folder: PathBuf },
    #[error("the state folder {} can't be used", folder.display())]
    State {
        folder: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("the store can't say which claims still hold")]
    Store(#[from] StoreError),
}

/// An engine, its room, and what runs there.
pub(super) struct Containers {
    link: Link,
    volumes: Volumes,
    state: State,
    solvers: Arc<Solvers>,
    disk_bytes: u64,
    runtime: Option<String>,
    share: Share,
    images: Mutex<Images>,
    under_way: UnderWay,
    held: Mutex<Held>,
    /// One sweep at a time: two would be in each other's way.
    sweeping: tokio::sync::Mutex<()>,
    handing_over: watch::Sender<bool>,
}

/// What of the engine's machine containers get.
struct Share {
    cores: Option<u32>,
    memory_bytes: Option<u64>,
}

#[derive(Default)]
struct Held {
    taken: Room,
    /// Keys of the attempts that own what they have made: the janitor leaves it alone.
    live: BTreeSet<String>,
    /// The lane whose next task waits for room: until it has it, nothing is taken from the others.
    waiting: Option<Lane>,
    /// Attempts whose containers run on after this process. Their claims are extended for as long as it drains.
    left: Vec<Arc<Solve>>,
}

/// Cores and memory of one attempt, given back however it ends.
pub(super) struct Taken {
    shared: Arc<Shared>,
    containers: Arc<Containers>,
    room: Room,
}

impl Share {
    fn of(&self, machine: Room) -> Room {
        let usual = machine.memory_bytes / 8 * MEMORY_EIGHTHS;
        Room {
            // An engine refuses a container with more cores than it has.
            cpus: self.cores.unwrap_or(machine.cpus).min(machine.cpus),
            memory_bytes: self.memory_bytes.unwrap_or(usual).min(machine.memory_bytes),
        }
    }
}

impl Containers {
    /// Opens the state folder and asks for the engine, which may be away. `id` names the worker's containers where it has
    /// no name yet.
    pub(super) async fn open(config: ContainersConfig, id: Uuid) -> Result<Self, ContainersError> {
        let ContainersConfig { docker_url, solvers, cores, memory_bytes, disk_bytes, state_dir, runtime } = config;
        let state = State::open(&state_dir, &id.to_string()).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => ContainersError::InUse { folder: state_dir.clone() },
            _ => ContainersError::State { folder: state_dir.clone(), error },
        })?;
        let volumes = Volumes::open(&state.volumes()).await?;
        let link = Link::open(docker_url, runtime.clone()).await?;
        let opened = Self {
            link,
            volumes,
            state,
            solvers,
            disk_bytes,
            runtime,
            share: Share { cores, memory_bytes },
            images: Mutex::default(),
            under_way: UnderWay::default(),
            held: Mutex::default(),
            sweeping: tokio::sync::Mutex::default(),
            handing_over: watch::Sender::new(false),
        };
        opened.look_at_images().await;
        let total = opened.total();
        tracing::info!(
            containers.owner = opened.state.owner(),
            room.cpus = total.cpus,
            room.memory_bytes = total.memory_bytes,
            "worker.containers: opened"
        );
        Ok(opened)
    }

    /// What there is for containers in all: nothing before the engine has answered.
    pub(super) fn total(&self) -> Room {
        self.link.room().map(|machine| self.share.of(machine)).unwrap_or_default()
    }

    pub(super) fn free(&self) -> Room {
        self.total().without(self.held().taken)
    }

    /// Where an engine should be that does not answer.
    pub(super) fn missing_engine(&self) -> Option<&str> {
        (!self.link.is_there()).then(|| self.link.url())
    }

    pub(super) fn solvers(&self) -> &Solvers {
        &self.solvers
    }

    /// Watches of containers end from now on, and the containers stay.
    pub(super) fn begin_to_hand_over(&self) {
        self.handing_over.send_replace(true);
    }

    /// Lets the claims of what stays hold until the worker that follows adopts it. Called when nothing extends them any
    /// more.
    pub(super) async fn hand_over(&self, shared: &Shared) {
        let left = std::mem::take(&mut self.held().left);
        // Also of what was about to be written down when the time was up: whoever adopts it writes it down.
        let claims = shared.claims.all();
        let extending = async {
            for live in claims {
                let task = live.claim.task;
                match shared.store.extend(live.claim, LEASE_HANDED_OVER_MAX).await {
                    Ok(Beat::Stale) => tracing::warn!(task.id = %task, "worker.hand_over: the claim was lost"),
                    Ok(_) => tracing::info!(task.id = %task, "worker.hand_over: the container runs on"),
                    Err(error) => tracing::error!(task.id = %task, %error, "worker.hand_over: the store failed"),
                }
            }
        };
        if timeout(HAND_OVER_MAX, extending).await.is_err() {
            tracing::error!(
                "worker.hand_over: the store does not answer, others may run these tasks before this worker is back"
            );
        }
        drop(left);
    }

    /// Answers when the process ends and its containers are to stay.
    async fn told_to_hand_over(&self) {
        // The sender is not dropped while it is borrowed.
        let _ = self.handing_over.subscribe().wait_for(|begun| *begun).await;
    }

    /// The attempt's container stays for the worker that follows.
    fn leave(&self, attempt: Arc<Solve>) {
        self.held().left.push(attempt);
    }

    /// How many attempts are left to the worker that follows.
    pub(super) fn left(&self) -> usize {
        self.held().left.len()
    }

    /// Removes what an attempt has made. What can't be removed now, the janitor removes.
    async fn clear(&self, key: &str) {
        self.held().live.remove(key);
        if let Err(error) = self.state.forget(key) {
            tracing::warn!(key, %error, "worker.containers: a kept claim can't be removed");
        }
        self.sweep().await;
    }

    /// Removes what no live attempt owns. Where the engine is away, that is done when it is back.
    async fn sweep(&self) {
        if let Some(engine) = self.link.there() {
            self.sweep_on(&engine).await;
        }
    }

    async fn sweep_on(&self, engine: &ContainerEngine) {
        let _one = self.sweeping.lock().await;
        let is_live = |key: &str| self.held().live.contains(key);
        match sweep(engine, &self.volumes, self.state.owner(), &is_live).await {
            Ok(_) => {}
            Err(SweepError::Engine(error)) => tracing::warn!(%error, "worker.janitor: the engine failed"),
            Err(SweepError::Volume(error)) => tracing::warn!(%error, "worker.janitor: a work folder stays"),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn new(shared: &Arc<Shared>, containers: &Arc<Containers>, room: Room) -> Self {
        {
            let mut held = containers.held();
            held.taken = held.taken.with(room);
        }
        Self { shared: Arc::clone(shared), containers: Arc::clone(containers), room }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        {
            let mut held = self.containers.held();
            held.taken = held.taken.without(self.room);
        }
        self.shared.room_made();
    }
}

/// Runs a claimed task, or goes on with it. `asked_at`: when the claim was asked for, on the monotonic clock.
fn start(shared: &Arc<Shared>, containers: &Arc<Containers>, claimed: Claimed, asked_at: Duration, begin: Begin) {
    let registered = Registered::new(shared, &claimed, asked_at);
    let taken = Taken::new(shared, containers, claimed.task.code.room(&claimed.task.limits));
    let solve = Solve::new(Arc::clone(containers), registered, claimed);
    // Before anything is made under this key.
    containers.held().live.insert(solve.key());
    tokio::spawn(attempt::carry_out(solve, begin, taken));
}

/// The janitor.
pub(super) async fn sweep_now_and_then(_: Arc<Shared>, containers: Arc<Containers>) {
    loop {
        sleep(SWEEP_EVERY).await;
        containers.sweep().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_get_what_the_settings_say_and_never_more_than_the_machine_has() {
        let machine = Room { cpus: 8, memory_bytes: 64 << 30 };
        let room = |cores, memory_bytes| {
            let Room { cpus, memory_bytes } = Share { cores, memory_bytes }.of(machine);
            (cpus, memory_bytes >> 30)
        };
        assert_eq!(room(None, None), (8, 56));
        assert_eq!(room(Some(2), Some(10 << 30)), (2, 10));
        assert_eq!(room(Some(99), Some(99 << 30)), (8, 64));
    }
}
