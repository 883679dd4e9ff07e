//! `DELETE /v1/workflows/{id}`

use super::{WORKFLOW, found};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::WorkflowDeleted;
use std::sync::Arc;

/// Deletes a workflow with all its versions. Its runs stay, and must have ended.
#[utoipa::path(delete, path = "/v1/workflows/{id}", tag = "Workflows",
    params(("id" = String, Path, description = "Its id or its name")),
    responses(
        (status = 204),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "A run of it has not ended")
    )
)]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    let workflow = found(&api.app, &caller, &id, None).await?;
    match api.store_for(&caller).delete_workflow(caller.tenant(), workflow.id).await? {
        WorkflowDeleted::Yes => Ok(StatusCode::NO_CONTENT),
        WorkflowDeleted::HasRuns => {
            Err(Problem::conflict("a run of the workflow has not ended: cancel it first, or wait for it"))
        }
        WorkflowDeleted::Missing => Err(Problem::not_found(WORKFLOW)),
    }
}
