//! Who is connected: the caps on connections, and who has to go when one is reached.

use super::{
    ConnectionLimits,
    watch::{Use, Watch},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The open connections of one listener.
#[derive(Debug)]
pub(super) struct Table {
    connections_max: usize,
    connections_per_ip_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    connections: HashMap<u64, (IpAddr, Arc<Watch>)>,
    per_ip: HashMap<IpAddr, usize>,
}

/// A connection's place in the table; given back on drop.
#[derive(Debug)]
pub(super) struct Admitted {
    table: Arc<Table>,
    id: u64,
    pub(super) watch: Arc<Watch>,
}

impl Table {
    pub(super) fn new(limits: &ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            connections_max: limits.connections_max,
            connections_per_ip_max: limits.connections_per_ip_max,
            open: Mutex::default(),
        })
    }

    /// A place for a new connection. Where there is none, the most dispensable connection is asked to close; `None`
    /// where all are at work.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Admitted> {
        let peer = network_of(peer);
        let mut open = self.lock();
        if open.per_ip.get(&peer).copied().unwrap_or(0) >= self.connections_per_ip_max && !open.evict_one(Some(peer)) {
            return None;
        }
        if open.connections.len() >= self.connections_max && !open.evict_one(None) {
            return None;
        }
        let id = open.next_id;
        open.next_id += 1;
        let watch = Arc::new(Watch::new());
        open.connections.insert(id, (peer, Arc::clone(&watch)));
        *open.per_ip.entry(peer).or_default() += 1;
        Some(Admitted { table: Arc::clone(self), id, watch })
    }

    /// Makes room when the process has run out of descriptors.
    pub(super) fn make_room(&self) {
        self.lock().evict_one(None);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the most dispensable connection (of `peer`, where given); says whether there was one.
    fn evict_one(&mut self, peer: Option<IpAddr>) -> bool {
        let candidates = self.connections.iter().filter(|(_, (ip, _))| peer.is_none_or(|peer| peer == *ip));
        let victim = candidates.map(|(id, (_, watch))| (watch.in_use(), *id)).min();
        let Some(((doing, _), id)) = victim else { return false };
        if doing == Use::Busy {
            return false;
        }
        if let Some(watch) = self.remove(id) {
            watch.evict();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Watch>> {
        let (ip, watch) = self.connections.remove(&id)?;
        if let Some(count) = self.per_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.per_ip.remove(&ip);
            }
        }
        Some(watch)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.table.lock().remove(self.id);
    }
}

/// What counts as one peer: an IPv4 address, or the /64 that one IPv6 site holds.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(connections_max: usize, connections_per_ip_max: usize) -> Arc<Table> {
        Table::new(&ConnectionLimits { connections_max, connections_per_ip_max, ..ConnectionLimits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_silent_connection_makes_room_for_a_new_one_and_a_busy_one_does_not() {
        let table = table(2, 2);
        let busy = table.admit(ip("10.0.0.1")).unwrap();
        busy.watch.request_started(hyper::Version::HTTP_11);
        let silent = table.admit(ip("10.0.0.2")).unwrap();
        let third = table.admit(ip("10.0.0.3")).unwrap();
        third.watch.request_started(hyper::Version::HTTP_11);
        assert!(table.admit(ip("10.0.0.4")).is_none());
        drop(silent);
        assert!(table.admit(ip("10.0.0.4")).is_none(), "an evicted connection must not free a second place");
        drop(busy);
        assert!(table.admit(ip("10.0.0.4")).is_some());
    }

    #[test]
    fn one_peer_can_only_push_out_its_own() {
        let table = table(10, 1);
        let other = table.admit(ip("10.0.0.9")).unwrap();
        let first = table.admit(ip("2001:db8::1")).unwrap();
        let _second = table.admit(ip("2001:db8::2")).unwrap();
        let open = table.lock();
        assert!(!open.connections.contains_key(&first.id));
        assert!(open.connections.contains_key(&other.id));
    }
}
