//! `GET /v1/tasks/{id}/events`: server-sent events, from where the client left off.

use super::{TASK, task_id};
use crate::{
    app::App,
    http::{
        Problem,
        auth::Caller,
        router::Api,
        shown::time,
        sse::{self, KEEP_ALIVE, Outlet, PIECE_BYTES},
        streams::StreamPlace,
    },
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use mecapy_model::{LogStream, TaskId, TaskState, TenantId};
use mecapy_store::{EventKind, EventPage, StoreError, TaskEvent, TaskWatch};
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
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let after = sse::last_event_id(&uri, &headers)?.unwrap_or(0);
    let place = api.streams.open(&caller)?;
    // Before the first read, so that nothing is missed between them.
    let watch = api.app.store.watch(caller.tenant(), id);
    let first = api.app.store.events(caller.tenant(), id, after).await?.ok_or_else(|| Problem::not_found(TASK))?;
    let (outlet, response) = Outlet::open();
    let follow = Follow { app: Arc::clone(&api.app), tenant: caller.tenant(), id, after, outlet };
    tokio::spawn(follow.send_until_done(first, watch, place));
    Ok(response)
}

/// One open stream.
struct Follow {
    app: Arc<App>,
    tenant: TenantId,
    id: TaskId,
    after: u64,
    outlet: Outlet,
}

impl Follow {
    /// Sends until the task is done, the client is gone or too slow, or the server stops.
    async fn send_until_done(mut self, first: EventPage, mut watch: TaskWatch, _place: StreamPlace) {
        let mut first = Some(first);
        loop {
            let sent = match first.take() {
                Some(page) => Ok(self.send_page(&page).await),
                None => self.send_new().await,
            };
            match sent {
                Ok(Sent::More) => continue,
                Ok(Sent::All) => (),
                Ok(Sent::Done | Sent::Gone) => return,
                Err(error) => {
                    tracing::warn!(task.id = %self.id, error = ?error, "events: the stream is closed, the store failed");
                    return;
                }
            }
            tokio::select! {
                () = watch.changed() => (),
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    if !self.outlet.keep_alive().await {
                        return;
                    }
                }
                () = self.outlet.closed() => return,
                () = self.app.stopping.cancelled() => return,
            }
        }
    }

    /// Sends what has happened since.
    async fn send_new(&mut self) -> Result<Sent, StoreError> {
        // A task that was deleted meanwhile has nothing more to say.
        match self.app.store.events(self.tenant, self.id, self.after).await? {
            Some(page) => Ok(self.send_page(&page).await),
            None => Ok(Sent::Done),
        }
    }

    async fn send_page(&mut self, page: &EventPage) -> Sent {
        let mut piece = Vec::new();
        for event in &page.events {
            self.after = self.after.max(event.id);
            write_event(&mut piece, event);
            if piece.len() >= PIECE_BYTES && !self.outlet.send(std::mem::take(&mut piece)).await {
                return Sent::Gone;
            }
        }
        if !piece.is_empty() && !self.outlet.send(piece).await {
            return Sent::Gone;
        }
        Sent::of(page)
    }
}

/// What is left after a page was sent.
enum Sent {
    /// There may be another page.
    More,
    All,
    /// The task's last event is out.
    Done,
    /// The reader went away.
    Gone,
}

impl Sent {
    fn of(page: &EventPage) -> Self {
        match (page.done, page.events.is_empty()) {
            (true, _) => Sent::Done,
            (false, true) => Sent::All,
            (false, false) => Sent::More,
        }
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
