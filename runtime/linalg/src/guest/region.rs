//! Where an operand lies in a guest's memory, checked before anything is made of it.

use crate::{Mat, MatMut};

/// The memory that operands lie in, for as long as one call borrows it.
#[derive(Clone, Copy)]
pub(super) struct Base {
    first: *mut u8,
    bytes: u64,
}

/// Columns of elements within the memory, aligned, no two of which overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// Bytes from the memory's beginning.
    at: u64,
    rows: u64,
    cols: u64,
    /// Elements from one column to the next.
    leading: u64,
    element_bytes: u64,
}

impl Base {
    pub(super) fn of(memory: &mut [u8]) -> Self {
        Self { first: memory.as_mut_ptr(), bytes: memory.len() as u64 }
    }

    /// A matrix of doubles; `None` where it isn't one within the memory.
    pub(super) fn matrix(&self, at: u32, (rows, cols): (i32, i32), leading: i32) -> Option<Region> {
        let (rows, cols) = (u64::try_from(rows).ok()?, u64::try_from(cols).ok()?);
        let leading = u64::try_from(leading).ok().filter(|&leading| leading >= rows.max(1))?;
        self.region::<f64>(at, (rows, cols), leading)
    }

    /// `count` elements without gaps.
    pub(super) fn array<T>(&self, at: u32, count: u64) -> Option<Region> {
        self.region::<T>(at, (count, 1), count)
    }

    fn region<T>(&self, at: u32, (rows, cols): (u64, u64), leading: u64) -> Option<Region> {
        let element_bytes = size_of::<T>() as u64;
        let region = Region { at: u64::from(at), rows, cols, leading, element_bytes };
        let is_within = region.end()? <= self.bytes;
        let is_aligned = (self.first as u64).checked_add(region.at)?.is_multiple_of(align_of::<T>() as u64);
        (is_within && is_aligned).then_some(region)
    }

    /// # Safety
    /// The region is one of `f64` of this memory, which nobody writes during `'m`.
    pub(super) unsafe fn read<'m>(self, region: Region) -> Mat<'m, f64> {
        let size = (region.rows as usize, region.cols as usize);
        // SAFETY: aligned and within the memory, which is initialised; the caller keeps it from being written.
        unsafe { Mat::from_raw(self.address(region).cast(), size, (1, region.leading as isize)) }
    }

    /// # Safety
    /// The region is one of `f64` of this memory, which nobody else reads or writes during `'m`.
    pub(super) unsafe fn write<'m>(self, region: Region) -> MatMut<'m, f64> {
        let size = (region.rows as usize, region.cols as usize);
        // SAFETY: as above, and its columns don't overlap.
        unsafe { MatMut::from_raw(self.address(region).cast(), size, (1, region.leading as isize)) }
    }

    /// # Safety
    /// The region is an array of `T` of this memory, which nobody writes during `'m`. Any bits are a `T`.
    pub(super) unsafe fn slice<'m, T>(self, region: Region) -> &'m [T] {
        // SAFETY: aligned and within the memory; the caller keeps it from being written.
        unsafe { std::slice::from_raw_parts(self.address(region).cast(), region.rows as usize) }
    }

    /// # Safety
    /// The region is an array of `T` of this memory, which nobody else reads or writes during `'m`. Any bits are a `T`.
    pub(super) unsafe fn slice_mut<'m, T>(self, region: Region) -> &'m mut [T] {
        // SAFETY: aligned and within the memory; nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.address(region).cast(), region.rows as usize) }
    }

    fn address(self, region: Region) -> *mut u8 {
        // Wrapping, since an empty region may lie beyond the memory.
        self.first.wrapping_add(region.at as usize)
    }
}

impl Region {
    /// One past the last byte; `None` where no address space is so large.
    fn end(&self) -> Option<u64> {
        if self.is_empty() {
            return Some(0);
        }
        let elements = (self.cols - 1).checked_mul(self.leading)?.checked_add(self.rows)?;
        self.at.checked_add(elements.checked_mul(self.element_bytes)?)
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }

    /// Whether no element is in both. Blocks of one matrix are apart though the spans from their first to their last
    /// elements interleave.
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        let (Some(end), Some(other_end)) = (self.end(), other.end()) else { return false };
        if self.is_empty() || other.is_empty() || end <= other.at || other_end <= self.at {
            return true;
        }
        // Both have the alignment of their elements, so the distance is a number of elements.
        if self.leading != other.leading || self.element_bytes != other.element_bytes {
            return false;
        }
        let (element, leading) = (self.element_bytes as i64, self.leading as i64);
        let down = ((other.at as i64 - self.at as i64) / element).rem_euclid(leading) as u64;
        down >= self.rows && down + other.rows <= self.leading
    }
}
