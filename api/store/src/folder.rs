//! The data folder: made private, held by one process at a time, and its small secret files.

use crate::{Clock, StoreError};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "mecapy.lock";
const DATABASE_FILE: &str = "mecapy.db";
const SIGNING_KEY_FILE: &str = "signing.key";
const ADMIN_KEY_FILE: &str = "admin.key";
const OBJECTS_FOLDER: &str = "objects";
const SPOOL_FOLDER: &str = "spool";
/// Folders are the owner's alone.
const FOLDER_MODE: u32 = 0o700;
/// Files are the owner's alone.
const FILE_MODE: u32 = 0o600;
/// The longest process number that a lock file is read for, in bytes.
const PID_BYTES_MAX: u64 = 20;
const SIGNING_KEY_BYTES: usize = 32;

/// The folder with everything durable; the process's lock on it lasts as long as this value.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    /// Where one process has the folder to itself.
    _lock: Option<File>,
}

impl DataFolder {
    /// Makes the folder where it is missing (mode 0700) and locks it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] names the process that holds it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        make_folder(path)?;
        let lock_path = path.join(LOCK_FILE);
        let doing = || StoreError::io(format!("locking {}", lock_path.display()));
        let mut lock = private_file().read(true).open(&lock_path).map_err(doing())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { folder: path.to_owned(), pid: read_pid(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(doing()(error)),
        }
        lock.set_len(0).map_err(doing())?;
        lock.write_all(std::process::id().to_string().as_bytes()).map_err(doing())?;
        Ok(Self { path: path.to_owned(), _lock: Some(lock) })
    }

    /// Makes the folder where it is missing, for several processes that keep their rows elsewhere.
    pub(crate) fn open_shared(path: &Path) -> Result<Self, StoreError> {
        make_folder(path)?;
        Ok(Self { path: path.to_owned(), _lock: None })
    }

    /// The database file, made with mode 0600 (SQLite gives its side files the same mode).
    pub(crate) fn database_file(&self) -> Result<PathBuf, StoreError> {
        let path = self.path.join(DATABASE_FILE);
        private_file().open(&path).map_err(StoreError::io(format!("opening {}", path.display())))?;
        sync_folder(&self.path)?;
        Ok(path)
    }

    /// The database file of a folder that is not opened; `None` where there is none.
    pub(crate) fn database_in(data: &Path) -> Option<PathBuf> {
        let path = data.join(DATABASE_FILE);
        path.exists().then_some(path)
    }

    /// Where objects are kept unless another place is named.
    pub(crate) fn objects_folder(data: &Path) -> PathBuf {
        data.join(OBJECTS_FOLDER)
    }

    /// Where copies of objects are that are kept elsewhere.
    pub(crate) fn spool_folder(data: &Path) -> PathBuf {
        data.join(SPOOL_FOLDER)
    }

    pub(crate) fn admin_key_file(&self) -> PathBuf {
        self.path.join(ADMIN_KEY_FILE)
    }

    /// The key that signs URLs and cursors: made at the first start, the same ever after.
    pub(crate) fn signing_key(&self, clock: &dyn Clock) -> Result<[u8; SIGNING_KEY_BYTES], StoreError> {
        let path = self.path.join(SIGNING_KEY_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => bytes.try_into().map_err(|_| {
                StoreError::corrupt(format!("{} does not hold a {SIGNING_KEY_BYTES}-byte key", path.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = [0; SIGNING_KEY_BYTES];
                clock.fill_random(&mut key);
                write_private(&path, &key)?;
                Ok(key)
            }
            Err(error) => Err(StoreError::io(format!("reading {}", path.display()))(error)),
        }
    }
}

/// Replaces a file whole (mode 0600), so that a power loss leaves the old or the new content.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let doing = || StoreError::io(format!("writing {}", path.display()));
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(doing()(error)),
        _ => {}
    }
    let mut file = private_file().create_new(true).open(&new).map_err(doing())?;
    file.write_all(bytes).map_err(doing())?;
    file.sync_all().map_err(doing())?;
    std::fs::rename(&new, path).map_err(doing())?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes a folder that is the owner's alone where it is missing, for good.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    make_folder(path)?;
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    let doing = StoreError::io(format!("making the folder {}", path.display()));
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path).map_err(doing)
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let doing = StoreError::io(format!("flushing the folder {}", path.display()));
    File::open(path).and_then(|folder| folder.sync_all()).map_err(doing)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE_MODE);
    options
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_holder_is_refused_and_told_who_holds_it() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("data");
        let held = DataFolder::open(&path).unwrap();
        let error = DataFolder::open(&path).unwrap_err();
        assert!(matches!(&error, StoreError::Locked { pid: Some(pid), .. } if *pid == std::process::id()));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn what_is_made_is_private_and_the_signing_key_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let folder = DataFolder::open(&path).unwrap();
        let clock = crate::SystemClock::new().unwrap();
        let key = folder.signing_key(&clock).unwrap();
        assert_eq!(folder.signing_key(&clock).unwrap(), key);
        let database = folder.database_file().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&database), mode(&path.join(SIGNING_KEY_FILE))), (0o700, 0o600, 0o600));
        std::fs::write(path.join(SIGNING_KEY_FILE), b"short").unwrap();
        assert!(matches!(folder.signing_key(&clock), Err(StoreError::Corrupt { .. })));
    }
}
