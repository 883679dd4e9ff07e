//! One source for each loop, compiled once for each instruction set.

use crate::{Instructions, Scalar};

/// The arithmetic of an instruction set. Loops that use it are vectorised by the compiler.
pub(super) trait Arithmetic {
    /// `a * b + c`, rounded once where the instruction set has such an operation.
    fn mul_add<T: Scalar>(a: T, b: T, c: T) -> T;
}

pub(super) struct Fused;

impl Arithmetic for Fused {
    #[inline(always)]
    fn mul_add<T: Scalar>(a: T, b: T, c: T) -> T {
        a.fused(b, c)
    }
}

pub(super) struct Plain;

impl Arithmetic for Plain {
    #[inline(always)]
    fn mul_add<T: Scalar>(a: T, b: T, c: T) -> T {
        a * b + c
    }
}

/// A loop with its operands. `run` is `#[inline(always)]`, and so is whatever it calls: else it is compiled for the wrong
/// instruction set.
pub(super) trait Task {
    type Output;
    fn run<A: Arithmetic>(self) -> Self::Output;
}

pub(super) fn run<K: Task>(instructions: Instructions, task: K) -> K::Output {
    match instructions {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Context` exists only where its instructions are available.
        Instructions::X86_64V3 => unsafe { run_v3(task) },
        #[cfg(not(target_arch = "x86_64"))]
        Instructions::X86_64V3 => task.run::<Fused>(),
        Instructions::X86_64 => task.run::<Plain>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_v3<K: Task>(task: K) -> K::Output {
    task.run::<Fused>()
}
