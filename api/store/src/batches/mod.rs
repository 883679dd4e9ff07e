//! Batches: many items of one computation, accepted in one transaction and carried out by tasks of some items each.
//!
//! What a batch runs is stored once. Its tasks, the chunks, are queued, claimed, fenced and finished like any others,
//! and shown nowhere; their items are what is counted and read.

mod change;
mod items;
mod pages;
mod read;

pub use change::BatchDeleted;
pub use items::{ITEMS_PAGE_MAX, ItemRow};
pub use read::{BatchFilter, BatchPage, BatchRow, BatchSpec};

use crate::followers::Watch;
use crate::writer::{Call, ChunksAnswer, ChunksOf, NewBatchRow, NewChunk, NewChunks, NewRow, Op};
use crate::{Idempotency, NewTask, Store, StoreError, SubmitError};
use mecapy_model::{
    BatchId, Code, Isolation, Kernels, Lane, Limits, NonFinite, OnItemError, Retry, StudyId, TaskId, TenantId, Ties,
    UploadId, Warning,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many items one task carries out at most.
pub const CHUNK_ITEMS_MAX: u32 = 128;
/// Into how many tasks a batch is cut at least, where it has as many items.
const CHUNKS_MIN: u32 = 64;

/// News of one batch: its counts may have changed.
pub type BatchWatch = Watch<BatchId>;

/// How many items a task of a batch with so many in all carries out; the last one's may be fewer.
pub fn chunk_items(total: u32) -> u32 {
    total.div_ceil(CHUNKS_MIN).clamp(1, CHUNK_ITEMS_MAX)
}

/// A batch to accept; everything in it is validated by the caller.
#[derive(Debug, Clone)]
pub struct NewBatch {
    pub tenant: TenantId,
    pub name: Option<String>,
    pub lane: Lane,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    pub code: Code,
    /// Input file name → upload, for every item; each must be complete and the tenant's own.
    pub files: BTreeMap<String, UploadId>,
    /// Of each item.
    pub limits: Limits,
    /// Of each task that carries out items.
    pub retry: Retry,
    /// Item `i` has this plus `i`, wrapping around.
    pub seed: u64,
    pub non_finite: NonFinite,
    pub kernels: Kernels,
    pub labels: BTreeMap<String, String>,
    pub study: Option<StudyId>,
    pub isolation: Isolation,
    pub on_error: OnItemError,
    pub source: BatchSource,
    /// How many items, 1 or more.
    pub total: u32,
    /// What the analysis of the source has to say.
    pub warnings: Vec<Warning>,
    pub idempotency: Option<Idempotency>,
    /// How many tasks of the tenant may be queued, all lanes together, where its quota doesn't say. Each
    /// [`chunk_items`] items are one task.
    pub queued_max: u32,
}

/// Where the inputs of a batch's items come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchSource {
    /// The JSON of a sweep, which whoever needs an item's inputs makes them of.
    Sweep(String),
    /// The input objects of [`chunk_items`] items at a time, as the text of a JSON array. Where a batch is read they are
    /// left out: ask for those of some items.
    Items(Vec<Box<str>>),
}

/// A batch that was accepted, now or before.
#[derive(Debug, Clone)]
pub struct SubmittedBatch {
    pub batch: BatchRow,
    /// An earlier request with the same idempotency key made it.
    pub replayed: bool,
}

/// What became of a batch's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCounts {
    pub total: u32,
    pub completed: u32,
    pub failed: u32,
    pub cancelled: u32,
}

/// What of a batch is written once and never searched.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Settings {
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    files: BTreeMap<String, UploadId>,
    limits: Limits,
    retry: Retry,
    seed: u64,
    non_finite: NonFinite,
    #[serde(default)]
    kernels: Kernels,
    isolation: Isolation,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    warnings: Vec<Warning>,
}

/// What the tasks of one batch have in common.
#[derive(Debug, Clone, Copy)]
struct Template {
    batch: BatchId,
    tenant: TenantId,
    lane: Lane,
    priority: u8,
    limits: Limits,
    retry: Retry,
    seed: u64,
    non_finite: NonFinite,
    kernels: Kernels,
    total: u32,
    queued_max: u32,
}

impl Store {
    /// Accepts a batch: its row, the inputs of its items and the tasks that carry them out, durable when this returns.
    ///
    /// The same idempotency key with the same digest answers the batch that it made before, as it is now.
    pub async fn submit_batch(&self, new: NewBatch) -> Result<SubmittedBatch, SubmitError> {
        let (ms, random) = self.ids().next();
        let (id, tenant) = (BatchId::from_parts(ms, &random), new.tenant);
        let over_fuel = self.over_fuel(tenant).await?;
        let template = new.template(id);
        let starts = (0..new.total).step_by(usize::try_from(chunk_items(new.total)).unwrap_or(1));
        let chunks = starts.map(|first| template.chunk(self, first, None)).collect::<Result<Vec<_>, _>>()?;
        let (files, queued_max) = (sorted(&new.files), new.queued_max);
        let of = ChunksOf::New(Box::new(new.into_row(id, self.now_ms(), chunks.len())?));
        let new = NewChunks { tenant, queued_max, over_fuel, files, chunks, of };
        let (id, replayed) = match self.write(|reply| Op::SubmitChunks(Call::new(Box::new(new), reply))).await? {
            ChunksAnswer::Accepted => (id, false),
            ChunksAnswer::Earlier(earlier) => (earlier, true),
            ChunksAnswer::Refused(refusal) => return Err(refusal.into()),
            ChunksAnswer::Changed => return Err(StoreError::corrupt("a new batch that has changed").into()),
        };
        let batch = self.batch(tenant, id).await?;
        let batch = batch.ok_or_else(|| StoreError::corrupt("a batch just accepted is gone"))?;
        Ok(SubmittedBatch { batch, replayed })
    }
}

/// In the order of the uploads, in which they are locked.
fn sorted(files: &BTreeMap<String, UploadId>) -> Vec<(String, UploadId)> {
    let mut files: Vec<_> = files.iter().map(|(name, upload)| (name.clone(), *upload)).collect();
    files.sort_by_key(|(_, upload)| *upload);
    files
}

impl NewBatch {
    fn template(&self, batch: BatchId) -> Template {
        let NewBatch { tenant, lane, priority, limits, retry, seed, non_finite, kernels, total, queued_max, .. } =
            *self;
        Template { batch, tenant, lane, priority, limits, retry, seed, non_finite, kernels, total, queued_max }
    }

    /// What its rows say, cut into so many chunks.
    fn into_row(self, id: BatchId, created_ms: i64, chunks: usize) -> Result<NewBatchRow, StoreError> {
        let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
        let (sweep, inputs) = match self.source {
            BatchSource::Sweep(sweep) => (Some(Arc::from(sweep)), Vec::new()),
            BatchSource::Items(inputs) if inputs.len() == chunks => (None, inputs),
            BatchSource::Items(inputs) => {
                return Err(StoreError::corrupt(format!("{} texts of inputs for {chunks} tasks", inputs.len())));
            }
        };
        if chunks == 0 {
            return Err(StoreError::corrupt("a batch without items"));
        }
        let step = chunk_items(self.total);
        let firsts = (0..self.total).step_by(usize::try_from(step).unwrap_or(1));
        let labels =
            (!self.labels.is_empty()).then(|| serde_json::to_string(&self.labels)).transpose().map_err(json)?;
        let settings = Settings {
            files: self.files,
            limits: self.limits,
            retry: self.retry,
            seed: self.seed,
            non_finite: self.non_finite,
            kernels: self.kernels,
            isolation: self.isolation,
            warnings: self.warnings,
        };
        Ok(NewBatchRow {
            id,
            name: self.name,
            lane: self.lane,
            priority: self.priority,
            code: serde_json::to_string(&self.code).map_err(json)?.into(),
            settings: serde_json::to_string(&settings).map_err(json)?.into(),
            labels: labels.map(Arc::from),
            study: self.study,
            on_error: self.on_error,
            sweep,
            inputs: firsts.zip(inputs.into_iter().map(Arc::from)).collect(),
            total: self.total,
            created_ms,
            idempotency: self.idempotency,
        })
    }
}

impl Template {
    /// The task for the items from `first` on, or for some of them. Its own inputs are none: the batch has them.
    fn chunk(&self, store: &Store, first: u32, indexes: Option<Vec<u32>>) -> Result<NewChunk, StoreError> {
        let count = chunk_items(self.total).min(self.total.saturating_sub(first));
        let items = indexes.as_ref().map_or(count, |indexes| u32::try_from(indexes.len()).unwrap_or(u32::MAX));
        let task = NewTask {
            tenant: self.tenant,
            name: None,
            lane: self.lane,
            priority: self.priority,
            code: Code::Items { batch: self.batch, first, count, indexes },
            inputs: RawValue::from_string("{}".to_owned()).map_err(|error| StoreError::corrupt(error.to_string()))?,
            files: BTreeMap::new(),
            limits: self.limits,
            retry: self.retry,
            seed: self.seed,
            non_finite: self.non_finite,
            kernels: self.kernels,
            labels: BTreeMap::new(),
            run_at: None,
            retry_of: None,
            webhook_url: None,
            warnings: Vec::new(),
            // A study has the batch, not its tasks.
            ties: Ties { batch: Some(self.batch), ..Ties::default() },
        };
        let (ms, random) = store.ids().next();
        let task = task.into_task(TaskId::from_parts(ms, &random), store.now_ms());
        Ok(NewChunk { row: NewRow::new(&task, None, self.queued_max)?, first, count, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_into_sixty_four_tasks_or_into_ones_of_128_items() {
        let rows =
            [(1, 1), (64, 1), (65, 2), (1_000, 16), (8_192, 128), (10_000, 128), (100_000, 128), (u32::MAX, 128)];
        for (total, items) in rows {
            assert_eq!(chunk_items(total), items, "{total}");
        }
    }
}
