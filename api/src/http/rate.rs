//! How often one caller may ask: a leaky bucket of one number per caller.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// One second's requests may come at once.
const BURST_NS: u64 = 1_000_000_000;
/// Callers that are remembered; beyond, all start afresh.
const CALLERS_MAX: usize = 100_000;

/// The rate of every caller, and of every tenant.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// By caller: when its bucket is empty again, nanoseconds of the monotonic clock.
    empty_at: RwLock<HashMap<Uuid, AtomicU64>>,
}

impl Rates {
    /// Counts a request at `now`, one of so many a second, or says how long to wait.
    pub(super) fn count(&self, caller: Uuid, per_second_max: u32, now: Duration) -> Result<(), Duration> {
        let interval_ns = BURST_NS / u64::from(per_second_max.max(1));
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let known = self.empty_at.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(empty_at) = known.get(&caller) {
            return add(empty_at, interval_ns, now_ns);
        }
        drop(known);
        let mut all = self.empty_at.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CALLERS_MAX {
            all.clear();
        }
        add(all.entry(caller).or_default(), interval_ns, now_ns)
    }
}

fn add(empty_at: &AtomicU64, interval_ns: u64, now_ns: u64) -> Result<(), Duration> {
    let full = now_ns.saturating_add(BURST_NS);
    let added = empty_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
        let after = at.max(now_ns).saturating_add(interval_ns);
        (after <= full).then_some(after)
    });
    added.map(drop).map_err(|at| Duration::from_nanos(at.saturating_add(interval_ns).saturating_sub(full)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_spend_a_second_at_once_and_then_its_rate() {
        let rates = Rates::default();
        let (caller, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let start = Duration::from_secs(100);
        let passed = (0..50).filter(|_| rates.count(caller, 10, start).is_ok()).count();
        assert_eq!(passed, 10);
        let wait = rates.count(caller, 10, start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(rates.count(other, 10, start).is_ok());
        assert!(rates.count(caller, 10, start + wait).is_ok());
        assert!(rates.count(caller, 10, start + wait).is_err());
    }
}
