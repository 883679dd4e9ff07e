//! Which tenant a company's name means: the store's tenants, read again every few seconds.

use mecapy_model::TenantId;
use mecapy_store::{Access, Store, StoreError, Tenant};
use std::{sync::Arc, time::Duration};
use tokio::sync::RwLock;

/// A tenant that was made, disabled or enabled counts after so long.
const AGE_MAX: Duration = Duration::from_secs(5);

/// The tenants as they were lately.
#[derive(Debug, Default)]
pub struct TenantNames {
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    tenants: Arc<[Tenant]>,
    read_at: Option<Duration>,
}

impl TenantNames {
    /// The tenant with that name and whether it may use the platform; `None` where there is none.
    pub async fn find(&self, store: &Store, name: &str) -> Result<Option<(TenantId, Access)>, StoreError> {
        let tenants = self.tenants(store).await?;
        Ok(tenants.iter().find(|tenant| tenant.name == name).map(|tenant| (tenant.id, tenant.access)))
    }

    /// The name of a tenant.
    pub async fn name(&self, store: &Store, id: TenantId) -> Result<Option<String>, StoreError> {
        let tenants = self.tenants(store).await?;
        Ok(tenants.iter().find(|tenant| tenant.id == id).map(|tenant| tenant.name.clone()))
    }

    async fn tenants(&self, store: &Store) -> Result<Arc<[Tenant]>, StoreError> {
        if let Some(tenants) = self.held.read().await.fresh(store) {
            return Ok(tenants);
        }
        // One caller reads; those who come meanwhile wait here, and find what it read.
        let mut held = self.held.write().await;
        if let Some(tenants) = held.fresh(store) {
            return Ok(tenants);
        }
        let read_at = store.clock().monotonic();
        let tenants: Arc<[Tenant]> = store.tenants().await?.into();
        *held = Held { tenants: Arc::clone(&tenants), read_at: Some(read_at) };
        Ok(tenants)
    }
}

impl Held {
    fn fresh(&self, store: &Store) -> Option<Arc<[Tenant]>> {
        let age = store.clock().monotonic().saturating_sub(self.read_at?);
        (age <= AGE_MAX).then(|| Arc::clone(&self.tenants))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_store::{ManualClock, StoreOptions};
    use time::OffsetDateTime;

    #[tokio::test]
    async fn a_change_counts_within_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH, 1));
        let store = Store::open(StoreOptions::new(folder.path()), clock.clone()).await.unwrap();
        let names = TenantNames::default();
        assert_eq!(names.find(&store, "acme").await.unwrap(), None);
        let id = store.create_tenant("acme").await.unwrap();
        assert_eq!(names.find(&store, "acme").await.unwrap(), None);
        clock.advance(AGE_MAX + Duration::from_millis(1));
        assert_eq!(names.find(&store, "acme").await.unwrap(), Some((id, Access::Enabled)));
        assert_eq!(names.find(&store, "Acme").await.unwrap(), None);
        assert_eq!(names.name(&store, id).await.unwrap().as_deref(), Some("acme"));
        store.set_tenant_access(id, Access::Disabled).await.unwrap();
        clock.advance(AGE_MAX + Duration::from_millis(1));
        assert_eq!(names.find(&store, "acme").await.unwrap(), Some((id, Access::Disabled)));
        store.close().await;
    }
}
