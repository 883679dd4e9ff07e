//! Companies: the owners of everything else.

use crate::clock::from_unix_ms;
use crate::shared::Group;
use crate::sql::query;
use crate::{Store, StoreError};
use mecapy_model::TenantId;
use std::sync::Arc;
use time::OffsetDateTime;

/// A company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub access: Access,
    pub created_at: OffsetDateTime,
}

/// Whether a tenant may use the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Enabled,
    /// Its keys don't authenticate, it submits nothing, and nothing that it has queued starts.
    Disabled,
}

/// Whether what a call names exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Yes,
    No,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum TenantError {
    #[error("a tenant has this name already")]
    NameTaken,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    pub async fn create_tenant(&self, name: &str) -> Result<TenantId, TenantError> {
        let (ms, random) = self.ids().next();
        let id = TenantId::from_parts(ms, &random);
        let name = name.to_owned();
        let made = self
            .write_rarely(async move |writer| {
                let now_ms = writer.now_ms;
                let sql = "INSERT INTO tenants (id, name, created_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING";
                let query = query(sql).bind(id).bind(name.as_str()).bind(now_ms);
                let made = writer.run(query).await?;
                writer.tenants_changed().await?;
                writer.access_changed().await?;
                Ok(made)
            })
            .await?;
        if made == 1 { Ok(id) } else { Err(TenantError::NameTaken) }
    }

    /// All tenants, oldest first.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let sql = "SELECT id, name, disabled, created_ms FROM tenants ORDER BY id";
        let rows = query(sql).fetch_all(self.readers()).await?;
        rows.into_iter()
            .map(|row| {
                let access = if row.flag(2)? { Access::Disabled } else { Access::Enabled };
                let created_at = from_unix_ms(row.try_get(3)?);
                Ok(Tenant { id: TenantId(row.id(0)?), name: row.try_get(1)?, access, created_at })
            })
            .collect()
    }

    /// Disables or enables a tenant. What runs goes on; what is queued waits until the tenant is enabled again.
    pub async fn set_tenant_access(&self, tenant: TenantId, access: Access) -> Result<Found, StoreError> {
        let keys = Arc::clone(self.keys());
        self.write_rarely(async move |writer| {
            let disabled = access == Access::Disabled;
            let sql = "UPDATE tenants SET disabled = ? WHERE id = ?";
            if writer.run(query(sql).bind(disabled).bind(tenant)).await? == 0 {
                return Ok(Found::No);
            }
            let sql = "UPDATE tasks SET queue_group = CASE WHEN ?1 = 1 THEN NULL WHEN lane = 'high_priority' THEN ?3 \
                           ELSE tenant END WHERE tenant = ?2 AND state = 'queued'";
            let query = query(sql).bind(disabled).bind(tenant).bind(Group::Shared.id());
            writer.run(query).await?;
            writer.tenants_changed().await?;
            writer.access_changed().await?;
            for lane in mecapy_model::Lane::ALL {
                writer.wake(lane);
            }
            let keys = Arc::clone(&keys);
            writer.after_commit(move || keys.set_access(tenant, access));
            Ok(Found::Yes)
        })
        .await
    }
}
