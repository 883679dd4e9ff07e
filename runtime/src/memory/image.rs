//! What a linear memory holds before a run, and the pool of slots that hold it.

use super::{IDLE_MAX, IDLE_SLOTS_KEPT, IDLE_SLOTS_MAX, PAGE_BYTES, pagemap::Pagemap, slot::Slot};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd},
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("a memory image must be a whole number of 64 KiB WebAssembly pages below 4 GiB, not {bytes} bytes")]
    Size { bytes: u64 },
    #[error("can't make a memory file")]
    MemoryFile(#[source] io::Error),
    #[error("can't map a memory image")]
    Map(#[source] io::Error),
    #[error("can't read a memory image")]
    Read(#[source] io::Error),
}

const WASM_PAGE_BYTES: u64 = 65_536;

/// The pristine contents of a linear memory in a sealed memory file, and the slots that map it privately.
#[derive(Debug)]
pub struct MemoryImage {
    contents: Option<Contents>,
    bytes: usize,
    pub(super) pagemap: Option<Pagemap>,
    /// Those that were used last are at the back, and are used first.
    pub(super) idle: Mutex<VecDeque<Idle>>,
}

/// A slot that waits for its next run.
#[derive(Debug)]
pub(super) struct Idle {
    slot: Slot,
    since: Instant,
}

/// The sealed file and a read-only view of it.
#[derive(Debug)]
struct Contents {
    file: File,
    view: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the view is read-only memory of a sealed file, valid until drop; sharing it is sharing a `&[u8]`.
unsafe impl Send for Contents {}
// SAFETY: as above.
unsafe impl Sync for Contents {}

impl MemoryImage {
    /// The image of memories that start all zero.
    pub(super) fn empty() -> Self {
        Self { contents: None, bytes: 0, pagemap: Pagemap::open(), idle: Mutex::default() }
    }

    /// An image with these contents, a whole number of 64 KiB pages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Arc<Self>, ImageError> {
        Self::read_from(bytes, bytes.len() as u64)
    }

    /// An image read from `source`, `bytes` long.
    pub fn read_from(mut source: impl Read, bytes: u64) -> Result<Arc<Self>, ImageError> {
        if bytes == 0 || !bytes.is_multiple_of(WASM_PAGE_BYTES) || bytes >= 4 << 30 {
            return Err(ImageError::Size { bytes });
        }
        let contents = Contents::read_from(&mut source, bytes as usize)?;
        let image =
            Self { contents: Some(contents), bytes: bytes as usize, pagemap: Pagemap::open(), idle: Mutex::default() };
        Ok(Arc::new(image))
    }

    /// Length, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The pristine contents.
    pub fn contents(&self) -> &[u8] {
        self.contents.as_ref().map_or(&[], Contents::as_slice)
    }

    pub(super) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.contents.as_ref().map(|contents| contents.file.as_fd())
    }

    pub(super) fn pagemap(&self) -> Option<&Pagemap> {
        self.pagemap.as_ref()
    }

    /// An idle slot of at least this reservation, or a new one.
    pub(super) fn take_slot(&self, reserved_bytes: usize) -> io::Result<Slot> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
        match idle {
            Some(Idle { slot, .. }) if slot.reserved_bytes() >= reserved_bytes => Ok(slot),
            _ => Slot::map(self, reserved_bytes),
        }
    }

    /// Takes back a slot that was reset completely. One that is too many is unmapped, and so is one that has been idle
    /// for long: one at a time, so that no run pays for a whole burst's.
    pub(super) fn give_back(&self, slot: Slot, now: Instant) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |idle: &Idle| now.saturating_duration_since(idle.since) > IDLE_MAX;
        let old =
            if idle.len() >= IDLE_SLOTS_KEPT && idle.front().is_some_and(is_old) { idle.pop_front() } else { None };
        let surplus = if idle.len() < IDLE_SLOTS_MAX {
            idle.push_back(Idle { slot, since: now });
            None
        } else {
            Some(slot)
        };
        // Unmapping takes a while, in which others need not wait.
        drop(idle);
        drop((old, surplus));
    }
}

impl Contents {
    fn read_from(source: &mut impl Read, bytes: usize) -> Result<Self, ImageError> {
        // SAFETY: a plain system call with a constant name; the descriptor is checked before it is owned.
        let descriptor =
            unsafe { libc::memfd_create(c"mecapy-image".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if descriptor < 0 {
            return Err(ImageError::MemoryFile(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        let mut file = unsafe { File::from_raw_fd(descriptor) };
        file.set_len(bytes as u64).map_err(ImageError::MemoryFile)?;
        let copied = io::copy(&mut source.take(bytes as u64), &mut file).map_err(ImageError::Read)?;
        if copied != bytes as u64 {
            return Err(ImageError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        file.flush().map_err(ImageError::MemoryFile)?;
        let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        // SAFETY: sealing a descriptor that we own.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(ImageError::MemoryFile(io::Error::last_os_error()));
        }
        // SAFETY: a new shared read-only mapping of a sealed file of exactly `bytes`.
        let view =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        match NonNull::new(view.cast::<u8>()) {
            Some(pointer) if view != libc::MAP_FAILED => Ok(Self { file, view: pointer, bytes }),
            _ => Err(ImageError::Map(io::Error::last_os_error())),
        }
    }

    fn as_slice(&self) -> &[u8] {
        // SAFETY: `view` maps `bytes` readable bytes of a sealed file until `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.view.as_ptr(), self.bytes) }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `read_from`, of this length; slots map the file on their own.
        unsafe { libc::munmap(self.view.as_ptr().cast(), self.bytes) };
    }
}

const _: () = assert!((WASM_PAGE_BYTES as usize).is_multiple_of(PAGE_BYTES));
