//! `POST /v1/batches/{id}/cancel`

use super::{BATCH, batch_id, json, no_body, shown::BatchShown};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, router::Api};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::BatchState;
use std::sync::Arc;

/// Stops a batch: items that have not ended are cancelled, those that have stay as they are.
///
/// Items that run end within a second; 202 says that they were told. Asking again is harmless.
#[utoipa::path(post, path = "/v1/batches/{id}/cancel", tag = "Batches", params(("id" = uuid::Uuid, Path)), responses(
    (status = 202, body = BatchShown),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has ended otherwise")
))]
pub(in crate::http) async fn cancel(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = batch_id(&id)?;
    no_body(request).await?;
    let batch = api.store_for(&caller).cancel_batch(caller.tenant(), id).await?;
    let batch = batch.ok_or_else(|| Problem::not_found(BATCH))?;
    match batch.state {
        BatchState::Completed | BatchState::Failed if !batch.cancel_requested => {
            Err(Problem::conflict(format!("the batch is {} already", batch.state)))
        }
        _ => json(StatusCode::ACCEPTED, &BatchShown::new(&batch)),
    }
}
