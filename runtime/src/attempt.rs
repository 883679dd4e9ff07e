//! What one attempt is handed: everything that is not here is denied.

use mecapy_model::{ArtifactName, Kernels, Limits, LogStream, NonFinite, Progress};
use std::sync::Arc;
use time::OffsetDateTime;

/// Everything a guest gets, beside its program.
#[derive(Clone)]
pub struct Attempt {
    /// The inputs as one JSON object, the user's own text.
    pub inputs: Arc<str>,
    /// Read-only files under `/work/in`.
    pub files: Vec<InputFile>,
    pub limits: Limits,
    /// Feeds every source of randomness that the guest can reach.
    pub seed: u64,
    pub non_finite: NonFinite,
    /// What computes its linear algebra.
    pub kernels: Kernels,
    /// The guest's wall clock at its start; it runs on at the speed of the host's monotonic clock.
    pub wall_clock: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct InputFile {
    pub name: ArtifactName,
    pub content: FileContent,
}

/// The bytes of a read-only node.
#[derive(Debug, Clone)]
pub enum FileContent {
    Bytes(Arc<[u8]>),
    /// A regular file that the host opened; `bytes` is its length when it was opened.
    File {
        file: Arc<std::fs::File>,
        bytes: u64,
    },
}

/// Told of a running attempt's output. Called on the sandbox's own thread: must not block.
pub trait Observer: Send + Sync {
    fn log(&self, stream: LogStream, text: &str);
    fn progress(&self, progress: Progress);
}
