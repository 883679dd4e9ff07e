//! One memory budget for the process: what all live sandboxes may use together.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts bytes against a ceiling; nobody gets what would pass it.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    bytes_max: u64,
    used_bytes: AtomicU64,
    charges: AtomicU64,
}

/// Bytes taken from the budget; given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl MemoryBudget {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, used_bytes: AtomicU64::new(0), charges: AtomicU64::new(0) })
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Sandboxes that hold a charge.
    pub(crate) fn charges(&self) -> u64 {
        self.charges.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, or `None` where they would pass the ceiling.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        self.take(bytes).then(|| {
            self.charges.fetch_add(1, Ordering::Relaxed);
            Charge { budget: Arc::clone(self), bytes }
        })
    }

    fn take(&self, bytes: u64) -> bool {
        self.used_bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes).filter(|total| *total <= self.bytes_max)
            })
            .is_ok()
    }
}

impl Charge {
    /// Raises the charge to `bytes` in all; `false`, and nothing changed, where the budget has no room.
    pub(crate) fn raise_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let granted = more == 0 || self.budget.take(more);
        if granted {
            self.bytes += more;
        }
        granted
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.charges.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_passed_and_is_whole_again_when_charges_end() {
        let budget = MemoryBudget::new(100);
        let mut first = budget.charge(60).unwrap();
        assert!(budget.charge(41).is_none());
        assert!(!first.raise_to(101));
        assert!(first.raise_to(100));
        assert_eq!((budget.used_bytes(), budget.charges()), (100, 1));
        drop(first);
        assert_eq!((budget.used_bytes(), budget.charges()), (0, 0));
        assert!(budget.charge(u64::MAX).is_none());
    }
}
