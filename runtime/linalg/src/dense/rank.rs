//! Updates of a matrix by products of vectors.

use super::{
    Part, Symmetry,
    gemm::PIECE,
    gemv::gather,
    instructions::{Arithmetic, Task, run},
    scratch::with_scratch,
};
use crate::{Context, Mat, MatMut, Scalar, Stop};

/// `alpha x yᵀ` or its like, with n×1 vectors.
#[derive(Debug, Clone, Copy)]
pub struct Rank2<'m, T> {
    pub alpha: T,
    pub x: Mat<'m, T>,
    pub y: Mat<'m, T>,
}

/// `a += alpha x yᵀ` with an m×1 vector x and an n×1 vector y; for `alpha x yᴴ`, y is given conjugated.
pub fn ger<T: Scalar>(
    cx: &mut Context<'_>,
    alpha: T,
    x: Mat<'_, T>,
    y: Mat<'_, T>,
    a: MatMut<'_, T>,
) -> Result<(), Stop> {
    assert!(x.rows == a.rows && y.rows == a.cols && x.cols == 1 && y.cols == 1, "an update of another size");
    if a.row_step != 1 && a.col_step == 1 {
        return ger(cx, alpha, y, x, a.t());
    }
    if alpha == T::ZERO {
        return Ok(());
    }
    with_vector(cx, x, |cx, x| {
        let factor = |col: usize| [alpha * y.get(col, 0)];
        let mut rest = a;
        for x in x.chunks(PIECE) {
            let (upper, lower) = rest.split_rows(x.len());
            update(cx, None, [x], factor, upper)?;
            rest = lower;
        }
        Ok(())
    })
}

/// `a += alpha x xᵀ` in one part of a; with a Hermitian a, `alpha x xᴴ`, and alpha's imaginary part is taken as zero.
pub fn syr<T: Scalar>(
    cx: &mut Context<'_>,
    part: Part,
    symmetry: Symmetry,
    (alpha, x): (T, Mat<'_, T>),
    a: MatMut<'_, T>,
) -> Result<(), Stop> {
    assert!(a.rows == a.cols && x.rows == a.cols && x.cols == 1, "an update of another size");
    let is_hermitian = symmetry == Symmetry::Hermitian;
    let alpha = if is_hermitian { T::from_real(alpha.real()) } else { alpha };
    if a.row_step != 1 && a.col_step == 1 {
        // The transpose of a Hermitian matrix is its conjugate.
        let x = if is_hermitian { x.conj() } else { x };
        return syr(cx, part.t(), symmetry, (alpha, x), a.t());
    }
    if alpha == T::ZERO {
        return Ok(());
    }
    with_vector(cx, x, |cx, gathered| {
        let mirrored = if is_hermitian { x.conj() } else { x };
        let factor = |col: usize| [alpha * mirrored.get(col, 0)];
        let mut a = a;
        update(cx, Some(part), [gathered], factor, a.reborrow())?;
        make_real(is_hermitian, a);
        Ok(())
    })
}

/// `a += alpha x yᵀ + alpha y xᵀ` in one part of a; with a Hermitian a, `alpha x yᴴ + conj(alpha) y xᴴ`.
pub fn syr2<T: Scalar>(
    cx: &mut Context<'_>,
    part: Part,
    symmetry: Symmetry,
    Rank2 { alpha, x, y }: Rank2<'_, T>,
    a: MatMut<'_, T>,
) -> Result<(), Stop> {
    assert!(a.rows == a.cols && x.rows == a.cols && y.rows == a.cols, "an update of another size");
    assert!(x.cols == 1 && y.cols == 1, "an update by more than vectors");
    let is_hermitian = symmetry == Symmetry::Hermitian;
    if a.row_step != 1 && a.col_step == 1 {
        let (x, y, alpha) = if is_hermitian { (x.conj(), y.conj(), alpha.conj()) } else { (x, y, alpha) };
        return syr2(cx, part.t(), symmetry, Rank2 { alpha, x, y }, a.t());
    }
    if alpha == T::ZERO {
        return Ok(());
    }
    with_vector(cx, x, |cx, gathered_x| {
        with_vector(cx, y, |cx, gathered_y| {
            let conj = |value: T| if is_hermitian { value.conj() } else { value };
            let factor = |col: usize| [alpha * conj(y.get(col, 0)), conj(alpha) * conj(x.get(col, 0))];
            let mut a = a;
            update(cx, Some(part), [gathered_x, gathered_y], factor, a.reborrow())?;
            make_real(is_hermitian, a);
            Ok(())
        })
    })
}

fn make_real<T: Scalar>(is_hermitian: bool, mut a: MatMut<'_, T>) {
    if is_hermitian && T::IS_COMPLEX {
        for at in 0..a.rows {
            let value = T::from_real(a.get(at, at).real());
            a.set(at, at, value);
        }
    }
}

/// The elements of a vector side by side: those of the caller where they are so already.
pub(super) fn with_vector<'h, T: Scalar, R>(
    cx: &mut Context<'h>,
    x: Mat<'_, T>,
    within: impl FnOnce(&mut Context<'h>, &[T]) -> Result<R, Stop>,
) -> Result<R, Stop> {
    if x.row_step == 1 && !x.is_conjugated && x.rows > 0 {
        // SAFETY: the vector's elements are neighbours.
        return within(cx, unsafe { std::slice::from_raw_parts(x.first(), x.rows) });
    }
    with_scratch(cx, x.rows, |cx, to: *mut T| {
        // SAFETY: room for as many elements, written before they are read.
        let to = unsafe {
            to.write_bytes(0, x.rows);
            std::slice::from_raw_parts_mut(to, x.rows)
        };
        gather(x, false, to);
        within(cx, to)
    })
}

/// Adds to each column of `a`, or to the part of it, the vectors times the column's factors.
fn update<T: Scalar, const N: usize>(
    cx: &mut Context<'_>,
    part: Option<Part>,
    vectors: [&[T]; N],
    factors: impl Fn(usize) -> [T; N],
    mut a: MatMut<'_, T>,
) -> Result<(), Stop> {
    let columns_max = (PIECE / a.rows.max(1)).max(1);
    for col in 0..a.cols {
        if col % columns_max == 0 {
            cx.work(N as u64 * T::FLOPS * (columns_max.min(a.cols - col) * a.rows) as u64)?;
        }
        let (first, rows) = match part {
            None => (0, a.rows),
            Some(Part::Upper) => (0, col + 1),
            Some(Part::Lower) => (col, a.rows - col),
        };
        let vectors = vectors.map(|vector| vector.get(first..first + rows).unwrap_or_default());
        let column = a.reborrow().part((first, col), (rows, 1));
        run(cx.instructions(), Column { vectors, factors: factors(col), column });
    }
    Ok(())
}

struct Column<'m, T, const N: usize> {
    vectors: [&'m [T]; N],
    factors: [T; N],
    column: MatMut<'m, T>,
}

impl<T: Scalar, const N: usize> Task for Column<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        if self.column.row_step == 1 {
            let rows = self.column.rows;
            // SAFETY: the column's elements are neighbours.
            let column = unsafe { std::slice::from_raw_parts_mut(self.column.first(), rows) };
            for (vector, factor) in self.vectors.into_iter().zip(self.factors) {
                for (value, element) in column.iter_mut().zip(vector) {
                    *value = A::mul_add(*element, factor, *value);
                }
            }
        } else {
            for (vector, factor) in self.vectors.into_iter().zip(self.factors) {
                for (row, element) in vector.iter().enumerate().take(self.column.rows) {
                    self.column.set(row, 0, A::mul_add(*element, factor, self.column.get(row, 0)));
                }
            }
        }
    }
}
