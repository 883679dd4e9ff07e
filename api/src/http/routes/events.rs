//! `GET /v1/events`: what a tenant's tasks came to, as server-sent events, from where the client left off.

use crate::{
    app::App,
    http::{
        Problem,
        auth::Caller,
        router::Api,
        sse::{self, KEEP_ALIVE, Outlet, PIECE_BYTES},
        streams::StreamPlace,
    },
};
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_store::{StoreError, TenantEvent, TenantWatch};
use serde::Serialize;
use std::sync::Arc;

/// How the tasks of the caller's tenant end, as they do.
///
/// Each `task` event has the body that webhooks are sent. Their ids rise by one from each to the next; a client that
/// gives the last one it saw as `Last-Event-ID` misses nothing of the last seven days, and one that gives none hears what
/// comes from now on. Where older events than those were asked for, a `missed` event says which ids are gone.
#[utoipa::path(get, path = "/v1/events", tag = "Events",
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen"),
        ("last_event_id" = Option<u64>, Query, description = "The same, for who can't send headers"),
        ("ticket" = Option<String>, Query, description = "In the place of credentials: see `POST /v1/tickets`")
    ),
    responses((status = 200, body = String, content_type = "text/event-stream"))
)]
pub(in crate::http) async fn events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = sse::last_event_id(&uri, &headers)?;
    let place = api.streams.open(&caller)?;
    let (store, tenant) = (&api.app.store, caller.tenant());
    // Before the first read, so that nothing is missed between them.
    let watch = store.watch_tenant(tenant);
    let newest = store.last_tenant_event(tenant).await?;
    let (outlet, response) = Outlet::open();
    // An id that was never given is taken for the newest.
    let after = asked.map_or(newest, |asked| asked.min(newest));
    let follow = Follow { app: Arc::clone(&api.app), tenant, after, outlet };
    tokio::spawn(follow.send_until_gone(watch, place));
    Ok(response)
}

/// One open stream.
struct Follow {
    app: Arc<App>,
    tenant: TenantId,
    after: u64,
    outlet: Outlet,
}

/// Events that were asked for and are not kept any more.
#[derive(Serialize)]
struct Missed {
    from: u64,
    to: u64,
}

impl Follow {
    /// Sends until the client is gone or too slow, or the server stops.
    async fn send_until_gone(mut self, mut watch: TenantWatch, _place: StreamPlace) {
        // An id without data: a browser keeps it, and comes back with it if the stream breaks before the first event.
        if !self.outlet.send(format!("id: {}\n\n", self.after)).await {
            return;
        }
        loop {
            match self.send_new().await {
                Ok(Sent::More) => continue,
                Ok(Sent::All) => (),
                Ok(Sent::Gone) => return,
                Err(error) => {
                    tracing::warn!(tenant.id = %self.tenant, error = ?error, "events: the stream is closed, the store failed");
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

    /// Sends a page of what has happened since.
    async fn send_new(&mut self) -> Result<Sent, StoreError> {
        let events = self.app.store.tenant_events(self.tenant, self.after).await?;
        if events.is_empty() {
            return Ok(Sent::All);
        }
        let mut piece = Vec::new();
        for event in &events {
            write_after(&mut piece, self.after, event)?;
            self.after = event.seq;
            if piece.len() >= PIECE_BYTES && !self.outlet.send(std::mem::take(&mut piece)).await {
                return Ok(Sent::Gone);
            }
        }
        if !piece.is_empty() && !self.outlet.send(piece).await {
            return Ok(Sent::Gone);
        }
        Ok(Sent::More)
    }
}

/// Appends an event that follows the number `after`, and before it what is missing between them.
pub(in crate::http) fn write_after(out: &mut Vec<u8>, after: u64, event: &TenantEvent) -> Result<(), StoreError> {
    let missed = Missed { from: after + 1, to: event.seq.saturating_sub(1) };
    if missed.from <= missed.to {
        let data = serde_json::to_vec(&missed).unwrap_or_else(|_| b"null".to_vec());
        sse::write_event(out, missed.to, "missed", &data);
    }
    sse::write_event(out, event.seq, "task", event.body()?.as_bytes());
    Ok(())
}

/// What is left after a page was sent.
enum Sent {
    /// There may be another page.
    More,
    All,
    /// The reader went away.
    Gone,
}
