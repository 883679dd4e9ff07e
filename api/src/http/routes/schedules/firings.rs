//! `GET /v1/schedules/{id}/firings`

use super::{
    found, json,
    shown::{FiringShown, FiringsShown},
};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// The last 50 firings of a schedule, newest first, those that started nothing among them.
#[utoipa::path(get, path = "/v1/schedules/{id}/firings", tag = "Schedules", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = FiringsShown)
))]
pub(in crate::http) async fn firings(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let schedule = found(&api.app, &caller, &id).await?;
    let firings = api.app.store.firings(caller.tenant(), schedule.id).await?;
    json(StatusCode::OK, &FiringsShown { firings: firings.into_iter().map(FiringShown::new).collect() })
}
