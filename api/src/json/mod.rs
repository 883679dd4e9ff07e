//! Strict JSON: what a request body must be, and reading it field by field with every fault pointed at.
//!
//! Numbers stay text until somebody asks for one, so nothing is lost on the way through. Knows nothing of HTTP
//! or of what the fields mean.

mod fields;
mod path;
mod scan;
mod value;

pub use fields::{Faults, Fields};
pub use path::Path;
pub use scan::{Malformed, Reason, check};
pub use value::{Kind, Value};
