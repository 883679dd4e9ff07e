//! `POST /v1/tasks`

use super::{idempotency_key, submit_new};
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
/// 202 after a commit that survives a power loss. The same `Idempotency-Key` with the same body answers the same task
/// again.
#[utoipa::path(post, path = "/v1/tasks", tag = "Tasks", request_body = TaskRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it twice harmless; kept for 24 h")),
    responses(
        (status = 202, body = TaskShown, headers(("Location" = String, description = "The task's path"))),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer")
    )
)]
pub(in crate::http) async fn submit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let task = api.app.intake(caller.tenant()).task(json::check(&body)?).await?;
    submit_new(&api.app, task, key, &body).await
}
