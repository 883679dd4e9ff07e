//! `GET /v1/workflow-runs/{id}`

use super::{found, run_id, shown, shown::RunShown};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A run as it is now, with the states of its nodes.
#[utoipa::path(get, path = "/v1/workflow-runs/{id}", tag = "Workflows", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = RunShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let row = found(&api.app, &caller, run_id(&id)?).await?;
    shown(&api.app, &row, StatusCode::OK).await
}
