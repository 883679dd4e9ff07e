//! Products of matrices, and triangular systems with many right-hand sides: the arguments of BLAS's third level.

use super::{Arguments, after_writing, arguments::Number};
use crate::{
    Context, Mat, MatMut, Stop,
    dense::{self, Part, Product, Side, Symmetric, Symmetry, Transpose, Triangular},
};

/// C := alpha op(A) op(B) + beta C
pub(super) fn gemm<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (of_a, of_b) = (arguments.op(0)?, arguments.op(1)?);
    let (m, n, k) = (arguments.size(2)?, arguments.size(3)?, arguments.size(4)?);
    let (alpha, beta) = (arguments.scalar::<T>(5)?, arguments.scalar::<T>(10)?);
    let a = arguments.matrix(6, of_a.shape((m, k)))?;
    let b = arguments.matrix(8, of_b.shape((k, n)))?;
    let c = arguments.matrix(11, (m, n))?;
    let mut operands = arguments.operands()?;
    let (a, b) = (of_a.of(operands.read(a)?), of_b.of(operands.read(b)?));
    dense::gemm(cx, Product { alpha, a, b, beta }, operands.write(c)?)
}

/// C := alpha A B + beta C, or B A: A is symmetric.
pub(super) fn symm<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    times_symmetric::<T>(cx, arguments, Symmetry::Symmetric)
}

/// C := alpha A B + beta C, or B A: A is Hermitian.
pub(super) fn hemm<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    times_symmetric::<T>(cx, arguments, Symmetry::Hermitian)
}

fn times_symmetric<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>, symmetry: Symmetry) -> Result<(), Stop> {
    let (side, part) = (arguments.side(0)?, arguments.part(1)?);
    let (m, n) = (arguments.size(2)?, arguments.size(3)?);
    let (alpha, beta) = (arguments.scalar::<T>(4)?, arguments.scalar::<T>(9)?);
    let a = arguments.matrix(5, square(side, (m, n)))?;
    let b = arguments.matrix(7, (m, n))?;
    let c = arguments.matrix(10, (m, n))?;
    let mut operands = arguments.operands()?;
    let (a, b) = (operands.read(a)?, operands.read(b)?);
    dense::symm(cx, Symmetric { side, part, symmetry }, Product { alpha, a, b, beta }, operands.write(c)?)
}

/// C := alpha op(A) op(A)ᵀ + beta C, in one triangle of C.
pub(super) fn syrk<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (part, op) = (arguments.part(0)?, arguments.op_symmetric::<T>(1)?);
    let (n, k) = (arguments.size(2)?, arguments.size(3)?);
    let (alpha, beta) = (arguments.scalar::<T>(4)?, arguments.scalar::<T>(7)?);
    let a = arguments.matrix(5, op.shape((n, k)))?;
    let c = arguments.matrix(8, (n, n))?;
    let mut operands = arguments.operands()?;
    let a = op.of(operands.read(a)?);
    dense::gemm_part(cx, part, Product { alpha, a, b: a.t(), beta }, operands.write(c)?)
}

/// C := alpha op(A) op(A)ᴴ + beta C, in one triangle of C: alpha and beta are real.
pub(super) fn herk<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (part, op) = (arguments.part(0)?, arguments.op_hermitian(1)?);
    let (n, k) = (arguments.size(2)?, arguments.size(3)?);
    let (alpha, beta) = (arguments.real_scalar::<T>(4)?, arguments.real_scalar::<T>(7)?);
    let a = arguments.matrix(5, op.shape((n, k)))?;
    let c = arguments.matrix(8, (n, n))?;
    let mut operands = arguments.operands()?;
    let a = op.of(operands.read(a)?);
    let mut c = operands.write(c)?;
    check_diagonal(&c, (alpha, beta))?;
    dense::gemm_part(cx, part, Product { alpha, a, b: a.h(), beta }, c.reborrow())?;
    make_diagonal_real(&mut c);
    Ok(())
}

/// C := alpha op(A) op(B)ᵀ + alpha op(B) op(A)ᵀ + beta C, in one triangle of C.
pub(super) fn syr2k<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let op = arguments.op_symmetric::<T>(1)?;
    let (alpha, beta) = (arguments.scalar::<T>(4)?, arguments.scalar::<T>(9)?);
    let Pair { part, a, b, mut c } = pair(arguments, op)?;
    dense::gemm_part(cx, part, Product { alpha, a, b: b.t(), beta }, c.reborrow())?;
    after_writing(dense::gemm_part(cx, part, Product { alpha, a: b, b: a.t(), beta: T::ONE }, c))
}

/// C := alpha op(A) op(B)ᴴ + conj(alpha) op(B) op(A)ᴴ + beta C, in one triangle of C: beta is real.
pub(super) fn her2k<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let op = arguments.op_hermitian(1)?;
    let (alpha, beta) = (arguments.scalar::<T>(4)?, arguments.real_scalar::<T>(9)?);
    let Pair { part, a, b, mut c } = pair(arguments, op)?;
    check_diagonal(&c, (alpha, beta))?;
    let (first, second) =
        (Product { alpha, a, b: b.h(), beta }, Product { alpha: alpha.conj(), a: b, b: a.h(), beta: T::ONE });
    dense::gemm_part(cx, part, first, c.reborrow())?;
    after_writing(dense::gemm_part(cx, part, second, c.reborrow()))?;
    make_diagonal_real(&mut c);
    Ok(())
}

/// The operands of an update by two matrices: op(A), op(B), and the triangle of C.
struct Pair<'m, T> {
    part: Part,
    a: Mat<'m, T>,
    b: Mat<'m, T>,
    c: MatMut<'m, T>,
}

fn pair<T: Number>(arguments: Arguments<'_>, op: Transpose) -> Result<Pair<'_, T>, Stop> {
    let part = arguments.part(0)?;
    let (n, k) = (arguments.size(2)?, arguments.size(3)?);
    let a = arguments.matrix(5, op.shape((n, k)))?;
    let b = arguments.matrix(7, op.shape((n, k)))?;
    let c = arguments.matrix(10, (n, n))?;
    let mut operands = arguments.operands()?;
    let (a, b) = (op.of(operands.read(a)?), op.of(operands.read(b)?));
    Ok(Pair { part, a, b, c: operands.write(c)? })
}

/// The imaginary parts of a Hermitian matrix's diagonal are whatever they are, and count as zeros. Those that would not come
/// to zero when they are multiplied by it are left to the guest's own code, and so is an update by nothing, which leaves even
/// them as they are.
fn check_diagonal<T: Number>(c: &MatMut<'_, T>, (alpha, beta): (T, T)) -> Result<(), Stop> {
    let is_finite = |value: T| T::ZERO * (value - value.conj()) == T::ZERO;
    let is_nothing = alpha == T::ZERO && beta == T::ONE;
    let is_fine = beta == T::ZERO || (0..c.rows).all(|index| is_finite(c.get(index, index)));
    if is_fine && !is_nothing { Ok(()) } else { Err(Stop::Declined) }
}

fn make_diagonal_real<T: Number>(c: &mut MatMut<'_, T>) {
    for index in 0..c.rows {
        let diagonal = c.get(index, index).real();
        c.set(index, index, T::from_real(diagonal));
    }
}

/// B := alpha op(A) B, or B op(A): A is triangular.
pub(super) fn trmm<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let Sided { triangular, alpha, a, b } = sided::<T>(arguments)?;
    dense::trmm(cx, triangular, alpha, a, b)
}

/// B := alpha op(A)⁻¹ B, or B op(A)⁻¹: A is triangular.
pub(super) fn trsm<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let Sided { triangular, alpha, a, b } = sided::<T>(arguments)?;
    dense::trsm(cx, triangular, alpha, a, b)
}

/// The operands of a triangular matrix at one side of another: op(A) and B.
struct Sided<'m, T> {
    triangular: Triangular,
    alpha: T,
    a: Mat<'m, T>,
    b: MatMut<'m, T>,
}

fn sided<T: Number>(arguments: Arguments<'_>) -> Result<Sided<'_, T>, Stop> {
    let (side, part) = (arguments.side(0)?, arguments.part(1)?);
    let (op, diag) = (arguments.op(2)?, arguments.diag(3)?);
    let (m, n) = (arguments.size(4)?, arguments.size(5)?);
    let alpha = arguments.scalar(6)?;
    let a = arguments.matrix(7, square(side, (m, n)))?;
    let b = arguments.matrix(9, (m, n))?;
    let mut operands = arguments.operands()?;
    let triangular = Triangular { side, part: op.part(part), diag };
    let a = op.of(operands.read(a)?);
    Ok(Sided { triangular, alpha, a, b: operands.write(b)? })
}

/// The shape of the square matrix at that side of one of `m` by `n`.
fn square(side: Side, (m, n): (u32, u32)) -> (u32, u32) {
    match side {
        Side::Left => (m, m),
        Side::Right => (n, n),
    }
}
