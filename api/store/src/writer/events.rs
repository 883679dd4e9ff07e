//! Telling tenants what ended: numbered events, and deliveries to whom they asked for, in the transaction that ends it.

use super::ending::Ended;
use super::runs::RunNews;
use super::state::Writer;
use super::tally::EndedBatch;
use crate::StoreError;
use crate::bus::Hint;
use crate::clock::{from_unix_ms, unix_ms};
use crate::deliveries::{NewDelivery, endpoint_of_url, endpoint_of_webhook};
use crate::events::{EventType, TenantEvent};
use crate::sql::{Rows, pieces, query, with_list};
use crate::webhooks::{ENABLED, read_events};
use mecapy_model::{DeliveryId, ErrorKind, EventId, Lane, TenantId, WebhookId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An event that has no number yet.
pub(super) struct NewEvent {
    tenant: TenantId,
    /// Where the task itself asked for it.
    webhook_url: Option<String>,
    event: TenantEvent,
}

/// An enabled webhook as far as sending to it needs.
struct Subscriber {
    id: WebhookId,
    url: Arc<str>,
    events: Vec<EventType>,
}

const NUMBERS: Rows = Rows {
    head: "INSERT INTO tenant_event_numbers (tenant, last)",
    width: 2,
    tail: " ON CONFLICT (tenant) DO UPDATE SET last = tenant_event_numbers.last + excluded.last \
           RETURNING tenant, last",
};
const EVENTS: Rows = Rows {
    head: "INSERT INTO tenant_events (tenant, seq, id, at_ms, kind, task, name, lane, error_kind, items)",
    width: 10,
    tail: "",
};

impl Writer {
    /// Notes that a task has ended; [`record_events`](Self::record_events) writes it down. Of a batch's tasks nothing is
    /// told, but of the batch.
    pub(super) fn tell_ended(&mut self, ended: &Ended) {
        let Some(kind) = EventType::of_end(ended.state).filter(|_| ended.batch.is_none()) else { return };
        let event = TenantEvent {
            seq: 0,
            id: EventId(self.new_id()),
            at: from_unix_ms(ended.at_ms),
            kind,
            subject: ended.task.0,
            name: ended.name.clone(),
            lane: ended.lane,
            error_kind: ended.record.error_kind.map(ErrorKind::as_str).map(str::to_owned),
            items: None,
        };
        let new = NewEvent { tenant: ended.tenant, webhook_url: ended.webhook_url.clone(), event };
        self.news().push(new);
    }

    /// The same of a batch.
    pub(super) fn tell_batch_ended(&mut self, ended: EndedBatch) {
        let Some(kind) = EventType::of_batch_end(ended.state) else { return };
        let event = TenantEvent {
            seq: 0,
            id: EventId(self.new_id()),
            at: from_unix_ms(self.now_ms),
            kind,
            subject: ended.id.0,
            name: ended.name,
            lane: ended.lane,
            error_kind: None,
            items: Some(ended.items),
        };
        self.news().push(NewEvent { tenant: ended.tenant, webhook_url: None, event });
    }

    /// The same of a workflow run, which ends now.
    pub(super) fn tell_run_ended(&mut self, tenant: TenantId, run: RunNews) {
        let Some(kind) = EventType::of_run_end(run.state) else { return };
        let event = TenantEvent {
            seq: 0,
            id: EventId(self.new_id()),
            at: from_unix_ms(self.now_ms),
            kind,
            subject: run.id.0,
            name: run.name,
            lane: Lane::Default,
            error_kind: run.error_kind,
            items: None,
        };
        self.news().push(NewEvent { tenant, webhook_url: None, event });
    }

    /// Writes what was noted, as the transaction's last words: from here to the commit no other process numbers events
    /// of the same tenants, so that what has a lower number is never committed later.
    pub(super) async fn record_events(&mut self) -> Result<(), StoreError> {
        let mut news = std::mem::take(self.news());
        if news.is_empty() {
            return Ok(());
        }
        // In one order everywhere, so that two processes never hold what the other waits for.
        let mut counts: BTreeMap<TenantId, i64> = BTreeMap::new();
        for new in &news {
            *counts.entry(new.tenant).or_default() += 1;
        }
        let counts: Vec<(TenantId, i64)> = counts.into_iter().collect();
        let deliveries = self.deliveries_of(&news, &counts).await?;
        self.insert_deliveries(&deliveries).await?;
        let mut next = HashMap::with_capacity(counts.len());
        for piece in pieces(&counts) {
            let mut query = query(NUMBERS.sql(piece.len()));
            for (tenant, count) in piece {
                query = query.bind(*tenant).bind(*count);
            }
            for row in query.fetch_all(&mut self.conn).await? {
                next.insert(TenantId(row.id(0)?), row.count(1)?);
            }
        }
        for (tenant, count) in &counts {
            let last = next.get_mut(tenant).ok_or_else(|| StoreError::corrupt("events without numbers"))?;
            self.tell_tenant(*tenant, *last);
            *last = last.saturating_sub(count.unsigned_abs());
        }
        for new in &mut news {
            let seq = next.entry(new.tenant).or_default();
            *seq += 1;
            new.event.seq = *seq;
        }
        self.insert_events(&news).await
    }

    /// To be done after the commit.
    fn tell_tenant(&mut self, tenant: TenantId, seq: u64) {
        let followers = self.shared.tenants().clone();
        self.after_commit(move || followers.tell(tenant, seq));
        self.hint(Hint::Tenant { tenant, seq });
    }

    async fn insert_events(&mut self, news: &[NewEvent]) -> Result<(), StoreError> {
        for piece in pieces(news) {
            let mut query = query(EVENTS.sql(piece.len()));
            for NewEvent { tenant, event, .. } in piece {
                query = query
                    .bind(*tenant)
                    .bind(i64::try_from(event.seq).unwrap_or(i64::MAX))
                    .bind(event.id)
                    .bind(unix_ms(event.at))
                    .bind(event.kind.as_str())
                    .bind(event.subject)
                    .bind(event.name.as_deref())
                    .bind(event.lane.as_str())
                    .bind(event.error_kind.as_deref())
                    .bind(event.items.and_then(|items| serde_json::to_string(&items).ok()));
            }
            self.run(query).await?;
        }
        Ok(())
    }

    /// One delivery for each webhook that asked for an event, and one for each task's own URL.
    async fn deliveries_of(
        &mut self,
        news: &[NewEvent],
        tenants: &[(TenantId, i64)],
    ) -> Result<Vec<NewDelivery>, StoreError> {
        let subscribers = self.subscribers(tenants).await?;
        let mut deliveries = Vec::new();
        for NewEvent { tenant, webhook_url, event } in news {
            let asked = subscribers.get(tenant).into_iter().flatten();
            let mut targets: Vec<(Option<WebhookId>, Arc<str>)> = asked
                .filter(|subscriber| subscriber.events.contains(&event.kind))
                .map(|subscriber| (Some(subscriber.id), subscriber.url.clone()))
                .collect();
            targets.extend(webhook_url.as_deref().map(|url| (None, Arc::from(url))));
            if targets.is_empty() {
                continue;
            }
            let payload: Arc<str> = event.body()?.into();
            for (webhook, url) in targets {
                let endpoint = webhook.map_or_else(|| endpoint_of_url(*tenant, &url), endpoint_of_webhook);
                deliveries.push(NewDelivery {
                    id: DeliveryId(self.new_id()),
                    tenant: *tenant,
                    webhook,
                    endpoint,
                    url,
                    event: event.id,
                    kind: event.kind.as_str().into(),
                    payload: payload.clone(),
                });
            }
        }
        Ok(deliveries)
    }

    async fn subscribers(
        &mut self,
        tenants: &[(TenantId, i64)],
    ) -> Result<HashMap<TenantId, Vec<Subscriber>>, StoreError> {
        let mut subscribers: HashMap<TenantId, Vec<Subscriber>> = HashMap::new();
        for piece in pieces(tenants) {
            let sql = "SELECT id, tenant, url, events FROM webhooks WHERE state = ? AND tenant IN (";
            let mut query = query(with_list(sql, piece.len(), ") ORDER BY id")).bind(ENABLED);
            for (tenant, _) in piece {
                query = query.bind(*tenant);
            }
            for row in query.fetch_all(&mut self.conn).await? {
                let url: &str = row.try_get(2)?;
                let events = read_events(row.try_get(3)?)?;
                let subscriber = Subscriber { id: WebhookId(row.id(0)?), url: url.into(), events };
                subscribers.entry(TenantId(row.id(1)?)).or_default().push(subscriber);
            }
        }
        Ok(subscribers)
    }
}
