//! `POST /v1/workflow-runs/{id}/cancel`

use super::{found, must_run, run_id, send, shown, shown::RunShown};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, router::Api, routes::no_body};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::RunState;
use mecapy_workflow::Signal;
use std::sync::Arc;

/// Stops a run: nothing more is started, and what runs is stopped. Asking again is harmless.
#[utoipa::path(post, path = "/v1/workflow-runs/{id}/cancel", tag = "Workflows", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 202, body = RunShown),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It has ended otherwise")
    )
)]
pub(in crate::http) async fn cancel(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = run_id(&id)?;
    no_body(request).await?;
    let row = found(&api.app, &caller, id).await?;
    if row.state == RunState::Cancelled {
        return shown(&api.app, &row, StatusCode::ACCEPTED).await;
    }
    must_run(&row)?;
    send(&api.app, &caller, id, &Signal::Cancel { by: Some(caller.signature()) }).await
}
