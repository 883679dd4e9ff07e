//! `POST /v1/schedules/{id}/run`

use super::{SCHEDULE, found, json, no_body, shown::StartedShown};
use crate::{
    http::{Problem, auth::Caller, problem::ProblemBody, router::Api},
    schedules::Work,
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::Fired;
use std::sync::Arc;

/// The longest name of who asked that the history keeps, in characters.
const NAME_CHARS_MAX: usize = 100;

/// Fires a schedule now, once for each request, whatever its times and policies are, and also where it is paused.
#[utoipa::path(post, path = "/v1/schedules/{id}/run", tag = "Schedules", params(("id" = uuid::Uuid, Path)), responses(
    (status = 202, body = StartedShown),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Its request is not accepted any more, each fault with its pointer")
))]
pub(in crate::http) async fn run(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let schedule = found(&api.app, &caller, &id).await?;
    no_body(request).await?;
    let work: Work = serde_json::from_str(schedule.work.get()).map_err(|error| Problem::internal(&error))?;
    let work = work.make(&api.app, caller.tenant(), Some(schedule.id)).await?;
    let name: String = caller.name().chars().take(NAME_CHARS_MAX).collect();
    let note = format!("asked for by {name}");
    match api.store_for(&caller).fire_now(caller.tenant(), schedule.id, work, note).await? {
        Fired::Done { task, run } => json(StatusCode::ACCEPTED, &StartedShown { task, workflow_run: run }),
        Fired::Stale => Err(Problem::not_found(SCHEDULE)),
        Fired::Refused(why) => Err(why.into()),
    }
}
