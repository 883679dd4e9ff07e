//! Cancelling: a queued task ends at once, a running one is asked to stop.

use super::give_back::select_live;
use super::state::Writer;
use crate::audit::{AuditAction, AuditRecord};
use crate::bus::Hint;
use crate::shared::Change;
use crate::sql::query;
use crate::{Actor, Cancelled, StoreError};
use mecapy_model::{TaskId, TaskState, TenantId};
use std::sync::Arc;

/// A request to cancel a task, and by whom.
pub(crate) struct CancelRequest {
    pub(crate) tenant: TenantId,
    pub(crate) task: TaskId,
    pub(crate) actor: Option<Arc<Actor>>,
}

impl Writer {
    pub(super) async fn cancel(&mut self, request: &CancelRequest) -> Result<Cancelled, StoreError> {
        let CancelRequest { tenant, task, ref actor } = *request;
        let selected = select_live("WHERE tenant = ? AND id = ?", self.dialect.lock_rows()).bind(tenant).bind(task);
        let Some(row) = selected.fetch_optional(&mut self.conn).await? else { return Ok(Cancelled::Missing) };
        let live = self.read_live(&row)?;
        match live.state {
            TaskState::Queued => {
                self.audit(actor.as_deref(), cancelled(tenant, task)).await?;
                self.end_cancelled(&live).await?;
                Ok(Cancelled::Now)
            }
            TaskState::Running => {
                if !live.cancel_requested {
                    self.audit(actor.as_deref(), cancelled(tenant, task)).await?;
                }
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

fn cancelled(tenant: TenantId, task: TaskId) -> AuditRecord {
    AuditRecord { tenant, action: AuditAction::TaskCancelled, target: task.to_string(), detail: None }
}
