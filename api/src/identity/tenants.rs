//! Which tenant a company's name means: the store's tenants, read again every few seconds.

use mecapy_model::TenantId;
use mecapy_store::{Access, Store, StoreError, Tenant};
use std::{sync::Arc, time::Duration};
use tokio::sync::RwLock;

/// A tenant that was made, disabled or enabled counts after so long.
const AGE_MAX: Duration = Duration::from_secs(5);
/// So long nobody asks a store again that has failed. Of those who wait for its answer, each would wait for a try of its
/// own, one after the other.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(1);

/// The tenants as they were lately.
#[derive(Debug, Default)]
pub struct TenantNames {
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    tenants: Arc<[Tenant]>,
    read_at: Option<Duration>,
    /// How the last try ended, and when, where it failed.
    failure: Option<(StoreError, Duration)>,
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
        if let Some(error) = held.failure(store) {
            return Err(error);
        }
        let read_at = store.clock().monotonic();
        match store.tenants().await {
            Ok(tenants) => {
                let tenants: Arc<[Tenant]> = tenants.into();
                *held = Held { tenants: Arc::clone(&tenants), read_at: Some(read_at), failure: None };
                Ok(tenants)
            }
            Err(error) => {
                held.failure = Some((error.clone(), store.clock().monotonic()));
                Err(error)
            }
        }
    }
}

impl Held {
    fn fresh(&self, store: &Store) -> Option<Arc<[Tenant]>> {
        let age = store.clock().monotonic().saturating_sub(self.read_at?);
        (age <= AGE_MAX).then(|| Arc::clone(&self.tenants))
    }

    fn failure(&self, store: &Store) -> Option<StoreError> {
        let (error, at) = self.failure.as_ref()?;
        let age = store.clock().monotonic().saturating_sub(*at);
        (age <= FAILURE_AGE_MAX).then(|| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_store::{Clock as _, ManualClock, StoreOptions};
    use time::OffsetDateTime;

    #[tokio::test]
    async fn a_failure_is_everybodys_for_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH, 1));
        let store = Store::open(StoreOptions::new(folder.path()), clock.clone()).await.unwrap();
        let names = TenantNames::default();
        names.held.write().await.failure = Some((StoreError::Closed, clock.monotonic()));
        clock.advance(FAILURE_AGE_MAX);
        assert!(matches!(names.find(&store, "acme").await, Err(StoreError::Closed)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(names.find(&store, "acme").await.unwrap(), None);
        assert!(names.held.read().await.failure.is_none());
        // What was read lately is answered whatever failed since.
        names.held.write().await.failure = Some((StoreError::Closed, clock.monotonic()));
        assert_eq!(names.find(&store, "acme").await.unwrap(), None);
        // A store that fails now fails for those who come next.
        clock.advance(AGE_MAX + Duration::from_millis(1));
        store.close().await;
        assert!(names.find(&store, "acme").await.is_err());
        assert!(names.held.read().await.failure.is_some());
    }

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
