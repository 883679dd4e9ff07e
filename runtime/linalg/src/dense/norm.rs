//! The Euclidean norm of a vector.

use super::{
    instructions::{Arithmetic, Task, run},
    rank::with_vector,
};
use crate::{Context, Mat, Scalar, Stop};

/// The square root of the sum of the squares of an n×1 vector's parts, summed in double precision. `Declined` where the
/// squares overflow or are too small to be summed without loss: that needs scaling.
pub fn nrm2<T: Scalar>(cx: &mut Context<'_>, x: Mat<'_, T>) -> Result<T::Real, Stop> {
    assert!(x.cols == 1, "the norm of a matrix");
    cx.work(T::FLOPS * x.rows as u64)?;
    let sum = with_vector(cx, x, |cx, x| Ok(run(cx.instructions(), Squares { x })))?;
    // Squares below the smallest normal number lose digits, or all of them: beside such a sum they are nothing.
    let least = f64::MIN_POSITIVE / f64::EPSILON.powi(2);
    if sum.is_finite() && sum >= least { Ok(T::Real::from_f64(sum.sqrt())) } else { Err(Stop::Declined) }
}

struct Squares<'m, T> {
    x: &'m [T],
}

/// Independent sums: as many as keep two fused multiply-adds busy.
const SUMS: usize = 32;

impl<T: Scalar> Task for Squares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<A: Arithmetic>(self) -> f64 {
        let mut sums = [0.0; SUMS];
        let (chunks, rest) = self.x.as_chunks::<SUMS>();
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum = add_squares::<T, A>(*value, *sum);
            }
        }
        for (sum, value) in sums.iter_mut().zip(rest) {
            *sum = add_squares::<T, A>(*value, *sum);
        }
        let mut width = SUMS;
        while width > 1 {
            width /= 2;
            let (low, high) = sums.split_at_mut(width);
            low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        }
        let [sum, ..] = sums;
        sum
    }
}

#[inline(always)]
fn add_squares<T: Scalar, A: Arithmetic>(value: T, sum: f64) -> f64 {
    let (re, im) = value.parts();
    let sum = A::mul_add(re, re, sum);
    if T::IS_COMPLEX { A::mul_add(im, im, sum) } else { sum }
}
