//! How runs are shown.

use super::run_path;
use crate::{http::shown::time, workflows::Looked};
use mecapy_store::{RunRow, RunState};
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
        let _ = looked;
        let whole = Whole { inputs: row.inputs.clone(), outputs: row.outputs.clone(), pins: row.pins.clone() };
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
