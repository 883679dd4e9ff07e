//! The task state machine, as one pure function.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// What may happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// A worker takes it.
    Claim,
    /// The platform lost the attempt: back to the queue.
    Requeue,
    Complete,
    Fail,
    Cancel,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {from} task can't {transition:?}")]
pub struct IllegalTransition {
    pub from: TaskState,
    pub transition: Transition,
}

impl TaskState {
    pub const ALL: [TaskState; 5] =
        [TaskState::Queued, TaskState::Running, TaskState::Completed, TaskState::Failed, TaskState::Cancelled];

    pub const fn is_terminal(self) -> bool {
        matches!(self, TaskState::Completed | TaskState::Failed | TaskState::Cancelled)
    }

    /// The state after `transition`. Terminal states are final; a finish needs a running task.
    pub fn after(self, transition: Transition) -> Result<TaskState, IllegalTransition> {
        match (self, transition) {
            (TaskState::Queued, Transition::Claim) => Ok(TaskState::Running),
            (TaskState::Running, Transition::Requeue) => Ok(TaskState::Queued),
            (TaskState::Running, Transition::Complete) => Ok(TaskState::Completed),
            (TaskState::Queued | TaskState::Running, Transition::Fail) => Ok(TaskState::Failed),
            (TaskState::Queued | TaskState::Running, Transition::Cancel) => Ok(TaskState::Cancelled),
            (from, transition) => Err(IllegalTransition { from, transition }),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            TaskState::Queued => "queued",
            TaskState::Running => "running",
            TaskState::Completed => "completed",
            TaskState::Failed => "failed",
            TaskState::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for TaskState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        TaskState::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown state {text:?}: use queued, running, completed, failed or cancelled"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_states_are_final() {
        use Transition::{Cancel, Claim, Complete, Fail, Requeue};
        for state in TaskState::ALL.into_iter().filter(|state| state.is_terminal()) {
            for transition in [Claim, Requeue, Complete, Fail, Cancel] {
                assert!(state.after(transition).is_err());
            }
        }
        assert!(TaskState::Queued.after(Complete).is_err());
        assert_eq!(TaskState::Running.after(Requeue), Ok(TaskState::Queued));
    }
}
