//! What a memory holds that its base image doesn't: the pages that differ, and how they lie in a file of their own.

use super::PAGE_BYTES;
use std::{
    io::{self, Write},
    ops::Range,
};

/// The most that a memory may change of its base image, bytes of whole pages.
pub const DELTA_BYTES_MAX: usize = 16 << 20;
/// The most that a memory may be larger than its base image, bytes: each run that starts from it is charged with all of it.
pub const GROWTH_BYTES_MAX: usize = 256 << 20;
/// Runs of pages that one image has at most: each is a mapping of every slot, and cuts another in two.
pub(super) const RUNS_MAX: usize = 32;
/// Fewer unchanged pages than these between two changed ones go into the same run.
const GAP_PAGES_MIN: u32 = 16;

const ZEROES: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Why a memory can't be kept as what differs from its base image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    #[error(
        "importing it changes {} of memory, {} at most: make less when it is imported, and warm it up with smaller cases",
        mebibytes(*bytes), mebibytes(*bytes_max)
    )]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error(
        "importing it takes {} of memory, {} at most: make less when it is imported, and warm it up with smaller cases",
        mebibytes(*bytes), mebibytes(*bytes_max)
    )]
    Grown { bytes: usize, bytes_max: usize },
    #[error("a memory of {bytes} bytes does not begin as its base image of {base_bytes} bytes")]
    OtherBase { bytes: usize, base_bytes: usize },
}

/// The pages of a memory that differ from its base image.
#[derive(Clone, PartialEq, Eq)]
pub struct Delta {
    base_bytes: usize,
    memory_bytes: usize,
    /// Numbers of the pages, in order.
    pages: Vec<u32>,
    /// Their bytes, one after the other.
    bytes: Vec<u8>,
}

impl Delta {
    /// Compares a memory with the contents of its base image. Pages beyond the base's end count where they are not all
    /// zero.
    pub fn between(base: &[u8], memory: &[u8]) -> Result<Self, DeltaError> {
        let (base_bytes, memory_bytes) = (base.len(), memory.len());
        if memory_bytes < base_bytes || ![base_bytes, memory_bytes].iter().all(|bytes| bytes.is_multiple_of(PAGE_BYTES))
        {
            return Err(DeltaError::OtherBase { bytes: memory_bytes, base_bytes });
        }
        let grown = memory_bytes - base_bytes;
        if grown > GROWTH_BYTES_MAX {
            return Err(DeltaError::Grown { bytes: grown, bytes_max: GROWTH_BYTES_MAX });
        }
        let before = base.chunks_exact(PAGE_BYTES).chain(std::iter::repeat(&ZEROES[..]));
        let now = memory.chunks_exact(PAGE_BYTES);
        let changed = (0_u32..).zip(now.zip(before)).filter(|(_, (now, before))| now != before);
        let (mut pages, mut bytes, mut count) = (Vec::new(), Vec::new(), 0);
        for (page, (now, _)) in changed {
            count += 1;
            // The rest is counted, to say how much there is.
            if bytes.len() < DELTA_BYTES_MAX {
                pages.push(page);
                bytes.extend_from_slice(now);
            }
        }
        match count * PAGE_BYTES {
            bytes if bytes > DELTA_BYTES_MAX => Err(DeltaError::TooLarge { bytes, bytes_max: DELTA_BYTES_MAX }),
            _ => Ok(Self { base_bytes, memory_bytes, pages, bytes }),
        }
    }

    /// Length of the base image, bytes.
    pub fn base_bytes(&self) -> usize {
        self.base_bytes
    }

    /// Length of the memory, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes of the pages that differ.
    pub fn changed_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The page ranges that hold every changed page, at most [`RUNS_MAX`], parted by the largest gaps.
    pub(super) fn runs(&self) -> Vec<Range<u32>> {
        let gap = |pair: &[u32]| if let [a, b] = pair { b - a - 1 } else { 0 };
        let mut gaps: Vec<(usize, u32)> =
            self.pages.windows(2).map(gap).enumerate().filter(|(_, pages)| *pages >= GAP_PAGES_MIN).collect();
        gaps.sort_by_key(|(_, pages)| std::cmp::Reverse(*pages));
        gaps.truncate(RUNS_MAX - 1);
        gaps.sort_by_key(|(index, _)| *index);
        let ends = gaps.into_iter().map(|(index, _)| index + 1).chain([self.pages.len()]);
        let mut from = 0;
        let mut runs = Vec::new();
        for end in ends {
            let run = self.pages.get(from..end).unwrap_or_default();
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                runs.push(*first..last + 1);
            }
            from = end;
        }
        runs
    }

    /// Writes the pages of `runs` one after the other: the changed ones, and the base's between them.
    pub(super) fn write_runs(&self, base: &[u8], runs: &[Range<u32>], to: &mut impl Write) -> io::Result<()> {
        let mut changed = self.pages.iter().zip(self.bytes.chunks_exact(PAGE_BYTES)).peekable();
        for page in runs.iter().cloned().flatten() {
            let at = page as usize * PAGE_BYTES;
            let unchanged = || base.get(at..at + PAGE_BYTES).unwrap_or(&ZEROES);
            let bytes = changed.next_if(|(number, _)| **number == page).map_or_else(unchanged, |(_, bytes)| bytes);
            to.write_all(bytes)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delta")
            .field("base_bytes", &self.base_bytes)
            .field("memory_bytes", &self.memory_bytes)
            .field("pages", &self.pages.len())
            .finish_non_exhaustive()
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
