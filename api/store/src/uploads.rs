//! Files that users send, in one request or by a signed URL, and for how long they are kept.

use crate::clock::{from_unix_ms, millis};
use crate::reading::bytes_of;
use crate::sql::{Row, query};
use crate::writer::Writer;
use crate::{ObjectKey, ObjectWriter, Store, StoreError};
use mecapy_model::{Digest, TenantId, UploadId};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// How long an upload waits for its bytes, or for its completion.
const AWAITED_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How long a complete upload is kept after it was sent, or after a task last named it.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// An upload to expect.
#[derive(Debug, Clone)]
pub struct NewUpload {
    pub name: Option<String>,
    pub content_type: Option<String>,
    pub bytes_max: u64,
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: UploadId,
    pub tenant: TenantId,
    pub name: Option<String>,
    pub content_type: Option<String>,
    pub state: UploadState,
    pub key: ObjectKey,
    /// 0 before the bytes are there.
    pub size_bytes: u64,
    /// Known once the bytes are there.
    pub sha256: Option<Digest>,
    pub bytes_max: u64,
    pub created_at: OffsetDateTime,
    /// Deleted after this time, unless a task that has not ended names it.
    pub expires_at: OffsetDateTime,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadState {
    /// The bytes are not there yet.
    Awaiting,
    /// The bytes are there; the client has not said that it is done.
    Received,
    /// A task may name it.
    Complete,
}

/// What a delete request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadDeleted {
    Yes,
    /// A task that has not ended names it.
    InUse,
    Missing,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum UploadError {
    #[error("no such upload")]
    Missing,
    #[error("the upload's bytes have not arrived")]
    NotReceived,
    #[error("the upload's bytes have arrived already")]
    AlreadyReceived,
    #[error("the upload is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for UploadError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { bytes_max, .. } => UploadError::TooLarge { bytes_max },
            error => UploadError::Store(error),
        }
    }
}

/// An upload whose bytes are arriving. Dropped before [`finish`](Self::finish), none of them stay.
#[derive(Debug)]
pub struct PendingUpload {
    store: Store,
    upload: Upload,
    writer: ObjectWriter,
    /// What the upload is when its bytes are there.
    then: UploadState,
}

impl Store {
    /// Starts an upload whose bytes the caller has at hand; it is complete when finished.
    pub async fn begin_upload(&self, tenant: TenantId, upload: NewUpload) -> Result<PendingUpload, StoreError> {
        let upload = self.reserve_upload(tenant, upload).await?;
        let writer = self.objects().create(&upload.key, upload.bytes_max).await?;
        Ok(PendingUpload { store: self.clone(), upload, writer, then: UploadState::Complete })
    }

    /// Expects an upload whose bytes come later, by a signed PUT to [`Upload::key`]; it stands for 24 hours.
    pub async fn reserve_upload(&self, tenant: TenantId, upload: NewUpload) -> Result<Upload, StoreError> {
        let (ms, random) = self.ids().next();
        let id = UploadId::from_parts(ms, &random);
        let now_ms = self.now_ms();
        let expires_ms = now_ms.saturating_add(millis(AWAITED_FOR));
        let upload = Upload {
            id,
            tenant,
            name: upload.name,
            content_type: upload.content_type,
            state: UploadState::Awaiting,
            key: ObjectKey::upload(tenant, id),
            size_bytes: 0,
            sha256: None,
            bytes_max: upload.bytes_max,
            created_at: from_unix_ms(now_ms),
            expires_at: from_unix_ms(expires_ms),
        };
        let row = upload.clone();
        self.write_rarely(async move |writer| {
            let sql = "INSERT INTO uploads (id, tenant, name, content_type, state, bytes_max, created_ms, expires_ms) \
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let query = query(sql)
                .bind(row.id)
                .bind(row.tenant)
                .bind(row.name.as_deref())
                .bind(row.content_type.as_deref())
                .bind(row.state.as_str())
                .bind(i64::try_from(row.bytes_max).unwrap_or(i64::MAX))
                .bind(now_ms)
                .bind(expires_ms);
            writer.run(query).await.map(drop)
        })
        .await?;
        Ok(upload)
    }

    /// The bytes of a reserved upload arrive. The caller has checked the signed URL; a second time is refused.
    pub async fn receive_upload(&self, key: &ObjectKey) -> Result<PendingUpload, UploadError> {
        let (tenant, id) = key.as_upload().ok_or(UploadError::Missing)?;
        let upload = self.upload(tenant, id).await?.ok_or(UploadError::Missing)?;
        if upload.state != UploadState::Awaiting {
            return Err(UploadError::AlreadyReceived);
        }
        let writer = self.objects().create(&upload.key, upload.bytes_max).await?;
        Ok(PendingUpload { store: self.clone(), upload, writer, then: UploadState::Received })
    }

    /// The client says that a reserved upload's bytes are all there. Again is fine.
    pub async fn complete_upload(&self, tenant: TenantId, id: UploadId) -> Result<Upload, UploadError> {
        let upload = self.upload(tenant, id).await?.ok_or(UploadError::Missing)?;
        match upload.state {
            UploadState::Awaiting => Err(UploadError::NotReceived),
            UploadState::Complete => Ok(upload),
            UploadState::Received => {
                self.write_rarely(async move |writer| {
                    let expires_ms = writer.now_ms.saturating_add(millis(KEPT_FOR));
                    let sql = "UPDATE uploads SET state = 'complete', expires_ms = ? \
                               WHERE id = ? AND state = 'received'";
                    let query = query(sql).bind(expires_ms).bind(id);
                    writer.run(query).await.map(drop)
                })
                .await?;
                self.upload(tenant, id).await?.ok_or(UploadError::Missing)
            }
        }
    }

    /// An upload of the tenant that has not expired.
    pub async fn upload(&self, tenant: TenantId, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let sql = "SELECT id, tenant, name, content_type, state, size_bytes, sha256, bytes_max, created_ms, expires_ms \
                   FROM uploads WHERE id = ? AND tenant = ? AND (expires_ms > ? OR state = 'complete')";
        let query = query(sql).bind(id).bind(tenant).bind(self.now_ms());
        query.fetch_optional(&mut self.reader(tenant).await?).await?.as_ref().map(read_upload).transpose()
    }

    /// A complete upload's file, open for reading, and its length in bytes. `None`: absent, another tenant's, or not
    /// complete yet.
    pub async fn open_upload(
        &self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<Option<(std::fs::File, u64)>, StoreError> {
        let Some(upload) = self.upload(tenant, id).await?.filter(|upload| upload.state == UploadState::Complete) else {
            return Ok(None);
        };
        let Some(reader) = self.objects().open(&upload.key).await? else { return Ok(None) };
        let bytes = reader.size_bytes();
        Ok(reader.into_std().map(|file| (file, bytes)))
    }

    /// The tenant's uploads, newest first, `limit` at most: all, or from the one after `after`.
    pub async fn uploads_after(
        &self,
        tenant: TenantId,
        after: Option<UploadId>,
        limit: u32,
    ) -> Result<Vec<Upload>, StoreError> {
        let before = after.map_or(Uuid::max(), |id| id.0);
        let sql = "SELECT id, tenant, name, content_type, state, size_bytes, sha256, bytes_max, created_ms, expires_ms \
                   FROM uploads WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?";
        let query = query(sql).bind(tenant).bind(before).bind(limit);
        query.fetch_all(&mut self.reader(tenant).await?).await?.iter().map(read_upload).collect()
    }

    /// Deletes an upload that no live task names.
    pub async fn delete_upload(&self, tenant: TenantId, id: UploadId) -> Result<UploadDeleted, StoreError> {
        let deleted = self
            .write_rarely(async move |writer| {
                let sql = "SELECT 1 FROM uploads WHERE id = ? AND tenant = ?";
                let query = query(sql).bind(id).bind(tenant);
                if query.fetch_optional(&mut writer.conn).await?.is_none() {
                    return Ok(UploadDeleted::Missing);
                }
                writer.delete_unused_upload(tenant, id).await
            })
            .await?;
        if deleted == UploadDeleted::Yes {
            self.sweep_objects().await;
        }
        Ok(deleted)
    }
}

impl PendingUpload {
    pub fn upload(&self) -> &Upload {
        &self.upload
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] once the upload would pass its limit.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        Ok(self.writer.write(bytes).await?)
    }

    /// Keeps what was written, durable when this returns.
    ///
    /// # Errors
    /// [`UploadError::AlreadyReceived`] where another request was faster, [`UploadError::Missing`] where it was deleted.
    pub async fn finish(self) -> Result<Upload, UploadError> {
        let Self { store, upload, mut writer, then } = self;
        let (tenant, id) = (upload.tenant, upload.id);
        writer.sync().await?;
        // One at a time from here, so that a second request can't put its bytes in the place of the first one's.
        let _turn = store.sweeping().lock().await;
        match store.upload(tenant, id).await? {
            Some(now) if now.state == UploadState::Awaiting => {}
            Some(_) => return Err(UploadError::AlreadyReceived),
            None => return Err(UploadError::Missing),
        }
        let (size_bytes, sha256) = writer.finish().await?;
        let changed = store
            .write_rarely(async move |writer| {
                let kept_for = if then == UploadState::Complete { KEPT_FOR } else { AWAITED_FOR };
                let expires_ms = writer.now_ms.saturating_add(millis(kept_for));
                let sql = "UPDATE uploads SET state = ?, size_bytes = ?, sha256 = ?, expires_ms = ? \
                           WHERE id = ? AND state = 'awaiting'";
                let query = query(sql)
                    .bind(then.as_str())
                    .bind(i64::try_from(size_bytes).unwrap_or(i64::MAX))
                    .bind(sha256.0.as_slice())
                    .bind(expires_ms)
                    .bind(id);
                writer.run(query).await
            })
            .await?;
        if changed == 0 {
            // It was deleted meanwhile, and nobody sweeps for what came after that.
            store.objects().delete(&upload.key).await?;
            return Err(UploadError::Missing);
        }
        store.upload(tenant, id).await?.ok_or(UploadError::Missing)
    }
}

impl UploadState {
    pub const fn as_str(self) -> &'static str {
        match self {
            UploadState::Awaiting => "awaiting",
            UploadState::Received => "received",
            UploadState::Complete => "complete",
        }
    }
}

impl Writer {
    /// A task names the upload: its time starts anew.
    pub(crate) async fn keep_upload(&mut self, upload: UploadId) -> Result<(), StoreError> {
        let expires_ms = self.now_ms.saturating_add(millis(KEPT_FOR));
        let sql = "UPDATE uploads SET expires_ms = CASE WHEN expires_ms < ?1 THEN ?1 ELSE expires_ms END WHERE id = ?2";
        self.run(query(sql).bind(expires_ms).bind(upload)).await.map(drop)
    }

    /// Deletes an upload's rows and dooms its object, unless a task that has not ended names it.
    pub(crate) async fn delete_unused_upload(
        &mut self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<UploadDeleted, StoreError> {
        let sql = "SELECT 1 FROM task_files f JOIN tasks t ON t.no = f.no \
                   WHERE f.upload = ? AND t.state IN ('queued', 'running') LIMIT 1";
        if query(sql).bind(id).fetch_optional(&mut self.conn).await?.is_some() {
            return Ok(UploadDeleted::InUse);
        }
        self.run(query("DELETE FROM task_files WHERE upload = ?").bind(id)).await?;
        self.run(query("DELETE FROM uploads WHERE id = ?").bind(id)).await?;
        self.doom_object(&ObjectKey::upload(tenant, id)).await?;
        Ok(UploadDeleted::Yes)
    }
}

fn read_upload(row: &Row) -> Result<Upload, StoreError> {
    let (id, tenant) = (UploadId(row.id(0)?), TenantId(row.id(1)?));
    let state = match row.try_get(4)? {
        "awaiting" => UploadState::Awaiting,
        "received" => UploadState::Received,
        "complete" => UploadState::Complete,
        other => return Err(StoreError::corrupt(format!("upload state {other:?}"))),
    };
    let sha256: Option<&[u8]> = row.try_get(6)?;
    Ok(Upload {
        id,
        tenant,
        name: row.try_get(2)?,
        content_type: row.try_get(3)?,
        state,
        key: ObjectKey::upload(tenant, id),
        size_bytes: u64::try_from(row.try_get::<i64>(5)?).unwrap_or(0),
        sha256: sha256.map(bytes_of).transpose()?.map(Digest),
        bytes_max: u64::try_from(row.try_get::<i64>(7)?).unwrap_or(0),
        created_at: from_unix_ms(row.try_get(8)?),
        expires_at: from_unix_ms(row.try_get(9)?),
    })
}
