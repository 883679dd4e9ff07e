//! `GET /jobs`, `/jobs/{id}` and `/jobs/{id}/logs`: the tenant's tasks, with the SDK's names.

use super::super::{
    Problem,
    auth::Caller,
    query::{NoQuery, Query},
    router::Api,
    routes::{
        json,
        tasks::{TASK, task_id},
    },
    shown::time,
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::{Code, LogStream, Task, TaskError, TaskId, TaskState};
use mecapy_store::{LIST_LIMIT_MAX, LogEntry, TaskQuery};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Jobs of a list when the request says nothing.
const LIMIT_DEFAULT: u64 = 50;
/// More jobs than these are not counted.
const COUNTED_MAX: u32 = 100_000;

/// How far a job is. The SDK takes two of them for the end: whatever did not complete has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum JobStatus {
    Queued,
    Running,
    Completed,
    /// Also one that was cancelled or took too long.
    Failed,
}

impl JobStatus {
    pub(super) fn of(state: TaskState) -> Self {
        match state {
            TaskState::Queued => JobStatus::Queued,
            TaskState::Running => JobStatus::Running,
            TaskState::Completed => JobStatus::Completed,
            TaskState::Failed | TaskState::Cancelled => JobStatus::Failed,
        }
    }
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Job {
    #[schema(value_type = uuid::Uuid)]
    job_id: TaskId,
    status: JobStatus,
    name: Option<String>,
    /// `owner/package@1.2.0#name`, where a published function is called.
    function: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// From 0 to 1, where the function tells.
    progress: Option<f64>,
    /// Why it failed.
    error: Option<String>,
}

/// The newest jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobList {
    jobs: Vec<Job>,
    /// How many there are in all; 100000 where there are more.
    total: u64,
}

/// What a job wrote.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobLogs {
    #[schema(value_type = uuid::Uuid)]
    job_id: TaskId,
    entries: Vec<JobLogEntry>,
    /// Give this as `since` to see what comes after.
    next_index: u64,
    /// Whether nothing more will come.
    done: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobLogEntry {
    kind: LogStream,
    chunk: String,
}

impl Job {
    fn of(task: Task) -> Self {
        let function = match &task.code {
            Code::Function { function, .. } => Some(function.clone()),
            _ => None,
        };
        let status = JobStatus::of(task.state);
        Self {
            job_id: task.id,
            status,
            name: task.name,
            function,
            created_at: time(task.created_at),
            started_at: task.started_at.map(time),
            completed_at: task.completed_at.map(time),
            progress: task.progress.map(|progress| progress.fraction),
            error: (status == JobStatus::Failed).then(|| told(task.error.as_ref())),
        }
    }
}

/// Why a job failed, for people.
pub(super) fn told(error: Option<&TaskError>) -> String {
    error.map_or_else(|| "the job was cancelled".to_owned(), |error| error.message.clone())
}

/// The newest jobs of the tenant: tasks of all kinds.
#[utoipa::path(get, path = "/jobs", tag = "Compatibility",
    params(("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent")),
    responses((status = 200, body = JobList))
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let limit = Query::of(&uri, &["limit"])?.integer("limit", 1..=u64::from(LIST_LIMIT_MAX))?.unwrap_or(LIMIT_DEFAULT);
    let limit = u32::try_from(limit).unwrap_or(LIST_LIMIT_MAX);
    let store = &api.app.store;
    let page = store.tasks(caller.tenant(), TaskQuery { limit, ..TaskQuery::default() }).await?;
    let total = match page.next_cursor {
        Some(_) => store.count_tasks(caller.tenant(), COUNTED_MAX).await?,
        None => page.tasks.len() as u64,
    };
    json(StatusCode::OK, &JobList { jobs: page.tasks.into_iter().map(Job::of).collect(), total })
}

/// A job as it is now.
#[utoipa::path(get, path = "/jobs/{id}", tag = "Compatibility", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Job)))]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let task = api.app.store.task_shown(caller.tenant(), task_id(&id)?).await?;
    json(StatusCode::OK, &Job::of(task.ok_or_else(|| Problem::not_found(TASK))?))
}

/// What a job wrote to stdout and stderr, from an index on.
#[utoipa::path(get, path = "/jobs/{id}/logs", tag = "Compatibility",
    params(
        ("id" = uuid::Uuid, Path),
        ("since" = Option<u64>, Query, description = "The first index wanted: `next_index` of the answer before")
    ),
    responses((status = 200, body = JobLogs))
)]
pub(super) async fn logs(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let job_id = task_id(&id)?;
    let since = Query::of(&uri, &["since"])?.integer("since", 0..=u64::MAX)?.unwrap_or(0);
    let page = api.app.store.logs(caller.tenant(), job_id, since).await?.ok_or_else(|| Problem::not_found(TASK))?;
    let entry = |LogEntry { stream, text, .. }| JobLogEntry { kind: stream, chunk: text };
    let entries = page.entries.into_iter().map(entry).collect();
    json(StatusCode::OK, &JobLogs { job_id, entries, next_index: page.next_index, done: page.done })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_did_not_complete_has_failed() {
        for state in TaskState::ALL {
            let status = JobStatus::of(state);
            let ended = matches!(status, JobStatus::Completed | JobStatus::Failed);
            assert_eq!(ended, state.is_terminal(), "{state}");
            assert_eq!(status == JobStatus::Completed, state == TaskState::Completed, "{state}");
        }
        assert_eq!(told(None), "the job was cancelled");
    }
}
