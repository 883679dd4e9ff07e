//! How long the disk takes to keep something.

use crate::{load::milliseconds, samples::Samples};
use anyhow::Result;
use std::{
    ffi::CString,
    fs::File,
    io::Write,
    mem::MaybeUninit,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    time::Instant,
};

const FLUSHES: usize = 200;
const PAGE_BYTES: usize = 8 << 10;
/// As PostgreSQL's log: written once beforehand, so that a flush need not wait for the file's own record.
const FILE_BYTES: usize = 16 << 20;

/// Flushes of one page each to a file in this folder, milliseconds.
pub(super) fn flush_times(folder: &Path) -> Result<Samples> {
    let mut file: File = tempfile::tempfile_in(folder)?;
    file.write_all(&vec![0; FILE_BYTES])?;
    file.sync_all()?;
    let page = [1; PAGE_BYTES];
    let mut times = Vec::with_capacity(FLUSHES);
    for number in 0..FLUSHES {
        let started = Instant::now();
        file.write_all_at(&page, (number * PAGE_BYTES) as u64)?;
        file.sync_data()?;
        times.push(milliseconds(started.elapsed()));
    }
    Ok(Samples::new(times))
}

/// The folder for temporary files, or another one where that is in memory.
pub(super) fn folder_on_disk() -> Result<PathBuf> {
    let usual = std::env::temp_dir();
    Ok(if is_in_memory(&usual)? { PathBuf::from("/var/tmp") } else { usual })
}

fn is_in_memory(folder: &Path) -> Result<bool> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let mut system = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path is a C string, and the call fills the structure where it answers 0.
    let system = unsafe {
        if libc::statfs(path.as_ptr(), system.as_mut_ptr()) != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        system.assume_init()
    };
    Ok(system.f_type == libc::TMPFS_MAGIC)
}
