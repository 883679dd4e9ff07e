//! Local API keys: made, shown once, looked up in memory, revoked.
//!
//! Only the SHA-256 of a secret is stored. A slow hash defends guessable passwords; a secret here is 256 random bits,
//! which no guessing finds, and a fast one lets every request be checked in less than a microsecond.

use crate::bus::Hint;
use crate::clock::{from_unix_ms, unix_ms};
use crate::folder::write_private;
use crate::reading::bytes_of;
use crate::sql::{Conn, Dialect, Executor, Readers, Row, query};
use crate::writer::Writer;
use crate::{Access, Found, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mecapy_model::{ApiKeyId, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use time::OffsetDateTime;

/// How many keys a tenant may have that are neither revoked nor expired.
pub const API_KEYS_PER_TENANT_MAX: u32 = 1_000;
/// How many revoked and expired keys of a tenant are kept to be listed; beyond that the oldest go.
const ENDED_KEYS_PER_TENANT_MAX: u32 = 1_000;
/// What every secret starts with, so that a leaked one is recognised.
const SECRET_START: &str = "mecapy_";
/// The characters of a secret that are shown in lists.
const PREFIX_CHARS: usize = SECRET_START.len() + 6;
/// The longest credential that is looked at, in bytes.
const SECRET_BYTES_MAX: usize = 128;
/// The tenant that an embedded server starts with.
const DEFAULT_TENANT: &str = "default";

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, tenants and keys included.
    Admin,
    /// Computes, and publishes functions for its tenant.
    Author,
    /// Computes, and reads what its tenant computed.
    Engineer,
    /// Reads.
    Viewer,
}

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub tenant: TenantId,
    pub name: String,
    /// The start of the secret, to tell keys apart.
    pub prefix: String,
    pub role: Role,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub tenant: TenantId,
    pub name: String,
    pub role: Role,
    pub expires_at: Option<OffsetDateTime>,
}

/// A key just made, with the only copy of its secret.
#[derive(Debug, Clone)]
pub struct CreatedApiKey {
    pub key: ApiKey,
    pub secret: Secret,
}

/// The first key of a data folder.
#[derive(Debug, Clone)]
pub struct AdminKey {
    /// The file that holds the secret (mode 0600).
    pub path: PathBuf,
    pub tenant: TenantId,
    pub secret: Secret,
}

/// A credential; `Debug` doesn't show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiKeyError {
    #[error("no such tenant")]
    UnknownTenant,
    #[error("the tenant has {max} keys already")]
    TooMany { max: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Role {
    /// The most powerful first.
    pub const ALL: [Role; 4] = [Role::Admin, Role::Author, Role::Engineer, Role::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Author => "author",
            Role::Engineer => "engineer",
            Role::Viewer => "viewer",
        }
    }

    pub const fn may_write(self) -> bool {
        matches!(self, Role::Admin | Role::Author | Role::Engineer)
    }

    pub const fn may_publish(self) -> bool {
        matches!(self, Role::Admin | Role::Author)
    }

    pub const fn may_administer(self) -> bool {
        matches!(self, Role::Admin)
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("unknown role {text:?}: use admin, author, engineer or viewer"))
    }
}

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Store {
    /// Whether there is an admin key that neither expires nor is revoked.
    pub fn has_admin(&self) -> bool {
        self.keys().has_lasting_admin()
    }

    /// At the first start: makes the tenant `default` and an admin key, and writes the secret to `admin.key` in the
    /// data folder. `None` where an admin key exists that neither expires nor is revoked.
    ///
    /// The file is written before the commit: a crash between them leaves a file that the next start replaces, never a
    /// key whose secret nobody has.
    pub async fn ensure_admin(&self) -> Result<Option<AdminKey>, StoreError> {
        if self.keys().has_lasting_admin() {
            return Ok(None);
        }
        let existing = self.tenants().await?.into_iter().find(|tenant| tenant.name == DEFAULT_TENANT);
        let tenant = match existing {
            Some(tenant) => tenant.id,
            None => match self.create_tenant(DEFAULT_TENANT).await {
                Ok(id) => id,
                Err(crate::TenantError::NameTaken) => return Err(StoreError::corrupt("the default tenant")),
                Err(crate::TenantError::Store(error)) => return Err(error),
            },
        };
        let new = NewApiKey { tenant, name: "first admin key".to_owned(), role: Role::Admin, expires_at: None };
        let (key, secret) = self.draw_key(new);
        let path = self.admin_key_file().to_owned();
        write_private(&path, format!("{}\n", secret.expose()).as_bytes())?;
        match self.insert_key(key, &secret).await {
            Ok(_) => Ok(Some(AdminKey { path, tenant, secret })),
            Err(ApiKeyError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::corrupt(error.to_string())),
        }
    }

    /// Makes a key. Its secret is in the answer and nowhere else.
    pub async fn create_api_key(&self, new: NewApiKey) -> Result<CreatedApiKey, ApiKeyError> {
        let (key, secret) = self.draw_key(new);
        let key = self.insert_key(key, &secret).await?;
        Ok(CreatedApiKey { key, secret })
    }

    /// The key that the secret belongs to. In memory, so cheap for good and for bad secrets. `None`: unknown, expired,
    /// revoked, or its tenant is disabled.
    pub fn authenticate(&self, secret: &str) -> Option<Arc<ApiKey>> {
        if secret.len() > SECRET_BYTES_MAX {
            return None;
        }
        self.keys().find(&digest_of(secret)).filter(|key| !self.has_expired(key))
    }

    /// A key of the tenant that is good at this moment, by its id.
    pub fn key_in_force(&self, tenant: TenantId, id: ApiKeyId) -> Option<Arc<ApiKey>> {
        self.keys().of_id(id).filter(|key| key.tenant == tenant && !self.has_expired(key))
    }

    /// Whether the tenant is disabled, as far as this process knows.
    pub fn is_disabled(&self, tenant: TenantId) -> bool {
        self.keys().is_disabled(tenant)
    }

    fn has_expired(&self, key: &ApiKey) -> bool {
        key.expires_at.is_some_and(|expires_at| self.clock().now() >= expires_at)
    }

    /// A tenant's keys, oldest first.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, StoreError> {
        let sql = "SELECT id, tenant, name, prefix, role, created_ms, expires_ms, revoked_ms, secret_sha256 FROM api_keys \
                   WHERE tenant = ? ORDER BY id";
        let rows = query(sql).bind(tenant).fetch_all(&mut self.reader(tenant).await?).await?;
        rows.iter().map(|row| read_key(row).map(|(_, key)| key)).collect()
    }

    /// A key of the tenant, revoked and expired ones too.
    pub async fn api_key(&self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let sql = "SELECT id, tenant, name, prefix, role, created_ms, expires_ms, revoked_ms, secret_sha256 FROM api_keys \
                   WHERE tenant = ? AND id = ?";
        let query = query(sql).bind(tenant).bind(id);
        let row = query.fetch_optional(&mut self.reader(tenant).await?).await?;
        row.map(|row| read_key(&row).map(|(_, key)| key)).transpose()
    }

    /// Ends a key at once.
    pub async fn revoke_api_key(&self, tenant: TenantId, id: ApiKeyId) -> Result<Found, StoreError> {
        let keys = Arc::clone(self.keys());
        let changed = self
            .write_rarely(async move |writer| {
                let now_ms = writer.now_ms;
                let sql = "UPDATE api_keys SET revoked_ms = coalesce(revoked_ms, ?) WHERE tenant = ? AND id = ?";
                let query = query(sql).bind(now_ms).bind(tenant).bind(id);
                let changed = writer.run(query).await?;
                if changed > 0 {
                    let keys = Arc::clone(&keys);
                    writer.access_changed().await?;
                    writer.after_commit(move || keys.forget(id));
                }
                Ok(changed)
            })
            .await?;
        Ok(if changed == 0 { Found::No } else { Found::Yes })
    }

    fn draw_key(&self, new: NewApiKey) -> (ApiKey, Secret) {
        let mut random = [0; 32];
        self.clock().fill_random(&mut random);
        let secret = format!("{SECRET_START}{}", URL_SAFE_NO_PAD.encode(random));
        let (ms, random) = self.ids().next();
        let key = ApiKey {
            id: ApiKeyId::from_parts(ms, &random),
            tenant: new.tenant,
            name: new.name,
            prefix: secret.chars().take(PREFIX_CHARS).collect(),
            role: new.role,
            created_at: from_unix_ms(self.now_ms()),
            expires_at: new.expires_at.map(|time| from_unix_ms(unix_ms(time))),
            revoked_at: None,
        };
        (key, Secret(secret))
    }

    async fn insert_key(&self, key: ApiKey, secret: &Secret) -> Result<ApiKey, ApiKeyError> {
        let digest = digest_of(secret.expose());
        let (row, keys, now) = (key.clone(), Arc::clone(self.keys()), self.clock().now());
        let made: Result<(), ApiKeyError> = self
            .write_rarely(async move |writer| {
                let (tenant, now_ms) = (row.tenant, writer.now_ms);
                let sql = "SELECT (SELECT count(*) FROM tenants WHERE id = ?1), (SELECT count(*) FROM api_keys \
                           WHERE tenant = ?1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2))";
                let counts = query(sql).bind(tenant).bind(now_ms).fetch_one(&mut writer.conn).await?;
                if counts.try_get::<i64>(0)? == 0 {
                    return Ok(Err(ApiKeyError::UnknownTenant));
                }
                if counts.try_get::<i64>(1)? >= i64::from(API_KEYS_PER_TENANT_MAX) {
                    return Ok(Err(ApiKeyError::TooMany { max: API_KEYS_PER_TENANT_MAX }));
                }
                let sql = "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE tenant = ? \
                           AND (revoked_ms IS NOT NULL OR expires_ms <= ?) ORDER BY id DESC LIMIT 1000000 OFFSET ?)";
                writer.run(query(sql).bind(tenant).bind(now_ms).bind(ENDED_KEYS_PER_TENANT_MAX)).await?;
                let sql = "INSERT INTO api_keys (id, tenant, name, prefix, secret_sha256, role, created_ms, expires_ms) \
                           VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
                let query = query(sql)
                    .bind(row.id)
                    .bind(tenant)
                    .bind(row.name.as_str())
                    .bind(row.prefix.as_str())
                    .bind(digest.as_slice())
                    .bind(row.role.as_str())
                    .bind(unix_ms(row.created_at))
                    .bind(row.expires_at.map(unix_ms));
                writer.run(query).await?;
                writer.access_changed().await?;
                let (keys, key) = (Arc::clone(&keys), row.clone());
                writer.after_commit(move || keys.remember(digest, key, now));
                Ok(Ok(()))
            })
            .await?;
        made.map(|()| key)
    }
}

/// Every key that is not revoked, by the digest of its secret. A digest of 256 random bits can't be probed byte by
/// byte, so an ordinary map lookup gives nothing away.
pub(crate) struct Keys {
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    by_digest: HashMap<[u8; 32], Arc<ApiKey>>,
    disabled: HashSet<TenantId>,
    /// PostgreSQL's number of the change that was read last.
    version: i64,
    /// Counts what this process changed.
    own_changes: u64,
}

impl Held {
    async fn read(mut on: Executor<'_>) -> Result<Self, StoreError> {
        let sql = "SELECT id, tenant, name, prefix, role, created_ms, expires_ms, revoked_ms, secret_sha256 FROM api_keys \
                   WHERE revoked_ms IS NULL";
        let mut held = Held::default();
        for row in query(sql).fetch_all(on.reborrow()).await? {
            let (digest, key) = read_key(&row)?;
            held.by_digest.insert(digest, Arc::new(key));
        }
        for row in query("SELECT id FROM tenants WHERE disabled <> 0").fetch_all(on).await? {
            held.disabled.insert(TenantId(row.id(0)?));
        }
        Ok(held)
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
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
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

    pub(crate) fn set_access(&self, tenant: TenantId, access: Access) {
        let mut held = self.changing();
        match access {
            Access::Enabled => held.disabled.remove(&tenant),
            Access::Disabled => held.disabled.insert(tenant),
        };
    }

    fn find(&self, digest: &[u8; 32]) -> Option<Arc<ApiKey>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let key = held.by_digest.get(digest)?;
        if held.disabled.contains(&key.tenant) { None } else { Some(key.clone()) }
    }

    fn is_disabled(&self, tenant: TenantId) -> bool {
        self.held.read().unwrap_or_else(PoisonError::into_inner).disabled.contains(&tenant)
    }

    fn of_id(&self, id: ApiKeyId) -> Option<Arc<ApiKey>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let key = held.by_digest.values().find(|key| key.id == id)?;
        if held.disabled.contains(&key.tenant) { None } else { Some(key.clone()) }
    }

    fn has_lasting_admin(&self) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.by_digest.values().any(|key| key.role == Role::Admin && key.expires_at.is_none())
    }

    /// Keys that have expired are forgotten meanwhile.
    fn remember(&self, digest: [u8; 32], key: ApiKey, now: OffsetDateTime) {
        let mut held = self.changing();
        held.by_digest.retain(|_, key| key.expires_at.is_none_or(|expires_at| now < expires_at));
        held.by_digest.insert(digest, Arc::new(key));
    }

    fn forget(&self, id: ApiKeyId) {
        self.changing().by_digest.retain(|_, key| key.id != id);
    }

    fn changing(&self) -> RwLockWriteGuard<'_, Held> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.own_changes += 1;
        held
    }
}

fn digest_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn read_key(row: &Row) -> Result<([u8; 32], ApiKey), StoreError> {
    let key = ApiKey {
        id: ApiKeyId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.try_get(2)?,
        prefix: row.try_get(3)?,
        role: row.try_get::<&str>(4)?.parse().map_err(StoreError::corrupt)?,
        created_at: from_unix_ms(row.try_get(5)?),
        expires_at: row.try_get::<Option<i64>>(6)?.map(from_unix_ms),
        revoked_at: row.try_get::<Option<i64>>(7)?.map(from_unix_ms),
    };
    Ok((bytes_of(row.try_get(8)?)?, key))
}
