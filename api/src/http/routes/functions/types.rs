//! `GET /v1/types`

use super::super::json;
use crate::http::{Problem, auth::Caller, query::NoQuery};
use axum::{http::StatusCode, response::Response};
use mecapy_model::ports::{TypeEntry, catalogue};
use serde::Serialize;
use std::sync::LazyLock;
use utoipa::ToSchema;

/// Made once: it takes a while, and never changes.
static TYPES: LazyLock<Vec<TypeEntry>> = LazyLock::new(catalogue);

/// What a port can be.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Types {
    #[schema(value_type = Vec<Object>)]
    types: &'static [TypeEntry],
}

/// The types that ports of functions can have, quantities with their units.
#[utoipa::path(get, path = "/v1/types", tag = "Functions", responses((status = 200, body = Types)))]
pub(in crate::http) async fn types(_: Caller, _: NoQuery) -> Result<Response, Problem> {
    json(StatusCode::OK, &Types { types: &TYPES })
}
