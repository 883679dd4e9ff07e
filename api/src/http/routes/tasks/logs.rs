//! `GET /v1/tasks/{id}/logs`

use super::{super::json, TASK, task_id};
use crate::http::{
    Problem,
    auth::Caller,
    query::Query,
    router::Api,
    shown::{LogEntryShown, LogPageShown},
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use std::sync::Arc;

/// What a task wrote to stdout and stderr, from an index on.
#[utoipa::path(get, path = "/v1/tasks/{id}/logs", tag = "Tasks",
    params(
        ("id" = uuid::Uuid, Path),
        ("since" = Option<u64>, Query, description = "The first index wanted: `next_index` of the page before")
    ),
    responses((status = 200, body = LogPageShown))
)]
pub(in crate::http) async fn logs(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let since = Query::of(&uri, &["since"])?.integer("since", 0..=u64::MAX)?.unwrap_or(0);
    let page = api.app.store.logs(caller.tenant(), id, since).await?.ok_or_else(|| Problem::not_found(TASK))?;
    let entries = page.entries.iter().map(LogEntryShown::new).collect();
    json(StatusCode::OK, &LogPageShown { entries, next_index: page.next_index, done: page.done })
}
