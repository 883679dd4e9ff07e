//! The four kinds of numbers of BLAS.

use crate::{
    Instructions,
    dense::{Micro, Panels, Target, Vectors},
};
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
    + Vectors
    + 'static
{
    type Real: Scalar<Real = Self::Real> + PartialOrd + Micro;
    const ZERO: Self;
    const ONE: Self;
    /// From 1 to the next larger number.
    const EPSILON: f64;
    const IS_COMPLEX: bool;
    /// Floating-point operations of a multiplication with an addition.
    const FLOPS: u64 = if Self::IS_COMPLEX { 8 } else { 2 };

    fn from_real(real: Self::Real) -> Self;
    fn from_f64(value: f64) -> Self;
    fn real(self) -> Self::Real;
    /// The real and the imaginary part.
    fn parts(self) -> (f64, f64);
    fn conj(self) -> Self;
    /// Whether it, or a part of it, is no number.
    fn is_nan(self) -> bool;
    /// |re| + |im|: what LAPACK compares pivots by.
    fn magnitude(self) -> Self::Real;
    fn recip(self) -> Self;
    /// `self / by`; of complex numbers by way of the reciprocal.
    fn quotient(self, by: Self) -> Self;
    /// Of a real number; of a complex one's real part.
    fn sqrt_real(self) -> Self::Real;
    /// `self * by + plus` with fused multiply-adds. Slow where the machine has none.
    fn fused(self, by: Self, plus: Self) -> Self;
    /// Adds `alpha` times the product of packed panels to a tile: [`Micro::update`], or [`Micro::update_complex`].
    ///
    /// # Safety
    /// As that function's.
    unsafe fn update(instructions: Instructions, panels: Panels<Self::Real>, alpha: Self, target: Target<Self>);
}

macro_rules! real {
    ($real:ty) => {
        impl Scalar for $real {
            type Real = Self;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: f64 = <$real>::EPSILON as f64;
            const IS_COMPLEX: bool = false;

            #[inline(always)]
            fn from_real(real: Self) -> Self {
                real
            }

            fn from_f64(value: f64) -> Self {
                value as Self
            }

            #[inline(always)]
            fn real(self) -> Self {
                self
            }

            #[inline(always)]
            fn parts(self) -> (f64, f64) {
                (self.into(), 0.0)
            }

            #[inline(always)]
            fn conj(self) -> Self {
                self
            }

            fn is_nan(self) -> bool {
                <$real>::is_nan(self)
            }

            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }

            #[inline(always)]
            fn recip(self) -> Self {
                1.0 / self
            }

            #[inline(always)]
            fn quotient(self, by: Self) -> Self {
                self / by
            }

            #[inline(always)]
            fn sqrt_real(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn fused(self, by: Self, plus: Self) -> Self {
                self.mul_add(by, plus)
            }

            unsafe fn update(instructions: Instructions, panels: Panels<Self>, alpha: Self, target: Target<Self>) {
                // SAFETY: the caller's promise.
                unsafe { Micro::update(instructions, panels, alpha, target) }
            }
        }

        impl Scalar for Complex<$real> {
            type Real = $real;
            const ZERO: Self = Self { re: 0.0, im: 0.0 };
            const ONE: Self = Self { re: 1.0, im: 0.0 };
            const EPSILON: f64 = <$real>::EPSILON as f64;
            const IS_COMPLEX: bool = true;

            #[inline(always)]
            fn from_real(re: $real) -> Self {
                Self { re, im: 0.0 }
            }

            fn from_f64(value: f64) -> Self {
                Self { re: value as $real, im: 0.0 }
            }

            #[inline(always)]
            fn real(self) -> $real {
                self.re
            }

            #[inline(always)]
            fn parts(self) -> (f64, f64) {
                (self.re.into(), self.im.into())
            }

            #[inline(always)]
            fn conj(self) -> Self {
                Self { re: self.re, im: -self.im }
            }

            fn is_nan(self) -> bool {
                self.re.is_nan() || self.im.is_nan()
            }

            #[inline(always)]
            fn magnitude(self) -> $real {
                self.re.abs() + self.im.abs()
            }

            /// Smith's division, which doesn't overflow where the answer doesn't.
            #[inline(always)]
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

            #[inline(always)]
            fn quotient(self, by: Self) -> Self {
                self * by.recip()
            }

            #[inline(always)]
            fn sqrt_real(self) -> $real {
                self.re.sqrt()
            }

            #[inline(always)]
            fn fused(self, by: Self, plus: Self) -> Self {
                // In the order in which vectors of complex numbers are multiplied.
                let re = self.re.mul_add(by.re, -self.im.mul_add(by.im, -plus.re));
                let im = self.im.mul_add(by.re, self.re.mul_add(by.im, plus.im));
                Self { re, im }
            }

            unsafe fn update(instructions: Instructions, panels: Panels<$real>, alpha: Self, target: Target<Self>) {
                // SAFETY: the caller's promise.
                unsafe { Micro::update_complex(instructions, panels, alpha, target) }
            }
        }
    };
}

real!(f32);
real!(f64);

impl<R: Copy + Add<Output = R>> Add for Complex<R> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl<R: Copy + Sub<Output = R>> Sub for Complex<R> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl<R: Copy + Add<Output = R> + Sub<Output = R> + Mul<Output = R>> Mul for Complex<R> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl<R: Neg<Output = R>> Neg for Complex<R> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self { re: -self.re, im: -self.im }
    }
}

impl<R: Copy + Add<Output = R>> AddAssign for Complex<R> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<R: Copy + Sub<Output = R>> SubAssign for Complex<R> {
    #[inline(always)]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl<R: Copy + Add<Output = R> + Sub<Output = R> + Mul<Output = R>> MulAssign for Complex<R> {
    #[inline(always)]
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}
