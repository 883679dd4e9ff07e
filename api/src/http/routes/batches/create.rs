//! `POST /v1/batches`

use super::{
    super::tasks::idempotency,
    json,
    shown::{BatchShown, batch_path},
};
use crate::http::{
    Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::BatchRequest,
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_store::{SubmitError, SubmittedBatch};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// What a caller is told where as many long requests are read as may be.
const RETRY_AFTER_BODIES: Duration = Duration::from_secs(2);

/// Queues one computation for many inputs.
///
/// All of it is accepted, or nothing: 202 after a commit that survives a power loss. Up to 100 000 items, in a body of
/// 32 MiB where the server's operators say nothing else. A source in C or Rust is compiled first, for up to 15 s: where
/// its compiler needs longer, the answer is 503 with `Retry-After`.
#[utoipa::path(post, path = "/v1/batches", tag = "Batches", request_body = BatchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it twice harmless: `\"…\"`, or the same without quotes; kept for 24 h")),
    responses(
        (status = 202, body = BatchShown, headers(
            ("Location" = String, description = "The batch's path"),
            ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request made the batch: the body is that batch as it is now")
        )),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer, as in `/items/17/inputs/d`"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "Malformed, the Idempotency-Key too")
    )
)]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let (app, limits) = (&api.app, &api.app.limits);
    let key = idempotency::key(request.headers())?;
    let detail = "as many batches are read as may at once: try again in a moment";
    let place = app.batch_bodies.try_enter(caller.tenant(), 1);
    let _place = place.ok_or_else(|| Problem::too_many(detail, RETRY_AFTER_BODIES))?;
    let body = body::json(request, limits.batch_bytes_max).await?;
    let batch = app.intake(caller.viewer()).batch(body, key, limits.queued_per_tenant_max).await?;
    let files = batch.files.clone();
    match app.store.submit_batch(batch).await {
        Ok(submitted) => accepted(&submitted),
        Err(error) => {
            if matches!(error, SubmitError::UnknownUpload { .. }) {
                // The store names the first that it misses; the caller is told of all.
                app.intake(caller.viewer()).must_have(&files, &BTreeSet::new()).await?;
            }
            Err(error.into())
        }
    }
}

fn accepted(submitted: &SubmittedBatch) -> Result<Response, Problem> {
    let mut response = json(StatusCode::ACCEPTED, &BatchShown::new(&submitted.batch))?;
    if let Ok(location) = HeaderValue::from_str(&batch_path(submitted.batch.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if submitted.replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}
