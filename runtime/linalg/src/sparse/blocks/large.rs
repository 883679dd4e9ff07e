//! Fronts that the dense kernels eliminate.

use super::super::{layout::Front, work::Work};
use super::{Panels, exchange, is_pivot};
use crate::{
    Mat, MatMut, Stop,
    dense::{Diag, Part, Product, Side, Triangular, gemm, gemm_part, getrf, potrf, trsm},
};

/// A front's own rows of its columns, and those below.
fn split(front: Front, lower: &mut [f64]) -> Result<(MatMut<'_, f64>, MatMut<'_, f64>), Stop> {
    let height = front.rows();
    let panel = MatMut::by_columns(lower, (height, front.columns), height).ok_or(Stop::Declined)?;
    Ok(panel.split_rows(front.columns))
}

fn square(front: Front, update: &mut [f64]) -> Result<MatMut<'_, f64>, Stop> {
    MatMut::by_columns(update, (front.below, front.below), front.below).ok_or(Stop::Declined)
}

/// The columns of L. `false` where a pivot is not positive.
pub(super) fn cholesky(work: &mut Work<'_, '_>, front: Front, lower: &mut [f64]) -> Result<bool, Stop> {
    let (mut own, beyond) = split(front, lower)?;
    if potrf(work.cx(), Part::Lower, own.reborrow())? != 0 {
        return Ok(false);
    }
    let transpose = Triangular { side: Side::Right, part: Part::Upper, diag: Diag::NonUnit };
    trsm(work.cx(), transpose, 1.0, own.read().t(), beyond)?;
    Ok(true)
}

/// Subtracts L₂₁ L₂₁ᵀ.
pub(super) fn update_symmetric(
    work: &mut Work<'_, '_>,
    front: Front,
    lower: &mut [f64],
    (update, is_new): (&mut [f64], bool),
) -> Result<(), Stop> {
    let (_, beyond) = split(front, lower)?;
    let (a, beta) = (beyond.read(), if is_new { 0.0 } else { 1.0 });
    let product = Product { alpha: -1.0, a, b: a.t(), beta };
    gemm_part(work.cx(), Part::Lower, product, square(front, update)?)
}

pub(super) fn lu(
    work: &mut Work<'_, '_>,
    front: Front,
    Panels { lower, upper, pivots }: Panels<'_>,
    (update, is_new): (&mut [f64], bool),
) -> Result<bool, Stop> {
    let (mut own, mut beyond) = split(front, lower)?;
    let mut rows: Vec<i32> = work.zeros(front.columns)?;
    let info = getrf(work.cx(), own.reborrow(), &mut rows)?;
    if info != 0 || (0..front.columns).any(|at| !is_pivot(own.get(at, at))) {
        return Ok(false);
    }
    for (pivot, row) in pivots.iter_mut().zip(&rows) {
        *pivot = u32::try_from(row - 1).map_err(|_| Stop::Declined)?;
    }
    work.free(rows);
    if front.below == 0 {
        return Ok(true);
    }
    let u = Triangular { side: Side::Right, part: Part::Upper, diag: Diag::NonUnit };
    trsm(work.cx(), u, 1.0, own.read(), beyond.reborrow())?;
    work.spend(upper.len())?;
    exchange(upper, front.below, pivots);
    let shape = (front.below, front.columns);
    let rows_of_u = MatMut::by_columns(upper, shape, front.below).ok_or(Stop::Declined)?;
    // (L⁻¹ U₁₂)ᵀ = U₁₂ᵀ L⁻ᵀ.
    let l = Triangular { side: Side::Right, part: Part::Upper, diag: Diag::Unit };
    trsm(work.cx(), l, 1.0, own.read().t(), rows_of_u)?;
    let rows_of_u = Mat::by_columns(upper, shape, front.below).ok_or(Stop::Declined)?;
    let product = Product { alpha: -1.0, a: beyond.read(), b: rows_of_u.t(), beta: if is_new { 0.0 } else { 1.0 } };
    gemm(work.cx(), product, square(front, update)?)?;
    Ok(true)
}
