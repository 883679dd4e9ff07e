//! Where built interpreters are kept: a folder that only this user can write, everything in it named by digest.
//!
//! Compiled modules are native code, so a folder that others could write is refused.

use sha2::{Digest, Sha256};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("the cache folder {path} belongs to another user or can be written by others: run `chmod go-w {path}`")]
    NotPrivate { path: String },
    #[error("can't use {path}")]
    Io { path: String, source: io::Error },
}

/// A private folder for interpreters.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the folder, and makes it (mode 0700) where it is missing.
    pub fn open(folder: &Path) -> Result<Self, CacheError> {
        let fail = |source| CacheError::Io { path: folder.display().to_string(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
        let folder = folder.canonicalize().map_err(fail)?;
        let metadata = fs::metadata(&folder).map_err(fail)?;
        // SAFETY: no arguments, can't fail.
        let user = unsafe { libc::geteuid() };
        if metadata.uid() != user || metadata.mode() & 0o022 != 0 {
            return Err(CacheError::NotPrivate { path: folder.display().to_string() });
        }
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder in the cache, made where it is missing.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf, CacheError> {
        let path = self.folder.join(name);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|source| io_error(&path, source))?;
        Ok(path)
    }
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> CacheError {
    CacheError::Io { path: path.display().to_string(), source }
}

/// Writes a file whole or not at all: readers never see a half.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    let write = || {
        fs::write(&part, bytes)?;
        fs::File::open(&part)?.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&part);
        io_error(path, source)
    })
}

/// SHA-256 over all parts, each preceded by its length, as lower-case hexadecimal.
pub(crate) fn digest_of(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hexadecimal(&hasher.finalize())
}

/// SHA-256, as lower-case hexadecimal.
pub(crate) fn digest_of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of a file, as lower-case hexadecimal.
pub(crate) fn digest_of_file(path: &Path) -> Result<String, CacheError> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path).map_err(|source| io_error(path, source))?;
    io::copy(&mut file, &mut hasher).map_err(|source| io_error(path, source))?;
    Ok(hexadecimal(&hasher.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
