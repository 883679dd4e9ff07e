//! `GET /v1/tasks/{id}/result`

use super::{super::json, TASK, task_id};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, query::Query, router::Api, shown::ResultShown};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use std::{sync::Arc, time::Duration};

/// The longest wait, seconds.
const WAIT_SECONDS_MAX: u64 = 60;

/// How a task ended; waits for its end where asked to.
#[utoipa::path(get, path = "/v1/tasks/{id}/result", tag = "Tasks",
    params(
        ("id" = uuid::Uuid, Path),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for the end, 60 at most; 0 when absent")
    ),
    responses(
        (status = 200, body = ResultShown),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Not ended yet"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "As many requests wait as may at once")
    )
)]
pub(in crate::http) async fn result(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let wait = Query::of(&uri, &["wait"])?.integer("wait", 0..=WAIT_SECONDS_MAX)?.unwrap_or(0);
    let store = &api.app.store;
    let _place = if wait > 0 { Some(api.waits.open(&caller.reader())?) } else { None };
    let found = tokio::select! {
        found = store.wait(caller.tenant(), id, Duration::from_secs(wait)) => found?,
        () = api.app.stopping.cancelled() => store.result(caller.tenant(), id).await?,
    };
    let ended = found.ok_or_else(|| Problem::not_found(TASK))?;
    if !ended.state.is_terminal() {
        return Err(Problem::conflict(format!("the task is {} and has no result yet", ended.state)));
    }
    json(StatusCode::OK, &ResultShown::new(&ended))
}
