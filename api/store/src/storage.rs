//! How much a tenant stores, as far as a limit asks for it: uploads, modules, packages and artifacts.

use crate::quota::{OverQuota, QuotaKind};
use crate::sql::{Dialect, Executor, query};
use crate::writer::Writer;
use crate::{Store, StoreError};
use mecapy_model::TenantId;
use std::time::Duration;

/// What is stored goes when somebody deletes it, or when it expires.
const RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// Whoever is about to store something for a tenant with a limit takes this advisory lock, so that no two processes
/// count the same room.
const STORAGE_LOCK: i64 = 0x6d65_6361_7079_1000;

const STORED: &str = "SELECT CAST((SELECT coalesce(sum(size_bytes), 0) FROM uploads WHERE tenant = ?1) \
                      + (SELECT coalesce(sum(size_bytes), 0) FROM modules WHERE tenant = ?1) \
                      + (SELECT coalesce(sum(size_bytes), 0) FROM package_versions WHERE tenant = ?1) \
                      + (SELECT coalesce(sum(size_bytes), 0) FROM artifacts WHERE tenant = ?1) AS BIGINT)";

impl Store {
    /// The bytes of a tenant's uploads, modules, packages and artifacts.
    pub async fn stored_bytes(&self, tenant: TenantId) -> Result<u64, StoreError> {
        stored((&mut self.reader(tenant).await?).into(), tenant).await
    }

    /// The bytes that a tenant may still store, `wanted` at most, and the quota that allows no more of them.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] where there is room for none.
    pub(crate) async fn storage_room(
        &self,
        tenant: TenantId,
        wanted: u64,
    ) -> Result<(u64, Option<OverQuota>), StoreError> {
        let Some(limit) = self.quota(tenant).storage_bytes_max else { return Ok((wanted, None)) };
        let used = self.stored_bytes(tenant).await?;
        match limit.saturating_sub(used) {
            0 => Err(StoreError::OverQuota(over(used, limit))),
            left if left < wanted => Ok((left, Some(over(used, limit)))),
            _ => Ok((wanted, None)),
        }
    }

    /// Whether a tenant may store so many bytes more. Counted before they are there: what is stored at the same moment
    /// may pass the limit together.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] where it may not.
    pub async fn must_have_storage_room(&self, tenant: TenantId, bytes: u64) -> Result<(), StoreError> {
        let Some(limit) = self.quota(tenant).storage_bytes_max.filter(|_| bytes > 0) else { return Ok(()) };
        let used = self.stored_bytes(tenant).await?;
        if fits(used, bytes, limit) { Ok(()) } else { Err(StoreError::OverQuota(over(used, limit))) }
    }
}

impl Writer {
    /// The quota that has no room for so many bytes more. Exact: until the transaction ends nobody else counts the same
    /// room.
    pub(crate) async fn over_storage(&mut self, tenant: TenantId, bytes: u64) -> Result<Option<OverQuota>, StoreError> {
        let Some(limit) = self.quota(tenant).storage_bytes_max else { return Ok(None) };
        if self.dialect == Dialect::Postgres {
            query("SELECT pg_advisory_xact_lock(?)").bind(STORAGE_LOCK).execute(&mut self.conn).await?;
        }
        let used = stored((&mut self.conn).into(), tenant).await?;
        Ok((!fits(used, bytes, limit)).then(|| over(used, limit)))
    }
}

async fn stored(on: Executor<'_>, tenant: TenantId) -> Result<u64, StoreError> {
    query(STORED).bind(tenant).fetch_one(on).await?.count(0)
}

fn fits(used: u64, bytes: u64, limit: u64) -> bool {
    used.saturating_add(bytes) <= limit
}

fn over(used: u64, limit: u64) -> OverQuota {
    OverQuota { kind: QuotaKind::StorageBytes, used, limit, retry_after: RETRY_AFTER }
}
