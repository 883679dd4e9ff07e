//! Operands in the guest's memory: the one place where an address and a shape become a view of a matrix.
//!
//! A view is handed out only if it is inside the memory, aligned, and shares no byte with a view that was handed out before,
//! unless both are only read.

use super::arguments::Number;
use crate::{Mat, MatMut, Stop};
use std::{marker::PhantomData, ops::Range, slice};

/// The most operands that a function has: its parameters, three matrices, pivots and the answer.
const CLAIMS_MAX: usize = 6;

/// Where a matrix is said to be: nothing about it has been checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of the element that comes first in memory.
    pub(super) address: u64,
    /// Rows and columns, at least 1 each.
    pub(super) shape: (u32, u32),
    /// From a row to the next and from a column to the next, in elements. One of them is 1, or there is one column.
    pub(super) steps: (i64, i64),
}

/// The bytes of an operand: `count` runs of `run` bytes each, of which each begins `step` bytes after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    start: u64,
    run: u64,
    count: u64,
    step: u64,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    extent: Extent,
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// A memory of which views are handed out, and what was handed out of it.
pub(super) struct Operands<'m> {
    base: *mut u8,
    len: usize,
    claims: [Option<Claim>; CLAIMS_MAX],
    memory: PhantomData<&'m mut [u8]>,
}

impl<'m> Operands<'m> {
    /// The memory, of which `bytes` bytes at `parameters_at` are not to be written.
    pub(super) fn new(memory: &'m mut [u8], parameters_at: u64, bytes: u64) -> Result<Self, Stop> {
        at(parameters_at, bytes, memory.len())?;
        let extent = Extent { start: parameters_at, run: bytes, count: 1, step: bytes };
        let mut claims = [None; CLAIMS_MAX];
        let [parameters, ..] = &mut claims;
        *parameters = Some(Claim { extent, access: Access::Read });
        Ok(Self { base: memory.as_mut_ptr(), len: memory.len(), claims, memory: PhantomData })
    }

    pub(super) fn read<T: Number>(&mut self, place: Place) -> Result<Mat<'m, T>, Stop> {
        let (first, shape, steps) = self.claim::<T>(place, Access::Read)?;
        // SAFETY: `claim` found every element inside the memory and aligned; any bytes there are a number. The memory is
        // borrowed exclusively during 'm, this value alone hands out views of it, and none that shares a byte with this one
        // may write: neither those before, as `claim` checked, nor those after, as it will check.
        Ok(unsafe { Mat::from_raw(first, shape, steps) })
    }

    pub(super) fn write<T: Number>(&mut self, place: Place) -> Result<MatMut<'m, T>, Stop> {
        let (first, shape, steps) = self.claim::<T>(place, Access::Write)?;
        // SAFETY: as in `read`, and no other view shares a byte with this one; `Extent::new` found the runs apart, so that no
        // two elements share a byte either.
        Ok(unsafe { MatMut::from_raw(first, shape, steps) })
    }

    /// Integers side by side.
    pub(super) fn read_integers(&mut self, place: Place) -> Result<&'m [i32], Stop> {
        let (first, (length, _), _) = self.claim::<i32>(place, Access::Read)?;
        // SAFETY: as in `read`: `length` aligned integers that nobody writes during 'm.
        Ok(unsafe { slice::from_raw_parts(first, length) })
    }

    /// Integers side by side.
    pub(super) fn write_integers(&mut self, place: Place) -> Result<&'m mut [i32], Stop> {
        let (first, (length, _), _) = self.claim::<i32>(place, Access::Write)?;
        // SAFETY: as in `write`: `length` aligned integers that nobody else reads or writes during 'm.
        Ok(unsafe { slice::from_raw_parts_mut(first, length) })
    }

    /// Checks the place against the memory and against whatever was handed out, and notes it as handed out. The pointer is
    /// to the element (0, 0), which is the last in memory where the step is negative.
    fn claim<T>(&mut self, place: Place, access: Access) -> Result<Claimed<T>, Stop> {
        let extent = Extent::new(place, size_of::<T>() as u64)?;
        let start = at(extent.start, extent.span()?, self.len)?.start;
        let is_taken = |claim: &Claim| {
            (access == Access::Write || claim.access == Access::Write) && claim.extent.overlaps(&extent)
        };
        // SAFETY: `start` is inside the memory.
        let lowest = unsafe { self.base.add(start) }.cast::<T>();
        if !lowest.is_aligned() || self.claims.iter().flatten().any(is_taken) {
            return Err(Stop::Declined);
        }
        *self.claims.iter_mut().find(|claim| claim.is_none()).ok_or(Stop::Declined)? = Some(Claim { extent, access });
        let rows = usize::try_from(place.shape.0).map_err(|_| Stop::Declined)?;
        let cols = usize::try_from(place.shape.1).map_err(|_| Stop::Declined)?;
        let row_step = isize::try_from(place.steps.0).map_err(|_| Stop::Declined)?;
        let col_step = isize::try_from(place.steps.1).map_err(|_| Stop::Declined)?;
        // Inside the memory, as are all elements: the steps over rows have been multiplied before, in `Extent::new`.
        let first = if row_step < 0 { lowest.wrapping_offset((rows as isize - 1) * -row_step) } else { lowest };
        Ok((first, (rows, cols), (row_step, col_step)))
    }
}

/// The element (0, 0), the shape and the steps.
type Claimed<T> = (*mut T, (usize, usize), (isize, isize));

impl Extent {
    /// `Declined` where runs overlap each other.
    fn new(place: Place, element_bytes: u64) -> Result<Self, Stop> {
        let (rows, cols) = (u64::from(place.shape.0), u64::from(place.shape.1));
        let (row_step, col_step) = (place.steps.0.unsigned_abs(), place.steps.1.unsigned_abs());
        let (run, count, step) = match (row_step, col_step) {
            (1, _) => (rows, cols, col_step),
            (_, 1) => (cols, rows, row_step),
            _ if cols == 1 => (1, rows, row_step),
            _ => return Err(Stop::Declined),
        };
        let is_one = count == 1 || step == run;
        if !is_one && step < run {
            return Err(Stop::Declined);
        }
        let bytes = |elements: u64| elements.checked_mul(element_bytes).ok_or(Stop::Declined);
        let start = place.address;
        if is_one {
            let run = bytes(run.checked_mul(count).ok_or(Stop::Declined)?)?;
            return Ok(Self { start, run, count: 1, step: run });
        }
        Ok(Self { start, run: bytes(run)?, count, step: bytes(step)? })
    }

    /// From the first byte to the last one.
    fn span(&self) -> Result<u64, Stop> {
        let before = (self.count - 1).checked_mul(self.step).ok_or(Stop::Declined)?;
        before.checked_add(self.run).ok_or(Stop::Declined)
    }

    /// Whether they may share a byte. Both are inside the memory. Exact where their spans are apart, where neither has gaps,
    /// and where both have the same step, as parts of one matrix do; said to overlap otherwise.
    fn overlaps(&self, other: &Self) -> bool {
        let (Ok(span), Ok(other_span)) = (self.span(), other.span()) else { return true };
        if self.start.saturating_add(span) <= other.start || other.start.saturating_add(other_span) <= self.start {
            return false;
        }
        let step = match (self.count, other.count) {
            (1, 1) => return true,
            (1, _) => other.step,
            (_, 1) => self.step,
            _ if self.step == other.step => self.step,
            _ => return true,
        };
        // On a circle of `step` bytes each is one interval: it is enough that these are apart.
        let ahead = (other.start % step + step - self.start % step) % step;
        let is_apart = self.run <= ahead && ahead + other.run <= step;
        !is_apart
    }
}

/// The bytes of a range, if it is inside a memory of so many bytes.
pub(super) fn at(address: u64, bytes: u64, memory_bytes: usize) -> Result<Range<usize>, Stop> {
    let end = address.checked_add(bytes).ok_or(Stop::Declined)?;
    let (start, end) = (usize::try_from(address), usize::try_from(end));
    match (start, end) {
        (Ok(start), Ok(end)) if end <= memory_bytes => Ok(start..end),
        _ => Err(Stop::Declined),
    }
}
