//! Deliveries: what is sent to whom, and the log of how it went. Knows nothing of when one is tried again.

use crate::bus::Hint;
use crate::clock::from_unix_ms;
use crate::events::body;
use crate::sql::{Row, Rows, pieces, query};
use crate::webhooks::ENABLED;
use crate::writer::Writer;
use crate::{Store, StoreError};
use mecapy_model::{DeliveryId, EventId, TenantId, WebhookId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

/// How long a delivery is kept, and can be replayed.
pub const DELIVERIES_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How many rows one transaction ends or deletes, so that others wait only briefly.
const ROWS_AT_ONCE: u32 = 1_000;
/// What a webhook is sent to try it out.
const PING: &str = "ping";

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    /// The same at each attempt, and at each replay.
    pub event: EventId,
    /// The event's type.
    pub kind: String,
    /// Where it is sent, as far as it is known today.
    pub url: String,
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempt: u32,
    /// When the next attempt is due, where one is.
    pub due_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub delivered_at: Option<OffsetDateTime>,
    pub last: Option<LastAttempt>,
}

/// How the latest attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAttempt {
    pub at: OffsetDateTime,
    pub duration_ms: u64,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub snippet: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is due now, later, or under way.
    Pending,
    Delivered,
    /// Tried as often as it may be, or the endpoint wanted nothing more.
    Failed,
    /// Its webhook was disabled before it was delivered.
    Abandoned,
}

/// What a request to send something met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    Made(Delivery),
    /// The webhook is disabled: nothing is sent.
    Disabled,
    Missing,
}

impl DeliveryState {
    pub const ALL: [DeliveryState; 4] =
        [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Abandoned];

    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Failed => "failed",
            DeliveryState::Abandoned => "abandoned",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = DeliveryState::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("unknown state of a delivery {text:?}"))
    }
}

/// A delivery to make, due at once.
#[derive(Debug, Clone)]
pub(crate) struct NewDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) tenant: TenantId,
    pub(crate) webhook: Option<WebhookId>,
    pub(crate) endpoint: Uuid,
    pub(crate) url: Arc<str>,
    pub(crate) event: EventId,
    pub(crate) kind: Arc<str>,
    pub(crate) payload: Arc<str>,
}

/// What a ping is about.
#[derive(Serialize)]
struct PingData {
    webhook: WebhookId,
}

const DELIVERIES: Rows = Rows {
    head: "INSERT INTO webhook_deliveries (id, tenant, webhook, endpoint, url, event, kind, payload, state, due_ms, \
           created_ms)",
    width: 11,
    tail: "",
};
/// The columns that [`read_delivery`] takes, in its order.
const COLUMNS: &str = "id, event, kind, url, state, attempt, due_ms, created_ms, delivered_ms, last_ms, \
                       last_duration_ms, last_status, last_error, snippet";

/// The endpoint of a webhook. Endpoints are digests, so that they are spread evenly over all numbers.
pub(crate) fn endpoint_of_webhook(webhook: WebhookId) -> Uuid {
    digest(&format!("webhook\n{webhook}"))
}

/// The endpoint of a URL that a task brought along: one for each tenant and origin, however many URLs a tenant makes up.
pub(crate) fn endpoint_of_url(tenant: TenantId, url: &str) -> Uuid {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url.get(host..).and_then(|rest| rest.find(['/', '?', '#']));
    let origin = path.and_then(|length| url.get(..host + length)).unwrap_or(url);
    digest(&format!("url\n{tenant}\n{origin}"))
}

fn digest(text: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let (first, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    Uuid::from_bytes(*first)
}

impl Store {
    /// Up to `limit` deliveries of a webhook, those made before `before` or all, newest first. `None`: there is no such
    /// webhook.
    pub async fn deliveries(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Option<Vec<Delivery>>, StoreError> {
        if self.webhook(tenant, webhook).await?.is_none() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM webhook_deliveries WHERE tenant = ? AND webhook = ? AND id < ? ORDER BY id DESC LIMIT ?"
        );
        // Made of constants.
        let rows = query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(webhook)
            .bind(before.unwrap_or(DeliveryId(Uuid::max())))
            .bind(limit)
            .fetch_all(&mut self.reader(tenant).await?)
            .await?;
        rows.iter().map(read_delivery).collect::<Result<_, _>>().map(Some)
    }

    /// Sends an event to a webhook once more, under the same id and in the same words.
    pub async fn replay_delivery(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Replay, StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "SELECT event, kind, payload FROM webhook_deliveries WHERE tenant = ? AND webhook = ? AND id = ?";
            let row = query(sql).bind(tenant).bind(webhook).bind(delivery).fetch_optional(&mut writer.conn).await?;
            let Some(row) = row else { return Ok(Replay::Missing) };
            let (kind, payload): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
            writer.send_now(tenant, webhook, (EventId(row.id(0)?), kind, payload)).await
        })
        .await
    }

    /// Sends a webhook an event of the type `ping`, whatever it asked for.
    pub async fn ping_webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<Replay, StoreError> {
        self.write_rarely(async move |writer| {
            let event = EventId(writer.new_id());
            let payload = body(event, PING, from_unix_ms(writer.now_ms), PingData { webhook })?;
            writer.send_now(tenant, webhook, (event, PING, &payload)).await
        })
        .await
    }

    /// Signalled when deliveries may be due. A hint: it may be lost.
    pub fn deliveries_wakeup(&self) -> Arc<Notify> {
        self.shared().deliveries().clone()
    }

    /// Ends what waits for a webhook; what is under way ends by its report.
    pub(crate) async fn abandon_deliveries(&self, webhook: WebhookId) -> Result<(), StoreError> {
        let endpoint = endpoint_of_webhook(webhook);
        let sql = "UPDATE webhook_deliveries SET state = 'abandoned' WHERE id IN (SELECT id FROM webhook_deliveries \
                   WHERE endpoint = ? AND state = 'pending' AND lease_until_ms IS NULL LIMIT ?)";
        let some =
            move || async move |writer: &mut Writer| writer.run(query(sql).bind(endpoint).bind(ROWS_AT_ONCE)).await;
        while self.write_rarely(some()).await? >= u64::from(ROWS_AT_ONCE) {}
        Ok(())
    }

    /// Deletes a webhook's log, and what waits.
    pub(crate) async fn delete_deliveries(&self, webhook: WebhookId) -> Result<(), StoreError> {
        let sql = "DELETE FROM webhook_deliveries WHERE id IN \
                   (SELECT id FROM webhook_deliveries WHERE webhook = ? LIMIT ?)";
        let some =
            move || async move |writer: &mut Writer| writer.run(query(sql).bind(webhook).bind(ROWS_AT_ONCE)).await;
        while self.write_rarely(some()).await? >= u64::from(ROWS_AT_ONCE) {}
        Ok(())
    }
}

impl Writer {
    pub(crate) async fn insert_deliveries(&mut self, deliveries: &[NewDelivery]) -> Result<(), StoreError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let now_ms = self.now_ms;
        for piece in pieces(deliveries) {
            let mut query = query(DELIVERIES.sql(piece.len()));
            for delivery in piece {
                query = query
                    .bind(delivery.id)
                    .bind(delivery.tenant)
                    .bind(delivery.webhook)
                    .bind(delivery.endpoint)
                    .bind(delivery.url.clone())
                    .bind(delivery.event)
                    .bind(delivery.kind.clone())
                    .bind(delivery.payload.clone())
                    .bind(DeliveryState::Pending.as_str())
                    .bind(now_ms)
                    .bind(now_ms);
            }
            self.run(query).await?;
        }
        let wakeup = self.deliveries_wakeup();
        self.after_commit(move || wakeup.notify_one());
        self.hint(Hint::Deliveries);
        Ok(())
    }

    /// Makes a delivery of an event (its id, type and body) to one webhook.
    async fn send_now(
        &mut self,
        tenant: TenantId,
        webhook: WebhookId,
        (event, kind, payload): (EventId, &str, &str),
    ) -> Result<Replay, StoreError> {
        let sql = "SELECT url, state FROM webhooks WHERE tenant = ? AND id = ?";
        let row = query(sql).bind(tenant).bind(webhook).fetch_optional(&mut self.conn).await?;
        let Some(row) = row else { return Ok(Replay::Missing) };
        if row.try_get::<&str>(1)? != ENABLED {
            return Ok(Replay::Disabled);
        }
        let url: String = row.try_get(0)?;
        let now = from_unix_ms(self.now_ms);
        let new = NewDelivery {
            id: DeliveryId(self.new_id()),
            tenant,
            webhook: Some(webhook),
            endpoint: endpoint_of_webhook(webhook),
            url: url.as_str().into(),
            event,
            kind: kind.into(),
            payload: payload.into(),
        };
        self.insert_deliveries(std::slice::from_ref(&new)).await?;
        Ok(Replay::Made(Delivery {
            id: new.id,
            event,
            kind: kind.to_owned(),
            url,
            state: DeliveryState::Pending,
            attempt: 0,
            due_at: Some(now),
            created_at: now,
            delivered_at: None,
            last: None,
        }))
    }
}

fn read_delivery(row: &Row) -> Result<Delivery, StoreError> {
    let state: DeliveryState = row.try_get::<&str>(4)?.parse().map_err(StoreError::corrupt)?;
    let due_at = from_unix_ms(row.try_get(6)?);
    let last = match row.try_get::<Option<i64>>(9)? {
        Some(at_ms) => Some(LastAttempt {
            at: from_unix_ms(at_ms),
            duration_ms: row.try_get::<Option<i64>>(10)?.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
            status: row.try_get::<Option<i64>>(11)?.and_then(|status| u16::try_from(status).ok()),
            error: row.try_get(12)?,
            snippet: row.try_get::<Option<String>>(13)?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(Delivery {
        id: DeliveryId(row.id(0)?),
        event: EventId(row.id(1)?),
        kind: row.try_get(2)?,
        url: row.try_get(3)?,
        state,
        attempt: u32::try_from(row.count(5)?).unwrap_or(u32::MAX),
        due_at: (state == DeliveryState::Pending).then_some(due_at),
        created_at: from_unix_ms(row.try_get(7)?),
        delivered_at: row.try_get::<Option<i64>>(8)?.map(from_unix_ms),
        last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_one_tenant_and_origin_are_one_endpoint() {
        let tenant = |number| TenantId(Uuid::from_u128(number));
        let first = endpoint_of_url(tenant(1), "https://a.example/hook?task=1");
        for url in ["https://a.example/", "https://a.example", "https://a.example?x", "https://a.example/b/c"] {
            assert_eq!(endpoint_of_url(tenant(1), url), first, "{url}");
        }
        for url in ["https://b.example/hook", "http://a.example/", "https://a.example:444/", "a"] {
            assert_ne!(endpoint_of_url(tenant(1), url), first, "{url}");
        }
        assert_ne!(endpoint_of_url(tenant(2), "https://a.example/"), first);
    }
}
