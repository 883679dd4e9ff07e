//! A small triangle times, or against, many columns: vectorised along the columns, four rows at a time.

#![expect(clippy::indexing_slicing, reason = "loops over arrays of constant size, within sizes that were checked")]

use super::{
    Diag, Part,
    instructions::{Arithmetic, Task},
};
use crate::{Mat, MatMut, Scalar};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Multiply,
    Solve,
}

/// The most rows of a triangle that is not cut any further.
pub(super) const LEAF_MAX: usize = 32;

/// Rows whose sums are in registers at a time.
const GROUP: usize = 4;

/// `b := a b`, or `b := a⁻¹ b`, with an `a` of at most [`LEAF_MAX`] rows.
pub(super) struct Leaf<'m, T> {
    pub(super) operation: Operation,
    pub(super) part: Part,
    pub(super) diag: Diag,
    pub(super) a: Mat<'m, T>,
    pub(super) b: MatMut<'m, T>,
}

impl<T: Scalar> Task for Leaf<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        if self.part == Part::Upper {
            // Backwards, an upper triangle is a lower one.
            (self.a, self.b) = backwards(self.a, self.b);
        }
        let triangle = Triangle::new(&self);
        match size_of::<T>() {
            4 => triangle.columns::<A, 16>(self.operation, self.b),
            8 => triangle.columns::<A, 8>(self.operation, self.b),
            _ => triangle.columns::<A, 4>(self.operation, self.b),
        }
    }
}

fn backwards<'m, T: Scalar>(a: Mat<'m, T>, mut b: MatMut<'m, T>) -> (Mat<'m, T>, MatMut<'m, T>) {
    let last = a.rows as isize - 1;
    let first = a.first().wrapping_offset(last * (a.row_step + a.col_step));
    // SAFETY: the same elements in another order.
    let turned = unsafe { Mat::from_raw(first, (a.rows, a.cols), (-a.row_step, -a.col_step)) };
    let turned = if a.is_conjugated { turned.conj() } else { turned };
    let first = b.first().wrapping_offset(last * b.row_step);
    // SAFETY: the same elements in another order.
    let b = unsafe { MatMut::from_raw(first, (b.rows, b.cols), (-b.row_step, b.col_step)) };
    (turned, b)
}

/// A lower triangle by groups of rows: for each group, the columns up to its diagonal block in turn, `GROUP` elements each.
/// Rows beyond the triangle are those of a unit matrix.
struct Triangle<T> {
    rows: usize,
    elements: [[T; GROUP]; LEAF_MAX * LEAF_MAX / GROUP],
}

impl<T: Scalar> Triangle<T> {
    #[inline(always)]
    fn new(Leaf { a, diag, operation, .. }: &Leaf<'_, T>) -> Self {
        let mut elements = [[T::ZERO; GROUP]; LEAF_MAX * LEAF_MAX / GROUP];
        for (group, first) in elements.chunks_exact_mut(LEAF_MAX).zip((0..a.rows).step_by(GROUP)) {
            for (col, elements) in group.iter_mut().enumerate().take(first + GROUP) {
                for (element, row) in elements.iter_mut().zip(first..) {
                    let is_one = row == col && (row >= a.rows || *diag == Diag::Unit);
                    *element = if is_one {
                        T::ONE
                    } else if row >= a.rows || row < col {
                        T::ZERO
                    } else if row == col || *operation == Operation::Multiply {
                        a.get(row, col)
                    } else {
                        -a.get(row, col)
                    };
                }
            }
        }
        Self { rows: a.rows, elements }
    }

    /// `W` columns at a time.
    #[inline(always)]
    fn columns<A: Arithmetic, const W: usize>(&self, operation: Operation, mut b: MatMut<'_, T>) {
        let mut tile = [[T::ZERO; W]; LEAF_MAX];
        let (row_step, col_step, first) = (b.row_step, b.col_step, b.first());
        for col in (0..b.cols).step_by(W) {
            let cols = W.min(b.cols - col);
            let first = first.wrapping_offset(col as isize * col_step);
            for (row, values) in tile.iter_mut().enumerate().take(self.rows) {
                let first = first.wrapping_offset(row as isize * row_step);
                // SAFETY: within `b`.
                unsafe {
                    if cols == W && col_step == 1 {
                        *values = *first.cast::<[T; W]>();
                    } else {
                        for (col, value) in values.iter_mut().enumerate().take(cols) {
                            *value = *first.wrapping_offset(col as isize * col_step);
                        }
                    }
                }
            }
            match operation {
                Operation::Solve => self.solve::<A, W>(&mut tile),
                Operation::Multiply => self.multiply::<A, W>(&mut tile),
            }
            for (row, values) in tile.iter().enumerate().take(self.rows) {
                let first = first.wrapping_offset(row as isize * row_step);
                // SAFETY: within `b`.
                unsafe {
                    if cols == W && col_step == 1 {
                        *first.cast::<[T; W]>() = *values;
                    } else {
                        for (col, value) in values.iter().enumerate().take(cols) {
                            *first.wrapping_offset(col as isize * col_step) = *value;
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn solve<A: Arithmetic, const W: usize>(&self, tile: &mut [[T; W]; LEAF_MAX]) {
        for (group, first) in self.elements.chunks_exact(LEAF_MAX).zip((0..self.rows).step_by(GROUP)) {
            let (known, rest) = tile.split_at_mut(first);
            let Some((rows, _)) = rest.split_first_chunk_mut::<GROUP>() else { return };
            let mut sums = *rows;
            let (left, diagonal) = group.split_at(first);
            add_products::<T, A, W>(&mut sums, left, known);
            let Some(diagonal) = diagonal.first_chunk::<GROUP>() else { return };
            for row in 0..GROUP {
                for col in 0..row {
                    let solved = sums[col];
                    for (sum, value) in sums[row].iter_mut().zip(solved) {
                        *sum = A::mul_add(diagonal[col][row], value, *sum);
                    }
                }
                for sum in &mut sums[row] {
                    *sum = sum.quotient(diagonal[row][row]);
                }
            }
            *rows = sums;
        }
    }

    #[inline(always)]
    fn multiply<A: Arithmetic, const W: usize>(&self, tile: &mut [[T; W]; LEAF_MAX]) {
        let groups = self.rows.div_ceil(GROUP);
        // From the last rows on: they depend on those before them.
        for (group, first) in self.elements.chunks_exact(LEAF_MAX).zip((0..LEAF_MAX).step_by(GROUP)).take(groups).rev()
        {
            let (before, rest) = tile.split_at_mut(first);
            let Some((rows, _)) = rest.split_first_chunk_mut::<GROUP>() else { return };
            let (left, diagonal) = group.split_at(first);
            let Some(diagonal) = diagonal.first_chunk::<GROUP>() else { return };
            let mut sums = [[T::ZERO; W]; GROUP];
            for row in 0..GROUP {
                for col in 0..=row {
                    for (sum, value) in sums[row].iter_mut().zip(rows[col]) {
                        *sum = A::mul_add(diagonal[col][row], value, *sum);
                    }
                }
            }
            add_products::<T, A, W>(&mut sums, left, before);
            *rows = sums;
        }
    }
}

#[inline(always)]
fn add_products<T: Scalar, A: Arithmetic, const W: usize>(
    sums: &mut [[T; W]; GROUP],
    left: &[[T; GROUP]],
    rows: &[[T; W]],
) {
    let mut held = *sums;
    for (elements, values) in left.iter().zip(rows) {
        for row in 0..GROUP {
            for col in 0..W {
                held[row][col] = A::mul_add(elements[row], values[col], held[row][col]);
            }
        }
    }
    *sums = held;
}
