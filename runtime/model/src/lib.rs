//! The words of the platform: plain data shared by every crate, the pure task state machine, and typed ports.
//!
//! Knows nothing of I/O, clocks or randomness: times and ids are handed in.

mod artifact;
mod batch;
mod code;
mod error;
mod ids;
mod kernels;
mod lane;
mod limits;
mod outcome;
pub mod ports;
mod reuse;
mod state;
pub mod sweep;
mod task;
mod visibility;

pub use artifact::{Artifact, ArtifactName, InvalidArtifactName};
pub use batch::{BatchState, Isolation, Item, ItemOutcome, ItemRange, OnItemError};
pub use code::{COMPILE_ROOM, Code, Digest, Executor, InvalidDigest, NonFinite, Source, SourceLanguage};
pub use error::{ErrorKind, Fault, TaskError, Warning};
pub use ids::{
    ApiKeyId, BatchId, DeliveryId, EventId, RunId, ScheduleId, StudyId, TaskId, TenantId, UploadId, WebhookId,
    WorkflowId,
};
pub use kernels::{InstructionSet, KernelUsage, Kernels};
pub use lane::Lane;
pub use limits::{
    CONTAINER_MEMORY_BYTES_DEFAULT, CONTAINER_MEMORY_BYTES_MAX, CONTAINER_MEMORY_BYTES_MIN, CPUS_MAX, FUEL_PER_SECOND,
    Limits, LimitsError, LimitsRequest, MEMORY_BYTES_MIN, Room, TIMEOUT_MS_MIN,
};
pub use outcome::{LogStream, Outcome, Progress, Usage};
pub use reuse::{CacheMode, Reuse};
pub use state::{IllegalTransition, TaskState, Transition};
pub use task::{Retry, Task, Ties};
pub use visibility::Visibility;
