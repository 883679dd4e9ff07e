//! Matrices and vectors: the arguments of BLAS's second level. A vector is a column.

use super::{
    Arguments,
    arguments::Number,
    kernels::{self, Part, Product, Symmetry, Triangle},
};
use crate::{Context, Mat, MatMut, Stop};

/// y := alpha op(A) x + beta y
pub(super) fn gemv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let op = arguments.op(0)?;
    let shape = (arguments.size(1)?, arguments.size(2)?);
    let (alpha, beta) = (arguments.scalar::<T>(3)?, arguments.scalar::<T>(8)?);
    let (of_y, of_x) = op.shape(shape);
    let a = arguments.matrix(4, shape)?;
    let x = arguments.vector(6, of_x)?;
    let y = arguments.vector(9, of_y)?;
    let mut operands = arguments.operands()?;
    let (a, x) = (op.of(operands.read(a)?), operands.read(x)?);
    kernels::gemv(cx, Product { alpha, a, b: x, beta }, operands.write(y)?)
}

/// y := alpha A x + beta y: A is symmetric.
pub(super) fn symv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    times_symmetric::<T>(cx, arguments, Symmetry::Symmetric)
}

/// y := alpha A x + beta y: A is Hermitian.
pub(super) fn hemv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    times_symmetric::<T>(cx, arguments, Symmetry::Hermitian)
}

fn times_symmetric<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>, symmetry: Symmetry) -> Result<(), Stop> {
    let (part, n) = (arguments.part(0)?, arguments.size(1)?);
    let (alpha, beta) = (arguments.scalar::<T>(2)?, arguments.scalar::<T>(7)?);
    let a = arguments.matrix(3, (n, n))?;
    let x = arguments.vector(5, n)?;
    let y = arguments.vector(8, n)?;
    let mut operands = arguments.operands()?;
    let (a, x) = (operands.read(a)?, operands.read(x)?);
    kernels::symv(cx, (part, symmetry), Product { alpha, a, b: x, beta }, operands.write(y)?)
}

/// A := alpha x yᵀ + A
pub(super) fn ger<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (alpha, x, y, a) = outer::<T>(arguments)?;
    kernels::ger(cx, alpha, (x, y), a)
}

/// A := alpha x yᴴ + A
pub(super) fn gerc<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (alpha, x, y, a) = outer::<T>(arguments)?;
    kernels::ger(cx, alpha, (x, y.conj()), a)
}

type Outer<'m, T> = (T, Mat<'m, T>, Mat<'m, T>, MatMut<'m, T>);

fn outer<T: Number>(arguments: Arguments<'_>) -> Result<Outer<'_, T>, Stop> {
    let (m, n) = (arguments.size(0)?, arguments.size(1)?);
    let alpha = arguments.scalar(2)?;
    let x = arguments.vector(3, m)?;
    let y = arguments.vector(5, n)?;
    let a = arguments.matrix(7, (m, n))?;
    let mut operands = arguments.operands()?;
    Ok((alpha, operands.read(x)?, operands.read(y)?, operands.write(a)?))
}

/// A := alpha x yᵀ + alpha y xᵀ + A, in one triangle of A.
pub(super) fn syr2<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (part, (alpha, x, y, a)) = outer_part::<T>(arguments)?;
    kernels::syr2(cx, (part, Symmetry::Symmetric), alpha, (x, y), a)
}

/// A := alpha x yᴴ + conj(alpha) y xᴴ + A, in one triangle of A.
pub(super) fn her2<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (part, (alpha, x, y, a)) = outer_part::<T>(arguments)?;
    kernels::syr2(cx, (part, Symmetry::Hermitian), alpha, (x, y), a)
}

fn outer_part<T: Number>(arguments: Arguments<'_>) -> Result<(Part, Outer<'_, T>), Stop> {
    let (part, n) = (arguments.part(0)?, arguments.size(1)?);
    let alpha = arguments.scalar(2)?;
    let x = arguments.vector(3, n)?;
    let y = arguments.vector(5, n)?;
    let a = arguments.matrix(7, (n, n))?;
    let mut operands = arguments.operands()?;
    Ok((part, (alpha, operands.read(x)?, operands.read(y)?, operands.write(a)?)))
}

/// x := op(A)⁻¹ x: A is triangular.
pub(super) fn trsv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (a, x) = triangular::<T>(arguments)?;
    kernels::trsv(cx, a, x)
}

/// x := op(A) x: A is triangular.
pub(super) fn trmv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (a, x) = triangular::<T>(arguments)?;
    kernels::trmv(cx, a, x)
}

fn triangular<T: Number>(arguments: Arguments<'_>) -> Result<(Triangle<'_, T>, MatMut<'_, T>), Stop> {
    let (part, op, diag) = (arguments.part(0)?, arguments.op(1)?, arguments.diag(2)?);
    let n = arguments.size(3)?;
    let a = arguments.matrix(4, (n, n))?;
    let x = arguments.vector(6, n)?;
    let mut operands = arguments.operands()?;
    let a = Triangle { part: op.part(part), diag, matrix: op.of(operands.read(a)?) };
    Ok((a, operands.write(x)?))
}
