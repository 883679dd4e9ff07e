//! Files by key in one folder, reached through a directory handle so that no key can lead out of it.
//!
//! Knows no row: which key belongs to whom is the database's business.

mod key;
mod reader;
mod writer;

pub use key::{InvalidObjectKey, ObjectKey};
pub use reader::ObjectReader;
pub use writer::ObjectWriter;

use crate::{Clock, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Where objects grow before they get their name; emptied at each start.
const TEMPORARY_FOLDER: &str = "tmp";
const FOLDER_MODE: u32 = 0o700;

/// The local object folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: Dir,
    clock: Arc<dyn Clock>,
}

impl Objects {
    /// Opens the folder and drops what an earlier process left half written. Blocks.
    pub(crate) fn open_folder(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let doing = || StoreError::io(format!("opening the objects' folder {}", path.display()));
        let folder = Dir::open_ambient_dir(path, ambient_authority()).map_err(doing())?;
        match folder.remove_dir_all(TEMPORARY_FOLDER) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(doing()(error)),
            _ => {}
        }
        make_folder(&folder, TEMPORARY_FOLDER).map_err(doing())?;
        Ok(Self { inner: Arc::new(Inner { folder, clock }) })
    }

    /// Starts an object of at most `bytes_max` bytes; nothing shows under `key` before [`ObjectWriter::finish`].
    pub async fn create(&self, key: &ObjectKey, bytes_max: u64) -> Result<ObjectWriter, StoreError> {
        let mut random = [0; 18];
        self.inner.clock.fill_random(&mut random);
        let temporary = format!("{TEMPORARY_FOLDER}/{}", URL_SAFE_NO_PAD.encode(random));
        ObjectWriter::create(self.clone(), key.clone(), temporary, bytes_max).await
    }

    /// Writes a whole object, durable when this returns.
    pub async fn put(&self, key: &ObjectKey, bytes: Vec<u8>) -> Result<(), StoreError> {
        let bytes_max = bytes.len() as u64;
        let mut writer = self.create(key, bytes_max).await?;
        writer.write(&bytes).await?;
        writer.finish().await.map(drop)
    }

    /// Opens an object for reading; `None` where there is none.
    pub async fn open(&self, key: &ObjectKey) -> Result<Option<ObjectReader>, StoreError> {
        ObjectReader::open(self.clone(), key.clone()).await
    }

    /// A whole object; `None` where there is none. For objects that are known to be small.
    pub async fn read(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StoreError> {
        let (objects, key) = (self.clone(), key.clone());
        blocking(move || match objects.inner.folder.read(key.as_str()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("reading object {key}"))(error)),
        })
        .await
    }

    /// Deletes an object and the folders it leaves empty; no object is no error.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let (objects, key) = (self.clone(), key.clone());
        blocking(move || objects.delete_now(&key)).await
    }

    /// Deletes every object under the folder `prefix` names; no such folder is no error.
    pub(crate) async fn delete_under(&self, prefix: &ObjectKey) -> Result<(), StoreError> {
        let (objects, prefix) = (self.clone(), prefix.clone());
        blocking(move || match objects.inner.folder.remove_dir_all(prefix.as_str()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::io(format!("deleting objects under {prefix}"))(error))
            }
            _ => Ok(()),
        })
        .await
    }

    fn delete_now(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let folder = &self.inner.folder;
        match folder.remove_file(key.as_str()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::io(format!("deleting object {key}"))(error));
            }
            _ => {}
        }
        for parent in key.parents() {
            // A folder that another object still uses stays: removing it fails, and that is right.
            if folder.remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Gives a finished temporary file its key, durably. Blocks.
    fn publish(&self, temporary: &str, key: &ObjectKey) -> std::io::Result<()> {
        let folder = &self.inner.folder;
        self.make_parents(key)?;
        match folder.rename(temporary, folder, key.as_str()) {
            // A deletion in the same folder took it away between the two steps.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_parents(key)?;
                folder.rename(temporary, folder, key.as_str())?;
            }
            other => other?,
        }
        self.sync(key.parents().next().unwrap_or("."))
    }

    fn make_parents(&self, key: &ObjectKey) -> std::io::Result<()> {
        let parents: Vec<&str> = key.parents().collect();
        let missing = parents.iter().position(|parent| self.inner.folder.is_dir(parent)).unwrap_or(parents.len());
        for (at, parent) in parents.iter().enumerate().take(missing).rev() {
            make_folder(&self.inner.folder, parent)?;
            self.sync(parents.get(at + 1).copied().unwrap_or("."))?;
        }
        Ok(())
    }

    fn sync(&self, folder: &str) -> std::io::Result<()> {
        self.inner.folder.open(folder)?.sync_all()
    }
}

fn make_folder(folder: &Dir, path: &str) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(FOLDER_MODE);
    match folder.create_dir_with(path, &builder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
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
