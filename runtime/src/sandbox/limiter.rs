//! What a store may grow to: memory against the task's limit and the process's budget, tables by count.

use crate::budget::Charge;
use wasmtime::ResourceLimiter;

/// Elements of one table; the interpreter has 47 157.
const TABLE_ELEMENTS_MAX: usize = 200_000;
const TABLES_MAX: usize = 10;
/// The guest's memory, and the heap that holds its exceptions.
const MEMORIES_MAX: usize = 2;

pub(crate) struct Limiter {
    memory_bytes_max: u64,
    charge: Charge,
    peak_bytes: u64,
    refusal: Option<Refusal>,
}

/// Why memory was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The task's own limit.
    TaskLimit,
    /// All sandboxes together use what the process may.
    ProcessBudget,
}

impl Limiter {
    /// `charge` already covers the memory that the sandbox starts with.
    pub(crate) fn new(memory_bytes_max: u64, charge: Charge, start_bytes: u64) -> Self {
        Self { memory_bytes_max, charge, peak_bytes: start_bytes, refusal: None }
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let desired = desired as u64;
        if desired > self.memory_bytes_max {
            self.refusal = Some(Refusal::TaskLimit);
        } else if !self.charge.raise_to(desired) {
            self.refusal = Some(Refusal::ProcessBudget);
        } else {
            self.peak_bytes = self.peak_bytes.max(desired);
            return Ok(true);
        }
        Ok(false)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
