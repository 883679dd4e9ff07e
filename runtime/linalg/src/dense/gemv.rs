//! Products of a matrix and a vector, along whichever of its steps is one.

#![expect(clippy::indexing_slicing, reason = "loops over arrays of constant size, within sizes that were checked")]

use super::{
    Product,
    gemm::{PIECE, Within, scale},
    instructions::{Arithmetic, Task, run},
};
use crate::{Context, Mat, MatMut, Scalar, Stop};
use std::mem::MaybeUninit;

/// `y := alpha a x + beta y` with an m×n matrix `product.a`, the n×1 vector `product.b` and an m×1 vector `y`. Where beta is
/// zero, y is not read.
pub fn gemv<T: Scalar>(cx: &mut Context<'_>, product: Product<'_, T>, mut y: MatMut<'_, T>) -> Result<(), Stop> {
    let Product { alpha, a, b: x, beta } = product;
    assert!(a.rows == y.rows && a.cols == x.rows && x.cols == 1 && y.cols == 1, "a product of sizes that don't fit");
    scale(cx, beta, Within::ALL, y.reborrow())?;
    if alpha == T::ZERO || a.rows == 0 || a.cols == 0 {
        return Ok(());
    }
    add_product(cx, alpha, a, x, y)
}

/// `y += alpha a x`
pub(super) fn add_product<T: Scalar>(
    cx: &mut Context<'_>,
    alpha: T,
    a: Mat<'_, T>,
    x: Mat<'_, T>,
    mut y: MatMut<'_, T>,
) -> Result<(), Stop> {
    let instructions = cx.instructions();
    let is_by_rows = a.col_step == 1 && a.row_step != 1;
    for col in (0..a.cols).step_by(CHUNK) {
        let cols = CHUNK.min(a.cols - col);
        let rows_max = (PIECE / cols).max(CHUNK) / CHUNK * CHUNK;
        for row in (0..a.rows).step_by(rows_max) {
            let rows = rows_max.min(a.rows - row);
            cx.work(T::FLOPS * (rows * cols) as u64)?;
            let a = a.part((row, col), (rows, cols));
            let (x, y) = (x.part((col, 0), (cols, 1)), y.reborrow().part((row, 0), (rows, 1)));
            if is_by_rows {
                run(instructions, ByRows { alpha, a, x, y });
            } else {
                run(instructions, ByColumns { alpha, a, x, y });
            }
        }
    }
    Ok(())
}

/// Elements of a vector that are kept at hand, and the most columns of a piece.
const CHUNK: usize = 1024;

/// A vector's elements side by side, conjugated once more where `is_conjugated`.
#[inline(always)]
pub(super) fn gather<T: Scalar>(x: Mat<'_, T>, is_conjugated: bool, to: &mut [T]) {
    let x = if is_conjugated { x.conj() } else { x };
    for (row, value) in to.iter_mut().enumerate().take(x.rows) {
        *value = x.get(row, 0);
    }
}

/// Room for a piece of a vector, of which no more is written than is used: most pieces are short.
struct Room<T>([MaybeUninit<T>; CHUNK]);

impl<T: Scalar> Room<T> {
    #[inline(always)]
    fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; CHUNK])
    }

    /// A vector of at most `CHUNK` elements, side by side.
    #[inline(always)]
    fn gathered(&mut self, x: Mat<'_, T>, is_conjugated: bool) -> &[T] {
        let room = self.zeros(x.rows);
        gather(x, is_conjugated, room);
        room
    }

    #[inline(always)]
    fn zeros(&mut self, length: usize) -> &mut [T] {
        let room = &mut self.0[..length];
        room.fill(MaybeUninit::new(T::ZERO));
        // SAFETY: just written.
        unsafe { room.assume_init_mut() }
    }
}

struct ByColumns<'m, T> {
    alpha: T,
    a: Mat<'m, T>,
    x: Mat<'m, T>,
    y: MatMut<'m, T>,
}

impl<T: Scalar> Task for ByColumns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        let (mut factors, mut sums) = (Room::new(), Room::new());
        let conjugated = self.a.is_conjugated;
        let factors = factors.gathered(self.x, conjugated);
        for row in (0..self.a.rows).step_by(CHUNK) {
            let rows = CHUNK.min(self.a.rows - row);
            let sums = sums.zeros(rows);
            let a = self.a.part((row, 0), (rows, self.a.cols));
            add_columns::<T, A>(a, factors, sums);
            for (sum, row) in sums.iter().zip(row..) {
                let sum = if conjugated { sum.conj() } else { *sum };
                self.y.set(row, 0, A::mul_add(self.alpha, sum, self.y.get(row, 0)));
            }
        }
    }
}

/// `sums += a factors`, whether or not `a` is conjugated.
#[inline(always)]
fn add_columns<T: Scalar, A: Arithmetic>(a: Mat<'_, T>, factors: &[T], sums: &mut [T]) {
    let first = |col: usize| a.first().wrapping_offset(col as isize * a.col_step);
    if a.row_step != 1 {
        for (col, factor) in factors.iter().enumerate() {
            for (row, sum) in sums.iter_mut().enumerate() {
                // SAFETY: within `a`.
                let value = unsafe { *first(col).wrapping_offset(row as isize * a.row_step) };
                *sum = A::mul_add(value, *factor, *sum);
            }
        }
        return;
    }
    let (fours, rest) = factors.as_chunks::<4>();
    for (at, factors) in fours.iter().enumerate() {
        // SAFETY: a column's elements are neighbours, as many as there are sums.
        unsafe { add_some::<T, A, 4>([0, 1, 2, 3].map(|col| first(4 * at + col)), *factors, sums) };
    }
    for (factor, col) in rest.iter().zip(4 * fours.len()..) {
        // SAFETY: as above.
        unsafe { add_some::<T, A, 1>([first(col)], [*factor], sums) };
    }
}

/// Adds `C` columns times their factors.
#[inline(always)]
unsafe fn add_some<T: Scalar, A: Arithmetic, const C: usize>(columns: [*const T; C], factors: [T; C], sums: &mut [T]) {
    let mut splats = [A::splat(T::ZERO); C];
    for (splat, factor) in splats.iter_mut().zip(factors) {
        *splat = A::splat(factor);
    }
    let vectors = sums.len() / A::lanes::<T>();
    for at in (0..vectors).map(|vector| vector * A::lanes::<T>()) {
        // SAFETY: so many vectors are within the sums, and the columns have as many elements.
        unsafe {
            let to = sums.as_mut_ptr().add(at);
            let mut sum = A::load(to);
            for col in 0..C {
                sum = A::vector_mul_add::<T>(A::load(columns[col].add(at)), splats[col], sum);
            }
            A::store(to, sum);
        }
    }
    for (at, sum) in sums.iter_mut().enumerate().skip(vectors * A::lanes::<T>()) {
        for (column, factor) in columns.iter().zip(factors) {
            // SAFETY: the columns have as many elements as there are sums.
            *sum = A::mul_add(unsafe { *column.add(at) }, factor, *sum);
        }
    }
}

struct ByRows<'m, T> {
    alpha: T,
    a: Mat<'m, T>,
    x: Mat<'m, T>,
    y: MatMut<'m, T>,
}

impl<T: Scalar> Task for ByRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        let a = self.a;
        let mut factors = Room::new();
        let factors = factors.gathered(self.x, a.is_conjugated);
        let fours = a.rows / 4 * 4;
        for row in (0..fours).step_by(4) {
            let sums = dots::<T, A, 4>(a, row, factors);
            self.add(row, sums);
        }
        for row in fours..a.rows {
            let sums = dots::<T, A, 1>(a, row, factors);
            self.add(row, sums);
        }
    }
}

impl<T: Scalar> ByRows<'_, T> {
    #[inline(always)]
    fn add<const R: usize>(&mut self, row: usize, sums: [T; R]) {
        for (sum, row) in sums.into_iter().zip(row..) {
            let sum = if self.a.is_conjugated { sum.conj() } else { sum };
            let value = self.y.get(row, 0) + self.alpha * sum;
            self.y.set(row, 0, value);
        }
    }
}

/// The products of `R` rows of `a`, whose elements are neighbours, with the factors: in two vectors of sums each.
#[inline(always)]
fn dots<T: Scalar, A: Arithmetic, const R: usize>(a: Mat<'_, T>, row: usize, factors: &[T]) -> [T; R] {
    let firsts: [*const T; R] = std::array::from_fn(|at| a.first().wrapping_offset((row + at) as isize * a.row_step));
    let lanes = A::lanes::<T>();
    let mut sums = [[A::splat(T::ZERO); 2]; R];
    let pairs = factors.len() / (2 * lanes);
    for at in (0..pairs).map(|pair| 2 * lanes * pair) {
        // SAFETY: so many pairs of vectors are within the factors, and the rows have as many elements.
        unsafe {
            let factors = factors.as_ptr().add(at);
            let (even, odd) = (A::load(factors), A::load(factors.add(lanes)));
            for row in 0..R {
                let values = firsts[row].add(at);
                sums[row][0] = A::vector_mul_add::<T>(A::load(values), even, sums[row][0]);
                sums[row][1] = A::vector_mul_add::<T>(A::load(values.add(lanes)), odd, sums[row][1]);
            }
        }
    }
    let mut totals = [T::ZERO; R];
    for row in 0..R {
        totals[row] = A::sum::<T>(A::vector_add::<T>(sums[row][0], sums[row][1]));
    }
    for (total, first) in totals.iter_mut().zip(firsts) {
        for (at, factor) in factors.iter().enumerate().skip(2 * lanes * pairs) {
            // SAFETY: the row has as many elements as there are factors.
            *total = A::mul_add(unsafe { *first.add(at) }, *factor, *total);
        }
    }
    totals
}
