//! Looking at batches: one, a page of them, what a worker needs of one, the inputs of explicit items.

use super::{BatchSource, CHUNK_ITEMS_MAX, Settings};
use crate::clock::from_unix_ms;
use crate::list::{LIST_LIMIT_MAX, ListError};
use crate::sql::{Row, query};
use crate::{Store, StoreError};
use mecapy_model::{
    BatchId, BatchState, Code, Isolation, Item, Kernels, Lane, Limits, NonFinite, OnItemError, Retry, StudyId,
    TenantId, UploadId, Warning,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// The longest page, in bytes of code and sweeps: the batch that passes it is the page's last.
const PAGE_BYTES_MAX: u32 = 8 << 20;

/// The columns that [`BatchRow::read`] takes, in its order. The last counts the items of chunks that run and have not
/// ended them.
macro_rules! columns {
    () => {
        "b.id, b.tenant, b.name, b.state, b.lane, b.priority, b.code, b.settings, b.labels, b.study, b.on_error, b.sweep, \
         b.total, b.completed, b.failed, b.cancelled, b.cancel_requested, b.seq, b.created_ms, b.started_ms, \
         b.completed_ms, CASE WHEN b.state <> 'running' THEN CAST(0 AS BIGINT) ELSE (SELECT CAST(coalesce(sum(c.items - \
         (SELECT count(*) FROM batch_items i WHERE i.batch_no = c.batch_no AND i.item >= c.first \
         AND i.item < c.first + c.count AND i.chunk_no = c.no AND i.again_no IS NULL)), 0) AS BIGINT) \
         FROM batch_chunks c JOIN tasks t ON t.no = c.no WHERE c.batch_no = b.no AND t.state = 'running') END"
    };
}

/// How many they are.
const COLUMNS: usize = 22;

/// A batch, with what became of its items so far.
#[derive(Debug, Clone)]
pub struct BatchRow {
    pub id: BatchId,
    pub tenant: TenantId,
    pub name: Option<String>,
    pub state: BatchState,
    pub lane: Lane,
    pub priority: u8,
    pub code: Code,
    pub files: BTreeMap<String, UploadId>,
    /// Of each item.
    pub limits: Limits,
    pub retry: Retry,
    /// Item `i` has this plus `i`, wrapping around.
    pub seed: u64,
    pub non_finite: NonFinite,
    pub kernels: Kernels,
    pub labels: BTreeMap<String, String>,
    pub study: Option<StudyId>,
    pub isolation: Isolation,
    pub on_error: OnItemError,
    /// Explicit items are left out: [`Store::batch_inputs`] has them.
    pub source: BatchSource,
    /// Of the source.
    pub warnings: Vec<Warning>,
    pub total: u32,
    /// Items that wait, also those that wait to be run again.
    pub queued: u32,
    /// Items of tasks that run, but for those that have ended.
    pub running: u32,
    pub completed: u32,
    pub failed: u32,
    pub cancelled: u32,
    pub cancel_requested: bool,
    /// Rises with each change.
    pub seq: u64,
    pub created_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub completed_at: Option<OffsetDateTime>,
}

/// Which batches to list. Absent fields don't filter.
#[derive(Debug, Clone)]
pub struct BatchFilter {
    pub state: Option<BatchState>,
    pub study: Option<StudyId>,
    /// 1 to [`LIST_LIMIT_MAX`].
    pub limit: u32,
    /// `next_cursor` of the page before, asked with the same filters.
    pub cursor: Option<String>,
}

impl Default for BatchFilter {
    /// Everything, 50 at a time.
    fn default() -> Self {
        Self { state: None, study: None, limit: 50, cursor: None }
    }
}

/// Some batches, newest first.
#[derive(Debug, Clone)]
pub struct BatchPage {
    pub batches: Vec<BatchRow>,
    /// For the page after this one; where code is long a page may be short and still have one.
    pub next_cursor: Option<String>,
}

/// What a worker needs to know of a batch.
#[derive(Debug, Clone)]
pub struct BatchSpec {
    pub id: BatchId,
    pub tenant: TenantId,
    pub code: Code,
    pub files: BTreeMap<String, UploadId>,
    /// Of each item.
    pub limits: Limits,
    pub retry: Retry,
    /// Item `i` has this plus `i`, wrapping around.
    pub seed: u64,
    pub non_finite: NonFinite,
    pub kernels: Kernels,
    pub isolation: Isolation,
    pub on_error: OnItemError,
    /// Explicit items are left out: [`Store::batch_chunk_inputs`] has them.
    pub source: BatchSource,
    pub total: u32,
}

impl BatchRow {
    /// The part of the items that has ended, 0 to 1.
    pub fn progress(&self) -> f64 {
        let ended = f64::from(self.completed) + f64::from(self.failed) + f64::from(self.cancelled);
        if self.total == 0 { 1.0 } else { (ended / f64::from(self.total)).min(1.0) }
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let count = |at| row.count(at).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let time = |at| row.try_get::<Option<i64>>(at).map(|ms| ms.map(from_unix_ms));
        let settings: Settings = json(row.try_get(7)?)?;
        let (total, running) = (count(12)?, count(21)?);
        let (completed, failed, cancelled) = (count(13)?, count(14)?, count(15)?);
        let queued = [running, completed, failed, cancelled].into_iter().fold(total, u32::saturating_sub);
        Ok(Self {
            id: BatchId(row.id(0)?),
            tenant: TenantId(row.id(1)?),
            name: row.try_get(2)?,
            state: row.try_get::<&str>(3)?.parse().map_err(StoreError::corrupt)?,
            lane: row.try_get::<&str>(4)?.parse().map_err(StoreError::corrupt)?,
            priority: u8::try_from(row.count(5)?).unwrap_or(u8::MAX),
            code: json(row.try_get(6)?)?,
            files: settings.files,
            limits: settings.limits,
            retry: settings.retry,
            seed: settings.seed,
            non_finite: settings.non_finite,
            kernels: settings.kernels,
            labels: row.try_get::<Option<&str>>(8)?.map(json).transpose()?.unwrap_or_default(),
            study: row.try_get::<Option<Uuid>>(9)?.map(StudyId),
            isolation: settings.isolation,
            on_error: read_on_error(row.try_get(10)?)?,
            source: source(row.try_get(11)?),
            warnings: settings.warnings,
            total,
            queued,
            running,
            completed,
            failed,
            cancelled,
            cancel_requested: row.flag(16)?,
            seq: row.count(17)?,
            created_at: from_unix_ms(row.try_get(18)?),
            started_at: time(19)?,
            completed_at: time(20)?,
        })
    }
}

impl Store {
    /// A batch of the tenant.
    pub async fn batch(&self, tenant: TenantId, id: BatchId) -> Result<Option<BatchRow>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM batches b WHERE b.tenant = ? AND b.id = ?");
        let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.reader(tenant).await?).await?;
        row.map(|row| BatchRow::read(&row)).transpose()
    }

    /// A page of the tenant's batches.
    pub async fn batches(&self, tenant: TenantId, filter: BatchFilter) -> Result<BatchPage, ListError> {
        const SQL: &str = concat!(
            "WITH page AS (SELECT m.no, sum(m.bytes) OVER (ORDER BY m.id DESC) - m.bytes AS ahead FROM (",
            "SELECT no, id, octet_length(code) + coalesce(octet_length(sweep), 0) AS bytes FROM batches",
            " WHERE tenant = ?1 AND id < ?2 AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR study = ?4)",
            " ORDER BY id DESC LIMIT ?5) m) SELECT ",
            columns!(),
            ", (SELECT count(*) FROM page) FROM batches b WHERE b.no IN (SELECT no FROM page WHERE ahead < ?6)",
            " ORDER BY b.id DESC"
        );
        if !(1..=LIST_LIMIT_MAX).contains(&filter.limit) {
            return Err(ListError::BadLimit { max: LIST_LIMIT_MAX });
        }
        let scope = Sha256::digest(format!("{:?}", ("batches", tenant, filter.state, filter.study)).as_bytes());
        let before = match &filter.cursor {
            Some(cursor) => self.signer().read_cursor(cursor, &scope).ok_or(ListError::BadCursor)?,
            None => [0xff; 16],
        };
        // One more says whether there is another page.
        let asked = query(SQL)
            .bind(tenant)
            .bind(Uuid::from_bytes(before))
            .bind(filter.state.map(BatchState::as_str))
            .bind(filter.study.map(|study| study.0))
            .bind(filter.limit + 1)
            .bind(PAGE_BYTES_MAX);
        let rows = asked.fetch_all(&mut self.reader(tenant).await?).await?;
        let found = rows.first().map_or(Ok(0), |row| row.count(COLUMNS))?;
        let mut batches = rows.iter().map(BatchRow::read).collect::<Result<Vec<_>, _>>()?;
        batches.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
        let last = batches.last().filter(|_| found > batches.len() as u64);
        let next_cursor = last.map(|last| self.signer().cursor(last.id.0.as_bytes(), &scope));
        Ok(BatchPage { batches, next_cursor })
    }

    /// The inputs of `count` explicit items from `first` on, in their order; none of a sweep, which makes its own, nor
    /// of a batch that isn't there.
    pub async fn batch_inputs(
        &self,
        tenant: TenantId,
        id: BatchId,
        first: u32,
        count: u32,
    ) -> Result<Vec<Item>, StoreError> {
        let sql = "SELECT i.first, i.inputs FROM batches b JOIN batch_inputs i ON i.batch_no = b.no \
                   WHERE b.tenant = ? AND b.id = ? AND i.first > ? AND i.first < ? ORDER BY i.first";
        let end = first.saturating_add(count);
        let asked = query(sql).bind(tenant).bind(id);
        // The text that has the first item begins less than a chunk before it.
        let asked = asked.bind(i64::from(first) - i64::from(CHUNK_ITEMS_MAX)).bind(end);
        let mut items = Vec::new();
        for row in asked.fetch_all(&mut self.reader(tenant).await?).await? {
            let start = u32::try_from(row.count(0)?).unwrap_or(u32::MAX);
            let inputs: Vec<Box<RawValue>> = json(row.try_get(1)?)?;
            let all = (start..).zip(inputs).map(|(index, inputs)| Item { index, inputs });
            items.extend(all.filter(|item| (first..end).contains(&item.index)));
        }
        Ok(items)
    }

    /// What a worker needs of a batch; for workers, who have claimed one of its tasks: no tenant is asked.
    pub async fn batch_spec(&self, batch: BatchId) -> Result<Option<Arc<BatchSpec>>, StoreError> {
        let sql = "SELECT tenant, code, settings, on_error, sweep, total FROM batches WHERE id = ?";
        let Some(row) = query(sql).bind(batch).fetch_optional(self.readers()).await? else { return Ok(None) };
        let settings: Settings = json(row.try_get(2)?)?;
        Ok(Some(Arc::new(BatchSpec {
            id: batch,
            tenant: TenantId(row.id(0)?),
            code: json(row.try_get(1)?)?,
            files: settings.files,
            limits: settings.limits,
            retry: settings.retry,
            seed: settings.seed,
            non_finite: settings.non_finite,
            kernels: settings.kernels,
            isolation: settings.isolation,
            on_error: read_on_error(row.try_get(3)?)?,
            source: source(row.try_get(4)?),
            total: u32::try_from(row.count(5)?).unwrap_or(u32::MAX),
        })))
    }

    /// The inputs of the explicit items of the chunk that begins at `first`, as the text of a JSON array: of item `i` the
    /// one at `i - first`. For workers, and the same for a chunk that runs some of its items again.
    pub async fn batch_chunk_inputs(&self, batch: BatchId, first: u32) -> Result<Option<String>, StoreError> {
        let sql =
            "SELECT i.inputs FROM batches b JOIN batch_inputs i ON i.batch_no = b.no WHERE b.id = ? AND i.first = ?";
        let row = query(sql).bind(batch).bind(first).fetch_optional(self.readers()).await?;
        row.map(|row| row.try_get(0)).transpose()
    }
}

fn source(sweep: Option<String>) -> BatchSource {
    sweep.map_or_else(|| BatchSource::Items(Vec::new()), BatchSource::Sweep)
}

fn read_on_error(text: &str) -> Result<OnItemError, StoreError> {
    match text {
        "continue" => Ok(OnItemError::Continue),
        "stop" => Ok(OnItemError::Stop),
        other => Err(StoreError::corrupt(format!("a batch's rule for errors is {other:?}"))),
    }
}

pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(error.to_string()))
}
