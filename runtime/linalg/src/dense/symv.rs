//! Products of a symmetric or Hermitian matrix and a vector. Each element of the part that is given is read once.

#![expect(clippy::indexing_slicing, reason = "loops over arrays of constant size, within sizes that were checked")]

use super::{
    Part, Product, Symmetry,
    gemm::{PIECE, Within, scale},
    gemv::gather,
    instructions::{Arithmetic, Task, run},
    scratch::with_scratch,
};
use crate::{Context, Mat, MatMut, Scalar, Stop};

/// `y := alpha a x + beta y` with the n×n matrix `product.a`, of which `part` is read, the n×1 vector `product.b` and an n×1
/// vector y. Where beta is zero, y is not read.
pub fn symv<T: Scalar>(
    cx: &mut Context<'_>,
    part: Part,
    symmetry: Symmetry,
    product: Product<'_, T>,
    mut y: MatMut<'_, T>,
) -> Result<(), Stop> {
    let Product { alpha, a, b: x, beta } = product;
    assert!(a.rows == a.cols && a.rows == y.rows && a.rows == x.rows, "a product of sizes that don't fit");
    assert!(x.cols == 1 && y.cols == 1, "a product with more than a vector");
    if a.row_step != 1 && a.col_step == 1 {
        let mirrored = if symmetry == Symmetry::Hermitian { a.h() } else { a.t() };
        return symv(cx, part.t(), symmetry, Product { alpha, a: mirrored, b: x, beta }, y);
    }
    let n = a.rows;
    with_scratch(cx, 2 * n, |cx, vectors: *mut T| {
        scale(cx, beta, Within::ALL, y.reborrow())?;
        if alpha == T::ZERO || n == 0 {
            return Ok(());
        }
        // SAFETY: room for two vectors, which are zeros from here on.
        let (factors, sums) = unsafe {
            vectors.write_bytes(0, 2 * n);
            std::slice::from_raw_parts_mut(vectors, 2 * n).split_at_mut(n)
        };
        gather(x, a.is_conjugated, factors);
        let columns_max = (PIECE / n).max(1).next_multiple_of(COLUMNS);
        for col in (0..n).step_by(columns_max) {
            let cols = col..(col + columns_max).min(n);
            cx.work(T::FLOPS * (n * cols.len()) as u64)?;
            run(cx.instructions(), Columns { part, symmetry, a, cols, factors, sums });
        }
        for (row, sum) in sums.iter().enumerate() {
            let sum = if a.is_conjugated { sum.conj() } else { *sum };
            y.set(row, 0, y.get(row, 0) + alpha * sum);
        }
        Ok(())
    })
}

/// Columns that are read at a time.
const COLUMNS: usize = 4;

/// Adds what some columns, and the rows that mirror them, contribute to `sums`.
struct Columns<'m, T> {
    part: Part,
    symmetry: Symmetry,
    a: Mat<'m, T>,
    cols: std::ops::Range<usize>,
    factors: &'m [T],
    sums: &'m mut [T],
}

impl<T: Scalar> Task for Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        match self.symmetry {
            Symmetry::Symmetric => self.by_columns::<A, false>(),
            Symmetry::Hermitian => self.by_columns::<A, true>(),
        }
    }
}

impl<T: Scalar> Columns<'_, T> {
    #[inline(always)]
    fn by_columns<A: Arithmetic, const HERMITIAN: bool>(mut self) {
        let n = self.a.rows;
        let mut col = self.cols.start;
        while col < self.cols.end {
            let width = if col + COLUMNS <= self.cols.end { COLUMNS } else { 1 };
            self.diagonal::<A, HERMITIAN>(col, width);
            let rows = match self.part {
                Part::Lower => col + width..n,
                Part::Upper => 0..col,
            };
            if width == COLUMNS {
                self.beside::<A, COLUMNS, HERMITIAN>(col, rows);
            } else {
                self.beside::<A, 1, HERMITIAN>(col, rows);
            }
            col += width;
        }
    }

    /// The square on the diagonal.
    #[inline(always)]
    fn diagonal<A: Arithmetic, const HERMITIAN: bool>(&mut self, first: usize, width: usize) {
        // As it is stored: the whole sum is conjugated at the end.
        let stored = if self.a.is_conjugated { self.a.conj() } else { self.a };
        for col in first..first + width {
            for row in first..first + width {
                if row == col {
                    let value = stored.get(row, col);
                    let value = if HERMITIAN { T::from_real(value.real()) } else { value };
                    self.sums[row] = A::mul_add(value, self.factors[col], self.sums[row]);
                } else if self.part.has(row, col) {
                    let value = stored.get(row, col);
                    let mirrored = if HERMITIAN { value.conj() } else { value };
                    self.sums[row] = A::mul_add(value, self.factors[col], self.sums[row]);
                    self.sums[col] = A::mul_add(mirrored, self.factors[row], self.sums[col]);
                }
            }
        }
    }

    /// `C` columns' elements in some rows, none of which is on the diagonal.
    #[inline(always)]
    fn beside<A: Arithmetic, const C: usize, const HERMITIAN: bool>(
        &mut self,
        first: usize,
        rows: std::ops::Range<usize>,
    ) {
        let a = self.a;
        let mine: [T; C] = std::array::from_fn(|at| self.factors[first + at]);
        let columns: [*const T; C] = std::array::from_fn(|at| {
            a.first().wrapping_offset((first + at) as isize * a.col_step + rows.start as isize * a.row_step)
        });
        let factors = &self.factors[rows.clone()];
        let sums = &mut self.sums[rows.clone()];
        let mut totals = [T::ZERO; C];
        let vectors = if a.row_step == 1 { sums.len() / A::lanes::<T>() } else { 0 };
        if vectors > 0 {
            let (mut splats, mut dots) = ([A::splat(T::ZERO); C], [A::splat(T::ZERO); C]);
            for (splat, factor) in splats.iter_mut().zip(mine) {
                *splat = A::splat(factor);
            }
            for at in (0..vectors).map(|vector| vector * A::lanes::<T>()) {
                // SAFETY: so many vectors are within the factors, the sums, and the columns' elements in these rows.
                unsafe {
                    let factor = A::load(factors.as_ptr().add(at));
                    let to = sums.as_mut_ptr().add(at);
                    let mut sum = A::load(to);
                    for col in 0..C {
                        let value = A::load(columns[col].add(at));
                        sum = A::vector_mul_add::<T>(value, splats[col], sum);
                        let mirrored = if HERMITIAN { A::vector_conj::<T>(value) } else { value };
                        dots[col] = A::vector_mul_add::<T>(mirrored, factor, dots[col]);
                    }
                    A::store(to, sum);
                }
            }
            for (total, dot) in totals.iter_mut().zip(dots) {
                *total = A::sum(dot);
            }
        }
        for at in vectors * A::lanes::<T>()..rows.len() {
            for col in 0..C {
                // SAFETY: within the matrix.
                let value = unsafe { *columns[col].wrapping_offset(at as isize * a.row_step) };
                let mirrored = if HERMITIAN { value.conj() } else { value };
                sums[at] = A::mul_add(value, mine[col], sums[at]);
                totals[col] = A::mul_add(mirrored, factors[at], totals[col]);
            }
        }
        for (sum, total) in self.sums[first..].iter_mut().zip(totals) {
            *sum += total;
        }
    }
}
