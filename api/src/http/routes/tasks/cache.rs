//! `GET /v1/tasks/{id}/cache`: whether a task has an earlier result, and why.

use super::{super::json, TASK, task_id};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::{CacheMode, Digest, Reuse, Task, TaskId, TaskState};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a task made of earlier results, and what others make of its own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskCache)]
pub(super) struct CacheShown {
    mode: CacheMode,
    /// SHA-256 over what decides the result: code, version and digest, inputs, files, interpreter or image,
    /// kernels, seed.
    #[schema(value_type = Option<String>)]
    key: Option<Digest>,
    /// Whether the task has an earlier result, without having run.
    hit: bool,
    /// Whose result it has.
    #[schema(value_type = Option<uuid::Uuid>)]
    source_task: Option<TaskId>,
    /// The task whose result an equal request would get now.
    #[schema(value_type = Option<uuid::Uuid>)]
    kept_task: Option<TaskId>,
    reason: Reason,
    /// The reason in words.
    message: &'static str,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// The request asked for no earlier result.
    Off,
    Hit,
    /// The same, and the earlier task was deleted since: the result is this task's own.
    SourceDeleted,
    /// Nothing was kept for the computation.
    NothingYet,
    /// The same; and what the task itself kept was invalidated since.
    Invalidated,
    /// The request asked for a run.
    Refresh,
}

/// Whether a task has an earlier result, and why.
#[utoipa::path(get, path = "/v1/tasks/{id}/cache", tag = "Tasks", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = CacheShown)
))]
pub(in crate::http) async fn cache(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let (store, tenant) = (&api.app.store, caller.tenant());
    let task = store.task_shown(tenant, task_id(&id)?).await?.ok_or_else(|| Problem::not_found(TASK))?;
    let kept_task = match task.ties.cache_key {
        Some(key) => store.cached(tenant, key).await?,
        None => None,
    };
    let source_is_there = match task.ties.cached_from {
        Some(source) => store.task_shown(tenant, source).await?.is_some(),
        None => false,
    };
    let (reason, message) = reason(&task, kept_task, source_is_there);
    json(
        StatusCode::OK,
        &CacheShown {
            mode: task.ties.reuse.mode(),
            key: task.ties.cache_key,
            hit: task.ties.reuse == Reuse::Hit,
            source_task: task.ties.cached_from,
            kept_task,
            reason,
            message,
        },
    )
}

fn reason(task: &Task, kept: Option<TaskId>, source_is_there: bool) -> (Reason, &'static str) {
    match task.ties.reuse {
        Reuse::Off => (Reason::Off, "the request did not ask for an earlier result: it says cache off, or nothing"),
        Reuse::Hit if source_is_there => {
            (Reason::Hit, "an earlier task of the tenant had completed the same computation")
        }
        Reuse::Hit => (
            Reason::SourceDeleted,
            "an earlier task had completed the same computation; it was deleted since, and the result is kept here",
        ),
        Reuse::Refresh => (Reason::Refresh, "the request asked for a run, whatever was kept"),
        Reuse::Miss if task.state == TaskState::Completed && kept.is_none() => (
            Reason::Invalidated,
            "nothing was kept for the computation when the task was accepted; what it kept itself was invalidated since",
        ),
        Reuse::Miss => (
            Reason::NothingYet,
            "nothing was kept for the computation when the task was accepted: no task of the tenant had completed it, \
             its result was invalidated, or the task was deleted",
        ),
    }
}
