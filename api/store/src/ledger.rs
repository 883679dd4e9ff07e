//! Usage, added up and compared with the tasks that it is of.

use crate::clock::unix_ms;
use crate::folder::DataFolder;
use crate::spent::DAY_MS;
use crate::sql::{Conn, Executor, Query, Row, query};
use crate::{Database, Store, StoreError, StoreOptions};
use mecapy_model::{ErrorKind, Lane, TenantId};
use std::collections::BTreeMap;
use std::time::Duration;
use time::{Date, OffsetDateTime};

/// How usage is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    /// The day on which it ended, UTC.
    Day,
    /// Previews count as `high_priority`, which they run in.
    Lane,
    /// The kind of its error, or `completed`.
    Kind,
}

/// What tasks and previews used together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UsageTotals {
    pub tasks: u64,
    pub previews: u64,
    /// Of both; what was cancelled did not fail.
    pub failed: u64,
    pub fuel: u64,
    pub cpu_ms: f64,
    /// The most that one of them used.
    pub memory_peak_bytes: u64,
    pub execute_ms: f64,
    pub queued_ms: f64,
}

/// What comparing the ledger with the tasks found. Usage outlives tasks that are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconciliation {
    /// Tasks that have ended.
    pub ended: u64,
    /// Rows of the ledger; a task can't have two.
    pub rows: u64,
    /// Of those, of tasks that were deleted.
    pub of_deleted: u64,
    /// Tasks that have ended and have no row.
    pub missing: u64,
    /// Rows of tasks that have not ended.
    pub early: u64,
    /// Rows that name another tenant or lane than their task.
    pub foreign: u64,
}

const TOTALS: &str = "SELECT at_ms / 86400000, lane, error_kind, sum(task), count(*), CAST(sum(fuel) AS BIGINT), \
                      sum(cpu_ms), max(memory_peak_bytes), sum(execute_ms), sum(queued_ms) FROM (\
                      SELECT at_ms, coalesce(lane, 'unknown') AS lane, error_kind, 1 AS task, fuel, cpu_ms, \
                       memory_peak_bytes, execute_ms, queued_ms FROM task_usage \
                       WHERE tenant = ?1 AND at_ms >= ?2 AND at_ms < ?3 \
                      UNION ALL SELECT at_ms, ?4, error_kind, 0, fuel, cpu_ms, memory_peak_bytes, execute_ms, queued_ms \
                       FROM preview_usage WHERE tenant = ?1 AND at_ms >= ?2 AND at_ms < ?3) AS used \
                      GROUP BY at_ms / 86400000, lane, error_kind";

/// It reads every task and every row of the ledger.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(3_600);
/// One statement, so that all its numbers are of one moment.
const RECONCILE: &str = "SELECT \
    (SELECT count(*) FROM tasks WHERE state NOT IN ('queued', 'running')), \
    (SELECT count(*) FROM task_usage), \
    (SELECT count(*) FROM task_usage u WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.no = u.no)), \
    (SELECT count(*) FROM tasks t WHERE state NOT IN ('queued', 'running') \
     AND NOT EXISTS (SELECT 1 FROM task_usage u WHERE u.no = t.no)), \
    (SELECT count(*) FROM task_usage u JOIN tasks t ON t.no = u.no WHERE t.state IN ('queued', 'running')), \
    (SELECT count(*) FROM task_usage u JOIN tasks t ON t.no = u.no WHERE t.tenant <> u.tenant OR t.lane <> u.lane)";

impl Store {
    /// What a tenant used from a time on and before another one, by day, lane or kind; buckets without usage are left
    /// out.
    pub async fn usage(
        &self,
        tenant: TenantId,
        from: OffsetDateTime,
        to: OffsetDateTime,
        by: UsageBy,
    ) -> Result<BTreeMap<String, UsageTotals>, StoreError> {
        let query = query(TOTALS).bind(tenant).bind(unix_ms(from)).bind(unix_ms(to)).bind(Lane::HighPriority.as_str());
        let mut totals: BTreeMap<String, UsageTotals> = BTreeMap::new();
        for row in query.fetch_all(&mut self.reader(tenant).await?).await? {
            let bucket = match by {
                UsageBy::Day => date(row.try_get(0)?).to_string(),
                UsageBy::Lane => row.try_get(1)?,
                UsageBy::Kind => row.try_get::<Option<String>>(2)?.unwrap_or_else(|| "completed".to_owned()),
            };
            let sum = totals.entry(bucket).or_default();
            *sum = sum.with(&UsageTotals::of(&row)?);
        }
        Ok(totals)
    }

    /// Compares the ledger of all tenants with the tasks: proves that each task that has ended has one row, and each
    /// row a task that has ended or is gone.
    pub async fn reconcile_usage(&self) -> Result<Reconciliation, StoreError> {
        reconcile(query(RECONCILE), self.readers().into()).await
    }
}

/// The same for a store that is not open here: it changes nothing, and a server may go on using it. `None` where there
/// is no database yet.
pub async fn reconcile_usage(options: &StoreOptions) -> Result<Option<Reconciliation>, StoreError> {
    let mut conn = match &options.database {
        Database::Embedded => match DataFolder::database_in(&options.data_dir) {
            Some(file) => Conn::open_sqlite_to_read(&file).await?,
            None => return Ok(None),
        },
        Database::Postgres(url) => {
            let mut conn = Conn::open_postgres_to_maintain(url).await?;
            conn.must_be_current().await?;
            conn
        }
    };
    let found = reconcile(query(RECONCILE).within(RECONCILE_TIMEOUT), (&mut conn).into()).await?;
    conn.close().await?;
    Ok(Some(found))
}

async fn reconcile(query: Query, on: Executor<'_>) -> Result<Reconciliation, StoreError> {
    let row = query.fetch_one(on).await?;
    Ok(Reconciliation {
        ended: row.count(0)?,
        rows: row.count(1)?,
        of_deleted: row.count(2)?,
        missing: row.count(3)?,
        early: row.count(4)?,
        foreign: row.count(5)?,
    })
}

impl Reconciliation {
    /// Whether the ledger says of every task what it should.
    pub fn holds(&self) -> bool {
        (self.missing, self.early, self.foreign) == (0, 0, 0) && self.rows == self.ended + self.of_deleted
    }
}

impl UsageBy {
    pub const fn as_str(self) -> &'static str {
        match self {
            UsageBy::Day => "day",
            UsageBy::Lane => "lane",
            UsageBy::Kind => "kind",
        }
    }
}

impl std::str::FromStr for UsageBy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = [UsageBy::Day, UsageBy::Lane, UsageBy::Kind].into_iter().find(|by| by.as_str() == text);
        found.ok_or_else(|| format!("usage can't be added up by {text:?}: use day, lane or kind"))
    }
}

impl UsageTotals {
    /// Both together.
    #[must_use]
    pub fn with(self, other: &UsageTotals) -> Self {
        Self {
            tasks: self.tasks + other.tasks,
            previews: self.previews + other.previews,
            failed: self.failed + other.failed,
            fuel: self.fuel.saturating_add(other.fuel),
            cpu_ms: self.cpu_ms + other.cpu_ms,
            memory_peak_bytes: self.memory_peak_bytes.max(other.memory_peak_bytes),
            execute_ms: self.execute_ms + other.execute_ms,
            queued_ms: self.queued_ms + other.queued_ms,
        }
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        let (kind, tasks, all): (Option<&str>, u64, u64) = (row.try_get(2)?, row.count(3)?, row.count(4)?);
        Ok(Self {
            tasks,
            previews: all.saturating_sub(tasks),
            failed: if kind.is_some_and(|kind| kind != ErrorKind::Cancelled.as_str()) { all } else { 0 },
            fuel: row.count(5)?,
            cpu_ms: row.try_get(6)?,
            memory_peak_bytes: row.count(7)?,
            execute_ms: row.try_get(8)?,
            queued_ms: row.try_get(9)?,
        })
    }
}

/// The date of so many days after 1 January 1970.
fn date(days: i64) -> Date {
    let at = OffsetDateTime::from_unix_timestamp(days.saturating_mul(DAY_MS / 1_000));
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH).date()
}
