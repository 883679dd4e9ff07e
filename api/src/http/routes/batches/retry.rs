//! `POST /v1/batches/{id}/retry`

use super::{BATCH, batch_id, found, json, no_body, shown::BatchShown};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, router::Api};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// Runs the items again that failed or were cancelled, and none that completed.
///
/// Each has the same inputs and seed, stays as it is until it has ended anew, and then points to its newest task.
#[utoipa::path(post, path = "/v1/batches/{id}/retry", tag = "Batches", params(("id" = uuid::Uuid, Path)), responses(
    (status = 202, body = BatchShown),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has not ended, or nothing of it failed")
))]
pub(in crate::http) async fn retry(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let app = &api.app;
    no_body(request).await?;
    let before = found(app, &caller, &id).await?;
    if !before.state.is_terminal() {
        let detail = format!("the batch is {}: only one that has ended can be retried", before.state);
        return Err(Problem::conflict(detail));
    }
    if before.completed == before.total {
        return Err(Problem::conflict("every item has completed: there is nothing to run again"));
    }
    let queued_max = app.limits.queued_per_tenant_max;
    let batch = api.store_for(&caller).retry_batch(caller.tenant(), batch_id(&id)?, queued_max).await?;
    json(StatusCode::ACCEPTED, &BatchShown::new(&batch.ok_or_else(|| Problem::not_found(BATCH))?))
}
