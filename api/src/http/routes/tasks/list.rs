//! `GET /v1/tasks`

use super::{super::json, unserved};
use crate::{
    http::{
        Problem,
        auth::Caller,
        query::Query,
        router::Api,
        shown::{TaskPageShown, TaskShown},
    },
    packages::FunctionReference,
};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::{Lane, TaskState};
use mecapy_store::{LIST_LIMIT_MAX, TaskQuery};
use std::sync::Arc;

/// Tasks of a page when the request says nothing.
const LIMIT_DEFAULT: u64 = 50;

/// The caller's tasks, newest first.
#[utoipa::path(get, path = "/v1/tasks", tag = "Tasks",
    params(
        ("state" = Option<TaskState>, Query, description = "Only tasks in this state"),
        ("lane" = Option<Lane>, Query, description = "Only tasks of this lane"),
        ("label" = Option<String>, Query, description = "Only tasks with this label, as in `project=A320` (its first `=` divides name and value)"),
        ("function" = Option<String>, Query, description = "Only calls of this function, `owner/package#name`, in any version"),
        ("study" = Option<uuid::Uuid>, Query, description = "Only tasks of this study"),
        ("run" = Option<uuid::Uuid>, Query, description = "Only tasks of this workflow run"),
        ("q" = Option<String>, Query, description = "Only tasks whose name contains this"),
        ("limit" = Option<u32>, Query, description = "Tasks of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = TaskPageShown))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["state", "lane", "label", "q", "limit", "cursor", "function", "study", "run"])?;
    let limit = query.integer("limit", 1..=u64::from(LIST_LIMIT_MAX))?.unwrap_or(LIMIT_DEFAULT);
    let asked = TaskQuery {
        state: query.word::<TaskState>("state")?,
        lane: query.word::<Lane>("lane")?,
        label: label(&mut query)?,
        name_contains: query.text("q").filter(|text| !text.is_empty()),
        function: function(&mut query)?,
        limit: u32::try_from(limit).unwrap_or(LIST_LIMIT_MAX),
        cursor: query.text("cursor").filter(|text| !text.is_empty()),
        run: query.id("run")?,
        study: query.id("study")?,
    };
    let page = api.app.store.tasks(caller.tenant(), asked).await?;
    let workers = unserved::workers_for(&api.app, &page.tasks).await?;
    let mut tasks = Vec::with_capacity(page.tasks.len());
    for task in &page.tasks {
        let position = match task.state {
            TaskState::Queued => api.app.store.queue_position(task).await?,
            _ => None,
        };
        let unserved = unserved::warning(task, &workers);
        let wait = position.filter(|_| unserved.is_none()).and_then(|ahead| api.app.store.expected_wait(task, ahead));
        tasks.push(TaskShown::new(task, position).expecting(wait).warned(unserved));
    }
    json(StatusCode::OK, &TaskPageShown { tasks, next_cursor: page.next_cursor.as_deref() })
}

/// A function without its version, as the store lists by it; an empty text is as good as none.
fn function(query: &mut Query) -> Result<Option<String>, Problem> {
    let Some(text) = query.text("function").filter(|text| !text.is_empty()) else { return Ok(None) };
    let reference: Result<FunctionReference, _> = text.parse();
    let mut reference = reference.map_err(|error| Problem::fault("/function", "invalid", error.to_string()))?;
    reference.package.version = None;
    Ok(Some(reference.to_string()))
}

/// A label's name and value; an empty text is as good as none.
fn label(query: &mut Query) -> Result<Option<(String, String)>, Problem> {
    let Some(text) = query.text("label").filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Some((name.to_owned(), value.to_owned()))),
        _ => {
            Err(Problem::fault("/label", "invalid", "a label is needed here with its value, as in label=project=A320"))
        }
    }
}
