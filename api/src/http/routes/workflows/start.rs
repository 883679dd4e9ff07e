//! `POST /v1/workflows/{id}/runs`

use super::found;
use crate::{
    app::App,
    http::{
        Problem,
        auth::Caller,
        body,
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        routes::{
            tasks::{idempotency, keyed},
            workflow_runs::{self, shown::RunShown},
        },
        schema::workflow::RunRequest,
    },
    json,
    workflows::begin,
};
use axum::{
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_store::{Idempotency, NewRun, StartRunError, StartedRun};
use std::sync::Arc;

/// Starts a run of a workflow.
///
/// The run keeps to the versions of now: of the workflow, of the functions that it calls, and of the workflows that are
/// nested in it. Its inputs are checked, and their units converted, before anything is started. It advances by itself.
#[utoipa::path(post, path = "/v1/workflows/{id}/runs", tag = "Workflows", request_body = RunRequest,
    params(
        ("id" = String, Path, description = "Its id or its name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it twice harmless: `\"…\"`, or the same without quotes; kept for as long as the run is")
    ),
    responses(
        (status = 202, body = RunShown, headers(
            ("Location" = String, description = "The run's path"),
            ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request started the run")
        )),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer")
    )
)]
pub(in crate::http) async fn start(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency::key(request.headers())?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let run = asked(&api.app, &caller, &id, json::check(&body)?).await?;
    // A key means one request to one workflow.
    let key = keyed(key, &[id.as_bytes(), b"\n", &body].concat());
    let started = started(&api, &caller, run, key).await?;
    let mut response = workflow_runs::shown(&api.app, &started.run, StatusCode::ACCEPTED).await?;
    if let Ok(location) = HeaderValue::from_str(&workflow_runs::run_path(started.run.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if started.replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

async fn asked(app: &App, caller: &Caller, id: &str, text: &str) -> Result<NewRun, Problem> {
    let intake = app.intake(caller.viewer());
    let asked = intake.run(text).await?;
    let workflow = found(app, caller, id, None).await?;
    let workflow = match asked.version {
        Some(version) if version != workflow.version => {
            let exact = app.store.workflow(caller.tenant(), id, Some(version)).await?;
            exact.ok_or_else(|| {
                let (name, latest) = (&workflow.name, workflow.latest);
                let message = format!("{name} has no version {version}: it has 1 to {latest}");
                Problem::fault("/version", "unknown_version", message)
            })?
        }
        _ => workflow,
    };
    Ok(begin(&intake, &workflow, asked).await?)
}

/// Starts the run, or answers the one that the key started before.
pub(in crate::http) async fn started(
    api: &Api,
    caller: &Caller,
    run: NewRun,
    key: Option<Idempotency>,
) -> Result<StartedRun, Problem> {
    Ok(api.store_for(caller).start_run(run, key).await?)
}

impl From<StartRunError> for Problem {
    fn from(error: StartRunError) -> Self {
        match error {
            StartRunError::IdempotencyMismatch => mecapy_store::SubmitError::IdempotencyMismatch.into(),
            StartRunError::OverFuel(over) => over.into(),
            StartRunError::TenantDisabled => mecapy_store::SubmitError::TenantDisabled.into(),
            StartRunError::Store(error) => error.into(),
        }
    }
}
