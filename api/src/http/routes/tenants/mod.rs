//! Tenants and their quotas, for the platform's operators; a tenant's own administrators see their own.

pub(in crate::http) mod change;
pub(in crate::http) mod create;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod new_key;
pub(in crate::http) mod quota;
pub(in crate::http) mod set_quota;

use super::id;
use crate::http::{Problem, auth::Caller, router::Api, shown::time};
use mecapy_model::TenantId;
use mecapy_store::{Quota, Tenant};
use serde::Serialize;
use utoipa::ToSchema;

/// What is not found.
const TENANT: &str = "tenant";

/// A company.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(in crate::http) struct TenantShown {
    id: String,
    name: String,
    /// `enabled`, or `disabled`: its credentials let nobody in, and nothing that it has queued starts.
    access: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A tenant's limits; null where there is none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaLimits)]
pub(in crate::http) struct Limits {
    running_max: Option<u32>,
    queued_max: Option<u32>,
    fuel_per_day_max: Option<u64>,
    storage_bytes_max: Option<u64>,
    requests_per_second_max: Option<u32>,
}

/// What a tenant has and uses now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaUsed)]
pub(in crate::http) struct Used {
    /// Tasks that run.
    running: u64,
    /// Tasks that are queued.
    queued: u64,
    /// Fuel since midnight, UTC; up to some seconds old.
    fuel_today: u64,
    /// Bytes of uploads, modules, packages and artifacts.
    storage_bytes: u64,
}

/// A tenant's own limits (null: the server's), what holds, and what is used of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quota)]
pub(in crate::http) struct QuotaShown {
    #[serde(flatten)]
    own: Limits,
    effective: Limits,
    used: Used,
}

impl TenantShown {
    fn new(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name.clone(),
            access: tenant.access.as_str(),
            created_at: time(tenant.created_at),
        }
    }
}

impl From<Quota> for Limits {
    fn from(quota: Quota) -> Self {
        Self {
            running_max: quota.running_max,
            queued_max: quota.queued_max,
            fuel_per_day_max: quota.fuel_per_day_max,
            storage_bytes_max: quota.storage_bytes_max,
            requests_per_second_max: quota.requests_per_second_max,
        }
    }
}

impl QuotaShown {
    async fn of(api: &Api, tenant: &Tenant) -> Result<Self, Problem> {
        let store = &api.app.store;
        let counts = store.tenant_counts(tenant.id);
        let used = Used {
            running: counts.iter().map(|count| count.running).sum(),
            queued: counts.iter().map(|count| count.queued).sum(),
            fuel_today: store.fuel_today(tenant.id).await?,
            storage_bytes: store.stored_bytes(tenant.id).await?,
        };
        Ok(Self { own: tenant.quota.into(), effective: store.quota(tenant.id).into(), used })
    }
}

/// The tenant that a path names. Of others than their own only operators know.
async fn seen(api: &Api, caller: &Caller, text: &str) -> Result<Tenant, Problem> {
    let asked: TenantId = id(text, TENANT)?;
    let store = &api.app.store;
    let known = asked == caller.tenant() || store.is_operator(caller.tenant());
    let found = if known { store.tenant(asked).await? } else { None };
    found.ok_or_else(|| Problem::not_found(TENANT))
}
