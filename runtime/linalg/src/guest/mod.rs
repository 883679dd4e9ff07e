//! What a guest in any language asks for by name: a product and three solves, on doubles in its memory.
//!
//! Matrices lie by columns, `leading` elements apart. Nothing that is asked for is trusted: sizes, addresses, alignment and
//! overlaps are checked before a view exists, and what fails a check is refused without a byte written.

mod region;
mod sparse;
#[cfg(test)]
mod tests;

pub use sparse::{SparseSolve, sparse_solve};

use crate::{
    Context, Stop,
    dense::{self, Part, Transpose},
};
use region::{Base, Region};

/// Zero is done, above zero is LAPACK's `info`, below zero is refused: an argument, or a range beyond the memory.
pub const INVALID: i32 = -1;
/// The guest may not have the memory that the kernel works in.
pub const NO_MEMORY: i32 = -2;
/// The host has no kernels for this guest. No answer of this module's own.
pub const NOT_AVAILABLE: i32 = -3;
/// A sparse matrix is singular, or so near to it that the answer would be no answer.
pub const UNRELIABLE: i32 = -4;

/// Where a matrix begins, a byte address, and how far apart its columns are, elements.
#[derive(Debug, Clone, Copy)]
pub struct Operand {
    pub at: u32,
    pub leading: i32,
}

/// `C = alpha op(A) op(B) + beta C`: op(A) is m by k, op(B) is k by n, C is m by n.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    pub m: i32,
    pub n: i32,
    pub k: i32,
    pub alpha: f64,
    pub a: Operand,
    /// 0, or 1 where op(A) is the transpose of A.
    pub trans_a: i32,
    pub b: Operand,
    pub trans_b: i32,
    pub beta: f64,
    pub c: Operand,
}

/// `A X = B`: A is n by n, B is n by `nrhs` and becomes X.
#[derive(Debug, Clone, Copy)]
pub struct Solve {
    pub n: i32,
    pub nrhs: i32,
    pub a: Operand,
    pub b: Operand,
}

/// Computes a product. C is not read where `beta` is zero; A and B may be the same.
pub fn dgemm(cx: &mut Context<'_>, memory: &mut [u8], product: &Product) -> Result<i32, Stop> {
    let base = Base::of(memory);
    let Some((a, b, c)) = operands(base, product) else { return Ok(INVALID) };
    // SAFETY: regions of doubles within the memory, which this call borrows; C shares no element with A or B.
    let (a, b, c) = unsafe { (base.read(a), base.read(b), base.write(c)) };
    let a = if product.trans_a == 0 { a } else { a.t() };
    let b = if product.trans_b == 0 { b } else { b.t() };
    let product = dense::Product { alpha: product.alpha, a, b, beta: product.beta };
    settled(dense::gemm(cx, product, c).map(|()| 0))
}

fn operands(base: Base, product: &Product) -> Option<(Region, Region, Region)> {
    let Product { m, n, k, a, b, c, .. } = *product;
    let a = base.matrix(a.at, stored((m, k), product.trans_a)?, a.leading)?;
    let b = base.matrix(b.at, stored((k, n), product.trans_b)?, b.leading)?;
    let c = base.matrix(c.at, (m, n), c.leading)?;
    (c.is_apart_from(&a) && c.is_apart_from(&b)).then_some((a, b, c))
}

/// Rows and columns as they lie in memory; `None` for a flag that is none.
fn stored((rows, cols): (i32, i32), trans: i32) -> Option<(i32, i32)> {
    match trans {
        0 => Some((rows, cols)),
        1 => Some((cols, rows)),
        _ => None,
    }
}

/// Solves by LU with partial pivoting. A becomes its factors, and the n integers at `pivots` what each row was exchanged
/// with, from 1. Above zero: that pivot is zero, and B as it was.
pub fn dgesv(cx: &mut Context<'_>, memory: &mut [u8], solve: &Solve, pivots: u32) -> Result<i32, Stop> {
    let base = Base::of(memory);
    let regions = || {
        let (a, b) = solve.operands(base)?;
        let pivots = base.array::<i32>(pivots, u64::try_from(solve.n).ok()?)?;
        (pivots.is_apart_from(&a) && pivots.is_apart_from(&b)).then_some((a, b, pivots))
    };
    let Some((a, b, pivots)) = regions() else { return Ok(INVALID) };
    // SAFETY: regions within the memory, which this call borrows, no two of which share an element.
    let (mut a, b, pivots) = unsafe { (base.write(a), base.write(b), base.slice_mut::<i32>(pivots)) };
    let solved = || match dense::getrf(cx, a.reborrow(), pivots)? {
        0 => dense::getrs(cx, Transpose::No, a.read(), pivots, b).map(|()| 0),
        info => Ok(info),
    };
    settled(solved())
}

/// Solves with a symmetric positive definite matrix by Cholesky's factors. Of A only the lower triangle is read, and
/// becomes the factor. Above zero: the leading minor of that order is not positive, and B as it was.
pub fn dposv(cx: &mut Context<'_>, memory: &mut [u8], solve: &Solve) -> Result<i32, Stop> {
    let base = Base::of(memory);
    let Some((a, b)) = solve.operands(base) else { return Ok(INVALID) };
    // SAFETY: regions within the memory, which this call borrows, that share no element.
    let (mut a, b) = unsafe { (base.write(a), base.write(b)) };
    let solved = || match dense::potrf(cx, Part::Lower, a.reborrow())? {
        0 => dense::potrs(cx, Part::Lower, a.read(), b).map(|()| 0),
        info => Ok(info),
    };
    settled(solved())
}

impl Solve {
    fn operands(&self, base: Base) -> Option<(Region, Region)> {
        let a = base.matrix(self.a.at, (self.n, self.n), self.a.leading)?;
        let b = base.matrix(self.b.at, (self.n, self.nrhs), self.b.leading)?;
        a.is_apart_from(&b).then_some((a, b))
    }
}

/// A kernel declines only what it may not have the memory for: everything else was checked.
fn settled(answer: Result<i32, Stop>) -> Result<i32, Stop> {
    match answer {
        Err(Stop::Declined) => Ok(NO_MEMORY),
        answer => answer,
    }
}
