//! `GET /v1/workflow-runs/{id}/events`: a run's log, as it grows or page by page.

use super::{RUN, json, run_id};
use crate::http::{
    Problem,
    auth::Reader,
    query::Query,
    router::Api,
    shown::time,
    sse::{self, Events, Follow, Outlet, Page},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use mecapy_model::{RunId, TenantId};
use mecapy_store::{RUN_EVENTS_PAGE_MAX, RunEvent, RunWatch, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// An event of a run's log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunEvent)]
pub(in crate::http) struct EventShown {
    /// 1 is the first; without gaps.
    seq: u64,
    #[schema(format = DateTime)]
    at: String,
    /// `started`, `node_mapped`, `node_started`, `node_ended`, `node_skipped`, `approved`, `rejected`, `cancel_asked`,
    /// `restarted` or `ended`.
    event: String,
    /// What belongs to it.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

/// Some of a run's events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowRunEventPage)]
pub(in crate::http) struct EventPageShown {
    events: Vec<EventShown>,
    /// Give this as `after` to see what comes then.
    next_after: u64,
    /// Whether nothing more will come, unless the run is restarted.
    done: bool,
}

/// Everything that happens to a run, as it happens (server-sent events), or with `format=json` one page of it.
///
/// Each event has its number as id; a client that gives the last one it saw as `Last-Event-ID` misses nothing.
#[utoipa::path(get, path = "/v1/workflow-runs/{id}/events", tag = "Workflows",
    params(
        ("id" = uuid::Uuid, Path),
        ("format" = Option<String>, Query, description = "`json`: one page, at once"),
        ("after" = Option<u64>, Query, description = "With `format=json`: the last event that was seen"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen"),
        ("last_event_id" = Option<u64>, Query, description = "The same, for who can't send headers"),
        ("ticket" = Option<String>, Query, description = "In the place of credentials: see `POST /v1/tickets`")
    ),
    responses((status = 200, content(
        (String = "text/event-stream"),
        (EventPageShown = "application/json")
    )))
)]
pub(in crate::http) async fn events(
    State(api): State<Arc<Api>>,
    reader: Reader,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = run_id(&id)?;
    let (store, tenant) = (api.app.store.clone(), reader.tenant);
    if uri.query().is_some_and(|query| query.split('&').any(|field| field.starts_with("format="))) {
        return page(&store, (tenant, id), &uri).await;
    }
    let after = sse::last_event_id(&uri, &headers)?.unwrap_or(0);
    let place = api.streams.open(&reader)?;
    // Before the first read, so that nothing is missed between them.
    let watch = store.follow_run(tenant, id);
    store.run(tenant, id).await?.ok_or_else(|| Problem::not_found(RUN))?;
    let (outlet, response) = Outlet::open();
    let events = OfRun { store, tenant, id, after, watch };
    tokio::spawn(Follow { app: Arc::clone(&api.app), reader, outlet, place, events }.send());
    Ok(response)
}

async fn page(store: &Store, (tenant, id): (TenantId, RunId), uri: &Uri) -> Result<Response, Problem> {
    let mut query = Query::of(uri, &["format", "after", "ticket"])?;
    if query.text("format").as_deref() != Some("json") {
        return Err(Problem::fault("/format", "unknown_value", "use format=json, or leave it out for a stream"));
    }
    let after = query.integer("after", 0..=u64::MAX)?.unwrap_or(0);
    store.run(tenant, id).await?.ok_or_else(|| Problem::not_found(RUN))?;
    let (events, done) = read(store, (tenant, id), after).await?;
    let next_after = events.last().map_or(after, |event| event.seq);
    let events = events.iter().map(shown).collect::<Result<_, _>>()?;
    json(StatusCode::OK, &EventPageShown { events, next_after, done })
}

/// The events after one of them, and whether nothing will follow.
async fn read(store: &Store, (tenant, id): (TenantId, RunId), after: u64) -> Result<(Vec<RunEvent>, bool), StoreError> {
    let events = store.run_events(tenant, id, after).await?;
    let whole = events.len() < RUN_EVENTS_PAGE_MAX as usize;
    // Read after its events: a run that was ended then had all of them, or they are after the last of these.
    let run = if whole { store.run(tenant, id).await? } else { None };
    let last = events.last().map_or(after, |event| event.seq);
    let done = whole && run.is_none_or(|run| run.state.is_terminal() && run.seq <= last);
    Ok((events, done))
}

/// The events of a run after one of them.
struct OfRun {
    store: Store,
    tenant: TenantId,
    id: RunId,
    after: u64,
    watch: RunWatch,
}

impl Events for OfRun {
    type Event = RunEvent;

    async fn page(&mut self) -> Result<Page<RunEvent>, StoreError> {
        let (events, done) = read(&self.store, (self.tenant, self.id), self.after).await?;
        Ok(Page { events, done })
    }

    fn write(&mut self, out: &mut Vec<u8>, event: &RunEvent) -> Result<(), StoreError> {
        self.after = self.after.max(event.seq);
        let shown = shown(event)?;
        let data = serde_json::to_vec(&shown).unwrap_or_else(|_| b"null".to_vec());
        sse::write_event(out, event.seq, &shown.event, &data);
        Ok(())
    }

    async fn changed(&mut self) {
        self.watch.changed().await;
    }
}

/// An event with its name apart from what belongs to it.
fn shown(event: &RunEvent) -> Result<EventShown, StoreError> {
    #[derive(Deserialize)]
    struct Stored<'a> {
        #[serde(borrow)]
        event: BTreeMap<&'a str, &'a RawValue>,
    }
    let corrupt = |what: String| StoreError::Corrupt { what: format!("an event of a run: {what}") };
    let stored: Stored<'_> = serde_json::from_str(event.body.get()).map_err(|error| corrupt(error.to_string()))?;
    let (name, data) = stored.event.into_iter().next().ok_or_else(|| corrupt("it has no name".to_owned()))?;
    Ok(EventShown { seq: event.seq, at: time(event.at), event: name.to_owned(), data: data.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::time::macros::datetime;

    #[test]
    fn an_event_is_shown_by_its_name_to_the_digit() {
        let at = datetime!(2026-01-02 03:04:05.678 UTC);
        let body = r#"{"at_ms":1,"event":{"ended":{"state":"completed","outputs":{"u":1.10}}}}"#;
        let event = RunEvent { seq: 7, at, body: RawValue::from_string(body.to_owned()).unwrap() };
        let text = serde_json::to_string(&shown(&event).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"seq":7,"at":"2026-01-02T03:04:05.678Z","event":"ended","data":{"state":"completed","outputs":{"u":1.10}}}"#
        );
        let none = RunEvent { body: RawValue::from_string("{\"event\":{}}".to_owned()).unwrap(), ..event };
        assert!(shown(&none).is_err());
    }
}
