//! `PATCH /v1/schedules/{id}`

use super::{SCHEDULE, accepted, found, json, next_ms, shown::ScheduleShown};
use crate::{
    http::{
        Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api,
        schema::study::ScheduleChangeRequest,
    },
    intake,
    json::check,
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::ScheduleChange;
use std::sync::Arc;

/// Changes a schedule: pauses it, lets it go on, gives it other times or other work.
///
/// One that goes on does so with the next of its times: those that passed while it was paused are gone.
#[utoipa::path(patch, path = "/v1/schedules/{id}", tag = "Schedules", request_body = ScheduleChangeRequest,
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = ScheduleShown),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer")
    )
)]
pub(in crate::http) async fn change(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let app = &api.app;
    let before = found(app, &caller, &id).await?;
    let body = body::json(request, app.limits.json_bytes_max).await?;
    let asked = intake::schedule(check(&body)?)?;
    let goes_on = before.paused && asked.paused == Some(false);
    let next_ms = if goes_on || asked.cron.is_some() || asked.timezone.is_some() {
        let cron = asked.cron.clone().unwrap_or(before.cron);
        let timezone = asked.timezone.clone().unwrap_or(before.timezone);
        Some(Some(next_ms(app, cron, timezone).await?))
    } else {
        None
    };
    let work = match asked.work {
        Some(work) => Some(accepted(app, &caller, work).await?),
        None => None,
    };
    let change = ScheduleChange {
        name: asked.name,
        cron: asked.cron,
        timezone: asked.timezone,
        work,
        missed: asked.missed,
        overlap: asked.overlap,
        paused: asked.paused,
        next_ms,
    };
    let changed = api.store_for(&caller).change_schedule(caller.tenant(), before.id, change).await?;
    let changed = changed.ok_or_else(|| Problem::not_found(SCHEDULE))?;
    json(StatusCode::OK, &ScheduleShown::new(changed, app.store.now()))
}
