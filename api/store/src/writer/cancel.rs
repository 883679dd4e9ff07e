//! Cancelling: a queued task ends at once, a running one is asked to stop.

use super::give_back::select_live;
use super::state::Writer;
use crate::shared::Change;
use crate::{Cancelled, StoreError};
use mecapy_model::{TaskId, TaskState, TenantId};

impl Writer {
    pub(super) async fn cancel(&mut self, tenant: TenantId, task: TaskId) -> Result<Cancelled, StoreError> {
        let query = select_live!("WHERE tenant = ? AND id = ?")
            .bind(tenant.0.as_bytes().as_slice())
            .bind(task.0.as_bytes().as_slice());
        let Some(row) = query.fetch_optional(&mut self.conn).await? else { return Ok(Cancelled::Missing) };
        let live = self.read_live(&row)?;
        match live.state {
            TaskState::Queued => {
                self.end_cancelled(&live).await?;
                Ok(Cancelled::Now)
            }
            TaskState::Running => {
                let sql = "UPDATE tasks SET cancel_requested = 1 WHERE no = ? AND state = 'running'";
                self.run(sqlx::query(sql).bind(live.no)).await?;
                self.changed(task, Change::Moved);
                Ok(Cancelled::Requested)
            }
            ended => Ok(Cancelled::AlreadyEnded(ended)),
        }
    }
}
