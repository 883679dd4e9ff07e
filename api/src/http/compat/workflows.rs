//! `POST /workflows/{id}/runs`, `GET /workflow-runs/{id}`, `POST /workflow-runs/{id}/tick`: runs of workflows, as the SDK
//! starts and follows them. Runs advance by themselves: a tick tells how far one is, and that is all.

use super::{
    super::{
        Problem,
        auth::Caller,
        body,
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        routes::{
            json, no_body,
            workflow_runs::{RUN, run_id},
            workflows::{WORKFLOW, start::started},
        },
        shown::time,
    },
    result::not_now,
};
use crate::{
    intake::AskedRun,
    json::{Faults, Fields, Kind, Path as Pointer, Value, check},
    workflows::begin,
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::RunId;
use mecapy_store::{RunRow, RunState, StoreError, WorkflowRow};
use mecapy_workflow::RunError;
use serde::Serialize;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::timeout;
use utoipa::ToSchema;

/// Between a workflow's id and its version: the SDK forgets the version after the look-up, so it is part of the id.
const BETWEEN: char = '~';
/// How long a tick waits for the run's end: most end meanwhile, and whoever asked need not wait for its next turn.
const WAIT: Duration = Duration::from_secs(1);

/// A run that was started, or is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompatWorkflowRun)]
pub(super) struct WorkflowRun {
    #[schema(value_type = uuid::Uuid)]
    id: RunId,
    status: RunStatus,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// What came out of it, once it has completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    terminal_outputs: Option<Box<RawValue>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failed_node_key: Option<String>,
}

/// How far a run is. Whatever did not complete has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunStatus {
    Running,
    Completed,
    /// Also one that was cancelled.
    Failed,
}

impl RunStatus {
    fn of(state: RunState) -> Self {
        match state {
            RunState::Running => RunStatus::Running,
            RunState::Completed => RunStatus::Completed,
            RunState::Failed | RunState::Cancelled => RunStatus::Failed,
        }
    }
}

impl WorkflowRun {
    fn of(row: RunRow) -> Self {
        let status = RunStatus::of(row.state);
        let error: Option<RunError> = row.error.and_then(|error| serde_json::from_str(error.get()).ok());
        let untold = || match row.state {
            RunState::Cancelled => "the run was cancelled".to_owned(),
            _ => "the run failed".to_owned(),
        };
        let message = error.as_ref().map_or_else(untold, |error| error.message.clone());
        Self {
            id: row.id,
            status,
            created_at: time(row.created_at),
            completed_at: row.completed_at.map(time),
            terminal_outputs: row.outputs.filter(|_| status == RunStatus::Completed),
            error_message: (status == RunStatus::Failed).then_some(message),
            first_failed_node_key: error.and_then(|error| error.key),
        }
    }
}

/// What a look-up answers for a workflow in one of its versions.
pub(super) fn id_of(workflow: &WorkflowRow) -> String {
    format!("{}{BETWEEN}{}", workflow.id, workflow.version)
}

/// An id of a look-up: the workflow's, and the version that was found.
fn read_id(text: &str) -> (&str, Option<u32>) {
    match text.rsplit_once(BETWEEN) {
        Some((id, version)) if version.parse::<u32>().is_ok() => (id, version.parse().ok()),
        _ => (text, None),
    }
}

/// Starts a run of a workflow.
#[utoipa::path(post, path = "/workflows/{id}/runs", tag = "Compatibility", params(("id" = String, Path)),
    responses(
        (status = 201, body = WorkflowRun),
        (status = 404, description = "There is no such workflow", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Invalid, each fault with its pointer", body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(super) async fn start(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let text = check(&body)?;
    let (id, version) = read_id(&id);
    let found = api.app.store.workflow(caller.tenant(), id, version).await?;
    // The SDK takes 404 alone for "no workflow", whatever it sends.
    let workflow = found.ok_or_else(|| Problem::not_found(WORKFLOW))?;
    let inputs = inputs(text)?;
    let asked = AskedRun { name: None, inputs, version, study: None, labels: BTreeMap::new() };
    let run = begin(&api.app.intake(caller.viewer()), &workflow, asked).await?;
    let started = started(&api, &caller, run, None).await?;
    json(StatusCode::CREATED, &WorkflowRun::of(started.run))
}

fn inputs(text: &str) -> Result<&str, Problem> {
    let mut faults = Faults::default();
    let mut inputs = "{}";
    if let Some(mut fields) = Fields::open(Value::of(text), Pointer::Root, &mut faults) {
        match fields.take("inputs") {
            Some(value) if value.kind() == Kind::Object => inputs = value.text(),
            Some(value) => {
                let path = fields.path();
                faults.wrong_kind(path.key("inputs"), "an object", value);
            }
            None => {}
        }
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(inputs) } else { Err(Problem::invalid(faults.into_vec())) }
}

/// How far a run of a workflow is.
#[utoipa::path(get, path = "/workflow-runs/{id}", tag = "Compatibility", params(("id" = String, Path)),
    responses(
        (status = 200, body = WorkflowRun),
        (status = 404, description = "There is no such run", body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let found = api.app.store.run(caller.tenant(), run_id(&id)?).await.map_err(not_now)?;
    json(StatusCode::OK, &WorkflowRun::of(found.ok_or_else(|| Problem::not_found(RUN))?))
}

/// Tells how far a run of a workflow is, once it has ended or after a second. It goes on without being told to.
#[utoipa::path(post, path = "/workflow-runs/{id}/tick", tag = "Compatibility", params(("id" = String, Path)),
    responses(
        (status = 200, body = WorkflowRun),
        (status = 404, description = "There is no such run", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not known just now: ask again", body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(super) async fn tick(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = run_id(&id)?;
    no_body(request).await?;
    let found = ended(&api, &caller, id).await.map_err(not_now)?;
    json(StatusCode::OK, &WorkflowRun::of(found.ok_or_else(|| Problem::not_found(RUN))?))
}

/// The run, whose end is waited for where the caller may have one more request that waits.
async fn ended(api: &Api, caller: &Caller, id: RunId) -> Result<Option<RunRow>, StoreError> {
    let (store, tenant) = (&api.app.store, caller.tenant());
    let Ok(_place) = api.waits.open(&caller.reader()) else { return store.run(tenant, id).await };
    // Before the first look, so that nothing is missed between them.
    let mut watch = store.follow_run(tenant, id);
    let wait = async {
        loop {
            let found = store.run(tenant, id).await?;
            if found.as_ref().is_none_or(|run| run.state.is_terminal()) {
                return Ok(found);
            }
            watch.changed().await;
        }
    };
    tokio::select! {
        waited = timeout(WAIT, wait) => match waited {
            Ok(found) => found,
            Err(_) => store.run(tenant, id).await,
        },
        () = api.app.stopping.cancelled() => store.run(tenant, id).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_its_version() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(read_id(&format!("{id}~3")), (id, Some(3)));
        assert_eq!(read_id(id), (id, None));
        assert_eq!(read_id("a~b"), ("a~b", None));
    }

    #[test]
    fn whatever_did_not_complete_has_failed() {
        for state in RunState::ALL {
            let status = RunStatus::of(state);
            assert_eq!(status != RunStatus::Running, state.is_terminal(), "{state}");
            assert_eq!(status == RunStatus::Completed, state == RunState::Completed, "{state}");
        }
    }

    #[test]
    fn the_inputs_of_a_start_are_an_object() {
        assert_eq!(inputs(r#"{"inputs": {"d": 1.10}}"#).unwrap(), r#"{"d": 1.10}"#);
        assert_eq!(inputs("{}").unwrap(), "{}");
        for (text, pointer) in [(r#"{"inputs": [1]}"#, "/inputs"), (r#"{"payload": {}}"#, "/payload"), ("[]", "")] {
            assert_eq!(inputs(text).unwrap_err().errors()[0].pointer, pointer, "{text}");
        }
    }
}
