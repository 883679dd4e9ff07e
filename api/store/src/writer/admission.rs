//! Who may queue more: read once for all submissions of a transaction.

use super::batch::Call;
use super::state::Writer;
use super::submit::{NewRow, SubmitAnswer};
use crate::StoreError;
use crate::sql::{Dialect, query, with_list};
use mecapy_model::TenantId;
use std::collections::{BTreeMap, HashMap};

/// From here on a limit is not counted up to for every transaction: half of it is more than all processes together
/// accept until the counts in memory are read again.
const LIMIT_LARGE: u32 = 50_000;

/// The enabled tenants of a transaction's submissions, and how many tasks of each are queued.
#[derive(Debug, Default)]
pub(super) struct Admission {
    queued: HashMap<TenantId, u64>,
}

impl Admission {
    /// `None` for a tenant that is disabled or doesn't exist.
    pub(super) fn queued_of(&self, tenant: TenantId) -> Option<u64> {
        self.queued.get(&tenant).copied()
    }

    /// Counts one more.
    pub(super) fn admit(&mut self, tenant: TenantId) {
        if let Some(queued) = self.queued.get_mut(&tenant) {
            *queued += 1;
        }
    }
}

impl Writer {
    /// Embedded, memory knows. In PostgreSQL the tenants' rows are locked until the commit, so that no two processes
    /// count the same room, and the queued rows are counted as far as a limit asks.
    pub(super) async fn admission(
        &mut self,
        calls: &[Call<Box<NewRow>, SubmitAnswer>],
    ) -> Result<Admission, StoreError> {
        let mut limits: BTreeMap<TenantId, u32> = BTreeMap::new();
        for call in calls {
            let limit = limits.entry(call.input.tenant()).or_default();
            *limit = call.input.queued_max().max(*limit);
        }
        if self.dialect == Dialect::Sqlite {
            let counts = self.shared.counts();
            let enabled = limits.into_keys().filter(|tenant| self.is_enabled(*tenant));
            return Ok(Admission { queued: enabled.map(|tenant| (tenant, counts.queued_of(tenant))).collect() });
        }
        let mut locked = query(with_list(
            "SELECT id, disabled FROM tenants WHERE id IN (",
            limits.len(),
            ") ORDER BY id FOR NO KEY UPDATE",
        ));
        for tenant in limits.keys() {
            locked = locked.bind(*tenant);
        }
        let mut admission = Admission::default();
        for row in locked.fetch_all(&mut self.conn).await? {
            let (tenant, disabled) = (TenantId(row.id(0)?), row.flag(1)?);
            if disabled {
                continue;
            }
            let limit = limits.get(&tenant).copied().unwrap_or(0);
            let known = self.shared.counts().queued_of(tenant);
            let queued = if limit >= LIMIT_LARGE && known < u64::from(limit / 2) {
                known
            } else {
                let sql = "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE tenant = ? AND state = 'queued' LIMIT ?) AS queued";
                query(sql).bind(tenant).bind(limit).fetch_one(&mut self.conn).await?.count(0)?
            };
            admission.queued.insert(tenant, queued);
        }
        Ok(admission)
    }
}
