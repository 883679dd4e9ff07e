//! Matrices and vectors: the arguments of BLAS's second level. A vector is a column.

use super::{Arguments, arguments::Number};
use crate::{
    Context, Mat, MatMut, Stop,
    dense::{self, Diag, Part, Product, Rank2, Symmetry},
};

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
    dense::gemv(cx, Product { alpha, a, b: x, beta }, operands.write(y)?)
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
    dense::symv(cx, part, symmetry, Product { alpha, a, b: x, beta }, operands.write(y)?)
}

/// A := alpha x yᵀ + A
pub(super) fn ger<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (Rank2 { alpha, x, y }, a) = outer::<T>(arguments)?;
    dense::ger(cx, alpha, x, y, a)
}

/// A := alpha x yᴴ + A
pub(super) fn gerc<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (Rank2 { alpha, x, y }, a) = outer::<T>(arguments)?;
    dense::ger(cx, alpha, x, y.conj(), a)
}

fn outer<T: Number>(arguments: Arguments<'_>) -> Result<(Rank2<'_, T>, MatMut<'_, T>), Stop> {
    let (m, n) = (arguments.size(0)?, arguments.size(1)?);
    update(arguments, (m, n))
}

/// A := alpha x xᵀ + A, in one triangle of A.
pub(super) fn syr<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let alpha = arguments.scalar::<T>(2)?;
    rank1(cx, arguments, Symmetry::Symmetric, alpha)
}

/// A := alpha x xᴴ + A with a real alpha, in one triangle of A.
pub(super) fn her<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let alpha = arguments.real_scalar::<T>(2)?;
    rank1(cx, arguments, Symmetry::Hermitian, alpha)
}

fn rank1<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>, symmetry: Symmetry, alpha: T) -> Result<(), Stop> {
    let (part, n) = (arguments.part(0)?, arguments.size(1)?);
    let x = arguments.vector(3, n)?;
    let a = arguments.matrix(5, (n, n))?;
    let mut operands = arguments.operands()?;
    let x = operands.read(x)?;
    dense::syr(cx, part, symmetry, (alpha, x), operands.write(a)?)
}

/// A := alpha x yᵀ + alpha y xᵀ + A, in one triangle of A.
pub(super) fn syr2<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    rank2::<T>(cx, arguments, Symmetry::Symmetric)
}

/// A := alpha x yᴴ + conj(alpha) y xᴴ + A, in one triangle of A.
pub(super) fn her2<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    rank2::<T>(cx, arguments, Symmetry::Hermitian)
}

fn rank2<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>, symmetry: Symmetry) -> Result<(), Stop> {
    let (part, n) = (arguments.part(0)?, arguments.size(1)?);
    let (vectors, a) = update::<T>(arguments, (n, n))?;
    dense::syr2(cx, part, symmetry, vectors, a)
}

/// The operands of an update of A, which has that shape, by two vectors.
fn update<T: Number>(arguments: Arguments<'_>, shape: (u32, u32)) -> Result<(Rank2<'_, T>, MatMut<'_, T>), Stop> {
    let alpha = arguments.scalar(2)?;
    let x = arguments.vector(3, shape.0)?;
    let y = arguments.vector(5, shape.1)?;
    let a = arguments.matrix(7, shape)?;
    let mut operands = arguments.operands()?;
    Ok((Rank2 { alpha, x: operands.read(x)?, y: operands.read(y)? }, operands.write(a)?))
}

/// x := op(A)⁻¹ x: A is triangular.
pub(super) fn trsv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let Triangle { part, diag, a, x } = triangle::<T>(arguments)?;
    dense::trsv(cx, part, diag, a, x)
}

/// x := op(A) x: A is triangular.
pub(super) fn trmv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let Triangle { part, diag, a, x } = triangle::<T>(arguments)?;
    dense::trmv(cx, part, diag, a, x)
}

/// The operands of a triangular matrix and a vector: op(A), its part, and x.
struct Triangle<'m, T> {
    part: Part,
    diag: Diag,
    a: Mat<'m, T>,
    x: MatMut<'m, T>,
}

fn triangle<T: Number>(arguments: Arguments<'_>) -> Result<Triangle<'_, T>, Stop> {
    let (part, op, diag) = (arguments.part(0)?, arguments.op(1)?, arguments.diag(2)?);
    let n = arguments.size(3)?;
    let a = arguments.matrix(4, (n, n))?;
    let x = arguments.vector(6, n)?;
    let mut operands = arguments.operands()?;
    let a = op.of(operands.read(a)?);
    Ok(Triangle { part: op.part(part), diag, a, x: operands.write(x)? })
}
