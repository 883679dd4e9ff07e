//! Server-sent events: how a stream is answered, where it goes on, and when its reader is given up.

use super::{Problem, auth::Reader, query::Query, streams::StreamPlace};
use crate::app::App;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::Response,
};
use mecapy_store::StoreError;
use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;

/// A comment goes out after so long without an event, so that nobody between takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client that leaves what was written unread for so long is dropped.
const READER_TIMEOUT: Duration = Duration::from_secs(20);
/// Pieces that wait for a reader.
const PIECES_WAITING_MAX: usize = 2;
/// Events are sent together up to about so many bytes.
const PIECE_BYTES: usize = 32 << 10;
/// Whether the reader's credential is still good is asked once in so long at most, however much there is to send.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Where the events of a stream come from.
pub(super) trait Events: Send + 'static {
    type Event: Send + Sync;

    /// What has happened after the last event that was written; nothing where that was the newest.
    fn page(&mut self) -> impl Future<Output = Result<Page<Self::Event>, StoreError>> + Send;

    /// Appends an event, which is then the last that was written.
    fn write(&mut self, out: &mut Vec<u8>, event: &Self::Event) -> Result<(), StoreError>;

    /// Returns once there may be more; a call that is given up loses nothing.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// Some of the events, oldest first.
#[derive(Debug)]
pub(super) struct Page<E> {
    pub(super) events: Vec<E>,
    /// Nothing will follow.
    pub(super) done: bool,
}

/// One open stream.
pub(super) struct Follow<E> {
    pub(super) app: Arc<App>,
    pub(super) reader: Reader,
    pub(super) outlet: Outlet,
    pub(super) place: StreamPlace,
    pub(super) events: E,
}

impl<E: Events> Follow<E> {
    /// Sends until all is said, the client is gone, too slow or no longer allowed to read, or the server stops.
    pub(super) async fn send(mut self) {
        if let Err(error) = self.send_all().await {
            let tenant = self.reader.tenant;
            tracing::warn!(tenant.id = %tenant, error = ?error, "events: the stream is closed, the store failed");
        }
        drop(self.place);
    }

    async fn send_all(&mut self) -> Result<(), StoreError> {
        let mut asked_at = Instant::now();
        loop {
            if asked_at.elapsed() >= ASK_EVERY {
                asked_at = Instant::now();
                if !self.reader.is_good(&self.app.store) {
                    return Ok(());
                }
            }
            let page = self.events.page().await?;
            let is_last = page.events.is_empty();
            if !self.send_page(page.events).await? || page.done {
                return Ok(());
            }
            if !is_last {
                continue;
            }
            tokio::select! {
                () = self.events.changed() => (),
                () = sleep(KEEP_ALIVE) => {
                    if !self.outlet.keep_alive().await {
                        return Ok(());
                    }
                }
                () = self.outlet.closed() => return Ok(()),
                () = self.app.stopping.cancelled() => return Ok(()),
            }
        }
    }

    /// Sends a page's events; says whether there still is a reader.
    async fn send_page(&mut self, events: Vec<E::Event>) -> Result<bool, StoreError> {
        let mut piece = Vec::new();
        for event in &events {
            self.events.write(&mut piece, event)?;
            if piece.len() >= PIECE_BYTES && !self.outlet.send(std::mem::take(&mut piece)).await {
                return Ok(false);
            }
        }
        Ok(piece.is_empty() || self.outlet.send(piece).await)
    }
}

/// Where an open stream is written to.
#[derive(Debug)]
pub(super) struct Outlet(mpsc::Sender<Result<Bytes, Infallible>>);

impl Outlet {
    /// A stream, and the answer that carries it.
    pub(super) fn open() -> (Self, Response) {
        let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let mut response = Response::new(Body::from_stream(ReceiverStream::new(pieces)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        (Self(sender), response)
    }

    /// Hands a piece to the reader; says whether there still is one.
    pub(super) async fn send(&self, piece: impl Into<Bytes>) -> bool {
        matches!(tokio::time::timeout(READER_TIMEOUT, self.0.send(Ok(piece.into()))).await, Ok(Ok(())))
    }

    /// Says that the stream lives; says whether there still is a reader.
    pub(super) async fn keep_alive(&self) -> bool {
        self.send(Bytes::from_static(b": still here\n\n")).await
    }

    /// Returns once the reader is gone.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The last event that the client saw: what its browser says, or what its URL does. The field `ticket` has been read
/// by then.
pub(super) fn last_event_id(uri: &Uri, headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let in_url = Query::of(uri, &["last_event_id", "ticket"])?.integer("last_event_id", 0..=u64::MAX)?;
    let Some(value) = headers.get("last-event-id") else { return Ok(in_url) };
    let parsed = value.to_str().ok().filter(|text| !text.is_empty()).map(str::parse);
    match parsed {
        Some(Ok(id)) => Ok(Some(id)),
        _ => Err(Problem::malformed("Last-Event-ID is not an id that this stream gave")),
    }
}

/// Appends an event; `data` is JSON, which has no line break of its own, so one line holds it.
pub(super) fn write_event(out: &mut Vec<u8>, id: u64, name: &str, data: &[u8]) {
    out.extend_from_slice(format!("id: {id}\nevent: {name}\ndata: ").as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_id_must_be_one_of_ours() {
        let with = |query: &str, value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert("last-event-id", value.parse().unwrap());
            }
            last_event_id(&format!("/v1/events{query}").parse().unwrap(), &headers)
        };
        assert_eq!(with("", None).unwrap(), None);
        assert_eq!(with("", Some("12")).unwrap(), Some(12));
        assert_eq!(with("?last_event_id=7&ticket=x", None).unwrap(), Some(7));
        assert_eq!(with("?last_event_id=7", Some("12")).unwrap(), Some(12));
        assert_eq!(with("", Some("x")).unwrap_err().status(), 400);
        assert_eq!(with("", Some("-1")).unwrap_err().status(), 400);
        assert_eq!(with("?last_event_id=x", None).unwrap_err().status(), 422);
        assert_eq!(with("?after=5", None).unwrap_err().status(), 422);
    }
}
