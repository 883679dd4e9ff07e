//! Files that a task produced: objects first, rows with the task's end.

use crate::reading::bytes_of;
use crate::sql::query;
use crate::writer::LostAttempt;
use crate::{ClaimRef, ObjectKey, Store, StoreError};
use mecapy_model::{Artifact, ArtifactName, Digest, TaskId, TenantId};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How much of a file is read at a time, bytes.
const CHUNK_BYTES: usize = 1 << 20;
/// How long the deletion of what lost attempts stored may take.
const LOST_OBJECTS_TIMEOUT: Duration = Duration::from_secs(5);

/// A file that a task produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredArtifact {
    pub name: ArtifactName,
    pub key: ObjectKey,
    pub size_bytes: u64,
    pub sha256: Digest,
    pub content_type: String,
}

/// A file that a task produced, as large as it likes: never whole in memory.
#[derive(Debug, Clone)]
pub struct ArtifactFile {
    pub name: ArtifactName,
    pub content_type: String,
    /// A regular file. It is read from its start, wherever it stands, to where it ends now.
    pub file: Arc<File>,
}

impl Store {
    /// Stores an attempt's files, durable when this returns. They show once [`finish`](Self::finish) is handed what
    /// this answers. After an error none of them stays.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] where the tenant may not store so much.
    pub async fn store_artifacts(
        &self,
        claim: &ClaimRef,
        artifacts: &[Artifact],
    ) -> Result<Vec<StoredArtifact>, StoreError> {
        self.store_files(claim, artifacts, &[]).await
    }

    /// The same with files that are copied piece by piece. The quota counts all of them together; it is the call for all
    /// that an attempt leaves, and may be repeated.
    ///
    /// # Errors
    /// As those of [`store_artifacts`](Self::store_artifacts), and [`StoreError::Io`] for a file that can't be read or
    /// has become shorter meanwhile.
    pub async fn store_files(
        &self,
        claim: &ClaimRef,
        artifacts: &[Artifact],
        files: &[ArtifactFile],
    ) -> Result<Vec<StoredArtifact>, StoreError> {
        let stored = self.write_files(claim, artifacts, files).await;
        if stored.is_err() {
            let lost = LostAttempt { tenant: claim.tenant, task: claim.task, fence: claim.fence };
            self.delete_lost_objects(vec![lost]).await;
        }
        stored
    }

    async fn write_files(
        &self,
        claim: &ClaimRef,
        artifacts: &[Artifact],
        files: &[ArtifactFile],
    ) -> Result<Vec<StoredArtifact>, StoreError> {
        let mut bytes: u64 = artifacts.iter().map(|artifact| artifact.bytes.len() as u64).sum();
        let mut sized = Vec::with_capacity(files.len());
        for file in files {
            let size = file.file.metadata().map_err(reading(&file.name))?.len();
            bytes = bytes.saturating_add(size);
            sized.push((file, size));
        }
        self.must_have_storage_room(claim.tenant, bytes).await?;
        let mut stored = Vec::with_capacity(artifacts.len() + files.len());
        for Artifact { name, content_type, bytes } in artifacts {
            let key = ObjectKey::artifact(claim.tenant, claim.task, claim.fence, name);
            let mut writer = self.objects().create(&key, bytes.len() as u64).await?;
            writer.write(bytes).await?;
            let (size_bytes, sha256) = writer.finish().await?;
            let content_type = (*content_type).to_owned();
            stored.push(StoredArtifact { name: name.clone(), key, size_bytes, sha256, content_type });
        }
        for (file, size) in sized {
            stored.push(self.copy_file(claim, file, size).await?);
        }
        Ok(stored)
    }

    async fn copy_file(
        &self,
        claim: &ClaimRef,
        artifact: &ArtifactFile,
        size: u64,
    ) -> Result<StoredArtifact, StoreError> {
        let ArtifactFile { name, content_type, file } = artifact;
        let key = ObjectKey::artifact(claim.tenant, claim.task, claim.fence, name);
        let mut writer = self.objects().create(&key, size).await?;
        while writer.size_bytes() < size {
            let (at, file) = (writer.size_bytes(), Arc::clone(file));
            let wanted = usize::try_from(size - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let failed = reading(name);
            let chunk = spawn_blocking(move || {
                let mut chunk = vec![0; wanted];
                file.read_exact_at(&mut chunk, at).map(|()| chunk)
            });
            let chunk = chunk.await.map_err(io::Error::other).and_then(|read| read).map_err(failed)?;
            writer.write(&chunk).await?;
        }
        let (size_bytes, sha256) = writer.finish().await?;
        Ok(StoredArtifact { name: name.clone(), key, size_bytes, sha256, content_type: content_type.clone() })
    }

    /// A task's files by name; `None`: no such task.
    pub async fn artifacts(&self, tenant: TenantId, task: TaskId) -> Result<Option<Vec<StoredArtifact>>, StoreError> {
        let sql = "SELECT a.name, a.object_key, a.size_bytes, a.sha256, a.content_type \
                   FROM tasks t LEFT JOIN artifacts a ON a.no = t.no WHERE t.tenant = ? AND t.id = ? ORDER BY a.name";
        let rows = query(sql).bind(tenant).bind(task).fetch_all(&mut self.reader(tenant).await?).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut artifacts = Vec::with_capacity(rows.len());
        for row in rows {
            // A task without files is one row without a name.
            let Some(name) = row.try_get::<Option<&str>>(0)? else { continue };
            artifacts.push(StoredArtifact {
                name: ArtifactName::parse(name).map_err(|error| StoreError::corrupt(error.to_string()))?,
                key: ObjectKey::parse(row.try_get(1)?).map_err(|error| StoreError::corrupt(error.to_string()))?,
                size_bytes: u64::try_from(row.try_get::<i64>(2)?).unwrap_or(0),
                sha256: Digest(bytes_of(row.try_get(3)?)?),
                content_type: row.try_get(4)?,
            });
        }
        Ok(Some(artifacts))
    }

    /// Deletes what lost attempts stored. What can't be deleted soon is left to the sweep of orphans: who calls has more
    /// to do than to wait for files.
    pub(crate) async fn delete_lost_objects(&self, lost: Vec<LostAttempt>) {
        let deleting = async {
            for LostAttempt { tenant, task, fence } in lost {
                let Err(error) = self.delete_attempt_objects(tenant, task, fence).await else { continue };
                tracing::warn!(task.id = %task, error = %error, cause = ?error, "what a lost attempt stored stays");
                if error.is_retryable() {
                    break;
                }
            }
        };
        if timeout(LOST_OBJECTS_TIMEOUT, deleting).await.is_err() {
            tracing::warn!("what lost attempts stored stays: the object store doesn't answer in time");
        }
    }

    /// Deletes what an attempt stored that will never be finished.
    pub(crate) async fn delete_attempt_objects(
        &self,
        tenant: TenantId,
        task: TaskId,
        fence: u64,
    ) -> Result<(), StoreError> {
        self.objects().delete_under(&ObjectKey::artifacts_of_attempt(tenant, task, fence)).await?;
        self.objects().delete_under(&ObjectKey::texts_of_attempt(tenant, task, fence)).await
    }
}

fn reading(name: &ArtifactName) -> impl FnOnce(io::Error) -> StoreError + use<> {
    StoreError::io(format!("reading the artifact {:?}", name.as_str()))
}
