//! `GET /v1/workflow-runs`

use super::{json, shown::RunShown};
use crate::{
    app::App,
    http::{Problem, auth::Caller, query::Query, router::Api, routes::page_of},
};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::WorkflowId;
use mecapy_store::{RunQuery, RunState};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Some of the tenant's runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunPage)]
pub(in crate::http) struct Runs {
    runs: Vec<RunShown>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// The caller's runs, newest first, without inputs, outputs and nodes.
#[utoipa::path(get, path = "/v1/workflow-runs", tag = "Workflows",
    params(
        ("state" = Option<String>, Query, description = "`running`, `completed`, `failed` or `cancelled`"),
        ("workflow" = Option<String>, Query, description = "Only runs of this workflow, by its id or name"),
        ("study" = Option<uuid::Uuid>, Query, description = "Only runs of this study"),
        ("parent" = Option<uuid::Uuid>, Query, description = "Only runs that are nodes of this run"),
        ("limit" = Option<u32>, Query, description = "Runs of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Runs))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["state", "workflow", "study", "parent", "limit", "cursor"])?;
    let filter = RunQuery {
        state: query.word::<RunState>("state")?,
        workflow: workflow(&api.app, &caller, &mut query).await?,
        study: query.id("study")?,
        parent: query.id("parent")?,
    };
    let page = api.app.store.runs(caller.tenant(), filter, page_of(&mut query)?).await?;
    let runs = page.items.iter().map(RunShown::brief).collect();
    json(StatusCode::OK, &Runs { runs, next_cursor: page.next_cursor })
}

/// The workflow that the query names. The runs of one that was deleted are found by its id.
async fn workflow(app: &App, caller: &Caller, query: &mut Query) -> Result<Option<WorkflowId>, Problem> {
    let Some(text) = query.text("workflow").filter(|text| !text.is_empty()) else { return Ok(None) };
    if let Ok(id) = text.parse() {
        return Ok(Some(id));
    }
    let found = app.store.workflow(caller.tenant(), &text, None).await?;
    let missing = || Problem::fault("/workflow", "unknown_workflow", "there is no such workflow");
    Ok(Some(found.ok_or_else(missing)?.id))
}
