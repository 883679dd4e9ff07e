//! A run that failed or was cancelled goes on: what has completed is kept, the rest begins anew.

use super::state::{InstanceState, NodeState, Place, Stage};
use super::{Phase, Run};
use crate::{FailureKind, RunError, RunState, SkipReason, Then};

impl Run {
    /// Why this run can't be restarted; `None` where it can.
    pub fn restart_refused(&self) -> Option<&'static str> {
        match &self.phase {
            Phase::Running | Phase::Stopping(_) => Some("the run has not ended yet: cancel it first"),
            Phase::Ended { state: RunState::Completed, .. } => Some("the run has completed: start another"),
            Phase::Ended { error: Some(RunError { kind: FailureKind::Flow(_), .. }), .. } if self.unsettled == 0 => {
                Some(
                    "every node has completed, and the outputs have no value: change the workflow and start another run",
                )
            }
            Phase::Ended { .. } => None,
        }
    }

    /// The nodes that begin anew: what did not complete; and what failed with `on_error` `skip` or `default`, or was
    /// skipped because of that, as long as nothing has gone on with it.
    pub(super) fn restarted(&self) -> Vec<String> {
        let mut anew: Vec<_> = self.nodes.iter().map(|state| !state.is_settled()).collect();
        for position in self.definition.order().into_iter().rev() {
            let (Some(state), Some(node)) = (self.nodes.get(position), self.definition.nodes.get(position)) else {
                continue;
            };
            let free = node.dependents.iter().all(|dependent| anew.get(*dependent) == Some(&true));
            let begun = |dependent: &usize| self.nodes.get(*dependent).is_some_and(NodeState::has_output);
            if free
                && !node.dependents.iter().any(begun)
                && self.is_failure_passed_over(state)
                && let Some(anew) = anew.get_mut(position)
            {
                *anew = true;
            }
        }
        let keys = self.definition.nodes.iter().zip(&anew).filter(|(_, anew)| **anew);
        keys.map(|(node, _)| node.key.clone()).collect()
    }

    /// Whether a node has come to an end by a failure, its own or one before it.
    fn is_failure_passed_over(&self, state: &NodeState) -> bool {
        match &state.stage {
            Stage::Skipped(SkipReason::Needs(key)) => {
                let needed = self.definition.positions.get(key).and_then(|node| self.nodes.get(*node));
                needed.is_some_and(|needed| self.is_failure_passed_over(needed))
            }
            Stage::Failed { then, .. } => *then != Then::Fail,
            Stage::Settled => {
                let failed = |state: &InstanceState| matches!(state, InstanceState::Failed { .. });
                state.instances.iter().any(|instance| failed(&instance.state))
            }
            _ => false,
        }
    }

    /// Brings these nodes, and all that have not come to an end, back to where they can begin.
    pub(super) fn reset(&mut self, nodes: &[usize]) {
        let definition = self.definition.clone();
        for (position, node) in definition.nodes.iter().enumerate() {
            let Some(state) = self.nodes.get_mut(position) else { continue };
            if state.is_settled() && !nodes.contains(&position) {
                continue;
            }
            for instance in &mut state.instances {
                if !matches!(instance.state, InstanceState::Done { .. }) {
                    instance.state = InstanceState::Ready;
                    instance.before = instance.attempt;
                }
            }
            // The elements are those that it was opened with; a condition is asked again.
            let stays_open = node.map.is_some() && state.stage != Stage::Waiting && !state.instances.is_empty();
            state.stage = if stays_open { Stage::Open } else { Stage::Waiting };
            state.ended_ms = None;
        }
        self.phase = Phase::Running;
        self.ended_ms = None;
        // Whatever was under way when the run was given up is not heard any more.
        self.works.clear();
        self.busy = 0;
        self.derive();
    }

    /// Counts and queues anew what follows from the nodes' stages.
    fn derive(&mut self) {
        let definition = self.definition.clone();
        let settled: Vec<_> = self.nodes.iter().map(NodeState::is_settled).collect();
        self.unsettled = settled.iter().filter(|settled| !**settled).count();
        (self.timers, self.ready) = Default::default();
        for (position, (state, node)) in self.nodes.iter_mut().zip(&definition.nodes).enumerate() {
            let open = |needed: &usize| settled.get(*needed) == Some(&false);
            state.waiting = node.dependencies.iter().map(|dependency| dependency.node).filter(open).count();
            let ready = |state: &InstanceState| matches!(state, InstanceState::Ready);
            state.left = state.instances.iter().filter(|instance| ready(&instance.state)).count();
            if state.stage == Stage::Open {
                let places = state.instances.iter().zip(0..).filter(|(instance, _)| ready(&instance.state));
                self.ready.extend(places.map(|(_, index)| Place { node: position, index }));
            }
        }
        self.queue_due();
    }
}

impl NodeState {
    /// Whether any of it has completed, and so may have used what came before.
    fn has_output(&self) -> bool {
        self.instances.iter().any(|instance| matches!(instance.state, InstanceState::Done { .. }))
    }
}
