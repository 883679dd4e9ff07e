//! Each kernel against a plain loop, with sizes, steps, alignments and numbers drawn from seeds.

use super::{Diag, Part, Symmetry};
use crate::{Complex, Context, Host, Instructions, Mat, MatMut, Scalar, Unlimited};

/// A generator of numbers that are the same on every run.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) ^ (self.0 << 31)
    }

    /// Below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 8) % end as u64) as usize
    }

    /// Between -1 and 1.
    pub(super) fn real(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub(super) fn is(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(super) fn number<T: Number>(&mut self) -> T {
        T::of(self.real(), self.real())
    }

    pub(super) fn part(&mut self) -> Part {
        if self.is() { Part::Upper } else { Part::Lower }
    }

    pub(super) fn diag(&mut self) -> Diag {
        if self.is() { Diag::Unit } else { Diag::NonUnit }
    }

    pub(super) fn symmetry(&mut self) -> Symmetry {
        if self.is() { Symmetry::Symmetric } else { Symmetry::Hermitian }
    }

    /// One of the sizes at which something changes, or any.
    pub(super) fn size(&mut self, max: usize) -> usize {
        let special = [0, 1, 2, 3, 4, 11, 12, 13, 24, 25, 31, 32, 33, 64, 65];
        let size = if self.is() { special[self.below(special.len())] } else { self.below(max + 1) };
        size.min(max)
    }
}

/// A kind of number with its tolerance, and a way to compute with it in double precision.
pub(super) trait Number: Scalar {
    fn of(re: f64, im: f64) -> Self;
    fn wide(self) -> Complex<f64>;
}

macro_rules! number {
    ($real:ty) => {
        impl Number for $real {
            fn of(re: f64, _im: f64) -> Self {
                re as $real
            }

            fn wide(self) -> Complex<f64> {
                Complex { re: self as f64, im: 0.0 }
            }
        }

        impl Number for Complex<$real> {
            fn of(re: f64, im: f64) -> Self {
                Self { re: re as $real, im: im as $real }
            }

            fn wide(self) -> Complex<f64> {
                Complex { re: self.re as f64, im: self.im as f64 }
            }
        }
    };
}

number!(f32);
number!(f64);

/// A matrix in memory of its own, with gaps between its elements that no kernel may touch.
#[derive(Clone)]
pub(super) struct Owned<T> {
    elements: Vec<T>,
    first: usize,
    pub(super) size: (usize, usize),
    steps: (isize, isize),
}

impl<T: Number> Owned<T> {
    pub(super) fn by_columns(size: (usize, usize), fill: impl FnMut(usize, usize) -> T) -> Self {
        Self::new(size, (1, size.0.max(1)), 0, fill)
    }

    fn new(size: (usize, usize), steps: (usize, usize), first: usize, mut fill: impl FnMut(usize, usize) -> T) -> Self {
        let len = first + size.0 * steps.0 + size.1 * steps.1 + 1;
        let steps = (steps.0 as isize, steps.1 as isize);
        let mut owned = Self { elements: vec![T::of(77.0, -77.0); len], first, size, steps };
        for col in 0..size.1 {
            for row in 0..size.0 {
                owned.view().set(row, col, fill(row, col));
            }
        }
        owned
    }

    /// By columns or by rows, with gaps or without, sometimes with neither step one, and at any alignment.
    pub(super) fn draw(draw: &mut Draw, size: (usize, usize)) -> Self {
        let gap = if draw.is() { 0 } else { draw.below(5) };
        let first = draw.below(4);
        let inner = if draw.below(4) == 0 { 2 + draw.below(2) } else { 1 };
        let steps =
            if draw.is() { (inner, (size.0 * inner).max(1) + gap) } else { ((size.1 * inner).max(1) + gap, inner) };
        Self::new(size, steps, first, |_, _| draw.number())
    }

    /// By columns, with gaps or without.
    pub(super) fn draw_columns(draw: &mut Draw, size: (usize, usize)) -> Self {
        let (gap, first) = (draw.below(5), draw.below(4));
        Self::new(size, (1, size.0.max(1) + gap), first, |_, _| draw.number())
    }

    pub(super) fn mat(&self) -> Mat<'_, T> {
        let first = self.elements.as_ptr().wrapping_add(self.first);
        // SAFETY: within `elements`.
        unsafe { Mat::from_raw(first, self.size, self.steps) }
    }

    pub(super) fn view(&mut self) -> MatMut<'_, T> {
        let first = self.elements.as_mut_ptr().wrapping_add(self.first);
        // SAFETY: within `elements`, and steps are chosen so that no two elements coincide.
        unsafe { MatMut::from_raw(first, self.size, self.steps) }
    }

    /// The elements by columns, and whether the gaps are as they were.
    pub(super) fn values(&self) -> Vec<T> {
        let mut values = Vec::new();
        for col in 0..self.size.1 {
            for row in 0..self.size.0 {
                values.push(self.mat().get(row, col));
            }
        }
        values
    }

    pub(super) fn assert_gaps(&self) {
        let mut gaps = self.clone();
        for col in 0..self.size.1 {
            for row in 0..self.size.0 {
                gaps.view().set(row, col, T::of(77.0, -77.0));
            }
        }
        assert!(gaps.elements.iter().all(|value| *value == T::of(77.0, -77.0)), "a gap was written");
    }
}

pub(super) fn bits<T: Number>(values: &[T]) -> Vec<(u64, u64)> {
    values.iter().map(|value| (value.wide().re.to_bits(), value.wide().im.to_bits())).collect()
}

/// Compares with a tolerance of so many roundings.
pub(super) fn assert_close<T: Number>(got: &Owned<T>, roundings: f64, want: impl Fn(usize, usize) -> Complex<f64>) {
    for col in 0..got.size.1 {
        for row in 0..got.size.0 {
            let (got, want) = (got.mat().get(row, col).wide(), want(row, col));
            let error = (got.re - want.re).abs().max((got.im - want.im).abs());
            let scale = 1.0 + want.re.abs() + want.im.abs();
            assert!(
                error <= roundings * T::EPSILON * scale,
                "element ({row}, {col}) is {got:?}, not {want:?}: {} roundings",
                error / T::EPSILON / scale
            );
        }
    }
    got.assert_gaps();
}

/// Σ a(row, at) b(at, col)
pub(super) fn sum(depth: std::ops::Range<usize>, term: impl Fn(usize) -> Complex<f64>) -> Complex<f64> {
    depth.fold(Complex::default(), |sum, at| sum + term(at))
}

pub(super) fn on<R>(instructions: Instructions, within: impl FnOnce(&mut Context<'_>) -> R) -> R {
    on_host(&mut Unlimited, instructions, within)
}

pub(super) fn on_host<R>(
    host: &mut dyn Host,
    instructions: Instructions,
    within: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    let mut cx = Context::new(host, instructions).expect("a machine with AVX2");
    within(&mut cx)
}

pub(super) const ALL_INSTRUCTIONS: [Instructions; 2] = [Instructions::X86_64V3, Instructions::X86_64];

/// A test for each kind of number.
macro_rules! for_all_numbers {
    ($($name:ident => $test:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                $test::<f32>();
                $test::<f64>();
                $test::<$crate::Complex<f32>>();
                $test::<$crate::Complex<f64>>();
            }
        )*
    };
}

mod factorisations;
mod hosts;
mod level2;
mod level3;
mod secular;
mod stripes;
