//! The secular equation, whose roots are the eigenvalues of D + rho z zᵀ: where divide and conquer puts two halves of a
//! matrix together.
//!
//! Each root lies between two poles. It is sought as its distance from the nearer one, so that its differences from all
//! poles are exact to rounding, which is what makes eigenvectors orthogonal (M. Gu and S. C. Eisenstat, SIAM J. Matrix Anal.
//! Appl. 16, 1995). A step takes the root of a rational function with those two poles that agrees with the equation at the
//! last point (R.-C. Li, LAPACK working note 89, 1993).

use super::{
    instructions::{Arithmetic, Task, run},
    rank::with_vector,
};
use crate::{Context, Mat, MatMut, Scalar, Stop};

/// 1 + rho Σ zⱼ² / (dⱼ − λ) = 0, with rho > 0, poles d in ascending order, and no z of zero: n×1 vectors, n at least 3.
#[derive(Debug, Clone, Copy)]
pub struct Secular<'m, T> {
    pub poles: Mat<'m, T>,
    pub z: Mat<'m, T>,
    pub rho: T,
}

/// The root after the pole `index`, counted from 0. Writes dⱼ − λ for all poles into `differences`, n×1. `Declined`, with
/// nothing written, where the numbers are not as they should be or no root is found.
pub fn secular_root<T: Scalar<Real = T> + PartialOrd>(
    cx: &mut Context<'_>,
    Secular { poles, z, rho }: Secular<'_, T>,
    index: usize,
    mut differences: MatMut<'_, T>,
) -> Result<T, Stop> {
    let n = poles.rows;
    assert!(z.rows == n && differences.rows == n && index < n, "an equation of sizes that don't fit");
    if n < 3 {
        return Err(Stop::Declined);
    }
    with_vector(cx, poles, |cx, poles| {
        with_vector(cx, z, |cx, z| {
            let (mut search, distance, sums) = Search::new(cx, (poles, z), rho, index)?;
            let distance = search.distance(cx, distance, sums)?;
            let origin = search.origin;
            let pole = poles.get(origin).copied().unwrap_or_default();
            for (row, other) in poles.iter().enumerate() {
                differences.set(row, 0, (*other - pole) - distance);
            }
            Ok(pole + distance)
        })
    })
}

/// Evaluations of the equation after which a root is given up; from 3 to 6 are usual.
const EVALUATIONS_MAX: usize = 64;
/// What a pole's term costs, in the time of multiplications and additions: a division is slow.
const TERM_FLOPS: u64 = 32;

/// The sum over the poles up to one, and over the others: values and derivatives.
#[derive(Clone, Copy)]
struct Sums<T> {
    low: T,
    low_slope: T,
    high: T,
    high_slope: T,
}

struct Search<'m, T> {
    poles: &'m [T],
    z: &'m [T],
    /// 1 / rho
    constant: T,
    /// The two poles that steps look at. Those up to the first of them are the low ones.
    pair: [usize; 2],
    is_last: bool,
    origin: usize,
    /// The root is between these distances from the origin.
    bounds: [T; 2],
}

impl<'m, T: Scalar<Real = T> + PartialOrd> Search<'m, T> {
    /// Finds out on which side of the middle the root is, and so which pole is the origin. With the middle's distance from
    /// it, and the equation's value there.
    fn new(
        cx: &mut Context<'_>,
        (poles, z): (&'m [T], &'m [T]),
        rho: T,
        index: usize,
    ) -> Result<(Self, T, Sums<T>), Stop> {
        let is_last = index + 1 == poles.len();
        let pair = if is_last { [index - 1, index] } else { [index, index + 1] };
        let constant = rho.recip();
        let width = if is_last {
            // The last root is at most rho zᵀz after its pole; a little more for what rounding may take away.
            let squares = z.iter().fold(T::ZERO, |sum, z| sum + *z * *z);
            rho * squares * T::from_f64(1.0 + T::EPSILON * poles.len() as f64)
        } else {
            at(poles, index + 1) - at(poles, index)
        };
        let mut search = Self { poles, z, constant, pair, is_last, origin: index, bounds: [T::ZERO, width] };
        let mut middle = width * T::from_f64(0.5);
        let sums = search.sums(cx, middle)?;
        if !is_last && search.value(sums) < T::ZERO {
            search.origin = index + 1;
            middle -= width;
            search.bounds = [middle, T::ZERO];
        }
        Ok((search, middle, sums))
    }

    /// How far the root is from the origin, sought from `distance` on, where the equation has these sums.
    fn distance(&mut self, cx: &mut Context<'_>, mut distance: T, mut sums: Sums<T>) -> Result<T, Stop> {
        let half = T::from_f64(0.5);
        let (mut value_before, mut is_weighted) = (None, !self.is_last);
        for _ in 0..EVALUATIONS_MAX {
            let value = self.value(sums);
            let uncertainty = self.uncertainty(sums, distance);
            if uncertainty.is_nan() || uncertainty >= T::from_f64(f64::MAX) {
                // The equation has no numbers, or too large ones.
                return Err(Stop::Declined);
            }
            if value.magnitude() <= T::from_f64(T::EPSILON) * uncertainty {
                return Ok(distance);
            }
            if value < T::ZERO {
                self.bounds[0] = distance;
            } else {
                self.bounds[1] = distance;
            }
            if value_before.is_some_and(|before: T| value.magnitude() > before.magnitude() * T::from_f64(0.1)) {
                is_weighted = !is_weighted && !self.is_last;
            }
            value_before = Some(value);
            let mut next = distance + self.step(sums, distance, is_weighted);
            if !(next > self.bounds[0] && next < self.bounds[1]) {
                next = (self.bounds[0] + self.bounds[1]) * half;
            }
            if next == distance || !(next > self.bounds[0] && next < self.bounds[1]) {
                // There is no number between the bounds: this is as near as one gets.
                return Ok(distance);
            }
            distance = next;
            sums = self.sums(cx, distance)?;
        }
        Err(Stop::Declined)
    }

    fn value(&self, sums: Sums<T>) -> T {
        self.constant + sums.low + sums.high
    }

    /// What rounding may make of the equation's value, in units of the last place.
    fn uncertainty(&self, sums: Sums<T>, distance: T) -> T {
        let terms = T::from_f64(8.0 + self.poles.len() as f64 / 16.0);
        let slope = sums.low_slope + sums.high_slope;
        terms * (sums.low.magnitude() + sums.high.magnitude()) + self.constant + distance.magnitude() * slope
    }

    fn sums(&self, cx: &mut Context<'_>, distance: T) -> Result<Sums<T>, Stop> {
        cx.work(TERM_FLOPS * self.poles.len() as u64)?;
        let split = self.pair[0] + 1;
        let (low_poles, high_poles) = self.poles.split_at_checked(split).ok_or(Stop::Declined)?;
        let (low_z, high_z) = self.z.split_at_checked(split).ok_or(Stop::Declined)?;
        let origin = at(self.poles, self.origin);
        let low = Terms { poles: low_poles, z: low_z, origin, distance };
        let high = Terms { poles: high_poles, z: high_z, origin, distance };
        let ((low, low_slope), (high, high_slope)) = run(cx.instructions(), Both { low, high });
        Ok(Sums { low, low_slope, high, high_slope })
    }

    /// How far to go: to the root of c + s/(p − η) + t/(q − η), p and q being the differences from the pair of poles now.
    /// The low and the high sum are each matched in value and slope by one pole; a weighted step takes the nearer pole with
    /// its own weight, and lets the other one stand for the rest.
    fn step(&self, sums: Sums<T>, distance: T, is_weighted: bool) -> T {
        let two = T::from_f64(2.0);
        let origin = at(self.poles, self.origin);
        let [p, q] = self.pair.map(|pole| (at(self.poles, pole) - origin) - distance);
        let (value, slope) = (self.value(sums), sums.low_slope + sums.high_slope);
        let c = if is_weighted {
            let (near, far) = if self.origin == self.pair[0] { (p, q) } else { (q, p) };
            let weight = at(self.z, self.origin).quotient(near);
            value - far * slope - (near - far) * weight * weight
        } else {
            value - p * sums.low_slope - q * sums.high_slope
        };
        let a = (p + q) * value - p * q * slope;
        let b = p * q * value;
        let root = (a * a - T::from_f64(4.0) * b * c).magnitude().sqrt_real();
        // Of the two roots the one between the poles, or after them, without cancellation.
        let step = match (self.is_last, a > T::ZERO) {
            (false, false) => (a - root).quotient(two * c),
            (false, true) => (two * b).quotient(a + root),
            (true, true) => (a + root).quotient(two * c),
            (true, false) => (two * b).quotient(a - root),
        };
        // The equation's value rises with the distance.
        if value * step < T::ZERO { step } else { -value.quotient(slope) }
    }
}

fn at<T: Scalar>(values: &[T], index: usize) -> T {
    values.get(index).copied().unwrap_or_default()
}

/// Some of the equation's terms at a distance from the origin.
struct Terms<'m, T> {
    poles: &'m [T],
    z: &'m [T],
    origin: T,
    distance: T,
}

struct Both<'m, T> {
    low: Terms<'m, T>,
    high: Terms<'m, T>,
}

impl<T: Scalar<Real = T>> Task for Both<'_, T> {
    type Output = ((T, T), (T, T));

    #[inline(always)]
    fn run<A: Arithmetic>(self) -> Self::Output {
        (self.low.sum::<A>(), self.high.sum::<A>())
    }
}

/// Independent sums of a kind.
const SUMS: usize = 8;

impl<T: Scalar<Real = T>> Terms<'_, T> {
    /// Σ zⱼ² / (dⱼ − λ) and its derivative, Σ zⱼ² / (dⱼ − λ)².
    #[inline(always)]
    fn sum<A: Arithmetic>(&self) -> (T, T) {
        let (mut values, mut slopes) = ([T::ZERO; SUMS], [T::ZERO; SUMS]);
        let (poles, poles_left) = self.poles.as_chunks::<SUMS>();
        let (z, z_left) = self.z.as_chunks::<SUMS>();
        for (poles, z) in poles.iter().zip(z) {
            self.add::<A>((poles, z), &mut values, &mut slopes);
        }
        self.add::<A>((poles_left, z_left), &mut values, &mut slopes);
        (total(values), total(slopes))
    }

    #[inline(always)]
    fn add<A: Arithmetic>(&self, (poles, z): (&[T], &[T]), values: &mut [T; SUMS], slopes: &mut [T; SUMS]) {
        for ((pole, z), (value, slope)) in poles.iter().zip(z).zip(values.iter_mut().zip(slopes)) {
            let ratio = z.quotient((*pole - self.origin) - self.distance);
            *value = A::mul_add(*z, ratio, *value);
            *slope = A::mul_add(ratio, ratio, *slope);
        }
    }
}

#[inline(always)]
fn total<T: Scalar>([a, b, c, d, e, f, g, h]: [T; SUMS]) -> T {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
