//! Products and systems with a triangular matrix, by halves: what lies off the diagonal blocks is a product of matrices.

use super::{
    Diag, Part, Product, Side,
    gemm::{Within, Work, scale, with_work},
    instructions::run,
    leaf::{LEAF_MAX, Leaf, Operation},
    trsv::trsv,
};
use crate::{Context, Mat, MatMut, Scalar, Stop};

/// What is known of the matrix `a` of a [`trmm`] or [`trsm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triangular {
    pub side: Side,
    /// The part that is read, of the view as it is given.
    pub part: Part,
    pub diag: Diag,
}

/// `b := alpha a b`, or `alpha b a` where the side is right.
pub fn trmm<T: Scalar>(
    cx: &mut Context<'_>,
    triangular: Triangular,
    alpha: T,
    a: Mat<'_, T>,
    b: MatMut<'_, T>,
) -> Result<(), Stop> {
    apply(cx, (Operation::Multiply, triangular), alpha, a, b)
}

/// Solves `a x = alpha b`, or `x a = alpha b` where the side is right, for x, which is written over b.
pub fn trsm<T: Scalar>(
    cx: &mut Context<'_>,
    triangular: Triangular,
    alpha: T,
    a: Mat<'_, T>,
    b: MatMut<'_, T>,
) -> Result<(), Stop> {
    apply(cx, (Operation::Solve, triangular), alpha, a, b)
}

fn apply<T: Scalar>(
    cx: &mut Context<'_>,
    (operation, triangular): (Operation, Triangular),
    alpha: T,
    a: Mat<'_, T>,
    mut b: MatMut<'_, T>,
) -> Result<(), Stop> {
    let size = if a.rows <= LEAF_MAX { 0 } else { b.rows.max(b.cols) };
    with_work(cx, (size, a.rows), |work| {
        scale(work.cx, alpha, Within::ALL, b.reborrow())?;
        if alpha == T::ZERO {
            return Ok(());
        }
        match operation {
            Operation::Multiply => work.trmm(triangular, a, b),
            Operation::Solve => work.trsm(triangular, a, b),
        }
    })
}

/// The most right-hand sides that are solved for one by one.
const VECTORS_MAX: usize = 2;

/// Where a triangle of `n` is cut in two: about the middle, at a whole number of leaves.
pub(super) fn middle(n: usize) -> usize {
    (n / 2).next_multiple_of(LEAF_MAX).min(n)
}

/// The same operation with the triangle on the left: of a right one everything is transposed.
fn on_the_left<'a, 'b, T: Scalar>(
    triangular: Triangular,
    a: Mat<'a, T>,
    b: MatMut<'b, T>,
) -> (Triangular, Mat<'a, T>, MatMut<'b, T>) {
    assert!(a.rows == a.cols, "a triangular matrix that is not square");
    let Triangular { side, part, diag } = triangular;
    let (triangular, a, b) = match side {
        Side::Left => (triangular, a, b),
        Side::Right => (Triangular { side: Side::Left, part: part.t(), diag }, a.t(), b.t()),
    };
    assert!(a.rows == b.rows, "a triangle that doesn't fit the other operand");
    (triangular, a, b)
}

impl<T: Scalar> Work<'_, '_, T> {
    pub(super) fn trsm(&mut self, triangular: Triangular, a: Mat<'_, T>, b: MatMut<'_, T>) -> Result<(), Stop> {
        let (triangular, a, b) = on_the_left(triangular, a, b);
        let Triangular { part, diag, .. } = triangular;
        let (n, cols) = (a.rows, b.cols);
        if n == 0 || cols == 0 {
            return Ok(());
        }
        if cols <= VECTORS_MAX {
            let mut b = b;
            for col in 0..cols {
                trsv(self.cx, part, diag, a, b.reborrow().part((0, col), (n, 1)))?;
            }
            return Ok(());
        }
        if n <= LEAF_MAX {
            return self.leaf(Operation::Solve, triangular, a, b);
        }
        let half = middle(n);
        let (mut upper, mut lower) = b.split_rows(half);
        let first = a.part((0, 0), (half, half));
        let last = a.part((half, half), (n - half, n - half));
        match part {
            Part::Lower => {
                self.trsm(triangular, first, upper.reborrow())?;
                let a = a.part((half, 0), (n - half, half));
                self.subtract(a, upper.read(), lower.reborrow())?;
                self.trsm(triangular, last, lower)
            }
            Part::Upper => {
                self.trsm(triangular, last, lower.reborrow())?;
                let a = a.part((0, half), (half, n - half));
                self.subtract(a, lower.read(), upper.reborrow())?;
                self.trsm(triangular, first, upper)
            }
        }
    }

    pub(super) fn trmm(&mut self, triangular: Triangular, a: Mat<'_, T>, b: MatMut<'_, T>) -> Result<(), Stop> {
        let (triangular, a, b) = on_the_left(triangular, a, b);
        let (n, cols) = (a.rows, b.cols);
        if n == 0 || cols == 0 {
            return Ok(());
        }
        if n <= LEAF_MAX {
            return self.leaf(Operation::Multiply, triangular, a, b);
        }
        let half = middle(n);
        let (mut upper, mut lower) = b.split_rows(half);
        let first = a.part((0, 0), (half, half));
        let last = a.part((half, half), (n - half, n - half));
        match triangular.part {
            Part::Lower => {
                self.trmm(triangular, last, lower.reborrow())?;
                let a = a.part((half, 0), (n - half, half));
                self.gemm(Product { alpha: T::ONE, a, b: upper.read(), beta: T::ONE }, None, lower)?;
                self.trmm(triangular, first, upper)
            }
            Part::Upper => {
                self.trmm(triangular, first, upper.reborrow())?;
                let a = a.part((0, half), (half, n - half));
                self.gemm(Product { alpha: T::ONE, a, b: lower.read(), beta: T::ONE }, None, upper)?;
                self.trmm(triangular, last, lower)
            }
        }
    }

    /// `c -= a b`
    pub(super) fn subtract(&mut self, a: Mat<'_, T>, b: Mat<'_, T>, c: MatMut<'_, T>) -> Result<(), Stop> {
        self.gemm(Product { alpha: -T::ONE, a, b, beta: T::ONE }, None, c)
    }

    fn leaf(
        &mut self,
        operation: Operation,
        Triangular { part, diag, .. }: Triangular,
        a: Mat<'_, T>,
        mut b: MatMut<'_, T>,
    ) -> Result<(), Stop> {
        const COLUMNS_MAX: usize = 4096;
        let n = a.rows;
        for col in (0..b.cols).step_by(COLUMNS_MAX) {
            let cols = COLUMNS_MAX.min(b.cols - col);
            self.cx.work(T::FLOPS / 2 * (n * n * cols) as u64)?;
            let leaf = Leaf { operation, part, diag, a, b: b.reborrow().part((0, col), (n, cols)) };
            run(self.instructions(), leaf);
        }
        Ok(())
    }
}
