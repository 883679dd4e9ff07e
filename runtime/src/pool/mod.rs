//! Threads of its own for sandboxed work, by lane: who runs when, and who waits.
//!
//! - `high_priority` starts each tenant's jobs in order, and tenants take turns. As many *fresh* runs as there are cores
//!   go at once, at most half of them one tenant's while others wait; a run that is older than [`FRESH`] is no longer fresh,
//!   gives its place to the next, and from then on lets fresh runs go first, so that a tight loop delays nobody's
//!   preview. A tenant's runs are capped.
//! - `default` and `long_running` runs let fresh previews go first too, and their threads have a higher nice value, so
//!   the kernel lets previews overtake them even where ticks can't; under a flood of previews they get turns.
//!
//! Knows nothing of databases: what waits here waits in memory, and its owner answers for it.

mod courtesy;
mod lane;
mod line;
mod series;
mod threads;

use crate::{
    Attempt, Cancel, Engine, Observer,
    budget::MemoryBudget,
    sandbox::{Ceilings, Program, Sandbox},
};
use courtesy::Courtesy;
use lane::{LaneConfig, LanePool, Work};
use mecapy_linalg::Instructions;
use mecapy_model::{Lane, Outcome, TenantId};
pub use series::{Items, Series, SeriesEnd};
use std::{io, sync::Arc, time::Duration};
use threads::Starter;

/// How long a preview runs before it has to let younger ones go first.
pub const FRESH: Duration = Duration::from_millis(5);

/// How many threads each lane has, how much may wait, and what all sandboxes may use.
#[derive(Debug, Clone)]
pub struct SandboxesConfig {
    /// Previews that run at once without letting each other go first: the cores.
    pub cores: usize,
    /// Previews that run at once in all, slow ones included.
    pub preview_threads: usize,
    /// Of those, how many may be one tenant's.
    pub preview_running_per_tenant_max: usize,
    pub preview_waiting_max: usize,
    pub preview_waiting_per_tenant_max: usize,
    pub default_threads: usize,
    pub long_running_threads: usize,
    /// Linear memory of all live sandboxes together, bytes. One tenant's may use half of it, and what runs may grow to
    /// three quarters: the rest admits new sandboxes.
    pub memory_budget_bytes: u64,
    pub ceilings: Ceilings,
}

impl SandboxesConfig {
    /// Sized for a machine with so many cores and so much memory.
    pub fn for_machine(cores: usize, memory_bytes: u64) -> Self {
        Self {
            cores,
            preview_threads: 24 * cores,
            preview_running_per_tenant_max: 8 * cores,
            preview_waiting_max: 1024,
            preview_waiting_per_tenant_max: 512,
            default_threads: 2 * cores,
            long_running_threads: cores,
            memory_budget_bytes: memory_bytes / 4 * 3,
            ceilings: Ceilings::default(),
        }
    }
}

/// One attempt, and what to do with its outcome.
pub struct Job {
    pub program: Program,
    pub attempt: Attempt,
    pub lane: Lane,
    /// Whose places and whose share of the memory budget it uses.
    pub tenant: TenantId,
    pub cancel: Cancel,
    pub observer: Option<Arc<dyn Observer>>,
    /// Called once, on the sandbox's thread, before its memory is reset: must not block.
    pub done: Box<dyn FnOnce(Outcome) + Send>,
}

/// Why a job was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the lane is full")]
    LaneFull { retry_after: Duration },
    #[error("this tenant already has as much waiting as it may")]
    TenantFull { retry_after: Duration },
    #[error("the platform is shutting down")]
    ShuttingDown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneStatus {
    pub threads: usize,
    pub running: usize,
    pub waiting: usize,
    pub waiting_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStatus {
    pub budget_bytes: u64,
    pub used_bytes: u64,
    pub live_sandboxes: u64,
}

/// A shared handle to the pool. The threads end when the last handle is dropped.
#[derive(Clone)]
pub struct Sandboxes(Arc<Inner>);

struct Inner {
    lanes: [Arc<LanePool>; Lane::ALL.len()],
    budget: Arc<MemoryBudget>,
    kernels: Option<Instructions>,
    /// Held for the engine's clock, which keeps a weak reference.
    _on_tick: Arc<dyn Fn() + Send + Sync>,
}

impl Sandboxes {
    /// Starts the threads.
    pub fn new(engine: &Engine, config: &SandboxesConfig) -> io::Result<Self> {
        let budget = MemoryBudget::shared(config.memory_budget_bytes);
        let sandbox = Sandbox { engine: engine.clone(), budget: Arc::clone(&budget), ceilings: config.ceilings };
        let courtesy = Arc::new(Courtesy::default());
        let starter = Starter::new()?;
        let start = |lane| {
            LanePool::start(LaneConfig::of(lane, config), sandbox.clone(), Arc::clone(&courtesy), starter.clone())
        };
        let previews = start(Lane::HighPriority)?;
        let default = start(Lane::Default).inspect_err(|_| previews.close())?;
        let long_running = start(Lane::LongRunning).inspect_err(|_| {
            previews.close();
            default.close();
        })?;
        let lanes = [Arc::clone(&previews), default, long_running];
        let on_tick: Arc<dyn Fn() + Send + Sync> = Arc::new(move || previews.age());
        engine.ticker().on_tick(Arc::downgrade(&on_tick));
        Ok(Self(Arc::new(Inner { lanes, budget, kernels: config.ceilings.kernels, _on_tick: on_tick })))
    }

    /// Admits the job, or refuses it at once.
    pub fn submit(&self, job: Job) -> Result<(), Refused> {
        self.lane(job.lane).submit(Work::One(job))
    }

    /// The same of a series: it takes one place, as one long run does.
    pub fn submit_series(&self, series: Series) -> Result<(), Refused> {
        self.lane(series.lane).submit(Work::Series(series))
    }

    pub fn lane_status(&self, lane: Lane) -> LaneStatus {
        self.lane(lane).status()
    }

    pub fn memory_status(&self) -> MemoryStatus {
        let budget = &self.0.budget;
        MemoryStatus {
            budget_bytes: budget.bytes_max(),
            used_bytes: budget.used_bytes(),
            live_sandboxes: budget.charges(),
        }
    }

    /// With which instructions the host computes linear algebra; `None`: guests do it themselves.
    pub fn kernels(&self) -> Option<Instructions> {
        self.0.kernels
    }

    /// Refuses new jobs from now on. What was admitted goes on.
    pub fn shut_down(&self) {
        self.0.close();
    }

    fn lane(&self, lane: Lane) -> &LanePool {
        let [high_priority, default, long_running] = &self.0.lanes;
        match lane {
            Lane::HighPriority => high_priority,
            Lane::Default => default,
            Lane::LongRunning => long_running,
        }
    }
}

impl Inner {
    fn close(&self) {
        self.lanes.iter().for_each(|lane| lane.close());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
