//! `GET /v1/schedules`

use super::{
    json,
    shown::{ScheduleShown, SchedulesShown},
};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, routes::page_of};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use std::sync::Arc;

/// The caller's schedules, newest first, without their requests.
#[utoipa::path(get, path = "/v1/schedules", tag = "Schedules",
    params(
        ("limit" = Option<u32>, Query, description = "Schedules of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = SchedulesShown))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let store = &api.app.store;
    let page = store.schedules(caller.tenant(), page_of(&mut query)?).await?;
    let now = store.now();
    let schedules = page.items.into_iter().map(|row| ScheduleShown::brief(row, now)).collect();
    json(StatusCode::OK, &SchedulesShown { schedules, next_cursor: page.next_cursor })
}
