//! How many event streams are open, by caller and by tenant; and in the same way, how many requests wait for results.

use super::{Problem, auth::Reader};
use crate::config::RequestLimits;
use mecapy_model::TenantId;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// What a caller with too many is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Streams {
    /// What a caller is told who has as many as may be.
    full: &'static str,
    per_key_max: usize,
    per_tenant_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_caller: HashMap<Uuid, usize>,
    by_tenant: HashMap<TenantId, usize>,
}

/// The place of a stream or a wait; given back on drop.
#[derive(Debug)]
pub(super) struct StreamPlace {
    streams: Arc<Streams>,
    caller: Uuid,
    tenant: TenantId,
}

impl Streams {
    /// Streams of events.
    pub(super) fn of_events(limits: &RequestLimits) -> Arc<Self> {
        Self::new(limits, "as many event streams are open as you may have: close one")
    }

    /// Requests that wait.
    pub(super) fn of_waits(limits: &RequestLimits) -> Arc<Self> {
        let full = "as many of your requests wait for results as may at once: let one end, or ask without `wait`, or \
                    follow GET /v1/events";
        Self::new(limits, full)
    }

    fn new(limits: &RequestLimits, full: &'static str) -> Arc<Self> {
        Arc::new(Self {
            full,
            per_key_max: limits.streams_per_key_max,
            per_tenant_max: limits.streams_per_tenant_max,
            open: Mutex::default(),
        })
    }

    /// A place for one more stream of the reader, or 429.
    pub(super) fn open(self: &Arc<Self>, reader: &Reader) -> Result<StreamPlace, Problem> {
        let (caller, tenant) = (reader.id(), reader.tenant);
        let mut open = self.lock();
        let full = |count: Option<&usize>, max| count.is_some_and(|count| *count >= max);
        if full(open.by_caller.get(&caller), self.per_key_max) || full(open.by_tenant.get(&tenant), self.per_tenant_max)
        {
            return Err(Problem::too_many(self.full, RETRY_AFTER));
        }
        *open.by_caller.entry(caller).or_default() += 1;
        *open.by_tenant.entry(tenant).or_default() += 1;
        Ok(StreamPlace { streams: Arc::clone(self), caller, tenant })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        one_less(&mut open.by_caller, self.caller);
        one_less(&mut open.by_tenant, self.tenant);
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
