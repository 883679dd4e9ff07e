//! `GET /v1/events`: what a tenant's tasks came to, as server-sent events, from where the client left off.

use crate::http::{
    Problem,
    auth::Reader,
    router::Api,
    sse::{self, Events, Follow, Outlet, Page},
};
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_store::{Store, StoreError, TenantEvent, TenantWatch};
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
    reader: Reader,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = sse::last_event_id(&uri, &headers)?;
    let place = api.streams.open(&reader)?;
    let (store, tenant) = (api.app.store.clone(), reader.tenant);
    // Before the first read, so that nothing is missed between them.
    let watch = store.watch_tenant(tenant);
    let newest = store.last_tenant_event(tenant).await?;
    let (outlet, response) = Outlet::open();
    // An id that was never given is taken for the newest.
    let after = asked.map_or(newest, |asked| asked.min(newest));
    // An id without data: a browser keeps it, and comes back with it if the stream breaks before the first event.
    outlet.send(format!("id: {after}\n\n")).await;
    let events = OfTenant { store, tenant, after, watch };
    tokio::spawn(Follow { app: Arc::clone(&api.app), reader, outlet, place, events }.send());
    Ok(response)
}

/// The events of a tenant after one of them.
struct OfTenant {
    store: Store,
    tenant: TenantId,
    after: u64,
    watch: TenantWatch,
}

impl Events for OfTenant {
    type Event = TenantEvent;

    async fn page(&mut self) -> Result<Page<TenantEvent>, StoreError> {
        Ok(Page { events: self.store.tenant_events(self.tenant, self.after).await?, done: false })
    }

    fn write(&mut self, out: &mut Vec<u8>, event: &TenantEvent) -> Result<(), StoreError> {
        write_after(out, self.after, event)?;
        self.after = event.seq;
        Ok(())
    }

    async fn changed(&mut self) {
        self.watch.changed().await;
    }
}

/// Events that were asked for and are not kept any more.
#[derive(Serialize)]
struct Missed {
    from: u64,
    to: u64,
}

/// Appends an event that follows the number `after`, and before it what is missing between them.
pub(in crate::http) fn write_after(out: &mut Vec<u8>, after: u64, event: &TenantEvent) -> Result<(), StoreError> {
    let missed = Missed { from: after + 1, to: event.seq.saturating_sub(1) };
    if missed.from <= missed.to {
        let data = serde_json::to_vec(&missed).unwrap_or_else(|_| b"null".to_vec());
        sse::write_event(out, missed.to, "missed", &data);
    }
    sse::write_event(out, event.seq, event.kind.subject().as_str(), event.body()?.as_bytes());
    Ok(())
}
