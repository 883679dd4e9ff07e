//! `GET /v1/tasks/{id}/events`: server-sent events, from where the client left off.

use super::{TASK, task_id};
use crate::{
    app::App,
    http::{Problem, auth::Caller, query::NoQuery, router::Api, shown::time, streams::StreamPlace},
};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use mecapy_model::{LogStream, TaskId, TaskState, TenantId};
use mecapy_store::{EventKind, EventPage, StoreError, TaskEvent, TaskWatch};
use serde::Serialize;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// A comment goes out after so long without an event, so that nobody between takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client that leaves what was written unread for so long is dropped.
const READER_TIMEOUT: Duration = Duration::from_secs(20);
/// Pieces that wait for a reader.
const PIECES_WAITING_MAX: usize = 2;
/// Events are sent together up to about so many bytes.
const PIECE_BYTES: usize = 32 << 10;

type Sender = mpsc::Sender<Result<Bytes, Infallible>>;

/// Everything that happens to a task, as it happens.
///
/// Events are `state`, `progress`, `log` and, as the last, `done`; each has an id, and a client that gives the last one
/// it saw as `Last-Event-ID` misses nothing.
#[utoipa::path(get, path = "/v1/tasks/{id}/events", tag = "Tasks",
    params(
        ("id" = uuid::Uuid, Path),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen")
    ),
    responses((status = 200, body = String, content_type = "text/event-stream"))
)]
pub(in crate::http) async fn events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let after = last_event_id(&headers)?;
    let place = api.streams.open(&caller)?;
    // Before the first read, so that nothing is missed between them.
    let watch = api.app.store.watch(id);
    let first = api.app.store.events(caller.tenant(), id, after).await?.ok_or_else(|| Problem::not_found(TASK))?;
    let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
    let follow = Follow { app: Arc::clone(&api.app), tenant: caller.tenant(), id, after, sender };
    tokio::spawn(follow.send_until_done(first, watch, place));
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(pieces)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    let parsed = value.to_str().ok().filter(|text| !text.is_empty()).map(str::parse);
    match parsed {
        Some(Ok(id)) => Ok(id),
        _ => Err(Problem::malformed("Last-Event-ID is not an id that this stream gave")),
    }
}

/// One open stream.
struct Follow {
    app: Arc<App>,
    tenant: TenantId,
    id: TaskId,
    after: u64,
    sender: Sender,
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
                    if !self.send(Bytes::from_static(b": still here\n\n")).await {
                        return;
                    }
                }
                () = self.sender.closed() => return,
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
            if piece.len() >= PIECE_BYTES && !self.send(std::mem::take(&mut piece).into()).await {
                return Sent::Gone;
            }
        }
        if !piece.is_empty() && !self.send(piece.into()).await {
            return Sent::Gone;
        }
        Sent::of(page)
    }

    /// Hands a piece to the reader; says whether there still is one.
    async fn send(&self, piece: Bytes) -> bool {
        matches!(tokio::time::timeout(READER_TIMEOUT, self.sender.send(Ok(piece))).await, Ok(Ok(())))
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
    // JSON has no line break of its own, so one data line holds it.
    out.extend_from_slice(format!("id: {}\nevent: {name}\ndata: ", event.id).as_bytes());
    out.extend_from_slice(&data.unwrap_or_else(|_| b"null".to_vec()));
    out.extend_from_slice(b"\n\n");
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

    #[test]
    fn the_last_id_must_be_one_of_ours() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", value.parse().unwrap());
            last_event_id(&headers)
        };
        assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), 0);
        assert_eq!(with("12").unwrap(), 12);
        assert_eq!(with("x").unwrap_err().status(), 400);
        assert_eq!(with("-1").unwrap_err().status(), 400);
    }
}
