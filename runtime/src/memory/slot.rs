//! One address-space slot: maps an image privately, grows, and is reset page by page.

use super::{
    DISCARDED_REGIONS_MAX, HUGE_GROWTH_BYTES, MemoryImage, PAGE_BYTES, RESIDENT_PAGES_MAX,
    contents::{Access, Contents, Mappings, Piece},
    pagemap::{Pagemap, Scan},
};
use std::{io, ptr::NonNull};

/// A reserved address range, its first bytes a private mapping of an image.
#[derive(Debug)]
pub(super) struct Slot {
    base: NonNull<u8>,
    reserved_bytes: usize,
    /// Accessible from the base.
    accessible_bytes: usize,
    /// Pages from here on were never accessible since they were last given back.
    touched_bytes: usize,
    /// From here on the kernel may use huge pages.
    huge_from: Option<usize>,
    /// What the image was mapped with, beyond the one mapping of a plain one.
    _mappings: Option<Mappings>,
    /// The image's further pieces were copied in: pages that are given back would show the first piece alone.
    is_copy: bool,
}

// SAFETY: the range belongs to this slot alone; who owns the slot owns the range.
unsafe impl Send for Slot {}
// SAFETY: `&Slot` gives no access to the memory.
unsafe impl Sync for Slot {}

impl Slot {
    /// Reserves a range and maps the image at its start.
    pub(super) fn map(image: &MemoryImage, reserved_bytes: usize) -> io::Result<Self> {
        let reserved_bytes = reserved_bytes.max(image.bytes()).next_multiple_of(PAGE_BYTES);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new inaccessible mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), reserved_bytes, libc::PROT_NONE, flags, -1, 0) };
        let base = match NonNull::new(base.cast::<u8>()) {
            Some(pointer) if base != libc::MAP_FAILED => pointer,
            _ => return Err(io::Error::last_os_error()),
        };
        let (accessible_bytes, touched_bytes) = (image.bytes(), image.bytes());
        let (huge_from, is_copy) = (None, false);
        let mut slot =
            Self { base, reserved_bytes, accessible_bytes, touched_bytes, huge_from, _mappings: None, is_copy };
        // Huge pages would make small runs pay for 2 MiB of zeroes.
        slot.advise_from(0, libc::MADV_NOHUGEPAGE);
        match image.files() {
            Some(contents) => slot.show(contents).map(|()| slot),
            None => Ok(slot),
        }
    }

    /// Maps the image's pieces at the start of a new range.
    fn show(&mut self, contents: &Contents) -> io::Result<()> {
        let Some((first, others)) = contents.pieces().split_first() else { return Ok(()) };
        if first.bytes < self.accessible_bytes {
            // What no piece covers is zero.
            self.protect(first.bytes, self.accessible_bytes, libc::PROT_READ | libc::PROT_WRITE)?;
        }
        self.show_piece(first)?;
        match contents.slot_mappings() {
            Some(mappings) => {
                self._mappings = Some(mappings);
                others.iter().try_for_each(|piece| self.show_piece(piece))
            }
            None => {
                self.is_copy = true;
                others.iter().for_each(|piece| self.copy(contents.as_slice(), piece.at, piece.at + piece.bytes));
                Ok(())
            }
        }
    }

    fn show_piece(&self, piece: &Piece) -> io::Result<()> {
        // SAFETY: replaces bytes at the start of the range that this slot reserved, which nobody else uses yet. Pieces end
        // before the image does, and the range is no shorter than the image.
        unsafe { piece.map(self.base, Access::PrivateCopies) }
    }

    /// Whether a reset puts the slot back to its image: one that was copied in is for one run.
    pub(super) fn can_be_reset(&self) -> bool {
        !self.is_copy
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    pub(super) fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    pub(super) fn accessible_bytes(&self) -> usize {
        self.accessible_bytes
    }

    /// Makes the first `bytes` accessible; what is new reads as zero.
    pub(super) fn grow_to(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.reserved_bytes || !bytes.is_multiple_of(PAGE_BYTES) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if bytes > self.accessible_bytes {
            if bytes - self.accessible_bytes >= HUGE_GROWTH_BYTES && self.huge_from.is_none() {
                // All that follows, so that a run that grows by turns cuts the range once and no more.
                self.advise_from(self.accessible_bytes, libc::MADV_HUGEPAGE);
                self.huge_from = Some(self.accessible_bytes);
            }
            self.protect(self.accessible_bytes, bytes, libc::PROT_READ | libc::PROT_WRITE)?;
            self.accessible_bytes = bytes;
            self.touched_bytes = self.touched_bytes.max(bytes);
        }
        Ok(())
    }

    /// Puts the slot back to its image. On an error the slot must not be used again.
    pub(super) fn reset(&mut self, image: &MemoryImage) -> io::Result<()> {
        if self.is_copy {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if let Some(from) = self.huge_from.take() {
            self.discard(from, self.accessible_bytes)?;
            self.advise_from(from, libc::MADV_NOHUGEPAGE);
        }
        match image.pagemap() {
            Some(pagemap) => self.reset_private_pages(image, pagemap)?,
            None => self.discard(0, self.accessible_bytes)?,
        }
        if self.touched_bytes > self.accessible_bytes {
            // An earlier, larger run left zeroes resident there, which this run's scan did not count.
            self.discard(self.accessible_bytes, self.touched_bytes)?;
        }
        self.touched_bytes = self.accessible_bytes;
        if self.accessible_bytes > image.bytes() {
            self.protect(image.bytes(), self.accessible_bytes, libc::PROT_NONE)?;
            self.accessible_bytes = image.bytes();
        }
        Ok(())
    }

    /// Restores in place the regions that fit into what an idle slot keeps resident, and gives the others back.
    fn reset_private_pages(&self, image: &MemoryImage, pagemap: &Pagemap) -> io::Result<()> {
        let base = self.base() as usize;
        let (mut kept_pages, mut discarded_regions) = (0, 0);
        pagemap.scan_private(base, base + self.accessible_bytes, |from, to| {
            let (from, to) = (from - base, to - base);
            // What is given back isn't resident, so it doesn't count: a large region leaves the room to those after it.
            let kept_with_this = kept_pages + (to - from) / PAGE_BYTES;
            if kept_with_this <= RESIDENT_PAGES_MAX {
                kept_pages = kept_with_this;
                self.copy(image.contents(), from, to);
                return Ok(Scan::GoOn);
            }
            discarded_regions += 1;
            if discarded_regions > DISCARDED_REGIONS_MAX {
                self.discard(from, self.accessible_bytes)?;
                return Ok(Scan::Stop);
            }
            self.discard(from, to)?;
            Ok(Scan::GoOn)
        })
    }

    /// Overwrites `[from, to)` with the same bytes of `pristine`, and with zeroes beyond its end.
    fn copy(&self, pristine: &[u8], from: usize, to: usize) {
        let pristine = pristine.get(from..to.min(pristine.len())).unwrap_or_default();
        // SAFETY: `[from, to)` lies within the accessible bytes, which this slot owns and no store uses now; `pristine` is a
        // view of the image, another mapping, so the two don't overlap.
        unsafe {
            let page = self.base().add(from);
            std::ptr::copy_nonoverlapping(pristine.as_ptr(), page, pristine.len());
            std::ptr::write_bytes(page.add(pristine.len()), 0, to - from - pristine.len());
        }
    }

    /// Gives private pages back to the kernel: the image's page, or zeroes, show again.
    fn discard(&self, from: usize, to: usize) -> io::Result<()> {
        // SAFETY: a range of our own slot that no store uses any more.
        let done = unsafe { libc::madvise(self.base().add(from).cast(), to - from, libc::MADV_DONTNEED) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Says what pages the kernel may use from there on. It may have no others: then nothing changes.
    fn advise_from(&self, from: usize, advice: libc::c_int) {
        // SAFETY: advice for a part of the range that we own, which changes none of its bytes.
        unsafe { libc::madvise(self.base().add(from).cast(), self.reserved_bytes - from, advice) };
    }

    fn protect(&self, from: usize, to: usize, protection: libc::c_int) -> io::Result<()> {
        // SAFETY: `[from, to)` lies within the reservation, which this slot owns.
        let done = unsafe { libc::mprotect(self.base().add(from).cast(), to - from, protection) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the whole range reserved in `map`; whoever held a pointer into it gave the slot back first.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.reserved_bytes) };
    }
}
