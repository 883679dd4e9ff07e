//! Published functions: finding them for whoever asks, checking what goes into a call and what comes out of it, making
//! something to run of a package, and publishing packages behind their own test cases.
//!
//! Knows nothing of HTTP or of queues: intake, previews and the worker all ask here. Code that is published runs in
//! sandboxes of the pool alone, as its tenant's previews do.

mod call;
mod find;
mod gate;
mod library;
mod publish;
mod published;
mod stub;
mod warm;

#[cfg(test)]
mod tests;

pub use call::{Call, invalid_inputs};
pub use find::{Functions, Missing};
pub use gate::{CaseReport, TestReport};
pub use library::Library;
pub use publish::{Publication, Publisher, Unpublished};
pub use published::{Published, newest};
