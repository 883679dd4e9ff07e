//! The server's answers, as far as the command line reads them. Fields that a newer server adds are passed over.

use mecapy_model::{ArtifactName, Lane, LogStream, TaskError, TaskId, TaskState, UploadId, Usage, Warning};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A preview: everything that a computation left, in one answer.
#[derive(Debug, Deserialize)]
pub(crate) struct PreviewAnswer {
    pub state: TaskState,
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    #[serde(default)]
    pub error: Option<TaskError>,
    #[serde(default)]
    pub warnings: Vec<Warning>,
    #[serde(default)]
    pub seed: Option<u64>,
    #[serde(default)]
    pub stdout: String,
    #[serde(default)]
    pub stderr: String,
    #[serde(default)]
    pub stdout_truncated: bool,
    #[serde(default)]
    pub usage: Option<Usage>,
    #[serde(default)]
    pub artifacts: Vec<InlineArtifact>,
}

/// An artifact inside a preview's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct InlineArtifact {
    pub name: ArtifactName,
    pub content_type: String,
    pub base64: String,
}

/// A task as the server shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskAnswer {
    pub id: TaskId,
    #[serde(default)]
    pub name: Option<String>,
    pub state: TaskState,
    pub lane: Lane,
    #[serde(default)]
    pub queue_position: Option<u64>,
    #[serde(default)]
    pub seed: Option<u64>,
    #[serde(default)]
    pub error: Option<TaskError>,
    #[serde(default)]
    pub warnings: Vec<Warning>,
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// The result of a task that has ended.
#[derive(Debug, Deserialize)]
pub(crate) struct ResultAnswer {
    pub state: TaskState,
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    #[serde(default)]
    pub error: Option<TaskError>,
}

/// A piece of a task's log.
#[derive(Debug, Deserialize)]
pub(crate) struct LogPage {
    pub entries: Vec<LogEntry>,
    pub next_index: u64,
    /// The task has ended, and nothing will be added.
    pub done: bool,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct LogEntry {
    pub index: u64,
    pub at: String,
    pub stream: LogStream,
    pub text: String,
}

/// A stored artifact; `url` is signed and needs no other credentials.
#[derive(Debug, Deserialize)]
pub(crate) struct ArtifactAnswer {
    pub name: ArtifactName,
    pub size_bytes: u64,
    pub sha256: String,
    pub content_type: String,
    pub url: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UploadAnswer {
    pub upload_id: UploadId,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ModuleAnswer {
    pub module: mecapy_model::Digest,
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// `GET /`: what is running there.
#[derive(Debug, Deserialize)]
pub(crate) struct ServerAnswer {
    pub name: String,
    pub version: String,
}
