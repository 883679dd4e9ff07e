//! Uploaded WASI modules: a row about each, and its bytes as an object. Each tenant has its own.

use crate::clock::{from_unix_ms, unix_ms};
use crate::objects::Nonce;
use crate::reading::bytes_of;
use crate::sql::{Row, query};
use crate::{Found, ObjectKey, Store, StoreError};
use mecapy_model::{Digest, TenantId, Warning};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use time::OffsetDateTime;

/// How many modules are remembered to be there; then the memory begins anew.
const KNOWN_MODULES_MAX: usize = 4_096;

/// A module that was checked, to be kept.
#[derive(Debug, Clone)]
pub struct NewModule {
    /// The SHA-256 of `bytes`.
    pub digest: Digest,
    pub bytes: Vec<u8>,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    pub warnings: Vec<Warning>,
}

/// What is known of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    pub digest: Digest,
    pub size_bytes: u64,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    pub warnings: Vec<Warning>,
    pub created_at: OffsetDateTime,
}

impl Store {
    /// Keeps a module; the same module again is the same row.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] where the tenant may not store so much.
    pub async fn put_module(&self, tenant: TenantId, module: NewModule) -> Result<Module, StoreError> {
        if let Some(known) = self.module(tenant, module.digest).await? {
            return Ok(known);
        }
        let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
        let NewModule { digest, bytes, imports, exports, warnings } = module;
        let size_bytes = bytes.len() as u64;
        let texts = [
            serde_json::to_string(&imports).map_err(json)?,
            serde_json::to_string(&exports).map_err(json)?,
            serde_json::to_string(&warnings).map_err(json)?,
        ];
        self.must_have_storage_room(tenant, size_bytes).await?;
        // The object comes first, so that a row always has its bytes. Its key is its own: nobody deletes it on behalf of
        // an earlier row.
        let key = ObjectKey::module(tenant, digest, Nonce::new(&**self.clock()));
        self.objects().put(&key, bytes).await?;
        let created_ms = self.now_ms();
        let known = Arc::clone(self.known_modules());
        let named = key.clone();
        let inserted = self.write_rarely(async move |writer| {
            if let Some(over) = writer.over_storage(tenant, size_bytes).await? {
                return Ok(Err(over));
            }
            let [imports, exports, warnings] = &texts;
            let sql = "INSERT INTO modules (tenant, digest, size_bytes, imports, exports, warnings, created_ms, object_key) \
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, digest) DO NOTHING";
            let query = query(sql)
                .bind(tenant)
                .bind(digest.0.as_slice())
                .bind(i64::try_from(size_bytes).unwrap_or(i64::MAX))
                .bind(imports.as_str())
                .bind(exports.as_str())
                .bind(warnings.as_str())
                .bind(created_ms)
                .bind(named.as_str());
            let inserted = writer.run(query).await?;
            let known = Arc::clone(&known);
            writer.after_commit(move || known.add(tenant, digest));
            Ok(Ok(inserted))
        })
        .await?;
        if inserted != Ok(1) {
            // Another request with the same module was faster, or others have filled the tenant's room.
            self.objects().delete(&key).await?;
        }
        inserted.map_err(StoreError::OverQuota)?;
        Ok(Module { digest, size_bytes, imports, exports, warnings, created_at: from_unix_ms(created_ms) })
    }

    /// What is known of a module of the tenant.
    pub async fn module(&self, tenant: TenantId, digest: Digest) -> Result<Option<Module>, StoreError> {
        let sql = "SELECT digest, size_bytes, imports, exports, warnings, created_ms FROM modules \
                   WHERE tenant = ? AND digest = ?";
        let query = query(sql).bind(tenant).bind(digest.0.as_slice());
        query.fetch_optional(&mut self.reader(tenant).await?).await?.as_ref().map(read_module).transpose()
    }

    /// Whether the tenant has the module; in memory where it was asked before.
    pub async fn has_module(&self, tenant: TenantId, digest: Digest) -> Result<bool, StoreError> {
        let Err(deletions) = self.known_modules().find(tenant, digest) else { return Ok(true) };
        let sql = "SELECT 1 FROM modules WHERE tenant = ? AND digest = ?";
        let query = query(sql).bind(tenant).bind(digest.0.as_slice());
        let found = query.fetch_optional(&mut self.reader(tenant).await?).await?.is_some();
        if found {
            self.known_modules().add_unless_deleted(tenant, digest, deletions);
        }
        Ok(found)
    }

    /// A module's bytes.
    pub async fn module_bytes(&self, tenant: TenantId, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT object_key FROM modules WHERE tenant = ? AND digest = ?";
        let query = query(sql).bind(tenant).bind(digest.0.as_slice());
        let Some(row) = query.fetch_optional(&mut self.reader(tenant).await?).await? else { return Ok(None) };
        self.objects().read(&key_of(&row)?).await
    }

    /// The tenant's modules, newest first, `limit` at most: all, or from the one after the module that was made at this
    /// time with this digest.
    pub async fn modules_after(
        &self,
        tenant: TenantId,
        after: Option<(OffsetDateTime, Digest)>,
        limit: u32,
    ) -> Result<Vec<Module>, StoreError> {
        let (made_ms, digest) = after.map_or((i64::MAX, Vec::new()), |(at, digest)| (unix_ms(at), digest.0.to_vec()));
        let sql = "SELECT digest, size_bytes, imports, exports, warnings, created_ms FROM modules WHERE tenant = ?1 \
                   AND (created_ms < ?2 OR (created_ms = ?2 AND digest > ?3)) ORDER BY created_ms DESC, digest LIMIT ?4";
        let query = query(sql).bind(tenant).bind(made_ms).bind(digest).bind(limit);
        query.fetch_all(&mut self.reader(tenant).await?).await?.iter().map(read_module).collect()
    }

    /// Deletes a module. A task that still wants it fails when it starts.
    pub async fn delete_module(&self, tenant: TenantId, digest: Digest) -> Result<Found, StoreError> {
        let known = Arc::clone(self.known_modules());
        let deleted = self
            .write_rarely(async move |writer| {
                let sql = "DELETE FROM modules WHERE tenant = ? AND digest = ? RETURNING object_key";
                let query = query(sql).bind(tenant).bind(digest.0.as_slice());
                let Some(row) = query.fetch_optional(&mut writer.conn).await? else { return Ok(Found::No) };
                writer.doom_object(&key_of(&row)?).await?;
                let known = Arc::clone(&known);
                writer.after_commit(move || known.remove(tenant, digest));
                Ok(Found::Yes)
            })
            .await?;
        if deleted == Found::Yes {
            self.sweep_objects().await;
        }
        Ok(deleted)
    }
}

/// Modules that are known to be there.
#[derive(Debug, Default)]
pub(crate) struct KnownModules(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    there: HashSet<(TenantId, Digest)>,
    /// Counts deletions: what was read before one may not be true after it.
    deletions: u64,
}

impl KnownModules {
    /// `Err` where it is not known, with the deletions so far.
    fn find(&self, tenant: TenantId, digest: Digest) -> Result<(), u64> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.there.contains(&(tenant, digest)) { Ok(()) } else { Err(known.deletions) }
    }

    /// Called by the writer, in the order of its commits.
    fn add(&self, tenant: TenantId, digest: Digest) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).add(tenant, digest);
    }

    fn add_unless_deleted(&self, tenant: TenantId, digest: Digest, deletions: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.deletions == deletions {
            known.add(tenant, digest);
        }
    }

    fn remove(&self, tenant: TenantId, digest: Digest) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.there.remove(&(tenant, digest));
        known.deletions += 1;
    }
}

impl Known {
    fn add(&mut self, tenant: TenantId, digest: Digest) {
        if self.there.len() >= KNOWN_MODULES_MAX {
            self.there.clear();
        }
        self.there.insert((tenant, digest));
    }
}

fn key_of(row: &Row) -> Result<ObjectKey, StoreError> {
    ObjectKey::parse(row.try_get(0)?).map_err(|error| StoreError::corrupt(error.to_string()))
}

fn read_module(row: &Row) -> Result<Module, StoreError> {
    let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
    Ok(Module {
        digest: Digest(bytes_of(row.try_get(0)?)?),
        size_bytes: u64::try_from(row.try_get::<i64>(1)?).unwrap_or(0),
        imports: serde_json::from_str(row.try_get(2)?).map_err(json)?,
        exports: serde_json::from_str(row.try_get(3)?).map_err(json)?,
        warnings: serde_json::from_str(row.try_get(4)?).map_err(json)?,
        created_at: from_unix_ms(row.try_get(5)?),
    })
}
