//! The four kinds of numbers of BLAS.

use std::{
    fmt::Debug,
    ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign},
};

/// A complex number as Fortran and C99 lay it out: real part, imaginary part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub struct Complex<R> {
    pub re: R,
    pub im: R,
}

/// A real or complex number in single or double precision: `s`, `d`, `c`, `z`.
pub trait Scalar:
    Copy
    + Debug
    + Default
    + PartialEq
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Send
    + Sync
    + 'static
{
    type Real: Scalar<Real = Self::Real> + PartialOrd;
    const ZERO: Self;
    const ONE: Self;
    const IS_COMPLEX: bool;
    /// Floating-point operations of a multiplication with an addition.
    const FLOPS: u64 = if Self::IS_COMPLEX { 8 } else { 2 };

    fn from_real(real: Self::Real) -> Self;
    fn from_f64(value: f64) -> Self;
    fn real(self) -> Self::Real;
    fn conj(self) -> Self;
    /// |re| + |im|: what LAPACK compares pivots by.
    fn magnitude(self) -> Self::Real;
    fn recip(self) -> Self;
    /// Of a real number; of a complex one's real part.
    fn sqrt_real(self) -> Self::Real;
}

macro_rules! real {
    ($real:ty) => {
        impl Scalar for $real {
            type Real = Self;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const IS_COMPLEX: bool = false;

            fn from_real(real: Self) -> Self {
                real
            }

            fn from_f64(value: f64) -> Self {
                value as Self
            }

            fn real(self) -> Self {
                self
            }

            fn conj(self) -> Self {
                self
            }

            fn magnitude(self) -> Self {
                self.abs()
            }

            fn recip(self) -> Self {
                1.0 / self
            }

            fn sqrt_real(self) -> Self {
                self.sqrt()
            }
        }

        impl Scalar for Complex<$real> {
            type Real = $real;
            const ZERO: Self = Self { re: 0.0, im: 0.0 };
            const ONE: Self = Self { re: 1.0, im: 0.0 };
            const IS_COMPLEX: bool = true;

            fn from_real(re: $real) -> Self {
                Self { re, im: 0.0 }
            }

            fn from_f64(value: f64) -> Self {
                Self { re: value as $real, im: 0.0 }
            }

            fn real(self) -> $real {
                self.re
            }

            fn conj(self) -> Self {
                Self { re: self.re, im: -self.im }
            }

            fn magnitude(self) -> $real {
                self.re.abs() + self.im.abs()
            }

            /// Smith's division, which doesn't overflow where the answer doesn't.
            fn recip(self) -> Self {
                if self.re.abs() >= self.im.abs() {
                    let ratio = self.im / self.re;
                    let scale = 1.0 / (self.re + self.im * ratio);
                    Self { re: scale, im: -ratio * scale }
                } else {
                    let ratio = self.re / self.im;
                    let scale = 1.0 / (self.im + self.re * ratio);
                    Self { re: ratio * scale, im: -scale }
                }
            }

            fn sqrt_real(self) -> $real {
                self.re.sqrt()
            }
        }
    };
}

real!(f32);
real!(f64);

impl<R: Copy + Add<Output = R>> Add for Complex<R> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl<R: Copy + Sub<Output = R>> Sub for Complex<R> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl<R: Copy + Add<Output = R> + Sub<Output = R> + Mul<Output = R>> Mul for Complex<R> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl<R: Neg<Output = R>> Neg for Complex<R> {
    type Output = Self;

    fn neg(self) -> Self {
        Self { re: -self.re, im: -self.im }
    }
}

impl<R: Copy + Add<Output = R>> AddAssign for Complex<R> {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<R: Copy + Sub<Output = R>> SubAssign for Complex<R> {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl<R: Copy + Add<Output = R> + Sub<Output = R> + Mul<Output = R>> MulAssign for Complex<R> {
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}
