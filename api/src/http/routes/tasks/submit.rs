//! `POST /v1/tasks`

use super::{idempotency, keyed, submit_new};
use crate::{
    http::{
        Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::TaskRequest,
        shown::TaskShown,
    },
    json,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use std::sync::Arc;

/// Queues a computation.
///
/// 202 after a commit that survives a power loss. The same `Idempotency-Key` with the same body gets the same answer
/// again, also while the first request is under way; with another body it is 422.
#[utoipa::path(post, path = "/v1/tasks", tag = "Tasks", request_body = TaskRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it twice harmless: `\"…\"`, or the same without quotes; kept for 24 h")),
    responses(
        (status = 202, body = TaskShown, headers(
            ("Location" = String, description = "The task's path"),
            ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request made the task: the body is its answer")
        )),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "Malformed, the Idempotency-Key too")
    )
)]
pub(in crate::http) async fn submit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency::key(request.headers())?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let asked = api.app.intake(caller.viewer()).task(json::check(&body)?).await;
    submit_new(&api.app, &caller, asked.map_err(Problem::from), keyed(key, &body)).await
}
