//! What results are compared with: products of whole matrices, element by element.

use super::image::Kind;
use crate::{Complex, Scalar};

pub(super) type C64 = Complex<f64>;

pub(super) fn c64(re: f64, im: f64) -> C64 {
    C64 { re, im }
}

pub(super) const NAN: C64 = C64 { re: f64::NAN, im: f64::NAN };

/// Numbers between -1 and 1, always the same ones.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    /// In steps of 1/128, so that single precision holds it too.
    fn real(&mut self) -> f64 {
        (self.next() % 257) as f64 / 128.0 - 1.0
    }

    pub(super) fn number(&mut self, kind: Kind) -> C64 {
        let re = self.real();
        c64(re, if kind.is_complex() { self.real() } else { 0.0 })
    }

    pub(super) fn matrix(&mut self, kind: Kind, rows: usize, cols: usize) -> Matrix {
        Matrix::new(rows, cols, |_, _| self.number(kind))
    }

    /// One whose triangles are far from singular, and which needs its rows exchanged here and there.
    pub(super) fn square(&mut self, kind: Kind, n: usize) -> Matrix {
        let scale = c64(0.5 / n as f64, 0.0);
        Matrix::new(n, n, |row, col| if row == col { c64(1.5, 0.0) } else { self.number(kind) * scale })
    }
}

/// A matrix of numbers in double precision, real ones among them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) cols: usize,
    elements: Vec<C64>,
}

impl Matrix {
    pub(super) fn new(rows: usize, cols: usize, mut element: impl FnMut(usize, usize) -> C64) -> Self {
        let elements = (0..rows * cols).map(|at| element(at / cols, at % cols)).collect();
        Self { rows, cols, elements }
    }

    pub(super) fn identity(n: usize) -> Self {
        Self::new(n, n, |row, col| if row == col { C64::ONE } else { C64::ZERO })
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, cols) = (self.rows, self.cols);
        (0..rows * cols).map(move |at| (at / cols, at % cols))
    }

    pub(super) fn get(&self, row: usize, col: usize) -> C64 {
        self.elements[row * self.cols + col]
    }

    pub(super) fn map(&self, mut element: impl FnMut(usize, usize, C64) -> C64) -> Self {
        Self::new(self.rows, self.cols, |row, col| element(row, col, self.get(row, col)))
    }

    /// `N`: itself. `T`: its transpose. `C`: its conjugate transpose.
    pub(super) fn op(&self, op: char) -> Self {
        match op.to_ascii_uppercase() {
            'N' => self.clone(),
            'T' => Self::new(self.cols, self.rows, |row, col| self.get(col, row)),
            _ => Self::new(self.cols, self.rows, |row, col| self.get(col, row).conj()),
        }
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        assert_eq!(self.cols, other.rows);
        Self::new(self.rows, other.cols, |row, col| {
            (0..self.cols).fold(C64::ZERO, |sum, k| sum + self.get(row, k) * other.get(k, col))
        })
    }

    pub(super) fn scaled(&self, by: C64) -> Self {
        // Zero times what isn't a number is zero, as in BLAS.
        self.map(|_, _, value| if by == C64::ZERO { C64::ZERO } else { by * value })
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        self.map(|row, col, value| value + other.get(row, col))
    }

    /// The triangular matrix in that part (`U` or `L`); its diagonal is ones where `diag` is `U`.
    pub(super) fn triangle(&self, part: char, diag: char) -> Self {
        self.map(|row, col, value| match (row == col, diag) {
            (true, 'U') => C64::ONE,
            _ if is_in(part)(row, col) => value,
            _ => C64::ZERO,
        })
    }

    /// The symmetric matrix (`op` is `T`) or the Hermitian one (`C`) that has that part.
    pub(super) fn symmetric(&self, part: char, op: char) -> Self {
        let other = self.op(op);
        self.map(|row, col, value| match row == col {
            true if op == 'C' => c64(value.re, 0.0),
            _ if is_in(part)(row, col) => value,
            _ => other.get(row, col),
        })
    }

    /// The same, with what is no number wherever a function that takes that part only has no business. With `diag` `U` the
    /// diagonal is none of its business either.
    pub(super) fn guarded(&self, part: char, diag: char) -> Self {
        self.map(|row, col, value| if !is_in(part)(row, col) || row == col && diag == 'U' { NAN } else { value })
    }

    pub(super) fn assert_close(&self, expected: &Self, kind: Kind, what: &str) {
        self.assert_close_in(expected, kind, (|_, _| true, what));
    }

    pub(super) fn assert_close_in(&self, expected: &Self, kind: Kind, (has, what): (fn(usize, usize) -> bool, &str)) {
        assert_eq!((self.rows, self.cols), (expected.rows, expected.cols), "{what}");
        for (row, col) in self.indices().filter(|(row, col)| has(*row, *col)) {
            let (found, expected) = (self.get(row, col), expected.get(row, col));
            let error = (found - expected).magnitude();
            let bound = kind.tolerance() * (1.0 + expected.magnitude());
            assert!(error <= bound, "{kind:?} {what}: ({row}, {col}) is {found:?}, not {expected:?}");
        }
    }
}

/// Whether an element is in that part of a square matrix.
pub(super) fn is_in(part: char) -> fn(usize, usize) -> bool {
    match part.to_ascii_uppercase() {
        'U' => |row, col| row <= col,
        _ => |row, col| row >= col,
    }
}
