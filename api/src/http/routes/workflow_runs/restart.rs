//! `POST /v1/workflow-runs/{id}/restart`

use super::{found, must_look, run_id, send, shown::RunShown};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, router::Api, routes::no_body};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use mecapy_workflow::Signal;
use std::sync::Arc;

/// Lets a run that failed or was cancelled go on from the nodes that had not completed. What had completed is kept, with
/// its tasks, and is not run again; the versions are those that the run was started with.
#[utoipa::path(post, path = "/v1/workflow-runs/{id}/restart", tag = "Workflows", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 202, body = RunShown),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It goes on, or has completed")
    )
)]
pub(in crate::http) async fn restart(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = run_id(&id)?;
    no_body(request).await?;
    let row = found(&api.app, &caller, id).await?;
    if let Some(why) = must_look(&api.app, &row).await?.run.restart_refused() {
        return Err(Problem::conflict(why));
    }
    send(&api.app, &caller, id, &Signal::Restart).await
}
