//! Sparse systems.

use super::{
    Failure,
    host::{self, Answer},
};

/// A sparse square matrix by compressed columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Sparse {
    pub(super) n: usize,
    /// Where each column begins, and the end of the last.
    pub(super) starts: Vec<i32>,
    /// Of each column, ascending.
    pub(super) rows: Vec<i32>,
    pub(super) values: Vec<f64>,
}

impl Sparse {
    /// An n by n matrix of entries `(row, column, value)` in any order; those of one place are added up, as elements of a
    /// structure are assembled.
    pub fn from_entries(n: usize, mut entries: Vec<(u32, u32, f64)>) -> Result<Self, Failure> {
        let largest = entries.iter().map(|&(row, col, _)| row.max(col)).max();
        if i32::try_from(n).is_err() || largest.is_some_and(|largest| largest as usize >= n) {
            return Err(Failure::Shape("rows and columns of a sparse matrix are below its size"));
        }
        // Stable, so that a sum has the order in which its terms came.
        entries.sort_by_key(|&(row, col, _)| (col, row));
        let mut matrix = Self { n, starts: Vec::with_capacity(n + 1), rows: Vec::new(), values: Vec::new() };
        let mut last = None;
        for (row, col, value) in entries {
            if let (true, Some(sum)) = (last == Some((row, col)), matrix.values.last_mut()) {
                *sum += value;
                continue;
            }
            last = Some((row, col));
            matrix.begin_columns(col as usize + 1);
            matrix.rows.push(row as i32);
            matrix.values.push(value);
        }
        matrix.begin_columns(n + 1);
        if i32::try_from(matrix.values.len()).is_err() {
            return Err(Failure::Shape("a sparse matrix has less than 2147483648 values"));
        }
        Ok(matrix)
    }

    /// Rows, and columns.
    pub fn size(&self) -> usize {
        self.n
    }

    /// So many columns begin at the latest here.
    fn begin_columns(&mut self, count: usize) {
        // The number of values is checked at the end.
        let here = self.values.len() as i32;
        if count > self.starts.len() {
            self.starts.resize(count, here);
        }
    }
}

/// Solves `A X = B`: `b` holds one or more columns, and so does what is returned.
///
/// The matrix has a pattern that is symmetric or nearly so, as those of structures, heat and flow have, and every element of
/// its diagonal; values may be symmetric or not. A solution is refined until each equation holds to rounding error;
/// [`Failure::Unreliable`] where that can't be.
pub fn solve_sparse(matrix: &Sparse, b: &[f64]) -> Result<Vec<f64>, Failure> {
    let is_whole = if matrix.n == 0 { b.is_empty() } else { b.len() % matrix.n == 0 };
    if !is_whole {
        return Err(Failure::Shape("right-hand sides are columns as long as the matrix's"));
    }
    let mut x = vec![0.0; b.len()];
    match host::sparse_solve(matrix, b, &mut x)? {
        Answer::Done => Ok(x),
        Answer::NotAvailable => Err(Failure::NotAvailable),
        Answer::Info(_) => Err(Failure::Unreliable),
    }
}
