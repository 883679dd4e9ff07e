//! Linear algebra for WASI command modules: the imports from `mecapy_linalg`. What they do is `mecapy_linalg::guest`'s.
//!
//! All take addresses in the guest's memory, matrices by columns, and answer an i32: 0 is done, above zero is LAPACK's
//! `info`, below zero is refused.

use super::{State, kernels::with_kernels};
use mecapy_linalg::{
    Context, Stop,
    guest::{self, NOT_AVAILABLE, Operand, Product, Solve, SparseSolve},
};
use wasmtime::{Caller, Linker};

/// The module that they are imported from.
pub(crate) const MODULE: &str = "mecapy_linalg";

/// Every function with its type: `i` is i32 and `d` is f64, results after the colon.
pub(crate) const FUNCTIONS: [(&str, &str); 4] = [
    // m, n, k, alpha, a, lda, trans_a, b, ldb, trans_b, beta, c, ldc
    ("dgemm", "iiidiiiiiidii:i"),
    // n, nrhs, a, lda, pivots, b, ldb
    ("dgesv", "iiiiiii:i"),
    // n, nrhs, a, lda, b, ldb
    ("dposv", "iiiiii:i"),
    // n, nnz, starts, rows, values, nrhs, b, x
    ("sparse_solve", "iiiiiiii:i"),
];

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    #[rustfmt::skip]
    linker.func_wrap(MODULE, "dgemm", |
        caller: Caller<'_, State>, m: i32, n: i32, k: i32,
        alpha: f64, a: u32, lda: i32, trans_a: i32, b: u32, ldb: i32, trans_b: i32,
        beta: f64, c: u32, ldc: i32,
    | {
        let (a, b, c) = (operand(a, lda), operand(b, ldb), operand(c, ldc));
        let product = Product { m, n, k, alpha, a, trans_a, b, trans_b, beta, c };
        answer(caller, |context, memory| guest::dgemm(context, memory, &product))
    })?;
    #[rustfmt::skip]
    linker.func_wrap(MODULE, "dgesv", |
        caller: Caller<'_, State>, n: i32, nrhs: i32, a: u32, lda: i32, pivots: u32, b: u32, ldb: i32,
    | {
        let solve = Solve { n, nrhs, a: operand(a, lda), b: operand(b, ldb) };
        answer(caller, |context, memory| guest::dgesv(context, memory, &solve, pivots))
    })?;
    #[rustfmt::skip]
    linker.func_wrap(MODULE, "dposv", |
        caller: Caller<'_, State>, n: i32, nrhs: i32, a: u32, lda: i32, b: u32, ldb: i32,
    | {
        let solve = Solve { n, nrhs, a: operand(a, lda), b: operand(b, ldb) };
        answer(caller, |context, memory| guest::dposv(context, memory, &solve))
    })?;
    #[rustfmt::skip]
    linker.func_wrap(MODULE, "sparse_solve", |
        caller: Caller<'_, State>, n: i32, nnz: i32, starts_at: u32, rows_at: u32, values_at: u32,
        nrhs: i32, b_at: u32, x_at: u32,
    | {
        let solve = SparseSolve { n, nnz, starts_at, rows_at, values_at, nrhs, b_at, x_at };
        answer(caller, |context, memory| guest::sparse_solve(context, memory, &solve))
    })?;
    Ok(())
}

fn operand(at: u32, leading: i32) -> Operand {
    Operand { at, leading }
}

/// Counts the call as any of the host's, and works where there are kernels for this guest.
fn answer(
    mut caller: Caller<'_, State>,
    work: impl FnOnce(&mut Context<'_>, &mut [u8]) -> Result<i32, Stop>,
) -> wasmtime::Result<i32> {
    caller.data_mut().wasi.count_call()?;
    Ok(with_kernels(&mut caller, work)?.unwrap_or(NOT_AVAILABLE))
}
