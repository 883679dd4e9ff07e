//! Factorisations, and what is solved by them: the arguments of LAPACK.
//!
//! The last argument is `info`, an integer: 0, or the number (from 1) of the row at which the factorisation found out that
//! there is no answer. Pivots are numbers of rows, from 1.

use super::{Arguments, arguments::Number};
use crate::{
    Context, MatMut, Stop,
    dense::{self, Part},
};

/// A = P L U
pub(super) fn getrf<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (m, n) = (arguments.size(0)?, arguments.size(1)?);
    let a = arguments.matrix(2, (m, n))?;
    let pivots = arguments.neighbours(4, m.min(n))?;
    let info = arguments.neighbours(5, 1)?;
    let mut operands = arguments.operands()?;
    let a: MatMut<'_, T> = operands.write(a)?;
    let (pivots, info) = (operands.write_integers(pivots)?, operands.write_integers(info)?);
    answer(info, dense::getrf(cx, a, pivots)?)
}

/// op(A) X = B by the factors of A.
pub(super) fn getrs<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let op = arguments.op(0)?;
    let (n, columns) = (arguments.size(1)?, arguments.size(2)?);
    let a = arguments.matrix(3, (n, n))?;
    let pivots = arguments.neighbours(5, n)?;
    let b = arguments.matrix(6, (n, columns))?;
    let info = arguments.neighbours(8, 1)?;
    let mut operands = arguments.operands()?;
    let (a, pivots) = (operands.read::<T>(a)?, operands.read_integers(pivots)?);
    let (b, info) = (operands.write(b)?, operands.write_integers(info)?);
    dense::getrs(cx, op, a, pivots, b)?;
    answer(info, 0)
}

/// A X = B. A becomes its factors; if it is singular, B stays what it is.
pub(super) fn gesv<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (n, columns) = (arguments.size(0)?, arguments.size(1)?);
    let a = arguments.matrix(2, (n, n))?;
    let pivots = arguments.neighbours(4, n)?;
    let b = arguments.matrix(5, (n, columns))?;
    let info = arguments.neighbours(7, 1)?;
    let mut operands = arguments.operands()?;
    let (a, b): (MatMut<'_, T>, _) = (operands.write(a)?, operands.write(b)?);
    let (pivots, info) = (operands.write_integers(pivots)?, operands.write_integers(info)?);
    answer(info, dense::gesv(cx, a, pivots, b)?)
}

/// A = L Lᴴ or A = Uᴴ U, in one triangle.
pub(super) fn potrf<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (part, n) = (arguments.part(0)?, arguments.size(1)?);
    let a = arguments.matrix(2, (n, n))?;
    let info = arguments.neighbours(4, 1)?;
    let mut operands = arguments.operands()?;
    let (a, info): (MatMut<'_, T>, _) = (operands.write(a)?, operands.write_integers(info)?);
    if has_nan(part, &a) {
        // The guest's own code goes on with it where LAPACK would say that the matrix is not definite.
        return Err(Stop::Declined);
    }
    answer(info, dense::potrf(cx, part, a)?)
}

/// Whether a triangle has a number that is none.
fn has_nan<T: Number>(part: Part, a: &MatMut<'_, T>) -> bool {
    (0..a.cols).any(|col| {
        let mut rows = match part {
            Part::Upper => 0..col + 1,
            Part::Lower => col..a.rows,
        };
        rows.any(|row| a.get(row, col).is_nan())
    })
}

/// A X = B by the factor of A.
pub(super) fn potrs<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let part = arguments.part(0)?;
    let (n, columns) = (arguments.size(1)?, arguments.size(2)?);
    let a = arguments.matrix(3, (n, n))?;
    let b = arguments.matrix(5, (n, columns))?;
    let info = arguments.neighbours(7, 1)?;
    let mut operands = arguments.operands()?;
    let a = operands.read::<T>(a)?;
    let (b, info) = (operands.write(b)?, operands.write_integers(info)?);
    dense::potrs(cx, part, a, b)?;
    answer(info, 0)
}

/// A := A⁻¹, of one triangle.
pub(super) fn trtri<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (part, diag, n) = (arguments.part(0)?, arguments.diag(1)?, arguments.size(2)?);
    let a = arguments.matrix(3, (n, n))?;
    let info = arguments.neighbours(5, 1)?;
    let mut operands = arguments.operands()?;
    let (a, info): (MatMut<'_, T>, _) = (operands.write(a)?, operands.write_integers(info)?);
    answer(info, dense::trtri(cx, part, diag, a)?)
}

/// A := U Uᴴ or A := Lᴴ L, of one triangle.
pub(super) fn lauum<T: Number>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let (part, n) = (arguments.part(0)?, arguments.size(1)?);
    let a = arguments.matrix(2, (n, n))?;
    let info = arguments.neighbours(4, 1)?;
    let mut operands = arguments.operands()?;
    let (a, info): (MatMut<'_, T>, _) = (operands.write(a)?, operands.write_integers(info)?);
    dense::lauum(cx, part, a)?;
    answer(info, 0)
}

fn answer(info: &mut [i32], row: i32) -> Result<(), Stop> {
    info.fill(row);
    Ok(())
}
