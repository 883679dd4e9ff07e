//! Counts against a limit.

use super::Refused;

/// Something that a module may hold only so much of.
pub(super) struct Counter {
    what: &'static str,
    max: usize,
    found: u64,
}

impl Counter {
    pub(super) const fn new(what: &'static str, max: usize) -> Self {
        Self { what, max, found: 0 }
    }

    pub(super) fn add(&mut self, more: u64) -> Result<(), Refused> {
        self.found = self.found.saturating_add(more);
        at_most(self.what, self.found, self.max)
    }

    pub(super) fn found(&self) -> u64 {
        self.found
    }
}

/// Refuses more than `max`.
pub(super) fn at_most(what: &'static str, found: u64, max: usize) -> Result<(), Refused> {
    if found > max as u64 { Err(Refused::OverLimit { what, found, max }) } else { Ok(()) }
}
