//! Companies: the owners of everything else. The one named `default` runs the platform: its administrators are the
//! operators.

use crate::audit::{AuditAction, AuditRecord};
use crate::clock::from_unix_ms;
use crate::quota::Quota;
use crate::shared::Group;
use crate::sql::{Dialect, Row, query};
use crate::writer::Writer;
use crate::{Store, StoreError};
use mecapy_model::{Lane, TenantId};
use serde_json::json;
use std::sync::Arc;
use time::OffsetDateTime;

/// The tenant that a server starts with, whose administrators are the platform's operators.
pub const OPERATOR_TENANT: &str = "default";
/// What [`Standing::read`] takes.
pub(crate) const STANDINGS: &str = "SELECT id, disabled, quota, name FROM tenants";

/// A company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub access: Access,
    /// Its own limits: what is absent is the server's.
    pub quota: Quota,
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

/// What a tenant's row says of what it may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) access: Access,
    /// Its own.
    pub(crate) quota: Quota,
    pub(crate) is_operator: bool,
}

impl Access {
    pub const fn as_str(self) -> &'static str {
        match self {
            Access::Enabled => "enabled",
            Access::Disabled => "disabled",
        }
    }

    fn of(disabled: bool) -> Self {
        if disabled { Access::Disabled } else { Access::Enabled }
    }
}

impl Standing {
    /// Reads a row of [`STANDINGS`].
    pub(crate) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            access: Access::of(row.flag(1)?),
            quota: Quota::read(row.try_get(2)?)?,
            is_operator: row.try_get::<&str>(3)? == OPERATOR_TENANT,
        })
    }

    pub(crate) fn has_running_max(&self) -> bool {
        self.quota.running_max.is_some()
    }

    /// Whose turn an enabled tenant's task takes. One with a quota of its own, or that the server caps, has a line of
    /// its own in every lane, so that it can be full without holding up the others.
    pub(crate) fn group(&self, lane: Lane, tenant: TenantId, running_max: Option<u32>) -> Group {
        if self.quota == Quota::default() && running_max.is_none() {
            return Group::of_lane(lane, tenant);
        }
        Group::Tenant(tenant)
    }
}

impl Store {
    pub async fn create_tenant(&self, name: &str) -> Result<TenantId, TenantError> {
        let (ms, random) = self.ids().next();
        let id = TenantId::from_parts(ms, &random);
        let standing =
            Standing { access: Access::Enabled, quota: Quota::default(), is_operator: name == OPERATOR_TENANT };
        let (name, actor, keys) = (name.to_owned(), self.actor(), Arc::clone(self.keys()));
        let made = self
            .write_rarely(async move |writer| {
                let sql = "INSERT INTO tenants (id, name, created_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING";
                let query = query(sql).bind(id).bind(name.as_str()).bind(writer.now_ms);
                if writer.run(query).await? == 0 {
                    return Ok(Found::No);
                }
                let record = AuditRecord {
                    tenant: id,
                    action: AuditAction::TenantCreated,
                    target: id.to_string(),
                    detail: Some(json!({"name": name})),
                };
                writer.audit(actor.as_deref(), record).await?;
                writer.tenants_changed().await?;
                writer.access_changed().await?;
                let keys = Arc::clone(&keys);
                writer.after_commit(move || keys.set_standing(id, standing));
                Ok(Found::Yes)
            })
            .await?;
        if made == Found::Yes { Ok(id) } else { Err(TenantError::NameTaken) }
    }

    /// All tenants, oldest first.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let sql = "SELECT id, disabled, quota, name, created_ms FROM tenants ORDER BY id";
        query(sql).fetch_all(self.readers()).await?.iter().map(read_tenant).collect()
    }

    /// One tenant.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let sql = "SELECT id, disabled, quota, name, created_ms FROM tenants WHERE id = ?";
        query(sql).bind(id).fetch_optional(self.readers()).await?.as_ref().map(read_tenant).transpose()
    }

    /// Whether a tenant's administrators are the platform's operators.
    pub fn is_operator(&self, tenant: TenantId) -> bool {
        self.keys().standing(tenant).is_some_and(|standing| standing.is_operator)
    }

    /// Disables or enables a tenant. What runs goes on; what is queued waits until the tenant is enabled again.
    pub async fn set_tenant_access(&self, tenant: TenantId, access: Access) -> Result<Found, StoreError> {
        let (actor, keys) = (self.actor(), Arc::clone(self.keys()));
        self.write_rarely(async move |writer| {
            let sql = "UPDATE tenants SET disabled = ? WHERE id = ? RETURNING id, disabled, quota, name";
            let changed = query(sql).bind(access == Access::Disabled).bind(tenant);
            let Some(row) = changed.fetch_optional(&mut writer.conn).await? else { return Ok(Found::No) };
            let standing = Standing::read(&row)?;
            let record = AuditRecord {
                tenant,
                action: AuditAction::TenantChanged,
                target: tenant.to_string(),
                detail: Some(json!({"access": access.as_str()})),
            };
            writer.audit(actor.as_deref(), record).await?;
            writer.standing_changed(tenant).await?;
            let keys = Arc::clone(&keys);
            writer.after_commit(move || keys.set_standing(tenant, standing));
            Ok(Found::Yes)
        })
        .await
    }

    /// Sets a tenant's own limits, all of them: what is absent is the server's from now on. What runs and waits stays.
    pub async fn set_quota(&self, tenant: TenantId, quota: Quota) -> Result<Found, StoreError> {
        let (actor, keys, text) = (self.actor(), Arc::clone(self.keys()), quota.written()?);
        self.write_rarely(async move |writer| {
            let sql = "UPDATE tenants SET quota = ? WHERE id = ? RETURNING id, disabled, quota, name";
            let changed = query(sql).bind(text.clone()).bind(tenant);
            let Some(row) = changed.fetch_optional(&mut writer.conn).await? else { return Ok(Found::No) };
            let standing = Standing::read(&row)?;
            let record = AuditRecord {
                tenant,
                action: AuditAction::QuotaChanged,
                target: tenant.to_string(),
                detail: Some(json!(quota)),
            };
            writer.audit(actor.as_deref(), record).await?;
            writer.standing_changed(tenant).await?;
            let keys = Arc::clone(&keys);
            writer.after_commit(move || keys.set_standing(tenant, standing));
            Ok(Found::Yes)
        })
        .await
    }
}

impl Writer {
    /// Whether there is such a tenant. In PostgreSQL its row is locked until the commit, as submissions lock it, so that no
    /// two processes count the same room.
    pub(crate) async fn lock_tenant(&mut self, tenant: TenantId) -> Result<Found, StoreError> {
        let sql = match self.dialect {
            Dialect::Sqlite => "SELECT id FROM tenants WHERE id = ?",
            Dialect::Postgres => "SELECT id FROM tenants WHERE id = ? FOR NO KEY UPDATE",
        };
        let row = query(sql).bind(tenant).fetch_optional(&mut self.conn).await?;
        Ok(if row.is_some() { Found::Yes } else { Found::No })
    }
}

fn read_tenant(row: &Row) -> Result<Tenant, StoreError> {
    let Standing { access, quota, .. } = Standing::read(row)?;
    Ok(Tenant {
        id: TenantId(row.id(0)?),
        name: row.try_get(3)?,
        access,
        quota,
        created_at: from_unix_ms(row.try_get(4)?),
    })
}
