//! `GET /`: the name, the state and the version of this server.

use super::json;
use crate::http::Problem;
use axum::{http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What answers here.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Greeting {
    name: &'static str,
    message: &'static str,
    status: &'static str,
    version: &'static str,
}

/// Name, status and version of the server.
#[utoipa::path(get, path = "/", tag = "Operations", security(()), responses((status = 200, body = Greeting)))]
pub(in crate::http) async fn root() -> Result<Response, Problem> {
    json(
        StatusCode::OK,
        &Greeting {
            name: "MecaPy",
            message: "the API of MecaPy: see /docs",
            status: "ok",
            version: env!("CARGO_PKG_VERSION"),
        },
    )
}
