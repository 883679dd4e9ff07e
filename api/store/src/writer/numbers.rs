//! Numbers for new tasks.

use std::collections::VecDeque;

/// Where the numbers of new tasks come from.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    next: i64,
    pub(super) taken: VecDeque<i64>,
}

impl Numbers {
    pub(super) fn at_least(&mut self, next: i64) {
        self.next = self.next.max(next);
    }

    /// The next one: of those that were taken, or of the count.
    pub(super) fn draw(&mut self) -> i64 {
        self.taken.pop_front().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}
