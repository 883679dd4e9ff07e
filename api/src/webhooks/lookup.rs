//! Looking names up with the system's resolver, on threads of their own.
//!
//! The system's resolver blocks, for half a minute where a name server is silent, and can't be stopped. So that names
//! that never resolve take no thread that other work needs, a look-up has its own; so that they take no more than
//! their share of those, a tenant has a few at once, and so have the names of one domain.

use mecapy_model::TenantId;
use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    io,
    net::{IpAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// Look-ups under way in all, those of one tenant, and those under one domain.
const LOOKUPS_MAX: usize = 64;
const LOOKUPS_PER_TENANT_MAX: usize = 8;
const LOOKUPS_PER_DOMAIN_MAX: usize = 4;
/// How long a look-up waits for its places.
const PLACES_TIMEOUT: Duration = Duration::from_secs(1);
/// Tenants or domains remembered before those without look-ups are forgotten.
const SHARES_MAX: usize = 1024;

/// Answers the addresses of a name that a tenant asks for. Dropping it abandons the answer, not the look-up.
pub(super) type Lookup = Arc<dyn Fn(TenantId, String) -> Pending + Send + Sync>;
pub(super) type Pending = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, LookupError>> + Send>>;

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// Nobody has asked: no place was free in time.
    #[error("too many names are being looked up")]
    Busy,
    #[error("the name can't be looked up")]
    Failed(#[from] io::Error),
}

/// The system's resolver.
pub(super) fn system() -> Lookup {
    let places = Arc::new(Places::new());
    Arc::new(move |tenant, name| Box::pin(look_up(Arc::clone(&places), tenant, name)))
}

struct Places {
    all: Arc<Semaphore>,
    tenants: Shares<TenantId>,
    domains: Shares<String>,
}

/// What one look-up takes.
type Held = [OwnedSemaphorePermit; 3];

impl Places {
    fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            tenants: Shares::new(LOOKUPS_PER_TENANT_MAX),
            domains: Shares::new(LOOKUPS_PER_DOMAIN_MAX),
        }
    }

    /// The places of a look-up, once they are free.
    async fn take(&self, tenant: TenantId, name: &str) -> Result<Held, AcquireError> {
        // What fewest share comes first: who waits for it must not keep others from a place.
        let of_tenant = self.tenants.of(tenant).acquire_owned().await?;
        let of_domain = self.domains.of(domain_of(name).to_owned()).acquire_owned().await?;
        let of_all = Arc::clone(&self.all).acquire_owned().await?;
        Ok([of_tenant, of_domain, of_all])
    }
}

/// So many places for each of those who share.
struct Shares<K> {
    places_each: usize,
    held: Mutex<HashMap<K, Weak<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    fn new(places_each: usize) -> Self {
        Self { places_each, held: Mutex::default() }
    }

    fn of(&self, key: K) -> Arc<Semaphore> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= SHARES_MAX {
            held.retain(|_, places| places.strong_count() > 0);
        }
        if let Some(places) = held.get(&key).and_then(Weak::upgrade) {
            return places;
        }
        let places = Arc::new(Semaphore::new(self.places_each));
        held.insert(key, Arc::downgrade(&places));
        places
    }
}

async fn look_up(places: Arc<Places>, tenant: TenantId, name: String) -> Result<Vec<IpAddr>, LookupError> {
    let taken = timeout(PLACES_TIMEOUT, places.take(tenant, &name)).await;
    let Ok(Ok(held)) = taken else { return Err(LookupError::Busy) };
    let (answer, answered) = oneshot::channel();
    thread::Builder::new().name("mecapy-dns".to_owned()).spawn(move || {
        let addresses = (name.as_str(), 0).to_socket_addrs();
        let _ = answer.send(addresses.map(|addresses| addresses.map(|address| address.ip()).collect()));
        // Only now: whoever asked may have gone long ago.
        drop(held);
    })?;
    Ok(answered.await.map_err(io::Error::other)??)
}

/// The last two labels of a name: close enough to who owns it.
fn domain_of(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    name.rmatch_indices('.').nth(1).and_then(|(at, _)| name.get(at + 1..)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_domain_share_its_places() {
        let rows = [("localhost", "localhost"), ("a.example", "a.example"), ("x.y.a.example.", "a.example"), ("", "")];
        for (name, domain) in rows {
            assert_eq!(domain_of(name), domain);
        }
        let places = Places::new();
        let domain = |name: &str| places.domains.of(domain_of(name).to_owned());
        let first = domain("x.a.example");
        assert!(Arc::ptr_eq(&first, &domain("y.a.example")));
        assert!(!Arc::ptr_eq(&first, &domain("b.example")));
        for number in 0..2 * SHARES_MAX {
            domain(&number.to_string());
        }
        assert!(places.domains.held.lock().unwrap().len() <= SHARES_MAX);
        assert!(Arc::ptr_eq(&first, &domain("z.a.example")));
    }

    #[tokio::test]
    async fn security_30_one_tenants_silent_names_leave_places_for_others() {
        let (places, tenants) = (Arc::new(Places::new()), [1, 2].map(|n| TenantId::from_parts(n, &[1; 10])));
        let mut held = Vec::new();
        for number in 0..LOOKUPS_PER_TENANT_MAX {
            held.push(places.take(tenants[0], &format!("{number}.example")).await.unwrap());
        }
        let busy = look_up(Arc::clone(&places), tenants[0], "localhost".to_owned()).await;
        assert!(matches!(busy, Err(LookupError::Busy)), "{busy:?}");
        assert!(look_up(Arc::clone(&places), tenants[1], "localhost".to_owned()).await.is_ok());
        held.pop();
        assert!(look_up(places, tenants[0], "localhost".to_owned()).await.is_ok());
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let addresses = system()(TenantId::from_parts(1, &[1; 10]), "localhost".to_owned()).await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }
}
