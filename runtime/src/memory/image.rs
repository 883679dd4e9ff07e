//! What a linear memory holds before a run, and the pool of slots that hold it.

use super::{
    Delta, IdleSlots,
    contents::{Contents, MAPPINGS, MappingBudget, Piece, SealedFile},
    pagemap::Pagemap,
    slot::Slot,
};
use std::{
    collections::VecDeque,
    io::{self, BufWriter, Read, Write},
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
    #[error("changed pages of an image of {delta_bytes} bytes can't be put over one of {base_bytes} bytes")]
    Base { delta_bytes: usize, base_bytes: usize },
    #[error("this process has as many memory mappings as it may: keep fewer warm images")]
    Mappings,
}

const WASM_PAGE_BYTES: u64 = 65_536;
/// What is written to a memory file at a time, bytes.
const WRITE_BYTES: usize = 1 << 20;

/// The pristine contents of a linear memory in sealed memory files, and the slots that map them privately.
#[derive(Debug)]
pub struct MemoryImage {
    contents: Option<Contents>,
    bytes: usize,
    own_bytes: usize,
    pub(super) pagemap: Option<Pagemap>,
    idle_slots: IdleSlots,
    /// Those that were used last are at the back, and are used first.
    pub(super) idle: Mutex<VecDeque<Idle>>,
}

/// A slot that waits for its next run.
#[derive(Debug)]
pub(super) struct Idle {
    slot: Slot,
    since: Instant,
}

impl MemoryImage {
    /// The image of memories that start all zero.
    pub(super) fn empty() -> Self {
        Self::of(None, 0, 0, IdleSlots::PLAIN)
    }

    /// An image with these contents, a whole number of 64 KiB pages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Arc<Self>, ImageError> {
        Self::read_from(bytes, bytes.len() as u64)
    }

    /// An image read from `source`, `bytes` long.
    pub fn read_from(source: impl Read, bytes: u64) -> Result<Arc<Self>, ImageError> {
        let length = checked(bytes)?;
        let file = SealedFile::new(length, |file| {
            let copied = io::copy(&mut source.take(bytes), file).map_err(ImageError::Read)?;
            if copied == bytes { Ok(()) } else { Err(ImageError::Read(io::ErrorKind::UnexpectedEof.into())) }
        })?;
        let pieces = vec![Piece { at: 0, bytes: length, file, offset: 0 }];
        let contents = Contents::new(pieces, length, &MAPPINGS)?;
        Ok(Arc::new(Self::of(Some(contents), length, length, IdleSlots::PLAIN)))
    }

    /// The image of the memory that `delta` was taken from, over its base. Only what changed needs memory of its own; the
    /// base's file is shared, and stays for as long as this image does.
    pub fn with_delta(base: &Self, delta: &Delta) -> Result<Arc<Self>, ImageError> {
        Self::with_delta_within(&MAPPINGS, base, delta)
    }

    pub(super) fn with_delta_within(
        budget: &'static MappingBudget,
        base: &Self,
        delta: &Delta,
    ) -> Result<Arc<Self>, ImageError> {
        let bytes = checked(delta.memory_bytes() as u64)?;
        let other_base = ImageError::Base { delta_bytes: delta.base_bytes(), base_bytes: base.bytes };
        // A base is one file: images aren't put over images that were put together.
        let Some([of_base]) = base.contents.as_ref().map(Contents::pieces) else { return Err(other_base) };
        if delta.base_bytes() != base.bytes {
            return Err(other_base);
        }
        let runs = delta.runs();
        let page = |number: u32| number as usize * super::PAGE_BYTES;
        let own_bytes = runs.iter().map(|run| page(run.end - run.start)).sum();
        let mut pieces = vec![of_base.clone()];
        if own_bytes > 0 {
            let file = SealedFile::new(own_bytes, |file| {
                let mut file = BufWriter::with_capacity(WRITE_BYTES, file);
                let written = delta.write_runs(base.contents(), &runs, &mut file).and_then(|()| file.flush());
                written.map_err(ImageError::MemoryFile)
            })?;
            let mut offset = 0;
            for run in &runs {
                let (at, bytes) = (page(run.start), page(run.end - run.start));
                pieces.push(Piece { at, bytes, file: Arc::clone(&file), offset });
                offset += bytes;
            }
        }
        let contents = Contents::new(pieces, bytes, budget)?;
        Ok(Arc::new(Self::of(Some(contents), bytes, own_bytes, IdleSlots::COMPOSED)))
    }

    fn of(contents: Option<Contents>, bytes: usize, own_bytes: usize, idle_slots: IdleSlots) -> Self {
        Self { contents, bytes, own_bytes, pagemap: Pagemap::open(), idle_slots, idle: Mutex::default() }
    }

    /// Length, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the memory file that this image has for itself: all of it, or what was put over a base.
    pub fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    /// The pristine contents.
    pub fn contents(&self) -> &[u8] {
        self.contents.as_ref().map_or(&[], Contents::as_slice)
    }

    pub(super) fn files(&self) -> Option<&Contents> {
        self.contents.as_ref()
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
        let is_old = |idle: &Idle| now.saturating_duration_since(idle.since) > super::IDLE_MAX;
        let IdleSlots { max, kept } = self.idle_slots;
        let old = if idle.len() >= kept && idle.front().is_some_and(is_old) { idle.pop_front() } else { None };
        let surplus = if idle.len() < max {
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

/// The length of an image, where it can be one.
fn checked(bytes: u64) -> Result<usize, ImageError> {
    if bytes == 0 || !bytes.is_multiple_of(WASM_PAGE_BYTES) || bytes >= 4 << 30 {
        return Err(ImageError::Size { bytes });
    }
    Ok(bytes as usize)
}

const _: () = assert!((WASM_PAGE_BYTES as usize).is_multiple_of(super::PAGE_BYTES));
