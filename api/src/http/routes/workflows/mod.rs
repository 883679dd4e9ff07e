//! Workflows: save, list, look at, start, delete.

pub(in crate::http) mod delete;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod save;
pub(in crate::http) mod start;
pub(in crate::http) mod versions;

use super::json;
use crate::{
    app::App,
    http::{Problem, auth::Caller, shown::time},
};
use mecapy_store::WorkflowRow;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What is not found.
pub(in crate::http) const WORKFLOW: &str = "workflow";

/// A workflow in one of its versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workflow)]
pub(in crate::http) struct WorkflowShown {
    id: uuid::Uuid,
    name: String,
    /// From 1; each save that differs makes the next.
    version: u32,
    /// The newest version.
    latest: u32,
    /// As it was saved; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    definition: Option<Box<RawValue>>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When this version was.
    #[schema(format = DateTime)]
    saved_at: String,
    links: WorkflowLinks,
}

/// Where to go from a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WorkflowLinks {
    #[serde(rename = "self")]
    workflow: String,
    versions: String,
    runs: String,
}

impl WorkflowShown {
    pub(in crate::http) fn new(row: WorkflowRow) -> Result<Self, Problem> {
        let definition = match row.definition.is_empty() {
            true => None,
            false => Some(RawValue::from_string(row.definition).map_err(|error| Problem::internal(&error))?),
        };
        let workflow = workflow_path(&row.id.to_string());
        Ok(Self {
            id: row.id.0,
            name: row.name,
            version: row.version,
            latest: row.latest,
            definition,
            created_at: time(row.created_at),
            saved_at: time(row.saved_at),
            links: WorkflowLinks {
                versions: format!("{workflow}/versions"),
                runs: format!("/v1/workflow-runs?workflow={}", row.id),
                workflow,
            },
        })
    }
}

/// The path of a workflow.
fn workflow_path(id: &str) -> String {
    format!("/v1/workflows/{id}")
}

/// The workflow of the caller by its id or name, in a version or in the newest.
pub(in crate::http) async fn found(
    app: &App,
    caller: &Caller,
    id: &str,
    version: Option<u32>,
) -> Result<WorkflowRow, Problem> {
    let found = app.store.workflow(caller.tenant(), id, version).await?;
    found.ok_or_else(|| Problem::not_found(WORKFLOW))
}
