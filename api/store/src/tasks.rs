//! Accepting a task, looking at it, waiting for it, cancelling and deleting it.

use crate::audit::{AuditAction, AuditRecord};
use crate::clock::{from_unix_ms, millis, unix_ms};
use crate::reading::{bytes_of, read_task, task_columns, task_from};
use crate::recent::{EndedTask, Known};
use crate::shared::Change;
use crate::sql::{Row, query};
use crate::writer::{Call, CancelRequest, NewRow, Op, SubmitAnswer, SubmitRefusal, earlier};
use crate::{ObjectKey, OverQuota, Store, StoreError, StoredText};
use mecapy_model::{
    Code, Digest, Kernels, Lane, Limits, NonFinite, Retry, Task, TaskError, TaskId, TaskState, TenantId, Ties,
    UploadId, Warning,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;

/// A task to accept; everything in it is validated by the caller.
#[derive(Debug, Clone)]
pub struct NewTask {
    pub tenant: TenantId,
    pub name: Option<String>,
    pub lane: Lane,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    pub code: Code,
    pub inputs: Box<RawValue>,
    /// Input file name → upload; each must be complete and the tenant's own.
    pub files: BTreeMap<String, UploadId>,
    pub limits: Limits,
    pub retry: Retry,
    pub seed: u64,
    pub non_finite: NonFinite,
    pub kernels: Kernels,
    pub labels: BTreeMap<String, String>,
    pub run_at: Option<OffsetDateTime>,
    pub retry_of: Option<TaskId>,
    /// Where the task's end is told, beside the tenant's webhooks.
    pub webhook_url: Option<String>,
    /// What the analysis of the source has to say.
    pub warnings: Vec<Warning>,
    pub ties: Ties,
}

/// A request to accept a task.
#[derive(Debug, Clone)]
pub struct Submission {
    pub task: NewTask,
    pub idempotency: Option<Idempotency>,
    /// How many tasks of the tenant may be queued, all lanes together, where its quota doesn't say.
    pub queued_max: u32,
}

/// The client's promise that equal keys mean the same request. Remembered for at least 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_digest: [u8; 32],
}

/// A task that was accepted, now or before.
#[derive(Debug, Clone)]
pub struct Submitted {
    pub task: Task,
    /// Tasks ahead of it when it was accepted.
    pub queue_position: Option<u64>,
    pub replayed: Replayed,
}

/// Whether an earlier request with the same idempotency key made the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    No,
    Yes,
}

/// Why a task was not accepted. Nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    #[error("the idempotency key was used with another request")]
    IdempotencyMismatch,
    #[error("{queued_max} tasks are queued already")]
    QueueFull { queued_max: u32 },
    #[error(transparent)]
    OverFuel(OverQuota),
    /// Also for a tenant that doesn't exist.
    #[error("the tenant is disabled")]
    TenantDisabled,
    #[error("the file {file:?} names no complete upload")]
    UnknownUpload { file: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came out of a task, as far as it got.
#[derive(Debug, Clone)]
pub struct TaskResult {
    pub state: TaskState,
    /// The result's own JSON text, where `state` is completed.
    pub result: Option<Box<RawValue>>,
    pub error: Option<TaskError>,
}

/// What a cancel request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It was queued and never starts.
    Now,
    /// It is running and has been asked to stop.
    Requested,
    AlreadyEnded(TaskState),
    Missing,
}

/// What a delete request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Yes,
    /// Only a task that has ended can be deleted.
    NotEnded(TaskState),
    Missing,
}

impl Store {
    /// Accepts a task: its row, its idempotency row and its first event, durable when this returns.
    ///
    /// The same idempotency key with the same digest answers the task that it made before, as it was then, also while
    /// the first call is under way.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, SubmitError> {
        let (ms, random) = self.ids().next();
        let Submission { task, idempotency, queued_max } = submission;
        let task = task.into_task(TaskId::from_parts(ms, &random), self.now_ms());
        let over_fuel = self.over_fuel(task.tenant).await?;
        let row = NewRow::new(&task, idempotency, queued_max)?.over_fuel(over_fuel);
        match self.write(|reply| Op::Submit(Call::new(Box::new(row), reply))).await? {
            SubmitAnswer::Accepted { queue_position } => Ok(Submitted { task, queue_position, replayed: Replayed::No }),
            SubmitAnswer::Earlier(earlier) => Ok(*earlier),
            SubmitAnswer::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// What [`submit`](Self::submit) would answer a request that repeats an earlier one; `None` where none was under the
    /// key. For requests that can't be submitted any more, as what they refer to is gone.
    pub async fn submitted_before(
        &self,
        tenant: TenantId,
        key: &Idempotency,
    ) -> Result<Option<Submitted>, SubmitError> {
        let sql = "SELECT body_digest, task_no, queue_position FROM idempotency WHERE tenant = ? AND key = ?";
        let mut reader = self.reader(tenant).await?;
        let row = query(sql).bind(tenant).bind(key.key.as_str()).fetch_optional(&mut reader).await?;
        let Some(row) = row else { return Ok(None) };
        let queue_position = row.try_get::<Option<i64>>(2)?.and_then(|position| u64::try_from(position).ok());
        let earlier = earlier(&mut reader, row.try_get(1)?, queue_position).await?;
        if earlier.is_some() && bytes_of::<32>(row.try_get(0)?)? != key.body_digest {
            return Err(SubmitError::IdempotencyMismatch);
        }
        Ok(earlier)
    }

    /// A task of the tenant.
    pub async fn task(&self, tenant: TenantId, id: TaskId) -> Result<Option<Task>, StoreError> {
        let sql = concat!("SELECT ", task_columns!("s.inputs"), task_from!(), " WHERE t.tenant = ? AND t.id = ?");
        self.read_one(sql, tenant, id).await
    }

    /// A task of the tenant as it is shown: its inputs are left out and read `null`.
    pub async fn task_shown(&self, tenant: TenantId, id: TaskId) -> Result<Option<Task>, StoreError> {
        let sql = concat!("SELECT ", task_columns!("'null'"), task_from!(), " WHERE t.tenant = ? AND t.id = ?");
        self.read_one(sql, tenant, id).await
    }

    async fn read_one(&self, sql: &'static str, tenant: TenantId, id: TaskId) -> Result<Option<Task>, StoreError> {
        let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.reader(tenant).await?).await?;
        row.map(|row| read_task(&row).map(|read| read.task)).transpose()
    }

    /// A task of the tenant as [`task_shown`](Self::task_shown) answers it, and how many tasks are ahead of it where it
    /// is queued.
    ///
    /// In the default lane the number says what would run first if nothing else arrived or ended; counting stops at
    /// 10 000 tasks of the same tenant (of the lane, where the lane is FIFO).
    pub async fn task_with_position(
        &self,
        tenant: TenantId,
        id: TaskId,
    ) -> Result<Option<(Task, Option<u64>)>, StoreError> {
        let Some(task) = self.task_shown(tenant, id).await? else { return Ok(None) };
        if task.state != TaskState::Queued {
            return Ok(Some((task, None)));
        }
        let position = self.queue_position(&task).await?;
        Ok(Some((task, position)))
    }

    /// What came out of a task so far: look at `state` first.
    pub async fn result(&self, tenant: TenantId, id: TaskId) -> Result<Option<TaskResult>, StoreError> {
        let known = self.shared().known(tenant, id);
        match known {
            Known::Ended(ended) => TaskResult::of(ended).map(Some),
            Known::Live | Known::Nothing => self.read_result(tenant, id).await,
        }
    }

    async fn read_result(&self, tenant: TenantId, id: TaskId) -> Result<Option<TaskResult>, StoreError> {
        let sql = "SELECT t.state, r.error, r.result, r.object_key, r.object_bytes, r.object_sha256 FROM tasks t LEFT JOIN results r ON r.no = t.no \
                   WHERE t.tenant = ? AND t.id = ?";
        let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.reader(tenant).await?).await?;
        let Some(row) = row else { return Ok(None) };
        let state: &str = row.try_get(0)?;
        let error: Option<&str> = row.try_get(1)?;
        let result: Option<String> = match row.try_get::<Option<&str>>(3)? {
            Some(key) => Some(self.objects().load_text(&result_object(key, &row)?).await?),
            None => row.try_get(2)?,
        };
        TaskResult::parse(state.parse().map_err(StoreError::corrupt)?, result, error).map(Some)
    }

    /// Waits until the task has ended, `at_most` so long; then answers like [`result`](Self::result).
    pub async fn wait(
        &self,
        tenant: TenantId,
        id: TaskId,
        at_most: Duration,
    ) -> Result<Option<TaskResult>, StoreError> {
        let mut watch = self.watch(tenant, id);
        let known = self.shared().known(tenant, id);
        let first = match known {
            Known::Ended(ended) => return TaskResult::of(ended).map(Some),
            Known::Live => None,
            Known::Nothing => Some(self.read_result(tenant, id).await?),
        };
        if let Some(read) = first
            && read.as_ref().is_none_or(|result| result.state.is_terminal())
        {
            return Ok(read);
        }
        // Ended or not: the current state is what the caller wants to know.
        let _ = tokio::time::timeout(at_most, watch.ended()).await;
        self.result(tenant, id).await
    }

    /// Cancels a queued task at once; asks a running one to stop. A task that was cancelled while queued never starts.
    pub async fn cancel(&self, tenant: TenantId, id: TaskId) -> Result<Cancelled, StoreError> {
        let request = CancelRequest { tenant, task: id, actor: self.actor() };
        self.write(|reply| Op::Cancel(Call::new(request, reply))).await
    }

    /// Deletes a task that has ended, with its result, logs, events and artifacts. Its usage row stays. A batch's tasks
    /// are not there to be deleted: [`delete_batch`](Self::delete_batch) does.
    pub async fn delete_task(&self, tenant: TenantId, id: TaskId) -> Result<Deleted, StoreError> {
        let actor = self.actor();
        let deleted = self
            .write_rarely(async move |writer| {
                // A task of a batch goes with its batch.
                let sql = "SELECT no, state FROM tasks WHERE tenant = ? AND id = ? AND batch IS NULL";
                let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut writer.conn).await?;
                let Some(row) = row else { return Ok(Deleted::Missing) };
                let (no, state): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
                let state: TaskState = state.parse().map_err(StoreError::corrupt)?;
                if !state.is_terminal() {
                    return Ok(Deleted::NotEnded(state));
                }
                writer
                    .run(
                        query(
                            "INSERT INTO doomed_objects (object_key) SELECT object_key FROM artifacts WHERE no = ?1 \
                             UNION SELECT object_key FROM results WHERE no = ?1 AND object_key IS NOT NULL \
                             UNION SELECT object_key FROM task_logs WHERE no = ?1 AND object_key IS NOT NULL \
                             ON CONFLICT (object_key) DO NOTHING",
                        )
                        .bind(no),
                    )
                    .await?;
                if writer.run(query("DELETE FROM tasks WHERE no = ?").bind(no)).await? == 0 {
                    // Another process did, after this one had looked.
                    return Ok(Deleted::Missing);
                }
                let target = id.to_string();
                let record = AuditRecord { tenant, action: AuditAction::TaskDeleted, target, detail: None };
                writer.audit(actor.as_deref(), record).await?;
                writer.changed(id, Change::Deleted);
                Ok(Deleted::Yes)
            })
            .await?;
        if deleted == Deleted::Yes {
            self.sweep_objects().await;
        }
        Ok(deleted)
    }

    /// Now, on the clock that all who use the database share.
    pub fn now(&self) -> OffsetDateTime {
        from_unix_ms(self.now_ms())
    }

    /// Unix milliseconds now, on the clock that all who use the database share.
    pub(crate) fn now_ms(&self) -> i64 {
        match self.shared().ahead_ms() {
            Some(ahead_ms) => millis(self.clock().monotonic()).saturating_add(ahead_ms),
            None => unix_ms(self.clock().now()),
        }
    }
}

/// Where a result is that its row doesn't hold.
fn result_object(key: &str, row: &Row) -> Result<StoredText, StoreError> {
    Ok(StoredText::Object {
        key: ObjectKey::parse(key).map_err(|error| StoreError::corrupt(error.to_string()))?,
        size_bytes: row.count(4)?,
        sha256: Digest(bytes_of(row.try_get(5)?)?),
    })
}

impl TaskResult {
    fn of(ended: EndedTask) -> Result<Self, StoreError> {
        Self::parse(ended.state, ended.result.as_deref().map(str::to_owned), ended.error.as_deref())
    }

    fn parse(state: TaskState, result: Option<String>, error: Option<&str>) -> Result<Self, StoreError> {
        let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
        let result = result.map(RawValue::from_string).transpose().map_err(json)?;
        Ok(Self { state, result, error: error.map(serde_json::from_str).transpose().map_err(json)? })
    }
}

impl From<SubmitRefusal> for SubmitError {
    fn from(refusal: SubmitRefusal) -> Self {
        match refusal {
            SubmitRefusal::IdempotencyMismatch => SubmitError::IdempotencyMismatch,
            SubmitRefusal::QueueFull { queued_max } => SubmitError::QueueFull { queued_max },
            SubmitRefusal::OverFuel(over) => SubmitError::OverFuel(over),
            SubmitRefusal::TenantDisabled => SubmitError::TenantDisabled,
            SubmitRefusal::UnknownUpload { file } => SubmitError::UnknownUpload { file },
        }
    }
}

impl NewTask {
    /// The task as it is on acceptance.
    pub(crate) fn into_task(self, id: TaskId, now_ms: i64) -> Task {
        Task {
            id,
            tenant: self.tenant,
            name: self.name,
            state: TaskState::Queued,
            lane: self.lane,
            priority: self.priority,
            code: self.code,
            inputs: self.inputs,
            files: self.files,
            limits: self.limits,
            retry: self.retry,
            seed: self.seed,
            non_finite: self.non_finite,
            kernels: self.kernels,
            labels: self.labels,
            run_at: self.run_at.map(|time| from_unix_ms(unix_ms(time))),
            created_at: from_unix_ms(now_ms),
            started_at: None,
            completed_at: None,
            attempt: 0,
            fence: 0,
            cancel_requested: false,
            progress: None,
            error: None,
            warnings: self.warnings,
            retry_of: self.retry_of,
            webhook_url: self.webhook_url,
            ties: self.ties,
            usage: None,
        }
    }
}
