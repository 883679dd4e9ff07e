//! Vectors: the arguments of BLAS's first level.

use super::{Arguments, arguments::Number};
use crate::{Context, MatMut, Stop, dense};

/// The Euclidean norm of x.
pub(super) fn nrm2<T: Number<Real: Number>>(cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> {
    let n = arguments.size(0)?;
    let x = arguments.vector(1, n)?;
    let result = arguments.result();
    let mut operands = arguments.operands()?;
    let x = operands.read::<T>(x)?;
    let mut result: MatMut<'_, T::Real> = operands.write(result)?;
    result.set(0, 0, dense::nrm2(cx, x)?);
    Ok(())
}
