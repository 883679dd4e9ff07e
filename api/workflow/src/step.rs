//! What is to be done next.

use crate::definition::CacheMode;
use crate::{Entry, Json, Work};
use mecapy_model::{TaskId, UploadId};
use std::fmt::Write;

/// What a plan asks its driver to do, in one transaction: append the events, make what starts, ask what is to stop.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// To be appended to the log in this order; the run has applied them already.
    pub events: Vec<Entry>,
    /// Each is to be made, and its [`Run::started`](crate::Run::started) event appended after `events`; where it can't
    /// be made, [`Run::refused`](crate::Run::refused) says so and a further plan follows.
    pub starts: Vec<Start>,
    /// Tasks to be asked to stop, nested runs to be sent [`Signal::Cancel`](crate::Signal::Cancel). Asking twice does
    /// no harm.
    pub cancels: Vec<Work>,
    /// Values that are too large for the log and needed now: the driver loads them, and plans once more with them.
    pub missing: Vec<Work>,
    /// When the run must be planned again if nothing happens before (Unix time, milliseconds).
    pub wake_at_ms: Option<i64>,
}

/// A task or nested run to be made for a node, or for one element of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub key: String,
    pub index: Option<u32>,
    /// From 1.
    pub attempt: u32,
    pub what: What,
}

/// What is to be made.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Task(TaskStart),
    Run(RunStart),
}

/// A task, as parts of the body of `POST /v1/tasks`.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStart {
    /// The workflow's name, node and element, for people.
    pub name: String,
    /// The node's `code` as it was saved.
    pub code: Json,
    /// An object, every reference filled in.
    pub inputs: Json,
    pub files: Vec<(String, FileSource)>,
    pub cache: CacheMode,
    /// `seed`, `lane`, `priority`, `limits`, `non_finite` and `kernels` as they are in the body, where the node has them.
    pub settings: Vec<(&'static str, Json)>,
}

/// Where an input file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// An upload's id, as the user wrote it.
    Upload(String),
    /// A file that an earlier task of the run left.
    Artifact { task: TaskId, name: String },
}

/// A nested run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStart {
    /// A workflow's id or name, as the node has it.
    pub workflow: String,
    /// The newest where it is absent.
    pub version: Option<u32>,
    /// An object, every reference filled in.
    pub inputs: Json,
    /// How many runs the nested one is nested in.
    pub depth: u32,
}

impl TaskStart {
    /// The body of `POST /v1/tasks`, without `cache`. `upload` says under which id a file is an upload.
    pub fn request(&self, upload: impl Fn(&str, &FileSource) -> Option<UploadId>) -> String {
        let mut body = String::with_capacity(self.code.bytes() + self.inputs.bytes() + 256);
        let (name, code, inputs) = (Json::text(&self.name), &self.code, &self.inputs);
        // Writing into a String can't fail.
        let _ = write!(body, "{{\"name\":{name},\"code\":{code},\"inputs\":{inputs}");
        for (field, value) in &self.settings {
            let _ = write!(body, ",\"{field}\":{value}");
        }
        if !self.files.is_empty() {
            body.push_str(",\"files\":{");
            for (index, (name, source)) in self.files.iter().enumerate() {
                let id = match (upload(name, source), source) {
                    (Some(id), _) => id.to_string(),
                    (None, FileSource::Upload(id)) => id.clone(),
                    (None, FileSource::Artifact { .. }) => String::new(),
                };
                let comma = if index > 0 { "," } else { "" };
                let _ = write!(body, "{comma}{}:{}", Json::text(name), Json::text(&id));
            }
            body.push('}');
        }
        body.push('}');
        body
    }
}
