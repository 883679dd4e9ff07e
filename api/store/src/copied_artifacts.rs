//! Artifacts as uploads, so that what one task produced is a file of another.

use crate::clock::{millis, unix_ms};
use crate::sql::query;
use crate::{NewUpload, Store, StoreError, UploadError};
use mecapy_model::{ArtifactName, TaskId, TenantId, UploadId};
use std::time::Duration;

/// A copy that expires sooner is made anew: who asks names it only after a while.
const KEPT_AT_LEAST: Duration = Duration::from_secs(3_600);

impl Store {
    /// A complete upload with the bytes of a task's artifact: a copy, which goes its own way when the task is deleted. One
    /// that was made before is answered again. `None`: there is no such task or artifact.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] where the tenant may not store so much.
    pub async fn upload_of_artifact(
        &self,
        tenant: TenantId,
        task: TaskId,
        name: &ArtifactName,
    ) -> Result<Option<UploadId>, StoreError> {
        let artifacts = self.artifacts(tenant, task).await?.unwrap_or_default();
        let Some(artifact) = artifacts.into_iter().find(|artifact| artifact.name == *name) else { return Ok(None) };
        let sql = "SELECT id FROM uploads WHERE copied_from = ? AND tenant = ? AND state = 'complete' \
                   AND expires_ms > ? ORDER BY id LIMIT 1";
        let until = unix_ms(self.now()).saturating_add(millis(KEPT_AT_LEAST));
        let earlier = query(sql).bind(artifact.key.as_str()).bind(tenant).bind(until);
        if let Some(row) = earlier.fetch_optional(&mut self.reader(tenant).await?).await? {
            return row.id(0).map(|id| Some(UploadId(id)));
        }
        let Some(mut reader) = self.objects().open(&artifact.key).await? else { return Ok(None) };
        // A file's name is the last part of an artifact's path.
        let file = name.as_str().rsplit('/').next().map(str::to_owned);
        let content_type = Some(artifact.content_type);
        let new = NewUpload { name: file, content_type, bytes_max: artifact.size_bytes };
        let mut pending = self.begin_upload(tenant, new).await?;
        while let Some(bytes) = reader.chunk().await? {
            pending.write(&bytes).await.map_err(store_error)?;
        }
        let id = pending.finish().await.map_err(store_error)?.id;
        let key = artifact.key;
        self.write_rarely(async move |writer| {
            let sql = "UPDATE uploads SET copied_from = ? WHERE id = ? AND tenant = ?";
            writer.run(query(sql).bind(key.as_str()).bind(id).bind(tenant)).await.map(drop)
        })
        .await?;
        Ok(Some(id))
    }
}

fn store_error(error: UploadError) -> StoreError {
    match error {
        UploadError::Store(error) => error,
        other => StoreError::corrupt(format!("the copy of an artifact: {other}")),
    }
}
