//! Cancelling: a queued task ends at once, a running one is asked to stop.

use super::give_back::select_live;
use super::state::Writer;
use crate::bus::Hint;
use crate::shared::Change;
use crate::sql::query;
use crate::{Cancelled, StoreError};
use mecapy_model::{TaskId, TaskState, TenantId};

impl Writer {
    pub(super) async fn cancel(&mut self, tenant: TenantId, task: TaskId) -> Result<Cancelled, StoreError> {
        let selected = select_live("WHERE tenant = ? AND id = ?", self.dialect.lock_rows()).bind(tenant).bind(task);
        let Some(row) = selected.fetch_optional(&mut self.conn).await? else { return Ok(Cancelled::Missing) };
        let live = self.read_live(&row)?;
        match live.state {
            TaskState::Queued => {
                self.end_cancelled(&live).await?;
                Ok(Cancelled::Now)
            }
            TaskState::Running => {
                let sql = "UPDATE tasks SET cancel_requested = 1 WHERE no = ? AND state = 'running'";
                self.run(query(sql).bind(live.no)).await?;
                self.changed(task, Change::Moved);
                self.hint(Hint::Cancel { task });
                Ok(Cancelled::Requested)
            }
            ended => Ok(Cancelled::AlreadyEnded(ended)),
        }
    }
}
