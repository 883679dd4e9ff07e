//! What a store may grow to: all memories together against the task's limit and the process's budget, tables by count.

use crate::budget::{Charge, Short};
use wasmtime::ResourceLimiter;

/// Elements of one table; the interpreter has 47 157.
const TABLE_ELEMENTS_MAX: usize = 200_000;
pub(crate) const TABLES_MAX: usize = 10;
/// A module's memory, and the heap that holds its exceptions.
const MEMORIES_MAX: usize = 2;

pub(crate) struct Limiter {
    memory_bytes_max: u64,
    charge: Charge,
    /// All memories of the store together. None ever shrinks.
    total_bytes: u64,
    /// What a native kernel holds beside them at the moment.
    scratch_bytes: u64,
    /// The most that the two have been together.
    peak_bytes: u64,
    /// The memory that `total_bytes` began with has yet to be made.
    starting: bool,
    /// Of the latest step that was granted: its bytes, and the peak before it.
    last_growth_bytes: u64,
    last_peak_bytes: u64,
    refusal: Option<Refusal>,
    instances_max: usize,
    memories_max: usize,
}

/// Why memory was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The task's own limit.
    TaskLimit,
    /// The process's budget, or the tenant's share of it.
    Budget(Short),
}

impl Limiter {
    /// `charge` already covers the memory that the sandbox starts with.
    pub(crate) fn new(memory_bytes_max: u64, charge: Charge, start_bytes: u64) -> Self {
        Self {
            memory_bytes_max,
            charge,
            total_bytes: start_bytes,
            scratch_bytes: 0,
            peak_bytes: start_bytes,
            starting: start_bytes > 0,
            last_growth_bytes: 0,
            last_peak_bytes: start_bytes,
            refusal: None,
            instances_max: 1,
            memories_max: MEMORIES_MAX,
        }
    }

    /// For a guest that consists of several core modules.
    pub(super) fn for_component(self, instances_max: usize, memories_max: usize) -> Self {
        Self { instances_max, memories_max, ..self }
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Charges scratch memory of a native kernel, as the guest's own would be; `false` where there is no room for it,
    /// which is no refusal: the guest's own code does without.
    pub(super) fn reserve(&mut self, bytes: u64) -> bool {
        let held = self.total_bytes.saturating_add(self.scratch_bytes);
        if held.saturating_add(bytes) > self.memory_bytes_max || self.charge.grow(bytes).is_err() {
            return false;
        }
        self.scratch_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(held + bytes);
        true
    }

    /// Takes back what was charged so.
    pub(super) fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.scratch_bytes);
        self.scratch_bytes -= bytes;
        self.charge.shrink(bytes);
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// What a step adds to all memories together. The first memory that is made with more than nothing is the one
    /// that the start covers; an image's is announced with the module's minimum, which may be less than it starts with.
    fn added(&mut self, current: usize, desired: usize) -> u64 {
        let desired = desired as u64;
        if self.starting && current == 0 && desired > 0 {
            self.starting = false;
            return desired.saturating_sub(self.total_bytes);
        }
        desired.saturating_sub(current as u64)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // Beyond what the module declares itself: nothing would be given.
            return Ok(false);
        }
        let added = self.added(current, desired);
        if self.total_bytes.saturating_add(added) > self.memory_bytes_max {
            self.refusal = Some(Refusal::TaskLimit);
        } else if let Err(short) = self.charge.grow(added) {
            self.refusal = Some(Refusal::Budget(short));
        } else {
            self.total_bytes += added;
            self.last_growth_bytes = added;
            self.last_peak_bytes = self.peak_bytes;
            self.peak_bytes = self.peak_bytes.max(self.total_bytes);
            return Ok(true);
        }
        Ok(false)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // The kernel's error comes after a step that was granted, and only then.
        if error.is::<std::io::Error>() {
            let bytes = std::mem::take(&mut self.last_growth_bytes);
            self.charge.shrink(bytes);
            self.total_bytes -= bytes;
            if bytes > 0 {
                self.peak_bytes = self.last_peak_bytes;
            }
        }
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        self.instances_max
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        self.memories_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::MemoryBudget;

    const PAGE: usize = 65_536;

    fn limiter(pages_max: usize, start_pages: usize) -> Limiter {
        let start_bytes = (start_pages * PAGE) as u64;
        let charge = MemoryBudget::new(1 << 30).charge(start_bytes).unwrap();
        Limiter::new((pages_max * PAGE) as u64, charge, start_bytes)
    }

    /// Says whether each step, in pages, was granted.
    fn grow<const N: usize>(limiter: &mut Limiter, steps: [(usize, usize); N]) -> [bool; N] {
        steps.map(|(current, desired)| limiter.memory_growing(current * PAGE, desired * PAGE, None).unwrap())
    }

    #[test]
    fn memories_count_together() {
        let mut limiter = limiter(10, 2);
        // The exceptions' heap is made empty, then the declared memory; then the two grow in turn.
        assert_eq!(grow(&mut limiter, [(0, 0), (0, 2), (0, 1), (2, 6), (1, 4)]), [true; 5]);
        assert_eq!(limiter.peak_bytes(), (10 * PAGE) as u64);
        assert_eq!(grow(&mut limiter, [(4, 5), (6, 7)]), [false; 2]);
        assert_eq!(limiter.refusal(), Some(Refusal::TaskLimit));
        assert_eq!(limiter.charge.bytes(), limiter.peak_bytes());
    }

    #[test]
    fn an_image_counts_once_and_whole() {
        let mut limiter = limiter(10, 6);
        // Announced with the module's minimum of 2 pages, then grown from the image's 6.
        assert_eq!(grow(&mut limiter, [(0, 2), (6, 8), (8, 11)]), [true, true, false]);
        assert_eq!(limiter.peak_bytes(), (8 * PAGE) as u64);
        assert_eq!(limiter.charge.bytes(), limiter.peak_bytes());
    }

    #[test]
    fn what_starts_empty_is_counted_from_its_first_page() {
        let mut limiter = limiter(3, 0);
        assert_eq!(grow(&mut limiter, [(0, 0), (0, 2), (2, 3), (0, 1)]), [true, true, true, false]);
    }

    #[test]
    fn what_was_not_given_after_all_is_not_counted() {
        let mut limiter = limiter(4, 1);
        assert!(!limiter.memory_growing(PAGE, 3 * PAGE, Some(2 * PAGE)).unwrap());
        assert_eq!((limiter.peak_bytes(), limiter.refusal()), (PAGE as u64, None));
        assert_eq!(grow(&mut limiter, [(0, 1), (1, 3)]), [true; 2]);
        limiter.memory_grow_failed(std::io::Error::from(std::io::ErrorKind::OutOfMemory).into()).unwrap();
        // An error that comes without a step that was granted takes nothing back.
        limiter.memory_grow_failed(wasmtime::format_err!("beyond the type's limits")).unwrap();
        limiter.memory_grow_failed(std::io::Error::from(std::io::ErrorKind::OutOfMemory).into()).unwrap();
        assert_eq!((limiter.peak_bytes(), limiter.charge.bytes()), (PAGE as u64, PAGE as u64));
    }

    #[test]
    fn scratch_memory_counts_while_it_is_held() {
        let mut limiter = limiter(10, 4);
        let pages = |count: usize| (count * PAGE) as u64;
        assert!(limiter.reserve(pages(5)));
        assert!(!limiter.reserve(pages(2)), "beyond the task's limit");
        assert_eq!((limiter.refusal(), limiter.charge.bytes()), (None, pages(9)));
        limiter.release(pages(5));
        assert_eq!((limiter.peak_bytes(), limiter.charge.bytes()), (pages(9), pages(4)));
        limiter.release(pages(5));
        assert_eq!(limiter.charge.bytes(), pages(4), "nothing is given back twice");
        assert_eq!(grow(&mut limiter, [(0, 2), (4, 10)]), [true, true]);
        assert_eq!(limiter.peak_bytes(), pages(10));
    }
}
