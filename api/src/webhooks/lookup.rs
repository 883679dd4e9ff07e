//! Looking names up with the system's resolver, on threads of their own.
//!
//! The system's resolver blocks, for half a minute where a name server is silent, and can't be stopped. So that names
//! that never resolve take no thread that other work needs, a look-up has its own; so that they take no more than
//! their share of those, the names of one domain have a few at once.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};
use tokio::sync::{AcquireError, Semaphore, oneshot};

/// Look-ups under way in all, and those under one domain.
const LOOKUPS_MAX: usize = 64;
const LOOKUPS_PER_DOMAIN_MAX: usize = 4;
/// Domains remembered before those without look-ups are forgotten.
const DOMAINS_MAX: usize = 1024;

/// Answers the addresses of a name. Dropping it abandons the answer, not the look-up.
pub(super) type Lookup = Arc<dyn Fn(String) -> Pending + Send + Sync>;
pub(super) type Pending = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The system's resolver.
pub(super) fn system() -> Lookup {
    let places = Arc::new(Places { all: Arc::new(Semaphore::new(LOOKUPS_MAX)), domains: Mutex::default() });
    Arc::new(move |name| Box::pin(look_up(Arc::clone(&places), name)))
}

struct Places {
    all: Arc<Semaphore>,
    domains: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Places {
    fn domain(&self, name: &str) -> Arc<Semaphore> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= DOMAINS_MAX {
            domains.retain(|_, places| places.strong_count() > 0);
        }
        let domain = domain_of(name);
        if let Some(places) = domains.get(domain).and_then(Weak::upgrade) {
            return places;
        }
        let places = Arc::new(Semaphore::new(LOOKUPS_PER_DOMAIN_MAX));
        domains.insert(domain.to_owned(), Arc::downgrade(&places));
        places
    }
}

async fn look_up(places: Arc<Places>, name: String) -> io::Result<Vec<IpAddr>> {
    let closed = |_: AcquireError| io::Error::other("no more names are looked up");
    // The domain's first: who waits for it must not keep others from a place.
    let of_domain = places.domain(&name).acquire_owned().await.map_err(closed)?;
    let of_all = Arc::clone(&places.all).acquire_owned().await.map_err(closed)?;
    let (answer, answered) = oneshot::channel();
    thread::Builder::new().name("mecapy-dns".to_owned()).spawn(move || {
        let addresses = (name.as_str(), 0).to_socket_addrs();
        let _ = answer.send(addresses.map(|addresses| addresses.map(|address| address.ip()).collect()));
        // Only now: whoever asked may have gone long ago.
        drop((of_domain, of_all));
    })?;
    answered.await.map_err(io::Error::other)?
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
        let places = Places { all: Arc::new(Semaphore::new(1)), domains: Mutex::default() };
        let first = places.domain("x.a.example");
        assert!(Arc::ptr_eq(&first, &places.domain("y.a.example")));
        assert!(!Arc::ptr_eq(&first, &places.domain("b.example")));
        for number in 0..2 * DOMAINS_MAX {
            places.domain(&number.to_string());
        }
        assert!(places.domains.lock().unwrap().len() <= DOMAINS_MAX);
        assert!(Arc::ptr_eq(&first, &places.domain("z.a.example")));
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let addresses = system()("localhost".to_owned()).await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }
}
