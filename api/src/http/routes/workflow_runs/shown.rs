//! How runs are shown.

use super::run_path;
use crate::{http::shown::time, workflows::Looked};
use ::time::OffsetDateTime;
use mecapy_model::{RunId, TaskId};
use mecapy_store::{RunRow, RunState};
use mecapy_workflow::{Counts, ErrorView, InstanceView, Json, NodeView, Run, SkipReason, Work};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One execution of a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRun)]
pub(in crate::http) struct RunShown {
    id: uuid::Uuid,
    workflow: uuid::Uuid,
    version: u32,
    name: Option<String>,
    /// `running`, `completed`, `failed` or `cancelled`.
    state: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    study: Option<uuid::Uuid>,
    labels: BTreeMap<String, String>,
    /// The node that it is, of another run.
    parent: Option<ParentShown>,
    /// Why it failed: the node, the kind of its error, and words.
    #[schema(value_type = Option<Object>)]
    error: Option<Box<RawValue>>,
    links: RunLinks,
    #[serde(flatten)]
    whole: Option<Whole>,
}

/// What lists leave out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunWhole)]
pub(in crate::http) struct Whole {
    /// As they were checked, in the units of the workflow's ports.
    #[schema(value_type = Object)]
    inputs: Box<RawValue>,
    /// What came out of it.
    #[schema(value_type = Option<Object>)]
    outputs: Option<Box<RawValue>>,
    /// The versions that it keeps to.
    #[schema(value_type = Object)]
    pins: Box<RawValue>,
    /// Whether it is on its way to its end: cancelled, or failed, while some of it still runs.
    stopping: bool,
    progress: Option<RunProgress>,
    /// Null where the log can't be read any more.
    nodes: Option<Vec<NodeShown>>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[schema(as = WorkflowRunProgress)]
pub(in crate::http) struct RunProgress {
    /// From 0 to 1, by nodes; those that are mapped count by their elements.
    fraction: f64,
    nodes: usize,
    /// Those that have completed, were skipped, failed or were cancelled.
    nodes_ended: usize,
}

/// A node of a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunNode)]
pub(in crate::http) struct NodeShown {
    key: String,
    /// `task`, `approval` or `workflow`.
    kind: &'static str,
    /// `pending`, `ready`, `running`, `waiting` (for another try), `approval` (for a person), `completed`, `failed`,
    /// `skipped` or `cancelled`.
    state: &'static str,
    /// Elements of a mapped node, once they are known: see `…/nodes/{key}`.
    width: Option<u32>,
    /// Its elements by state.
    counts: NodeCounts,
    /// Why it was skipped.
    skipped: Option<String>,
    /// What the person is asked.
    message: Option<String>,
    /// What it is about: the inputs of a node that waits for a person, unless they take large values.
    #[schema(value_type = Option<Object>)]
    about: Option<Json>,
    /// Of a node that is not mapped.
    instance: Option<InstanceShown>,
    error: Option<NodeError>,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The nodes that it waits for.
    after: Vec<String>,
}

/// Elements by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WorkflowRunNodeCounts)]
pub(in crate::http) struct NodeCounts {
    pending: u32,
    running: u32,
    completed: u32,
    failed: u32,
    cancelled: u32,
}

/// A node that is not mapped, or one element of one that is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunInstance)]
pub(in crate::http) struct InstanceShown {
    /// Of a mapped node.
    index: Option<u32>,
    state: &'static str,
    /// The newest, from 1; 0 before the first.
    attempt: u32,
    /// What carries it out: see `/v1/tasks/{id}`.
    #[schema(value_type = Option<uuid::Uuid>)]
    task: Option<TaskId>,
    /// The nested run that it is.
    #[schema(value_type = Option<uuid::Uuid>)]
    run: Option<RunId>,
    /// Null where it is large: then it is the task's result, or the nested run's outputs.
    #[schema(value_type = Option<Object>)]
    output: Option<Json>,
    /// Names of the files that it left.
    artifacts: Vec<String>,
    error: Option<NodeError>,
    /// When it is tried again.
    #[schema(format = DateTime)]
    retry_at: Option<String>,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

/// Why a node failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunNodeError)]
pub(in crate::http) struct NodeError {
    /// The kind of a task's error; `expression`, `map`, `missing_file`, `too_large`, `workflow`, `too_deep` or `rejected`.
    kind: String,
    message: String,
}

/// The node that a run is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunParent)]
pub(in crate::http) struct ParentShown {
    run: uuid::Uuid,
    key: String,
    index: Option<u32>,
}

/// Where to go from a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunLinks)]
pub(in crate::http) struct RunLinks {
    #[serde(rename = "self")]
    run: String,
    workflow: String,
    events: String,
    timeline: String,
    artifacts: String,
    tasks: String,
    cancel: String,
    restart: String,
}

impl RunShown {
    /// A run with the states of its nodes, where its log can be read.
    pub(in crate::http) fn new(row: &RunRow, looked: Option<&Looked>) -> Self {
        let run = looked.map(|looked| &looked.run);
        let view = run.map(Run::view);
        let whole = Whole {
            inputs: row.inputs.clone(),
            outputs: row.outputs.clone(),
            pins: row.pins.clone(),
            stopping: view.as_ref().is_some_and(|view| view.is_stopping),
            progress: view.as_ref().map(|view| RunProgress::of(&view.nodes)),
            nodes: run.zip(view).map(|(run, view)| {
                let nodes = view.nodes.into_iter();
                nodes.map(|node| NodeShown::of(run, node)).collect()
            }),
        };
        Self { whole: Some(whole), ..Self::brief(row) }
    }

    /// The same without what may be long.
    pub(in crate::http) fn brief(row: &RunRow) -> Self {
        let run = run_path(row.id);
        let under = |what: &str| format!("{run}/{what}");
        Self {
            id: row.id.0,
            workflow: row.workflow.0,
            version: row.version,
            name: row.name.clone(),
            state: RunState::as_str(row.state),
            created_at: time(row.created_at),
            completed_at: row.completed_at.map(time),
            study: row.study.map(|study| study.0),
            labels: row.labels.clone(),
            parent: row.parent.as_ref().map(|parent| ParentShown {
                run: parent.run.0,
                key: parent.key.clone(),
                index: parent.index,
            }),
            error: row.error.clone(),
            links: RunLinks {
                workflow: format!("/v1/workflows/{}/versions/{}", row.workflow, row.version),
                events: under("events"),
                timeline: under("timeline"),
                artifacts: under("artifacts"),
                tasks: format!("/v1/tasks?run={}", row.id),
                cancel: under("cancel"),
                restart: under("restart"),
                run,
            },
            whole: None,
        }
    }
}

impl RunProgress {
    fn of(nodes: &[NodeView]) -> Self {
        let ended = |node: &&NodeView| matches!(node.state, "completed" | "failed" | "skipped" | "cancelled");
        let share = |node: &NodeView| {
            let Counts { completed, failed, cancelled, .. } = node.counts;
            match node.width {
                _ if ended(&node) => 1.0,
                Some(width) if width > 0 => f64::from(completed + failed + cancelled) / f64::from(width),
                _ => 0.0,
            }
        };
        let done: f64 = nodes.iter().map(share).sum();
        let fraction = if nodes.is_empty() { 1.0 } else { done / nodes.len() as f64 };
        Self { fraction, nodes: nodes.len(), nodes_ended: nodes.iter().filter(ended).count() }
    }
}

impl NodeShown {
    pub(super) fn of(run: &Run, node: NodeView) -> Self {
        let Counts { pending, running, completed, failed, cancelled } = node.counts;
        let about = if node.state == "approval" { run.asked_about(&node.key, &|_| None) } else { None };
        Self {
            about,
            key: node.key,
            kind: node.kind,
            state: node.state,
            width: node.width,
            counts: NodeCounts { pending, running, completed, failed, cancelled },
            skipped: node.skipped.map(|reason| match reason {
                SkipReason::When => "its condition was false".to_owned(),
                SkipReason::Needs(key) => format!("it needs the output of {key}, which has none"),
            }),
            message: node.message,
            instance: node.instance.map(InstanceShown::of),
            error: node.error.map(NodeError::of),
            started_at: node.started_ms.map(at),
            ended_at: node.ended_ms.map(at),
            after: node.after,
        }
    }
}

impl InstanceShown {
    pub(super) fn of(instance: InstanceView) -> Self {
        let (task, run) = match instance.work {
            Some(Work::Task(task)) => (Some(task), None),
            Some(Work::Run(run)) => (None, Some(run)),
            Some(Work::Approval) | None => (None, None),
        };
        Self {
            index: instance.index,
            state: instance.state,
            attempt: instance.attempt,
            task,
            run,
            output: instance.output,
            artifacts: instance.artifacts,
            error: instance.error.map(NodeError::of),
            retry_at: instance.retry_ms.map(at),
            started_at: instance.started_ms.map(at),
            ended_at: instance.ended_ms.map(at),
        }
    }
}

impl NodeError {
    fn of(error: ErrorView) -> Self {
        Self { kind: error.kind.to_string(), message: error.message }
    }
}

/// A time of a log, as the contract writes it.
pub(super) fn at(unix_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000);
    at.map_or_else(|_| String::new(), time)
}
