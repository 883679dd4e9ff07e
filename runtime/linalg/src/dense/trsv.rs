//! Products and systems of a triangular matrix and one vector.

use super::{
    Diag, Part,
    gemv::add_product,
    instructions::{Arithmetic, Task, run},
};
use crate::{Context, Mat, MatMut, Scalar, Stop};

/// Rows of the triangles on the diagonal.
const BLOCK: usize = 32;

/// Solves `a x = b` for x, which is written over b, an n×1 vector.
pub fn trsv<T: Scalar>(
    cx: &mut Context<'_>,
    part: Part,
    diag: Diag,
    a: Mat<'_, T>,
    x: MatMut<'_, T>,
) -> Result<(), Stop> {
    check(a, &x);
    let n = a.rows;
    let mut x = x;
    let blocks = n.div_ceil(BLOCK);
    for at in 0..blocks {
        let block = if part == Part::Lower { at } else { blocks - 1 - at };
        let (first, end) = (block * BLOCK, ((block + 1) * BLOCK).min(n));
        let size = end - first;
        let (others, rows) = match part {
            Part::Lower => (0, first),
            Part::Upper => (end, n - end),
        };
        let (before, rest) = x.reborrow().split_rows(first);
        let (mut mine, after) = rest.split_rows(size);
        let known = if part == Part::Lower { before } else { after };
        add_product(cx, -T::ONE, a.part((first, others), (size, rows)), known.read(), mine.reborrow())?;
        cx.work(T::FLOPS * (size * size) as u64)?;
        run(cx.instructions(), Solve { part, diag, a: a.part((first, first), (size, size)), x: mine });
    }
    Ok(())
}

/// `x := a x` with an n×1 vector x.
pub fn trmv<T: Scalar>(
    cx: &mut Context<'_>,
    part: Part,
    diag: Diag,
    a: Mat<'_, T>,
    x: MatMut<'_, T>,
) -> Result<(), Stop> {
    check(a, &x);
    let n = a.rows;
    let mut x = x;
    let blocks = n.div_ceil(BLOCK);
    for at in 0..blocks {
        // Elements that others depend on last.
        let block = if part == Part::Upper { at } else { blocks - 1 - at };
        let (first, end) = (block * BLOCK, ((block + 1) * BLOCK).min(n));
        let size = end - first;
        let (others, rows) = match part {
            Part::Lower => (0, first),
            Part::Upper => (end, n - end),
        };
        let (before, rest) = x.reborrow().split_rows(first);
        let (mut mine, after) = rest.split_rows(size);
        let others_of_x = if part == Part::Lower { before } else { after };
        cx.work(T::FLOPS * (size * size) as u64)?;
        let square = a.part((first, first), (size, size));
        run(cx.instructions(), Multiply { part, diag, a: square, x: mine.reborrow() });
        add_product(cx, T::ONE, a.part((first, others), (size, rows)), others_of_x.read(), mine)?;
    }
    Ok(())
}

fn check<T: Scalar>(a: Mat<'_, T>, x: &MatMut<'_, T>) {
    assert!(a.rows == a.cols && a.rows == x.rows && x.cols == 1, "a triangle that doesn't fit its vector");
}

struct Solve<'m, T> {
    part: Part,
    diag: Diag,
    a: Mat<'m, T>,
    x: MatMut<'m, T>,
}

impl<T: Scalar> Task for Solve<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        let n = self.a.rows;
        let mut values = [T::ZERO; BLOCK];
        for (row, value) in values.iter_mut().enumerate().take(n) {
            *value = self.x.get(row, 0);
        }
        for at in 0..n {
            let col = if self.part == Part::Lower { at } else { n - 1 - at };
            let mut solved = values[col];
            if self.diag == Diag::NonUnit {
                solved = solved.quotient(self.a.get(col, col));
            }
            values[col] = solved;
            let rows = if self.part == Part::Lower { col + 1..n } else { 0..col };
            for row in rows {
                values[row] = A::mul_add(-self.a.get(row, col), solved, values[row]);
            }
        }
        for (row, value) in values.iter().enumerate().take(n) {
            self.x.set(row, 0, *value);
        }
    }
}

struct Multiply<'m, T> {
    part: Part,
    diag: Diag,
    a: Mat<'m, T>,
    x: MatMut<'m, T>,
}

impl<T: Scalar> Task for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        let n = self.a.rows;
        let mut sums = [T::ZERO; BLOCK];
        for col in 0..n {
            let factor = self.x.get(col, 0);
            let rows = if self.part == Part::Lower { col + 1..n } else { 0..col };
            for row in rows {
                sums[row] = A::mul_add(self.a.get(row, col), factor, sums[row]);
            }
            let own = if self.diag == Diag::Unit { factor } else { self.a.get(col, col) * factor };
            sums[col] += own;
        }
        for (row, value) in sums.iter().enumerate().take(n) {
            self.x.set(row, 0, *value);
        }
    }
}
