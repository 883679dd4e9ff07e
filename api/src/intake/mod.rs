//! From a request body to work that can be done: reads it, validates all of it, and looks up what it refers to.
//!
//! Knows nothing of HTTP: a request that can't be accepted is a list of faults with pointers.

mod batch;
mod code;
mod computation;
mod function;
mod labels;
mod limits;
mod lookup;
mod preview;
mod reuse;
mod run;
mod schedule;
mod solver;
mod source;
mod study;
mod task;

pub use lookup::{Intake, Sight, unknown_upload};
pub use preview::Preview;
pub use run::AskedRun;
pub use schedule::{AskedSchedule, AskedWork, ZONE_DEFAULT, schedule};
pub use study::{AskedStudy, DESCRIPTION_CHARS_MAX, study};
pub use task::AcceptedTask;

use crate::json::Malformed;
use mecapy_model::Fault;
use mecapy_store::{StoreError, SubmitError};
use std::time::Duration;

/// The longest name of a task, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// Labels of one task.
pub const LABELS_MAX: usize = 32;
/// The longest name of a label, in characters.
pub const LABEL_NAME_CHARS_MAX: usize = 64;
/// The longest value of a label, in characters.
pub const LABEL_VALUE_CHARS_MAX: usize = 256;
/// Input files of one task.
pub const FILES_MAX: usize = 64;
/// The largest seed: the largest whole number that every JSON reader keeps exact.
pub const SEED_MAX: u64 = (1 << 53) - 1;
/// The highest priority.
pub const PRIORITY_MAX: u64 = 9;
/// The priority of a task that asks for none.
pub const PRIORITY_DEFAULT: u8 = 5;
/// Tries that a task may ask for.
pub const ATTEMPTS_MAX: u64 = 10;
/// The longest wait before a second try that a task may ask for, milliseconds.
pub const BACKOFF_MS_MAX: u64 = 3_600_000;
/// The largest growth from one wait to the next.
pub const BACKOFF_FACTOR_MAX: f64 = 10.0;
/// How far ahead a task may be planned.
pub const RUN_AT_DAYS_MAX: i64 = 366;
/// What a caller is told while the interpreter is being built.
const RETRY_AFTER_BUILD: Duration = Duration::from_secs(10);

/// What a caller is told whose request could not be read to its end.
const RETRY_AFTER_READING: Duration = Duration::from_secs(1);

/// Why a request was not accepted.
#[derive(Debug)]
pub enum Rejected {
    /// The request is no strict JSON.
    Malformed(Malformed),
    /// The request is at fault, here.
    Invalid(Vec<Fault>),
    /// What it needs is not there yet.
    NotReady {
        detail: &'static str,
        retry_after: Duration,
    },
    /// The platform has no room for it just now.
    Busy {
        detail: &'static str,
        retry_after: Duration,
    },
    /// What has to be done first can't be queued.
    NotQueued(SubmitError),
    Store(StoreError),
}

impl Rejected {
    /// The thread that read the request was given up.
    fn interrupted() -> Self {
        Rejected::NotReady { detail: "the request could not be read just now", retry_after: RETRY_AFTER_READING }
    }

    /// The interpreter is being built.
    pub fn not_built() -> Self {
        Rejected::NotReady {
            detail: "the Python interpreter is being built: try again in a moment",
            retry_after: RETRY_AFTER_BUILD,
        }
    }
}

impl From<StoreError> for Rejected {
    fn from(error: StoreError) -> Self {
        Rejected::Store(error)
    }
}
