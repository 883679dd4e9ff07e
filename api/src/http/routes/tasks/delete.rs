//! `DELETE /v1/tasks/{id}`

use super::{TASK, task_id};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::Deleted;
use std::sync::Arc;

/// Deletes an ended task with its result, logs and artifacts.
#[utoipa::path(delete, path = "/v1/tasks/{id}", tag = "Tasks", params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has not ended")
))]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.store_for(&caller).delete_task(caller.tenant(), task_id(&id)?).await? {
        Deleted::Yes => Ok(StatusCode::NO_CONTENT),
        Deleted::NotEnded(state) => Err(Problem::conflict(format!("the task is {state}: cancel it first"))),
        Deleted::Missing => Err(Problem::not_found(TASK)),
    }
}
