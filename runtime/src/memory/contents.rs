//! What an image's memory holds: pieces of sealed memory files, and a read-only view of them put together.

use super::{ImageError, PAGE_BYTES};
use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, FromRawFd},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Mappings that all images of several pieces, and their slots, may have together. A Linux process has 65 530; an image of
/// one piece takes 3 for a slot, these some 60.
const MAPPINGS_MAX: usize = 24_576;

/// The process's own.
pub(super) static MAPPINGS: MappingBudget = MappingBudget::new(MAPPINGS_MAX);

/// Counts mappings against a ceiling.
#[derive(Debug)]
pub(super) struct MappingBudget {
    used: AtomicUsize,
    max: usize,
}

/// Mappings taken from a budget; given back on drop.
#[derive(Debug)]
pub(super) struct Mappings {
    budget: &'static MappingBudget,
    count: usize,
}

impl MappingBudget {
    pub(super) const fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max }
    }

    fn take(&'static self, count: usize) -> Option<Mappings> {
        let within = |used: usize| used.checked_add(count).filter(|total| *total <= self.max);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, within);
        taken.ok().map(|_| Mappings { budget: self, count })
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

impl Drop for Mappings {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.count, Ordering::AcqRel);
    }
}

/// A memory file that nobody can change any more.
#[derive(Debug)]
pub(super) struct SealedFile {
    file: File,
    bytes: usize,
}

impl SealedFile {
    /// A file of `bytes`, all of which `fill` writes.
    pub(super) fn new(
        bytes: usize,
        fill: impl FnOnce(&mut File) -> Result<(), ImageError>,
    ) -> Result<Arc<Self>, ImageError> {
        // SAFETY: a plain system call with a constant name; the descriptor is checked before it is owned.
        let descriptor =
            unsafe { libc::memfd_create(c"mecapy-image".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if descriptor < 0 {
            return Err(ImageError::MemoryFile(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        let mut file = unsafe { File::from_raw_fd(descriptor) };
        file.set_len(bytes as u64).map_err(ImageError::MemoryFile)?;
        fill(&mut file)?;
        file.flush().map_err(ImageError::MemoryFile)?;
        let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        // SAFETY: sealing a descriptor that we own.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(ImageError::MemoryFile(io::Error::last_os_error()));
        }
        Ok(Arc::new(Self { file, bytes }))
    }
}

/// A range of an image, in whole pages, that shows a range of a file.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Offset in the image.
    pub(super) at: usize,
    pub(super) bytes: usize,
    pub(super) file: Arc<SealedFile>,
    /// Offset in the file.
    pub(super) offset: usize,
}

/// Whether a mapping's pages are its own once they are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    PrivateCopies,
}

impl Piece {
    /// Puts the piece into its place of the range that begins at `base`, over what is mapped there.
    ///
    /// # Safety
    /// The caller owns `[base + at, base + at + bytes)`, and nobody uses it.
    pub(super) unsafe fn map(&self, base: NonNull<u8>, access: Access) -> io::Result<()> {
        let (protection, sharing) = match access {
            Access::ReadOnly => (libc::PROT_READ, libc::MAP_SHARED),
            Access::PrivateCopies => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE),
        };
        let flags = sharing | libc::MAP_FIXED;
        let (file, offset) = (self.file.file.as_raw_fd(), self.offset as libc::off_t);
        // SAFETY: replaces a range that is the caller's, by its promise; the file is as long as the piece needs.
        let mapped =
            unsafe { libc::mmap(base.as_ptr().add(self.at).cast(), self.bytes, protection, flags, file, offset) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The pieces of an image, later ones over earlier ones, and a read-only view of the whole.
#[derive(Debug)]
pub(super) struct Contents {
    pieces: Vec<Piece>,
    view: NonNull<u8>,
    bytes: usize,
    budget: &'static MappingBudget,
    _mappings: Mappings,
}

// SAFETY: the view is read-only memory of sealed files, valid until drop; sharing it is sharing a `&[u8]`.
unsafe impl Send for Contents {}
// SAFETY: as above.
unsafe impl Sync for Contents {}

impl Contents {
    /// Puts pieces together to an image of `bytes`; what no piece covers is zero.
    pub(super) fn new(pieces: Vec<Piece>, bytes: usize, budget: &'static MappingBudget) -> Result<Self, ImageError> {
        let fits = |piece: &Piece| {
            piece.at + piece.bytes <= bytes
                && piece.offset + piece.bytes <= piece.file.bytes
                && [piece.at, piece.bytes, piece.offset].iter().all(|length| length.is_multiple_of(PAGE_BYTES))
        };
        if !pieces.iter().all(fits) {
            return Err(ImageError::Size { bytes: bytes as u64 });
        }
        let mappings = budget.take(mappings_of(&pieces)).ok_or(ImageError::Mappings)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new read-only mapping at an address of the kernel's choice.
        let view = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, flags, -1, 0) };
        let view = match NonNull::new(view.cast::<u8>()) {
            Some(pointer) if view != libc::MAP_FAILED => pointer,
            _ => return Err(ImageError::Map(io::Error::last_os_error())),
        };
        let contents = Self { pieces, view, bytes, budget, _mappings: mappings };
        for piece in &contents.pieces {
            // SAFETY: the piece lies within the range that was just mapped, which nobody uses yet.
            unsafe { piece.map(view, Access::ReadOnly) }.map_err(ImageError::Map)?;
        }
        Ok(contents)
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The mappings that a slot of this image needs beyond those of a plain one: `None` where the process has no more.
    pub(super) fn slot_mappings(&self) -> Option<Mappings> {
        self.budget.take(mappings_of(&self.pieces))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        // SAFETY: `view` maps `bytes` readable bytes, which nobody can write, until `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.view.as_ptr(), self.bytes) }
    }
}

/// Each further piece may cut one mapping in two.
fn mappings_of(pieces: &[Piece]) -> usize {
    2 * pieces.len().saturating_sub(1)
}

impl Drop for Contents {
    fn drop(&mut self) {
        // SAFETY: the range mapped in `new`, of this length; slots map the files on their own.
        unsafe { libc::munmap(self.view.as_ptr().cast(), self.bytes) };
    }
}
