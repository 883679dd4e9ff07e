//! The data folder and the cache folder: who may read them, and how much room there is.

use super::check::Check;
use crate::{commands::terminal::bytes, config::Settings};
use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

/// Room for tasks, results and artifacts, bytes.
const DATA_BYTES_MIN: u64 = 1 << 30;
/// The wheel, the compiled interpreter and its images take about so much, bytes.
const CACHE_BYTES_MIN: u64 = 1_500 << 20;
/// Anybody but the owner.
const OTHERS: u32 = 0o077;

pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let (data, cache) = (&settings.data_dir, &settings.cache_dir);
    vec![
        rights(data),
        room("data folder's disk", data, DATA_BYTES_MIN),
        room("cache folder's disk", cache, CACHE_BYTES_MIN),
    ]
}

fn rights(folder: &Path) -> Check {
    const NAME: &str = "data folder";
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return Check::fail(NAME, format!("{shown} is not a folder"), "name another with --data-dir"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Check::info(NAME, format!("{shown} will be made at the first start"));
        }
        Err(error) => return Check::fail(NAME, format!("{shown}: {error}"), "let this user read it"),
    };
    if let Err(error) = may_write(folder) {
        return Check::fail(NAME, format!("{shown} can't be written: {error}"), "let this user write it");
    }
    let key = folder.join("admin.key");
    if fs::metadata(&key).is_ok_and(|key| key.mode() & OTHERS != 0) {
        return Check::fail(
            NAME,
            format!("{} can be read by others", key.display()),
            format!("chmod 600 {}", key.display()),
        );
    }
    if metadata.mode() & OTHERS != 0 {
        return Check::warn(NAME, format!("{shown} is open to others"), format!("chmod 700 {shown}"));
    }
    Check::ok(NAME, format!("{shown} is this user's alone"))
}

fn room(name: &'static str, folder: &Path, bytes_min: u64) -> Check {
    // What is not there yet will be made in the nearest folder that is.
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    match free_bytes(existing) {
        Err(error) => Check::warn(name, format!("{}: {error}", existing.display()), "look at the disk"),
        Ok(free) if free < bytes_min => {
            Check::warn(name, format!("{} free", bytes(free)), format!("make room: {} are needed", bytes(bytes_min)))
        }
        Ok(free) => Check::ok(name, format!("{} free", bytes(free))),
    }
}

/// Whether this user may make files in `folder`.
fn may_write(folder: &Path) -> io::Result<()> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: the path ends with a zero byte.
    match unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Bytes that this user may still write where `path` is.
fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut status = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero byte, and `status` has room for what the call writes.
    if unsafe { libc::statvfs(path.as_ptr(), status.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled `status`.
    let status = unsafe { status.assume_init() };
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::{super::check::Status, *};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn rights_that_are_too_wide_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set(folder.path(), 0o700);
        assert_eq!(rights(folder.path()).status, Status::Ok);
        set(folder.path(), 0o755);
        assert_eq!(rights(folder.path()).status, Status::Warn);
        let key = folder.path().join("admin.key");
        fs::write(&key, "key").unwrap();
        set(&key, 0o644);
        assert_eq!(rights(folder.path()).status, Status::Fail);
        assert_eq!(rights(&key).status, Status::Fail);
        assert_eq!(rights(&folder.path().join("none")).status, Status::Info);
    }

    #[test]
    fn room_is_measured_where_the_folder_will_be() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(folder.path()).unwrap() > 0);
        assert_eq!(room("disk", &folder.path().join("a/b"), 1).status, Status::Ok);
        assert_eq!(room("disk", folder.path(), u64::MAX).status, Status::Warn);
    }
}
