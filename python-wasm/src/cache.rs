//! Where built interpreters are kept: a folder that only this user can write, everything in it named by digest.
//!
//! Compiled modules are native code, so what others own or could write is refused. Seals (BLAKE3, written beside what
//! they are of) find damage; they are no defence against somebody who can write here.

use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{path} belongs to another user or can be written by others: run `chmod go-w {path}`")]
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
        check_private(&folder)?;
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder in the cache, made where it is missing; refused where others could write it, or one that it is in.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf, CacheError> {
        let path = self.folder.join(name);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|source| io_error(&path, source))?;
        path.ancestors().take_while(|folder| *folder != self.folder.as_path()).try_for_each(check_private)?;
        Ok(path)
    }
}

/// Refuses a file or folder that another user owns or could write.
pub(crate) fn check_private(path: &Path) -> Result<(), CacheError> {
    let metadata = fs::metadata(path).map_err(|source| io_error(path, source))?;
    // SAFETY: no arguments, can't fail.
    let user = unsafe { libc::geteuid() };
    if metadata.uid() != user || metadata.mode() & 0o022 != 0 {
        return Err(CacheError::NotPrivate { path: path.display().to_string() });
    }
    Ok(())
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> CacheError {
    CacheError::Io { path: path.display().to_string(), source }
}

/// Writes a file whole or not at all: readers never see a half. Only this user can write it, whatever the umask.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
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

/// BLAKE3, as lower-case hexadecimal: quick enough to be taken of an image each time it is loaded.
pub(crate) fn seal_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The same of a file.
pub(crate) fn seal_of_file(path: &Path) -> Result<String, CacheError> {
    let mut hasher = blake3::Hasher::new();
    let file = fs::File::open(path).map_err(|source| io_error(path, source))?;
    hasher.update_reader(file).map_err(|source| io_error(path, source))?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn is_refused<T>(opened: Result<T, CacheError>) -> bool {
        matches!(opened, Err(CacheError::NotPrivate { .. }))
    }

    #[test]
    fn what_the_cache_makes_is_this_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        let made = cache.subfolder("python/1").unwrap();
        let file = made.join("a.memory");
        write_whole(&file, b"abc").unwrap();
        let modes = [mode_of(cache.folder()), mode_of(&made), mode_of(&file)];
        assert_eq!(modes, [0o700, 0o700, 0o600]);
        assert_eq!(fs::read(&file).unwrap(), b"abc");
    }

    #[test]
    fn what_others_could_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let made = cache.subfolder("python/1").unwrap();
        let file = made.join("a.cwasm");
        write_whole(&file, b"abc").unwrap();
        assert!(check_private(&file).is_ok());
        for mode in [0o660, 0o602] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert!(is_refused(check_private(&file)), "{mode:o}");
        }
        for (open, mode) in [(&made, 0o770), (&folder.path().join("python"), 0o707)] {
            fs::set_permissions(open, Permissions::from_mode(mode)).unwrap();
            assert!(is_refused(cache.subfolder("python/1")), "{mode:o}");
            fs::set_permissions(open, Permissions::from_mode(0o700)).unwrap();
        }
        assert!(cache.subfolder("python/1").is_ok());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(is_refused(Cache::open(folder.path())));
    }

    #[test]
    fn a_file_has_the_seal_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        write_whole(&file, b"abc").unwrap();
        assert_eq!(seal_of_file(&file).unwrap(), seal_of(b"abc"));
        assert_ne!(seal_of(b"abc"), seal_of(b"abd"));
    }
}
