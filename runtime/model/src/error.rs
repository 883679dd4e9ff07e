//! Why a task failed, and what is worth a warning.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The reason a task did not complete, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The guest's code raised.
    Exception,
    /// A module ended with an exit code other than 0.
    ExitCode,
    /// The guest did something WebAssembly forbids (an access out of bounds, a division by zero, …).
    Trap,
    OutOfFuel,
    OutOfMemory,
    StackOverflow,
    Timeout,
    /// The result is not what the calling convention asks for.
    InvalidOutput,
    InvalidArtifact,
    Solver,
    Storage,
    /// The platform failed to run it.
    Executor,
    WorkerLost,
    Cancelled,
    Compile,
    InvalidInput,
    Quota,
}

impl ErrorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Exception => "exception",
            ErrorKind::ExitCode => "exit_code",
            ErrorKind::Trap => "trap",
            ErrorKind::OutOfFuel => "out_of_fuel",
            ErrorKind::OutOfMemory => "out_of_memory",
            ErrorKind::StackOverflow => "stack_overflow",
            ErrorKind::Timeout => "timeout",
            ErrorKind::InvalidOutput => "invalid_output",
            ErrorKind::InvalidArtifact => "invalid_artifact",
            ErrorKind::Solver => "solver",
            ErrorKind::Storage => "storage",
            ErrorKind::Executor => "executor",
            ErrorKind::WorkerLost => "worker_lost",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Compile => "compile",
            ErrorKind::InvalidInput => "invalid_input",
            ErrorKind::Quota => "quota",
        }
    }

    /// Whether the platform, not the user, caused it, so that running again could cure it.
    pub const fn is_platform_fault(self) -> bool {
        matches!(self, ErrorKind::Storage | ErrorKind::Executor | ErrorKind::WorkerLost)
    }
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a task failed, in the engineer's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskError {
    pub kind: ErrorKind,
    pub message: String,
    /// The guest's own traceback, with the user's line numbers.
    pub traceback: Option<String>,
    /// The line of the user's source that raised, from 1.
    pub line: Option<u32>,
}

impl TaskError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), traceback: None, line: None }
    }
}

/// Something that did not stop the task but that its author should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    pub code: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pointer: Option<String>,
}

/// One fault in a request: where (a JSON pointer), what (for programs) and what to do (for people).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// RFC 6901 pointer into the request body.
    pub pointer: String,
    pub code: String,
    pub message: String,
    /// Line of the source, from 1, where the fault is in code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// Column of the source in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u32>,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), message: message.into(), line: None, column: None }
    }
}
