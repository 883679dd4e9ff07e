//! How things of the store are shown: names and shapes of the contract.

use super::schema::CodeRequest;
use mecapy_model::{
    Code, Digest, Kernels, Lane, LogStream, Progress, RunId, Source, SourceLanguage, StudyId, Task, TaskError, TaskId,
    TaskState, UploadId, Usage, Warning,
};
use mecapy_store::{ApiKey, LogEntry, Module, Scope, TaskResult, Upload};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, time::Duration};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};
use utoipa::ToSchema;

/// Always three digits after the second, so that texts sort as the times do.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time as the contract writes it: RFC 3339, UTC, to the millisecond.
pub(super) fn time(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(TIME).unwrap_or_default()
}

/// One request to compute, with everything that happened to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskShown<'a> {
    #[schema(value_type = uuid::Uuid)]
    id: TaskId,
    name: Option<&'a str>,
    state: TaskState,
    lane: Lane,
    priority: u8,
    /// Tasks that run before it; null unless it is queued.
    queue_position: Option<u64>,
    /// How long it is likely to wait, by how many tasks of its lane started within the last minute; null where that can't
    /// be told, where no worker that is there can run it, and in the answer to its submission.
    expected_wait_ms: Option<u64>,
    #[schema(value_type = CodeRequest)]
    code: CodeShown<'a>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    #[schema(format = DateTime)]
    run_at: Option<String>,
    /// Tries so far.
    attempt: u32,
    max_attempts: u32,
    progress: Option<&'a Progress>,
    seed: u64,
    kernels: Kernels,
    error: Option<&'a TaskError>,
    /// Of the request and of the run; and `no_worker` for as long as it waits and no worker that is there can run it, which
    /// the answer to its submission leaves out.
    #[schema(value_type = Vec<Warning>)]
    warnings: Cow<'a, [Warning]>,
    #[schema(value_type = Option<uuid::Uuid>)]
    retry_of: Option<TaskId>,
    usage: Option<&'a Usage>,
    labels: &'a BTreeMap<String, String>,
    /// The workflow run that it is a node of.
    #[schema(value_type = Option<uuid::Uuid>)]
    run: Option<RunId>,
    #[schema(value_type = Option<uuid::Uuid>)]
    study: Option<StudyId>,
    /// The earlier task whose result it has, without having run: see `GET /v1/tasks/{id}/cache`.
    #[schema(value_type = Option<uuid::Uuid>)]
    cached_from: Option<TaskId>,
    /// What its source was compiled to; absent where nothing was, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    module: Option<Digest>,
    links: Links,
}

/// Code as the contract writes it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum CodeShown<'a> {
    Sandboxed(&'a Code),
    Function {
        function: &'a str,
    },
    Source {
        language: SourceLanguage,
        source: &'a str,
    },
    Solver {
        solver: &'a str,
        version: &'a str,
        /// All input files of the task.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        files: &'a BTreeMap<String, UploadId>,
    },
}

impl<'a> CodeShown<'a> {
    /// `files` are all input files.
    pub(super) fn of(code: &'a Code, files: &'a BTreeMap<String, UploadId>) -> Self {
        match code {
            Code::Solver { solver, version } => Self::Solver { solver, version, files },
            Code::Function { function, .. } => Self::Function { function },
            code => match code.source() {
                Some(Source { language, text, .. }) => Self::Source { language, source: text },
                None => Self::Sandboxed(code),
            },
        }
    }
}

/// Where to go from a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskLinks)]
pub(super) struct Links {
    #[serde(rename = "self")]
    task: String,
    result: String,
    logs: String,
    events: String,
    artifacts: String,
    cache: String,
    cancel: String,
    retry: String,
}

impl<'a> TaskShown<'a> {
    pub(super) fn new(task: &'a Task, queue_position: Option<u64>) -> Self {
        Self {
            id: task.id,
            name: task.name.as_deref(),
            state: task.state,
            lane: task.lane,
            priority: task.priority,
            queue_position,
            expected_wait_ms: None,
            code: CodeShown::of(&task.code, &task.files),
            created_at: time(task.created_at),
            started_at: task.started_at.map(time),
            completed_at: task.completed_at.map(time),
            run_at: task.run_at.map(time),
            attempt: task.attempt,
            max_attempts: task.retry.max_attempts,
            progress: task.progress.as_ref(),
            seed: task.seed,
            kernels: task.kernels,
            error: task.error.as_ref(),
            warnings: Cow::Borrowed(&task.warnings),
            retry_of: task.retry_of,
            usage: task.usage.as_ref(),
            labels: &task.labels,
            run: task.ties.run,
            study: task.ties.study,
            cached_from: task.ties.cached_from,
            module: task.code.source().and_then(|source| source.module),
            links: Links::of(task.id),
        }
    }

    pub(super) fn expecting(self, wait: Option<Duration>) -> Self {
        Self { expected_wait_ms: wait.and_then(|wait| u64::try_from(wait.as_millis()).ok()), ..self }
    }

    /// With one more warning, where there is one.
    pub(super) fn warned(mut self, warning: Option<Warning>) -> Self {
        if let Some(warning) = warning {
            self.warnings.to_mut().push(warning);
        }
        self
    }
}

impl Links {
    fn of(id: TaskId) -> Self {
        let task = task_path(id);
        let under = |what: &str| format!("{task}/{what}");
        Self {
            result: under("result"),
            logs: under("logs"),
            events: under("events"),
            artifacts: under("artifacts"),
            cache: under("cache"),
            cancel: under("cancel"),
            retry: under("retry"),
            task,
        }
    }
}

/// The path of a task.
pub(super) fn task_path(id: TaskId) -> String {
    format!("/v1/tasks/{id}")
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskPage)]
pub(super) struct TaskPageShown<'a> {
    pub(super) tasks: Vec<TaskShown<'a>>,
    /// Give this as `cursor` to see more; null at the end.
    pub(super) next_cursor: Option<&'a str>,
}

/// How a task ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskResult)]
pub(super) struct ResultShown<'a> {
    state: TaskState,
    /// Always an object where there is one; numbers as the computation wrote them.
    #[schema(value_type = Option<Object>)]
    result: Option<&'a RawValue>,
    error: Option<&'a TaskError>,
}

impl<'a> ResultShown<'a> {
    pub(super) fn new(ended: &'a TaskResult) -> Self {
        Self { state: ended.state, result: ended.result.as_deref(), error: ended.error.as_ref() }
    }
}

/// What a task wrote.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogPage)]
pub(super) struct LogPageShown<'a> {
    pub(super) entries: Vec<LogEntryShown<'a>>,
    /// Give this as `since` to see what comes after.
    pub(super) next_index: u64,
    /// Whether nothing more will come.
    pub(super) done: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogEntry)]
pub(super) struct LogEntryShown<'a> {
    index: u64,
    #[schema(format = DateTime)]
    at: String,
    stream: LogStream,
    text: &'a str,
}

impl<'a> LogEntryShown<'a> {
    pub(super) fn new(entry: &'a LogEntry) -> Self {
        Self { index: entry.index, at: time(entry.at), stream: entry.stream, text: &entry.text }
    }
}

/// A file that a task produced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub(super) struct ArtifactShown {
    pub(super) name: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
    pub(super) content_type: String,
    /// GET it there, without credentials, until it expires.
    pub(super) url: String,
    #[schema(format = DateTime)]
    pub(super) expires_at: String,
}

/// A file that a user sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub(super) struct UploadShown {
    upload_id: String,
    name: Option<String>,
    content_type: Option<String>,
    size_bytes: u64,
    /// Null until the upload is complete.
    sha256: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    /// PUT the file there, without credentials, then complete the upload; null where it has arrived.
    url: Option<String>,
    /// What may be PUT there at most.
    bytes_max: Option<u64>,
}

impl UploadShown {
    pub(super) fn new(upload: &Upload) -> Self {
        Self {
            upload_id: upload.id.to_string(),
            name: upload.name.clone(),
            content_type: upload.content_type.clone(),
            size_bytes: upload.size_bytes,
            sha256: upload.sha256.map(|digest| digest.to_string()),
            created_at: time(upload.created_at),
            expires_at: time(upload.expires_at),
            url: None,
            bytes_max: None,
        }
    }

    /// The same with where to PUT the file.
    pub(super) fn with_url(self, url: String, bytes_max: u64) -> Self {
        Self { url: Some(url), bytes_max: Some(bytes_max), ..self }
    }
}

/// An uploaded WASI module.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Module)]
pub(super) struct ModuleShown {
    /// Its SHA-256: give this as `code.module`.
    module: String,
    size_bytes: u64,
    imports: Vec<String>,
    exports: Vec<String>,
    warnings: Vec<Warning>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl ModuleShown {
    pub(super) fn new(module: Module) -> Self {
        Self {
            module: module.digest.to_string(),
            size_bytes: module.size_bytes,
            imports: module.imports,
            exports: module.exports,
            warnings: module.warnings,
            created_at: time(module.created_at),
        }
    }
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct ApiKeyShown {
    id: String,
    name: String,
    /// How the secret begins.
    prefix: String,
    role: &'static str,
    /// What the key may do: of `read`, `compute`, `publish` and `admin`.
    scopes: Vec<&'static str>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// To the minute.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl ApiKeyShown {
    pub(super) fn new(key: &ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            role: key.role.as_str(),
            scopes: key.scopes().iter().map(Scope::as_str).collect(),
            created_at: time(key.created_at),
            expires_at: key.expires_at.map(time),
            revoked_at: key.revoked_at.map(time),
            last_used_at: key.last_used_at.map(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_texts_of_times_sort_as_the_times_do() {
        let times = [
            datetime!(2026-11-26 01:50:49.099 UTC),
            datetime!(2026-11-26 02:50:49.100999 +1),
            datetime!(2026-11-26 01:50:49.11 UTC),
            datetime!(2026-11-26 01:50:50 UTC),
        ];
        let texts = times.map(time);
        assert_eq!(texts[1], "2026-11-26T01:50:49.100Z");
        assert!(texts.is_sorted(), "{texts:?}");
    }
}
