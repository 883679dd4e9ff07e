//! The items of batches: how they ended, and writing that down.

use super::read::json;
use crate::reading::bytes_of;
use crate::sql::{Row, query};
use crate::writer::{NewItem, NewItems};
use crate::{ClaimRef, ObjectKey, RESULT_INLINE_BYTES_MAX, Store, StoreError, StoredText, Written};
use mecapy_model::{BatchId, Digest, ItemOutcome, TaskError, TaskId, TaskState, TenantId, Usage, Warning};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// How many items one page holds at most.
pub const ITEMS_PAGE_MAX: u32 = 1_000;
/// The longest page, in bytes of results: the item that passes it is the page's last.
const PAGE_BYTES_MAX: u32 = 8 << 20;

/// How an item of a batch has ended.
#[derive(Debug, Clone)]
pub struct ItemRow {
    pub index: u32,
    /// Completed, failed or cancelled.
    pub state: TaskState,
    /// The result's own JSON text, where it completed.
    pub result: Option<Box<RawValue>>,
    pub error: Option<TaskError>,
    pub warnings: Vec<Warning>,
    pub seed: u64,
    /// Zero where it never began.
    pub usage: Usage,
    /// The task that ended it, one of many items.
    pub task: TaskId,
}

const PAGE: &str = "WITH page AS (SELECT m.item, sum(m.bytes) OVER (ORDER BY m.item) - m.bytes AS ahead FROM (\
     SELECT item, coalesce(octet_length(result), 0) + coalesce(object_bytes, 0) AS bytes FROM batch_items \
     WHERE batch_no = ?1 AND item >= ?2 AND again_no IS NULL ORDER BY item LIMIT ?3) m) \
     SELECT i.item, i.state, i.result, i.object_key, i.object_bytes, i.object_sha256, i.error, i.warnings, i.seed, i.fuel, \
     i.memory_peak_bytes, i.cpu_ms, i.queued_ms, i.startup_ms, i.execute_ms, t.id FROM batch_items i \
     JOIN tasks t ON t.no = i.chunk_no WHERE i.batch_no = ?1 AND i.item IN (SELECT item FROM page WHERE ahead < ?4) \
     ORDER BY i.item";
/// The same of items that failed.
const FAILED_PAGE: &str = "SELECT i.item, i.state, NULL, NULL, NULL, NULL, i.error, i.warnings, i.seed, i.fuel, \
     i.memory_peak_bytes, i.cpu_ms, i.queued_ms, i.startup_ms, i.execute_ms, t.id FROM batch_items i \
     JOIN tasks t ON t.no = i.chunk_no WHERE i.batch_no = ? AND i.item >= ? AND i.again_no IS NULL \
     AND i.state <> 'completed' AND i.state = 'failed' ORDER BY i.item LIMIT ?";

impl Store {
    /// The items that have ended, from the index `from` on and in its order; of those that are to be run again, when they
    /// have been. At most `limit` (and [`ITEMS_PAGE_MAX`]), and fewer where results are long: go on after the last one
    /// until there are none. A batch that isn't there has none.
    pub async fn batch_items(
        &self,
        tenant: TenantId,
        id: BatchId,
        from: u32,
        limit: u32,
        only_failed: bool,
    ) -> Result<Vec<ItemRow>, StoreError> {
        let limit = limit.min(ITEMS_PAGE_MAX);
        let (seed, rows) = {
            let mut reader = self.reader(tenant).await?;
            let sql = "SELECT no, settings FROM batches WHERE tenant = ? AND id = ?";
            let batch = query(sql).bind(tenant).bind(id).fetch_optional(&mut reader).await?;
            let Some(batch) = batch else { return Ok(Vec::new()) };
            let no: i64 = batch.try_get(0)?;
            let asked = match only_failed {
                true => query(FAILED_PAGE).bind(no).bind(from).bind(limit),
                false => query(PAGE).bind(no).bind(from).bind(limit).bind(PAGE_BYTES_MAX),
            };
            let settings: super::Settings = json(batch.try_get(1)?)?;
            (settings.seed, asked.fetch_all(&mut reader).await?)
        };
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(self.read_item(&row, seed).await?);
        }
        Ok(items)
    }

    async fn read_item(&self, row: &Row, seed: u64) -> Result<ItemRow, StoreError> {
        let index = u32::try_from(row.count(0)?).unwrap_or(u32::MAX);
        let result: Option<String> = match row.try_get::<Option<&str>>(3)? {
            Some(key) => {
                let key = ObjectKey::parse(key).map_err(|error| StoreError::corrupt(error.to_string()))?;
                let (size_bytes, sha256) = (row.count(4)?, Digest(bytes_of(row.try_get(5)?)?));
                Some(self.objects().load_text(&StoredText::Object { key, size_bytes, sha256 }).await?)
            }
            None => row.try_get(2)?,
        };
        let seed_of_row = row.try_get::<Option<i64>>(8)?.map(i64::cast_unsigned);
        Ok(ItemRow {
            index,
            state: row.try_get::<&str>(1)?.parse().map_err(StoreError::corrupt)?,
            result: result
                .map(RawValue::from_string)
                .transpose()
                .map_err(|error| StoreError::corrupt(error.to_string()))?,
            error: row.try_get::<Option<&str>>(6)?.map(json).transpose()?,
            warnings: row.try_get::<Option<&str>>(7)?.map(json).transpose()?.unwrap_or_default(),
            seed: seed_of_row.unwrap_or_else(|| seed.wrapping_add(u64::from(index))),
            usage: Usage {
                fuel: row.count(9)?,
                memory_peak_bytes: row.count(10)?,
                cpu_ms: row.try_get(11)?,
                queued_ms: row.try_get(12)?,
                startup_ms: row.try_get(13)?,
                execute_ms: row.try_get(14)?,
            },
            task: TaskId(row.id(15)?),
        })
    }

    /// The items that earlier attempts at a chunk have ended: this one passes them over.
    pub async fn ended_items(&self, claim: &ClaimRef) -> Result<BTreeSet<u32>, StoreError> {
        let sql = "SELECT i.item FROM batch_chunks c JOIN batch_items i ON i.batch_no = c.batch_no AND i.item >= c.first \
                   AND i.item < c.first + c.count WHERE c.no = ? AND i.chunk_no = c.no AND i.again_no IS NULL";
        let rows = query(sql).bind(claim.no).fetch_all(self.readers()).await?;
        rows.iter().map(|row| Ok(u32::try_from(row.count(0)?).unwrap_or(u32::MAX))).collect()
    }

    /// Writes down how items of a chunk have ended, and counts them, while the claim holds. Written once more an item
    /// still counts once. A result over [`StoreOptions::result_bytes_max`](crate::StoreOptions) is an `invalid_output`
    /// error. Where an item has failed and the batch is to stop then, it does, in the same transaction.
    ///
    /// The usage of a chunk in the ledger is the sum of its items' (of memory the most), whatever its finish says.
    pub async fn save_items(&self, claim: ClaimRef, items: Vec<ItemOutcome>) -> Result<Written, StoreError> {
        let bytes_max = self.options().result_bytes_max;
        let mut items: Vec<NewItem> = items.into_iter().map(|item| NewItem::of(item, bytes_max)).collect();
        for item in &mut items {
            if let Some(text) = item.large_result(RESULT_INLINE_BYTES_MAX) {
                let stored = self.objects().store_item(&claim, item.index, text.to_owned()).await?;
                item.refer_to(stored);
            }
        }
        let new = NewItems { claim, items };
        // Objects of a stale report are left to the sweep of orphans.
        self.write_rarely(async move |writer| writer.save_items(&new).await).await
    }
}
