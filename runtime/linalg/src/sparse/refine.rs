//! Iterative refinement, and how well a solution solves its system.
//!
//! The error is measured as in M. Arioli, J. W. Demmel and I. S. Duff, "Solving sparse linear systems with sparse backward
//! error", SIAM Journal on Matrix Analysis and Applications 10 (1989), 165–190: of each equation, relative to the sum of its
//! terms' magnitudes, or to a bound of them where they are all but zero.

#![expect(clippy::indexing_slicing, reason = "the matrix was checked, and vectors have its size")]

use super::{
    layout::Factors,
    matrix::Columns,
    solve::{Side, solve},
    work::Work,
};
use crate::Stop;

/// The backward error of a solution that needs no refinement.
const ERROR_GOOD: f64 = 4.0 * f64::EPSILON;
/// The largest backward error of a solution that is handed out.
const ERROR_MAX: f64 = 1e-13;
const STEPS_MAX: usize = 4;

/// The system that solutions are checked with: A, or its transpose by `side`.
pub(super) struct System<'m> {
    matrix: Columns<'m>,
    side: Side,
    /// Σ |a_ij| of each equation i.
    norms: Vec<f64>,
    residual: Vec<f64>,
    magnitudes: Vec<f64>,
}

impl<'m> System<'m> {
    pub(super) fn new(work: &mut Work<'_, '_>, matrix: Columns<'m>, side: Side) -> Result<Self, Stop> {
        let size = matrix.size();
        let mut norms: Vec<f64> = work.zeros(size)?;
        for column in 0..size {
            let (rows, values) = matrix.column(column);
            work.spend(rows.len() + 1)?;
            for (&row, value) in rows.iter().zip(values) {
                let equation = if side == Side::Plain { row as usize } else { column };
                norms[equation] += value.abs();
            }
        }
        Ok(Self { matrix, side, norms, residual: work.zeros(size)?, magnitudes: work.zeros(size)? })
    }

    pub(super) fn free(self, work: &mut Work<'_, '_>) {
        for vector in [self.norms, self.residual, self.magnitudes] {
            work.free(vector);
        }
    }

    /// Improves the solution `x` for `b`; `Declined` where it is not as good as it must be.
    pub(super) fn refine(
        &mut self,
        work: &mut Work<'_, '_>,
        factors: &Factors<'_>,
        b: &[f64],
        x: &mut [f64],
    ) -> Result<(), Stop> {
        let mut error = self.error(work, b, x)?;
        let mut before: Vec<f64> = work.zeros(x.len())?;
        for _ in 0..STEPS_MAX {
            if error <= ERROR_GOOD || !error.is_finite() {
                break;
            }
            before.copy_from_slice(x);
            let mut correction = std::mem::take(&mut self.residual);
            solve(work, factors, self.side, &mut correction)?;
            for (x, correction) in x.iter_mut().zip(&correction) {
                *x += correction;
            }
            self.residual = correction;
            let improved = self.error(work, b, x)?;
            if improved.is_nan() || improved >= error {
                x.copy_from_slice(&before);
                break;
            }
            let is_slow = improved > error / 2.0;
            error = improved;
            if is_slow {
                break;
            }
        }
        work.free(before);
        if error <= ERROR_MAX { Ok(()) } else { Err(Stop::Declined) }
    }

    /// Leaves b - A x in `residual`, and returns the largest relative error of an equation.
    fn error(&mut self, work: &mut Work<'_, '_>, b: &[f64], x: &[f64]) -> Result<f64, Stop> {
        let Self { matrix, side, norms, residual, magnitudes } = self;
        let size = matrix.size();
        work.spend(8 * size)?;
        residual.copy_from_slice(b);
        for (magnitude, b) in magnitudes.iter_mut().zip(b) {
            *magnitude = b.abs();
        }
        for column in 0..size {
            let (rows, values) = matrix.column(column);
            work.spend(4 * rows.len())?;
            if *side == Side::Plain {
                let factor = x[column];
                for (&row, value) in rows.iter().zip(values) {
                    let term = value * factor;
                    residual[row as usize] -= term;
                    magnitudes[row as usize] += term.abs();
                }
            } else {
                let (mut sum, mut magnitude) = (residual[column], magnitudes[column]);
                for (&row, value) in rows.iter().zip(values) {
                    let term = value * x[row as usize];
                    sum -= term;
                    magnitude += term.abs();
                }
                (residual[column], magnitudes[column]) = (sum, magnitude);
            }
        }
        let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let mut error: f64 = 0.0;
        for equation in 0..size {
            let bound = norms[equation] * largest + b[equation].abs();
            let is_all_but_zero = magnitudes[equation] <= 1000.0 * f64::EPSILON * size as f64 * bound;
            let scale =
                if is_all_but_zero { magnitudes[equation] + norms[equation] * largest } else { magnitudes[equation] };
            let distance = residual[equation].abs();
            let relative = if distance == 0.0 { 0.0 } else { distance / scale };
            if relative.is_nan() {
                return Ok(f64::NAN);
            }
            error = error.max(relative);
        }
        Ok(error)
    }
}
