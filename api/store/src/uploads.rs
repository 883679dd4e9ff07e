//! Files that users send, in one request or by a signed URL, and for how long they are kept.

use crate::clock::{from_unix_ms, millis};
use crate::objects::Nonce;
use crate::reading::bytes_of;
use crate::sql::{Row, query};
use crate::writer::Writer;
use crate::{ObjectKey, ObjectReader, ObjectWriter, OverQuota, SpoolRoom, Store, StoreError};
use mecapy_model::{Digest, TenantId, UploadId};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
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
    /// Where the bytes are; before they are there, what a signed URL to send them to names.
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
    key: ObjectKey,
    writer: ObjectWriter,
    /// What the upload is when its bytes are there.
    then: UploadState,
    /// The quota that allows no more bytes.
    over_quota: Option<OverQuota>,
}

/// Uploads as open files, with their lengths in bytes.
#[derive(Debug)]
pub struct OpenUploads {
    /// Those that are there, complete and the tenant's.
    pub files: HashMap<UploadId, (Arc<File>, u64)>,
    /// To be held for as long as the files are.
    pub room: SpoolRoom,
}

impl Store {
    /// Starts an upload whose bytes the caller has at hand; it is complete when finished.
    pub async fn begin_upload(&self, tenant: TenantId, upload: NewUpload) -> Result<PendingUpload, StoreError> {
        let (upload, over_quota) = self.reserve(tenant, upload).await?;
        let pending = self.receive(upload, UploadState::Complete).await?;
        Ok(PendingUpload { over_quota, ..pending })
    }

    /// Expects an upload whose bytes come later, by a signed PUT to [`Upload::key`]; it stands for 24 hours. It may have
    /// no more bytes than the tenant may store now.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] where that is none.
    pub async fn reserve_upload(&self, tenant: TenantId, upload: NewUpload) -> Result<Upload, StoreError> {
        self.reserve(tenant, upload).await.map(|(upload, _)| upload)
    }

    async fn reserve(&self, tenant: TenantId, upload: NewUpload) -> Result<(Upload, Option<OverQuota>), StoreError> {
        let (bytes_max, over_quota) = self.storage_room(tenant, upload.bytes_max).await?;
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
            bytes_max,
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
        Ok((upload, over_quota))
    }

    /// The bytes of a reserved upload arrive. The caller has checked the signed URL; a second time is refused.
    pub async fn receive_upload(&self, key: &ObjectKey) -> Result<PendingUpload, UploadError> {
        let (tenant, id) = key.as_upload().ok_or(UploadError::Missing)?;
        let upload = self.upload(tenant, id).await?.ok_or(UploadError::Missing)?;
        if upload.state != UploadState::Awaiting {
            return Err(UploadError::AlreadyReceived);
        }
        Ok(self.receive(upload, UploadState::Received).await?)
    }

    /// Each request that sends bytes gets a key of its own, so that none overwrites what another one sent.
    async fn receive(&self, upload: Upload, then: UploadState) -> Result<PendingUpload, StoreError> {
        let key = ObjectKey::sent(upload.tenant, upload.id, Nonce::new(&**self.clock()));
        let writer = self.objects().create(&key, upload.bytes_max).await?;
        Ok(PendingUpload { store: self.clone(), upload, key, writer, then, over_quota: None })
    }

    /// The client says that a reserved upload's bytes are all there. Again is fine. What was sent straight to an object
    /// store is copied now, measured and hashed on the way: a URL that still works reaches the copy no more.
    pub async fn complete_upload(&self, tenant: TenantId, id: UploadId) -> Result<Upload, UploadError> {
        let upload = self.upload(tenant, id).await?.ok_or(UploadError::Missing)?;
        match upload.state {
            UploadState::Awaiting if self.objects().takes_bytes_directly() => self.seal_upload(upload).await,
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
        let sql = "SELECT id, tenant, name, content_type, state, size_bytes, sha256, bytes_max, created_ms, expires_ms, \
                   object_key FROM uploads WHERE id = ? AND tenant = ? AND (expires_ms > ? OR state = 'complete')";
        let query = query(sql).bind(id).bind(tenant).bind(self.now_ms());
        query.fetch_optional(&mut self.reader(tenant).await?).await?.as_ref().map(read_upload).transpose()
    }

    async fn seal_upload(&self, upload: Upload) -> Result<Upload, UploadError> {
        let (tenant, id) = (upload.tenant, upload.id);
        let incoming = ObjectKey::incoming(tenant, id);
        let sealed = match self.objects().open(&incoming).await? {
            Some(reader) => self.copy_incoming(upload, reader).await,
            None => Err(UploadError::NotReceived),
        };
        match &sealed {
            Err(UploadError::NotReceived | UploadError::AlreadyReceived) => {
                // Where another request to complete it was faster, it is complete.
                let now = self.upload(tenant, id).await?.filter(|now| now.state == UploadState::Complete);
                return now.ok_or(UploadError::NotReceived);
            }
            Ok(_) | Err(UploadError::TooLarge { .. }) => {
                if let Err(error) = self.objects().delete(&incoming).await {
                    tracing::warn!(upload.id = %id, %error, "what was sent for an upload stays until the next sweep");
                }
            }
            Err(UploadError::Missing | UploadError::Store(_)) => {}
        }
        sealed
    }

    async fn copy_incoming(&self, upload: Upload, mut reader: ObjectReader) -> Result<Upload, UploadError> {
        if reader.size_bytes() > upload.bytes_max {
            return Err(UploadError::TooLarge { bytes_max: upload.bytes_max });
        }
        let mut pending = self.receive(upload, UploadState::Complete).await?;
        while let Some(bytes) = reader.chunk().await? {
            pending.write(&bytes).await?;
        }
        pending.finish().await
    }

    /// Opens uploads for reading. Waits where they are copied first and there is no room for it yet.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] where there is never so much room.
    pub async fn open_uploads(&self, tenant: TenantId, ids: HashSet<UploadId>) -> Result<OpenUploads, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.upload(tenant, id).await?.filter(|upload| upload.state == UploadState::Complete));
        }
        let bytes = found.iter().fold(0, |sum: u64, upload| sum.saturating_add(upload.size_bytes));
        let mut open = OpenUploads { files: HashMap::new(), room: self.objects().spool_room(bytes).await? };
        for upload in found {
            let sha256 = upload.sha256.ok_or_else(|| StoreError::corrupt("a complete upload without its digest"))?;
            if let Some((file, bytes)) = self.objects().open_file(&upload.key, sha256, &mut open.room).await? {
                open.files.insert(upload.id, (Arc::new(file), bytes));
            }
        }
        Ok(open)
    }

    /// The tenant's uploads, newest first, `limit` at most: all, or from the one after `after`.
    pub async fn uploads_after(
        &self,
        tenant: TenantId,
        after: Option<UploadId>,
        limit: u32,
    ) -> Result<Vec<Upload>, StoreError> {
        let before = after.map_or(Uuid::max(), |id| id.0);
        let sql = "SELECT id, tenant, name, content_type, state, size_bytes, sha256, bytes_max, created_ms, expires_ms, \
                   object_key FROM uploads WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?";
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
    /// [`UploadError::TooLarge`] once the upload would pass its limit, [`StoreError::OverQuota`] where that is what the
    /// tenant may store.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        match (self.writer.write(bytes).await, self.over_quota) {
            (Err(StoreError::TooLarge { .. }), Some(over)) => Err(StoreError::OverQuota(over).into()),
            (written, _) => Ok(written?),
        }
    }

    /// Keeps what was written, durable when this returns.
    ///
    /// # Errors
    /// [`UploadError::AlreadyReceived`] where another request was faster, [`UploadError::Missing`] where it was deleted,
    /// [`StoreError::OverQuota`] where the tenant may not store so much; then it is deleted.
    pub async fn finish(self) -> Result<Upload, UploadError> {
        let Self { store, upload, key, writer, then, .. } = self;
        let (tenant, id) = (upload.tenant, upload.id);
        let (size_bytes, sha256) = writer.finish().await?;
        let named = key.clone();
        let changed = store
            .write_rarely(async move |writer| {
                if let Some(over) = writer.over_storage(tenant, size_bytes).await? {
                    writer.delete_unused_upload(tenant, id).await?;
                    return Ok(Err(over));
                }
                let kept_for = if then == UploadState::Complete { KEPT_FOR } else { AWAITED_FOR };
                let expires_ms = writer.now_ms.saturating_add(millis(kept_for));
                let sql = "UPDATE uploads SET state = ?, object_key = ?, size_bytes = ?, sha256 = ?, expires_ms = ? \
                           WHERE id = ? AND state = 'awaiting'";
                let query = query(sql)
                    .bind(then.as_str())
                    .bind(named.as_str())
                    .bind(i64::try_from(size_bytes).unwrap_or(i64::MAX))
                    .bind(sha256.0.as_slice())
                    .bind(expires_ms)
                    .bind(id);
                writer.run(query).await.map(Ok)
            })
            .await?;
        let changed = match changed {
            Ok(changed) => changed,
            Err(over) => {
                store.objects().delete(&key).await?;
                store.sweep_objects().await;
                return Err(StoreError::OverQuota(over).into());
            }
        };
        let now = store.upload(tenant, id).await?;
        if changed == 0 {
            // Another request was faster, or it was deleted: no row names these bytes.
            store.objects().delete(&key).await?;
            return Err(now.map_or(UploadError::Missing, |_| UploadError::AlreadyReceived));
        }
        now.ok_or(UploadError::Missing)
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
        let deleted = query("DELETE FROM uploads WHERE id = ? RETURNING object_key").bind(id);
        let deleted = deleted.fetch_optional(&mut self.conn).await?;
        let named = deleted.as_ref().map(|row| key_of(row, 0)).transpose()?.flatten();
        // Of an upload that was awaited an object store may have the bytes.
        self.doom_object(&named.unwrap_or_else(|| ObjectKey::incoming(tenant, id))).await?;
        Ok(UploadDeleted::Yes)
    }
}

fn key_of(row: &Row, at: usize) -> Result<Option<ObjectKey>, StoreError> {
    let key = row.try_get::<Option<&str>>(at)?.map(ObjectKey::parse).transpose();
    key.map_err(|error| StoreError::corrupt(error.to_string()))
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
        key: key_of(row, 10)?.unwrap_or_else(|| ObjectKey::upload(tenant, id)),
        size_bytes: u64::try_from(row.try_get::<i64>(5)?).unwrap_or(0),
        sha256: sha256.map(bytes_of).transpose()?.map(Digest),
        bytes_max: u64::try_from(row.try_get::<i64>(7)?).unwrap_or(0),
        created_at: from_unix_ms(row.try_get(8)?),
        expires_at: from_unix_ms(row.try_get(9)?),
    })
}
