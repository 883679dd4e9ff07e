//! Products with a symmetric or Hermitian matrix of which one part is read.

use super::{
    Part, Product, Side, Symmetry,
    gemm::{Within, Work, scale, with_work},
    scratch::with_scratch,
};
use crate::{Context, Mat, MatMut, Scalar, Stop};

/// What is known of the matrix `a` of a [`symm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symmetric {
    pub side: Side,
    /// The part that is read.
    pub part: Part,
    pub symmetry: Symmetry,
}

/// `c := alpha a b + beta c`, or `alpha b a + beta c` where the side is right. `product.a` is symmetric or Hermitian.
pub fn symm<T: Scalar>(
    cx: &mut Context<'_>,
    symmetric: Symmetric,
    product: Product<'_, T>,
    c: MatMut<'_, T>,
) -> Result<(), Stop> {
    let Product { alpha, a, b, beta } = product;
    assert!(a.rows == a.cols, "a symmetric matrix that is not square");
    if symmetric.side == Side::Right {
        let symmetric = Symmetric { side: Side::Left, part: symmetric.part.t(), ..symmetric };
        return symm(cx, symmetric, Product { alpha, a: a.t(), b: b.t(), beta }, c.t());
    }
    let block = BLOCK.min(a.rows);
    with_scratch(cx, block * block, |cx, square: *mut T| {
        with_work(cx, (c.rows.max(c.cols), block), |work| by_columns(work, symmetric, product, c, square))
    })
}

/// Columns of the symmetric matrix that are multiplied at a time.
const BLOCK: usize = 128;

/// Block column by block column of `a`: what lies above the diagonal block, the block itself, what lies below.
fn by_columns<T: Scalar>(
    work: &mut Work<'_, '_, T>,
    Symmetric { part, symmetry, .. }: Symmetric,
    Product { alpha, a, b, beta }: Product<'_, T>,
    mut c: MatMut<'_, T>,
    square: *mut T,
) -> Result<(), Stop> {
    let n = a.rows;
    scale(work.cx, beta, Within::ALL, c.reborrow())?;
    if alpha == T::ZERO {
        return Ok(());
    }
    for at in (0..n).step_by(BLOCK) {
        let (size, end) = (BLOCK.min(n - at), (at + BLOCK).min(n));
        let (above, below) = match part {
            Part::Lower => (mirror(symmetry, a.part((at, 0), (size, at))), a.part((end, at), (n - end, size))),
            Part::Upper => (a.part((0, at), (at, size)), mirror(symmetry, a.part((at, end), (size, n - end)))),
        };
        work.cx.work((size * size) as u64)?;
        // SAFETY: the square has room for a block, and nothing else uses it.
        let mut full = unsafe { MatMut::from_raw(square, (size, size), (1, size as isize)) };
        expand(part, symmetry, a.part((at, at), (size, size)), full.reborrow());
        let b = b.part((at, 0), (size, b.cols));
        for (a, row) in [(above, 0), (full.read(), at), (below, end)] {
            let target = c.reborrow().part((row, 0), (a.rows, b.cols));
            work.gemm(Product { alpha, a, b, beta: T::ONE }, None, target)?;
        }
    }
    Ok(())
}

fn mirror<T: Scalar>(symmetry: Symmetry, view: Mat<'_, T>) -> Mat<'_, T> {
    if symmetry == Symmetry::Hermitian { view.h() } else { view.t() }
}

/// Writes both parts of a symmetric matrix.
fn expand<T: Scalar>(part: Part, symmetry: Symmetry, a: Mat<'_, T>, mut full: MatMut<'_, T>) {
    for col in 0..a.cols {
        for row in col..a.rows {
            let stored = if part == Part::Lower { a.get(row, col) } else { a.get(col, row) };
            let (mut value, mut mirrored) = (stored, stored);
            if symmetry == Symmetry::Hermitian {
                mirrored = stored.conj();
                if row == col {
                    value = T::from_real(stored.real());
                    mirrored = value;
                }
            }
            let (lower, upper) = if part == Part::Lower { (value, mirrored) } else { (mirrored, value) };
            full.set(row, col, lower);
            full.set(col, row, upper);
        }
    }
}
