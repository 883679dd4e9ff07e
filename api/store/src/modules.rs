//! Uploaded WASI modules: a row about each, and its bytes as an object. Each tenant has its own.

use crate::clock::from_unix_ms;
use crate::reading::bytes_of;
use crate::{Found, ObjectKey, Store, StoreError};
use mecapy_model::{Digest, TenantId, Warning};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;

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
        // No sweep may delete, on behalf of an earlier row, what is written here.
        let _turn = self.sweeping().lock().await;
        // The object comes first: a row always has its bytes, and bytes without a row are overwritten next time.
        self.objects().put(&ObjectKey::module(tenant, digest), bytes).await?;
        let created_ms = self.now_ms();
        self.write_rarely(async move |writer| {
            let [imports, exports, warnings] = &texts;
            let sql = "INSERT INTO modules (tenant, digest, size_bytes, imports, exports, warnings, created_ms) \
                       VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, digest) DO NOTHING";
            let query = sqlx::query(sql)
                .bind(tenant.0.as_bytes().as_slice())
                .bind(digest.0.as_slice())
                .bind(i64::try_from(size_bytes).unwrap_or(i64::MAX))
                .bind(imports.as_str())
                .bind(exports.as_str())
                .bind(warnings.as_str())
                .bind(created_ms);
            writer.run(query).await?;
            writer.spare_object(&ObjectKey::module(tenant, digest)).await
        })
        .await?;
        Ok(Module { digest, size_bytes, imports, exports, warnings, created_at: from_unix_ms(created_ms) })
    }

    /// What is known of a module of the tenant.
    pub async fn module(&self, tenant: TenantId, digest: Digest) -> Result<Option<Module>, StoreError> {
        let sql = "SELECT digest, size_bytes, imports, exports, warnings, created_ms FROM modules \
                   WHERE tenant = ? AND digest = ?";
        let query = sqlx::query(sql).bind(tenant.0.as_bytes().as_slice()).bind(digest.0.as_slice());
        query.fetch_optional(self.readers()).await?.as_ref().map(read_module).transpose()
    }

    /// A module's bytes.
    pub async fn module_bytes(&self, tenant: TenantId, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if self.module(tenant, digest).await?.is_none() {
            return Ok(None);
        }
        self.objects().read(&ObjectKey::module(tenant, digest)).await
    }

    /// The tenant's modules, newest first, `limit` at most.
    pub async fn modules(&self, tenant: TenantId, limit: u32) -> Result<Vec<Module>, StoreError> {
        let sql = "SELECT digest, size_bytes, imports, exports, warnings, created_ms FROM modules \
                   WHERE tenant = ? ORDER BY created_ms DESC, digest LIMIT ?";
        let query = sqlx::query(sql).bind(tenant.0.as_bytes().as_slice()).bind(limit);
        query.fetch_all(self.readers()).await?.iter().map(read_module).collect()
    }

    /// Deletes a module. A task that still wants it fails when it starts.
    pub async fn delete_module(&self, tenant: TenantId, digest: Digest) -> Result<Found, StoreError> {
        let deleted = self
            .write_rarely(async move |writer| {
                let sql = "DELETE FROM modules WHERE tenant = ? AND digest = ?";
                let query = sqlx::query(sql).bind(tenant.0.as_bytes().as_slice()).bind(digest.0.as_slice());
                let deleted = writer.run(query).await?;
                if deleted > 0 {
                    writer.doom_object(&ObjectKey::module(tenant, digest)).await?;
                }
                Ok(deleted)
            })
            .await?;
        if deleted == 0 {
            return Ok(Found::No);
        }
        self.sweep_objects().await;
        Ok(Found::Yes)
    }
}

fn read_module(row: &SqliteRow) -> Result<Module, StoreError> {
    let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
    Ok(Module {
        digest: Digest(bytes_of(row.try_get(0)?)?),
        size_bytes: u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0),
        imports: serde_json::from_str(row.try_get(2)?).map_err(json)?,
        exports: serde_json::from_str(row.try_get(3)?).map_err(json)?,
        warnings: serde_json::from_str(row.try_get(4)?).map_err(json)?,
        created_at: from_unix_ms(row.try_get(5)?),
    })
}
