//! Deleting what nobody needs any more: expired uploads, old idempotency keys, objects whose rows are gone.

use crate::clock::millis;
use crate::sql::query;
use crate::writer::Writer;
use crate::{DELIVERIES_KEPT_FOR, ObjectKey, Store, StoreError, TENANT_EVENTS_KEPT_FOR, UploadDeleted};
use mecapy_model::{DeliveryId, TenantId, UploadId};
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long an idempotency key is remembered at least.
const IDEMPOTENCY_KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How many rows one transaction deletes, so that others wait only briefly.
const ROWS_AT_ONCE: u32 = 500;
/// The same of small rows that nothing refers to and that lie side by side.
const SMALL_ROWS_AT_ONCE: u32 = 4_000;
/// How long the deletion of some hundred objects may take: a request may wait for it, and what is left is for the next.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(10);

/// What a collection deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    pub uploads: u64,
    pub idempotency_keys: u64,
    /// Of tenants.
    pub events: u64,
    /// Of webhooks.
    pub deliveries: u64,
}

impl Store {
    /// Deletes what has expired. Call every hour or so.
    pub async fn collect_garbage(&self) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        // Uploads that live tasks name stay and are looked at again next time: start after them, not with them.
        let mut after = Some(UploadId(Uuid::nil()));
        while let Some(from) = after {
            let (deleted, next) = self.write_rarely(async move |writer| writer.expire_uploads(from).await).await?;
            collected.uploads += deleted;
            after = next;
            self.sweep_objects().await;
        }
        self.write_rarely(async |writer| writer.expire_workers().await).await?;
        loop {
            let deleted = self.write_rarely(async |writer| writer.expire_idempotency().await).await?;
            collected.idempotency_keys += deleted;
            if deleted < u64::from(ROWS_AT_ONCE) {
                break;
            }
        }
        for row in query("SELECT tenant FROM tenant_event_numbers").fetch_all(self.readers()).await? {
            let tenant = TenantId(row.id(0)?);
            loop {
                let deleted = self.write_rarely(async move |writer| writer.expire_events(tenant).await).await?;
                collected.events += deleted;
                if deleted < u64::from(SMALL_ROWS_AT_ONCE) {
                    break;
                }
            }
        }
        loop {
            let deleted = self.write_rarely(async |writer| writer.expire_deliveries().await).await?;
            collected.deliveries += deleted;
            if deleted < u64::from(SMALL_ROWS_AT_ONCE) {
                return Ok(collected);
            }
        }
    }

    /// Deletes the objects whose rows are gone. What fails is tried again by the next sweep, at the latest at the next
    /// start.
    pub(crate) async fn sweep_objects(&self) {
        if let Err(error) = self.delete_doomed_objects().await {
            tracing::warn!(error = %error, cause = ?error, "objects that nobody needs could not be deleted yet");
        }
    }

    async fn delete_doomed_objects(&self) -> Result<(), StoreError> {
        // What can't be deleted stays and is passed over.
        let mut after = String::new();
        loop {
            let sql = "SELECT object_key FROM doomed_objects WHERE object_key > ? ORDER BY object_key LIMIT ?";
            let rows = query(sql).bind(after.as_str()).bind(ROWS_AT_ONCE).fetch_all(self.readers()).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.try_get(0)?;
            let mut doomed = Vec::with_capacity(rows.len());
            for row in rows {
                doomed.push(ObjectKey::parse(row.try_get(0)?).map_err(|error| StoreError::corrupt(error.to_string()))?);
            }
            let late = |_| StoreError::io("deleting objects")(std::io::ErrorKind::TimedOut.into());
            let gone = timeout(SWEEP_TIMEOUT, self.objects().delete_each(doomed)).await.map_err(late)??;
            self.write_rarely(async move |writer| {
                for key in &gone {
                    writer.run(query("DELETE FROM doomed_objects WHERE object_key = ?").bind(key.as_str())).await?;
                }
                Ok(())
            })
            .await?;
        }
    }
}

impl Writer {
    /// To be deleted once the transaction is committed.
    pub(crate) async fn doom_object(&mut self, key: &ObjectKey) -> Result<(), StoreError> {
        let sql = "INSERT INTO doomed_objects (object_key) VALUES (?) ON CONFLICT (object_key) DO NOTHING";
        self.run(query(sql).bind(key.as_str())).await.map(drop)
    }

    /// Deletes some expired uploads after `from`; answers how many, and where to go on.
    async fn expire_uploads(&mut self, from: UploadId) -> Result<(u64, Option<UploadId>), StoreError> {
        let sql = "SELECT id, tenant FROM uploads WHERE expires_ms <= ? AND id > ? ORDER BY id LIMIT ?";
        let query = query(sql).bind(self.now_ms).bind(from).bind(ROWS_AT_ONCE);
        let rows = query.fetch_all(&mut self.conn).await?;
        let (mut deleted, mut last) = (0, None);
        for row in &rows {
            let (id, tenant) = (UploadId(row.id(0)?), TenantId(row.id(1)?));
            if self.delete_unused_upload(tenant, id).await? == UploadDeleted::Yes {
                deleted += 1;
            }
            last = Some(id);
        }
        let whole = rows.len() < ROWS_AT_ONCE as usize;
        Ok((deleted, last.filter(|_| !whole)))
    }

    async fn expire_idempotency(&mut self) -> Result<u64, StoreError> {
        let before = self.now_ms.saturating_sub(millis(IDEMPOTENCY_KEPT_FOR));
        let sql = "DELETE FROM idempotency WHERE (tenant, key) IN \
                   (SELECT tenant, key FROM idempotency WHERE created_ms < ? ORDER BY created_ms LIMIT ?)";
        self.run(query(sql).bind(before).bind(ROWS_AT_ONCE)).await
    }

    /// Deletes some of a tenant's oldest events. They are numbered in the order of their times, or nearly.
    async fn expire_events(&mut self, tenant: TenantId) -> Result<u64, StoreError> {
        let before = self.now_ms.saturating_sub(millis(TENANT_EVENTS_KEPT_FOR));
        let sql = "DELETE FROM tenant_events WHERE tenant = ?1 AND at_ms < ?2 AND seq IN \
                   (SELECT seq FROM tenant_events WHERE tenant = ?1 ORDER BY seq LIMIT ?3)";
        self.run(query(sql).bind(tenant).bind(before).bind(SMALL_ROWS_AT_ONCE)).await
    }

    /// Deletes some old deliveries, those that are still tried too. Their ids begin with the time when they were made.
    async fn expire_deliveries(&mut self) -> Result<u64, StoreError> {
        let before = self.now_ms.saturating_sub(millis(DELIVERIES_KEPT_FOR));
        let before = DeliveryId::from_parts(u64::try_from(before).unwrap_or(0), &[0; 10]);
        let sql = "DELETE FROM webhook_deliveries WHERE id IN \
                   (SELECT id FROM webhook_deliveries WHERE id < ? ORDER BY id LIMIT ?)";
        self.run(query(sql).bind(before).bind(SMALL_ROWS_AT_ONCE)).await
    }
}
