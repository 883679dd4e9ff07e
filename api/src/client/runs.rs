//! Runs of workflows as the server shows them, as far as the command line reads them.

use mecapy_model::{RunId, WorkflowId};
use serde::Deserialize;
use serde_json::value::RawValue;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl RunState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Completed => "completed",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
        }
    }
}

/// A run in a list.
#[derive(Debug, Deserialize)]
pub(crate) struct RunLine {
    pub id: RunId,
    pub workflow: WorkflowId,
    pub version: u32,
    #[serde(default)]
    pub name: Option<String>,
    pub state: RunState,
    pub created_at: String,
    #[serde(default)]
    pub completed_at: Option<String>,
}

/// A run with its nodes.
#[derive(Debug, Deserialize)]
pub(crate) struct RunAnswer {
    #[serde(flatten)]
    pub line: RunLine,
    #[serde(default)]
    pub outputs: Option<Box<RawValue>>,
    #[serde(default)]
    pub error: Option<RunError>,
    /// On its way to its end: cancelled, or failed.
    #[serde(default)]
    pub stopping: bool,
    /// Absent where its log can't be read any more.
    #[serde(default)]
    pub nodes: Option<Vec<RunNode>>,
}

/// Why a run or a node failed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RunError {
    /// The node whose error it is, of a run.
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub message: String,
}

/// A node of a run.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RunNode {
    pub key: String,
    /// `pending`, `ready`, `running`, `waiting`, `approval`, `completed`, `failed`, `skipped` or `cancelled`.
    pub state: String,
    /// Elements of a mapped node, once they are known.
    #[serde(default)]
    pub width: Option<u64>,
    #[serde(default)]
    pub counts: NodeCounts,
    /// Why it was skipped.
    #[serde(default)]
    pub skipped: Option<String>,
    /// What the person is asked.
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub instance: Option<NodeInstance>,
    #[serde(default)]
    pub error: Option<RunError>,
    #[serde(default)]
    pub started_at: Option<String>,
    #[serde(default)]
    pub ended_at: Option<String>,
    /// The nodes that it waits for.
    #[serde(default)]
    pub after: Vec<String>,
}

/// Elements of a mapped node by state.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct NodeCounts {
    #[serde(default)]
    pub completed: u64,
    #[serde(default)]
    pub failed: u64,
    #[serde(default)]
    pub cancelled: u64,
}

/// The task or nested run of a node that is not mapped.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NodeInstance {
    /// From 1; 0 before the first.
    #[serde(default)]
    pub attempt: u32,
}
