//! Taking up a claim again that an earlier process made.

use super::state::Writer;
use crate::reading::{ReadTask, read_task, task_columns, task_from};
use crate::sql::query;
use crate::{Adopted, Beat, ClaimRef, Claimed, KeptClaim, StoreError};

/// A running task under the claim's fence and token.
const KEPT: &str = concat!(
    "SELECT ",
    task_columns!("s.inputs"),
    task_from!(),
    " WHERE t.tenant = ? AND t.id = ? AND t.fence = ? AND t.lease_token = ? AND t.state = 'running'"
);

impl Writer {
    pub(crate) async fn adopt(&mut self, kept: &KeptClaim) -> Result<Option<Adopted>, StoreError> {
        let fence = i64::try_from(kept.fence).unwrap_or(i64::MAX);
        let query = query(KEPT).bind(kept.tenant).bind(kept.task).bind(fence).bind(kept.lease.0.as_slice());
        let Some(row) = query.fetch_optional(&mut self.conn).await? else { return Ok(None) };
        let ReadTask { no, lost_attempts, log_bytes, task, .. } = read_task(&row)?;
        let KeptClaim { tenant, task: id, fence, lease } = *kept;
        let claim = ClaimRef { task: id, tenant, fence, lease, no };
        let beats = self.heartbeat(std::slice::from_ref(&claim)).await?;
        let beat = beats.first().map_or(Beat::Stale, |(_, beat)| *beat);
        let adopted = Adopted { claimed: Claimed { task, claim, lost_attempts, log_bytes }, beat };
        Ok((beat != Beat::Stale).then_some(adopted))
    }
}
