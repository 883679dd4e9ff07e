//! Tasks: submit, list, watch, fetch, stop.

pub(in crate::http) mod artifacts;
pub(in crate::http) mod cancel;
pub(in crate::http) mod delete;
pub(in crate::http) mod events;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod logs;
pub(in crate::http) mod result;
pub(in crate::http) mod retry;
pub(in crate::http) mod submit;

use super::{id, json, no_body};
use crate::{
    app::App,
    http::{
        Problem,
        auth::Caller,
        shown::{TaskShown, task_path},
    },
};
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_model::TaskId;
use mecapy_store::{Idempotency, NewTask, Submission, SubmitError};
use sha2::{Digest as _, Sha256};

/// What is not found.
const TASK: &str = "task";
/// The longest Idempotency-Key, bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

fn task_id(text: &str) -> Result<TaskId, Problem> {
    id(text, TASK)
}

/// Stores a new task and answers 202 with it. Another request under the same `key` must repeat `body`.
async fn submit_new(app: &App, task: NewTask, key: Option<String>, body: &[u8]) -> Result<Response, Problem> {
    let idempotency = key.map(|key| Idempotency { key, body_digest: Sha256::digest(body).into() });
    let (tenant, files) = (task.tenant, task.files.clone());
    let submission = Submission { task, idempotency, queued_max: app.limits.queued_per_tenant_max };
    let submitted = match app.store.submit(submission).await {
        Ok(submitted) => submitted,
        Err(error) => {
            if matches!(error, SubmitError::UnknownUpload { .. }) {
                // The store names the first that it misses; the caller is told of all.
                app.intake(tenant).must_have(&files).await?;
            }
            return Err(error.into());
        }
    };
    let shown = TaskShown::new(&submitted.task, submitted.queue_position);
    let mut response = json(StatusCode::ACCEPTED, &shown)?;
    if let Ok(location) = HeaderValue::from_str(&task_path(submitted.task.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all("idempotency-key").iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > IDEMPOTENCY_KEY_BYTES_MAX || all.next().is_some() {
        let message = format!("one Idempotency-Key of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} ASCII characters is needed");
        return Err(Problem::fault("", "idempotency_key", message));
    }
    Ok(Some(text.to_owned()))
}

/// The task of the caller, with its place in the queue.
async fn shown(app: &App, caller: &Caller, id: TaskId, status: StatusCode) -> Result<Response, Problem> {
    let found = app.store.task_with_position(caller.tenant(), id).await?;
    let (task, position) = found.ok_or_else(|| Problem::not_found(TASK))?;
    json(status, &TaskShown::new(&task, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_one_short_line_of_ascii() {
        let long = "x".repeat(256);
        for (values, ok) in
            [(vec!["a"], true), (vec![""], false), (vec!["a", "a"], false), (vec!["é"], false), (vec![&long], false)]
        {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append("idempotency-key", HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            assert_eq!(idempotency_key(&headers).is_ok(), ok, "{values:?}");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }
}
