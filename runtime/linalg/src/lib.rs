//! Linear algebra for guests: products, factorisations and sparse solves at the speed of the machine.
//!
//! Knows nothing of WebAssembly, of tasks or of Python: it is handed a memory, what to do in it, and a [`Host`] that
//! counts the work. Results depend on the operands and on [`Instructions`] alone, never on the machine's caches, so that
//! they are equal bit for bit wherever they are computed.

pub mod blas;
pub mod context;
pub mod dense;
pub mod guest;
pub mod matrix;
pub mod scalar;
pub mod sparse;

pub use context::{Context, Crew, Host, Instructions, Job, Stop, Unlimited, WORK_FLOPS_MAX};
pub use matrix::{Mat, MatMut};
pub use scalar::{Complex, Scalar};

/// Names the arithmetic of all kernels: to be raised with every change after which a result may have other bits, so that
/// results from before are not taken for those of now.
pub const ARITHMETIC_VERSION: u32 = 2;
