//! `GET /jobs/{id}/result`: what the SDK asks every 2 s for, until the job has ended.

use super::{
    super::{
        Problem,
        auth::Caller,
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        routes::{
            json,
            tasks::{TASK, task_id},
        },
    },
    jobs::{JobStatus, told},
    output_files,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::{ErrorKind, TaskId};
use mecapy_store::{StoreError, TaskResult};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// How long an answer waits for the end of a job: most end meanwhile, and whoever asked need not wait for its next turn.
const WAIT: Duration = Duration::from_secs(1);

/// How a job ended: with `result`, or with `error`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobResult {
    status: JobStatus,
    /// What the function gave. Files among it are names, and `_output_files` has them by their outputs in Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<Box<RawValue>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<ErrorKind>,
    /// The function's own traceback.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceback: Option<String>,
}

/// How a job ended. While it runs, 409 after a second at most.
#[utoipa::path(get, path = "/jobs/{id}/result", tag = "Compatibility", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = JobResult),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Not ended yet, or not known just now: ask again"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Its output files are larger than an answer may be")
    )
)]
pub(super) async fn result(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let ended = ended(&api, &caller, id).await.map_err(not_now)?.ok_or_else(|| Problem::not_found(TASK))?;
    let status = JobStatus::of(ended.state);
    let shown = match (status, ended.result) {
        (JobStatus::Queued | JobStatus::Running, _) => {
            return Err(Problem::conflict(format!("the job is {} and has no result yet", ended.state)));
        }
        (JobStatus::Completed, Some(result)) => {
            let result = output_files::with_files(&api.app, caller.tenant(), id, result).await?;
            JobResult { status, result: Some(result), error: None, error_kind: None, traceback: None }
        }
        (JobStatus::Completed | JobStatus::Failed, _) => JobResult {
            status,
            result: None,
            error: Some(told(ended.error.as_ref())),
            error_kind: ended.error.as_ref().map(|error| error.kind),
            traceback: ended.error.and_then(|error| error.traceback),
        },
    };
    json(StatusCode::OK, &shown)
}

/// The task's end, waited for where the caller may have one more request that waits.
async fn ended(api: &Api, caller: &Caller, id: TaskId) -> Result<Option<TaskResult>, StoreError> {
    let store = &api.app.store;
    let Ok(_place) = api.waits.open(&caller.reader()) else { return store.result(caller.tenant(), id).await };
    tokio::select! {
        found = store.wait(caller.tenant(), id, WAIT) => found,
        () = api.app.stopping.cancelled() => store.result(caller.tenant(), id).await,
    }
}

/// A 5xx ends the SDK's call, although the job goes on: what may be known in a moment is as good as not ended.
pub(super) fn not_now(error: StoreError) -> Problem {
    if error.is_retryable() || matches!(error, StoreError::Closed) {
        tracing::warn!(error = ?error, "compat.result: the store is not available");
        return Problem::conflict("the platform can't tell just now how the job ended: ask again in a moment");
    }
    error.into()
}
