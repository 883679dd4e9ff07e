//! Runs ONE attempt in a fresh sandbox, under limits, and reports an outcome.
//!
//! Knows nothing of HTTP, databases, queues or tenants' rights: it is handed an [`Attempt`] and answers an
//! `Outcome`. A guest that fails is an outcome; an `Err` means that the platform failed.

mod attempt;
mod cancel;
pub mod output;
pub mod tree;
pub mod wasi;

pub use attempt::{Attempt, FileContent, InputFile, Observer};
pub use cancel::Cancel;
