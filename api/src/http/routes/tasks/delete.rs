//! `DELETE /v1/tasks/{id}`

use super::{TASK, task_id};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_model::{TaskId, TenantId};
use mecapy_store::{Deleted, Store};
use std::sync::Arc;

/// Deletes an ended task with its result, logs and artifacts. A node's task is needed for as long as its run goes on.
#[utoipa::path(delete, path = "/v1/tasks/{id}", tag = "Tasks", params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It, or the run that it is a node of, has not ended")
))]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    let id = task_id(&id)?;
    must_not_be_needed(&api.app.store, caller.tenant(), id).await?;
    match api.store_for(&caller).delete_task(caller.tenant(), id).await? {
        Deleted::Yes => Ok(StatusCode::NO_CONTENT),
        Deleted::NotEnded(state) => Err(Problem::conflict(format!("the task is {state}: cancel it first"))),
        Deleted::Missing => Err(Problem::not_found(TASK)),
    }
}

/// 409 where the task is a node of a run that may still need what it gave.
async fn must_not_be_needed(store: &Store, tenant: TenantId, id: TaskId) -> Result<(), Problem> {
    let task = store.task_shown(tenant, id).await?;
    let Some(run) = task.and_then(|task| task.ties.run) else { return Ok(()) };
    match store.run(tenant, run).await? {
        Some(row) if !row.state.is_terminal() => Err(Problem::conflict(format!(
            "the task is a node of the workflow run {run}, which goes on: cancel that first"
        ))),
        _ => Ok(()),
    }
}
