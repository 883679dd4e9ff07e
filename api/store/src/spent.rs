//! The fuel that a tenant has used since midnight, as far as a limit asks for it.
//!
//! The ledger is added up at most every two seconds, and the usage of previews is written up to a second after their
//! end: what runs meanwhile may pass the limit by as much.

use crate::quota::{OverQuota, QuotaKind};
use crate::sql::query;
use crate::{Store, StoreError};
use mecapy_model::TenantId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// How long a sum is taken for true.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// What is older is complete: it is not added up again. A row is of when its task ended, and is tried to be written for
/// some minutes where the database or the object store fails.
const SETTLED_AFTER_MS: i64 = 10 * 60_000;

const SPENT: &str = "SELECT CAST(coalesce(sum(CASE WHEN at_ms < ?3 THEN fuel ELSE 0 END), 0) AS BIGINT), \
                     CAST(coalesce(sum(fuel), 0) AS BIGINT) FROM (\
                     SELECT at_ms, fuel FROM task_usage WHERE tenant = ?1 AND at_ms >= ?2 \
                     UNION ALL SELECT at_ms, fuel FROM preview_usage WHERE tenant = ?1 AND at_ms >= ?2) AS used";

/// What was added up, by tenant.
#[derive(Debug, Default)]
pub(crate) struct Spent(Mutex<HashMap<TenantId, Day>>);

#[derive(Debug, Clone, Copy)]
struct Day {
    midnight_ms: i64,
    /// The fuel before `settled_until_ms`.
    settled: u64,
    settled_until_ms: i64,
    used: u64,
    /// On the monotonic clock.
    read_at: Duration,
}

impl Spent {
    fn days(&self) -> MutexGuard<'_, HashMap<TenantId, Day>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the day, and whether that is to be read again. Of those who ask meanwhile one reads.
    fn look(&self, tenant: TenantId, midnight_ms: i64, now: Duration) -> (Option<Day>, bool) {
        let mut days = self.days();
        let Some(day) = days.get_mut(&tenant).filter(|day| day.midnight_ms == midnight_ms) else { return (None, true) };
        let old = now.saturating_sub(day.read_at) >= KEPT_FOR;
        if old {
            day.read_at = now;
        }
        (Some(*day), old)
    }
}

impl Store {
    /// The fuel that a tenant's tasks and previews have used since midnight, UTC; up to some seconds old.
    pub async fn fuel_today(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let now_ms = self.now_ms();
        let midnight_ms = now_ms - now_ms.rem_euclid(DAY_MS);
        let read_at = self.clock().monotonic();
        let (known, is_old) = self.spent().look(tenant, midnight_ms, read_at);
        if let Some(day) = known.filter(|_| !is_old) {
            return Ok(day.used);
        }
        let (settled, from_ms) = known.map_or((0, midnight_ms), |day| (day.settled, day.settled_until_ms));
        let settled_until_ms = from_ms.max(now_ms - SETTLED_AFTER_MS);
        let query = query(SPENT).bind(tenant).bind(from_ms).bind(settled_until_ms);
        let row = query.fetch_one(&mut self.reader(tenant).await?).await?;
        let used = settled.saturating_add(row.count(1)?);
        let settled = settled.saturating_add(row.count(0)?);
        self.spent().days().insert(tenant, Day { midnight_ms, settled, settled_until_ms, used, read_at });
        Ok(used)
    }

    /// The day's fuel, where the tenant has used as much as it may. In memory where it has no limit.
    pub async fn over_fuel(&self, tenant: TenantId) -> Result<Option<OverQuota>, StoreError> {
        let Some(limit) = self.quota(tenant).fuel_per_day_max else { return Ok(None) };
        let used = self.fuel_today(tenant).await?;
        let to_midnight_ms = DAY_MS - self.now_ms().rem_euclid(DAY_MS);
        let retry_after = Duration::from_millis(u64::try_from(to_midnight_ms).unwrap_or(0));
        Ok((used >= limit).then_some(OverQuota { kind: QuotaKind::FuelPerDay, used, limit, retry_after }))
    }
}
