//! A typed Rust function as a MecaPy task.
//!
//! ```
//! use mecapy_task::{Ports, Result, ensure_input};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, Ports)]
//! #[serde(deny_unknown_fields)]
//! struct Input {
//!     /// Axial force in the rod.
//!     #[port(type = "Force", unit = "N")]
//!     force: f64,
//!     #[port(type = "Length", unit = "mm")]
//!     diameter: f64,
//! }
//!
//! #[derive(Serialize, Ports)]
//! struct Output {
//!     #[port(type = "Stress", unit = "MPa")]
//!     stress: f64,
//! }
//!
//! /// Stress in a round rod.
//! #[mecapy_task::main]
//! fn rod(input: Input) -> Result<Output> {
//!     ensure_input!(input.diameter > 0.0, "/diameter", "must be greater than zero");
//!     mecapy_task::progress(0.5, "computing");
//!     let area = std::f64::consts::PI * input.diameter.powi(2) / 4.0;
//!     Ok(Output { stress: input.force / area })
//! }
//! ```
//!
//! Built for `wasm32-wasip1`, this is a module that MecaPy runs: inputs on stdin, result on stdout, log on stderr. It
//! runs as well by itself (`cargo run < inputs.json`), since what a task tells the platform are lines of its log. The
//! ends of the program:
//!
//! | code | when | the line on stderr |
//! |---|---|---|
//! | 0 | the function returned `Ok` | |
//! | 1 | it returned `Err`, or its result has no JSON form | `mecapy: error exception …`, `invalid_output …` |
//! | 2 | the inputs don't fit their types, or [`Error::input`] | `mecapy: error invalid_input /the/field …` |
//! | 101 | it panicked | `mecapy: error exception …` with the place in the source |
//!
//! Numbers cross exactly: a `f64` is the double nearest to the text of the input, and the result's text reads back as
//! the same double. NaN and infinities are refused, since JSON has none.

mod error;
mod files;
mod finite;
mod input;
pub mod linalg;
mod line;
#[cfg(feature = "log")]
mod logger;
mod run;
mod signature;

pub use error::{Error, Result};
pub use files::{IN, OUT, artifact, input_file};
pub use line::{progress, warning};
pub use mecapy_task_macros::{Ports, main};
pub use run::{call_json, run};
pub use signature::{Port, Ports, Type};

/// What the macros call, and the crate that makes components.
#[doc(hidden)]
pub mod internal {
    pub use crate::run::tell_panics;
    pub use crate::signature::{Returned, Signature, length, write};

    /// The error's kind, a word of the platform's `error.kind`.
    pub fn kind(error: &crate::Error) -> &'static str {
        error.kind.word()
    }
}
