//! Who may queue more: read once for all submissions of a transaction.

use super::state::Writer;
use crate::sql::{Dialect, query, with_list};
use crate::tenants::Standing;
use crate::{Access, StoreError};
use mecapy_model::TenantId;
use std::collections::{BTreeMap, HashMap};

/// From here on a limit is not counted up to for every transaction: half of it is more than all processes together
/// accept until the counts in memory are read again.
const LIMIT_LARGE: u32 = 50_000;

/// The enabled tenants of a transaction's submissions.
#[derive(Debug, Default)]
pub(super) struct Admission(HashMap<TenantId, Line>);

/// How many tasks of a tenant are queued, and its own limit, where it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) queued: u64,
    pub(super) queued_max: Option<u32>,
}

impl Admission {
    /// `None` for a tenant that is disabled or doesn't exist.
    pub(super) fn line_of(&self, tenant: TenantId) -> Option<Line> {
        self.0.get(&tenant).copied()
    }

    /// Counts so many more.
    pub(super) fn admit(&mut self, tenant: TenantId, tasks: u64) {
        if let Some(line) = self.0.get_mut(&tenant) {
            line.queued += tasks;
        }
    }
}

impl Writer {
    /// Of each tenant that submits, with the limit where it has none of its own. Embedded, memory knows. In PostgreSQL the
    /// tenants' rows are locked until the commit, so that no two processes count the same room, and the queued rows are
    /// counted as far as a limit asks.
    pub(super) async fn admission(
        &mut self,
        asked: impl Iterator<Item = (TenantId, u32)>,
    ) -> Result<Admission, StoreError> {
        let mut limits: BTreeMap<TenantId, u32> = BTreeMap::new();
        for (tenant, queued_max) in asked {
            let limit = limits.entry(tenant).or_default();
            *limit = queued_max.max(*limit);
        }
        if limits.is_empty() {
            return Ok(Admission::default());
        }
        if self.dialect == Dialect::Sqlite {
            let counts = self.shared.counts();
            let line = |tenant| {
                let queued_max = self.quota(tenant).queued_max;
                (tenant, Line { queued: counts.queued_of(tenant), queued_max })
            };
            let enabled = limits.into_keys().filter(|tenant| self.is_enabled(*tenant));
            return Ok(Admission(enabled.map(line).collect()));
        }
        let mut locked = query(with_list(
            "SELECT id, disabled, quota, name FROM tenants WHERE id IN (",
            limits.len(),
            ") ORDER BY id FOR NO KEY UPDATE",
        ));
        for tenant in limits.keys() {
            locked = locked.bind(*tenant);
        }
        let mut admission = Admission::default();
        for row in locked.fetch_all(&mut self.conn).await? {
            let (tenant, standing) = (TenantId(row.id(0)?), Standing::read(&row)?);
            self.learn(tenant, standing);
            if standing.access == Access::Disabled {
                continue;
            }
            let queued_max = self.quota(tenant).queued_max;
            // Where a tenant has a limit of its own, or the server one for all, that is what it is held to.
            let limit = queued_max.unwrap_or_else(|| limits.get(&tenant).copied().unwrap_or(0));
            let known = self.shared.counts().queued_of(tenant);
            let queued = if limit >= LIMIT_LARGE && known < u64::from(limit / 2) {
                known
            } else {
                let sql = "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE tenant = ? AND state = 'queued' LIMIT ?) AS queued";
                query(sql).bind(tenant).bind(limit).fetch_one(&mut self.conn).await?.count(0)?
            };
            admission.0.insert(tenant, Line { queued, queued_max });
        }
        Ok(admission)
    }
}
