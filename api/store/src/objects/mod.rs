//! Bytes by key, in a local folder or in a bucket of an S3 store: the same behaviour from both.
//!
//! An object shows under its key whole or not at all. Knows no row: which key belongs to whom is the database's
//! business.

mod address;
mod folder;
mod key;
mod link;
mod listing;
mod probe;
mod reader;
mod s3;
mod spool;
mod sweep;
#[cfg(test)]
mod tests;
mod texts;
mod writer;

pub use address::{InvalidObjectsAddress, ObjectsAddress, S3Address, S3Credentials};
pub use key::{InvalidObjectKey, ObjectKey};
pub(crate) use key::{Nonce, Owner};
pub use link::{Download, Link};
pub use listing::{Listing, ObjectInfo};
pub use reader::ObjectReader;
pub use spool::SpoolRoom;
pub use sweep::Swept;
pub use texts::{LOG_INLINE_BYTES_MAX, RESULT_INLINE_BYTES_MAX, StoredText};
pub use writer::ObjectWriter;

use crate::folder::make_private;
use crate::signer::{Grant, Method, Signer};
use crate::{Clock, StoreError, Upload};
use folder::{Folder, Walk};
use mecapy_model::Digest;
use reader::Open;
use s3::{Pages, Patience, S3};
use spool::Spool;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use writer::Growing;

/// The longest that a URL to read by works: it can't be taken back.
const GET_LIFETIME_MAX: Duration = Duration::from_secs(3_600);
/// The longest that a URL to write by works.
const PUT_LIFETIME_MAX: Duration = Duration::from_secs(15 * 60);
/// The largest object that is read whole, in bytes.
const READ_BYTES_MAX: u64 = 256 << 20;
/// So many objects that can't be deleted, and none that can, mean that the store takes no deletion at all.
const KEPT_MAX: usize = 3;

/// Where objects are kept, and what opening them needs.
#[derive(Debug, Clone)]
pub struct ObjectsOptions {
    pub address: ObjectsAddress,
    /// For a bucket.
    pub credentials: Option<S3Credentials>,
    /// A private folder for copies of a bucket's objects that a sandbox reads; made where it is missing.
    pub spool_folder: PathBuf,
    /// What these copies may take together, in bytes. A task that reads more fails; 4 GiB is usual.
    pub spool_bytes_max: u64,
}

/// Where objects are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Backend,
    signer: Signer,
    clock: Arc<dyn Clock>,
    spool: Spool,
}

#[derive(Debug)]
enum Backend {
    Folder(Folder),
    S3(S3),
}

impl Backend {
    fn open(
        address: ObjectsAddress,
        credentials: Option<&S3Credentials>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        match address {
            ObjectsAddress::Folder(path) => Ok(Backend::Folder(Folder::open(&path)?)),
            ObjectsAddress::S3(address) => {
                let credentials = credentials.ok_or_else(|| StoreError::ObjectStore {
                    doing: "opening the object store".to_owned(),
                    place: address.place(),
                    why: "there are no credentials: an access key id and a secret access key are needed".to_owned(),
                    retryable: false,
                })?;
                Ok(Backend::S3(S3::new(&address, credentials, Patience::default(), Arc::clone(clock))))
            }
        }
    }
}

impl Objects {
    /// Opens the folder, or makes the client of the bucket, which asks nothing yet (see [`ping`](Self::ping)). Blocks.
    pub fn connect(options: ObjectsOptions, signer: Signer, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let ObjectsOptions { address, credentials, spool_folder, spool_bytes_max } = options;
        make_private(match &address {
            ObjectsAddress::Folder(path) => path,
            ObjectsAddress::S3(_) => &spool_folder,
        })?;
        let backend = Backend::open(address, credentials.as_ref(), &clock)?;
        Ok(Self::over(backend, Spool::new(spool_folder, spool_bytes_max), signer, clock))
    }

    fn over(backend: Backend, spool: Spool, signer: Signer, clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::new(Inner { backend, signer, clock, spool }) }
    }

    /// Drops what an earlier process left half written in the folder; no other process may be writing there.
    pub(crate) async fn drop_unfinished(&self) -> Result<(), StoreError> {
        match &self.inner.backend {
            Backend::Folder(folder) => folder.drop_unfinished(None).await.map(drop),
            Backend::S3(_) => Ok(()),
        }
    }

    /// Whether objects can be had: the bucket is there and takes the credentials.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.inner.backend {
            Backend::Folder(_) => Ok(()),
            Backend::S3(s3) => s3.ping().await,
        }
    }

    /// Starts an object of at most `bytes_max` bytes; nothing shows under `key` before [`ObjectWriter::finish`].
    pub async fn create(&self, key: &ObjectKey, bytes_max: u64) -> Result<ObjectWriter, StoreError> {
        let growing = match &self.inner.backend {
            Backend::Folder(folder) => Growing::Folder(folder.create(key, &*self.inner.clock).await?),
            Backend::S3(s3) => Growing::S3(s3.create(key)),
        };
        Ok(ObjectWriter::new(growing, bytes_max))
    }

    /// Writes a whole object, durable when this returns; answers its size in bytes and its digest.
    pub async fn put(&self, key: &ObjectKey, bytes: Vec<u8>) -> Result<(u64, Digest), StoreError> {
        let mut writer = self.create(key, bytes.len() as u64).await?;
        writer.write(&bytes).await?;
        drop(bytes);
        writer.finish().await
    }

    /// Opens an object for reading; `None` where there is none.
    pub async fn open(&self, key: &ObjectKey) -> Result<Option<ObjectReader>, StoreError> {
        let open = match &self.inner.backend {
            Backend::Folder(folder) => folder.open_object(key).await?.map(Open::Folder),
            Backend::S3(s3) => s3.open_object(key).await?.map(|reader| Open::S3(Box::new(reader))),
        };
        Ok(open.map(ObjectReader))
    }

    /// A whole object; `None` where there is none. For objects that are known to be small.
    pub async fn read(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StoreError> {
        if let Backend::Folder(folder) = &self.inner.backend {
            return folder.read(key).await;
        }
        let Some(mut reader) = self.open(key).await? else { return Ok(None) };
        let size = usize::try_from(reader.size_bytes()).ok().filter(|size| *size as u64 <= READ_BYTES_MAX);
        let too_large = StoreError::TooLarge { what: "the object", bytes_max: READ_BYTES_MAX };
        let mut bytes = Vec::with_capacity(size.ok_or(too_large)?);
        while let Some(chunk) = reader.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// What is said of an object; `None` where there is none.
    pub async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, StoreError> {
        match &self.inner.backend {
            Backend::Folder(folder) => folder.head(key).await,
            Backend::S3(s3) => s3.head(key).await,
        }
    }

    /// Deletes an object; no object is no error.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        match &self.inner.backend {
            Backend::Folder(folder) => folder.delete(key).await,
            Backend::S3(s3) => s3.delete(key).await,
        }
    }

    /// Deletes objects; those that are not there are no error.
    pub async fn delete_all(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        match &self.inner.backend {
            Backend::Folder(folder) => {
                for key in keys {
                    folder.delete(key).await?;
                }
                Ok(())
            }
            Backend::S3(s3) => s3.delete_all(keys).await,
        }
    }

    /// Deletes of some objects those that can be deleted, and answers them: one that can't keeps no other. Gives up where
    /// it looks as if none could.
    pub(crate) async fn delete_each(&self, keys: Vec<ObjectKey>) -> Result<Vec<ObjectKey>, StoreError> {
        let Err(error) = self.delete_all(&keys).await else { return Ok(keys) };
        tracing::warn!(%error, cause = ?error, "objects could not be deleted together: each is tried alone");
        let (mut gone, mut kept) = (Vec::new(), 0);
        for key in keys {
            match self.delete_all(std::slice::from_ref(&key)).await {
                Ok(()) => gone.push(key),
                Err(error) if gone.is_empty() && kept == KEPT_MAX => return Err(error),
                Err(error) => {
                    tracing::warn!(object.key = %key, %error, cause = ?error, "an object can't be deleted");
                    kept += 1;
                }
            }
        }
        Ok(gone)
    }

    /// Deletes every object whose key begins with `prefix` and a slash.
    pub async fn delete_under(&self, prefix: &ObjectKey) -> Result<(), StoreError> {
        match &self.inner.backend {
            Backend::Folder(folder) => folder.delete_under(prefix).await,
            Backend::S3(s3) => s3.delete_under(prefix).await,
        }
    }

    /// The objects whose keys begin with `prefix` and a slash, in the order of their keys.
    pub fn list_under(&self, prefix: &ObjectKey) -> Listing {
        match &self.inner.backend {
            Backend::Folder(folder) => Listing::of_folder(Walk::under(folder, prefix)),
            Backend::S3(s3) => Listing::of_s3(Pages::under(s3, prefix)),
        }
    }

    /// Waits for room for copies of so many bytes, which [`open_file`](Self::open_file) takes from it.
    pub async fn spool_room(&self, bytes: u64) -> Result<SpoolRoom, StoreError> {
        match &self.inner.backend {
            Backend::Folder(_) => Ok(SpoolRoom::default()),
            Backend::S3(_) => self.inner.spool.enter(bytes).await,
        }
    }

    /// An object as an open file at its start, and its length in bytes; `None` where there is none. What comes over a
    /// network is copied to the spool folder first and must be the bytes of `digest`.
    pub async fn open_file(
        &self,
        key: &ObjectKey,
        digest: Digest,
        room: &mut SpoolRoom,
    ) -> Result<Option<(std::fs::File, u64)>, StoreError> {
        let Some(reader) = self.open(key).await? else { return Ok(None) };
        match reader.0 {
            Open::Folder(reader) => {
                let bytes = reader.size_bytes();
                Ok(reader.into_std().map(|file| (file, bytes)))
            }
            Open::S3(_) => self.inner.spool.copy(key, reader, digest, room).await.map(Some),
        }
    }

    /// A URL to read the object by, for `lifetime`, an hour at most.
    pub async fn link_get(
        &self,
        key: &ObjectKey,
        download: Download<'_>,
        lifetime: Duration,
    ) -> Result<Link, StoreError> {
        let lifetime = lifetime.min(GET_LIFETIME_MAX);
        match &self.inner.backend {
            Backend::Folder(_) => Ok(self.local_link(Method::Get, key, None, lifetime)),
            Backend::S3(s3) => s3.presign_get(key, download, lifetime).await.map(Link::Absolute),
        }
    }

    /// A URL to send an upload's bytes by, for `lifetime`, 15 minutes at most. The object store's own takes exactly the
    /// size that was announced, under the incoming key; without one only this platform can hold the bytes to a limit.
    pub async fn link_put(
        &self,
        upload: &Upload,
        announced_bytes: Option<u64>,
        lifetime: Duration,
    ) -> Result<Link, StoreError> {
        let lifetime = lifetime.min(PUT_LIFETIME_MAX);
        match (&self.inner.backend, announced_bytes) {
            (Backend::S3(s3), Some(size_bytes)) => {
                let incoming = ObjectKey::incoming(upload.tenant, upload.id);
                s3.presign_put(&incoming, size_bytes, lifetime).await.map(Link::Absolute)
            }
            _ => {
                let address = ObjectKey::upload(upload.tenant, upload.id);
                Ok(self.local_link(Method::Put, &address, Some(upload.bytes_max), lifetime))
            }
        }
    }

    /// Whether clients may send bytes straight to where the objects are.
    pub(crate) fn takes_bytes_directly(&self) -> bool {
        matches!(self.inner.backend, Backend::S3(_))
    }

    fn local_link(&self, method: Method, key: &ObjectKey, bytes_max: Option<u64>, lifetime: Duration) -> Link {
        let expires_at = self.inner.clock.now() + lifetime;
        let query = self.inner.signer.sign(&Grant { method, key: key.clone(), expires_at, bytes_max });
        Link::Local(format!("{key}?{query}"))
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::Closed),
    }
}
