//! The state of one node and of its elements.

use crate::{FailureKind, Json, Output, SkipReason, Then, Work};

/// A node, or an element of a mapped one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) node: usize,
    /// 0 of a node that is not mapped.
    pub(super) index: u32,
}

#[derive(Debug, Clone)]
pub(super) struct NodeState {
    /// How many of its dependencies have not come to an end.
    pub(super) waiting: usize,
    pub(super) stage: Stage,
    /// One of a node that is not mapped, once it is open.
    pub(super) instances: Vec<Instance>,
    /// How many of those have not come to an end.
    pub(super) left: usize,
    /// The elements of a mapped node, once they are needed.
    pub(super) items: Option<std::sync::Arc<Vec<Json>>>,
    /// Inputs that are the same for each element, by their position, once they are known.
    pub(super) shared: Vec<Option<Json>>,
    /// When it came to an end.
    pub(super) ended_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    /// For its dependencies, or for the next plan.
    Waiting,
    Open,
    /// It has come to an end, and others may go on.
    Settled,
    Skipped(SkipReason),
    /// As a whole: its condition or map has no value. `then` is never `Retry`.
    Failed {
        kind: FailureKind,
        message: String,
        then: Then,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) state: InstanceState,
    /// The newest, from 1; 0 before the first.
    pub(super) attempt: u32,
    /// Attempts that don't count, since the run was restarted after them.
    pub(super) before: u32,
    pub(super) started_ms: Option<i64>,
    pub(super) ended_ms: Option<i64>,
    /// What carried out the newest attempt.
    pub(super) work: Option<Work>,
}

#[derive(Debug, Clone)]
pub(super) enum InstanceState {
    Ready,
    /// A step says that it starts, and nobody has reported on it.
    Starting,
    Running {
        /// When it has taken too long.
        deadline_ms: Option<i64>,
    },
    Backoff {
        at_ms: i64,
        kind: FailureKind,
        message: String,
    },
    Done {
        output: Output,
        artifacts: Vec<String>,
    },
    /// For good: `then` is never `Retry`.
    Failed {
        kind: FailureKind,
        message: String,
        then: Then,
    },
    Cancelled,
}

impl NodeState {
    pub(super) fn new(waiting: usize) -> Self {
        Self {
            waiting,
            stage: Stage::Waiting,
            instances: Vec::new(),
            left: 0,
            items: None,
            shared: Vec::new(),
            ended_ms: None,
        }
    }

    /// Whether it has come to an end, so that others may go on.
    pub(super) fn is_settled(&self) -> bool {
        match &self.stage {
            Stage::Settled | Stage::Skipped(_) => true,
            Stage::Failed { then, .. } => *then != Then::Fail,
            Stage::Waiting | Stage::Open => false,
        }
    }

    /// Whether it has come to an end without an output.
    pub(super) fn is_absent(&self, is_mapped: bool) -> bool {
        match &self.stage {
            Stage::Skipped(_) => true,
            Stage::Failed { then, .. } => *then == Then::Skip,
            Stage::Settled if !is_mapped => {
                matches!(
                    self.instances.first(),
                    Some(Instance { state: InstanceState::Failed { then: Then::Skip, .. }, .. })
                )
            }
            _ => false,
        }
    }
}

impl Instance {
    pub(super) fn new() -> Self {
        Self { state: InstanceState::Ready, attempt: 0, before: 0, started_ms: None, ended_ms: None, work: None }
    }
}
