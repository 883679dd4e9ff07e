//! The imports from `mecapy_linalg`, behind lengths that were checked. What a host answers is the platform's to document:
//! guest-sdk/README.md.

use super::{Failure, Matrix, Sparse};

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// LAPACK's, from 1.
    Info(usize),
    /// There are no kernels.
    NotAvailable,
}

impl Answer {
    pub(super) fn info(self) -> usize {
        if let Self::Info(info) = self { info } else { 0 }
    }
}

#[cfg(target_family = "wasm")]
mod imports {
    #[link(wasm_import_module = "mecapy_linalg")]
    unsafe extern "C" {
        pub(super) fn dgemm(
            m: i32,
            n: i32,
            k: i32,
            alpha: f64,
            a: *const f64,
            lda: i32,
            trans_a: i32,
            b: *const f64,
            ldb: i32,
            trans_b: i32,
            beta: f64,
            c: *mut f64,
            ldc: i32,
        ) -> i32;
        pub(super) fn dgesv(n: i32, nrhs: i32, a: *mut f64, lda: i32, pivots: *mut i32, b: *mut f64, ldb: i32) -> i32;
        pub(super) fn dposv(n: i32, nrhs: i32, a: *mut f64, lda: i32, b: *mut f64, ldb: i32) -> i32;
        pub(super) fn sparse_solve(
            n: i32,
            nnz: i32,
            starts: *const i32,
            rows: *const i32,
            values: *const f64,
            nrhs: i32,
            b: *const f64,
            x: *mut f64,
        ) -> i32;
    }
}

/// A host without kernels, which is every machine but a sandbox.
#[cfg(not(target_family = "wasm"))]
#[expect(clippy::too_many_arguments, reason = "the contract's")]
mod imports {
    const NOT_AVAILABLE: i32 = -3;

    pub(super) unsafe fn dgemm(
        _: i32,
        _: i32,
        _: i32,
        _: f64,
        _: *const f64,
        _: i32,
        _: i32,
        _: *const f64,
        _: i32,
        _: i32,
        _: f64,
        _: *mut f64,
        _: i32,
    ) -> i32 {
        NOT_AVAILABLE
    }

    pub(super) unsafe fn dgesv(_: i32, _: i32, _: *mut f64, _: i32, _: *mut i32, _: *mut f64, _: i32) -> i32 {
        NOT_AVAILABLE
    }

    pub(super) unsafe fn dposv(_: i32, _: i32, _: *mut f64, _: i32, _: *mut f64, _: i32) -> i32 {
        NOT_AVAILABLE
    }

    pub(super) unsafe fn sparse_solve(
        _: i32,
        _: i32,
        _: *const i32,
        _: *const i32,
        _: *const f64,
        _: i32,
        _: *const f64,
        _: *mut f64,
    ) -> i32 {
        NOT_AVAILABLE
    }
}

/// `c` has the rows of `a` and the columns of `b`, whose inner sizes agree.
pub(super) fn dgemm(alpha: f64, a: Matrix<'_>, b: Matrix<'_>, beta: f64, c: &mut [f64]) -> Result<Answer, Failure> {
    let (m, n, k) = (size(a.rows())?, size(b.cols())?, size(a.cols())?);
    let (lda, ldb) = (size(a.rows)?.max(1), size(b.rows)?.max(1));
    let (trans_a, trans_b) = (i32::from(a.is_transposed), i32::from(b.is_transposed));
    let (a, b) = (a.values.as_ptr(), b.values.as_ptr());
    // SAFETY: the slices cover the matrices, and nobody else has that of C.
    answer(unsafe { imports::dgemm(m, n, k, alpha, a, lda, trans_a, b, ldb, trans_b, beta, c.as_mut_ptr(), m.max(1)) })
}

/// `a` is n by n, `b` whole columns of n, `pivots` n.
pub(super) fn dgesv(n: usize, a: &mut [f64], pivots: &mut [i32], b: &mut [f64]) -> Result<Answer, Failure> {
    let (nrhs, n) = (size(b.len() / n.max(1))?, size(n)?);
    let (lda, pivots) = (n.max(1), pivots.as_mut_ptr());
    // SAFETY: the slices cover the matrices and the pivots, and nobody else has them.
    answer(unsafe { imports::dgesv(n, nrhs, a.as_mut_ptr(), lda, pivots, b.as_mut_ptr(), lda) })
}

/// `a` is n by n, `b` whole columns of n.
pub(super) fn dposv(n: usize, a: &mut [f64], b: &mut [f64]) -> Result<Answer, Failure> {
    let (nrhs, n) = (size(b.len() / n.max(1))?, size(n)?);
    let lda = n.max(1);
    // SAFETY: the slices cover the matrices, and nobody else has them.
    answer(unsafe { imports::dposv(n, nrhs, a.as_mut_ptr(), lda, b.as_mut_ptr(), lda) })
}

/// `b` is whole columns of the matrix's size, `x` as long.
pub(super) fn sparse_solve(matrix: &Sparse, b: &[f64], x: &mut [f64]) -> Result<Answer, Failure> {
    let Sparse { n, starts, rows, values } = matrix;
    let (nrhs, n, nnz) = (size(b.len() / (*n).max(1))?, size(*n)?, size(values.len())?);
    let (starts, rows, values) = (starts.as_ptr(), rows.as_ptr(), values.as_ptr());
    // SAFETY: the vectors are those of a matrix by columns, and nobody else has `x`.
    answer(unsafe { imports::sparse_solve(n, nnz, starts, rows, values, nrhs, b.as_ptr(), x.as_mut_ptr()) })
}

fn size(size: usize) -> Result<i32, Failure> {
    i32::try_from(size).map_err(|_| Failure::Shape("sizes are below 2147483648"))
}

fn answer(answer: i32) -> Result<Answer, Failure> {
    match answer {
        0 => Ok(Answer::Done),
        -2 => Err(Failure::Memory),
        -3 => Ok(Answer::NotAvailable),
        -4 => Err(Failure::Unreliable),
        info => usize::try_from(info).map(Answer::Info).map_err(|_| Failure::Shape("the host refused them")),
    }
}
