//! Cholesky's factorisation, the systems that it solves, inverses of triangles and their products with themselves.

#![expect(clippy::indexing_slicing, reason = "loops over arrays of constant size, within sizes that were checked")]

use super::{
    Diag, Part, Product, Side, Triangular,
    gemm::{Within, Work, scale, with_work},
    instructions::{Arithmetic, Task, run},
    leaf::LEAF_MAX,
    triangular::middle,
};
use crate::{Context, Mat, MatMut, Scalar, Stop};

/// Factors the symmetric or Hermitian matrix `a`, of which `part` is read and written, as L Lᴴ or Uᴴ U. Returns 0, or the
/// order of the leading square, counted from 1, that is not positive definite; a NaN on the diagonal isn't.
pub fn potrf<T: Scalar>(cx: &mut Context<'_>, part: Part, a: MatMut<'_, T>) -> Result<i32, Stop> {
    assert!(a.rows == a.cols, "a symmetric matrix that is not square");
    // The transpose of Uᴴ U is Uᵀ conj(U): its lower part is factored as L Lᴴ with L = Uᵀ.
    let a = if part == Part::Upper { a.t() } else { a };
    with_work(cx, (room(a.rows), a.rows), |work| work.potrf(a))
}

/// Solves `a x = b` for x, which is written over b, with the factor of [`potrf`].
pub fn potrs<T: Scalar>(cx: &mut Context<'_>, part: Part, a: Mat<'_, T>, mut b: MatMut<'_, T>) -> Result<(), Stop> {
    assert!(a.rows == a.cols && a.rows == b.rows, "a factor that doesn't fit");
    let lower = if part == Part::Upper { a.h() } else { a };
    with_work(cx, (b.rows.max(b.cols), a.rows), |work| {
        let triangular = Triangular { side: Side::Left, part: Part::Lower, diag: Diag::NonUnit };
        work.trsm(triangular, lower, b.reborrow())?;
        work.trsm(Triangular { part: Part::Upper, ..triangular }, lower.h(), b)
    })
}

/// Inverts a triangular matrix where it stands. Returns 0, or the place of the first zero on the diagonal, counted from 1:
/// nothing was written then.
pub fn trtri<T: Scalar>(cx: &mut Context<'_>, part: Part, diag: Diag, a: MatMut<'_, T>) -> Result<i32, Stop> {
    assert!(a.rows == a.cols, "a triangular matrix that is not square");
    if diag == Diag::NonUnit
        && let Some(at) = (0..a.rows).find(|at| a.get(*at, *at) == T::ZERO)
    {
        return Ok(at as i32 + 1);
    }
    let a = if part == Part::Upper { a.t() } else { a };
    with_work(cx, (room(a.rows), a.rows), |work| work.trtri(diag, a))?;
    Ok(0)
}

/// `Lᴴ L` or `U Uᴴ` of a triangular matrix, written over its part.
pub fn lauum<T: Scalar>(cx: &mut Context<'_>, part: Part, a: MatMut<'_, T>) -> Result<(), Stop> {
    assert!(a.rows == a.cols, "a triangular matrix that is not square");
    // The transpose of U Uᴴ is conj(U) Uᵀ, which is Lᴴ L with L = Uᵀ.
    let a = if part == Part::Upper { a.t() } else { a };
    with_work(cx, (room(a.rows), a.rows), |work| work.lauum(a))
}

/// The size of the products that a matrix of `n` rows needs.
fn room(n: usize) -> usize {
    if n <= LEAF_MAX { 0 } else { n }
}

const LOWER: Triangular = Triangular { side: Side::Left, part: Part::Lower, diag: Diag::NonUnit };

impl<T: Scalar> Work<'_, '_, T> {
    fn potrf(&mut self, a: MatMut<'_, T>) -> Result<i32, Stop> {
        let n = a.rows;
        if n <= LEAF_MAX {
            self.cx.work(T::FLOPS * (n * n * n) as u64 / 6 + 1)?;
            return Ok(run(self.instructions(), Factor { a }));
        }
        let half = middle(n);
        let [mut first, _, mut below, mut last] = a.split(half, half);
        let info = self.potrf(first.reborrow())?;
        if info != 0 {
            return Ok(info);
        }
        // below := below first⁻ᴴ
        let triangular = Triangular { side: Side::Right, part: Part::Upper, diag: Diag::NonUnit };
        self.trsm(triangular, first.read().h(), below.reborrow())?;
        let product = Product { alpha: -T::ONE, a: below.read(), b: below.read().h(), beta: T::ONE };
        self.gemm(product, Some(Part::Lower), last.reborrow())?;
        let info = self.potrf(last)?;
        Ok(if info == 0 { 0 } else { info + half as i32 })
    }

    fn trtri(&mut self, diag: Diag, a: MatMut<'_, T>) -> Result<(), Stop> {
        let n = a.rows;
        if n <= LEAF_MAX {
            self.cx.work(T::FLOPS * (n * n * n) as u64 / 6 + 1)?;
            run(self.instructions(), Invert { diag, a });
            return Ok(());
        }
        let half = middle(n);
        let [mut first, _, mut below, mut last] = a.split(half, half);
        // below := -last⁻¹ below first⁻¹
        let triangular = Triangular { diag, ..LOWER };
        self.trsm(triangular, last.read(), below.reborrow())?;
        self.trsm(Triangular { side: Side::Right, ..triangular }, first.read(), below.reborrow())?;
        scale(self.cx, -T::ONE, Within::ALL, below)?;
        self.trtri(diag, first.reborrow())?;
        self.trtri(diag, last.reborrow())
    }

    fn lauum(&mut self, a: MatMut<'_, T>) -> Result<(), Stop> {
        let n = a.rows;
        if n <= LEAF_MAX {
            self.cx.work(T::FLOPS * (n * n * n) as u64 / 6 + 1)?;
            run(self.instructions(), Square { a });
            return Ok(());
        }
        let half = middle(n);
        let [mut first, _, mut below, last] = a.split(half, half);
        self.lauum(first.reborrow())?;
        let product = Product { alpha: T::ONE, a: below.read().h(), b: below.read(), beta: T::ONE };
        self.gemm(product, Some(Part::Lower), first)?;
        self.trmm(Triangular { part: Part::Upper, ..LOWER }, last.read().h(), below.reborrow())?;
        self.lauum(last)
    }
}

/// The lower part of a small matrix, by columns.
type Small<T> = [[T; LEAF_MAX]; LEAF_MAX];

#[inline(always)]
fn read_lower<T: Scalar>(a: &MatMut<'_, T>) -> Small<T> {
    let mut columns = [[T::ZERO; LEAF_MAX]; LEAF_MAX];
    for (col, values) in columns.iter_mut().enumerate().take(a.rows) {
        for (row, value) in values.iter_mut().enumerate().take(a.rows).skip(col) {
            *value = a.get(row, col);
        }
    }
    columns
}

#[inline(always)]
fn write_lower<T: Scalar>(columns: &Small<T>, a: &mut MatMut<'_, T>) {
    for (col, values) in columns.iter().enumerate().take(a.rows) {
        for (row, value) in values.iter().enumerate().take(a.rows).skip(col) {
            a.set(row, col, *value);
        }
    }
}

struct Factor<'m, T> {
    a: MatMut<'m, T>,
}

impl<T: Scalar> Task for Factor<'_, T> {
    type Output = i32;

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) -> i32 {
        let mut columns = read_lower(&self.a);
        let mut info = 0;
        for col in 0..self.a.rows {
            let (mine, later) = columns.split_at_mut(col + 1);
            let mine = &mut mine[col];
            let pivot = mine[col].real();
            let is_positive = pivot > <T::Real as Scalar>::ZERO;
            if !is_positive {
                mine[col] = T::from_real(pivot);
                info = col as i32 + 1;
                break;
            }
            let root = pivot.sqrt_real();
            let factor = T::from_real(root.recip());
            mine.iter_mut().for_each(|value| *value *= factor);
            mine[col] = T::from_real(root);
            for (later, other) in later.iter_mut().zip(col + 1..self.a.rows) {
                let factor = -mine[other].conj();
                for (value, element) in later.iter_mut().zip(mine.iter()) {
                    *value = A::mul_add(*element, factor, *value);
                }
            }
        }
        write_lower(&columns, &mut self.a);
        info
    }
}

struct Invert<'m, T> {
    diag: Diag,
    a: MatMut<'m, T>,
}

impl<T: Scalar> Task for Invert<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        let n = self.a.rows;
        let columns = read_lower(&self.a);
        let mut inverse = [[T::ZERO; LEAF_MAX]; LEAF_MAX];
        // Column by column of the unit matrix, by substitution.
        for (first, solution) in inverse.iter_mut().enumerate().take(n) {
            solution[first] = T::ONE;
            for col in first..n {
                if self.diag == Diag::NonUnit {
                    solution[col] = solution[col].quotient(columns[col][col]);
                }
                let factor = -solution[col];
                for row in col + 1..n {
                    solution[row] = A::mul_add(columns[col][row], factor, solution[row]);
                }
            }
        }
        if self.diag == Diag::Unit {
            // The diagonal is not the matrix's own.
            for at in 0..n {
                inverse[at][at] = columns[at][at];
            }
        }
        write_lower(&inverse, &mut self.a);
    }
}

struct Square<'m, T> {
    a: MatMut<'m, T>,
}

impl<T: Scalar> Task for Square<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        let n = self.a.rows;
        let columns = read_lower(&self.a);
        for col in 0..n {
            for row in col..n {
                let mut sum = T::ZERO;
                for (left, right) in columns[row][row..n].iter().zip(&columns[col][row..n]) {
                    sum = A::mul_add(left.conj(), *right, sum);
                }
                let sum = if row == col { T::from_real(sum.real()) } else { sum };
                self.a.set(row, col, sum);
            }
        }
    }
}
