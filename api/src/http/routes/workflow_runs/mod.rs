//! Runs of workflows: list, look at, follow, stop, go on, answer.

pub(in crate::http) mod approve;
pub(in crate::http) mod artifacts;
pub(in crate::http) mod cancel;
pub(in crate::http) mod delete;
pub(in crate::http) mod events;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod node;
pub(in crate::http) mod restart;
pub(in crate::http) mod shown;
pub(in crate::http) mod timeline;

use super::{id, json};
use crate::{
    app::App,
    http::{Problem, auth::Caller},
    workflows::{Looked, Unreadable, look},
};
use axum::{http::StatusCode, response::Response};
use mecapy_model::RunId;
use mecapy_store::{RunRow, RunState};
use mecapy_workflow::Signal;
use serde_json::value::to_raw_value;
use shown::RunShown;
use std::time::Duration;
use tokio::time::timeout;

/// What is not found.
pub(in crate::http) const RUN: &str = "workflow run";
/// How long an answer waits until the run has taken in what it was sent: as a rule it has within milliseconds.
const SETTLE_MAX: Duration = Duration::from_secs(1);

pub(in crate::http) fn run_id(text: &str) -> Result<RunId, Problem> {
    id(text, RUN)
}

/// The path of a run.
pub(in crate::http) fn run_path(id: RunId) -> String {
    format!("/v1/workflow-runs/{id}")
}

/// The run of the caller.
pub(in crate::http) async fn found(app: &App, caller: &Caller, id: RunId) -> Result<RunRow, Problem> {
    app.store.run(caller.tenant(), id).await?.ok_or_else(|| Problem::not_found(RUN))
}

/// A run with its log; `None` where that can't be read any more, as of a workflow that was deleted.
pub(in crate::http) async fn looked(app: &App, row: &RunRow) -> Result<Option<Looked>, Problem> {
    match look(&app.store, (&app.functions, &app.definitions), row).await {
        Ok(looked) => Ok(Some(looked)),
        Err(Unreadable::Gone(why)) => {
            tracing::warn!(run.id = %row.id, why, "workflow_runs.look: shown without its nodes");
            Ok(None)
        }
        Err(Unreadable::Store(error)) => Err(error.into()),
    }
}

/// The same for what is asked of the nodes alone.
async fn must_look(app: &App, row: &RunRow) -> Result<Looked, Problem> {
    let gone = "the workflow of this run was deleted, or can't be read by this server: its nodes are not known";
    looked(app, row).await?.ok_or_else(|| Problem::conflict(gone))
}

/// The run as it is, with the states of its nodes.
pub(in crate::http) async fn shown(app: &App, row: &RunRow, status: StatusCode) -> Result<Response, Problem> {
    let looked = looked(app, row).await?;
    json(status, &RunShown::new(row, looked.as_ref()))
}

/// Tells the run something, and answers how it is once it has taken that in.
async fn send(app: &App, caller: &Caller, id: RunId, signal: &Signal) -> Result<Response, Problem> {
    let body = to_raw_value(signal).map_err(|error| Problem::internal(&error))?;
    // Before it is sent, so that nothing is missed.
    let mut watch = app.store.follow_run(caller.tenant(), id);
    if !app.store.send_run(caller.tenant(), id, body).await? {
        return Err(Problem::not_found(RUN));
    }
    // The answer is 202 either way.
    let _ = timeout(SETTLE_MAX, watch.changed()).await;
    shown(app, &found(app, caller, id).await?, StatusCode::ACCEPTED).await
}

/// 409 where a run goes on no more.
fn must_run(row: &RunRow) -> Result<(), Problem> {
    match row.state {
        RunState::Running => Ok(()),
        state => Err(Problem::conflict(format!("the run is {state} already"))),
    }
}
