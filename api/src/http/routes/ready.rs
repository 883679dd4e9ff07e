//! `GET /ready`

use super::{json, not_built};
use crate::http::{Problem, problem::ProblemBody, router::Api};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// The store has so long to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Requests can be served.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Ready {
    status: &'static str,
}

/// Whether the process can do its work: the interpreter is there, or the engine of a worker with containers, and the
/// database reads and writes. A worker whose engine went away is ready for as long as it has containers to follow.
#[utoipa::path(get, path = "/ready", tag = "Operations", security(()), responses(
    (status = 200, body = Ready),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "Not ready, with Retry-After")
))]
pub(in crate::http) async fn ready(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    if api.app.stopping.is_cancelled() {
        return Err(Problem::not_ready("the server is shutting down", RETRY_AFTER));
    }
    if !api.app.can_work() {
        return Err(not_built());
    }
    if api.app.is_idle_without_engine() {
        return Err(Problem::not_ready("the Docker engine does not answer", RETRY_AFTER));
    }
    match tokio::time::timeout(PING_TIMEOUT, api.app.store.ping()).await {
        Ok(Ok(())) => json(StatusCode::OK, &Ready { status: "ready" }),
        Ok(Err(error)) => {
            tracing::warn!(error = ?error, "ready: the store does not answer");
            Err(Problem::not_ready("the database does not answer", RETRY_AFTER))
        }
        Err(_) => Err(Problem::not_ready("the database does not answer in time", RETRY_AFTER)),
    }
}
