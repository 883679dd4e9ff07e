//! Fronts that the dense kernels eliminate.

use super::{Panels, exchange, is_pivot, small_cholesky, small_lu, subtract};
use super::super::{layout::Front, work::Work};
use crate::Stop;

pub(super) fn cholesky(work: &mut Work<'_, '_>, front: Front, lower: &mut [f64]) -> Result<bool, Stop> {
    work.spend(super::flops(front))?;
    Ok(small_cholesky(front, lower))
}

pub(super) fn update_symmetric(
    _work: &mut Work<'_, '_>,
    front: Front,
    lower: &[f64],
    (update, is_new): (&mut [f64], bool),
) -> Result<(), Stop> {
    let height = front.rows();
    if is_new {
        update.fill(0.0);
    }
    for at in 0..front.below {
        let column = &mut update[at * front.below..][at..front.below];
        subtract(column, front.columns, |p| {
            let from = &lower[p * height + front.columns + at..(p + 1) * height];
            (from[0], from)
        });
    }
    Ok(())
}

pub(super) fn lu(
    work: &mut Work<'_, '_>,
    front: Front,
    Panels { lower, upper, pivots }: Panels<'_>,
    (update, is_new): (&mut [f64], bool),
) -> Result<bool, Stop> {
    work.spend(2 * super::flops(front))?;
    let height = front.rows();
    if !small_lu(front, lower, pivots) {
        return Ok(false);
    }
    exchange(upper, front.below, pivots);
    for at in 1..front.columns {
        let (before, own) = upper.split_at_mut(at * front.below);
        let own = &mut own[..front.below];
        subtract(own, at, |p| (lower[p * height + at], &before[p * front.below..(p + 1) * front.below]));
    }
    if is_new {
        update.fill(0.0);
    }
    for at in 0..front.below {
        let column = &mut update[at * front.below..][..front.below];
        subtract(column, front.columns, |p| {
            (upper[p * front.below + at], &lower[p * height + front.columns..(p + 1) * height])
        });
    }
    Ok(true)
}
