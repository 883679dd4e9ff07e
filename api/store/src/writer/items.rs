//! The items of batches: written as they end, and where their chunk ends without them.

use super::ending::{Ended, Record, bind_used, bounded, warnings_json};
use super::state::Writer;
use crate::batches::CHUNK_ITEMS_MAX;
use crate::queue::is_cancel;
use crate::reading::read_kernels;
use crate::sql::{Rows, pieces, query, with_list};
use crate::{ClaimRef, ObjectKey, StoreError, StoredText, Written};
use mecapy_model::{BatchId, ErrorKind, ItemOutcome, TaskError, TaskState, Usage};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Said of an item that its chunk, which completed, has left out.
const LEFT_OUT: &str = "the worker that had this item said nothing of it";

/// How an item ended, as its row will say it; made on the caller's side, where work is not serialised.
#[derive(Debug, Clone)]
pub(crate) struct NewItem {
    pub(crate) index: u32,
    seed: u64,
    state: TaskState,
    result: Option<Arc<str>>,
    object: Option<(ObjectKey, u64, [u8; 32])>,
    error: Option<Arc<str>>,
    warnings: Option<Arc<str>>,
    usage: Usage,
}

/// Items that one attempt at a chunk has ended.
pub(crate) struct NewItems {
    pub(crate) claim: ClaimRef,
    pub(crate) items: Vec<NewItem>,
}

/// A chunk whose task has ended, and what its items came to.
pub(super) struct EndedChunk {
    /// Items that it was to end and has not.
    missing: i64,
    /// They have ended before.
    again: bool,
    used: Usage,
}

const ITEMS: Rows = Rows {
    head: "INSERT INTO batch_items (batch_no, item, state, result, object_key, object_bytes, object_sha256, error, \
           warnings, seed, chunk_no, fuel, memory_peak_bytes, cpu_ms, queued_ms, startup_ms, execute_ms, kernel_instructions, \
           kernel_calls, kernel_flops, kernel_price_version)",
    width: 21,
    tail: "",
};
/// A row for each item that a chunk was to end and has not.
const MISSING: Rows = Rows {
    head: "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 127) \
           INSERT INTO batch_items (batch_no, item, state, error, chunk_no) \
           SELECT c.batch_no, c.first + n.i, v.column2, v.column3, c.no FROM (",
    width: 3,
    tail: ") AS v JOIN batch_chunks c ON c.no = v.column1 JOIN n ON n.i < c.count WHERE TRUE \
           ON CONFLICT (batch_no, item) DO NOTHING",
};
/// The series in it has a number for each item that a chunk may have.
const _: () = assert!(CHUNK_ITEMS_MAX == 128);

const CHUNKS: &str = "SELECT c.no, c.again, c.items - count(i.item), CAST(coalesce(sum(i.fuel), 0) AS BIGINT), \
                      coalesce(max(i.memory_peak_bytes), 0), coalesce(sum(i.cpu_ms), 0.0), \
                      coalesce(sum(i.startup_ms), 0.0), coalesce(sum(i.execute_ms), 0.0), \
                      max(i.kernel_instructions), CAST(sum(i.kernel_calls) AS BIGINT), CAST(sum(i.kernel_flops) AS BIGINT), \
                      max(i.kernel_price_version) \
                      FROM batch_chunks c LEFT JOIN batch_items i ON i.batch_no = c.batch_no AND i.item >= c.first \
                      AND i.item < c.first + c.count AND i.chunk_no = c.no AND i.again_no IS NULL WHERE c.no IN (";

impl NewItem {
    /// A result over the limit becomes an `invalid_output` error.
    pub(crate) fn of(outcome: ItemOutcome, result_bytes_max: usize) -> Self {
        let ItemOutcome { index, seed, result, warnings, usage } = outcome;
        let (state, result, error) = match bounded(result, result_bytes_max) {
            Ok(result) => (TaskState::Completed, Some(result.get().into()), None),
            Err(error) => {
                let state = if is_cancel(&error) { TaskState::Cancelled } else { TaskState::Failed };
                (state, None, serde_json::to_string(&error).ok().map(Arc::from))
            }
        };
        Self { index, seed, state, result, object: None, error, warnings: warnings_json(&warnings), usage }
    }

    /// The result's text, where it is longer than a row takes.
    pub(crate) fn large_result(&self, inline_bytes_max: usize) -> Option<&str> {
        self.result.as_deref().filter(|text| text.len() > inline_bytes_max)
    }

    /// Lets the row name the object that holds the result.
    pub(crate) fn refer_to(&mut self, stored: StoredText) {
        if let StoredText::Object { key, size_bytes, sha256 } = stored {
            self.result = None;
            self.object = Some((key, size_bytes, sha256.0));
        }
    }
}

impl EndedChunk {
    /// What the task used: the sum of its items, in whichever of its attempts they ended, and the largest memory.
    pub(super) fn usage(&self, of_the_last_attempt: Usage) -> Usage {
        Usage { queued_ms: of_the_last_attempt.queued_ms, ..self.used }
    }
}

impl Writer {
    /// Writes down items that a chunk has ended. An item that is written again is counted once, as what it is last.
    pub(crate) async fn save_items(&mut self, new: &NewItems) -> Result<Written, StoreError> {
        let NewItems { claim, items } = new;
        let lock = self.dialect.lock_rows();
        let sql = "SELECT c.batch_no, c.first, c.count, t.batch FROM tasks t JOIN batch_chunks c ON c.no = t.no \
                   WHERE t.no = ? AND t.fence = ? AND t.lease_token = ? AND t.state = 'running'";
        let held = query(sqlx::AssertSqlSafe(format!("{sql}{lock}")))
            .bind(claim.no)
            .bind(i64::try_from(claim.fence).unwrap_or(i64::MAX))
            .bind(claim.lease.0.as_slice());
        let Some(row) = held.fetch_optional(&mut self.conn).await? else { return Ok(Written::Stale) };
        let (batch_no, first, count): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let batch = BatchId(row.id(3)?);
        if !items.iter().all(|item| (first..first + count).contains(&i64::from(item.index))) {
            return Err(StoreError::corrupt("an item of another chunk"));
        }
        // Of an item that is there twice the last counts.
        let mut latest: Vec<&NewItem> = Vec::with_capacity(items.len());
        let mut seen = HashSet::with_capacity(items.len());
        latest.extend(items.iter().rev().filter(|item| seen.insert(item.index)));
        self.drop_items(batch, batch_no, &latest).await?;
        for piece in pieces(&latest) {
            let mut query = query(ITEMS.sql(piece.len()));
            for item in piece {
                let object = item.object.as_ref();
                query = query
                    .bind(batch_no)
                    .bind(item.index)
                    .bind(item.state.as_str())
                    .bind(item.result.clone())
                    .bind(object.map(|(key, ..)| key.as_str()))
                    .bind(object.map(|(_, size, _)| i64::try_from(*size).unwrap_or(i64::MAX)))
                    .bind(object.map(|(.., digest)| digest.as_slice()))
                    .bind(item.error.clone())
                    .bind(item.warnings.clone())
                    .bind(item.seed.cast_signed())
                    .bind(claim.no);
                query = bind_used(query, &item.usage);
            }
            self.run(query).await?;
        }
        let tally = self.tally(batch);
        for item in latest {
            tally.count(item.state, 1);
            tally.item_failed |= item.state == TaskState::Failed;
        }
        Ok(Written::Done)
    }

    /// Takes out the rows that these items had, where they had any.
    async fn drop_items(&mut self, batch: BatchId, batch_no: i64, items: &[&NewItem]) -> Result<(), StoreError> {
        let kept: HashSet<&str> =
            items.iter().filter_map(|item| item.object.as_ref()).map(|(key, ..)| key.as_str()).collect();
        for piece in pieces(items) {
            let head = "DELETE FROM batch_items WHERE batch_no = ? AND item IN (";
            let mut query = query(with_list(head, piece.len(), ") RETURNING state, again_no, object_key"));
            query = query.bind(batch_no);
            for item in piece {
                query = query.bind(item.index);
            }
            for row in query.fetch_all(&mut self.conn).await? {
                if row.try_get::<Option<i64>>(1)?.is_none() {
                    let state = row.try_get::<&str>(0)?.parse().map_err(StoreError::corrupt)?;
                    self.tally(batch).count(state, -1);
                }
                if let Some(key) = row.try_get::<Option<&str>>(2)?.filter(|key| !kept.contains(key)) {
                    let key = ObjectKey::parse(key).map_err(|error| StoreError::corrupt(error.to_string()))?;
                    self.doom_object(&key).await?;
                }
            }
        }
        Ok(())
    }

    /// Of tasks that have ended, those that carried out items, by number.
    pub(super) async fn ended_chunks(&mut self, ended: &[Ended]) -> Result<HashMap<i64, EndedChunk>, StoreError> {
        let numbers: Vec<i64> = ended.iter().filter(|ended| ended.batch.is_some()).map(|ended| ended.no).collect();
        let mut chunks = HashMap::with_capacity(numbers.len());
        for piece in pieces(&numbers) {
            let asked = query(with_list(CHUNKS, piece.len(), ") GROUP BY c.no, c.again, c.items"));
            let asked = piece.iter().fold(asked, |query, no| query.bind(*no));
            for row in asked.fetch_all(&mut self.conn).await? {
                let used = Usage {
                    fuel: row.count(3)?,
                    memory_peak_bytes: row.count(4)?,
                    cpu_ms: row.try_get(5)?,
                    startup_ms: row.try_get(6)?,
                    execute_ms: row.try_get(7)?,
                    kernels: read_kernels(&row, 8)?,
                    ..Usage::default()
                };
                let (again, missing) = (row.flag(1)?, row.try_get(2)?);
                chunks.insert(row.try_get(0)?, EndedChunk { missing, again, used });
            }
        }
        Ok(chunks)
    }

    /// Ends what chunks have left: with their own error, or cancelled as they were. An item that had ended before goes
    /// back to that where its chunk was cancelled.
    pub(super) async fn end_items(
        &mut self,
        ended: &[Ended],
        chunks: &HashMap<i64, EndedChunk>,
    ) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for task in ended {
            let (Some(batch), Some(chunk)) = (task.batch, chunks.get(&task.no)) else { continue };
            self.tally(batch).chunks_ended += 1;
            if chunk.missing <= 0 {
                continue;
            }
            let (state, error) = match task.state {
                TaskState::Completed => {
                    let error = TaskError::new(ErrorKind::Executor, LEFT_OUT);
                    (TaskState::Failed, Record::failed(&error, Usage::default()).error)
                }
                state => (state, task.record.error.clone()),
            };
            self.tally(batch).item_failed |= state == TaskState::Failed;
            if chunk.again {
                self.end_again(batch, task.no, error.filter(|_| state == TaskState::Failed)).await?;
            } else {
                self.tally(batch).count(state, chunk.missing);
                missing.push((task.no, state, error));
            }
        }
        for piece in pieces(&missing) {
            let mut query = query(MISSING.sql(piece.len()));
            for (no, state, error) in piece {
                query = query.bind(*no).bind(state.as_str()).bind(error.clone());
            }
            self.run(query).await?;
        }
        Ok(())
    }

    /// Lets the items that the task was to end anew be what they were, or fail with an error.
    async fn end_again(&mut self, batch: BatchId, no: i64, error: Option<Arc<str>>) -> Result<(), StoreError> {
        let sql = "UPDATE batch_items SET again_no = NULL, state = coalesce(?, state), error = coalesce(?, error), \
                   chunk_no = coalesce(?, chunk_no) WHERE again_no = ? RETURNING state";
        let query = query(sql)
            .bind(error.as_ref().map(|_| TaskState::Failed.as_str()))
            .bind(error.clone())
            .bind(error.as_ref().map(|_| no))
            .bind(no);
        for row in query.fetch_all(&mut self.conn).await? {
            let state = row.try_get::<&str>(0)?.parse().map_err(StoreError::corrupt)?;
            self.tally(batch).count(state, 1);
        }
        Ok(())
    }
}
