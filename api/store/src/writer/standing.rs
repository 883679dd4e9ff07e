//! What follows from a change of a tenant's row: where its queued tasks stand, and who claims from there.

use super::lines;
use super::state::Writer;
use crate::StoreError;
use crate::shared::Group;
use crate::sql::query;
use mecapy_model::{Executor, Lane, TenantId};

impl Writer {
    /// After a change of a tenant's row: its queued tasks go to the lines that are theirs now. In PostgreSQL no claim of
    /// another process goes by the row before the change once this one is committed.
    pub(crate) async fn standing_changed(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        lines::lock(self, &Lane::ALL).await?;
        self.read_tenants().await?;
        self.regroup(tenant).await?;
        self.tenants_changed().await?;
        self.access_changed().await?;
        self.wake_all();
        Ok(())
    }

    /// Puts a tenant's queued tasks into the lines that are theirs, as far as this process knows; answers how many.
    pub(super) async fn regroup(&mut self, tenant: TenantId) -> Result<u64, StoreError> {
        let group = |lane| self.place(lane, Executor::Sandbox, 0, tenant).group.id();
        let [fifo, fair] = [Lane::HighPriority, Lane::Default].map(group);
        let sql = "UPDATE tasks SET queue_group = CASE WHEN lane = 'high_priority' THEN ?1 ELSE ?2 END \
                   WHERE tenant = ?3 AND state = 'queued' \
                   AND queue_group IS DISTINCT FROM CASE WHEN lane = 'high_priority' THEN ?1 ELSE ?2 END";
        self.run(query(sql).bind(fifo).bind(fair).bind(tenant)).await
    }

    /// Regroups the tasks of tenants of which this process knew something else until now: it may have put some back by
    /// that.
    pub(super) async fn regroup_moved(&mut self) -> Result<(), StoreError> {
        for tenant in self.moved() {
            if self.regroup(tenant).await? > 0 {
                self.wake_all();
            }
        }
        Ok(())
    }

    /// In PostgreSQL at a process's start: one before may have ended between the two steps above.
    pub(super) async fn regroup_held(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT tenant FROM tasks WHERE state = 'queued' AND queue_group IS NULL \
                   AND tenant IN (SELECT id FROM tenants WHERE disabled = 0)";
        for row in query(sql).fetch_all(&mut self.conn).await? {
            self.regroup(TenantId(row.id(0)?)).await?;
        }
        Ok(())
    }

    /// At the start of an embedded server: the one before may have gone by other settings.
    pub(super) async fn regroup_fifo(&mut self) -> Result<(), StoreError> {
        let sql = "UPDATE tasks SET queue_group = CASE WHEN ?1 = 1 OR EXISTS (SELECT 1 FROM tenants q \
                   WHERE q.id = tasks.tenant AND q.quota IS NOT NULL) THEN tenant ELSE ?2 END \
                   WHERE state = 'queued' AND lane = 'high_priority' AND queue_group IS NOT NULL";
        let all = self.options.quota.running_max.is_some();
        self.run(query(sql).bind(all).bind(Group::Shared.id())).await.map(drop)
    }
}
