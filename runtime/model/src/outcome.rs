//! How one attempt ended and what it used.

use crate::{Artifact, ErrorKind, KernelUsage, TaskError, Warning};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What was measured of one task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Deterministic instruction count; the same code, inputs and seed burn the same fuel.
    pub fuel: u64,
    /// The largest linear memory, bytes (an interpreter image counts whole).
    pub memory_peak_bytes: u64,
    /// Processor time of the sandbox's thread, milliseconds.
    pub cpu_ms: f64,
    /// From acceptance to the start of the attempt, milliseconds.
    pub queued_ms: f64,
    /// Making the sandbox, milliseconds.
    pub startup_ms: f64,
    /// Running the guest, milliseconds.
    pub execute_ms: f64,
    /// Compiling its source, in a container of its own, milliseconds. Absent where nothing was compiled: also where the
    /// same source had been before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compile_ms: Option<f64>,
    /// What native kernels of linear algebra did, which `fuel` has in it; null where none was used.
    #[serde(default)]
    pub kernels: Option<KernelUsage>,
}

/// How far a task says it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// From 0 to 1.
    pub fraction: f64,
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// How one attempt ended. A guest that fails is an outcome, never an `Err`.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The result as the guest's own JSON text (numbers stay exact), or why there is none.
    pub result: Result<Box<RawValue>, TaskError>,
    pub warnings: Vec<Warning>,
    /// Valid UTF-8, terminal escapes neutralised, cut at the cap.
    pub stdout: String,
    pub stderr: String,
    pub stdout_truncated: bool,
    pub stderr_truncated: bool,
    pub artifacts: Vec<Artifact>,
    pub usage: Usage,
}

impl Outcome {
    /// An attempt that never ran.
    pub fn failed(error: TaskError) -> Self {
        Self {
            result: Err(error),
            warnings: Vec::new(),
            stdout: String::new(),
            stderr: String::new(),
            stdout_truncated: false,
            stderr_truncated: false,
            artifacts: Vec::new(),
            usage: Usage::default(),
        }
    }

    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.result.as_ref().err().map(|error| error.kind)
    }
}
