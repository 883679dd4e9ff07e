//! `DELETE /v1/schedules/{id}`

use super::{SCHEDULE, schedule_id};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;

/// Deletes a schedule with its history. What it started stays, and goes on.
#[utoipa::path(delete, path = "/v1/schedules/{id}", tag = "Schedules", params(("id" = uuid::Uuid, Path)),
    responses((status = 204))
)]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.store_for(&caller).delete_schedule(caller.tenant(), schedule_id(&id)?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found(SCHEDULE)),
    }
}
