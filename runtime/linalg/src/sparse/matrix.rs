//! A square sparse matrix as a guest hands it: compressed columns, checked once, read often.

#![expect(clippy::indexing_slicing, reason = "indices are checked by `Columns::checked`")]

use super::work::Work;
use crate::Stop;

/// The most stored elements.
pub(super) const ELEMENTS_MAX: usize = 1 << 30;

/// Elements that are looked at between two announcements of work.
const PORTION: usize = 1 << 16;

/// How far a_ij and a_ji may differ in a matrix that counts as symmetric, in units of √(a_ii a_jj): rounding errors of
/// its assembly. What is solved is refined with the matrix itself.
const ASYMMETRY_MAX: f64 = 8.0 * f64::EPSILON;

/// Compressed columns: column j has rows `rows[starts[j]..starts[j + 1]]`, ascending, and the values of the same places.
/// The same arrays read as compressed rows are the transpose.
#[derive(Clone, Copy)]
pub(super) struct Columns<'m> {
    pub(super) starts: &'m [u32],
    pub(super) rows: &'m [u32],
    pub(super) values: &'m [f64],
}

impl<'m> Columns<'m> {
    /// Declines indices that are out of range, unsorted or repeated, and values that are not finite.
    pub(super) fn checked(
        work: &mut Work<'_, '_>,
        starts: &'m [u32],
        rows: &'m [u32],
        values: &'m [f64],
    ) -> Result<Self, Stop> {
        let size = starts.len().checked_sub(1).ok_or(Stop::Declined)?;
        let fits = rows.len() == values.len() && rows.len() <= ELEMENTS_MAX;
        if !fits || starts[0] != 0 || starts[size] as usize != rows.len() {
            return Err(Stop::Declined);
        }
        for bounds in starts.windows(2) {
            let column = rows.get(bounds[0] as usize..bounds[1] as usize).ok_or(Stop::Declined)?;
            work.spend(2 * column.len() + 1)?;
            let ascends = column.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascends || column.last().is_some_and(|&last| last as usize >= size) {
                return Err(Stop::Declined);
            }
        }
        for part in values.chunks(PORTION) {
            work.spend(part.len())?;
            if !part.iter().all(|value| value.is_finite()) {
                return Err(Stop::Declined);
            }
        }
        Ok(Self { starts, rows, values })
    }

    pub(super) fn size(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn column(&self, col: usize) -> (&'m [u32], &'m [f64]) {
        let range = self.starts[col] as usize..self.starts[col + 1] as usize;
        (&self.rows[range.clone()], &self.values[range])
    }
}

/// A matrix of our own, in scratch memory.
pub(super) struct Owned {
    starts: Vec<u32>,
    rows: Vec<u32>,
    values: Vec<f64>,
}

impl Owned {
    pub(super) fn transpose_of(work: &mut Work<'_, '_>, matrix: Columns<'_>) -> Result<Self, Stop> {
        let (size, len) = (matrix.size(), matrix.rows.len());
        let mut starts: Vec<u32> = work.zeros(size + 1)?;
        let mut rows: Vec<u32> = work.zeros(len)?;
        let mut values: Vec<f64> = work.zeros(len)?;
        for part in matrix.rows.chunks(PORTION) {
            work.spend(part.len())?;
            part.iter().for_each(|&row| starts[row as usize + 1] += 1);
        }
        for row in 0..size {
            starts[row + 1] += starts[row];
        }
        let mut next: Vec<u32> = work.zeros(size)?;
        next.copy_from_slice(&starts[..size]);
        for col in 0..size {
            let (column, numbers) = matrix.column(col);
            work.spend(2 * column.len() + 1)?;
            for (&row, &value) in column.iter().zip(numbers) {
                let at = next[row as usize] as usize;
                next[row as usize] += 1;
                rows[at] = col as u32;
                values[at] = value;
            }
        }
        work.free(next);
        Ok(Self { starts, rows, values })
    }

    pub(super) fn columns(&self) -> Columns<'_> {
        Columns { starts: &self.starts, rows: &self.rows, values: &self.values }
    }
}

/// The diagonal; `None` where an element of it is not stored.
pub(super) fn diagonal(work: &mut Work<'_, '_>, matrix: Columns<'_>) -> Result<Option<Vec<f64>>, Stop> {
    let mut diagonal: Vec<f64> = work.zeros(matrix.size())?;
    work.spend(16 * matrix.size())?;
    for (col, value) in diagonal.iter_mut().enumerate() {
        let (rows, values) = matrix.column(col);
        match rows.binary_search(&(col as u32)) {
            Ok(at) => *value = values[at],
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(diagonal))
}

/// Whether the matrix equals its transpose but for rounding errors, and its diagonal is positive.
pub(super) fn may_be_positive_definite(
    work: &mut Work<'_, '_>,
    matrix: Columns<'_>,
    transpose: Columns<'_>,
    diagonal: &[f64],
) -> Result<bool, Stop> {
    if matrix.starts != transpose.starts || diagonal.iter().any(|&value| value <= 0.0) {
        return Ok(false);
    }
    let mut roots: Vec<f64> = work.zeros(diagonal.len())?;
    for (root, value) in roots.iter_mut().zip(diagonal) {
        *root = value.sqrt();
    }
    let mut is_symmetric = true;
    for col in 0..matrix.size() {
        let ((rows, values), (other_rows, others)) = (matrix.column(col), transpose.column(col));
        work.spend(4 * rows.len() + 1)?;
        is_symmetric = rows == other_rows
            && rows.iter().zip(values.iter().zip(others)).all(|(&row, (&value, &other))| {
                let limit = ASYMMETRY_MAX * roots[row as usize] * roots[col];
                value == other || (value - other).abs() <= limit
            });
        if !is_symmetric {
            break;
        }
    }
    work.free(roots);
    Ok(is_symmetric)
}
