//! `GET /v1/batches/{id}`

use super::{found, json, shown::BatchShown};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A batch as it is now, with how many of its items are in which state.
#[utoipa::path(get, path = "/v1/batches/{id}", tag = "Batches", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = BatchShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    json(StatusCode::OK, &BatchShown::new(&found(&api.app, &caller, &id).await?))
}
