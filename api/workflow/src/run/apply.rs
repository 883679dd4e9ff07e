//! What each event changes.

use super::state::{Instance, InstanceState, NodeState, Place, Stage};
use super::{Corrupt, Phase, Run, Stop};
use crate::{Entry, Event, FailureKind, FlowError, Json, Outcome, Output, RunError, Then, Work};

impl Run {
    /// Folds one more event into the state.
    ///
    /// # Errors
    /// It can't be the next of this run's log.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Corrupt> {
        let at_ms = entry.at_ms;
        match &entry.event {
            Event::Started { .. } => Err(self.out_of_place(&entry.event, "the run")),
            Event::NodeMapped { key, width } => {
                let node = self.waiting(&entry.event, key)?;
                self.open(node, *width as usize);
                if *width == 0 {
                    self.settle(node, Stage::Settled, at_ms);
                }
                Ok(())
            }
            Event::NodeStarted { key, index, attempt, work } => {
                let place = self.instance_place(key, *index)?;
                self.open_place(place, &entry.event, key)?;
                self.begin_attempt(place, (*attempt, *work), at_ms);
                Ok(())
            }
            Event::NodeEnded { key, index: None, attempt: 0, outcome: Outcome::Failed { kind, message, then } } => {
                let node = self.waiting(&entry.event, key)?;
                self.fail_whole(node, (*kind, message), *then, at_ms);
                Ok(())
            }
            Event::NodeEnded { key, index, attempt, outcome } => {
                let place = self.instance_place(key, *index)?;
                self.open_place(place, &entry.event, key)?;
                self.end_attempt(place, *attempt, outcome.clone(), at_ms);
                Ok(())
            }
            Event::NodeSkipped { key, reason } => {
                let node = self.waiting(&entry.event, key)?;
                self.settle(node, Stage::Skipped(reason.clone()), at_ms);
                Ok(())
            }
            Event::Approved { key, by, comment } => {
                let place = self.instance_place(key, None)?;
                self.open_place(place, &entry.event, key)?;
                let output = Output::Value(approval(by, comment.as_deref()));
                self.end_attempt(place, 1, Outcome::Done { output, artifacts: Vec::new() }, at_ms);
                Ok(())
            }
            Event::Rejected { key, by, comment, then } => {
                let place = self.instance_place(key, None)?;
                self.open_place(place, &entry.event, key)?;
                let said = comment.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
                let (kind, message) = (FailureKind::Flow(FlowError::Rejected), format!("rejected by {by}{said}"));
                self.end_attempt(place, 1, Outcome::Failed { kind, message, then: *then }, at_ms);
                Ok(())
            }
            Event::CancelAsked { .. } => {
                self.stop(Stop::Cancelled);
                Ok(())
            }
            Event::Restarted { nodes } => {
                let nodes = nodes.iter().map(|key| self.position(key)).collect::<Result<Vec<_>, _>>()?;
                self.reset(&nodes);
                Ok(())
            }
            Event::Ended { state, outputs, error } => {
                self.phase = Phase::Ended { state: *state, outputs: outputs.clone(), error: error.clone() };
                self.ended_ms = Some(at_ms);
                Ok(())
            }
        }
    }

    fn out_of_place(&self, event: &Event, key: &str) -> Corrupt {
        Corrupt::OutOfPlace { event: event.name(), key: key.to_owned() }
    }

    fn position(&self, key: &str) -> Result<usize, Corrupt> {
        self.definition.positions.get(key).copied().ok_or_else(|| Corrupt::UnknownNode(key.to_owned()))
    }

    /// A node that nothing has happened to yet.
    fn waiting(&self, event: &Event, key: &str) -> Result<usize, Corrupt> {
        let node = self.position(key)?;
        let waits = self.nodes.get(node).is_some_and(|state| state.stage == Stage::Waiting);
        if waits { Ok(node) } else { Err(self.out_of_place(event, key)) }
    }

    /// What has come to an end has no further attempt.
    fn open_place(&self, place: Place, event: &Event, key: &str) -> Result<(), Corrupt> {
        use InstanceState::{Backoff, Ready, Running, Starting};
        let state = self.instance(place).map(|instance| &instance.state);
        match (state, event) {
            (Some(Running { .. }), Event::NodeStarted { .. }) => Err(self.out_of_place(event, key)),
            (Some(Running { .. } | Ready | Starting | Backoff { .. }), _) => Ok(()),
            _ => Err(self.out_of_place(event, key)),
        }
    }

    pub(super) fn is_mapped(&self, node: usize) -> bool {
        self.definition.nodes.get(node).is_some_and(|node| node.map.is_some())
    }

    /// The place of an element; a node that is not mapped opens with its first event.
    fn instance_place(&mut self, key: &str, index: Option<u32>) -> Result<Place, Corrupt> {
        let node = self.position(key)?;
        if !self.is_mapped(node) {
            self.open(node, 1);
        }
        let place = Place { node, index: index.unwrap_or_default() };
        let name = || index.map_or_else(|| key.to_owned(), |index| format!("{key}[{index}]"));
        if index.is_some() != self.is_mapped(node) || self.instance(place).is_none() {
            return Err(Corrupt::UnknownNode(name()));
        }
        Ok(place)
    }

    pub(super) fn instance(&self, place: Place) -> Option<&Instance> {
        self.nodes.get(place.node)?.instances.get(place.index as usize)
    }

    pub(super) fn instance_mut(&mut self, place: Place) -> Option<&mut Instance> {
        self.nodes.get_mut(place.node)?.instances.get_mut(place.index as usize)
    }

    /// Opens a node that waits: so many elements may start.
    pub(super) fn open(&mut self, node: usize, width: usize) {
        let inputs = self.definition.nodes.get(node).map_or(0, |node| node.inputs.len());
        let Some(state) = self.nodes.get_mut(node) else { return };
        if state.stage != Stage::Waiting {
            return;
        }
        state.stage = Stage::Open;
        if state.instances.len() != width {
            self.elements = self.elements.saturating_sub(state.instances.len()) + width;
            state.instances = vec![Instance::new(); width];
        }
        state.left = width;
        state.shared = vec![None; inputs];
        let indexes = 0..u32::try_from(width).unwrap_or(u32::MAX);
        self.ready.extend(indexes.map(|index| Place { node, index }));
    }

    fn begin_attempt(&mut self, place: Place, (attempt, work): (u32, Work), at_ms: i64) {
        let timeout_ms = self.definition.nodes.get(place.node).and_then(|node| node.timeout_ms);
        let deadline_ms = timeout_ms.and_then(|timeout| at_ms.checked_add_unsigned(timeout));
        self.leave(place);
        if work != Work::Approval {
            self.works.insert(work, place);
            self.busy += 1;
            // It begins while the run stops: it is to be stopped too.
            self.is_stop_told = false;
        }
        self.timers.extend(deadline_ms.map(|at_ms| (at_ms, place)));
        if let Some(instance) = self.instance_mut(place) {
            instance.state = InstanceState::Running { deadline_ms };
            instance.attempt = attempt;
            instance.started_ms = Some(at_ms);
            instance.ended_ms = None;
            instance.work = Some(work);
        }
    }

    /// Takes an element out of whatever counts or queues it.
    fn leave(&mut self, place: Place) {
        self.ready.remove(&place);
        let Some(instance) = self.instance(place) else { return };
        let work = instance.work;
        match instance.state {
            InstanceState::Starting => self.busy = self.busy.saturating_sub(1),
            InstanceState::Running { deadline_ms } => {
                if let Some(deadline_ms) = deadline_ms {
                    self.timers.remove(&(deadline_ms, place));
                }
                if let Some(work) = work.filter(|work| *work != Work::Approval) {
                    self.works.remove(&work);
                    self.busy = self.busy.saturating_sub(1);
                }
            }
            InstanceState::Backoff { at_ms, .. } => {
                self.timers.remove(&(at_ms, place));
            }
            _ => {}
        }
    }

    fn end_attempt(&mut self, place: Place, attempt: u32, outcome: Outcome, at_ms: i64) {
        self.leave(place);
        let error = match &outcome {
            Outcome::Failed { kind, message, then: Then::Fail } => Some(self.error(place, *kind, message)),
            _ => None,
        };
        if let Outcome::Done { output: Output::Value(value), .. } = &outcome {
            self.logged_bytes = self.logged_bytes.saturating_add(value.bytes());
        }
        let (state, is_settled) = match outcome {
            Outcome::Done { output, artifacts } => (InstanceState::Done { output, artifacts }, true),
            Outcome::Failed { kind, message, then: Then::Retry { at_ms } } => {
                self.timers.insert((at_ms, place));
                (InstanceState::Backoff { at_ms, kind, message }, false)
            }
            Outcome::Failed { kind, message, then } => {
                (InstanceState::Failed { kind, message, then }, then != Then::Fail)
            }
            Outcome::Cancelled => (InstanceState::Cancelled, false),
        };
        if let Some(instance) = self.instance_mut(place) {
            instance.state = state;
            instance.attempt = instance.attempt.max(attempt);
            instance.ended_ms = Some(at_ms);
        }
        if let Some(error) = error {
            self.stop(Stop::Failed(error));
        }
        if is_settled && let Some(node) = self.nodes.get_mut(place.node) {
            node.left = node.left.saturating_sub(1);
            if node.left == 0 {
                self.settle(place.node, Stage::Settled, at_ms);
            }
        }
    }

    /// A node whose condition or map has no value.
    fn fail_whole(&mut self, node: usize, (kind, message): (FailureKind, &str), then: Then, at_ms: i64) {
        let message = message.to_owned();
        if then == Then::Default && !self.is_mapped(node) {
            self.open(node, 1);
            let place = Place { node, index: 0 };
            return self.end_attempt(place, 0, Outcome::Failed { kind, message, then }, at_ms);
        }
        if then == Then::Fail {
            let key = self.definition.nodes.get(node).map(|node| node.key.clone());
            self.stop(Stop::Failed(RunError { key, index: None, kind, message: message.clone() }));
        }
        let stage = Stage::Failed { kind, message, then };
        if then == Then::Skip {
            self.settle(node, stage, at_ms);
        } else if let Some(state) = self.nodes.get_mut(node) {
            state.stage = stage;
            state.ended_ms = Some(at_ms);
        }
    }

    /// A node has come to an end: those that wait for it alone are due.
    fn settle(&mut self, node: usize, stage: Stage, at_ms: i64) {
        let definition = self.definition.clone();
        let Some(state) = self.nodes.get_mut(node).filter(|state| !state.is_settled()) else { return };
        state.stage = stage;
        state.ended_ms = Some(at_ms);
        self.unsettled = self.unsettled.saturating_sub(1);
        for dependent in definition.nodes.get(node).map_or(&[][..], |node| &node.dependents) {
            if let Some(state) = self.nodes.get_mut(*dependent) {
                state.waiting = state.waiting.saturating_sub(1);
                if state.waiting == 0 && state.stage == Stage::Waiting {
                    self.due.push_back(*dependent);
                }
            }
        }
    }

    /// The first reason is the one that counts.
    fn stop(&mut self, stop: Stop) {
        if matches!(self.phase, Phase::Running) {
            self.phase = Phase::Stopping(stop);
            self.is_stop_told = false;
        }
    }

    fn error(&self, place: Place, kind: FailureKind, message: &str) -> RunError {
        let key = self.definition.nodes.get(place.node).map(|node| node.key.clone());
        let index = self.is_mapped(place.node).then_some(place.index);
        RunError { key, index, kind, message: message.to_owned() }
    }

    /// All nodes that may be opened.
    pub(super) fn queue_due(&mut self) {
        let due = |state: &NodeState| state.waiting == 0 && state.stage == Stage::Waiting;
        self.due = self.nodes.iter().enumerate().filter(|(_, state)| due(state)).map(|(index, _)| index).collect();
    }
}

/// The output of an approval.
fn approval(by: &str, comment: Option<&str>) -> Json {
    let comment = comment.map_or_else(Json::null, Json::text);
    Json::written(format!("{{\"approved\":true,\"by\":{},\"comment\":{comment}}}", Json::text(by)))
}
