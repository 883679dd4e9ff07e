//! Tasks: submit, list, watch, fetch, stop.

pub(in crate::http) mod artifacts;
pub(in crate::http) mod cache;
pub(in crate::http) mod cancel;
pub(in crate::http) mod delete;
pub(in crate::http) mod events;
pub(in crate::http) mod get;
pub(in crate::http) mod idempotency;
pub(in crate::http) mod list;
pub(in crate::http) mod logs;
pub(in crate::http) mod result;
pub(in crate::http) mod retry;
pub(in crate::http) mod submit;
mod unserved;

use super::{id, json, no_body};
use crate::{
    app::App,
    http::{
        Problem,
        auth::Caller,
        shown::{TaskShown, task_path},
    },
    intake::AcceptedTask,
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_model::{Reuse, TaskId};
use mecapy_store::{Idempotency, Replayed, StoreError, Submission, SubmitError, Submitted};
use sha2::{Digest as _, Sha256};

/// What is not found.
pub(in crate::http) const TASK: &str = "task";

pub(in crate::http) fn task_id(text: &str) -> Result<TaskId, Problem> {
    id(text, TASK)
}

/// A request's key, where it has one, with what its body is known by.
pub(in crate::http) fn keyed(key: Option<String>, body: &[u8]) -> Option<Idempotency> {
    key.map(|key| Idempotency { key, body_digest: Sha256::digest(body).into() })
}

/// Stores the task that was `asked` for and answers 202 with it. Another request under the same key must repeat the body,
/// and gets the same answer, also where what it asks for could not be accepted any more.
async fn submit_new(
    app: &App,
    caller: &Caller,
    asked: Result<AcceptedTask, Problem>,
    idempotency: Option<Idempotency>,
) -> Result<Response, Problem> {
    let asked = match (asked, &idempotency) {
        (Ok(asked), _) => asked,
        (Err(problem), None) => return Err(problem),
        (Err(problem), Some(key)) => {
            let earlier = app.store.submitted_before(caller.tenant(), key).await?;
            return accepted(&earlier.ok_or(problem)?);
        }
    };
    accepted(&stored(app, caller, asked, idempotency).await?)
}

/// The task as it was stored, or every upload that it names and that is not there.
pub(in crate::http) async fn stored(
    app: &App,
    caller: &Caller,
    AcceptedTask { task, files_of_code }: AcceptedTask,
    idempotency: Option<Idempotency>,
) -> Result<Submitted, Problem> {
    let files = task.files.clone();
    let kept = app.intake(caller.viewer()).kept_result(&task).await?;
    let submission = Submission { task, idempotency, queued_max: app.limits.queued_per_tenant_max };
    if let Some(source) = kept
        && let Some(submitted) = with_result_of(app, source, &submission).await?
    {
        return Ok(submitted);
    }
    match app.store.submit(submission).await {
        Ok(submitted) => Ok(submitted),
        Err(error) => {
            if matches!(error, SubmitError::UnknownUpload { .. }) {
                // The store names the first that it misses; the caller is told of all.
                app.intake(caller.viewer()).must_have(&files, &files_of_code).await?;
            }
            Err(error.into())
        }
    }
}

/// The task with the result of an earlier one; `None` where that is gone meanwhile, or there is no room for its files
/// once more: then the task runs.
async fn with_result_of(app: &App, source: TaskId, submission: &Submission) -> Result<Option<Submitted>, Problem> {
    let mut submission = submission.clone();
    submission.task.ties.reuse = Reuse::Hit;
    match app.store.submit_cached(submission, source).await {
        Ok(submitted) => Ok(submitted),
        Err(SubmitError::Store(StoreError::OverQuota(_)) | SubmitError::UnknownUpload { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn accepted(submitted: &Submitted) -> Result<Response, Problem> {
    let shown = TaskShown::new(&submitted.task, submitted.queue_position);
    let mut response = json(StatusCode::ACCEPTED, &shown)?;
    if let Ok(location) = HeaderValue::from_str(&task_path(submitted.task.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if submitted.replayed == Replayed::Yes {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// The task of the caller, with its place in the queue.
async fn shown(app: &App, caller: &Caller, id: TaskId, status: StatusCode) -> Result<Response, Problem> {
    let found = app.store.task_with_position(caller.tenant(), id).await?;
    let (task, position) = found.ok_or_else(|| Problem::not_found(TASK))?;
    let workers = unserved::workers_for(app, std::slice::from_ref(&task)).await?;
    let unserved = unserved::warning(&task, &workers);
    let wait = position.filter(|_| unserved.is_none()).and_then(|ahead| app.store.expected_wait(&task, ahead));
    json(status, &TaskShown::new(&task, position).expecting(wait).warned(unserved))
}
