//! What a step of a run starts: tasks by the intake of tasks, nested runs with the versions of theirs.

use super::{
    advance::Trouble,
    begin::{text_of, unix_ms},
    definitions::{Definitions, Known, Unreadable},
};
use crate::{
    functions::Functions,
    intake::{AcceptedTask, Intake, Rejected},
    json,
};
use mecapy_model::{ArtifactName, Code, ErrorKind, Fault, Reuse, TaskId, UploadId};
use mecapy_store::{NewRun, NodeTask, ParentNode, RunRow, StoreError};
use mecapy_workflow::{CacheMode, FailureKind, FileSource, FlowError, Json, Run, RunStart, Start, TaskStart, What};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Faults of one request that a node's error tells.
const FAULTS_TOLD_MAX: usize = 5;
/// When to ask again for what the queue has no room for.
const NOT_QUEUED: Duration = Duration::from_secs(5);

/// Makes what a run's nodes need, for one step.
pub(super) struct Maker<'a> {
    pub(super) intake: Intake<'a>,
    pub(super) definitions: &'a Definitions,
    pub(super) row: &'a RunRow,
    pub(super) known: &'a Known,
    /// Files that were handed over in this step: elements of a mapped node often share them.
    pub(super) uploads: HashMap<(TaskId, String), UploadId>,
}

/// What was made for a start.
pub(super) enum Made {
    Task(Box<NodeTask>),
    Run(Box<NewRun>),
    /// It can't be made, now or later.
    Refused(FailureKind, String),
}

impl Maker<'_> {
    /// # Errors
    /// It can't be made just now.
    pub(super) async fn make(&mut self, start: &Start) -> Result<Made, Trouble> {
        match &start.what {
            What::Task(task) => self.task(task).await,
            What::Run(run) => self.run(start, run).await,
        }
    }

    async fn task(&mut self, start: &TaskStart) -> Result<Made, Trouble> {
        let mut ids = HashMap::new();
        for (name, source) in &start.files {
            let FileSource::Artifact { task, name: artifact } = source else { continue };
            match self.upload_of(*task, artifact).await? {
                Some(upload) => {
                    ids.insert(name.as_str(), upload);
                }
                None => {
                    let message = format!("the file {artifact:?} of task {task} is not there any more");
                    return Ok(Made::Refused(FlowError::MissingFile.into(), message));
                }
            }
        }
        let Some(pinned) = self.pinned(start) else {
            let message = "the node calls a function that the run was not started with";
            return Ok(Made::Refused(ErrorKind::InvalidInput.into(), message.to_owned()));
        };
        let request = pinned.request(|name, _| ids.get(name).copied());
        let request = with_cache(request, pinned.cache);
        match json::check(request.as_bytes()) {
            Ok(text) => match self.intake.task(text).await {
                Ok(accepted) => self.accepted(start, accepted).await,
                Err(rejected) => refusal(rejected),
            },
            Err(malformed) => Ok(Made::Refused(ErrorKind::InvalidInput.into(), malformed.to_string())),
        }
    }

    /// The start with the version of its function that the run keeps to.
    fn pinned(&self, start: &TaskStart) -> Option<TaskStart> {
        let Some(name) = function_of(&start.code) else { return Some(start.clone()) };
        let pinned = self.known.pins.functions.get(&name)?;
        let code = Json::parse(format!("{{\"function\":{}}}", Json::text(&pinned.function))).ok()?;
        Some(TaskStart { code, ..start.clone() })
    }

    async fn accepted(&self, start: &TaskStart, accepted: AcceptedTask) -> Result<Made, Trouble> {
        let AcceptedTask { mut task, .. } = accepted;
        if let (Code::Function { package, .. }, Some(name)) = (&task.code, function_of(&start.code))
            && self.known.pins.functions.get(&name).is_some_and(|pinned| pinned.package != *package)
        {
            let message = format!("{name} is another package now than the one that the run was started with");
            return Ok(Made::Refused(ErrorKind::InvalidInput.into(), message));
        }
        let (store, tenant) = (self.intake.store, self.row.tenant);
        let id = store.new_task_id();
        task.ties.study = self.row.study;
        let mut cached = None;
        if let Some(source) = self.intake.kept_result(&task).await? {
            cached = match store.copy_cached(tenant, source, id).await {
                // There is no room for its files once more, so it runs, and says so itself.
                Err(StoreError::OverQuota(_)) => None,
                copied => copied?,
            };
            if cached.is_some() {
                task.ties.cached_from = Some(source);
                task.ties.reuse = Reuse::Hit;
            }
        }
        Ok(Made::Task(Box::new(NodeTask { id, task, cached })))
    }

    async fn upload_of(&mut self, task: TaskId, artifact: &str) -> Result<Option<UploadId>, Trouble> {
        let key = (task, artifact.to_owned());
        if let Some(known) = self.uploads.get(&key) {
            return Ok(Some(*known));
        }
        let Ok(name) = ArtifactName::parse(artifact) else { return Ok(None) };
        let made = self.intake.store.upload_of_artifact(self.row.tenant, task, &name).await?;
        if let Some(upload) = made {
            self.uploads.insert(key, upload);
        }
        Ok(made)
    }

    async fn run(&self, start: &Start, nested: &RunStart) -> Result<Made, Trouble> {
        let refused = |kind: FailureKind, message: String| Ok(Made::Refused(kind, message));
        let Some(pinned) = self.known.pins.workflow(&nested.workflow, nested.version) else {
            return refused(
                FlowError::Workflow.into(),
                "the node calls a workflow that the run was not started with".to_owned(),
            );
        };
        let store = self.intake.store;
        let row = RunRow {
            id: store.new_run_id(),
            workflow: pinned.id,
            version: pinned.version,
            // The nested run keeps to the versions of the one that it is in.
            pins: self.row.pins.clone(),
            ..self.row.clone()
        };
        let known = match self.definitions.of(store, self.functions(), &row).await {
            Ok(known) => known,
            Err(Unreadable::Gone(message)) => return refused(FlowError::Workflow.into(), message),
            Err(Unreadable::Store(error)) => return Err(error.into()),
        };
        let inputs = match known.definition.check_inputs(nested.inputs.raw(), "/inputs") {
            Ok(checked) => checked.values,
            Err(faults) => return refused(ErrorKind::InvalidInput.into(), told(&faults)),
        };
        let name = known.definition.name.clone();
        let (_, first) = Run::begin(Arc::clone(&known.definition), inputs.clone(), nested.depth, unix_ms(store.now()));
        Ok(Made::Run(Box::new(NewRun {
            id: row.id,
            tenant: row.tenant,
            workflow: row.workflow,
            version: row.version,
            name: Some(name),
            inputs: inputs.raw().to_owned(),
            pins: row.pins,
            parent: Some(ParentNode { run: self.row.id, key: start.key.clone(), index: start.index }),
            depth: nested.depth,
            study: row.study,
            labels: row.labels,
            events: vec![text_of(&first)?],
        })))
    }

    fn functions(&self) -> &Functions {
        self.intake.functions
    }
}

/// A request that intake does not accept: the node's own failure where it is at fault, else nobody's yet.
fn refusal(rejected: Rejected) -> Result<Made, Trouble> {
    match rejected {
        Rejected::Malformed(malformed) => Ok(Made::Refused(ErrorKind::InvalidInput.into(), malformed.to_string())),
        Rejected::Invalid(faults) => Ok(Made::Refused(ErrorKind::InvalidInput.into(), told(&faults))),
        // Nobody waits for a compiler here: a node's source is compiled by its task.
        Rejected::NotQueued(_) => Err(Trouble::NotNow(NOT_QUEUED)),
        Rejected::NotReady { retry_after, .. } | Rejected::Busy { retry_after, .. } => {
            Err(Trouble::NotNow(retry_after))
        }
        Rejected::Store(error) => Err(error.into()),
    }
}

/// The faults of a request as one text.
pub(super) fn told(faults: &[Fault]) -> String {
    let first = faults.iter().take(FAULTS_TOLD_MAX).map(|fault| format!("{}: {}", fault.pointer, fault.message));
    let mut text = first.collect::<Vec<_>>().join("; ");
    if faults.len() > FAULTS_TOLD_MAX {
        text.push_str(&format!("; and {} more", faults.len() - FAULTS_TOLD_MAX));
    }
    text
}

/// The published function that a node's code names.
fn function_of(code: &Json) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        function: Option<String>,
    }
    serde_json::from_str::<Named>(code.get()).ok()?.function
}

/// A request with what it says of earlier results, which begins and ends as an object does.
fn with_cache(request: String, cache: CacheMode) -> String {
    match (cache, request.strip_suffix('}')) {
        (CacheMode::Off, _) | (_, None) => request,
        (cache, Some(open)) => format!("{open},\"cache\":\"{}\"}}", cache.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_its_node_does_of_earlier_results() {
        let request = r#"{"name":"a"}"#.to_owned();
        assert_eq!(with_cache(request.clone(), CacheMode::Off), request);
        assert_eq!(with_cache(request, CacheMode::Use), r#"{"name":"a","cache":"use"}"#);
    }

    #[test]
    fn a_function_is_found_in_code_and_nothing_else_is() {
        let code = |text: &str| function_of(&Json::parse(text).unwrap());
        assert_eq!(code(r#"{"function":"acme/joint#preload"}"#).as_deref(), Some("acme/joint#preload"));
        assert_eq!(code(r#"{"language":"python","source":"function"}"#), None);
    }

    #[test]
    fn a_nodes_error_tells_the_first_faults() {
        let fault = |index: usize| Fault::new(format!("/inputs/{index}"), "required", "is needed");
        let all: Vec<_> = (0..7).map(fault).collect();
        assert!(told(&all).starts_with("/inputs/0: is needed; ") && told(&all).ends_with("; and 2 more"));
        assert_eq!(told(&all[..1]), "/inputs/0: is needed");
    }
}
