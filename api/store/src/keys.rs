//! Local API keys: made, shown once, looked up in memory, revoked.
//!
//! Only the SHA-256 of a secret is stored. A slow hash defends guessable passwords; a secret here is 256 random bits,
//! which no guessing finds, and a fast one lets every request be checked in less than a microsecond.

use crate::access::KEY_USE_EVERY_MS;
use crate::audit::{AuditAction, AuditRecord};
use crate::clock::{from_unix_ms, unix_ms};
use crate::folder::write_private;
use crate::reading::bytes_of;
use crate::sql::{Row, query};
use crate::tenants::OPERATOR_TENANT;
use crate::writer::Writer;
use crate::{Found, Role, Scope, Scopes, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mecapy_model::{ApiKeyId, TenantId};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
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

/// The columns that [`read_key`] takes.
macro_rules! keys_sql {
    ($rest:literal) => {
        concat!(
            "SELECT id, tenant, name, prefix, role, scopes, created_ms, expires_ms, revoked_ms, last_used_ms, \
             secret_sha256 FROM api_keys ",
            $rest
        )
    };
}
pub(crate) const ALL_KEYS: &str = keys_sql!("WHERE revoked_ms IS NULL");

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub tenant: TenantId,
    pub name: String,
    /// The start of the secret, to tell keys apart.
    pub prefix: String,
    pub role: Role,
    /// What the key is narrowed to, where it is.
    pub narrowed_to: Option<Scopes>,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
    /// To the minute.
    pub last_used_at: Option<OffsetDateTime>,
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub tenant: TenantId,
    pub name: String,
    pub role: Role,
    /// Of what the role may do, this alone; `None`: all of it.
    pub scopes: Option<Scopes>,
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

impl ApiKey {
    /// What the key may do.
    pub fn scopes(&self) -> Scopes {
        let of_role = Scopes::of(self.role);
        self.narrowed_to.map_or(of_role, |scopes| of_role.narrowed_to(scopes))
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
        self.keys().has_lasting_operator()
    }

    /// At the first start: makes the tenant `default` and an admin key, and writes the secret to `admin.key` in the
    /// data folder. `None` where such a key of that tenant exists that neither expires nor is revoked.
    ///
    /// The file is written before the commit: a crash between them leaves a file that the next start replaces, never a
    /// key whose secret nobody has.
    pub async fn ensure_admin(&self) -> Result<Option<AdminKey>, StoreError> {
        if self.keys().has_lasting_operator() {
            return Ok(None);
        }
        let existing = self.tenants().await?.into_iter().find(|tenant| tenant.name == OPERATOR_TENANT);
        let tenant = match existing {
            Some(tenant) => tenant.id,
            None => match self.create_tenant(OPERATOR_TENANT).await {
                Ok(id) => id,
                Err(crate::TenantError::NameTaken) => return Err(StoreError::corrupt("the default tenant")),
                Err(crate::TenantError::Store(error)) => return Err(error),
            },
        };
        let name = "first admin key".to_owned();
        let new = NewApiKey { tenant, name, role: Role::Admin, scopes: None, expires_at: None };
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
        let now = self.now();
        let found = self.keys().find(&digest_of(secret), now)?;
        if found.use_is_news {
            self.note_key_use(found.key.id, unix_ms(now));
        }
        Some(found.key)
    }

    /// A key of the tenant that is good at this moment, by its id.
    pub fn key_in_force(&self, tenant: TenantId, id: ApiKeyId) -> Option<Arc<ApiKey>> {
        self.keys().of_id(id, self.now()).filter(|key| key.tenant == tenant)
    }

    /// Whether the tenant is disabled, as far as this process knows.
    pub fn is_disabled(&self, tenant: TenantId) -> bool {
        self.keys().is_disabled(tenant)
    }

    /// Written behind: a request never waits for it. Where the writer can't keep up it is left out.
    fn note_key_use(&self, id: ApiKeyId, now_ms: i64) {
        self.write_behind(async move |writer: &mut Writer| {
            // Of several processes one writes.
            let sql =
                "UPDATE api_keys SET last_used_ms = ?1 WHERE id = ?2 AND (last_used_ms IS NULL OR last_used_ms <= ?3)";
            let before_ms = now_ms.saturating_sub(KEY_USE_EVERY_MS);
            writer.run(query(sql).bind(now_ms).bind(id).bind(before_ms)).await.map(drop)
        });
    }

    /// A tenant's keys, oldest first.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, StoreError> {
        let rows = query(keys_sql!("WHERE tenant = ? ORDER BY id"))
            .bind(tenant)
            .fetch_all(&mut self.reader(tenant).await?)
            .await?;
        rows.iter().map(|row| read_key(row).map(|(_, key)| key)).collect()
    }

    /// A key of the tenant, revoked and expired ones too.
    pub async fn api_key(&self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let query = query(keys_sql!("WHERE tenant = ? AND id = ?")).bind(tenant).bind(id);
        let row = query.fetch_optional(&mut self.reader(tenant).await?).await?;
        row.map(|row| read_key(&row).map(|(_, key)| key)).transpose()
    }

    /// Ends a key at once.
    pub async fn revoke_api_key(&self, tenant: TenantId, id: ApiKeyId) -> Result<Found, StoreError> {
        let (actor, keys) = (self.actor(), Arc::clone(self.keys()));
        self.write_rarely(async move |writer| {
            let now_ms = writer.now_ms;
            let sql = "SELECT name, revoked_ms FROM api_keys WHERE tenant = ? AND id = ?";
            let found = query(sql).bind(tenant).bind(id).fetch_optional(&mut writer.conn).await?;
            let Some(row) = found else { return Ok(Found::No) };
            let (name, revoked): (String, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            if revoked.is_some() {
                return Ok(Found::Yes);
            }
            let sql = "UPDATE api_keys SET revoked_ms = ? WHERE tenant = ? AND id = ?";
            writer.run(query(sql).bind(now_ms).bind(tenant).bind(id)).await?;
            let record = AuditRecord {
                tenant,
                action: AuditAction::ApiKeyRevoked,
                target: id.to_string(),
                detail: Some(json!({"name": name})),
            };
            writer.audit(actor.as_deref(), record).await?;
            writer.access_changed().await?;
            let keys = Arc::clone(&keys);
            writer.after_commit(move || keys.forget(id));
            Ok(Found::Yes)
        })
        .await
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
            narrowed_to: new.scopes,
            created_at: from_unix_ms(self.now_ms()),
            expires_at: new.expires_at.map(|time| from_unix_ms(unix_ms(time))),
            revoked_at: None,
            last_used_at: None,
        };
        (key, Secret(secret))
    }

    async fn insert_key(&self, key: ApiKey, secret: &Secret) -> Result<ApiKey, ApiKeyError> {
        let digest = digest_of(secret.expose());
        let (row, keys, now) = (key.clone(), Arc::clone(self.keys()), self.now());
        let actor = self.actor();
        let made: Result<(), ApiKeyError> = self
            .write_rarely(async move |writer| {
                let (tenant, now_ms) = (row.tenant, writer.now_ms);
                if writer.lock_tenant(tenant).await? == Found::No {
                    return Ok(Err(ApiKeyError::UnknownTenant));
                }
                let sql = "SELECT count(*) FROM api_keys \
                           WHERE tenant = ? AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?)";
                let good = query(sql).bind(tenant).bind(now_ms).fetch_one(&mut writer.conn).await?;
                if good.count(0)? >= u64::from(API_KEYS_PER_TENANT_MAX) {
                    return Ok(Err(ApiKeyError::TooMany { max: API_KEYS_PER_TENANT_MAX }));
                }
                let sql = "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE tenant = ? \
                           AND (revoked_ms IS NOT NULL OR expires_ms <= ?) ORDER BY id DESC LIMIT 1000000 OFFSET ?)";
                writer.run(query(sql).bind(tenant).bind(now_ms).bind(ENDED_KEYS_PER_TENANT_MAX)).await?;
                writer.insert_key(&row, &digest).await?;
                writer.audit(actor.as_deref(), created(&row)).await?;
                writer.access_changed().await?;
                let (keys, key) = (Arc::clone(&keys), row.clone());
                writer.after_commit(move || keys.remember(digest, key, now));
                Ok(Ok(()))
            })
            .await?;
        made.map(|()| key)
    }
}

impl Writer {
    async fn insert_key(&mut self, key: &ApiKey, digest: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "INSERT INTO api_keys (id, tenant, name, prefix, secret_sha256, role, scopes, created_ms, expires_ms) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let query = query(sql)
            .bind(key.id)
            .bind(key.tenant)
            .bind(key.name.as_str())
            .bind(key.prefix.as_str())
            .bind(digest.as_slice())
            .bind(key.role.as_str())
            .bind(key.narrowed_to.map(|scopes| json!(names(scopes)).to_string()))
            .bind(unix_ms(key.created_at))
            .bind(key.expires_at.map(unix_ms));
        self.run(query).await.map(drop)
    }
}

/// What the audit log says of a new key.
fn created(key: &ApiKey) -> AuditRecord {
    let detail = json!({
        "name": key.name, "prefix": key.prefix, "role": key.role, "scopes": names(key.scopes()),
        "expires_ms": key.expires_at.map(unix_ms),
    });
    AuditRecord {
        tenant: key.tenant,
        action: AuditAction::ApiKeyCreated,
        target: key.id.to_string(),
        detail: Some(detail),
    }
}

fn names(scopes: Scopes) -> Vec<&'static str> {
    scopes.iter().map(Scope::as_str).collect()
}

fn digest_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Reads a row of [`keys_sql`]: the digest of its secret, and the key.
pub(crate) fn read_key(row: &Row) -> Result<([u8; 32], ApiKey), StoreError> {
    let scopes = row.try_get::<Option<&str>>(5)?.map(read_scopes).transpose()?;
    let key = ApiKey {
        id: ApiKeyId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.try_get(2)?,
        prefix: row.try_get(3)?,
        role: row.try_get::<&str>(4)?.parse().map_err(StoreError::corrupt)?,
        narrowed_to: scopes,
        created_at: from_unix_ms(row.try_get(6)?),
        expires_at: row.try_get::<Option<i64>>(7)?.map(from_unix_ms),
        revoked_at: row.try_get::<Option<i64>>(8)?.map(from_unix_ms),
        last_used_at: row.try_get::<Option<i64>>(9)?.map(from_unix_ms),
    };
    Ok((bytes_of(row.try_get(10)?)?, key))
}

/// A list that names none that this program knows allows nothing.
fn read_scopes(text: &str) -> Result<Scopes, StoreError> {
    let names: Vec<String> = serde_json::from_str(text).map_err(|error| StoreError::corrupt(error.to_string()))?;
    Ok(names.iter().filter_map(|name| name.parse::<Scope>().ok()).collect())
}
