//! `GET /v1/workflow-runs/{id}/nodes/{key}`: a node with its elements, page by page.

use super::{
    found, json, must_look, run_id,
    shown::{InstanceShown, NodeShown},
};
use crate::http::{Problem, auth::Caller, query::Query, router::Api};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is not found.
pub(super) const NODE: &str = "node of the run";
/// Elements of a page, at most and when the request says nothing.
const LIMIT_MAX: u64 = 1_000;
const LIMIT_DEFAULT: u64 = 50;

/// A node with some of its elements.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunNodePage)]
pub(in crate::http) struct NodePage {
    node: NodeShown,
    /// In their order; the only one of a node that is not mapped.
    instances: Vec<InstanceShown>,
    /// Give this as `from` to see more; null at the end.
    next_from: Option<u32>,
}

/// A node of a run, and the elements that it is mapped over: state, attempt, task, output and error of each.
#[utoipa::path(get, path = "/v1/workflow-runs/{id}/nodes/{key}", tag = "Workflows",
    params(
        ("id" = uuid::Uuid, Path),
        ("key" = String, Path),
        ("from" = Option<u32>, Query, description = "The first element of the page; 0 when absent"),
        ("limit" = Option<u32>, Query, description = "Elements of a page, 1 to 1000; 50 when absent")
    ),
    responses((status = 200, body = NodePage))
)]
pub(in crate::http) async fn node(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((id, key)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["from", "limit"])?;
    let number = |asked: Option<u64>, default| u32::try_from(asked.unwrap_or(default)).unwrap_or(u32::MAX);
    let from = number(query.integer("from", 0..=u64::from(u32::MAX))?, 0);
    let limit = number(query.integer("limit", 1..=LIMIT_MAX)?, LIMIT_DEFAULT);
    let row = found(&api.app, &caller, run_id(&id)?).await?;
    let run = must_look(&api.app, &row).await?.run;
    let node = run.view().nodes.into_iter().find(|node| node.key == key);
    let (Some(node), Some(mut instances)) = (node, run.instances(&key, from, limit.saturating_add(1))) else {
        return Err(Problem::not_found(NODE));
    };
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let next_from = (instances.len() > size).then(|| from.saturating_add(limit));
    instances.truncate(size);
    let instances = instances.into_iter().map(InstanceShown::of).collect();
    json(StatusCode::OK, &NodePage { node: NodeShown::of(&run, node), instances, next_from })
}
