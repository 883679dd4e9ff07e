//! `GET /v1/workflows`

use super::{WorkflowShown, json};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, routes::page_of};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Some of the tenant's workflows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowPage)]
pub(in crate::http) struct Workflows {
    pub(super) workflows: Vec<WorkflowShown>,
    /// Give this as `cursor` to see more; null at the end.
    pub(super) next_cursor: Option<String>,
}

/// The caller's workflows in their newest versions, newest workflow first, without their definitions.
#[utoipa::path(get, path = "/v1/workflows", tag = "Workflows",
    params(
        ("limit" = Option<u32>, Query, description = "Workflows of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Workflows))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let page = api.app.store.workflows(caller.tenant(), page_of(&mut query)?).await?;
    let workflows = page.items.into_iter().map(WorkflowShown::new).collect::<Result<_, _>>()?;
    json(StatusCode::OK, &Workflows { workflows, next_cursor: page.next_cursor })
}
