//! `GET /v1/workflows/{id}`

use super::{WorkflowShown, found, json};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A workflow by its id or name, in its newest version.
#[utoipa::path(get, path = "/v1/workflows/{id}", tag = "Workflows",
    params(("id" = String, Path, description = "Its id or its name")),
    responses((status = 200, body = WorkflowShown))
)]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    json(StatusCode::OK, &WorkflowShown::new(found(&api.app, &caller, &id, None).await?)?)
}
