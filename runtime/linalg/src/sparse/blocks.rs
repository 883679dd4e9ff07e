//! The elimination of one front's columns: by loops where it is small, by the dense kernels where it is not.

#![expect(clippy::indexing_slicing, reason = "places within a front, whose panels have its sizes")]

mod large;

use super::{layout::Front, work::Work};
use crate::Stop;

/// A pivot that is smaller, relative to the diagonal element that it was, has no digit left that counts.
const PIVOT_MIN: f64 = 1e-13;

/// Fronts of more columns, or more rows, than that are left to the dense kernels, unless they are tiny.
const SMALL_COLUMNS_MAX: usize = 16;
const SMALL_ROWS_MAX: usize = 128;
const TINY_ROWS_MAX: usize = 32;

/// The panels of a front for LU: `lower` its columns, `upper` its rows beyond them, as columns.
pub(super) struct Panels<'p> {
    pub(super) lower: &'p mut [f64],
    pub(super) upper: &'p mut [f64],
    pub(super) pivots: &'p mut [u32],
}

fn is_small(front: Front) -> bool {
    let is_flat = front.columns <= SMALL_COLUMNS_MAX && front.rows() <= SMALL_ROWS_MAX;
    is_flat || front.rows() <= TINY_ROWS_MAX
}

/// Replaces the columns by those of L, and subtracts L₂₁ L₂₁ᵀ from the lower triangle of `update`, or from zeros where it
/// is new. `false` where a pivot is not positive, or too small for the matrix's diagonal element.
pub(super) fn cholesky(
    work: &mut Work<'_, '_>,
    front: Front,
    lower: &mut [f64],
    (update, is_new): (&mut [f64], bool),
    diagonal: impl Fn(usize) -> f64,
) -> Result<bool, Stop> {
    let height = front.rows();
    let is_positive = if is_small(front) {
        work.spend(flops(front))?;
        small_cholesky(front, lower)
    } else {
        large::cholesky(work, front, lower)?
    };
    let is_regular = is_positive
        && (0..front.columns).all(|at| {
            let root = lower[at * height + at];
            root * root > PIVOT_MIN * diagonal(at)
        });
    if !is_regular || front.below == 0 {
        return Ok(is_regular);
    }
    if is_small(front) {
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
    } else {
        large::update_symmetric(work, front, lower, (update, is_new))?;
    }
    Ok(true)
}

/// Replaces the panels by those of L and U, exchanging rows within the front's own, and subtracts L₂₁ U₁₂ from `update`, or
/// from zeros where it is new. `false` where a pivot is too small.
pub(super) fn lu(
    work: &mut Work<'_, '_>,
    front: Front,
    panels: Panels<'_>,
    (update, is_new): (&mut [f64], bool),
) -> Result<bool, Stop> {
    let height = front.rows();
    let Panels { lower, upper, pivots } = panels;
    if !is_small(front) {
        return large::lu(work, front, Panels { lower, upper, pivots }, (update, is_new));
    }
    work.spend(2 * flops(front))?;
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

/// Whether a pivot of a matrix whose largest elements are about 1 can be divided by.
fn is_pivot(value: f64) -> bool {
    value.abs() > PIVOT_MIN
}

/// Operations of a symmetric elimination.
fn flops(front: Front) -> usize {
    front.columns.saturating_mul(front.rows()).saturating_mul(front.rows())
}

fn small_cholesky(front: Front, lower: &mut [f64]) -> bool {
    let height = front.rows();
    for at in 0..front.columns {
        let (before, own) = lower.split_at_mut(at * height);
        let own = &mut own[at..height];
        subtract(own, at, |p| {
            let from = &before[p * height + at..(p + 1) * height];
            (from[0], from)
        });
        let pivot = own[0];
        if pivot <= 0.0 || !pivot.is_finite() {
            return false;
        }
        let root = pivot.sqrt();
        let scale = 1.0 / root;
        own.iter_mut().for_each(|value| *value *= scale);
        own[0] = root;
    }
    true
}

fn small_lu(front: Front, lower: &mut [f64], pivots: &mut [u32]) -> bool {
    let height = front.rows();
    for at in 0..front.columns {
        let mut pivot = at;
        for row in at + 1..front.columns {
            if lower[at * height + row].abs() > lower[at * height + pivot].abs() {
                pivot = row;
            }
        }
        pivots[at] = pivot as u32;
        if pivot != at {
            for column in lower.chunks_exact_mut(height) {
                column.swap(at, pivot);
            }
        }
        let value = lower[at * height + at];
        if !is_pivot(value) {
            return false;
        }
        let scale = 1.0 / value;
        let (own, later) = lower[at * height..].split_at_mut(height);
        own[at + 1..].iter_mut().for_each(|value| *value *= scale);
        for column in later.chunks_exact_mut(height) {
            let factor = column[at];
            if factor != 0.0 {
                for (sum, value) in column[at + 1..].iter_mut().zip(&own[at + 1..]) {
                    *sum -= factor * value;
                }
            }
        }
    }
    true
}

/// Exchanges columns of `len` elements, in turn.
fn exchange(columns: &mut [f64], len: usize, pivots: &[u32]) {
    for (at, &pivot) in pivots.iter().enumerate() {
        let pivot = pivot as usize;
        if pivot != at && len > 0 {
            let (before, from) = columns.split_at_mut(pivot * len);
            before[at * len..(at + 1) * len].swap_with_slice(&mut from[..len]);
        }
    }
}

/// `sum -= Σ factor(p) column(p)` for p below `count`, four columns at a time.
fn subtract<'c>(sum: &mut [f64], count: usize, term: impl Fn(usize) -> (f64, &'c [f64])) {
    let len = sum.len();
    let mut at = 0;
    while at + 4 <= count {
        let ((f0, c0), (f1, c1)) = (term(at), term(at + 1));
        let ((f2, c2), (f3, c3)) = (term(at + 2), term(at + 3));
        let (c0, c1, c2, c3) = (&c0[..len], &c1[..len], &c2[..len], &c3[..len]);
        for row in 0..len {
            sum[row] -= (f0 * c0[row] + f1 * c1[row]) + (f2 * c2[row] + f3 * c3[row]);
        }
        at += 4;
    }
    while at < count {
        let (factor, column) = term(at);
        for (sum, value) in sum.iter_mut().zip(column) {
            *sum -= factor * value;
        }
        at += 1;
    }
}
