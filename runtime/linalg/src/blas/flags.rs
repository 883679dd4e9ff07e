//! The flags of BLAS: their letters in Fortran and their numbers in C.

use super::{Arguments, arguments::Number};
use crate::{
    Mat, Stop,
    dense::{Diag, Part, Side, Transpose},
};

impl Transpose {
    /// op(A)
    pub(super) fn of<T: Number>(self, a: Mat<'_, T>) -> Mat<'_, T> {
        match self {
            Self::No => a,
            Self::Transposed => a.t(),
            Self::ConjTransposed => a.h(),
        }
    }

    /// The shape of A where op(A) has this one; and the other way round.
    pub(super) fn shape(self, (rows, cols): (u32, u32)) -> (u32, u32) {
        if self == Self::No { (rows, cols) } else { (cols, rows) }
    }

    /// The part of op(A) where A has this one.
    pub(super) fn part(self, part: Part) -> Part {
        if self == Self::No { part } else { part.t() }
    }
}

const PLAIN: (u8, u32, Transpose) = (b'N', 111, Transpose::No);
const TRANSPOSED: (u8, u32, Transpose) = (b'T', 112, Transpose::Transposed);
/// Of real numbers it is the transpose.
const ADJOINT: (u8, u32, Transpose) = (b'C', 113, Transpose::ConjTransposed);

impl Arguments<'_> {
    pub(super) fn op(&self, index: usize) -> Result<Transpose, Stop> {
        self.flag(index, &[PLAIN, TRANSPOSED, ADJOINT])
    }

    /// Of an update of a symmetric matrix: only real numbers have an adjoint there.
    pub(super) fn op_symmetric<T: Number>(&self, index: usize) -> Result<Transpose, Stop> {
        if T::IS_COMPLEX { self.flag(index, &[PLAIN, TRANSPOSED]) } else { self.op(index) }
    }

    /// Of an update of a Hermitian matrix, which has no plain transpose.
    pub(super) fn op_hermitian(&self, index: usize) -> Result<Transpose, Stop> {
        self.flag(index, &[PLAIN, ADJOINT])
    }

    pub(super) fn part(&self, index: usize) -> Result<Part, Stop> {
        self.flag(index, &[(b'U', 121, Part::Upper), (b'L', 122, Part::Lower)])
    }

    pub(super) fn diag(&self, index: usize) -> Result<Diag, Stop> {
        self.flag(index, &[(b'N', 131, Diag::NonUnit), (b'U', 132, Diag::Unit)])
    }

    pub(super) fn side(&self, index: usize) -> Result<Side, Stop> {
        self.flag(index, &[(b'L', 141, Side::Left), (b'R', 142, Side::Right)])
    }
}
