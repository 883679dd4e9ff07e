//! `DELETE /v1/workflow-runs/{id}`

use super::{RUN, run_id};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::RunDeleted;
use std::sync::Arc;

/// Deletes an ended run with its log. Its tasks stay, with their results.
#[utoipa::path(delete, path = "/v1/workflow-runs/{id}", tag = "Workflows", params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has not ended")
))]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.store_for(&caller).delete_run(caller.tenant(), run_id(&id)?).await? {
        RunDeleted::Yes => Ok(StatusCode::NO_CONTENT),
        RunDeleted::NotEnded => Err(Problem::conflict("the run is running: cancel it first")),
        RunDeleted::Missing => Err(Problem::not_found(RUN)),
    }
}
