//! What starts a node, or one element of it: every reference filled in.

use super::Run;
use super::plan::Planner;
use super::state::{InstanceState, Place};
use super::values::{NoValue, Scope, bounded, is_shared};
use crate::definition::{FileBinding, NAME_CHARS_MAX, Node, NodeKind};
use crate::{Event, FileSource, FlowError, Json, RunStart, Start, TaskStart, What, Work};
use std::sync::Arc;

/// The largest seed, and one more: a power of two.
const SEEDS: u64 = 1 << 53;

impl Planner<'_, '_> {
    /// Starts what is ready. A person is asked at once; all else is the driver's to make.
    pub(super) fn start(&mut self, place: Place) -> Result<(), NoValue> {
        let definition = self.run.definition.clone();
        let Some(node) = definition.nodes.get(place.node) else { return Ok(()) };
        let index = node.map.is_some().then_some(place.index);
        let attempt = self.run.instance(place).map_or(1, |instance| instance.attempt + 1);
        if matches!(node.kind, NodeKind::Approval { .. }) {
            let (key, work) = (node.key.clone(), Work::Approval);
            self.emit(Event::NodeStarted { key, index, attempt, work });
            return Ok(());
        }
        let what = self.what(node, place)?;
        if let Some(instance) = self.run.instance_mut(place) {
            instance.state = InstanceState::Starting;
            self.run.busy += 1;
            self.step.starts.push(Start { key: node.key.clone(), index, attempt, what });
        }
        Ok(())
    }

    fn what(&mut self, node: &Node, place: Place) -> Result<What, NoValue> {
        if matches!(node.kind, NodeKind::Workflow { .. }) && self.run.depth + 1 >= self.run.definition.limits.depth_max
        {
            let message = format!("workflows nest {} deep at most here", self.run.definition.limits.depth_max);
            return Err(NoValue::Because(FlowError::TooDeep, message));
        }
        let items = self.items(node, place)?;
        let item = items.and_then(|items| Some((items.get(place.index as usize)?.clone(), place.index)));
        let shared = self.run.nodes.get(place.node).map(|state| state.shared.clone()).unwrap_or_default();
        let scope = Scope::new(self.run, self.values).with_item(item);
        let found =
            inputs(&scope, node, shared).and_then(|(inputs, shared)| Ok((inputs, shared, files(&scope, node)?)));
        self.step.missing.extend(scope.missing.take());
        let (inputs, shared, files) = found?;
        if let Some(state) = self.run.nodes.get_mut(place.node) {
            state.shared = shared;
        }
        Ok(match &node.kind {
            NodeKind::Workflow { workflow, version } => {
                What::Run(RunStart { workflow: workflow.clone(), version: *version, inputs, depth: self.run.depth + 1 })
            }
            NodeKind::Task { code, .. } => What::Task(TaskStart {
                name: name(&self.run.definition.name, node, place),
                code: code.clone(),
                inputs,
                files,
                cache: node.cache,
                settings: settings(node, place),
            }),
            // It is started without any of this.
            NodeKind::Approval { .. } => return Err(NoValue::Missing),
        })
    }

    /// The elements of a mapped node: those that it was opened with, or the same once more after a log was folded.
    fn items(&mut self, node: &Node, place: Place) -> Result<Option<Arc<Vec<Json>>>, NoValue> {
        let Some(map) = &node.map else { return Ok(None) };
        if let Some(items) = self.run.nodes.get(place.node).and_then(|state| state.items.clone()) {
            return Ok(Some(items));
        }
        let scope = Scope::new(self.run, self.values);
        let items = scope.items(&map.over).map(Arc::new);
        self.step.missing.extend(scope.missing.take());
        let items = items?;
        if let Some(state) = self.run.nodes.get_mut(place.node) {
            state.items = Some(items.clone());
        }
        Ok(Some(items))
    }
}

impl Run {
    /// The inputs of a node that waits for a person's word: what it is asked about. `None` where it doesn't wait, or
    /// they have no value. `values` is as for [`Run::plan`]; what it doesn't have counts as having no value.
    pub fn asked_about(&self, key: &str, values: &dyn Fn(Work) -> Option<Json>) -> Option<Json> {
        let position = *self.definition.positions.get(key)?;
        self.approval(position)?;
        let node = self.definition.nodes.get(position)?;
        let scope = Scope::new(self, values);
        inputs(&scope, node, Vec::new()).ok().map(|(inputs, _)| inputs)
    }
}

/// The inputs as one object, and what of it is the same for all elements.
fn inputs(scope: &Scope<'_>, node: &Node, mut shared: Vec<Option<Json>>) -> Result<(Json, Vec<Option<Json>>), NoValue> {
    let mut text = String::from("{");
    let mut missing = false;
    for (position, (name, binding)) in node.inputs.iter().enumerate() {
        let known = shared.get(position).cloned().flatten();
        let value = match known.map_or_else(|| scope.binding(binding), Ok) {
            Ok(value) => value,
            // All that is missing is found in one go.
            Err(NoValue::Missing) => {
                missing = true;
                continue;
            }
            Err(error) => return Err(error.of(&format!("inputs.{name}"))),
        };
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!("{comma}{}:{value}", Json::text(name)));
        bounded(text.len()).map_err(|error| error.of("inputs"))?;
        if let Some(slot) = shared.get_mut(position).filter(|_| node.map.is_some() && is_shared(binding)) {
            *slot = Some(value);
        }
    }
    text.push('}');
    if missing { Err(NoValue::Missing) } else { Ok((Json::written(text), shared)) }
}

fn files(scope: &Scope<'_>, node: &Node) -> Result<Vec<(String, FileSource)>, NoValue> {
    let mut files = Vec::with_capacity(node.files.len());
    for (name, binding) in &node.files {
        let source = file(scope, binding).map_err(|error| error.of(&format!("files[{name:?}]")))?;
        files.extend(source.map(|source| (name.clone(), source)));
    }
    Ok(files)
}

/// `None` where there is no file and that may be.
fn file(scope: &Scope<'_>, binding: &FileBinding) -> Result<Option<FileSource>, NoValue> {
    let absent = |message: String| Err(NoValue::Because(FlowError::MissingFile, message));
    match binding {
        FileBinding::Upload(id) => Ok(Some(FileSource::Upload(id.clone()))),
        FileBinding::From(expr) => {
            let value = scope.value(expr)?;
            if value.is_null() {
                return Ok(None);
            }
            let described = value.described();
            match serde_json::from_str(value.into_json().get()) {
                Ok(id) => Ok(Some(FileSource::Upload(id))),
                Err(_) => absent(format!("the id of an upload is needed, not {described}")),
            }
        }
        FileBinding::Artifact { node, index, optional, name } => {
            let source = scope.source(*node, index.as_ref())?;
            let (left, task) = match source.map(|source| (&source.state, source.work)) {
                Some((InstanceState::Done { artifacts, .. }, Some(Work::Task(task)))) => (artifacts.as_slice(), task),
                _ if *optional => return Ok(None),
                _ => return absent(format!("{name:?} would be left by a task that gave nothing")),
            };
            if left.contains(name) {
                return Ok(Some(FileSource::Artifact { task, name: name.clone() }));
            }
            if *optional {
                return Ok(None);
            }
            let shown: Vec<_> = left.iter().take(12).map(String::as_str).collect();
            let shown = if shown.is_empty() { "no file".to_owned() } else { shown.join(", ") };
            absent(format!("the task left no file {name:?}: it left {shown}"))
        }
    }
}

fn name(workflow: &str, node: &Node, place: Place) -> String {
    let element = if node.map.is_some() { format!("[{}]", place.index) } else { String::new() };
    let own = format!(" / {}{element}", node.key);
    let room = NAME_CHARS_MAX.saturating_sub(own.chars().count());
    let workflow: String = workflow.chars().take(room).collect();
    format!("{workflow}{own}")
}

fn settings(node: &Node, place: Place) -> Vec<(&'static str, Json)> {
    let mut settings = node.settings.clone();
    if let Some(seed) = node.seed {
        let seed = (seed + u64::from(place.index)) % SEEDS;
        settings.push(("seed", Json::written(seed.to_string())));
    }
    settings
}
