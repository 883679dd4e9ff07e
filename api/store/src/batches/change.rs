//! Cancelling a batch, stopping it, running again what failed, deleting it, following it.

use super::{BatchRow, BatchWatch, Template, chunk_items, sorted};
use crate::audit::{AuditAction, AuditRecord};
use crate::shared::Change;
use crate::sql::query;
use crate::writer::{Call, ChunksAnswer, ChunksOf, NewChunks, Op, Writer};
use crate::{Actor, Store, StoreError, SubmitError};
use mecapy_model::{BatchId, BatchState, TaskId, TenantId};
use std::collections::BTreeMap;

/// Told of items that a cancelled batch leaves undone.
const CANCELLED: &str = "the batch was cancelled before this item ended";

/// What a delete request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchDeleted {
    Yes,
    /// Only a batch that has ended can be deleted.
    NotEnded(BatchState),
    Missing,
}

impl Store {
    /// Cancels a batch: tasks that are queued end at once, and with them the items that they had; those that run are
    /// asked to stop. Answers the batch as it is then, unchanged where it had ended; `None`: no such batch.
    pub async fn cancel_batch(&self, tenant: TenantId, id: BatchId) -> Result<Option<BatchRow>, StoreError> {
        let actor = self.actor();
        self.write_rarely(async move |writer| writer.cancel_batch(tenant, id, actor.as_deref()).await).await?;
        self.batch(tenant, id).await
    }

    /// Leaves undone what of a batch has not begun: an item failed, and the batch was to stop there. Changes nothing
    /// where it has stopped or ended. [`save_items`](Self::save_items) does it by itself.
    pub async fn stop_batch(&self, batch: BatchId) -> Result<(), StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "SELECT no FROM batches WHERE id = ? AND stopped = 0 AND state IN ('queued', 'running')";
            match query(sql).bind(batch).fetch_optional(&mut writer.conn).await? {
                Some(row) => writer.stop_chunks(batch, row.try_get(0)?).await,
                None => Ok(()),
            }
        })
        .await
    }

    /// Queues the items anew that failed or were cancelled, of a batch that has ended. Each is what it was until it has
    /// ended again, and so it stays where the batch is cancelled before. Answers the batch as it is then, unchanged where
    /// it has not ended or nothing of it failed; `None`: no such batch.
    pub async fn retry_batch(
        &self,
        tenant: TenantId,
        id: BatchId,
        queued_max: u32,
    ) -> Result<Option<BatchRow>, SubmitError> {
        let Some(batch) = self.batch(tenant, id).await? else { return Ok(None) };
        if !batch.state.is_terminal() || batch.completed == batch.total {
            return Ok(Some(batch));
        }
        let sql = "SELECT i.item FROM batches b JOIN batch_items i ON i.batch_no = b.no \
                   WHERE b.tenant = ? AND b.id = ? AND i.state <> 'completed' ORDER BY i.item";
        let rows = query(sql).bind(tenant).bind(id).fetch_all(&mut self.reader(tenant).await?).await?;
        // Of each chunk that there was, one more: so it has the same inputs.
        let mut by_chunk: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for row in rows {
            let item = u32::try_from(row.count(0)?).unwrap_or(u32::MAX);
            by_chunk.entry(item - item % chunk_items(batch.total)).or_default().push(item);
        }
        let template = Template::of(&batch, queued_max);
        let chunks = by_chunk.into_iter().map(|(first, items)| template.chunk(self, first, Some(items)));
        let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
        let over_fuel = self.over_fuel(tenant).await?;
        let of = ChunksOf::Again { batch: id, seq: batch.seq };
        let new = NewChunks { tenant, queued_max, over_fuel, files: sorted(&batch.files), chunks, of };
        match self.write(|reply| Op::SubmitChunks(Call::new(Box::new(new), reply))).await? {
            ChunksAnswer::Refused(refusal) => Err(refusal.into()),
            // Where it has changed somebody else was faster.
            ChunksAnswer::Accepted | ChunksAnswer::Earlier(_) | ChunksAnswer::Changed => {
                Ok(self.batch(tenant, id).await?)
            }
        }
    }

    /// Deletes a batch that has ended, with its items, their results and its tasks. Their usage rows stay.
    pub async fn delete_batch(&self, tenant: TenantId, id: BatchId) -> Result<BatchDeleted, StoreError> {
        let actor = self.actor();
        let deleted =
            self.write_rarely(async move |writer| writer.delete_batch(tenant, id, actor.as_deref()).await).await?;
        if deleted == BatchDeleted::Yes {
            self.sweep_objects().await;
        }
        Ok(deleted)
    }

    /// Be told when the counts of a batch may have changed. Follow before reading, and nothing is missed. `None`: no such
    /// batch.
    pub async fn follow_batch(&self, tenant: TenantId, id: BatchId) -> Result<Option<BatchWatch>, StoreError> {
        let watch = self.shared().batches().watch(id);
        let sql = "SELECT 1 FROM batches WHERE tenant = ? AND id = ?";
        let found = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.reader(tenant).await?).await?;
        Ok(found.map(|_| watch))
    }
}

impl Template {
    fn of(batch: &BatchRow, queued_max: u32) -> Self {
        let BatchRow { id, tenant, lane, priority, limits, retry, seed, non_finite, kernels, total, .. } = *batch;
        Self { batch: id, tenant, lane, priority, limits, retry, seed, non_finite, kernels, total, queued_max }
    }
}

impl Writer {
    async fn cancel_batch(&mut self, tenant: TenantId, id: BatchId, actor: Option<&Actor>) -> Result<(), StoreError> {
        let sql =
            "SELECT no, cancel_requested FROM batches WHERE tenant = ? AND id = ? AND state IN ('queued', 'running')";
        let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.conn).await?;
        let Some(row) = row else { return Ok(()) };
        if !row.flag(1)? {
            let target = id.to_string();
            self.audit(actor, AuditRecord { tenant, action: AuditAction::BatchCancelled, target, detail: None })
                .await?;
        }
        self.cancel_chunks(id, row.try_get(0)?, CANCELLED).await
    }

    async fn delete_batch(
        &mut self,
        tenant: TenantId,
        id: BatchId,
        actor: Option<&Actor>,
    ) -> Result<BatchDeleted, StoreError> {
        let sql = "SELECT no, state, seq FROM batches WHERE tenant = ? AND id = ?";
        let locked = sqlx::AssertSqlSafe(format!("{sql}{}", self.dialect.lock_rows()));
        let row = query(locked).bind(tenant).bind(id).fetch_optional(&mut self.conn).await?;
        let Some(row) = row else { return Ok(BatchDeleted::Missing) };
        let (no, seq): (i64, u64) = (row.try_get(0)?, row.count(2)?);
        let state: BatchState = row.try_get::<&str>(1)?.parse().map_err(StoreError::corrupt)?;
        if !state.is_terminal() {
            return Ok(BatchDeleted::NotEnded(state));
        }
        let sql = "INSERT INTO doomed_objects (object_key) \
                   SELECT object_key FROM batch_items WHERE batch_no = ?1 AND object_key IS NOT NULL \
                   UNION SELECT object_key FROM task_logs WHERE object_key IS NOT NULL \
                    AND no IN (SELECT no FROM batch_chunks WHERE batch_no = ?1) \
                   UNION SELECT object_key FROM artifacts WHERE no IN (SELECT no FROM batch_chunks WHERE batch_no = ?1) \
                   UNION SELECT object_key FROM results WHERE object_key IS NOT NULL \
                    AND no IN (SELECT no FROM batch_chunks WHERE batch_no = ?1) \
                   ON CONFLICT (object_key) DO NOTHING";
        self.run(query(sql).bind(no)).await?;
        let sql = "DELETE FROM tasks WHERE no IN (SELECT no FROM batch_chunks WHERE batch_no = ?) RETURNING id";
        for task in query(sql).bind(no).fetch_all(&mut self.conn).await? {
            self.changed(TaskId(task.id(0)?), Change::Deleted);
        }
        self.run(query("DELETE FROM batches WHERE no = ?").bind(no)).await?;
        let target = id.to_string();
        self.audit(actor, AuditRecord { tenant, action: AuditAction::BatchDeleted, target, detail: None }).await?;
        self.tell_batch(id, seq + 1);
        Ok(BatchDeleted::Yes)
    }
}
