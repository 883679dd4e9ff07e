//! Vectors of AVX2 with each kind of number in them.

use crate::{Complex, Scalar};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// A kind of number that a 256-bit vector holds `LANES` of.
///
/// # Safety
/// Every function may be called only where the machine has AVX2 and FMA.
pub unsafe trait Vectors: Copy {
    type Vector: Copy;
    const LANES: usize;

    /// # Safety
    /// `LANES` numbers are readable.
    unsafe fn load(at: *const Self) -> Self::Vector;
    /// # Safety
    /// `LANES` numbers are writable.
    unsafe fn store(at: *mut Self, vector: Self::Vector);
    /// # Safety
    /// The machine has AVX2.
    unsafe fn splat(self) -> Self::Vector;
    /// `a * b + c`
    ///
    /// # Safety
    /// The machine has AVX2 and FMA.
    unsafe fn vector_mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// # Safety
    /// The machine has AVX2.
    unsafe fn vector_add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// # Safety
    /// The machine has AVX2.
    unsafe fn vector_conj(vector: Self::Vector) -> Self::Vector;
}

#[cfg(target_arch = "x86_64")]
macro_rules! real {
    ($real:ty, $vector:ty, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident) => {
        // SAFETY: the functions' own conditions are those of the intrinsics.
        unsafe impl Vectors for $real {
            type Vector = $vector;
            const LANES: usize = 32 / size_of::<$real>();

            #[inline(always)]
            unsafe fn load(at: *const Self) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $load(at) }
            }

            #[inline(always)]
            unsafe fn store(at: *mut Self, vector: $vector) {
                // SAFETY: the caller's promise.
                unsafe { $store(at, vector) }
            }

            #[inline(always)]
            unsafe fn splat(self) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $splat(self) }
            }

            #[inline(always)]
            unsafe fn vector_mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $fma(a, b, c) }
            }

            #[inline(always)]
            unsafe fn vector_add(a: $vector, b: $vector) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            unsafe fn vector_conj(vector: $vector) -> $vector {
                vector
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! complex {
    ($real:ty, $vector:ty, $load:ident, $store:ident, $splat:expr, $parts:expr, $fmaddsub:ident, $add:ident, $xor:ident, $signs:expr) => {
        // SAFETY: the functions' own conditions are those of the intrinsics.
        unsafe impl Vectors for Complex<$real> {
            type Vector = $vector;
            const LANES: usize = 16 / size_of::<$real>();

            #[inline(always)]
            unsafe fn load(at: *const Self) -> $vector {
                // SAFETY: the caller's promise; a complex number is two real ones.
                unsafe { $load(at.cast()) }
            }

            #[inline(always)]
            unsafe fn store(at: *mut Self, vector: $vector) {
                // SAFETY: the caller's promise; a complex number is two real ones.
                unsafe { $store(at.cast(), vector) }
            }

            #[inline(always)]
            unsafe fn splat(self) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $splat(self) }
            }

            #[inline(always)]
            unsafe fn vector_mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
                // SAFETY: the caller's promise.
                unsafe {
                    // Even lanes are a.im b.im - c.re, then a.re b.re less that; odd lanes are sums.
                    let (b_re, b_im, a_swapped) = $parts(a, b);
                    $fmaddsub(a, b_re, $fmaddsub(a_swapped, b_im, c))
                }
            }

            #[inline(always)]
            unsafe fn vector_add(a: $vector, b: $vector) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            unsafe fn vector_conj(vector: $vector) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $xor(vector, $signs) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
real!(f32, __m256, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps);
#[cfg(target_arch = "x86_64")]
real!(f64, __m256d, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd, _mm256_add_pd);
#[cfg(target_arch = "x86_64")]
complex!(
    f32,
    __m256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    |value: Self| _mm256_setr_ps(value.re, value.im, value.re, value.im, value.re, value.im, value.re, value.im),
    |a, b| (_mm256_moveldup_ps(b), _mm256_movehdup_ps(b), _mm256_permute_ps::<0b10_11_00_01>(a)),
    _mm256_fmaddsub_ps,
    _mm256_add_ps,
    _mm256_xor_ps,
    _mm256_setr_ps(0.0, -0.0, 0.0, -0.0, 0.0, -0.0, 0.0, -0.0)
);
#[cfg(target_arch = "x86_64")]
complex!(
    f64,
    __m256d,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    |value: Self| _mm256_setr_pd(value.re, value.im, value.re, value.im),
    |a, b| (_mm256_movedup_pd(b), _mm256_permute_pd::<0b1111>(b), _mm256_permute_pd::<0b0101>(a)),
    _mm256_fmaddsub_pd,
    _mm256_add_pd,
    _mm256_xor_pd,
    _mm256_setr_pd(0.0, -0.0, 0.0, -0.0)
);

/// Elsewhere there are no such vectors, and no [`crate::Context`] that asks for them.
#[cfg(not(target_arch = "x86_64"))]
macro_rules! absent {
    ($($number:ty),*) => {
        $(
            // SAFETY: a vector of one lane is a number.
            unsafe impl Vectors for $number {
                type Vector = Self;
                const LANES: usize = 1;

                unsafe fn load(at: *const Self) -> Self {
                    // SAFETY: the caller's promise.
                    unsafe { *at }
                }

                unsafe fn store(at: *mut Self, vector: Self) {
                    // SAFETY: the caller's promise.
                    unsafe { *at = vector }
                }

                unsafe fn splat(self) -> Self {
                    self
                }

                unsafe fn vector_mul_add(a: Self, b: Self, c: Self) -> Self {
                    a * b + c
                }

                unsafe fn vector_add(a: Self, b: Self) -> Self {
                    a + b
                }

                unsafe fn vector_conj(vector: Self) -> Self {
                    Scalar::conj(vector)
                }
            }
        )*
    };
}

#[cfg(not(target_arch = "x86_64"))]
absent!(f32, f64, Complex<f32>, Complex<f64>);

/// The sum of a vector's lanes: of halves, and of halves of these.
#[inline(always)]
pub(super) fn sum_of_lanes<T: Scalar>(vector: T::Vector) -> T {
    let mut lanes = [T::ZERO; 8];
    // SAFETY: a vector has at most eight lanes; it exists only where the machine has AVX2.
    unsafe { T::store(lanes.as_mut_ptr(), vector) };
    let [a, b, c, d, e, f, g, h] = lanes;
    match T::LANES {
        8 => ((a + e) + (c + g)) + ((b + f) + (d + h)),
        4 => (a + c) + (b + d),
        _ => a + b,
    }
}
