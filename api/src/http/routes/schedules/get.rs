//! `GET /v1/schedules/{id}`

use super::{found, json, shown::ScheduleShown};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A schedule, with the next five of its times.
#[utoipa::path(get, path = "/v1/schedules/{id}", tag = "Schedules", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = ScheduleShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let schedule = found(&api.app, &caller, &id).await?;
    json(StatusCode::OK, &ScheduleShown::new(schedule, api.app.store.now()))
}
