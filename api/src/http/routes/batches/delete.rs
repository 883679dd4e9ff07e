//! `DELETE /v1/batches/{id}`

use super::{BATCH, batch_id};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::BatchDeleted;
use std::sync::Arc;

/// Deletes an ended batch with its items and their results.
#[utoipa::path(delete, path = "/v1/batches/{id}", tag = "Batches", params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has not ended")
))]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.store_for(&caller).delete_batch(caller.tenant(), batch_id(&id)?).await? {
        BatchDeleted::Yes => Ok(StatusCode::NO_CONTENT),
        BatchDeleted::NotEnded(state) => Err(Problem::conflict(format!("the batch is {state}: cancel it first"))),
        BatchDeleted::Missing => Err(Problem::not_found(BATCH)),
    }
}
