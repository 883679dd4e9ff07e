//! Objects as files in one folder, reached through a directory handle so that no key can lead out of it.

mod reader;
mod walk;
mod writer;

pub(super) use reader::FolderReader;
pub(super) use walk::Walk;
pub(super) use writer::FolderWriter;

use super::{ObjectInfo, ObjectKey, blocking};
use crate::{Clock, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, File, Metadata, MetadataExt};
use cap_std::time::SystemTime;
use std::io::ErrorKind;
use std::os::unix::fs::fchown;
use std::path::Path;
use std::sync::Arc;
use time::OffsetDateTime;

/// Where objects grow before they get their name.
const TEMPORARY_FOLDER: &str = "tmp";
const FOLDER_MODE: u32 = 0o700;
/// How often an object is named again whose folder was deleted under it.
const PUBLISH_TRIES: u32 = 20;

/// A folder of objects. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: Arc<Dir>,
    /// User and group whose the folder is.
    owner: (u32, u32),
}

impl Folder {
    /// Opens the folder. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let doing = || StoreError::io(format!("opening the objects' folder {}", path.display()));
        let root = Dir::open_ambient_dir(path, ambient_authority()).map_err(doing())?;
        let metadata = root.dir_metadata().map_err(doing())?;
        let folder = Self { root: Arc::new(root), owner: (metadata.uid(), metadata.gid()) };
        folder.make_folder(TEMPORARY_FOLDER).map_err(doing())?;
        Ok(folder)
    }

    /// Deletes what was half written and not touched since `before`, or all of it; answers how much there was.
    pub(super) async fn drop_unfinished(&self, before: Option<OffsetDateTime>) -> Result<u64, StoreError> {
        let root = Arc::clone(&self.root);
        blocking(move || {
            let failed = || StoreError::io("deleting what was half written");
            let mut dropped = 0;
            for entry in root.read_dir(TEMPORARY_FOLDER).map_err(failed())? {
                let entry = entry.map_err(failed())?;
                // A file that is gone by now was finished or given up.
                let touched = entry.metadata().and_then(|metadata| metadata.modified());
                let old = |at: SystemTime| before.is_none_or(|before| OffsetDateTime::from(at.into_std()) < before);
                if touched.is_ok_and(old) && entry.remove_file().is_ok() {
                    dropped += 1;
                }
            }
            Ok(dropped)
        })
        .await
    }

    pub(super) async fn create(&self, key: &ObjectKey, clock: &dyn Clock) -> Result<FolderWriter, StoreError> {
        let mut random = [0; 18];
        clock.fill_random(&mut random);
        let temporary = format!("{TEMPORARY_FOLDER}/{}", URL_SAFE_NO_PAD.encode(random));
        FolderWriter::create(self.clone(), key.clone(), temporary).await
    }

    pub(super) async fn open_object(&self, key: &ObjectKey) -> Result<Option<FolderReader>, StoreError> {
        FolderReader::open(self.clone(), key.clone()).await
    }

    pub(super) async fn read(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StoreError> {
        let (root, key) = (Arc::clone(&self.root), key.clone());
        blocking(move || match root.read(key.as_str()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("reading object {key}"))(error)),
        })
        .await
    }

    pub(super) async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, StoreError> {
        let (root, key) = (Arc::clone(&self.root), key.clone());
        blocking(move || match root.symlink_metadata(key.as_str()) {
            Ok(metadata) => Ok(info_of(&key, &metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("looking for object {key}"))(error)),
        })
        .await
    }

    pub(super) async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let (folder, key) = (self.clone(), key.clone());
        blocking(move || folder.delete_now(&key)).await
    }

    pub(super) async fn delete_under(&self, prefix: &ObjectKey) -> Result<(), StoreError> {
        let (root, prefix) = (Arc::clone(&self.root), prefix.clone());
        blocking(move || match root.remove_dir_all(prefix.as_str()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::io(format!("deleting objects under {prefix}"))(error))
            }
            _ => Ok(()),
        })
        .await
    }

    fn delete_now(&self, key: &ObjectKey) -> Result<(), StoreError> {
        match self.root.remove_file(key.as_str()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::io(format!("deleting object {key}"))(error));
            }
            _ => {}
        }
        for parent in key.parents() {
            // A folder that another object still uses stays: removing it fails, and that is right.
            if self.root.remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Gives a finished temporary file its key, durably. Blocks.
    fn publish(&self, temporary: &str, key: &ObjectKey) -> std::io::Result<()> {
        for _ in 1..PUBLISH_TRIES {
            match self.name(temporary, key) {
                // A deletion nearby took away a folder that was empty still.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                ended => return ended,
            }
        }
        self.name(temporary, key)
    }

    fn name(&self, temporary: &str, key: &ObjectKey) -> std::io::Result<()> {
        self.make_parents(key)?;
        self.root.rename(temporary, &self.root, key.as_str())?;
        self.sync(key.parents().next().unwrap_or("."))
    }

    fn make_parents(&self, key: &ObjectKey) -> std::io::Result<()> {
        let parents: Vec<&str> = key.parents().collect();
        let missing = parents.iter().position(|parent| self.root.is_dir(parent)).unwrap_or(parents.len());
        for (at, parent) in parents.iter().enumerate().take(missing).rev() {
            self.make_folder(parent)?;
            self.sync(parents.get(at + 1).copied().unwrap_or("."))?;
        }
        Ok(())
    }

    fn sync(&self, folder: &str) -> std::io::Result<()> {
        self.root.open(folder)?.sync_all()
    }

    fn make_folder(&self, path: &str) -> std::io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.mode(FOLDER_MODE);
        match self.root.create_dir_with(path, &builder) {
            Ok(()) => self.give(&self.root.open(path)?),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lets what this process has made belong to the folder's owner. Processes that share a folder may be different
    /// users: a worker with containers is root, who may give things away, and its servers are not.
    fn give(&self, made: &File) -> std::io::Result<()> {
        let (user, group) = self.owner;
        if made.metadata()?.uid() == user {
            return Ok(());
        }
        match fchown(made, Some(user), Some(group)) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            given => given,
        }
    }
}

/// What is said of a file; `None` where it is none.
fn info_of(key: &ObjectKey, metadata: &Metadata) -> Option<ObjectInfo> {
    let modified_at = metadata.modified().map_or(OffsetDateTime::UNIX_EPOCH, |time| time.into_std().into());
    metadata.is_file().then(|| ObjectInfo { key: key.clone(), size_bytes: metadata.len(), modified_at })
}
