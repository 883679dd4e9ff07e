//! What happened to a run, as it is stored: a log of these folds to the run's state.

use crate::Json;
use mecapy_model::{ErrorKind, RunId, TaskId};
use serde::{Deserialize, Serialize};

/// One event and when it happened. Stored as `{"at_ms": …, "event": {"node_started": {…}}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Unix time, milliseconds.
    pub at_ms: i64,
    pub event: Event,
}

/// What happened. `index` is the element of a mapped node, from 0, and absent for other nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The first event of each log.
    Started {
        /// As [`Definition::check_inputs`](crate::Definition::check_inputs) left them.
        inputs: Json,
        /// How many runs this one is nested in.
        depth: u32,
    },
    /// A mapped node knows how many elements it has.
    NodeMapped {
        key: String,
        width: u32,
    },
    NodeStarted {
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
        /// From 1.
        attempt: u32,
        work: Work,
    },
    NodeEnded {
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
        /// 0 where nothing had begun: a condition or a map that can't be evaluated.
        attempt: u32,
        outcome: Outcome,
    },
    NodeSkipped {
        key: String,
        reason: SkipReason,
    },
    Approved {
        key: String,
        /// Who did it, as it is shown.
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    Rejected {
        key: String,
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        then: Then,
    },
    CancelAsked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// What these nodes had not completed begins anew.
    Restarted {
        nodes: Vec<String>,
    },
    Ended {
        state: RunState,
        /// An object, where the run has completed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<Json>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<RunError>,
    },
}

/// What carries out a node, or one element of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Task(TaskId),
    /// A nested run.
    Run(RunId),
    /// A person is asked.
    Approval,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    Done {
        output: Output,
        /// Names of the files that it left.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<String>,
    },
    Failed {
        kind: FailureKind,
        message: String,
        then: Then,
    },
    /// It was stopped with the run.
    Cancelled,
}

/// What a task or nested run gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    Value(Json),
    /// Too large for a log: it stands where the work's own result stands.
    Stored {
        bytes: u64,
    },
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Another attempt, not before this time (Unix, milliseconds).
    Retry { at_ms: i64 },
    /// The run fails.
    Fail,
    /// As if the node had been skipped; of a mapped node, the element's output is null.
    Skip,
    /// The node's `default` is its output.
    Default,
}

/// Why a node did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `when` was false.
    When,
    /// It needs the output of this node, which was skipped or failed with `on_error: skip`.
    Needs(String),
}

/// Why an attempt failed: the kind of the task's error, or what went wrong around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FailureKind {
    Task(ErrorKind),
    Flow(FlowError),
}

/// What can go wrong with a node beside its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowError {
    /// A reference or expression has no value.
    Expression,
    /// A map over what is no list, or over too many.
    Map,
    /// A file that the node needs was not left.
    MissingFile,
    /// The inputs or outputs are larger than a run may carry.
    TooLarge,
    /// The nested run failed.
    Workflow,
    /// Runs are nested too deep.
    TooDeep,
    /// A person said no.
    Rejected,
}

/// A run's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunError {
    /// The node that failed; absent where the run's outputs have no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    pub kind: FailureKind,
    pub message: String,
}

impl Event {
    /// Its name in the log: `node_started`, …
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::NodeMapped { .. } => "node_mapped",
            Event::NodeStarted { .. } => "node_started",
            Event::NodeEnded { .. } => "node_ended",
            Event::NodeSkipped { .. } => "node_skipped",
            Event::Approved { .. } => "approved",
            Event::Rejected { .. } => "rejected",
            Event::CancelAsked { .. } => "cancel_asked",
            Event::Restarted { .. } => "restarted",
            Event::Ended { .. } => "ended",
        }
    }
}

impl FailureKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            FailureKind::Task(kind) => kind.as_str(),
            FailureKind::Flow(FlowError::Expression) => "expression",
            FailureKind::Flow(FlowError::Map) => "map",
            FailureKind::Flow(FlowError::MissingFile) => "missing_file",
            FailureKind::Flow(FlowError::TooLarge) => "too_large",
            FailureKind::Flow(FlowError::Workflow) => "workflow",
            FailureKind::Flow(FlowError::TooDeep) => "too_deep",
            FailureKind::Flow(FlowError::Rejected) => "rejected",
        }
    }
}

impl From<ErrorKind> for FailureKind {
    fn from(kind: ErrorKind) -> Self {
        FailureKind::Task(kind)
    }
}

impl From<FlowError> for FailureKind {
    fn from(error: FlowError) -> Self {
        FailureKind::Flow(error)
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl RunState {
    pub const fn is_terminal(self) -> bool {
        !matches!(self, RunState::Running)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Completed => "completed",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
        }
    }
}
