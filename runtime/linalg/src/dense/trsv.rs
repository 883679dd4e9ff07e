//! Products and systems of a triangular matrix and one vector.

#![expect(clippy::indexing_slicing, reason = "loops over arrays of constant size, within sizes that were checked")]

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
    mut x: MatMut<'_, T>,
) -> Result<(), Stop> {
    check(a, &x);
    for block in blocks(a.rows, part == Part::Lower) {
        let [mut mine, mut others] = around(part, a, block, x.reborrow());
        if !is_by_columns(a) {
            add_product(cx, -T::ONE, beside(part, a, block, Beside::Row), others.read(), mine.reborrow())?;
        }
        cx.work(T::FLOPS * (block.1 * block.1) as u64)?;
        let square = a.part((block.0, block.0), (block.1, block.1));
        run(cx.instructions(), Solve { part, diag, a: square, x: mine.reborrow() });
        if is_by_columns(a) {
            add_product(cx, -T::ONE, beside(part, a, block, Beside::Column), mine.read(), others.reborrow())?;
        }
    }
    Ok(())
}

/// `x := a x` with an n×1 vector x.
pub fn trmv<T: Scalar>(
    cx: &mut Context<'_>,
    part: Part,
    diag: Diag,
    a: Mat<'_, T>,
    mut x: MatMut<'_, T>,
) -> Result<(), Stop> {
    check(a, &x);
    // Elements that others depend on last.
    for block in blocks(a.rows, part == Part::Upper) {
        let [mut mine, mut others] = around(part, a, block, x.reborrow());
        if is_by_columns(a) {
            add_product(cx, T::ONE, beside(part, a, block, Beside::Column), mine.read(), others.reborrow())?;
        }
        cx.work(T::FLOPS * (block.1 * block.1) as u64)?;
        let square = a.part((block.0, block.0), (block.1, block.1));
        run(cx.instructions(), Multiply { part, diag, a: square, x: mine.reborrow() });
        if !is_by_columns(a) {
            add_product(cx, T::ONE, beside(part, a, block, Beside::Row), others.read(), mine)?;
        }
    }
    Ok(())
}

/// Where each block on the diagonal begins, and its size.
fn blocks(n: usize, is_forward: bool) -> impl Iterator<Item = (usize, usize)> {
    let count = n.div_ceil(BLOCK);
    (0..count).map(move |at| {
        let first = if is_forward { at } else { count - 1 - at } * BLOCK;
        (first, BLOCK.min(n - first))
    })
}

fn is_by_columns<T: Scalar>(a: Mat<'_, T>) -> bool {
    a.row_step == 1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// The block's rows, but for the square on the diagonal.
    Row,
    /// The block's columns, but for the square on the diagonal.
    Column,
}

/// What a triangle has beside a block on its diagonal.
fn beside<T: Scalar>(part: Part, a: Mat<'_, T>, (first, size): (usize, usize), which: Beside) -> Mat<'_, T> {
    let (end, n) = (first + size, a.rows);
    match (part, which) {
        (Part::Lower, Beside::Row) => a.part((first, 0), (size, first)),
        (Part::Upper, Beside::Row) => a.part((first, end), (size, n - end)),
        (Part::Lower, Beside::Column) => a.part((end, first), (n - end, size)),
        (Part::Upper, Beside::Column) => a.part((0, first), (first, size)),
    }
}

/// A block's elements of the vector, and those that are combined with them: what is beside the block's rows where the
/// triangle is read by rows, beside its columns where it is read by columns.
fn around<'x, T: Scalar>(
    part: Part,
    a: Mat<'_, T>,
    (first, size): (usize, usize),
    x: MatMut<'x, T>,
) -> [MatMut<'x, T>; 2] {
    let (before, rest) = x.split_rows(first);
    let (mine, after) = rest.split_rows(size);
    let is_before = (part == Part::Lower) != is_by_columns(a);
    [mine, if is_before { before } else { after }]
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
            let elements = self.a.part((rows.start, col), (rows.len(), 1));
            add_column::<T, A>(elements, -solved, &mut values[rows]);
        }
        for (row, value) in values.iter().enumerate().take(n) {
            self.x.set(row, 0, *value);
        }
    }
}

/// `values += factor elements`
#[inline(always)]
fn add_column<T: Scalar, A: Arithmetic>(elements: Mat<'_, T>, factor: T, values: &mut [T]) {
    if elements.row_step == 1 && !elements.is_conjugated && elements.rows > 0 {
        // SAFETY: the column's elements are neighbours.
        let elements = unsafe { std::slice::from_raw_parts(elements.first(), elements.rows) };
        for (value, element) in values.iter_mut().zip(elements) {
            *value = A::mul_add(*element, factor, *value);
        }
    } else {
        for (row, value) in values.iter_mut().enumerate() {
            *value = A::mul_add(elements.get(row, 0), factor, *value);
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
            let elements = self.a.part((rows.start, col), (rows.len(), 1));
            add_column::<T, A>(elements, factor, &mut sums[rows]);
            let own = if self.diag == Diag::Unit { factor } else { self.a.get(col, col) * factor };
            sums[col] += own;
        }
        for (row, value) in sums.iter().enumerate().take(n) {
            self.x.set(row, 0, *value);
        }
    }
}
