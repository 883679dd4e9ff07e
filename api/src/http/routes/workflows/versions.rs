//! `GET /v1/workflows/{id}/versions` and `/versions/{version}`

use super::{WORKFLOW, WorkflowShown, found, json, list::Workflows};
use crate::http::{
    Problem,
    auth::Caller,
    query::{NoQuery, Query},
    router::Api,
    routes::next_cursor,
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_store::LIST_LIMIT_MAX;
use std::sync::Arc;

const LIMIT_DEFAULT: u64 = 50;

/// The versions of a workflow, newest first, without their definitions.
#[utoipa::path(get, path = "/v1/workflows/{id}/versions", tag = "Workflows",
    params(
        ("id" = String, Path, description = "Its id or its name"),
        ("limit" = Option<u32>, Query, description = "Versions of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Workflows))
)]
pub(in crate::http) async fn versions(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let limit = query.integer("limit", 1..=u64::from(LIST_LIMIT_MAX))?.unwrap_or(LIMIT_DEFAULT);
    let before = query.cursor(|text| text.parse::<u32>().ok())?;
    let workflow = found(&api.app, &caller, &id, None).await?;
    let rows = u32::try_from(limit + 1).unwrap_or(LIST_LIMIT_MAX);
    let mut found = api.app.store.workflow_versions(caller.tenant(), workflow.id, before, rows).await?;
    let next_cursor = next_cursor(&mut found, limit, |row| row.version.to_string());
    let workflows = found.into_iter().map(WorkflowShown::new).collect::<Result<_, _>>()?;
    json(StatusCode::OK, &Workflows { workflows, next_cursor })
}

/// A workflow in one of its versions.
#[utoipa::path(get, path = "/v1/workflows/{id}/versions/{version}", tag = "Workflows",
    params(("id" = String, Path, description = "Its id or its name"), ("version" = u32, Path)),
    responses((status = 200, body = WorkflowShown))
)]
pub(in crate::http) async fn version(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((id, version)): Path<(String, String)>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let version: u32 = version.parse().map_err(|_| Problem::not_found(WORKFLOW))?;
    json(StatusCode::OK, &WorkflowShown::new(found(&api.app, &caller, &id, Some(version)).await?)?)
}
