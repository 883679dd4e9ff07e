//! Deleting a workflow with its versions. Runs keep their logs, which need the definition only while they go on.

use crate::runs::RunState;
use crate::sql::query;
use crate::{Store, StoreError};
use mecapy_model::{TenantId, WorkflowId};

/// What became of a request to delete a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkflowDeleted {
    Yes,
    /// A run of it has not ended.
    HasRuns,
    Missing,
}

impl Store {
    /// Deletes a workflow, unless a run of it goes on.
    pub async fn delete_workflow(&self, tenant: TenantId, id: WorkflowId) -> Result<WorkflowDeleted, StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "SELECT 1 FROM workflow_runs WHERE tenant = ? AND workflow = ? AND state = ? LIMIT 1";
            let running = query(sql).bind(tenant).bind(id).bind(RunState::Running.as_str());
            if running.fetch_optional(&mut writer.conn).await?.is_some() {
                return Ok(WorkflowDeleted::HasRuns);
            }
            let deleted = writer.run(query("DELETE FROM workflows WHERE tenant = ? AND id = ?").bind(tenant).bind(id));
            Ok(if deleted.await? > 0 { WorkflowDeleted::Yes } else { WorkflowDeleted::Missing })
        })
        .await
    }
}
