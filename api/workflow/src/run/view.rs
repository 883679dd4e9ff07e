//! A run as it is shown: nodes with their states, times and errors.

use super::state::{Instance, InstanceState, Stage};
use super::{Phase, Run};
use crate::definition::{Node, NodeKind};
use crate::{FailureKind, Json, Output, RunError, RunState, SkipReason, Work};
use serde::Serialize;

/// A whole run. Times are Unix times in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    pub state: RunState,
    /// Whether it is on its way to its end: cancelled, or failed.
    pub is_stopping: bool,
    pub inputs: Json,
    /// An object, once the run has completed.
    pub outputs: Option<Json>,
    pub error: Option<RunError>,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    pub nodes: Vec<NodeView>,
}

/// One node. What belongs to a single task is absent for mapped nodes: see [`Run::instances`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeView {
    pub key: String,
    /// `task`, `approval` or `workflow`.
    pub kind: &'static str,
    /// `pending`, `ready`, `running`, `waiting` (for a retry), `approval`, `completed`, `failed`, `skipped` or
    /// `cancelled`.
    pub state: &'static str,
    /// How many elements it has, once it is known.
    pub width: Option<u32>,
    /// Of its elements.
    pub counts: Counts,
    pub skipped: Option<SkipReason>,
    /// What the person who approves is asked.
    pub message: Option<String>,
    /// The only instance of a node that is not mapped.
    pub instance: Option<InstanceView>,
    /// The failure of the node as a whole.
    pub error: Option<ErrorView>,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    /// The keys of the nodes that it waits for.
    pub after: Vec<String>,
}

/// How many elements are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub pending: u32,
    pub running: u32,
    pub completed: u32,
    /// Those that `on_error` passed over too.
    pub failed: u32,
    pub cancelled: u32,
}

/// One element of a mapped node, or the only instance of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstanceView {
    pub index: Option<u32>,
    pub state: &'static str,
    /// The newest, from 1; 0 before the first.
    pub attempt: u32,
    /// What carries it out, or did.
    pub work: Option<Work>,
    /// Where it is small enough for the log; else it is with the work.
    pub output: Option<Json>,
    /// Of an output that is not in the log.
    pub stored_bytes: Option<u64>,
    pub artifacts: Vec<String>,
    pub error: Option<ErrorView>,
    /// When it is tried again.
    pub retry_ms: Option<i64>,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
}

/// Why a node or an element failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorView {
    pub kind: FailureKind,
    pub message: String,
}

impl Run {
    /// The run as it stands. Costs as much as the run has elements.
    pub fn view(&self) -> RunView {
        let (outputs, error) = match &self.phase {
            Phase::Ended { outputs, error, .. } => (outputs.clone(), error.clone()),
            Phase::Stopping(super::Stop::Failed(error)) => (None, Some(error.clone())),
            _ => (None, None),
        };
        RunView {
            state: self.state(),
            is_stopping: matches!(self.phase, Phase::Stopping(_)),
            inputs: self.inputs.clone(),
            outputs,
            error,
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            nodes: (0..self.nodes.len()).filter_map(|position| self.node_view(position)).collect(),
        }
    }

    /// Some elements of a node, in their order; the only one of a node that is not mapped. `None` where there is no
    /// such node.
    pub fn instances(&self, key: &str, from: u32, limit: u32) -> Option<Vec<InstanceView>> {
        let position = *self.definition.positions.get(key)?;
        let is_mapped = self.is_mapped(position);
        let instances = self.nodes.get(position)?.instances.iter().zip(0u32..);
        let shown = instances.skip(from as usize).take(limit as usize);
        Some(shown.map(|(instance, index)| self.instance_view(instance, is_mapped.then_some(index))).collect())
    }

    fn node_view(&self, position: usize) -> Option<NodeView> {
        let (node, state) = (self.definition.nodes.get(position)?, self.nodes.get(position)?);
        let mut counts = Counts::default();
        for instance in &state.instances {
            let count = match self.instance_state(instance) {
                "completed" => &mut counts.completed,
                "failed" => &mut counts.failed,
                "cancelled" => &mut counts.cancelled,
                "ready" | "pending" => &mut counts.pending,
                _ => &mut counts.running,
            };
            *count += 1;
        }
        let is_mapped = node.map.is_some();
        let is_open = !matches!(state.stage, Stage::Waiting);
        let single = state.instances.first().filter(|_| !is_mapped && is_open);
        let error = match &state.stage {
            Stage::Failed { kind, message, .. } => Some(ErrorView { kind: *kind, message: message.clone() }),
            _ => None,
        };
        Some(NodeView {
            key: node.key.clone(),
            kind: node.kind_name(),
            state: self.node_state(&state.stage, single, counts),
            width: (is_mapped && is_open).then(|| u32::try_from(state.instances.len()).unwrap_or(u32::MAX)),
            counts,
            skipped: match &state.stage {
                Stage::Skipped(reason) => Some(reason.clone()),
                _ => None,
            },
            message: match &node.kind {
                NodeKind::Approval { message } => Some(message.clone()),
                _ => None,
            },
            instance: single.map(|instance| self.instance_view(instance, None)),
            error,
            started_ms: state.instances.iter().filter_map(|instance| instance.started_ms).min(),
            ended_ms: state.ended_ms,
            after: self.keys_of(node),
        })
    }

    fn keys_of(&self, node: &Node) -> Vec<String> {
        let needed = node.dependencies.iter().filter_map(|needed| self.definition.nodes.get(needed.node));
        needed.map(|node| node.key.clone()).collect()
    }

    fn node_state(&self, stage: &Stage, single: Option<&Instance>, counts: Counts) -> &'static str {
        let has_ended = matches!(self.phase, Phase::Ended { .. });
        match (stage, single) {
            (Stage::Skipped(_), _) => "skipped",
            (Stage::Failed { .. }, _) => "failed",
            (Stage::Waiting, _) if has_ended => "cancelled",
            (Stage::Waiting, _) => "pending",
            (_, Some(single)) => self.instance_state(single),
            (Stage::Settled, None) => "completed",
            (Stage::Open, None) if !has_ended => "running",
            (Stage::Open, None) if counts.failed > 0 => "failed",
            (Stage::Open, None) => "cancelled",
        }
    }

    fn instance_state(&self, instance: &Instance) -> &'static str {
        let has_ended = matches!(self.phase, Phase::Ended { .. });
        match &instance.state {
            InstanceState::Done { .. } => "completed",
            InstanceState::Failed { .. } => "failed",
            InstanceState::Cancelled => "cancelled",
            _ if has_ended => "cancelled",
            InstanceState::Ready | InstanceState::Starting => "ready",
            InstanceState::Running { .. } if instance.work == Some(Work::Approval) => "approval",
            InstanceState::Running { .. } => "running",
            InstanceState::Backoff { .. } => "waiting",
        }
    }

    fn instance_view(&self, instance: &Instance, index: Option<u32>) -> InstanceView {
        let mut view = InstanceView {
            index,
            state: self.instance_state(instance),
            attempt: instance.attempt,
            work: instance.work,
            output: None,
            stored_bytes: None,
            artifacts: Vec::new(),
            error: None,
            retry_ms: None,
            started_ms: instance.started_ms,
            ended_ms: instance.ended_ms,
        };
        match &instance.state {
            InstanceState::Done { output, artifacts } => {
                match output {
                    Output::Value(value) => view.output = Some(value.clone()),
                    Output::Stored { bytes } => view.stored_bytes = Some(*bytes),
                }
                view.artifacts = artifacts.clone();
            }
            InstanceState::Failed { kind, message, .. } => {
                view.error = Some(ErrorView { kind: *kind, message: message.clone() });
            }
            InstanceState::Backoff { at_ms, kind, message } => {
                view.error = Some(ErrorView { kind: *kind, message: message.clone() });
                view.retry_ms = Some(*at_ms);
            }
            _ => {}
        }
        view
    }
}

impl Node {
    /// `task`, `approval` or `workflow`.
    pub const fn kind_name(&self) -> &'static str {
        match self.kind {
            NodeKind::Task { .. } => "task",
            NodeKind::Approval { .. } => "approval",
            NodeKind::Workflow { .. } => "workflow",
        }
    }
}
