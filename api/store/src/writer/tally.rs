//! The rows of batches that a transaction touches. Each is changed once, at the transaction's end and in the order of
//! the ids, so that two processes never wait for each other's.

use super::give_back::select_live;
use super::state::Writer;
use crate::StoreError;
use crate::batches::ItemCounts;
use crate::bus::Hint;
use crate::shared::Change;
use crate::sql::{Row, query};
use mecapy_model::{BatchId, BatchState, Lane, TaskState, TenantId};

/// Told of items that a batch leaves undone because another one failed.
const STOPPED: &str = "not begun: another item failed, and the batch was to stop there";

/// What a transaction did to a batch. That it did anything is told to those who follow it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) completed: i64,
    pub(super) failed: i64,
    pub(super) cancelled: i64,
    /// Chunks that ended.
    pub(super) chunks_ended: i64,
    /// A chunk was claimed.
    pub(super) started: bool,
    pub(super) cancel_asked: bool,
    /// An item failed: where the batch is to stop then, it does.
    pub(super) item_failed: bool,
    /// What has not begun is left undone.
    pub(super) stopped: bool,
}

/// A batch whose last chunk has ended.
pub(super) struct EndedBatch {
    pub(super) id: BatchId,
    pub(super) tenant: TenantId,
    pub(super) state: BatchState,
    pub(super) name: Option<String>,
    pub(super) lane: Lane,
    pub(super) items: ItemCounts,
}

impl Tally {
    /// Counts so many items more (or less) in a state.
    pub(super) fn count(&mut self, state: TaskState, items: i64) {
        match state {
            TaskState::Completed => self.completed += items,
            TaskState::Failed => self.failed += items,
            _ => self.cancelled += items,
        }
    }
}

impl Writer {
    /// What this transaction does to a batch; a batch that doesn't exist is none.
    pub(super) fn tally(&mut self, batch: BatchId) -> &mut Tally {
        self.tallies.entry(batch).or_default()
    }

    /// Stops the batches that are to stop, and writes down what happened to each.
    pub(super) async fn settle_batches(&mut self) -> Result<(), StoreError> {
        let failing = self.tallies.iter().filter(|(_, tally)| tally.item_failed && !tally.stopped);
        let failing: Vec<BatchId> = failing.map(|(batch, _)| *batch).collect();
        for batch in failing {
            let sql = "SELECT no FROM batches WHERE id = ? AND on_error = 'stop' AND stopped = 0 \
                       AND state IN ('queued', 'running')";
            if let Some(row) = query(sql).bind(batch).fetch_optional(&mut self.conn).await? {
                self.stop_chunks(batch, row.try_get(0)?).await?;
            }
        }
        for (batch, tally) in std::mem::take(&mut self.tallies) {
            self.settle(batch, &tally).await?;
        }
        Ok(())
    }

    /// As an item's failure does where the batch is to stop then.
    pub(crate) async fn stop_chunks(&mut self, batch: BatchId, no: i64) -> Result<(), StoreError> {
        self.tally(batch).stopped = true;
        self.end_open_chunks(no, STOPPED).await
    }

    /// As somebody asks who cancels the batch.
    pub(crate) async fn cancel_chunks(&mut self, batch: BatchId, no: i64, message: &str) -> Result<(), StoreError> {
        self.tally(batch).cancel_asked = true;
        self.end_open_chunks(no, message).await
    }

    /// Ends the chunks of a batch that are queued, and asks those that run to stop.
    async fn end_open_chunks(&mut self, no: i64, message: &str) -> Result<(), StoreError> {
        let condition = "WHERE no IN (SELECT no FROM batch_chunks WHERE batch_no = ?) \
                         AND state IN ('queued', 'running') ORDER BY no";
        let rows = select_live(condition, self.dialect.lock_rows()).bind(no).fetch_all(&mut self.conn).await?;
        let tasks = rows.iter().map(|row| self.read_live(row)).collect::<Result<Vec<_>, _>>()?;
        let (queued, running): (Vec<_>, Vec<_>) = tasks.iter().partition(|task| task.state == TaskState::Queued);
        for task in running {
            let sql = "UPDATE tasks SET cancel_requested = 1 WHERE no = ? AND state = 'running'";
            self.run(query(sql).bind(task.no)).await?;
            self.changed(task.id, Change::Moved);
            self.hint(Hint::Cancel { task: task.id });
            let (shared, id) = (self.shared.clone(), task.id);
            self.after_commit(move || shared.cancel_asked(id));
        }
        let ends: Vec<_> = queued.into_iter().map(|task| (task, self.cancelled_record(task, message))).collect();
        self.end_live(&ends).await
    }

    async fn settle(&mut self, batch: BatchId, tally: &Tally) -> Result<(), StoreError> {
        let sql = "UPDATE batches SET seq = seq + 1, completed = completed + ?1, failed = failed + ?2, \
                   cancelled = cancelled + ?3, open_chunks = open_chunks - ?4, \
                   state = CASE WHEN state = 'queued' AND ?5 = 1 THEN 'running' ELSE state END, \
                   started_ms = CASE WHEN ?5 = 1 THEN coalesce(started_ms, ?6) ELSE started_ms END, \
                   cancel_requested = CASE WHEN ?7 = 1 THEN 1 ELSE cancel_requested END, \
                   stopped = CASE WHEN ?8 = 1 THEN 1 ELSE stopped END WHERE id = ?9 \
                   RETURNING seq, state, open_chunks, stopped, tenant, name, lane, total, completed, failed, cancelled";
        let query = query(sql)
            .bind(tally.completed)
            .bind(tally.failed)
            .bind(tally.cancelled)
            .bind(tally.chunks_ended)
            .bind(tally.started)
            .bind(self.now_ms)
            .bind(tally.cancel_asked)
            .bind(tally.stopped)
            .bind(batch);
        let Some(row) = query.fetch_optional(&mut self.conn).await? else { return Ok(()) };
        self.tell_batch(batch, row.count(0)?);
        let state: BatchState = row.try_get::<&str>(1)?.parse().map_err(StoreError::corrupt)?;
        if state.is_terminal() || row.count(2)? > 0 {
            return Ok(());
        }
        let ended = EndedBatch::read(batch, &row)?;
        let sql = "UPDATE batches SET state = ?, completed_ms = ? WHERE id = ?";
        self.run(crate::sql::query(sql).bind(ended.state.as_str()).bind(self.now_ms).bind(batch)).await?;
        self.tell_batch_ended(ended);
        Ok(())
    }

    /// To be done after the commit.
    pub(crate) fn tell_batch(&mut self, batch: BatchId, seq: u64) {
        let followers = self.shared.batches().clone();
        self.after_commit(move || followers.tell(batch, seq));
        self.hint(Hint::Batch { batch, seq });
    }
}

impl EndedBatch {
    /// Reads a row that [`Writer::settle`] changed.
    fn read(id: BatchId, row: &Row) -> Result<Self, StoreError> {
        let count = |at| row.count(at).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let items = ItemCounts { total: count(7)?, completed: count(8)?, failed: count(9)?, cancelled: count(10)? };
        let state = match (row.flag(3)?, items.cancelled) {
            (true, _) => BatchState::Failed,
            (false, 0) => BatchState::Completed,
            (false, _) => BatchState::Cancelled,
        };
        let lane = row.try_get::<&str>(6)?.parse().map_err(StoreError::corrupt)?;
        Ok(Self { id, tenant: TenantId(row.id(4)?), state, name: row.try_get(5)?, lane, items })
    }
}
