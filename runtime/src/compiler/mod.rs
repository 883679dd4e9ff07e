//! Compilers: a source in C or Rust becomes a WASI module, by a program of a container image.
//!
//! Pure, as `solver` is, and met by the platform in the same place: an [`Adapter`](crate::solver::Adapter) that writes the
//! source into the work folder, reads what the compiler says and tells its diagnostics by the user's lines. Whether the
//! module is one that may run is `module`'s to say.

mod adapter;
mod clang;
mod diagnostics;
mod key;
mod rustc;

pub use adapter::{COMPILE_DISK_BYTES, COMPILE_OUTPUT_BYTES_MAX, COMPILE_TIMEOUT, Compile, MODULE_NAME};
pub use key::content_key;

/// The longest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
