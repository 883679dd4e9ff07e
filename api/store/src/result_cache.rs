//! Results that are used again in the place of equal computations: which task has one, and tasks that are born with a copy.

use crate::reading::bytes_of;
use crate::sql::query;
use crate::writer::{Call, LostAttempt, NewRow, Op, SubmitAnswer};
use crate::{ObjectKey, Replayed, Store, StoreError, StoredArtifact, Submission, SubmitError, Submitted};
use mecapy_model::{Digest, TaskId, TaskState, TenantId};
use std::sync::Arc;

/// A task that is born with its result was never claimed.
const NO_FENCE: u64 = 0;

/// What came out of an earlier task, copied for another one: its objects are that one's own.
#[derive(Debug, Clone)]
pub struct CachedCopy {
    pub(crate) source: TaskId,
    pub(crate) task: TaskId,
    pub(crate) result: Option<Arc<str>>,
    pub(crate) object: Option<ResultObject>,
    pub(crate) warnings: Option<Arc<str>>,
    pub(crate) artifacts: Vec<StoredArtifact>,
}

/// The object that holds a result.
#[derive(Debug, Clone)]
pub(crate) struct ResultObject {
    pub(crate) key: ObjectKey,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Digest,
}

impl CachedCopy {
    pub(crate) fn has_objects(&self) -> bool {
        self.object.is_some() || !self.artifacts.is_empty()
    }
}

impl Store {
    /// The task whose result may be used again under a key: it exists and is completed.
    pub async fn cached(&self, tenant: TenantId, key: Digest) -> Result<Option<TaskId>, StoreError> {
        let sql = "SELECT t.id FROM result_cache c JOIN tasks t ON t.no = c.task_no \
                   WHERE c.tenant = ? AND c.key = ? AND t.state = 'completed'";
        let query = query(sql).bind(tenant).bind(key.0.as_slice());
        let row = query.fetch_optional(&mut self.reader(tenant).await?).await?;
        row.map(|row| row.id(0).map(TaskId)).transpose()
    }

    /// Forgets which results of a function may be used again, of one version or of all; answers how many. The tasks stay.
    /// `function` is `owner/package#name`.
    pub async fn invalidate_cache(
        &self,
        tenant: TenantId,
        function: &str,
        version: Option<&str>,
    ) -> Result<u64, StoreError> {
        let function = function.to_owned();
        // So it stands in a task's code.
        let written = version.and_then(|version| {
            let (package, name) = function.split_once('#')?;
            Some(format!("{package}@{version}#{name}"))
        });
        if version.is_some() && written.is_none() {
            return Ok(0);
        }
        self.write_rarely(async move |writer| writer.invalidate_cache(tenant, &function, written.as_deref()).await)
            .await
    }

    /// Copies what came out of a completed task for a task that is to be born with it. `None`: the task is gone, or did
    /// not complete.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] where the tenant may not store its artifacts once more.
    pub async fn copy_cached(
        &self,
        tenant: TenantId,
        source: TaskId,
        task: TaskId,
    ) -> Result<Option<CachedCopy>, StoreError> {
        let Some(mut copy) = self.read_cached(tenant, source, task).await? else { return Ok(None) };
        let bytes = copy.artifacts.iter().map(|artifact| artifact.size_bytes).sum();
        self.must_have_storage_room(tenant, bytes).await?;
        let copied = self.copy_objects(tenant, &mut copy).await;
        if !matches!(copied, Ok(true)) {
            self.delete_copies(tenant, vec![task]).await;
        }
        Ok(copied?.then_some(copy))
    }

    /// Accepts a task that has the result of the task `source` without running: it is completed when this returns. `None`:
    /// that task is gone or did not complete, and nothing was written.
    pub async fn submit_cached(
        &self,
        submission: Submission,
        source: TaskId,
    ) -> Result<Option<Submitted>, SubmitError> {
        let Submission { mut task, idempotency, queued_max } = submission;
        let (id, tenant) = (self.new_task_id(), task.tenant);
        let Some(copy) = self.copy_cached(tenant, source, id).await? else { return Ok(None) };
        task.ties.cached_from = Some(source);
        let has_objects = copy.has_objects();
        let row = NewRow::new(&task.into_task(id, self.now_ms()), idempotency, queued_max)?.born_with(Some(copy));
        let answer = self.write(|reply| Op::Submit(Call::new(Box::new(row), reply))).await?;
        if has_objects && !matches!(answer, SubmitAnswer::Accepted { .. }) {
            self.delete_copies(tenant, vec![id]).await;
        }
        match answer {
            SubmitAnswer::Accepted { .. } => {
                let task = self.task(tenant, id).await?;
                let task = task.ok_or_else(|| StoreError::corrupt("a task just accepted is gone"))?;
                Ok(Some(Submitted { task, queue_position: None, replayed: Replayed::No }))
            }
            SubmitAnswer::Earlier(earlier) => Ok(Some(*earlier)),
            SubmitAnswer::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Deletes what was copied for tasks that are not there.
    pub(crate) async fn delete_copies(&self, tenant: TenantId, tasks: Vec<TaskId>) {
        let copies = tasks.into_iter().map(|task| LostAttempt { tenant, task, fence: NO_FENCE });
        self.delete_lost_objects(copies.collect()).await;
    }

    /// The source's rows, before anything is copied.
    async fn read_cached(
        &self,
        tenant: TenantId,
        source: TaskId,
        task: TaskId,
    ) -> Result<Option<CachedCopy>, StoreError> {
        let sql = "SELECT t.state, r.result, r.object_key, r.object_bytes, r.object_sha256, r.warnings \
                   FROM tasks t JOIN results r ON r.no = t.no WHERE t.tenant = ? AND t.id = ?";
        let found = query(sql).bind(tenant).bind(source).fetch_optional(&mut self.reader(tenant).await?).await?;
        let Some(row) = found else { return Ok(None) };
        if row.try_get::<&str>(0)? != TaskState::Completed.as_str() {
            return Ok(None);
        }
        let object = match row.try_get::<Option<&str>>(2)? {
            Some(key) => Some(ResultObject {
                key: ObjectKey::parse(key).map_err(|error| StoreError::corrupt(error.to_string()))?,
                size_bytes: row.count(3)?,
                sha256: Digest(bytes_of(row.try_get(4)?)?),
            }),
            None => None,
        };
        let Some(artifacts) = self.artifacts(tenant, source).await? else { return Ok(None) };
        Ok(Some(CachedCopy {
            source,
            task,
            result: row.try_get::<Option<&str>>(1)?.map(Arc::from),
            object,
            warnings: row.try_get::<Option<&str>>(5)?.map(Arc::from),
            artifacts,
        }))
    }

    /// Copies the objects and lets the copy name its own. `false`: one of them is gone, with its task.
    async fn copy_objects(&self, tenant: TenantId, copy: &mut CachedCopy) -> Result<bool, StoreError> {
        if let Some(object) = &mut copy.object {
            let key = ObjectKey::text_of_attempt(tenant, copy.task, NO_FENCE, "result.json");
            if !self.copy_object(&object.key, &key, object.sha256).await? {
                return Ok(false);
            }
            object.key = key;
        }
        for artifact in &mut copy.artifacts {
            let key = ObjectKey::artifact(tenant, copy.task, NO_FENCE, &artifact.name);
            if !self.copy_object(&artifact.key, &key, artifact.sha256).await? {
                return Ok(false);
            }
            artifact.key = key;
        }
        Ok(true)
    }

    /// Copies an object piece by piece. `false`: there is none.
    async fn copy_object(&self, from: &ObjectKey, to: &ObjectKey, sha256: Digest) -> Result<bool, StoreError> {
        let Some(mut reader) = self.objects().open(from).await? else { return Ok(false) };
        let mut writer = self.objects().create(to, reader.size_bytes()).await?;
        while let Some(bytes) = reader.chunk().await? {
            writer.write(&bytes).await?;
        }
        let (_, copied) = writer.finish().await?;
        if copied == sha256 {
            Ok(true)
        } else {
            Err(StoreError::corrupt(format!("object {from} is not what was stored")))
        }
    }
}
