//! `GET /v1/workflow-runs/{id}/timeline`: what ran when.

use super::{found, json, run_id, shown::at};
use crate::{
    http::{Problem, auth::Caller, query::NoQuery, router::Api},
    workflows::log_of,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::{RunId, TaskId};
use mecapy_workflow::{Entry, Event, Outcome, Work};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// Bars of one answer.
const BARS_MAX: usize = 50_000;

/// What ran when, in the order of the starts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowTimeline)]
pub(in crate::http) struct Timeline {
    bars: Vec<Bar>,
    /// Whether there are more than an answer holds: the first are shown.
    truncated: bool,
}

/// One attempt at a node, or at one element of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WorkflowTimelineBar)]
pub(in crate::http) struct Bar {
    key: String,
    /// Of a mapped node.
    index: Option<u32>,
    attempt: u32,
    #[schema(value_type = Option<uuid::Uuid>)]
    task: Option<TaskId>,
    #[schema(value_type = Option<uuid::Uuid>)]
    run: Option<RunId>,
    #[schema(format = DateTime)]
    started_at: String,
    /// Null while it goes on.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// `running`, `completed`, `failed` or `cancelled`.
    state: &'static str,
}

/// When the nodes of a run began and ended, attempt by attempt: what a Gantt chart needs.
#[utoipa::path(get, path = "/v1/workflow-runs/{id}/timeline", tag = "Workflows", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Timeline))
)]
pub(in crate::http) async fn timeline(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let row = found(&api.app, &caller, run_id(&id)?).await?;
    let log = log_of(&api.app.store, &row).await?;
    let mut bars = bars(log.into_iter().map(|(_, entry)| entry));
    let truncated = bars.len() > BARS_MAX;
    bars.truncate(BARS_MAX);
    json(StatusCode::OK, &Timeline { bars, truncated })
}

/// A log as bars.
fn bars(log: impl Iterator<Item = Entry>) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut open: HashMap<(String, Option<u32>), usize> = HashMap::new();
    for Entry { at_ms, event } in log {
        match event {
            Event::NodeStarted { key, index, attempt, work } => {
                open.insert((key.clone(), index), bars.len());
                let (task, run) = match work {
                    Work::Task(task) => (Some(task), None),
                    Work::Run(run) => (None, Some(run)),
                    Work::Approval => (None, None),
                };
                let (started_at, ended_at) = (at(at_ms), None);
                bars.push(Bar { key, index, attempt, task, run, started_at, ended_at, state: "running" });
            }
            Event::NodeEnded { key, index, outcome, .. } => {
                let state = match outcome {
                    Outcome::Done { .. } => "completed",
                    Outcome::Failed { .. } => "failed",
                    Outcome::Cancelled => "cancelled",
                };
                close(&mut bars, open.remove(&(key, index)), at_ms, state);
            }
            Event::Approved { key, .. } => close(&mut bars, open.remove(&(key, None)), at_ms, "completed"),
            Event::Rejected { key, .. } => close(&mut bars, open.remove(&(key, None)), at_ms, "failed"),
            _ => {}
        }
    }
    bars
}

fn close(bars: &mut [Bar], open: Option<usize>, at_ms: i64, state: &'static str) {
    if let Some(bar) = open.and_then(|open| bars.get_mut(open)) {
        (bar.ended_at, bar.state) = (Some(at(at_ms)), state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::ErrorKind;
    use mecapy_workflow::{Json, Output, Then};

    #[test]
    fn each_attempt_is_a_bar_from_its_start_to_its_end() {
        let task = |number: u64| TaskId::from_parts(number, &[1; 10]);
        let started = |index, attempt, number| Event::NodeStarted {
            key: "a".to_owned(),
            index,
            attempt,
            work: Work::Task(task(number)),
        };
        let ended = |index, attempt, outcome| Event::NodeEnded { key: "a".to_owned(), index, attempt, outcome };
        let failed =
            Outcome::Failed { kind: ErrorKind::Timeout.into(), message: String::new(), then: Then::Retry { at_ms: 5 } };
        let done = Outcome::Done { output: Output::Value(Json::null()), artifacts: Vec::new() };
        let events = [
            started(Some(0), 1, 1),
            started(Some(1), 1, 2),
            ended(Some(1), 1, failed),
            started(Some(1), 2, 3),
            ended(Some(1), 2, done),
        ];
        let log = (1..).zip(events).map(|(at_ms, event)| Entry { at_ms, event });
        let found: Vec<_> =
            bars(log).into_iter().map(|bar| (bar.index, bar.attempt, bar.task, bar.state, bar.ended_at)).collect();
        let end = |ms| Some(at(ms));
        assert_eq!(
            found,
            [
                (Some(0), 1, Some(task(1)), "running", None),
                (Some(1), 1, Some(task(2)), "failed", end(3)),
                (Some(1), 2, Some(task(3)), "completed", end(5)),
            ]
        );
        assert_eq!(at(1), "1970-01-01T00:00:00.001Z");
    }
}
