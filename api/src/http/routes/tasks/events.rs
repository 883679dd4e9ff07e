//! `GET /v1/tasks/{id}/events`: server-sent events, from where the client left off.

use super::{TASK, task_id};
use crate::http::{
    Problem,
    auth::Reader,
    router::Api,
    shown::time,
    sse::{self, Events, Follow, Outlet, Page},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use mecapy_model::{LogStream, TaskId, TaskState, TenantId};
use mecapy_store::{EventKind, EventPage, Store, StoreError, TaskEvent, TaskWatch};
use serde::Serialize;
use std::sync::Arc;

/// Everything that happens to a task, as it happens.
///
/// Events are `state`, `progress`, `log` and, as the last, `done`; each has an id, and a client that gives the last one
/// it saw as `Last-Event-ID` misses nothing.
#[utoipa::path(get, path = "/v1/tasks/{id}/events", tag = "Tasks",
    params(
        ("id" = uuid::Uuid, Path),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen"),
        ("last_event_id" = Option<u64>, Query, description = "The same, for who can't send headers"),
        ("ticket" = Option<String>, Query, description = "In the place of credentials: see `POST /v1/tickets`")
    ),
    responses((status = 200, body = String, content_type = "text/event-stream"))
)]
pub(in crate::http) async fn events(
    State(api): State<Arc<Api>>,
    reader: Reader,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let after = sse::last_event_id(&uri, &headers)?.unwrap_or(0);
    let place = api.streams.open(&reader)?;
    let (store, tenant) = (api.app.store.clone(), reader.tenant);
    // Before the first read, so that nothing is missed between them.
    let watch = store.watch(tenant, id);
    let first = store.events(tenant, id, after).await?.ok_or_else(|| Problem::not_found(TASK))?;
    let (outlet, response) = Outlet::open();
    let events = OfTask { store, tenant, id, after, watch, first: Some(first) };
    tokio::spawn(Follow { app: Arc::clone(&api.app), reader, outlet, place, events }.send());
    Ok(response)
}

/// The events of a task after one of them.
struct OfTask {
    store: Store,
    tenant: TenantId,
    id: TaskId,
    after: u64,
    watch: TaskWatch,
    /// What was read to see that there is such a task.
    first: Option<EventPage>,
}

impl Events for OfTask {
    type Event = TaskEvent;

    async fn page(&mut self) -> Result<Page<TaskEvent>, StoreError> {
        let page = match self.first.take() {
            Some(page) => Some(page),
            None => self.store.events(self.tenant, self.id, self.after).await?,
        };
        // A task that was deleted meanwhile has nothing more to say.
        Ok(page.map_or(Page { events: Vec::new(), done: true }, |page| Page { events: page.events, done: page.done }))
    }

    fn write(&mut self, out: &mut Vec<u8>, event: &TaskEvent) -> Result<(), StoreError> {
        self.after = self.after.max(event.id);
        write_event(out, event);
        Ok(())
    }

    async fn changed(&mut self) {
        self.watch.changed().await;
    }
}

#[derive(Serialize)]
struct StateData {
    state: TaskState,
    attempt: u32,
    at: String,
}

#[derive(Serialize)]
struct ProgressData<'a> {
    fraction: f64,
    message: Option<&'a str>,
    at: String,
}

#[derive(Serialize)]
struct LogData<'a> {
    stream: LogStream,
    text: &'a str,
    at: String,
}

#[derive(Serialize)]
struct DoneData {
    state: TaskState,
    at: String,
}

fn write_event(out: &mut Vec<u8>, event: &TaskEvent) {
    let at = time(event.at);
    let (name, data) = match &event.kind {
        EventKind::State { state, attempt } => {
            ("state", serde_json::to_vec(&StateData { state: *state, attempt: *attempt, at }))
        }
        EventKind::Progress(progress) => {
            let data = ProgressData { fraction: progress.fraction, message: progress.message.as_deref(), at };
            ("progress", serde_json::to_vec(&data))
        }
        EventKind::Log { stream, text } => ("log", serde_json::to_vec(&LogData { stream: *stream, text, at })),
        EventKind::Done { state } => ("done", serde_json::to_vec(&DoneData { state: *state, at })),
    };
    sse::write_event(out, event.id, name, &data.unwrap_or_else(|_| b"null".to_vec()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::time::macros::datetime;

    #[test]
    fn events_are_written_on_one_line_each() {
        let text = "two\nlines: \u{2028}\r\n\ndata: fake";
        let at = datetime!(2026-01-02 03:04:05.678 UTC);
        let event = TaskEvent { id: 7, at, kind: EventKind::Log { stream: LogStream::Stdout, text: text.to_owned() } };
        let mut out = Vec::new();
        write_event(&mut out, &event);
        let written = String::from_utf8(out).unwrap();
        let data = written.strip_prefix("id: 7\nevent: log\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!data.contains(['\n', '\r']));
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["text"], &data["at"]), (&text.into(), &"2026-01-02T03:04:05.678Z".into()));
    }
}
