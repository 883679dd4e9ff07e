//! One source for each loop, compiled once for each instruction set.

#[cfg(target_arch = "x86_64")]
use super::vectors::sum_of_lanes;
use crate::{Instructions, Scalar};

/// The arithmetic of an instruction set: of numbers, and of vectors of `lanes` numbers.
///
/// The safety of its functions: an arithmetic is used only within [`run`], on a machine that has its instructions.
pub(super) trait Arithmetic {
    type Vector<T: Scalar>: Copy;

    fn lanes<T: Scalar>() -> usize;
    /// `a * b + c`, rounded once where the instruction set has such an operation.
    fn mul_add<T: Scalar>(a: T, b: T, c: T) -> T;
    /// # Safety
    /// As many numbers as there are lanes are readable.
    unsafe fn load<T: Scalar>(at: *const T) -> Self::Vector<T>;
    /// # Safety
    /// As many numbers as there are lanes are writable.
    unsafe fn store<T: Scalar>(at: *mut T, vector: Self::Vector<T>);
    fn splat<T: Scalar>(value: T) -> Self::Vector<T>;
    fn vector_mul_add<T: Scalar>(a: Self::Vector<T>, b: Self::Vector<T>, c: Self::Vector<T>) -> Self::Vector<T>;
    fn vector_add<T: Scalar>(a: Self::Vector<T>, b: Self::Vector<T>) -> Self::Vector<T>;
    fn vector_conj<T: Scalar>(vector: Self::Vector<T>) -> Self::Vector<T>;
    /// The sum of the lanes.
    fn sum<T: Scalar>(vector: Self::Vector<T>) -> T;
}

/// AVX2 with fused multiply-add.
#[cfg(target_arch = "x86_64")]
pub(super) struct Fused;

#[cfg(target_arch = "x86_64")]
impl Arithmetic for Fused {
    type Vector<T: Scalar> = T::Vector;

    #[inline(always)]
    fn lanes<T: Scalar>() -> usize {
        T::LANES
    }

    #[inline(always)]
    fn mul_add<T: Scalar>(a: T, b: T, c: T) -> T {
        a.fused(b, c)
    }

    #[inline(always)]
    unsafe fn load<T: Scalar>(at: *const T) -> T::Vector {
        // SAFETY: the caller's promise.
        unsafe { T::load(at) }
    }

    #[inline(always)]
    unsafe fn store<T: Scalar>(at: *mut T, vector: T::Vector) {
        // SAFETY: the caller's promise.
        unsafe { T::store(at, vector) }
    }

    #[inline(always)]
    fn splat<T: Scalar>(value: T) -> T::Vector {
        // SAFETY: an arithmetic is used only where the machine has its instructions.
        unsafe { value.splat() }
    }

    #[inline(always)]
    fn vector_mul_add<T: Scalar>(a: T::Vector, b: T::Vector, c: T::Vector) -> T::Vector {
        // SAFETY: an arithmetic is used only where the machine has its instructions.
        unsafe { T::vector_mul_add(a, b, c) }
    }

    #[inline(always)]
    fn vector_add<T: Scalar>(a: T::Vector, b: T::Vector) -> T::Vector {
        // SAFETY: an arithmetic is used only where the machine has its instructions.
        unsafe { T::vector_add(a, b) }
    }

    #[inline(always)]
    fn vector_conj<T: Scalar>(vector: T::Vector) -> T::Vector {
        // SAFETY: an arithmetic is used only where the machine has its instructions.
        unsafe { T::vector_conj(vector) }
    }

    #[inline(always)]
    fn sum<T: Scalar>(vector: T::Vector) -> T {
        sum_of_lanes(vector)
    }
}

/// Numbers alone: the compiler makes vectors of what the machine surely has.
pub(super) struct Plain;

impl Arithmetic for Plain {
    type Vector<T: Scalar> = T;

    #[inline(always)]
    fn lanes<T: Scalar>() -> usize {
        1
    }

    #[inline(always)]
    fn mul_add<T: Scalar>(a: T, b: T, c: T) -> T {
        a * b + c
    }

    #[inline(always)]
    unsafe fn load<T: Scalar>(at: *const T) -> T {
        // SAFETY: the caller's promise.
        unsafe { *at }
    }

    #[inline(always)]
    unsafe fn store<T: Scalar>(at: *mut T, vector: T) {
        // SAFETY: the caller's promise.
        unsafe { *at = vector }
    }

    #[inline(always)]
    fn splat<T: Scalar>(value: T) -> T {
        value
    }

    #[inline(always)]
    fn vector_mul_add<T: Scalar>(a: T, b: T, c: T) -> T {
        a * b + c
    }

    #[inline(always)]
    fn vector_add<T: Scalar>(a: T, b: T) -> T {
        a + b
    }

    #[inline(always)]
    fn vector_conj<T: Scalar>(vector: T) -> T {
        vector.conj()
    }

    #[inline(always)]
    fn sum<T: Scalar>(vector: T) -> T {
        vector
    }
}

/// A loop with its operands. `run` is `#[inline(always)]`, and so is whatever it calls with vectors: else that is compiled
/// for another instruction set. (So no closures that handle vectors, as an array's `map` wants.)
pub(super) trait Task {
    type Output;
    fn run<A: Arithmetic>(self) -> Self::Output;
}

pub(super) fn run<K: Task>(instructions: Instructions, task: K) -> K::Output {
    match instructions {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Context` exists only where its instructions are available.
        Instructions::X86_64V3 => unsafe { run_v3(task) },
        _ => task.run::<Plain>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_v3<K: Task>(task: K) -> K::Output {
    task.run::<Fused>()
}
