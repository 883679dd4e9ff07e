//! A task as it is stored and shown.

use crate::{
    BatchId, Code, Digest, Kernels, Lane, Limits, NonFinite, Progress, Reuse, RunId, StudyId, TaskError, TaskId,
    TaskState, TenantId, UploadId, Usage, Warning,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A task's own rule for another try: kept and shown, and without effect so far. Nothing that a run reports today would
/// end otherwise a second time, and what the platform itself loses or fails is tried again on a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Tries in all, 1 to 10.
    #[serde(default = "Retry::max_attempts_default")]
    pub max_attempts: u32,
    /// Wait before the second try, milliseconds.
    #[serde(default = "Retry::backoff_ms_default")]
    pub backoff_ms: u64,
    /// Each further wait is this many times the one before.
    #[serde(default = "Retry::backoff_factor_default")]
    pub backoff_factor: f64,
}

impl Retry {
    const fn max_attempts_default() -> u32 {
        1
    }
    const fn backoff_ms_default() -> u64 {
        1_000
    }
    const fn backoff_factor_default() -> f64 {
        2.0
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: Self::max_attempts_default(),
            backoff_ms: Self::backoff_ms_default(),
            backoff_factor: Self::backoff_factor_default(),
        }
    }
}

/// What a task is a part of, and where its result comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ties {
    /// The batch whose items it carries out; such a task is the platform's own and is not listed.
    pub batch: Option<BatchId>,
    /// The workflow run that it is a node of.
    pub run: Option<RunId>,
    pub study: Option<StudyId>,
    /// The earlier task whose result it has, without having run.
    pub cached_from: Option<TaskId>,
    /// Under which its result may be used again; absent where it may not.
    pub cache_key: Option<Digest>,
    /// Whether an earlier result was asked for, and what came of it when the task was accepted.
    pub reuse: Reuse,
}

/// One request to compute, with everything that happened to it (its result, logs and artifacts apart).
#[derive(Debug, Clone)]
pub struct Task {
    pub id: TaskId,
    pub tenant: TenantId,
    pub name: Option<String>,
    pub state: TaskState,
    pub lane: Lane,
    /// 0 (last) to 9 (first); 5 by default.
    pub priority: u8,
    pub code: Code,
    /// The inputs as the user's own JSON text: numbers stay exact.
    pub inputs: Box<RawValue>,
    /// Input file name → upload.
    pub files: BTreeMap<String, UploadId>,
    pub limits: Limits,
    pub retry: Retry,
    pub seed: u64,
    pub non_finite: NonFinite,
    pub kernels: Kernels,
    pub labels: BTreeMap<String, String>,
    /// Not before this time.
    pub run_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub completed_at: Option<OffsetDateTime>,
    /// Tries so far, lost ones included.
    pub attempt: u32,
    /// Rises with each claim; nothing written under an older fence counts.
    pub fence: u64,
    pub cancel_requested: bool,
    pub progress: Option<Progress>,
    pub error: Option<TaskError>,
    pub warnings: Vec<Warning>,
    pub retry_of: Option<TaskId>,
    /// Told when the task has ended, beside the tenant's webhooks.
    pub webhook_url: Option<String>,
    pub ties: Ties,
    pub usage: Option<Usage>,
}
