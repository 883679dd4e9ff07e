//! What a run is told from outside.

use crate::{FailureKind, Output, Work};
use serde::{Deserialize, Serialize};

/// News for a run. Each may come twice, late or out of order: then it does nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// A task or nested run of this run has ended.
    WorkEnded { work: Work, outcome: WorkOutcome },
    Approve {
        key: String,
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    Reject {
        key: String,
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    Cancel {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A run that failed or was cancelled goes on: see [`Run::restart_refused`](crate::Run::restart_refused).
    Restart,
    /// Time has passed.
    Tick,
}

/// How a task or nested run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkOutcome {
    Completed {
        /// A task's result, or a nested run's outputs. The run stores small values in its log; a driver that doesn't
        /// have a large one at hand says [`Output::Stored`] and loads it when a step asks for it.
        output: Output,
        artifacts: Vec<String>,
    },
    Failed {
        kind: FailureKind,
        message: String,
    },
    Cancelled,
}
