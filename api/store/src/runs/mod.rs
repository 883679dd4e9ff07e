//! Workflow runs: a log of events each, an inbox of what they have to take in, and one step at a time.
//!
//! What events say is the planner's business: here they are JSON texts with numbers. Who plans reads the log and the
//! inbox, and hands in what follows from them as one [`Advance`]; it has effect if nobody else advanced meanwhile.

mod advancing;
mod inbox;
mod reading;

pub use inbox::{Arrived, InboxItem, RunEnded, TaskEnded};
pub(crate) use inbox::{MAIL_RESULT_BYTES_MAX, Mail};
pub use reading::RunQuery;

use crate::shared::TaskWatch;
use crate::{CachedCopy, Idempotency, NewTask, OverQuota, StoreError, SubmitError};
use mecapy_model::{RunId, StudyId, TaskId, TenantId, WorkflowId};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// How many events [`Store::run_events`](crate::Store::run_events) answers at most.
pub const RUN_EVENTS_PAGE_MAX: u32 = 1_000;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl RunState {
    pub const ALL: [RunState; 4] = [RunState::Running, RunState::Completed, RunState::Failed, RunState::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Completed => "completed",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
        }
    }

    pub const fn is_terminal(self) -> bool {
        !matches!(self, RunState::Running)
    }
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for RunState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = RunState::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("unknown state {text:?}: use running, completed, failed or cancelled"))
    }
}

/// The node of another run that a run is the work of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentNode {
    pub run: RunId,
    pub key: String,
    /// Of a mapped node's instance.
    pub index: Option<u32>,
}

/// A run to start; validated by the caller.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// From [`Store::new_run_id`](crate::Store::new_run_id).
    pub id: RunId,
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    pub version: u32,
    /// For people; the workflow's name as a rule.
    pub name: Option<String>,
    pub inputs: Box<RawValue>,
    /// The versions that the run goes by, whatever is published meanwhile.
    pub pins: Box<RawValue>,
    pub parent: Option<ParentNode>,
    /// How many runs are above it; 0 without a parent.
    pub depth: u32,
    pub study: Option<StudyId>,
    pub labels: BTreeMap<String, String>,
    /// What its log begins with.
    pub events: Vec<Box<RawValue>>,
}

/// A run, without its log.
#[derive(Debug, Clone)]
pub struct RunRow {
    pub id: RunId,
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    pub version: u32,
    pub name: Option<String>,
    pub state: RunState,
    /// The number of its newest event.
    pub seq: u64,
    /// `null` in lists, as `pins`.
    pub inputs: Box<RawValue>,
    pub pins: Box<RawValue>,
    pub parent: Option<ParentNode>,
    pub depth: u32,
    pub study: Option<StudyId>,
    pub labels: BTreeMap<String, String>,
    /// What came out of it; absent in lists.
    pub outputs: Option<Box<RawValue>>,
    pub error: Option<Box<RawValue>>,
    pub created_at: OffsetDateTime,
    pub completed_at: Option<OffsetDateTime>,
    pub wake_at: Option<OffsetDateTime>,
}

/// A run that was started, now or before.
#[derive(Debug, Clone)]
pub struct StartedRun {
    pub run: RunRow,
    /// An earlier request with the same idempotency key started it.
    pub replayed: bool,
}

/// Why a run was not started. Nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartRunError {
    #[error("the idempotency key was used with another request")]
    IdempotencyMismatch,
    #[error(transparent)]
    OverFuel(OverQuota),
    /// Also for a tenant that doesn't exist.
    #[error("the tenant is disabled")]
    TenantDisabled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event of a run's log.
#[derive(Debug, Clone)]
pub struct RunEvent {
    /// 1 is the first; without gaps.
    pub seq: u64,
    pub at: OffsetDateTime,
    pub body: Box<RawValue>,
}

/// What the store knows a run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunKey {
    pub id: RunId,
    pub tenant: TenantId,
    pub(crate) no: i64,
}

/// A run with all that a plan needs.
#[derive(Debug, Clone)]
pub struct LoadedRun {
    pub row: RunRow,
    /// Those after the number that was asked for, up to the row's.
    pub events: Vec<RunEvent>,
    /// Oldest first.
    pub inbox: Vec<InboxItem>,
}

/// A task to start as a node of the run. Its `ties.run` is set to the run.
#[derive(Debug, Clone)]
pub struct NodeTask {
    /// From [`Store::new_task_id`](crate::Store::new_task_id).
    pub id: TaskId,
    pub task: NewTask,
    /// The earlier result that it is born with, from [`Store::copy_cached`](crate::Store::copy_cached) for this id; absent
    /// where it has to run.
    pub cached: Option<CachedCopy>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// Not running.
    pub state: RunState,
    pub outputs: Option<Box<RawValue>>,
    pub error: Option<Box<RawValue>>,
    /// For the event that tells it: the error's kind.
    pub error_kind: Option<String>,
}

/// One step of a run: all of it is written, or nothing.
#[derive(Debug, Clone)]
pub struct Advance {
    pub run: RunKey,
    /// The number of the event that the step was planned after.
    pub seq: u64,
    /// What follows. A step that starts something needs an event that says so, or it could be taken twice.
    pub events: Vec<Box<RawValue>>,
    /// What of the inbox it takes in.
    pub consumed: Vec<i64>,
    pub tasks: Vec<NodeTask>,
    pub children: Vec<NewRun>,
    /// Tasks of the run that are to stop.
    pub cancels: Vec<TaskId>,
    /// What other runs of the tenant are sent, children that are to stop among them. It comes out of their inbox as
    /// [`Arrived::Sent`].
    pub signals: Vec<(RunId, Box<RawValue>)>,
    /// When to look at it again at the latest, Unix milliseconds, whatever comes. It replaces what was set before.
    pub wake_ms: Option<i64>,
    /// A run that had ended goes on: its end is taken back.
    pub restarted: bool,
    pub ended: Option<RunEnd>,
    /// How many tasks of the tenant may be queued, where its quota doesn't say.
    pub queued_max: u32,
}

impl Advance {
    /// A step that takes in nothing and changes nothing: change what it is to do.
    pub fn new(run: RunKey, seq: u64, queued_max: u32) -> Self {
        Self {
            run,
            seq,
            events: Vec::new(),
            consumed: Vec::new(),
            tasks: Vec::new(),
            children: Vec::new(),
            cancels: Vec::new(),
            signals: Vec::new(),
            wake_ms: None,
            restarted: false,
            ended: None,
            queued_max,
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone)]
pub enum Advanced {
    /// It is written; the run's newest event has this number now.
    Done { seq: u64 },
    /// Somebody else advanced the run, or it is gone; nothing was written. Load it again.
    Stale,
    /// Nothing was written: the task at this place can't be accepted, those before it could. Where the queue is full or
    /// the day's fuel is used up, advance with those before it (or none) and look again later: what is taken in meanwhile
    /// leaves the inbox, so that the run keeps no others waiting.
    Refused { at: usize, why: SubmitError },
}

/// What became of a request to delete a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunDeleted {
    Yes,
    /// Only a run that has ended can be deleted.
    NotEnded,
    Missing,
}

/// News of one run.
#[derive(Debug)]
pub struct RunWatch(pub(crate) TaskWatch);

impl RunWatch {
    /// Returns after the next commit that added to the run's log, or at once where one did since the last call (or since
    /// the watch was made). Several may count as one, and where processes share the database a call may return without
    /// one.
    pub async fn changed(&mut self) {
        self.0.changed().await;
    }
}

/// A request to start a run, under a key or not.
pub(crate) struct StartRequest {
    pub(crate) run: NewRun,
    pub(crate) idempotency: Option<Idempotency>,
}
