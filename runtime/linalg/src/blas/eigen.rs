//! Eigenvalues: the arguments of those parts of LAPACK that take the time.

use super::{Arguments, arguments::Number};
use crate::{
    Context, MatMut, Stop,
    dense::{self, Secular},
};

/// A root of 1 + rho Σ zⱼ² / (dⱼ − λ), and its differences from all poles d.
pub(super) fn laed4<T: Number<Real = T> + PartialOrd>(
    cx: &mut Context<'_>,
    arguments: Arguments<'_>,
) -> Result<(), Stop> {
    let (n, number) = (arguments.size(0)?, arguments.size(1)?);
    if number > n {
        return Err(Stop::Declined);
    }
    let (poles, z) = (arguments.neighbours(2, n)?, arguments.neighbours(3, n)?);
    let (differences, root) = (arguments.neighbours(4, n)?, arguments.neighbours(6, 1)?);
    let info = arguments.neighbours(7, 1)?;
    let rho = arguments.scalar::<T>(5)?;
    let mut operands = arguments.operands()?;
    let equation = Secular { poles: operands.read(poles)?, z: operands.read(z)?, rho };
    let differences = operands.write(differences)?;
    let mut root: MatMut<'_, T> = operands.write(root)?;
    let info = operands.write_integers(info)?;
    root.set(0, 0, dense::secular_root(cx, equation, number as usize - 1, differences)?);
    info.fill(0);
    Ok(())
}
