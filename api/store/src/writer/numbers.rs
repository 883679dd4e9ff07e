//! Numbers for new tasks.

use super::state::Writer;
use crate::StoreError;
use crate::sql::{Dialect, query};
use std::collections::VecDeque;

/// Where the numbers of new tasks come from.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    next: i64,
    taken: VecDeque<i64>,
}

impl Numbers {
    pub(super) fn at_least(&mut self, next: i64) {
        self.next = self.next.max(next);
    }

    /// In the place of those that an earlier transaction left over.
    pub(super) fn replace(&mut self, taken: Vec<i64>) {
        self.taken = taken.into();
    }

    /// The next one: of those that were taken, or of the count.
    pub(super) fn draw(&mut self) -> i64 {
        self.taken.pop_front().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

impl Writer {
    /// Takes from PostgreSQL's sequence what of so many numbers the transaction did not begin with.
    pub(super) async fn have_numbers(&mut self, wanted: usize) -> Result<(), StoreError> {
        let missing = wanted.saturating_sub(self.numbers.taken.len());
        if self.dialect == Dialect::Sqlite || missing == 0 {
            return Ok(());
        }
        let sql = "SELECT nextval('task_numbers') FROM generate_series(1, ?)";
        let missing = i64::try_from(missing).unwrap_or(i64::MAX);
        for row in query(sql).bind(missing).fetch_all(&mut self.conn).await? {
            self.numbers.taken.push_back(row.try_get(0)?);
        }
        Ok(())
    }
}
