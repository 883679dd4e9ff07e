//! What a tenant may have and use altogether: its own limits over those of the server.

use crate::tenants::Standing;
use crate::writer::Writer;
use crate::{Store, StoreError};
use mecapy_model::TenantId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A tenant's limits; what is absent is left to the server, and what the server leaves open has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Tasks that run at once, over all lanes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_max: Option<u32>,
    /// Tasks that are queued at once, over all lanes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_max: Option<u32>,
    /// Fuel of tasks and previews from midnight to midnight, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_per_day_max: Option<u64>,
    /// Bytes of uploads, modules, packages and artifacts together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes_max: Option<u64>,
    /// Requests a second of all its credentials together, over a second's burst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second_max: Option<u32>,
}

/// Which quota has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaKind {
    FuelPerDay,
    StorageBytes,
}

/// A quota that has no room for what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tenant's quota {} is {limit}, and {used} {} used", kind.as_str(), kind.counted())]
pub struct OverQuota {
    pub kind: QuotaKind,
    pub used: u64,
    pub limit: u64,
    /// When it is worth asking again.
    pub retry_after: Duration,
}

impl QuotaKind {
    /// The quota's name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            QuotaKind::FuelPerDay => "fuel_per_day_max",
            QuotaKind::StorageBytes => "storage_bytes_max",
        }
    }

    const fn counted(self) -> &'static str {
        match self {
            QuotaKind::FuelPerDay => "since midnight UTC are",
            QuotaKind::StorageBytes => "bytes are",
        }
    }
}

impl Quota {
    /// These limits, with what they leave open taken from `below`.
    #[must_use]
    pub fn over(self, below: Quota) -> Quota {
        Quota {
            running_max: self.running_max.or(below.running_max),
            queued_max: self.queued_max.or(below.queued_max),
            fuel_per_day_max: self.fuel_per_day_max.or(below.fuel_per_day_max),
            storage_bytes_max: self.storage_bytes_max.or(below.storage_bytes_max),
            requests_per_second_max: self.requests_per_second_max.or(below.requests_per_second_max),
        }
    }

    pub(crate) fn read(text: Option<&str>) -> Result<Quota, StoreError> {
        let read = text.map(serde_json::from_str).transpose();
        read.map(Option::unwrap_or_default).map_err(|error| StoreError::corrupt(format!("a tenant's quota: {error}")))
    }

    /// What its row holds: nothing where nothing is limited.
    pub(crate) fn written(self) -> Result<Option<String>, StoreError> {
        let text = (self != Quota::default()).then(|| serde_json::to_string(&self)).transpose();
        text.map_err(|error| StoreError::corrupt(error.to_string()))
    }
}

impl Store {
    /// What holds for a tenant: its own limits over the server's. In memory; another process's change counts within a
    /// second or so.
    pub fn quota(&self, tenant: TenantId) -> Quota {
        self.keys().standing(tenant).map(|standing| standing.quota).unwrap_or_default().over(self.options().quota)
    }

    /// Whether some tenant may be kept from starting what it has queued.
    pub fn has_running_quotas(&self) -> bool {
        self.options().quota.running_max.is_some() || self.keys().any_standing(Standing::has_running_max)
    }
}

impl Writer {
    /// What holds for a tenant. In PostgreSQL another process's change counts within a second: what must be exact reads
    /// the row.
    pub(crate) fn quota(&self, tenant: TenantId) -> Quota {
        self.standing(tenant).map(|standing| standing.quota).unwrap_or_default().over(self.options.quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tenant_leaves_open_is_the_servers() {
        let server = Quota { running_max: Some(8), queued_max: Some(100), ..Quota::default() };
        let own = Quota { running_max: Some(2), fuel_per_day_max: Some(7), ..Quota::default() };
        let both = own.over(server);
        assert_eq!((both.running_max, both.queued_max, both.fuel_per_day_max), (Some(2), Some(100), Some(7)));
        assert_eq!(both.storage_bytes_max, None);
    }

    #[test]
    fn a_quota_is_read_as_it_is_written() {
        let quota = Quota { fuel_per_day_max: Some(u64::MAX), running_max: Some(0), ..Quota::default() };
        let text = quota.written().unwrap().unwrap();
        assert_eq!(text, r#"{"running_max":0,"fuel_per_day_max":18446744073709551615}"#);
        assert_eq!(Quota::read(Some(&text)).unwrap(), quota);
        assert_eq!((Quota::default().written().unwrap(), Quota::read(None).unwrap()), (None, Quota::default()));
        assert!(Quota::read(Some("[]")).is_err());
    }

    #[test]
    fn a_full_quota_says_which_how_much_and_of_what() {
        let over =
            OverQuota { kind: QuotaKind::StorageBytes, used: 12, limit: 10, retry_after: Duration::from_secs(1) };
        assert_eq!(over.to_string(), "the tenant's quota storage_bytes_max is 10, and 12 bytes are used");
    }
}
