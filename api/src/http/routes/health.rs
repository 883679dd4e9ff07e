//! `GET /health`

use super::json;
use crate::http::Problem;
use axum::{http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Health {
    status: &'static str,
}

/// Whether the process is alive. Says nothing of what it depends on.
#[utoipa::path(get, path = "/health", tag = "Operations", security(()), responses((status = 200, body = Health)))]
pub(in crate::http) async fn health() -> Result<Response, Problem> {
    json(StatusCode::OK, &Health { status: "ok" })
}
