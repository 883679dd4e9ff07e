//! `GET /v1/tasks/{id}`

use super::{shown, task_id};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api, shown::TaskShown};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A task as it is now.
#[utoipa::path(get, path = "/v1/tasks/{id}", tag = "Tasks", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = TaskShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    shown(&api.app, &caller, task_id(&id)?, StatusCode::OK).await
}
