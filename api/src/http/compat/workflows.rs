//! `POST /workflows/{id}/runs`, `GET /workflow-runs/{id}`, `POST /workflow-runs/{id}/tick`: there is no workflow yet, so
//! that each names one that is not there.

use super::super::{Problem, auth::Caller, body::LimitedBody, problem::ProblemBody, query::NoQuery, router::Api};
use axum::extract::{Request, State};
use std::sync::Arc;

pub(super) fn absent() -> Problem {
    Problem::not_found("workflow")
}

fn no_run() -> Problem {
    Problem::not_found("workflow run")
}

/// Starts a workflow.
#[utoipa::path(post, path = "/workflows/{id}/runs", tag = "Compatibility", params(("id" = String, Path)),
    responses((status = 404, description = "There is no such workflow", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn start(State(api): State<Arc<Api>>, _: Caller, request: Request) -> Problem {
    after_reading(&api, request, absent()).await
}

/// How far a run of a workflow is.
#[utoipa::path(get, path = "/workflow-runs/{id}", tag = "Compatibility", params(("id" = String, Path)),
    responses((status = 404, description = "There is no such run", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn get(_: Caller, _: NoQuery) -> Problem {
    no_run()
}

/// Lets a run of a workflow go on, and tells how far it is.
#[utoipa::path(post, path = "/workflow-runs/{id}/tick", tag = "Compatibility", params(("id" = String, Path)),
    responses((status = 404, description = "There is no such run", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn tick(State(api): State<Arc<Api>>, _: Caller, request: Request) -> Problem {
    after_reading(&api, request, no_run()).await
}

/// The answer, once what was sent is read: then the connection can be used again.
async fn after_reading(api: &Api, request: Request, answer: Problem) -> Problem {
    let Ok(body) = LimitedBody::of(request, api.app.limits.json_bytes_max) else { return answer };
    // Whatever it was, nobody asked for it.
    let _ = body.whole().await;
    answer
}
