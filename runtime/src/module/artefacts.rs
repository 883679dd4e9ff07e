//! Compiled modules on disk: a folder that only this user can reach, each file checked before it is believed.
//!
//! A compiled module is native code, so nothing may be loaded that this program did not write. The folder's owner and
//! mode are checked when it is opened; each file ends in a digest over its content and its key, so that one that was
//! cut, changed or renamed is taken for missing.

use sha2::{Digest as _, Sha256};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

const EXTENSION: &str = "cwasm";
const TEMPORARY_PREFIX: &str = ".new-";
/// At the end of each file, before the digest.
const MARK: [u8; 8] = *b"mecapy\x001";
const DIGEST_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum ArtefactsError {
    #[error("can't use the folder {folder} for compiled modules")]
    Io { folder: PathBuf, source: io::Error },
    #[error(
        "the folder {folder} for compiled modules is open to others: it must be a folder of this user with mode 0700"
    )]
    NotPrivate { folder: PathBuf },
}

/// A folder of compiled modules, by key.
#[derive(Debug)]
pub struct Artefacts {
    folder: PathBuf,
    /// All files together, bytes; the longest unused go first.
    bytes_max: u64,
    names: AtomicU64,
}

impl Artefacts {
    /// Opens the folder, made with mode 0700 where it is missing; refuses one that others can reach.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Self, ArtefactsError> {
        let failed = |source| ArtefactsError::Io { folder: folder.to_owned(), source };
        match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let metadata = std::fs::symlink_metadata(folder).map_err(failed)?;
        // SAFETY: takes nothing and can't fail.
        let user = unsafe { libc::geteuid() };
        if !metadata.is_dir() || metadata.uid() != user || metadata.mode() & 0o077 != 0 {
            return Err(ArtefactsError::NotPrivate { folder: folder.to_owned() });
        }
        let artefacts = Self { folder: folder.to_owned(), bytes_max, names: AtomicU64::new(0) };
        artefacts.remove_unfinished();
        Ok(artefacts)
    }

    /// The code that was kept under `key`, or nothing where there is none, or none that can be believed.
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(self.path(key)?)
            .ok()?;
        let code = believed(&file, key);
        if code.is_some() {
            // The time of use, for `prune`. Where it can't be set the file only goes sooner.
            // SAFETY: the descriptor is open; a null pointer stands for the present time.
            unsafe { libc::futimens(file.as_raw_fd(), std::ptr::null()) };
        }
        code
    }

    /// Keeps `code` under `key`; a file of that name appears whole or not at all.
    pub fn write(&self, key: &str, code: &[u8]) -> io::Result<()> {
        let path = self.path(key).ok_or_else(|| io::Error::other("a key is made of digits, letters and hyphens"))?;
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id()));
        let written = write_new(&temporary, key, code).and_then(|()| std::fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written?;
        self.prune(&path);
        Ok(())
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain.then(|| self.folder.join(key).with_extension(EXTENSION))
    }

    /// Removes what was used longest ago until the rest fits; `newest` stays.
    fn prune(&self, newest: &Path) {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = self
            .files()
            .filter(|(_, _, path)| path.extension().is_some_and(|extension| extension == EXTENSION))
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files.iter().filter(|(_, _, path)| path != newest) {
            if total <= self.bytes_max {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                total = total.saturating_sub(*bytes);
            }
        }
    }

    /// Removes files that a process did not finish writing.
    fn remove_unfinished(&self) {
        for (_, _, path) in self.files() {
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes())) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Time of last use, bytes and path of each file. What can't be read is left out.
    fn files(&self) -> impl Iterator<Item = (SystemTime, u64, PathBuf)> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
    }
}

fn write_new(path: &Path, key: &str, code: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(code)?;
    file.write_all(&MARK)?;
    file.write_all(&seal(key, code))
}

/// The code in a file of ours whose seal is right.
fn believed(file: &File, key: &str) -> Option<Vec<u8>> {
    let metadata = file.metadata().ok()?;
    // SAFETY: takes nothing and can't fail.
    if !metadata.is_file() || metadata.uid() != unsafe { libc::geteuid() } {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    let mut file = file;
    file.read_to_end(&mut bytes).ok()?;
    let (rest, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
    let (code, mark) = rest.split_last_chunk::<8>()?;
    if *mark != MARK || *digest != seal(key, code) {
        return None;
    }
    let length = code.len();
    bytes.truncate(length);
    Some(bytes)
}

fn seal(key: &str, code: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update((key.len() as u64).to_le_bytes()).chain_update(key).chain_update(code).finalize().into()
}
