//! Products and systems of equations, by the platform's native kernels.
//!
//! ```
//! use mecapy_task::linalg::{Matrix, multiply, solve};
//!
//! # fn main() -> Result<(), mecapy_task::linalg::Failure> {
//! // [1 3; 2 4] by columns, times itself.
//! let a = Matrix::new(&[1.0, 2.0, 3.0, 4.0], 2, 2)?;
//! let mut square = [0.0; 4];
//! multiply(1.0, a, a, 0.0, &mut square)?;
//! assert_eq!(square, [7.0, 10.0, 15.0, 22.0]);
//!
//! let mut x = [7.0, 10.0];
//! solve(&mut [1.0, 2.0, 3.0, 4.0], &mut x)?;
//! assert!((x[0] - 1.0).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15);
//! # Ok(())
//! # }
//! ```
//!
//! Matrices are slices of doubles by columns: element (i, j) of a matrix with m rows is at `i + j * m`. In a sandbox the
//! work is done by the host, for fuel by its arithmetic. Where there is none (natively, in tests, with
//! `kernels: "wasm"`), the dense functions do it themselves, slowly; [`solve_sparse`] says [`Failure::NotAvailable`].
//!
//! A module that calls these imports from `mecapy_linalg`, which other WASI runtimes and components don't have.

mod host;
mod plain;
mod sparse;
#[cfg(test)]
mod tests;

pub use sparse::{Sparse, solve_sparse};

use std::fmt::{self, Display};

/// Why there is no product or no solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A length that doesn't fit the others; says which.
    Shape(&'static str),
    /// In elimination this pivot, counted from 1, is exactly zero: the matrix is singular.
    Singular { pivot: usize },
    /// The leading minor of this order is not positive.
    NotPositiveDefinite { order: usize },
    /// The sparse matrix is singular, nearly so, or of another kind than [`solve_sparse`] takes.
    Unreliable,
    /// The task may not have the memory that the work needs.
    Memory,
    /// The host has no kernels for this task, and there is no other way.
    NotAvailable,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(what) => write!(f, "the sizes don't fit: {what}"),
            Self::Singular { pivot } => write!(f, "the matrix is singular: pivot {pivot} is zero"),
            Self::NotPositiveDefinite { order } => {
                write!(f, "the matrix is not positive definite: its leading minor of order {order} is not positive")
            }
            Self::Unreliable => f.write_str("the sparse system has no solution that could be relied on"),
            Self::Memory => f.write_str("the computation needs more memory than it may have"),
            Self::NotAvailable => {
                f.write_str("sparse systems are solved by the platform's native kernels, and there are none")
            }
        }
    }
}

impl std::error::Error for Failure {}

/// A matrix that is read, by columns, or the transpose of one.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'m> {
    values: &'m [f64],
    /// As they lie in memory.
    rows: usize,
    cols: usize,
    is_transposed: bool,
}

impl<'m> Matrix<'m> {
    /// `values` are `rows * cols` doubles, column after column.
    pub fn new(values: &'m [f64], rows: usize, cols: usize) -> Result<Self, Failure> {
        let fits = rows.checked_mul(cols) == Some(values.len());
        let matrix = Self { values, rows, cols, is_transposed: false };
        fits.then_some(matrix).ok_or(Failure::Shape("a matrix has rows times columns values"))
    }

    /// Its transpose, of the same values.
    pub fn t(self) -> Self {
        Self { is_transposed: !self.is_transposed, ..self }
    }

    pub fn rows(&self) -> usize {
        if self.is_transposed { self.cols } else { self.rows }
    }

    pub fn cols(&self) -> usize {
        if self.is_transposed { self.rows } else { self.cols }
    }
}

/// `C = alpha A B + beta C`. `c` has the rows of A and the columns of B; it is not read where `beta` is zero.
pub fn multiply(alpha: f64, a: Matrix<'_>, b: Matrix<'_>, beta: f64, c: &mut [f64]) -> Result<(), Failure> {
    let (m, n, k) = (a.rows(), b.cols(), a.cols());
    if k != b.rows() {
        return Err(Failure::Shape("the first factor has as many columns as the second has rows"));
    }
    if m.checked_mul(n) != Some(c.len()) {
        return Err(Failure::Shape("a product has the rows of its first factor and the columns of its second"));
    }
    match host::dgemm(alpha, a, b, beta, c)? {
        host::Answer::NotAvailable => plain::multiply(alpha, a, b, beta, c),
        host::Answer::Done | host::Answer::Info(_) => {}
    }
    Ok(())
}

/// Solves `A X = B` with a square matrix, by LU with partial pivoting. `b` holds one or more columns and becomes X, `a`
/// becomes its factors.
pub fn solve(a: &mut [f64], b: &mut [f64]) -> Result<(), Failure> {
    let n = order_of(a, b)?;
    let mut pivots = vec![0; n];
    let info = match host::dgesv(n, a, &mut pivots, b)? {
        host::Answer::NotAvailable => plain::solve(n, a, b),
        answer => answer.info(),
    };
    if info == 0 { Ok(()) } else { Err(Failure::Singular { pivot: info }) }
}

/// Solves `A X = B` with a symmetric positive definite matrix, by Cholesky's factors. Of `a` only the lower triangle is
/// read, and becomes the factor; `b` holds one or more columns and becomes X.
pub fn solve_positive_definite(a: &mut [f64], b: &mut [f64]) -> Result<(), Failure> {
    let n = order_of(a, b)?;
    let info = match host::dposv(n, a, b)? {
        host::Answer::NotAvailable => plain::solve_positive_definite(n, a, b),
        answer => answer.info(),
    };
    if info == 0 { Ok(()) } else { Err(Failure::NotPositiveDefinite { order: info }) }
}

/// Rows of a square matrix, into whole columns of which `b` falls.
fn order_of(a: &[f64], b: &[f64]) -> Result<usize, Failure> {
    let n = a.len().isqrt();
    if n * n != a.len() {
        return Err(Failure::Shape("a system's matrix is square"));
    }
    let is_whole = if n == 0 { b.is_empty() } else { b.len() % n == 0 };
    is_whole.then_some(n).ok_or(Failure::Shape("right-hand sides are columns as long as the matrix's"))
}
