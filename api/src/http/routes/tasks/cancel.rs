//! `POST /v1/tasks/{id}/cancel`

use super::{TASK, no_body, shown, task_id};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, router::Api, shown::TaskShown};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::TaskState;
use mecapy_store::Cancelled;
use std::sync::Arc;

/// Stops a task, queued or running.
///
/// A running one ends within milliseconds; 202 says that it was told. Asking again is harmless.
#[utoipa::path(post, path = "/v1/tasks/{id}/cancel", tag = "Tasks", params(("id" = uuid::Uuid, Path)), responses(
    (status = 202, body = TaskShown),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has ended otherwise")
))]
pub(in crate::http) async fn cancel(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    no_body(request).await?;
    match api.store_for(&caller).cancel(caller.tenant(), id).await? {
        Cancelled::Now | Cancelled::AlreadyEnded(TaskState::Cancelled) => (),
        Cancelled::Requested => api.app.stop_running(id),
        Cancelled::AlreadyEnded(state) => return Err(Problem::conflict(format!("the task is {state} already"))),
        Cancelled::Missing => return Err(Problem::not_found(TASK)),
    }
    shown(&api.app, &caller, id, StatusCode::ACCEPTED).await
}
