//! The items of batches: how they ended, and writing that down.

use super::Settings;
use super::read::json;
use crate::reading::{bytes_of, read_kernels};
use crate::sql::{Query, Row, query};
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

/// What [`Store::read_item`] takes, in its order, after the result.
macro_rules! columns {
    () => {
        "i.error, i.warnings, i.seed, i.fuel, i.memory_peak_bytes, i.cpu_ms, i.queued_ms, i.startup_ms, i.execute_ms, t.id, \
         i.kernel_instructions, i.kernel_calls, i.kernel_flops, i.kernel_price_version, \
         CASE WHEN i.seed IS NULL THEN b.settings END FROM batches b JOIN batch_items i ON i.batch_no = b.no JOIN tasks t ON t.no = i.chunk_no \
         WHERE b.tenant = ?1 AND b.id = ?2 "
    };
}

const PAGE: &str = concat!(
    "WITH page AS (SELECT m.item, sum(m.bytes) OVER (ORDER BY m.item) - m.bytes AS ahead FROM (",
    "SELECT p.item, coalesce(octet_length(p.result), 0) + coalesce(p.object_bytes, 0) AS bytes FROM batch_items p",
    " WHERE p.batch_no = (SELECT no FROM batches WHERE tenant = ?1 AND id = ?2) AND p.item >= ?3 AND p.again_no IS NULL",
    " ORDER BY p.item LIMIT ?4) m)",
    " SELECT i.item, i.state, i.result, i.object_key, i.object_bytes, i.object_sha256, ",
    columns!(),
    "AND i.item IN (SELECT item FROM page WHERE ahead < ?5) ORDER BY i.item"
);
const FAILED_PAGE: &str = concat!(
    "SELECT i.item, i.state, NULL, NULL, NULL, NULL, ",
    columns!(),
    "AND i.item >= ?3 AND i.again_no IS NULL AND i.state <> 'completed' AND i.state = 'failed' ORDER BY i.item LIMIT ?4"
);

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
    ) -> Result<Vec<ItemRow>, StoreError> {
        let page = query(PAGE).bind(tenant).bind(id).bind(from).bind(limit.min(ITEMS_PAGE_MAX)).bind(PAGE_BYTES_MAX);
        self.read_items(tenant, page).await
    }

    /// The same of the items that failed.
    pub async fn failed_batch_items(
        &self,
        tenant: TenantId,
        id: BatchId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<ItemRow>, StoreError> {
        let page = query(FAILED_PAGE).bind(tenant).bind(id).bind(from).bind(limit.min(ITEMS_PAGE_MAX));
        self.read_items(tenant, page).await
    }

    async fn read_items(&self, tenant: TenantId, page: Query) -> Result<Vec<ItemRow>, StoreError> {
        let rows = page.fetch_all(&mut self.reader(tenant).await?).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(self.read_item(&row).await?);
        }
        Ok(items)
    }

    async fn read_item(&self, row: &Row) -> Result<ItemRow, StoreError> {
        let index = u32::try_from(row.count(0)?).unwrap_or(u32::MAX);
        let result: Option<String> = match row.try_get::<Option<&str>>(3)? {
            Some(key) => {
                let key = ObjectKey::parse(key).map_err(|error| StoreError::corrupt(error.to_string()))?;
                let (size_bytes, sha256) = (row.count(4)?, Digest(bytes_of(row.try_get(5)?)?));
                Some(self.objects().load_text(&StoredText::Object { key, size_bytes, sha256 }).await?)
            }
            None => row.try_get(2)?,
        };
        let seed = match row.try_get::<Option<i64>>(8)? {
            Some(seed) => seed.cast_unsigned(),
            None => json::<Settings>(row.try_get(20)?)?.seed.wrapping_add(u64::from(index)),
        };
        Ok(ItemRow {
            index,
            state: row.try_get::<&str>(1)?.parse().map_err(StoreError::corrupt)?,
            result: result
                .map(RawValue::from_string)
                .transpose()
                .map_err(|error| StoreError::corrupt(error.to_string()))?,
            error: row.try_get::<Option<&str>>(6)?.map(json).transpose()?,
            warnings: row.try_get::<Option<&str>>(7)?.map(json).transpose()?.unwrap_or_default(),
            seed,
            usage: Usage {
                fuel: row.count(9)?,
                memory_peak_bytes: row.count(10)?,
                cpu_ms: row.try_get(11)?,
                queued_ms: row.try_get(12)?,
                startup_ms: row.try_get(13)?,
                execute_ms: row.try_get(14)?,
                compile_ms: None,
                kernels: read_kernels(row, 16)?,
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
