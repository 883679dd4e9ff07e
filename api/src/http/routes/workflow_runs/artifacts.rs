//! `GET /v1/workflow-runs/{id}/artifacts`: the files of all nodes.

use super::{found, json, run_id};
use crate::{
    http::{
        Problem,
        auth::Caller,
        query::Query,
        router::Api,
        routes::{
            objects::Origin,
            tasks::artifacts::{URL_LIFETIME, shown as artifact_shown},
        },
        shown::ArtifactShown,
    },
    workflows::log_of,
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::TaskId;
use mecapy_store::RunRow;
use mecapy_workflow::{Entry, Event, Outcome, Work};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// Tasks whose files one answer has, at most and when the request says nothing.
const LIMIT_MAX: u64 = 200;

/// The files of a run's nodes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunArtifacts)]
pub(in crate::http) struct RunArtifacts {
    artifacts: Vec<NodeArtifact>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// A file with the node that left it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunArtifact)]
pub(in crate::http) struct NodeArtifact {
    key: String,
    /// Of a mapped node.
    index: Option<u32>,
    #[schema(value_type = uuid::Uuid)]
    task: TaskId,
    #[serde(flatten)]
    artifact: ArtifactShown,
}

/// A node that left files, or an element of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Leaver {
    key: String,
    index: Option<u32>,
    task: TaskId,
}

/// The files that the completed nodes of a run left, in the order in which the nodes ended, each with a URL that works for
/// an hour. Those of nested runs are shown with these runs.
#[utoipa::path(get, path = "/v1/workflow-runs/{id}/artifacts", tag = "Workflows",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u32>, Query, description = "Tasks whose files a page has, 1 to 200; 200 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = RunArtifacts))
)]
pub(in crate::http) async fn artifacts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    origin: Origin,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let from = query.cursor(|text| text.parse::<usize>().ok())?.unwrap_or(0);
    let row: RunRow = found(&api.app, &caller, run_id(&id)?).await?;
    let store = &api.app.store;
    let leavers = leavers(log_of(store, &row).await?.into_iter().map(|(_, entry)| entry));
    let expires_at = store.clock().now() + URL_LIFETIME;
    let mut shown = Vec::new();
    for Leaver { key, index, task } in leavers.iter().skip(from).take(limit) {
        // Those of a task that was deleted went with it.
        for artifact in store.artifacts(caller.tenant(), *task).await?.unwrap_or_default() {
            let artifact = artifact_shown(&api.app, &origin, artifact, expires_at).await?;
            shown.push(NodeArtifact { key: key.clone(), index: *index, task: *task, artifact });
        }
    }
    let next = from.saturating_add(limit);
    let next_cursor = (next < leavers.len()).then(|| next.to_string());
    json(StatusCode::OK, &RunArtifacts { artifacts: shown, next_cursor })
}

/// Who left files, in the order of the log; of a node that was run again, the last time counts.
fn leavers(log: impl Iterator<Item = Entry>) -> Vec<Leaver> {
    let mut works: HashMap<(String, Option<u32>), Work> = HashMap::new();
    let mut leavers: Vec<Leaver> = Vec::new();
    for Entry { event, .. } in log {
        match event {
            Event::NodeStarted { key, index, work, .. } => {
                works.insert((key, index), work);
            }
            Event::NodeEnded { key, index, outcome: Outcome::Done { artifacts, .. }, .. } if !artifacts.is_empty() => {
                let node = (key, index);
                let Some(Work::Task(task)) = works.get(&node).copied() else { continue };
                let (key, index) = node;
                leavers.push(Leaver { key, index, task });
            }
            _ => {}
        }
    }
    leavers
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_workflow::{Json, Output};

    #[test]
    fn who_left_files_is_found_in_the_log() {
        let task = TaskId::from_parts(1, &[1; 10]);
        let started =
            |key: &str, index| Event::NodeStarted { key: key.to_owned(), index, attempt: 1, work: Work::Task(task) };
        let done = |key: &str, index, artifacts: &[&str]| Event::NodeEnded {
            key: key.to_owned(),
            index,
            attempt: 1,
            outcome: Outcome::Done {
                output: Output::Value(Json::null()),
                artifacts: artifacts.iter().map(|name| (*name).to_owned()).collect(),
            },
        };
        let events = [
            started("mesh", Some(3)),
            started("solve", None),
            done("solve", None, &[]),
            done("mesh", Some(3), &["mesh.med"]),
        ];
        let log = events.into_iter().map(|event| Entry { at_ms: 0, event });
        assert_eq!(leavers(log), [Leaver { key: "mesh".to_owned(), index: Some(3), task }]);
    }
}
