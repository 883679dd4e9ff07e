//! Runs ONE attempt in a fresh sandbox, under limits, and reports an outcome; or a series of them, one after the other.
//!
//! Knows nothing of HTTP, databases, queues or tenants' rights: it is handed an [`Attempt`] and answers an
//! `Outcome`. A guest that fails is an outcome; an `Err` means that the platform failed.

mod attempt;
mod budget;
mod cancel;
pub mod compiler;
pub mod container;
mod engine;
mod memory;
pub mod module;
pub mod output;
mod pool;
mod priority;
mod python;
mod sandbox;
pub mod solver;
pub mod tree;
mod warm_images;
pub mod wasi;
mod wasi_module;

pub use attempt::{Attempt, FileContent, InputFile, Observer};
pub use cancel::{Cancel, StopOnDrop};
pub use engine::{Engine, EngineError, GUEST_STACK_BYTES_MAX, NanPayloads, TICK, config};
pub use mecapy_linalg::Instructions as KernelInstructions;
pub use memory::{DELTA_BYTES_MAX, Delta, DeltaError, GROWTH_BYTES_MAX, ImageError, MemoryImage, scans_pages};
pub use pool::{FRESH, Items, Job, LaneStatus, MemoryStatus, Refused, Sandboxes, SandboxesConfig, Series, SeriesEnd};
pub use python::{GLOBAL_EXPORT_PREFIX, PYTHON_TURN, PythonError, PythonImage, PythonModule, Sources, Turn, Warmed};
pub use sandbox::{
    Ceilings, Frozen, PACKAGE_FOLDER, PYTHON_ARGUMENTS, PYTHON_ENVIRONMENT, PYTHON_PREOPENS, Program, RESULT_BYTES_MAX,
    Rehearsal, WarmError, WarmOutcome, WarmUp, add_folders, prepare_source,
};
pub use warm_images::{WarmImages, WarmStatus};
pub use wasi_module::WasiModule;
