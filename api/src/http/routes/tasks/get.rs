//! `GET /v1/tasks/{id}`

use super::{no_query, shown, task_id};
use crate::http::{Problem, auth::Caller, router::Api, shown::TaskShown};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
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
    uri: Uri,
) -> Result<Response, Problem> {
    no_query(&uri)?;
    shown(&api.app, &caller, task_id(&id)?, StatusCode::OK).await
}
