//! Sparse solves, as guests other than Python ask for them.

use super::{
    INVALID, NO_MEMORY, UNRELIABLE,
    region::{Base, Region},
};
use crate::{Context, Crew, Host, Stop, sparse};

/// Indices that are looked at between two announcements of work.
const PORTION_INDICES: usize = 1 << 16;
/// The request of `sparse::serve` that factors, solves and refines.
const SOLVE: u64 = 1;

/// `A X = B` with a sparse square matrix by columns: that of column j are the places `starts[j]` to `starts[j + 1]` of
/// `rows` and `values`, rows ascending. The fields that end in `at` are byte addresses.
#[derive(Debug, Clone, Copy)]
pub struct SparseSolve {
    /// Rows, and columns.
    pub n: i32,
    /// Stored elements.
    pub nnz: i32,
    /// n + 1 integers.
    pub starts_at: u32,
    /// `nnz` integers.
    pub rows_at: u32,
    /// `nnz` doubles.
    pub values_at: u32,
    /// Columns of n doubles in B, and in X.
    pub nrhs: i32,
    pub b_at: u32,
    pub x_at: u32,
}

/// Solves, and refines until the backward error is that of a stable solve; where it doesn't become so, [`UNRELIABLE`]. So
/// are a singular matrix, one with a zero on the diagonal that isn't stored, one whose pattern is far from symmetric, and
/// numbers that are not finite. X is written where the answer is zero alone.
pub fn sparse_solve(cx: &mut Context<'_>, memory: &mut [u8], solve: &SparseSolve) -> Result<i32, Stop> {
    let base = Base::of(memory);
    let Some((starts, rows)) = solve.regions(base) else { return Ok(INVALID) };
    // SAFETY: regions of integers within the memory, which nobody writes while they are looked at.
    let (starts, rows) = unsafe { (base.slice::<i32>(starts), base.slice::<i32>(rows)) };
    if !are_columns(cx, starts, rows)? {
        return Ok(INVALID);
    }
    if solve.n == 0 || solve.nrhs == 0 {
        return Ok(0);
    }
    let instructions = cx.instructions();
    let mut noting = Noting { cx, lacks_memory: false };
    let answer = match Context::new(&mut noting, instructions) {
        Some(mut cx) => sparse::serve(&mut cx, memory, &solve.request()),
        None => Err(Stop::Declined),
    };
    match answer {
        Ok(_) => Ok(0),
        Err(Stop::Declined) if noting.lacks_memory => Ok(NO_MEMORY),
        Err(Stop::Declined) => Ok(UNRELIABLE),
        Err(Stop::Interrupted) => Err(Stop::Interrupted),
    }
}

impl SparseSolve {
    /// Where starts and rows are; `None` where an array isn't within the memory, or X is in another.
    fn regions(&self, base: Base) -> Option<(Region, Region)> {
        let (n, nnz) = (u64::try_from(self.n).ok()?, u64::try_from(self.nnz).ok()?);
        let numbers = n.checked_mul(u64::try_from(self.nrhs).ok()?)?;
        let starts = base.array::<i32>(self.starts_at, n + 1)?;
        let rows = base.array::<i32>(self.rows_at, nnz)?;
        let values = base.array::<f64>(self.values_at, nnz)?;
        let b = base.array::<f64>(self.b_at, numbers)?;
        let x = base.array::<f64>(self.x_at, numbers)?;
        [starts, rows, values, b].iter().all(|other| x.is_apart_from(other)).then_some((starts, rows))
    }

    fn request(&self) -> Vec<u8> {
        let places = [self.starts_at, self.rows_at, self.values_at, self.b_at];
        let [starts, rows, values, b] = places.map(u64::from);
        let [n, nnz, nrhs] = [self.n, self.nnz, self.nrhs].map(|count| u64::from(count.unsigned_abs()));
        let words = [SOLVE, n, nnz, starts, rows, values, b, nrhs, u64::from(self.x_at)];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// Whether the starts ascend from 0 to the number of rows, and the rows of each column ascend and are there.
fn are_columns(cx: &mut Context<'_>, starts: &[i32], rows: &[i32]) -> Result<bool, Stop> {
    let n = starts.len() - 1;
    let ends = (starts.first().copied(), starts.last().map(|&last| i64::from(last)));
    if ends != (Some(0), Some(rows.len() as i64)) {
        return Ok(false);
    }
    let mut looked_at = 0;
    for bounds in starts.windows(2) {
        let &[start, end] = bounds else { return Ok(false) };
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let Some(column) = range.and_then(|(start, end)| rows.get(start..end)) else { return Ok(false) };
        for part in column.chunks(PORTION_INDICES) {
            looked_at += part.len() + 1;
            if looked_at >= PORTION_INDICES {
                cx.work(looked_at as u64)?;
                looked_at = 0;
            }
        }
        let ascends = column.is_sorted_by(|row, next| row < next);
        let are_there = column.first().is_none_or(|&row| row >= 0)
            && column.last().is_none_or(|&row| usize::try_from(row).is_ok_and(|row| row < n));
        if !ascends || !are_there {
            return Ok(false);
        }
    }
    cx.work(looked_at as u64 + 1)?;
    Ok(true)
}

/// A host that hands everything on, and knows afterwards whether memory was lacking.
struct Noting<'c, 'h> {
    cx: &'c mut Context<'h>,
    lacks_memory: bool,
}

impl Host for Noting<'_, '_> {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        self.cx.work(flops)
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        let reserved = self.cx.reserve(bytes);
        self.lacks_memory |= reserved == Err(Stop::Declined);
        reserved
    }

    fn release(&mut self, bytes: u64) {
        self.cx.release(bytes);
    }

    fn crew(&mut self) -> Option<&mut dyn Crew> {
        self.cx.crew()
    }
}
