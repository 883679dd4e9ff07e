//! From news to what is to be done next.

use super::state::{InstanceState, Place, Stage};
use super::values::{NoValue, Scope, Values};
use super::{ELEMENTS_MAX, LOGGED_VALUE_BYTES_MAX, LOGGED_VALUES_BYTES_MAX, OUTPUTS_BYTES_MAX, Phase, Run, Stop};
use crate::definition::{BACKOFF_MS_MAX, Node, OnError};
use crate::{
    Entry, Event, FailureKind, FlowError, Json, Outcome, Output, RunError, RunState, Signal, SkipReason, Start, Step,
    Then, Work, WorkOutcome,
};
use mecapy_model::ErrorKind;
use std::sync::Arc;

impl Run {
    /// What follows from the news, at this time. Signals that come twice, late or for what has ended change nothing;
    /// neither does a plan without news. `values` gives results that are too large for the log, where the caller has
    /// them; for those it doesn't have, the step says [`Step::missing`].
    pub fn plan(&mut self, signals: &[Signal], now_ms: i64, values: &dyn Fn(Work) -> Option<Json>) -> Step {
        let mut planner = Planner { run: self, values, now_ms, step: Step::default(), put_off: Vec::new() };
        for signal in signals {
            planner.hear(signal);
        }
        planner.timers();
        planner.advance();
        planner.finish();
        planner.done()
    }

    /// What a step starts has this id now: the event for the log. The run has applied it.
    pub fn started(&mut self, start: &Start, work: Work, now_ms: i64) -> Entry {
        let Start { key, index, attempt, .. } = start;
        let event = Event::NodeStarted { key: key.clone(), index: *index, attempt: *attempt, work };
        self.take(event, now_ms)
    }

    /// What a step starts can't be made: the event for the log. The run has applied it, and is to be planned again.
    pub fn refused(
        &mut self,
        start: &Start,
        kind: impl Into<FailureKind>,
        message: impl Into<String>,
        now_ms: i64,
    ) -> Entry {
        let (kind, message) = (kind.into(), message.into());
        let position = self.definition.positions.get(&start.key).copied().unwrap_or_default();
        let place = Place { node: position, index: start.index.unwrap_or_default() };
        let then = self.then(place, start.attempt, kind, now_ms);
        let outcome = Outcome::Failed { kind, message, then };
        let (key, index, attempt) = (start.key.clone(), start.index, start.attempt);
        self.take(Event::NodeEnded { key, index, attempt, outcome }, now_ms)
    }

    fn take(&mut self, event: Event, now_ms: i64) -> Entry {
        let entry = Entry { at_ms: now_ms, event };
        // A start that this run never asked for is one that its log can't hold either; folding says so.
        let _ = self.apply(&entry);
        entry
    }

    /// What follows a failure of this attempt.
    fn then(&self, place: Place, attempt: u32, kind: FailureKind, now_ms: i64) -> Then {
        let Some(node) = self.definition.nodes.get(place.node) else { return Then::Fail };
        let before = self.instance(place).map_or(0, |instance| instance.before);
        let tries = attempt.saturating_sub(before);
        if matches!(self.phase, Phase::Running) && tries < node.retry.max_attempts && helps(node, kind) {
            return Then::Retry { at_ms: now_ms.saturating_add_unsigned(wait_ms(node, tries)) };
        }
        match node.on_error {
            OnError::Fail => Then::Fail,
            OnError::Skip => Then::Skip,
            OnError::Default(_) => Then::Default,
        }
    }

    /// Where a node waits for a person's word.
    pub(super) fn approval(&self, node: usize) -> Option<Place> {
        let place = Place { node, index: 0 };
        let instance = self.instance(place)?;
        let waits = matches!(instance.state, InstanceState::Running { .. }) && instance.work == Some(Work::Approval);
        waits.then_some(place)
    }
}

/// Whether another try can help.
fn helps(node: &Node, kind: FailureKind) -> bool {
    match (kind, &node.retry.on) {
        (FailureKind::Task(kind), _) if kind.is_platform_fault() || kind == ErrorKind::Quota => true,
        (kind, Some(kinds)) => kinds.contains(&kind),
        (FailureKind::Task(kind), None) => {
            !matches!(kind, ErrorKind::Cancelled | ErrorKind::InvalidInput | ErrorKind::Compile)
        }
        (FailureKind::Flow(error), None) => error == FlowError::Workflow,
    }
}

/// The wait after so many tries, milliseconds.
fn wait_ms(node: &Node, tries: u32) -> u64 {
    let factor = node.retry.backoff_factor.powi(i32::try_from(tries.saturating_sub(1)).unwrap_or(i32::MAX));
    let wait = node.retry.backoff_ms as f64 * factor;
    if wait < BACKOFF_MS_MAX as f64 { wait as u64 } else { BACKOFF_MS_MAX }
}

pub(super) struct Planner<'r, 'v> {
    pub(super) run: &'r mut Run,
    pub(super) values: &'v Values<'v>,
    pub(super) now_ms: i64,
    pub(super) step: Step,
    /// Nodes that can't be opened before something is loaded.
    put_off: Vec<usize>,
}

impl Planner<'_, '_> {
    pub(super) fn emit(&mut self, event: Event) {
        let entry = Entry { at_ms: self.now_ms, event };
        // What can't be applied is not said either.
        if self.run.apply(&entry).is_ok() {
            self.step.events.push(entry);
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.run.phase, Phase::Running)
    }

    fn hear(&mut self, signal: &Signal) {
        match signal {
            Signal::WorkEnded { work, outcome } => {
                // A run that was given up has ended before its tasks.
                let has_ended = self.run.state().is_terminal();
                if let Some(place) = self.run.works.get(work).copied().filter(|_| !has_ended) {
                    self.ended(place, outcome);
                }
            }
            Signal::Approve { key, by, comment } => {
                if self.run.awaits_approval(key) {
                    self.emit(Event::Approved { key: key.clone(), by: by.clone(), comment: comment.clone() });
                }
            }
            Signal::Reject { key, by, comment } => {
                if self.run.awaits_approval(key)
                    && let Some(node) = self.run.definition.positions.get(key)
                {
                    let place = Place { node: *node, index: 0 };
                    // A person's word is no failure that another try could cure.
                    let then = self.run.then(place, u32::MAX, FlowError::Rejected.into(), self.now_ms);
                    let (key, by, comment) = (key.clone(), by.clone(), comment.clone());
                    self.emit(Event::Rejected { key, by, comment, then });
                }
            }
            Signal::Cancel { by } => {
                if self.is_running() {
                    self.emit(Event::CancelAsked { by: by.clone() });
                }
            }
            Signal::Restart => {
                if self.run.restart_refused().is_none() {
                    let nodes = self.run.restarted();
                    self.emit(Event::Restarted { nodes });
                }
            }
            Signal::Tick => {}
        }
    }

    fn ended(&mut self, place: Place, outcome: &WorkOutcome) {
        let outcome = match outcome {
            WorkOutcome::Completed { output, artifacts } => {
                let output = match output {
                    Output::Value(value) if self.is_too_large_for_log(value) => {
                        Output::Stored { bytes: value.bytes() as u64 }
                    }
                    other => other.clone(),
                };
                Outcome::Done { output, artifacts: artifacts.clone() }
            }
            WorkOutcome::Cancelled | WorkOutcome::Failed { kind: FailureKind::Task(ErrorKind::Cancelled), .. }
                if !self.is_running() =>
            {
                Outcome::Cancelled
            }
            WorkOutcome::Cancelled => {
                let message = "it was cancelled on its own, not with its run".to_owned();
                return self.fail(place, (ErrorKind::Cancelled.into(), message));
            }
            WorkOutcome::Failed { kind, message } => return self.fail(place, (*kind, message.clone())),
        };
        let attempt = self.run.instance(place).map_or(1, |instance| instance.attempt);
        self.end(place, attempt, outcome);
    }

    fn is_too_large_for_log(&self, value: &Json) -> bool {
        value.bytes() > LOGGED_VALUE_BYTES_MAX || self.run.logged_bytes + value.bytes() > LOGGED_VALUES_BYTES_MAX
    }

    fn end(&mut self, place: Place, attempt: u32, outcome: Outcome) {
        let Some(node) = self.run.definition.nodes.get(place.node) else { return };
        let (key, index) = (node.key.clone(), node.map.is_some().then_some(place.index));
        self.emit(Event::NodeEnded { key, index, attempt, outcome });
    }

    /// The newest attempt has failed.
    fn fail(&mut self, place: Place, (kind, message): (FailureKind, String)) {
        let attempt = self.run.instance(place).map_or(1, |instance| instance.attempt);
        let then = self.run.then(place, attempt, kind, self.now_ms);
        self.end(place, attempt, Outcome::Failed { kind, message, then });
    }

    /// Tries that are due, and those that have taken too long.
    fn timers(&mut self) {
        while self.is_running()
            && let Some((at_ms, place)) = self.run.timers.first().copied().filter(|(at_ms, _)| *at_ms <= self.now_ms)
        {
            self.run.timers.remove(&(at_ms, place));
            let Some(instance) = self.run.instance_mut(place) else { continue };
            match instance.state {
                InstanceState::Backoff { .. } => {
                    instance.state = InstanceState::Ready;
                    self.run.ready.insert(place);
                }
                InstanceState::Running { .. } => {
                    let work = instance.work;
                    let timeout_ms = self.run.definition.nodes.get(place.node).and_then(|node| node.timeout_ms);
                    let message = format!("it took longer than its timeout of {} ms", timeout_ms.unwrap_or_default());
                    self.step.cancels.extend(work.filter(|work| *work != Work::Approval));
                    self.fail(place, (ErrorKind::Timeout.into(), message));
                }
                _ => {}
            }
        }
    }

    /// Opens what is due and starts what is ready, until nothing follows any more.
    fn advance(&mut self) {
        let mut waits_for_values = Vec::new();
        while self.is_running() {
            if let Some(node) = self.run.due.pop_front() {
                self.open(node);
                continue;
            }
            if self.run.busy >= self.run.definition.limits.parallel_max as usize {
                break;
            }
            let Some(place) = self.run.ready.pop_first() else { break };
            match self.start(place) {
                Ok(()) => {}
                Err(NoValue::Missing) => waits_for_values.push(place),
                Err(NoValue::Because(error, message)) => {
                    let attempt = self.run.instance(place).map_or(1, |instance| instance.attempt + 1);
                    let then = self.run.then(place, attempt, error.into(), self.now_ms);
                    self.end(place, attempt, Outcome::Failed { kind: error.into(), message, then });
                }
            }
        }
        self.run.ready.extend(waits_for_values);
        self.run.due.extend(std::mem::take(&mut self.put_off));
        if !self.is_running() {
            self.take_back();
        }
    }

    /// Nothing starts in a run that stops.
    fn take_back(&mut self) {
        for start in std::mem::take(&mut self.step.starts) {
            let Some(node) = self.run.definition.positions.get(&start.key).copied() else { continue };
            let place = Place { node, index: start.index.unwrap_or_default() };
            if let Some(instance) = self.run.instance_mut(place) {
                instance.state = InstanceState::Ready;
                self.run.busy = self.run.busy.saturating_sub(1);
                self.run.ready.insert(place);
            }
        }
    }

    /// All that a node waits for has come to an end: it is skipped, or opened.
    fn open(&mut self, position: usize) {
        let definition = self.run.definition.clone();
        let Some(node) = definition.nodes.get(position) else { return };
        if self.run.nodes.get(position).is_none_or(|state| state.stage != Stage::Waiting) {
            return;
        }
        let absent = node.dependencies.iter().filter(|dependency| dependency.hard).map(|dependency| dependency.node);
        let absent = absent.into_iter().find(|needed| {
            self.run.nodes.get(*needed).is_some_and(|state| state.is_absent(self.run.is_mapped(*needed)))
        });
        if let Some(absent) = absent.and_then(|absent| definition.nodes.get(absent)) {
            let reason = SkipReason::Needs(absent.key.clone());
            return self.emit(Event::NodeSkipped { key: node.key.clone(), reason });
        }
        match self.opening(node) {
            Ok(Opening::Skip) => self.emit(Event::NodeSkipped { key: node.key.clone(), reason: SkipReason::When }),
            Ok(Opening::One) => self.run.open(position, 1),
            Ok(Opening::Many(items)) => {
                let width = u32::try_from(items.len()).unwrap_or(u32::MAX);
                self.emit(Event::NodeMapped { key: node.key.clone(), width });
                if let Some(state) = self.run.nodes.get_mut(position) {
                    state.items = Some(Arc::new(items));
                }
            }
            Err(NoValue::Missing) => self.put_off.push(position),
            Err(NoValue::Because(error, message)) => {
                let then = match &node.on_error {
                    OnError::Skip => Then::Skip,
                    // It is the output of an element, and there is none.
                    OnError::Default(_) if node.map.is_none() => Then::Default,
                    _ => Then::Fail,
                };
                let outcome = Outcome::Failed { kind: error.into(), message, then };
                self.emit(Event::NodeEnded { key: node.key.clone(), index: None, attempt: 0, outcome });
            }
        }
    }

    fn opening(&mut self, node: &Node) -> Result<Opening, NoValue> {
        let scope = Scope::new(self.run, self.values);
        let opening = Self::opening_in(&scope, node, self.run.elements);
        self.step.missing.extend(scope.missing.take());
        opening
    }

    fn opening_in(scope: &Scope<'_>, node: &Node, elements: usize) -> Result<Opening, NoValue> {
        if let Some(when) = &node.when {
            let value = scope.value(when).map_err(|error| error.of(when.as_str()))?;
            let described = value.described();
            match value.into_json().get() {
                "true" => {}
                "false" => return Ok(Opening::Skip),
                _ => {
                    let message = format!("{}: a condition is true or false, not {described}", when.as_str());
                    return Err(NoValue::Because(FlowError::Expression, message));
                }
            }
        }
        let Some(map) = &node.map else { return Ok(Opening::One) };
        let items = scope.items(&map.over)?;
        let too_many = |most: usize, of: &str| {
            let message = format!("{} elements to map over, and {most} at most {of}", items.len());
            Err(NoValue::Because(FlowError::Map, message))
        };
        if items.len() > map.width_max as usize {
            return too_many(map.width_max as usize, "here");
        }
        if items.len() > ELEMENTS_MAX.saturating_sub(elements) {
            return too_many(ELEMENTS_MAX.saturating_sub(elements), "more in this run");
        }
        Ok(Opening::Many(items))
    }

    /// Ends the run where nothing is left to wait for.
    fn finish(&mut self) {
        match self.run.phase.clone() {
            Phase::Running if self.run.unsettled == 0 => self.complete(),
            Phase::Stopping(stop) => {
                if !self.run.is_stop_told {
                    let mut works: Vec<_> = self.run.works.keys().copied().collect();
                    works.sort_unstable();
                    self.step.cancels.extend(works);
                    self.run.is_stop_told = true;
                }
                if self.run.busy == 0 {
                    let (state, error) = match stop {
                        Stop::Cancelled => (RunState::Cancelled, None),
                        Stop::Failed(error) => (RunState::Failed, Some(error)),
                    };
                    self.emit(Event::Ended { state, outputs: None, error });
                }
            }
            Phase::Running | Phase::Ended { .. } => {}
        }
    }

    fn complete(&mut self) {
        let scope = Scope::new(self.run, self.values);
        let outputs = outputs(&scope);
        self.step.missing.extend(scope.missing.take());
        match outputs {
            Ok(outputs) => {
                self.emit(Event::Ended { state: RunState::Completed, outputs: Some(outputs), error: None });
            }
            Err(NoValue::Missing) => {}
            Err(NoValue::Because(error, message)) => {
                let error = Some(RunError { key: None, index: None, kind: error.into(), message });
                self.emit(Event::Ended { state: RunState::Failed, outputs: None, error });
            }
        }
    }

    fn done(mut self) -> Step {
        self.step.missing.sort_unstable();
        self.step.missing.dedup();
        if self.is_running() {
            self.step.wake_at_ms = self.run.timers.first().map(|(at_ms, _)| *at_ms);
        }
        self.step
    }
}

/// What becomes of a node whose dependencies have come to an end.
enum Opening {
    Skip,
    One,
    Many(Vec<Json>),
}

/// The run's outputs as an object; those that need what was skipped are left out.
fn outputs(scope: &Scope<'_>) -> Result<Json, NoValue> {
    let mut text = String::from("{");
    let mut missing = false;
    for (name, binding) in scope.outputs() {
        if scope.needs_what_is_absent(binding) {
            continue;
        }
        let value = match scope.binding(binding) {
            Ok(value) => value,
            Err(NoValue::Missing) => {
                missing = true;
                continue;
            }
            Err(error) => return Err(error.of(&format!("outputs.{name}"))),
        };
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!("{comma}{}:{value}", Json::text(name)));
        if text.len() > OUTPUTS_BYTES_MAX {
            let message = format!("the outputs have more than {OUTPUTS_BYTES_MAX} bytes: leave large data in files");
            return Err(NoValue::Because(FlowError::TooLarge, message));
        }
    }
    text.push('}');
    if missing { Err(NoValue::Missing) } else { Ok(Json::written(text)) }
}
