//! One memory budget for the process: what all live sandboxes may use together, and how much of it one tenant may.
//!
//! Sandboxes that run may grow into a part of the budget only, so that what is left admits new ones; and no tenant
//! gets more than its share, so that its own sandboxes are the ones that run short.

use mecapy_model::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Of a shared budget, what all sandboxes may grow to together: the rest is for admission alone.
const GROWTH_PART: (u64, u64) = (3, 4);
/// Of a shared budget, what one tenant's sandboxes may hold together.
const TENANT_PART: (u64, u64) = (1, 2);

/// Counts bytes against ceilings; nobody gets what would pass one.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    bytes_max: u64,
    growth_bytes_max: u64,
    tenant_bytes_max: u64,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    charges: u64,
    /// Holds no zeroes: as many entries as tenants with live sandboxes.
    by_tenant: HashMap<Option<TenantId>, u64>,
}

/// Bytes taken from the budget; given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<MemoryBudget>,
    tenant: Option<TenantId>,
    bytes: u64,
}

/// Why bytes were not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Short {
    /// All sandboxes together use what they may.
    Process,
    /// The tenant's own sandboxes use its share.
    Tenant { share_bytes: u64 },
}

impl MemoryBudget {
    /// All of it for one user.
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Self::with_parts(bytes_max, bytes_max, bytes_max)
    }

    /// Shared between tenants, who harm themselves alone.
    pub(crate) fn shared(bytes_max: u64) -> Arc<Self> {
        let part = |(of, whole)| bytes_max / whole * of;
        Self::with_parts(bytes_max, part(GROWTH_PART), part(TENANT_PART))
    }

    fn with_parts(bytes_max: u64, growth_bytes_max: u64, tenant_bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, growth_bytes_max, tenant_bytes_max, used: Mutex::default() })
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// What one tenant's sandboxes may hold together.
    pub(crate) fn tenant_bytes_max(&self) -> u64 {
        self.tenant_bytes_max
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Sandboxes that hold a charge.
    pub(crate) fn charges(&self) -> u64 {
        self.lock().charges
    }

    /// Takes `bytes` for nobody in particular, or `None` where they would pass the ceiling.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        self.take(None, bytes, self.bytes_max).ok()
    }

    /// Takes what a tenant's new sandbox starts with.
    pub(crate) fn admit(self: &Arc<Self>, tenant: TenantId, bytes: u64) -> Result<Charge, Short> {
        self.take(Some(tenant), bytes, self.bytes_max)
    }

    fn take(self: &Arc<Self>, tenant: Option<TenantId>, bytes: u64, bytes_max: u64) -> Result<Charge, Short> {
        let mut used = self.lock();
        self.add(&mut used, tenant, bytes, bytes_max)?;
        used.charges += 1;
        Ok(Charge { budget: Arc::clone(self), tenant, bytes })
    }

    fn add(&self, used: &mut Used, tenant: Option<TenantId>, bytes: u64, bytes_max: u64) -> Result<(), Short> {
        let within = |held: u64, max: u64| held.checked_add(bytes).filter(|total| *total <= max);
        let held = used.by_tenant.get(&tenant).copied().unwrap_or_default();
        let of_tenant = within(held, self.tenant_bytes_max);
        let of_tenant = of_tenant.ok_or(Short::Tenant { share_bytes: self.tenant_bytes_max })?;
        used.bytes = within(used.bytes, bytes_max).ok_or(Short::Process)?;
        if bytes > 0 {
            used.by_tenant.insert(tenant, of_tenant);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn give_back(&mut self, tenant: Option<TenantId>, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(held) = self.by_tenant.get_mut(&tenant) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.by_tenant.remove(&tenant);
            }
        }
    }
}

impl Charge {
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `more` bytes for a sandbox that runs; nothing has changed where the budget has no room for them.
    pub(crate) fn grow(&mut self, more: u64) -> Result<(), Short> {
        if more == 0 {
            // What the admission covered is asked for once more, and may lie beyond what may be grown to.
            return Ok(());
        }
        self.budget.add(&mut self.budget.lock(), self.tenant, more, self.budget.growth_bytes_max)?;
        self.bytes += more;
        Ok(())
    }

    /// Gives back bytes that could not be used after all.
    pub(crate) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.budget.lock().give_back(self.tenant, bytes);
        self.bytes -= bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut used = self.budget.lock();
        used.give_back(self.tenant, self.bytes);
        used.charges = used.charges.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::from_parts(0, &[number; 10])
    }

    #[test]
    fn a_budget_is_never_passed_and_is_whole_again_when_charges_end() {
        let budget = MemoryBudget::new(100);
        let mut first = budget.charge(60).unwrap();
        assert!(budget.charge(41).is_none());
        assert!(first.grow(41).is_err());
        assert!(first.grow(40).is_ok());
        assert_eq!((budget.used_bytes(), budget.charges()), (100, 1));
        drop(first);
        assert_eq!((budget.used_bytes(), budget.charges()), (0, 0));
        assert!(budget.charge(u64::MAX).is_none());
    }

    #[test]
    fn a_tenant_gets_half_by_admission_and_growth_together_and_others_the_rest() {
        let budget = MemoryBudget::shared(100);
        let mut first = budget.admit(tenant(1), 20).unwrap();
        let second = budget.admit(tenant(1), 20).unwrap();
        let full = Short::Tenant { share_bytes: 50 };
        assert_eq!(first.grow(11), Err(full));
        assert_eq!(first.grow(10), Ok(()));
        assert_eq!(budget.admit(tenant(1), 1).map(drop), Err(full));
        let other = budget.admit(tenant(2), 50).unwrap();
        assert_eq!(budget.used_bytes(), 100);
        drop(second);
        assert_eq!(budget.admit(tenant(1), 20).map(drop), Ok(()));
        drop((first, other));
        assert_eq!((budget.used_bytes(), budget.charges()), (0, 0));
        assert!(budget.lock().by_tenant.is_empty());
    }

    #[test]
    fn growth_leaves_a_quarter_for_admission() {
        let budget = MemoryBudget::shared(100);
        let mut first = budget.admit(tenant(1), 40).unwrap();
        let mut second = budget.admit(tenant(2), 30).unwrap();
        assert_eq!(second.grow(6), Err(Short::Process));
        assert_eq!(second.grow(5), Ok(()));
        assert_eq!(first.grow(1), Err(Short::Process));
        let third = budget.admit(tenant(3), 25).unwrap();
        assert_eq!(budget.admit(tenant(4), 1).map(drop), Err(Short::Process));
        second.shrink(5);
        assert_eq!((budget.used_bytes(), budget.charges()), (95, 3));
        drop(third);
        assert_eq!(second.grow(5), Ok(()));
    }
}
