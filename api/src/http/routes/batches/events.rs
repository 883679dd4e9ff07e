//! `GET /v1/batches/{id}/events`: how a batch goes on, as server-sent events.

use super::{BATCH, batch_id};
use crate::http::{
    Problem,
    auth::Reader,
    router::Api,
    sse::{self, Events, Follow, Outlet, Page},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use mecapy_model::{BatchId, BatchState, TenantId};
use mecapy_store::{BatchRow, BatchWatch, Store, StoreError};
use serde::Serialize;
use std::sync::Arc;

/// How a batch goes on: how many of its items are in which state.
///
/// Events are `state` where the batch begins, `progress` and, as the last, `done`; each has all counts, so of many that
/// come together only the newest is sent. A client that gives the last id it saw as `Last-Event-ID` goes on from there.
#[utoipa::path(get, path = "/v1/batches/{id}/events", tag = "Batches",
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
    let id = batch_id(&id)?;
    let after = sse::last_event_id(&uri, &headers)?.unwrap_or(0);
    let place = api.streams.open(&reader)?;
    let (store, tenant) = (api.app.store.clone(), reader.tenant);
    // Before the first read, so that nothing is missed between them.
    let watch = store.follow_batch(tenant, id).await?.ok_or_else(|| Problem::not_found(BATCH))?;
    let (outlet, response) = Outlet::open();
    let events = OfBatch { store, tenant, id, after, watch, state: None };
    tokio::spawn(Follow { app: Arc::clone(&api.app), reader, outlet, place, events }.send());
    Ok(response)
}

/// The changes of a batch after one of them.
struct OfBatch {
    store: Store,
    tenant: TenantId,
    id: BatchId,
    after: u64,
    watch: BatchWatch,
    /// As it was told last.
    state: Option<BatchState>,
}

impl Events for OfBatch {
    type Event = BatchRow;

    async fn page(&mut self) -> Result<Page<BatchRow>, StoreError> {
        // A batch that was deleted meanwhile has nothing more to say.
        let Some(batch) = self.store.batch(self.tenant, self.id).await? else {
            return Ok(Page { events: Vec::new(), done: true });
        };
        let done = batch.state.is_terminal();
        let events = if batch.seq > self.after { vec![batch] } else { Vec::new() };
        Ok(Page { events, done })
    }

    fn write(&mut self, out: &mut Vec<u8>, batch: &BatchRow) -> Result<(), StoreError> {
        let name = match batch.state {
            state if state.is_terminal() => "done",
            state if self.state != Some(state) => "state",
            _ => "progress",
        };
        self.after = batch.seq;
        self.state = Some(batch.state);
        let data = serde_json::to_vec(&Data::of(batch)).unwrap_or_else(|_| b"null".to_vec());
        sse::write_event(out, batch.seq, name, &data);
        Ok(())
    }

    async fn changed(&mut self) {
        self.watch.changed().await;
    }
}

#[derive(Serialize)]
struct Data {
    state: BatchState,
    total: u32,
    queued: u32,
    running: u32,
    completed: u32,
    failed: u32,
    cancelled: u32,
    /// 0 to 1.
    fraction: f64,
}

impl Data {
    fn of(batch: &BatchRow) -> Self {
        let BatchRow { state, total, queued, running, completed, failed, cancelled, .. } = *batch;
        Self { state, total, queued, running, completed, failed, cancelled, fraction: batch.progress() }
    }
}
