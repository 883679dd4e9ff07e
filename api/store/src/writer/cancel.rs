//! Cancelling: a queued task ends at once, a running one is asked to stop.

use super::give_back::select_live;
use super::state::Writer;
use crate::audit::{AuditAction, AuditRecord};
use crate::bus::Hint;
use crate::shared::Change;
use crate::sql::{pieces, query, with_list};
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

impl Writer {
    /// Cancels tasks of a tenant on the platform's own account: the queued ones end at once, all together, and the running
    /// ones are asked to stop. The others are passed over.
    pub(super) async fn cancel_tasks(&mut self, tenant: TenantId, tasks: &[TaskId]) -> Result<(), StoreError> {
        for piece in pieces(tasks) {
            // Each by its tenant and id, whatever is known of how many there are; the state as an expression, for the same.
            let marks = vec!["(?,?)"; piece.len()].join(",");
            let condition = format!(
                "WHERE no IN (SELECT t.no FROM (VALUES {marks}) AS v, tasks t \
                 WHERE t.tenant = v.column1 AND t.id = v.column2) \
                 AND state || '' IN ('queued', 'running') ORDER BY no"
            );
            let selected = select_live(&condition, self.dialect.lock_rows());
            let selected = piece.iter().fold(selected, |query, task| query.bind(tenant).bind(*task));
            let rows = selected.fetch_all(&mut self.conn).await?;
            let live = rows.iter().map(|row| self.read_live(row)).collect::<Result<Vec<_>, _>>()?;
            let (queued, running): (Vec<_>, Vec<_>) =
                live.iter().filter(|task| !task.cancel_requested).partition(|task| task.state == TaskState::Queued);
            let message = "cancelled by its workflow run";
            let ends: Vec<_> = queued.into_iter().map(|task| (task, self.cancelled_record(task, message))).collect();
            self.end_live(&ends).await?;
            for piece in pieces(&running) {
                let sql = "UPDATE tasks SET cancel_requested = 1 WHERE state || '' = 'running' AND no IN (";
                let asked =
                    piece.iter().fold(query(with_list(sql, piece.len(), ")")), |query, task| query.bind(task.no));
                self.run(asked).await?;
            }
            for task in running {
                self.changed(task.id, Change::Moved);
                self.hint(Hint::Cancel { task: task.id });
                let (shared, id) = (self.shared.clone(), task.id);
                self.after_commit(move || shared.cancel_asked(id));
            }
        }
        Ok(())
    }
}

fn cancelled(tenant: TenantId, task: TaskId) -> AuditRecord {
    AuditRecord { tenant, action: AuditAction::TaskCancelled, target: task.to_string(), detail: None }
}
