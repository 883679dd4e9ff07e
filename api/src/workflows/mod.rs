//! Workflows: what is saved, how a run begins, and what makes runs go on by themselves.
//!
//! The engine (`mecapy-workflow`) is pure: it says what comes next. The store keeps each step whole. Here is what stands
//! between them: definitions are read for their caller ([`read`]), a run begins with the versions that it keeps to
//! ([`begin`]), and a [`Driver`] in every process that runs sandboxes takes the steps. Knows nothing of HTTP.

mod advance;
mod begin;
mod definitions;
mod driver;
mod held;
mod look;
mod make;
mod news;
mod pins;
mod save;
mod signatures;

pub use begin::begin;
pub use definitions::{Definitions, Unreadable};
pub use driver::Driver;
pub use look::{Looked, entry_of, log_of, look};
pub use pins::{PinnedFunction, PinnedNested, PinnedWorkflow, Pins};
pub use save::{read, written_once};
