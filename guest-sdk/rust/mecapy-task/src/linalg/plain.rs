//! The dense functions where there are no kernels: correct, and slow.

#![expect(clippy::indexing_slicing, reason = "lengths were checked before")]

use super::Matrix;

/// Rows and steps of a block of the first factor, which stays in a cache: 128 KiB.
const BLOCK: usize = 128;

/// `c = alpha a b + beta c`.
pub(super) fn multiply(alpha: f64, a: Matrix<'_>, b: Matrix<'_>, beta: f64, c: &mut [f64]) {
    let (m, k) = (a.rows(), a.cols());
    if m == 0 {
        return;
    }
    for value in c.iter_mut() {
        // What is there may be NaN.
        *value = if beta == 0.0 { 0.0 } else { beta * *value };
    }
    let at = |matrix: &Matrix<'_>, row: usize, col: usize| match matrix.is_transposed {
        false => matrix.values[row + col * matrix.rows],
        true => matrix.values[col + row * matrix.rows],
    };
    for steps in blocks(k) {
        for rows in blocks(m) {
            for (col, column) in c.chunks_exact_mut(m).enumerate() {
                for step in steps.clone() {
                    let factor = alpha * at(&b, step, col);
                    for row in rows.clone() {
                        column[row] += factor * at(&a, row, step);
                    }
                }
            }
        }
    }
}

fn blocks(size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..size).step_by(BLOCK).map(move |first| first..size.min(first + BLOCK))
}

/// Solves by LU with partial pivoting; 0, or the number of the pivot that is zero, from 1, with `b` as it was.
pub(super) fn solve(n: usize, a: &mut [f64], b: &mut [f64]) -> usize {
    let mut pivots = vec![0; n];
    let mut info = 0;
    for step in 0..n {
        let mut pivot = step;
        for row in step + 1..n {
            if a[row + step * n].abs() > a[pivot + step * n].abs() {
                pivot = row;
            }
        }
        pivots[step] = pivot;
        for col in 0..n {
            a.swap(step + col * n, pivot + col * n);
        }
        if a[step + step * n] == 0.0 {
            info = if info == 0 { step + 1 } else { info };
            continue;
        }
        for row in step + 1..n {
            a[row + step * n] /= a[step + step * n];
        }
        for col in step + 1..n {
            let factor = a[step + col * n];
            for row in step + 1..n {
                a[row + col * n] -= a[row + step * n] * factor;
            }
        }
    }
    if info > 0 || n == 0 {
        return info;
    }
    for x in b.chunks_exact_mut(n) {
        pivots.iter().enumerate().for_each(|(row, &pivot)| x.swap(row, pivot));
        for col in 0..n {
            for row in col + 1..n {
                x[row] -= a[row + col * n] * x[col];
            }
        }
        for col in (0..n).rev() {
            x[col] /= a[col + col * n];
            for row in 0..col {
                x[row] -= a[row + col * n] * x[col];
            }
        }
    }
    0
}

/// Solves by Cholesky's factor in the lower triangle; 0, or the order of the minor that is not positive, with `b` as it
/// was.
pub(super) fn solve_positive_definite(n: usize, a: &mut [f64], b: &mut [f64]) -> usize {
    for col in 0..n {
        for before in 0..col {
            let factor = a[col + before * n];
            for row in col..n {
                a[row + col * n] -= a[row + before * n] * factor;
            }
        }
        let diagonal = a[col + col * n];
        if diagonal <= 0.0 || diagonal.is_nan() {
            return col + 1;
        }
        for row in col..n {
            a[row + col * n] /= diagonal.sqrt();
        }
    }
    for x in b.chunks_exact_mut(n.max(1)) {
        for col in 0..n {
            x[col] /= a[col + col * n];
            for row in col + 1..n {
                x[row] -= a[row + col * n] * x[col];
            }
        }
        for col in (0..n).rev() {
            for row in col + 1..n {
                x[col] -= a[row + col * n] * x[row];
            }
            x[col] /= a[col + col * n];
        }
    }
    0
}
