//! Who may come in, in memory: the keys that are good, and the tenants that they are of.

use crate::bus::Hint;
use crate::clock::unix_ms;
use crate::keys::{ALL_KEYS, ApiKey, read_key};
use crate::sql::{Conn, Dialect, Executor, Readers, query};
use crate::tenants::{STANDINGS, Standing};
use crate::writer::Writer;
use crate::{Access, Scope, StoreError};
use mecapy_model::{ApiKeyId, TenantId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use time::OffsetDateTime;

/// How often a key's last use is written down at most, in milliseconds.
pub(crate) const KEY_USE_EVERY_MS: i64 = 60_000;

/// Every key that is not revoked, by the digest of its secret. A digest of 256 random bits can't be probed byte by
/// byte, so an ordinary map lookup gives nothing away.
pub(crate) struct Keys {
    held: RwLock<Held>,
}

/// A key that is good now.
pub(crate) struct GoodKey {
    pub(crate) key: Arc<ApiKey>,
    /// Its last use was not written down lately.
    pub(crate) use_is_news: bool,
}

#[derive(Default)]
struct Held {
    by_digest: HashMap<[u8; 32], HeldKey>,
    tenants: HashMap<TenantId, Standing>,
    /// PostgreSQL's number of the change that was read last.
    version: i64,
    /// Counts what this process changed.
    own_changes: u64,
}

struct HeldKey {
    key: Arc<ApiKey>,
    /// The last use that was written down, Unix milliseconds.
    used_ms: AtomicI64,
}

impl HeldKey {
    fn new(key: ApiKey) -> Self {
        let used_ms = AtomicI64::new(key.last_used_at.map_or(i64::MIN, unix_ms));
        Self { key: Arc::new(key), used_ms }
    }

    /// Whether this use is to be written down; of several at once one is.
    fn is_used(&self, now_ms: i64) -> bool {
        let before = self.used_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(before) >= KEY_USE_EVERY_MS
            && self.used_ms.compare_exchange(before, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn is_good_at(&self, now: OffsetDateTime) -> bool {
        self.key.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl Held {
    async fn read(mut on: Executor<'_>) -> Result<Self, StoreError> {
        let mut held = Held::default();
        for row in query(ALL_KEYS).fetch_all(on.reborrow()).await? {
            let (digest, key) = read_key(&row)?;
            held.by_digest.insert(digest, HeldKey::new(key));
        }
        for row in query(STANDINGS).fetch_all(on).await? {
            held.tenants.insert(TenantId(row.id(0)?), Standing::read(&row)?);
        }
        Ok(held)
    }

    fn is_disabled(&self, tenant: TenantId) -> bool {
        self.tenants.get(&tenant).is_some_and(|tenant| tenant.access == Access::Disabled)
    }

    fn is_good(&self, found: &HeldKey, now: OffsetDateTime) -> bool {
        found.is_good_at(now) && !self.is_disabled(found.key.tenant)
    }
}

async fn access_version(on: Executor<'_>) -> Result<i64, StoreError> {
    query("SELECT version FROM access_version").fetch_one(on).await?.try_get(0)
}

impl Writer {
    /// Keys or tenants changed: other processes read them again.
    pub(crate) async fn access_changed(&mut self) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            self.run(query("UPDATE access_version SET version = version + 1")).await?;
            self.hint(Hint::Access);
        }
        Ok(())
    }
}

impl Keys {
    pub(crate) async fn load(conn: &mut Conn) -> Result<Self, StoreError> {
        let version = match conn.dialect() {
            Dialect::Sqlite => 0,
            Dialect::Postgres => access_version(conn.into()).await?,
        };
        let held = Held { version, ..Held::read(conn.into()).await? };
        Ok(Self { held: RwLock::new(held) })
    }

    /// Reads the keys again, where another process changed some.
    pub(crate) async fn reload(&self, readers: &Readers) -> Result<(), StoreError> {
        let (known, own_changes) = {
            let held = self.held();
            (held.version, held.own_changes)
        };
        // Before the rows, which are then at least as new.
        let version = access_version(readers.into()).await?;
        if version == known {
            return Ok(());
        }
        let read = Held::read(readers.into()).await?;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        // Of what was changed here meanwhile the rows may not tell yet: the next call asks again.
        if held.own_changes == own_changes {
            *held = Held { version, own_changes, ..read };
        }
        Ok(())
    }

    pub(crate) fn set_standing(&self, tenant: TenantId, standing: Standing) {
        self.changing().tenants.insert(tenant, standing);
    }

    pub(crate) fn standing(&self, tenant: TenantId) -> Option<Standing> {
        self.held().tenants.get(&tenant).copied()
    }

    pub(crate) fn any_standing(&self, such: impl Fn(&Standing) -> bool) -> bool {
        self.held().tenants.values().any(such)
    }

    /// The key with this digest, unless it has expired or its tenant is disabled.
    pub(crate) fn find(&self, digest: &[u8; 32], now: OffsetDateTime) -> Option<GoodKey> {
        let held = self.held();
        let found = held.by_digest.get(digest).filter(|found| held.is_good(found, now))?;
        Some(GoodKey { key: found.key.clone(), use_is_news: found.is_used(unix_ms(now)) })
    }

    /// The key with this id, unless it has expired or its tenant is disabled.
    pub(crate) fn of_id(&self, id: ApiKeyId, now: OffsetDateTime) -> Option<Arc<ApiKey>> {
        let held = self.held();
        let found =
            held.by_digest.values().find(|found| found.key.id == id).filter(|found| held.is_good(found, now))?;
        Some(found.key.clone())
    }

    pub(crate) fn is_disabled(&self, tenant: TenantId) -> bool {
        self.held().is_disabled(tenant)
    }

    /// Whether somebody can always administer the platform.
    pub(crate) fn has_lasting_operator(&self) -> bool {
        let held = self.held();
        let operates = |key: &ApiKey| {
            let ours = held.tenants.get(&key.tenant).is_some_and(|tenant| tenant.is_operator);
            ours && key.scopes().has(Scope::Admin) && key.expires_at.is_none()
        };
        held.by_digest.values().any(|held| operates(&held.key))
    }

    /// Keys that have expired are forgotten meanwhile.
    pub(crate) fn remember(&self, digest: [u8; 32], key: ApiKey, now: OffsetDateTime) {
        let mut held = self.changing();
        held.by_digest.retain(|_, key| key.is_good_at(now));
        held.by_digest.insert(digest, HeldKey::new(key));
    }

    pub(crate) fn forget(&self, id: ApiKeyId) {
        self.changing().by_digest.retain(|_, held| held.key.id != id);
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> RwLockWriteGuard<'_, Held> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.own_changes += 1;
        held
    }
}
