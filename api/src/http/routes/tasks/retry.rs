//! `POST /v1/tasks/{id}/retry`

use super::{TASK, idempotency, keyed, no_body, submit_new, task_id};
use crate::{
    app::App,
    http::{Problem, auth::Caller, problem::ProblemBody, router::Api, shown::TaskShown},
    intake::AcceptedTask,
};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use mecapy_model::{Code, TaskId};
use std::{collections::BTreeSet, sync::Arc};

/// Submits an ended task again, as a new task with the same seed.
#[utoipa::path(post, path = "/v1/tasks/{id}/retry", tag = "Tasks",
    params(
        ("id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it twice harmless: `\"…\"`, or the same without quotes; kept for 24 h")
    ),
    responses(
        (status = 202, body = TaskShown, headers(
            ("Location" = String, description = "The new task's path"),
            ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request made the task: the body is its answer")
        )),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has not ended, or it carries out items of a batch")
    )
)]
pub(in crate::http) async fn retry(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let key = idempotency::key(request.headers())?;
    no_body(request).await?;
    let asked = again(&api.app, &caller, id).await;
    submit_new(&api.app, &caller, asked, keyed(key, format!("retry {id}").as_bytes())).await
}

async fn again(app: &App, caller: &Caller, id: TaskId) -> Result<AcceptedTask, Problem> {
    let task = app.store.task(caller.tenant(), id).await?.ok_or_else(|| Problem::not_found(TASK))?;
    match &task.code {
        Code::Items { batch, .. } => {
            let detail = format!(
                "the task carries out items of the batch {batch} and is none of its own: POST /v1/batches/{batch}/retry runs \
                 again what failed"
            );
            return Err(Problem::conflict(detail));
        }
        // The platform's own, which nobody asked for.
        Code::Compile { .. } => return Err(Problem::not_found(TASK)),
        _ => {}
    }
    if !task.state.is_terminal() {
        let detail = format!("the task is {}: only a task that has ended can be retried", task.state);
        return Err(Problem::conflict(detail));
    }
    let task = app.intake(caller.viewer()).again(task).await?;
    Ok(AcceptedTask { task, files_of_code: BTreeSet::new() })
}
