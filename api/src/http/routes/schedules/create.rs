//! `POST /v1/schedules`

use super::{
    accepted, json, next_ms,
    shown::{ScheduleShown, schedule_path},
};
use crate::{
    http::{
        Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::study::ScheduleRequest,
    },
    intake::{self, ZONE_DEFAULT},
    json::check,
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_model::Fault;
use mecapy_store::NewSchedule;
use std::sync::Arc;

/// Schedules of one tenant.
const SCHEDULES_MAX: u64 = 200;

/// Has a task or a workflow run started again and again, at the times of a cron pattern.
///
/// The request is judged at once, as if it had been sent by itself, and again at each firing: one that is not accepted any
/// more is noted among the firings, and the schedule stays. Its tasks have the label `schedule`. They may call what
/// whoever wrote the schedule may see. Named times (`30 2 * * *`) that the clocks skip fire at the moment after the gap,
/// and those that come twice fire once; patterns with `*` or `/` in their minutes or hours fire at each such minute that
/// there is. 200 schedules of a tenant.
#[utoipa::path(post, path = "/v1/schedules", tag = "Schedules", request_body = ScheduleRequest, responses(
    (status = 201, body = ScheduleShown, headers(("Location" = String, description = "The schedule's path"))),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "The tenant has as many as it may"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer, as in `/task/inputs/d`")
))]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let app = &api.app;
    let body = body::json(request, app.limits.json_bytes_max).await?;
    let asked = intake::schedule(check(&body)?)?;
    let (Some(cron), Some(work)) = (asked.cron.clone(), asked.work) else {
        let needed = |name: &str| Fault::new(format!("/{name}"), "required", format!("the field {name:?} is needed"));
        let mut missing = Vec::new();
        if asked.cron.is_none() {
            missing.push(needed("cron"));
        }
        if asked.work.is_none() {
            let message = "what to start is needed: the field \"task\" or the field \"workflow\"";
            missing.push(Fault::new("/task", "required", message));
        }
        return Err(Problem::invalid(missing));
    };
    let timezone = asked.timezone.unwrap_or_else(|| ZONE_DEFAULT.to_owned());
    let next_ms = next_ms(app, cron.clone(), timezone.clone()).await?;
    let work = accepted(app, &caller, work).await?;
    if app.store.count_schedules(caller.tenant()).await? >= SCHEDULES_MAX {
        return Err(Problem::conflict(format!("a tenant may have {SCHEDULES_MAX} schedules: delete one first")));
    }
    let new = NewSchedule {
        tenant: caller.tenant(),
        name: asked.name,
        cron,
        timezone,
        work,
        missed: asked.missed.unwrap_or_default(),
        overlap: asked.overlap.unwrap_or_default(),
        paused: asked.paused.unwrap_or_default(),
        next_ms: Some(next_ms),
    };
    let schedule = api.store_for(&caller).create_schedule(new).await?;
    let location = HeaderValue::from_str(&schedule_path(schedule.id));
    let mut response = json(StatusCode::CREATED, &ScheduleShown::new(schedule, app.store.now()))?;
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
