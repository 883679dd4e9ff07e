//! LU factorisation with partial pivoting, by halves of the columns, and the systems that it solves.

#![expect(clippy::indexing_slicing, reason = "loops over arrays of constant size, within sizes that were checked")]

use super::{
    Diag, Part, Side, Transpose, Triangular,
    gemm::{PIECE, Work, with_work},
    instructions::{Arithmetic, Task, run},
};
use crate::{Context, Mat, MatMut, Scalar, Stop, WORK_FLOPS_MAX};

/// Factors the m×n matrix `a` as P L U, with the unit lower L and the upper U written over it. `pivots[i]` says with which
/// row, counted from 1, row i was exchanged. Returns 0, or the number of the first column, counted from 1, whose pivot is
/// exactly zero.
///
/// `Declined` where the elements of a column are not neighbours.
pub fn getrf<T: Scalar>(cx: &mut Context<'_>, a: MatMut<'_, T>, pivots: &mut [i32]) -> Result<i32, Stop> {
    let size = a.rows.min(a.cols);
    assert!(pivots.len() == size, "as many pivots as the shorter side has elements");
    if a.row_step != 1 && a.rows > 1 {
        return Err(Stop::Declined);
    }
    let room = if is_panel::<T>(a.rows, a.cols) { 0 } else { a.rows.max(a.cols) };
    with_work(cx, (room, size), |work| work.getrf(a, pivots))
}

/// Solves `op(a) x = b` for x, which is written over b, with the n×n factors and the pivots of [`getrf`].
pub fn getrs<T: Scalar>(
    cx: &mut Context<'_>,
    transpose: Transpose,
    a: Mat<'_, T>,
    pivots: &[i32],
    mut b: MatMut<'_, T>,
) -> Result<(), Stop> {
    assert!(a.rows == a.cols && a.rows == b.rows && pivots.len() == a.rows, "factors that don't fit");
    if pivots.iter().any(|pivot| usize::try_from(*pivot).is_err() || !(1..=a.rows).contains(&(*pivot as usize))) {
        return Err(Stop::Declined);
    }
    with_work(cx, (b.rows.max(b.cols), a.rows), |work| {
        let lower = Triangular { side: Side::Left, part: Part::Lower, diag: Diag::Unit };
        let upper = Triangular { side: Side::Left, part: Part::Upper, diag: Diag::NonUnit };
        let turned = match transpose {
            Transpose::No => {
                exchange(work, pivots, Order::Forward, b.reborrow())?;
                work.trsm(lower, a, b.reborrow())?;
                return work.trsm(upper, a, b);
            }
            Transpose::Transposed => a.t(),
            Transpose::ConjTransposed => a.h(),
        };
        work.trsm(Triangular { part: Part::Lower, ..upper }, turned, b.reborrow())?;
        work.trsm(Triangular { part: Part::Upper, ..lower }, turned, b.reborrow())?;
        exchange(work, pivots, Order::Backward, b)
    })
}

/// Solves `a x = b` for x, which is written over b: [`getrf`] and then [`getrs`], with room made once for both, so that it
/// declines before anything is written or not at all. Where the answer isn't 0, b is left alone.
pub fn gesv<T: Scalar>(
    cx: &mut Context<'_>,
    mut a: MatMut<'_, T>,
    pivots: &mut [i32],
    mut b: MatMut<'_, T>,
) -> Result<i32, Stop> {
    assert!(a.rows == a.cols && a.rows == b.rows && pivots.len() == a.rows, "a system that doesn't fit");
    if a.row_step != 1 && a.rows > 1 {
        return Err(Stop::Declined);
    }
    with_work(cx, (b.rows.max(b.cols), a.rows), |work| {
        let info = work.getrf(a.reborrow(), pivots)?;
        if info == 0 {
            let lower = Triangular { side: Side::Left, part: Part::Lower, diag: Diag::Unit };
            exchange(work, pivots, Order::Forward, b.reborrow())?;
            work.trsm(lower, a.read(), b.reborrow())?;
            work.trsm(Triangular { part: Part::Upper, diag: Diag::NonUnit, ..lower }, a.read(), b)?;
        }
        Ok(info)
    })
}

/// The most columns that are not cut any further.
const PANEL: usize = 8;

fn panel_flops<T: Scalar>(rows: usize, cols: usize) -> u64 {
    T::FLOPS * (rows * cols * cols) as u64
}

/// Whether a matrix is factored column by column: it is narrow, and a piece of work.
fn is_panel<T: Scalar>(rows: usize, cols: usize) -> bool {
    cols <= 1 || (cols <= PANEL && panel_flops::<T>(rows, cols) <= WORK_FLOPS_MAX)
}

impl<T: Scalar> Work<'_, '_, T> {
    fn getrf(&mut self, a: MatMut<'_, T>, pivots: &mut [i32]) -> Result<i32, Stop> {
        let (rows, cols) = (a.rows, a.cols);
        let size = rows.min(cols);
        if size == 0 {
            return Ok(0);
        }
        if is_panel::<T>(rows, cols) {
            self.cx.work(panel_flops::<T>(rows, cols).min(WORK_FLOPS_MAX))?;
            return Ok(run(self.instructions(), Panel { a, pivots }));
        }
        let half = size.div_ceil(2).next_multiple_of(PANEL).min(cols - 1).min(size);
        let (mut left, mut right) = a.split_cols(half);
        let (first, last) = pivots.split_at_mut(half);
        let mut info = self.getrf(left.reborrow(), first)?;
        exchange(self, first, Order::Forward, right.reborrow())?;
        let (mut upper, mut lower) = right.split_rows(half);
        let lower_triangle = Triangular { side: Side::Left, part: Part::Lower, diag: Diag::Unit };
        self.trsm(lower_triangle, left.read().part((0, 0), (half, half)), upper.reborrow())?;
        let factor = left.read().part((half, 0), (rows - half, half));
        self.subtract(factor, upper.read(), lower.reborrow())?;
        let later = self.getrf(lower, last)?;
        if info == 0 && later > 0 {
            info = later + half as i32;
        }
        exchange(self, last, Order::Forward, left.part((half, 0), (rows - half, half)))?;
        for pivot in last {
            *pivot += half as i32;
        }
        Ok(info)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Forward,
    Backward,
}

/// Exchanges rows as the pivots say, column by column: a column stays in the caches meanwhile.
fn exchange<T: Scalar>(
    work: &mut Work<'_, '_, T>,
    pivots: &[i32],
    order: Order,
    mut b: MatMut<'_, T>,
) -> Result<(), Stop> {
    let columns_max = (PIECE / pivots.len().max(1)).max(1);
    for first in (0..b.cols).step_by(columns_max) {
        let cols = first..(first + columns_max).min(b.cols);
        work.cx.work((pivots.len() * cols.len()) as u64)?;
        for col in cols {
            let rows = b.rows;
            let mut column = b.reborrow().part((0, col), (rows, 1));
            let mut exchange = |(row, pivot): (usize, &i32)| {
                let other = *pivot as usize - 1;
                if other != row {
                    let (value, others) = (column.get(row, 0), column.get(other, 0));
                    column.set(row, 0, others);
                    column.set(other, 0, value);
                }
            };
            match order {
                Order::Forward => pivots.iter().enumerate().for_each(&mut exchange),
                Order::Backward => pivots.iter().enumerate().rev().for_each(&mut exchange),
            }
        }
    }
    Ok(())
}

/// A few columns, one after the other. Its output is the first column without a pivot, or 0.
struct Panel<'m, T> {
    a: MatMut<'m, T>,
    pivots: &'m mut [i32],
}

impl<T: Scalar> Task for Panel<'_, T> {
    type Output = i32;

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) -> i32 {
        let (rows, cols, step, first) = (self.a.rows, self.a.cols, self.a.col_step, self.a.first());
        // SAFETY: a column's elements are neighbours; each slice is gone before the next of its column is made.
        let column = |col: usize, from: usize| unsafe {
            let first = first.wrapping_offset(col as isize * step + from as isize);
            std::slice::from_raw_parts_mut(first, rows - from)
        };
        let mut info = 0;
        for col in 0..cols.min(rows) {
            let mine = column(col, col);
            let pivot = largest(mine);
            self.pivots[col] = (col + pivot) as i32 + 1;
            if mine[pivot] == T::ZERO {
                if info == 0 {
                    info = col as i32 + 1;
                }
            } else if pivot != 0 {
                for other in 0..cols {
                    column(other, col).swap(0, pivot);
                }
            }
            let Some((diagonal, below)) = column(col, col).split_first_mut() else { return info };
            if *diagonal != T::ZERO {
                divide(below, *diagonal);
            }
            for other in col + 1..cols {
                let Some((factor, values)) = column(other, col).split_first_mut() else { return info };
                let factor = -*factor;
                for (value, element) in values.iter_mut().zip(below.iter()) {
                    *value = A::mul_add(*element, factor, *value);
                }
            }
        }
        info
    }
}

/// The first of the elements of the largest magnitude.
#[inline(always)]
fn largest<T: Scalar>(values: &[T]) -> usize {
    let mut best = (0, values[0].magnitude());
    for (at, value) in values.iter().enumerate() {
        let magnitude = value.magnitude();
        if magnitude > best.1 {
            best = (at, magnitude);
        }
    }
    best.0
}

#[inline(always)]
fn divide<T: Scalar>(values: &mut [T], by: T) {
    // The reciprocal of a smaller number overflows.
    let safe = T::from_f64(if size_of::<T::Real>() == 8 { f64::MIN_POSITIVE } else { f32::MIN_POSITIVE as f64 });
    if by.magnitude() >= safe.real() {
        let factor = by.recip();
        values.iter_mut().for_each(|value| *value *= factor);
    } else {
        values.iter_mut().for_each(|value| *value = value.quotient(by));
    }
}
