//! Dense linear algebra: the functions of BLAS's levels 2 and 3, and the factorisations of LAPACK that are built on them.
//!
//! Everything is generic over the four kinds of numbers, and takes any views of its operands: a transpose or a conjugate is
//! a view. Outputs must share no memory with other operands. Work is announced to the host piece by piece; scratch is
//! charged before anything is written, so a kernel that declines has changed nothing.

mod gemm;
mod gemv;
mod getrf;
mod instructions;
mod leaf;
mod micro;
mod norm;
mod pack;
mod potrf;
mod rank;
mod scratch;
mod secular;
mod stripes;
mod symm;
mod symv;
mod triangular;
mod trsv;
mod vectors;

#[cfg(test)]
mod tests;

pub use gemm::{Product, gemm, gemm_part};
pub use gemv::gemv;
pub use getrf::{gesv, getrf, getrs};
pub use micro::{Micro, Panels, Target};
pub use norm::nrm2;
pub use potrf::{lauum, potrf, potrs, trtri};
pub use rank::{Rank2, ger, syr, syr2};
pub use secular::{Secular, secular_root};
pub use symm::{Symmetric, symm};
pub use symv::symv;
pub use triangular::{Triangular, trmm, trsm};
pub use trsv::{trmv, trsv};
pub use vectors::Vectors;

/// Which part of a square matrix is meant, the diagonal included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Upper,
    Lower,
}

impl Part {
    /// The same part as the transpose has it.
    pub fn t(self) -> Self {
        match self {
            Self::Upper => Self::Lower,
            Self::Lower => Self::Upper,
        }
    }

    fn has(self, row: usize, col: usize) -> bool {
        match self {
            Self::Upper => row <= col,
            Self::Lower => row >= col,
        }
    }
}

/// Whether the diagonal of a triangular matrix is taken as ones, and not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diag {
    Unit,
    NonUnit,
}

/// On which side of the other factor a matrix stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// What the part of a square matrix that is not read is to the other: its transpose, or its conjugate transpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetry {
    Symmetric,
    /// The diagonal's imaginary part is taken as zero.
    Hermitian,
}

/// How a matrix is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transpose {
    No,
    Transposed,
    ConjTransposed,
}
