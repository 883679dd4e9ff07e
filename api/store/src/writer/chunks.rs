//! Accepting batches, and running again what of one has failed: the tasks that carry the items out, and what they need.

use super::admission::Admission;
use super::state::Writer;
use super::submit::{Asked, NewRow, SubmitRefusal};
use crate::reading::bytes_of;
use crate::sql::{Rows, pieces, query};
use crate::{Idempotency, OverQuota, StoreError};
use mecapy_model::{BatchId, BatchState, Lane, OnItemError, StudyId, TenantId, UploadId};
use std::sync::Arc;

/// Tasks for items of one batch, all accepted or none; made on the caller's side, where work is not serialised.
pub(crate) struct NewChunks {
    pub(crate) tenant: TenantId,
    pub(crate) queued_max: u32,
    /// The day's fuel, where it is used up.
    pub(crate) over_fuel: Option<OverQuota>,
    /// What each of them needs, in the order of the uploads.
    pub(crate) files: Vec<(String, UploadId)>,
    pub(crate) chunks: Vec<NewChunk>,
    pub(crate) of: ChunksOf,
}

/// A task that runs `items` of the `count` items from `first` on.
pub(crate) struct NewChunk {
    pub(crate) row: NewRow,
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) items: u32,
}

pub(crate) enum ChunksOf {
    New(Box<NewBatchRow>),
    /// Of a batch that has ended, with the number of its latest change.
    Again {
        batch: BatchId,
        seq: u64,
    },
}

/// A batch as its rows will say it.
pub(crate) struct NewBatchRow {
    pub(crate) id: BatchId,
    pub(crate) name: Option<String>,
    pub(crate) lane: Lane,
    pub(crate) priority: u8,
    pub(crate) code: Arc<str>,
    pub(crate) settings: Arc<str>,
    pub(crate) labels: Option<Arc<str>>,
    pub(crate) study: Option<StudyId>,
    pub(crate) on_error: OnItemError,
    pub(crate) sweep: Option<Arc<str>>,
    /// The first item, and the inputs from there on as a JSON array.
    pub(crate) inputs: Vec<(u32, Arc<str>)>,
    pub(crate) total: u32,
    pub(crate) created_ms: i64,
    pub(crate) idempotency: Option<Idempotency>,
}

pub(crate) enum ChunksAnswer {
    Accepted,
    /// The idempotency key made this batch before.
    Earlier(BatchId),
    Refused(SubmitRefusal),
    /// The batch that was to run again is not what it was.
    Changed,
}

const CHUNKS: Rows =
    Rows { head: "INSERT INTO batch_chunks (no, batch_no, first, count, items, again)", width: 6, tail: "" };
const INPUTS: Rows = Rows { head: "INSERT INTO batch_inputs (batch_no, first, inputs)", width: 3, tail: "" };
/// The items of a chunk that did not complete wait for it.
const AGAIN: Rows = Rows {
    head: "UPDATE batch_items SET again_no = v.column1 FROM (",
    width: 4,
    tail: ") AS v WHERE batch_items.batch_no = v.column2 AND batch_items.item >= v.column3 \
           AND batch_items.item < v.column4 AND batch_items.state <> 'completed'",
};

impl Writer {
    pub(super) async fn submit_chunks(
        &mut self,
        new: &mut NewChunks,
        admission: &mut Admission,
    ) -> Result<ChunksAnswer, StoreError> {
        if let Some(answer) = self.answer_before(new).await? {
            return Ok(answer);
        }
        let tasks = new.chunks.len() as u64;
        let (tenant, queued_max, over_fuel) = (new.tenant, new.queued_max, new.over_fuel);
        let asked = Asked { tenant, tasks, queued_max, over_fuel, files: &new.files };
        if let Some(refusal) = self.refusal(&asked, admission).await? {
            return Ok(ChunksAnswer::Refused(refusal));
        }
        let open_chunks = i64::try_from(tasks).unwrap_or(i64::MAX);
        let (batch_no, again) = match &new.of {
            ChunksOf::New(batch) => (self.insert_batch(tenant, batch, open_chunks).await?, false),
            ChunksOf::Again { batch, seq } => match self.open_again(*batch, *seq, open_chunks).await? {
                Some(no) => (no, true),
                None => return Ok(ChunksAnswer::Changed),
            },
        };
        admission.admit(tenant, tasks);
        let accepted: Vec<_> = new.chunks.iter().map(|chunk| self.enqueue(&chunk.row)).collect();
        self.insert_tasks(&accepted).await?;
        let numbers: Vec<i64> = accepted.iter().map(|task| task.no).collect();
        self.insert_chunks(batch_no, &numbers, &new.chunks, again).await?;
        self.insert_files(batch_no, &new.files).await?;
        for (no, chunk) in numbers.into_iter().zip(&mut new.chunks) {
            if let Some(task) = chunk.row.take_fresh() {
                self.fresh().keep(no, task);
            }
        }
        Ok(ChunksAnswer::Accepted)
    }

    /// What an idempotency key that was used before is answered.
    async fn answer_before(&mut self, new: &NewChunks) -> Result<Option<ChunksAnswer>, StoreError> {
        let ChunksOf::New(batch) = &new.of else { return Ok(None) };
        let Some(key) = &batch.idempotency else { return Ok(None) };
        let sql = "SELECT id, body_digest FROM batches WHERE tenant = ? AND idempotency_key = ?";
        let asked = query(sql).bind(new.tenant).bind(key.key.as_str());
        let Some(row) = asked.fetch_optional(&mut self.conn).await? else { return Ok(None) };
        let same = bytes_of::<32>(row.try_get(1)?)? == key.body_digest;
        let mismatch = ChunksAnswer::Refused(SubmitRefusal::IdempotencyMismatch);
        Ok(Some(if same { ChunksAnswer::Earlier(BatchId(row.id(0)?)) } else { mismatch }))
    }

    /// Answers the batch's number.
    async fn insert_batch(
        &mut self,
        tenant: TenantId,
        batch: &NewBatchRow,
        open_chunks: i64,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO batches (id, tenant, name, state, lane, priority, code, settings, labels, study, on_error, \
                   sweep, total, open_chunks, idempotency_key, body_digest, created_ms) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING no";
        let key = batch.idempotency.as_ref();
        let asked = query(sql)
            .bind(batch.id)
            .bind(tenant)
            .bind(batch.name.as_deref())
            .bind(BatchState::Queued.as_str())
            .bind(batch.lane.as_str())
            .bind(batch.priority)
            .bind(batch.code.clone())
            .bind(batch.settings.clone())
            .bind(batch.labels.clone())
            .bind(batch.study.map(|study| study.0))
            .bind(match batch.on_error {
                OnItemError::Continue => "continue",
                OnItemError::Stop => "stop",
            })
            .bind(batch.sweep.clone())
            .bind(batch.total)
            .bind(open_chunks)
            .bind(key.map(|key| key.key.as_str()))
            .bind(key.map(|key| key.body_digest.as_slice()))
            .bind(batch.created_ms);
        let no = asked.fetch_one(&mut self.conn).await?.try_get(0)?;
        for piece in pieces(&batch.inputs) {
            let mut query = query(INPUTS.sql(piece.len()));
            for (first, inputs) in piece {
                query = query.bind(no).bind(*first).bind(inputs.clone());
            }
            self.run(query).await?;
        }
        Ok(no)
    }

    /// Lets a batch that has ended wait again; answers its number, or `None` where something changed it since.
    async fn open_again(&mut self, batch: BatchId, seq: u64, open_chunks: i64) -> Result<Option<i64>, StoreError> {
        let sql = "UPDATE batches SET state = 'queued', open_chunks = ?, failed = 0, cancelled = 0, stopped = 0, \
                   cancel_requested = 0, completed_ms = NULL, seq = seq + 1 \
                   WHERE id = ? AND seq = ? AND state NOT IN ('queued', 'running') RETURNING no, seq";
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let asked = query(sql).bind(open_chunks).bind(batch).bind(seq);
        let Some(row) = asked.fetch_optional(&mut self.conn).await? else { return Ok(None) };
        self.tell_batch(batch, row.count(1)?);
        row.try_get(0).map(Some)
    }

    async fn insert_chunks(
        &mut self,
        batch_no: i64,
        numbers: &[i64],
        chunks: &[NewChunk],
        again: bool,
    ) -> Result<(), StoreError> {
        let numbered: Vec<(i64, &NewChunk)> = numbers.iter().copied().zip(chunks).collect();
        for piece in pieces(&numbered) {
            let mut added = query(CHUNKS.sql(piece.len()));
            for (no, chunk) in piece {
                added =
                    added.bind(*no).bind(batch_no).bind(chunk.first).bind(chunk.count).bind(chunk.items).bind(again);
            }
            self.run(added).await?;
            if again {
                let mut waiting = query(AGAIN.sql(piece.len()));
                for (no, chunk) in piece {
                    let end = i64::from(chunk.first) + i64::from(chunk.count);
                    waiting = waiting.bind(*no).bind(batch_no).bind(chunk.first).bind(end);
                }
                self.run(waiting).await?;
            }
        }
        Ok(())
    }

    /// Each of a batch's tasks names the files, so that they stay while one of them is live.
    async fn insert_files(&mut self, batch_no: i64, files: &[(String, UploadId)]) -> Result<(), StoreError> {
        let mut uploads: Vec<UploadId> = files.iter().map(|(_, upload)| *upload).collect();
        uploads.dedup();
        for upload in uploads {
            let sql = "INSERT INTO task_files (no, upload) SELECT no, ? FROM batch_chunks \
                       WHERE batch_no = ? ON CONFLICT (no, upload) DO NOTHING";
            self.run(query(sql).bind(upload).bind(batch_no)).await?;
            self.keep_upload(upload).await?;
        }
        Ok(())
    }
}
