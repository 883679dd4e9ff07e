//! `POST /v1/tasks/{id}/retry`

use super::{TASK, no_body, submit_new, task_id};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, router::Api, shown::TaskShown};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use mecapy_model::Task;
use mecapy_store::NewTask;
use std::sync::Arc;

/// Submits an ended task again, as a new task with the same seed.
#[utoipa::path(post, path = "/v1/tasks/{id}/retry", tag = "Tasks",
    params(
        ("id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it twice harmless; kept for 24 h")
    ),
    responses(
        (status = 202, body = TaskShown, headers(("Location" = String, description = "The new task's path"))),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has not ended")
    )
)]
pub(in crate::http) async fn retry(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let headers = request.headers().clone();
    no_body(request).await?;
    let task = api.app.store.task(caller.tenant(), id).await?.ok_or_else(|| Problem::not_found(TASK))?;
    if !task.state.is_terminal() {
        return Err(Problem::conflict(format!(
            "the task is {}: only a task that has ended can be retried",
            task.state
        )));
    }
    submit_new(&api.app, again(task), &headers, format!("retry {id}").as_bytes()).await
}

/// The same request once more; what happened to the first is left behind.
fn again(task: Task) -> NewTask {
    NewTask {
        tenant: task.tenant,
        name: task.name,
        lane: task.lane,
        priority: task.priority,
        code: task.code,
        inputs: task.inputs,
        files: task.files,
        limits: task.limits,
        retry: task.retry,
        seed: task.seed,
        non_finite: task.non_finite,
        labels: task.labels,
        run_at: None,
        retry_of: Some(task.id),
    }
}
