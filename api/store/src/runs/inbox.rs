//! What a run has to take in, as its inbox holds it.

use crate::StoreError;
use mecapy_model::{ArtifactName, RunId, TaskError, TaskId, TaskState};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// A longer result is left out of an inbox, in bytes of JSON.
pub(crate) const MAIL_RESULT_BYTES_MAX: usize = 64 << 10;

/// One thing that a run has to take in.
#[derive(Debug, Clone)]
pub struct InboxItem {
    /// For [`Advance::consumed`](crate::Advance::consumed); rises.
    pub no: i64,
    pub what: Arrived,
}

/// What happened, by what the inbox's row says. Externally tagged, since JSON texts are to come through as they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrived {
    Task(TaskEnded),
    Run(RunEnded),
    /// What somebody sent, as it was sent.
    Sent(Box<RawValue>),
}

/// A task of the run has ended.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskEnded {
    pub id: TaskId,
    pub state: TaskState,
    /// The result, where it is short; absent where the task has none or a longer one.
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    /// The result is too long for an inbox: read it.
    #[serde(default)]
    pub by_reference: bool,
    #[serde(default)]
    pub error: Option<TaskError>,
    #[serde(default)]
    pub artifacts: Vec<ArtifactName>,
}

/// A run that is the work of one of the run's nodes has ended.
#[derive(Debug, Clone, Deserialize)]
pub struct RunEnded {
    pub id: RunId,
    /// `completed`, `failed` or `cancelled`.
    pub state: String,
    /// The outputs, where they are short.
    #[serde(default)]
    pub outputs: Option<Box<RawValue>>,
    /// The outputs are too long for an inbox: read them.
    #[serde(default)]
    pub by_reference: bool,
    #[serde(default)]
    pub error: Option<Box<RawValue>>,
}

/// The same on its way into the row.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mail<'a> {
    Task {
        id: TaskId,
        state: TaskState,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "is_false")]
        by_reference: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "<[ArtifactName]>::is_empty")]
        artifacts: &'a [ArtifactName],
    },
    Run {
        id: RunId,
        state: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        outputs: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "is_false")]
        by_reference: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a RawValue>,
    },
    Sent(&'a RawValue),
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Mail<'_> {
    pub(crate) fn body(&self) -> Result<Arc<str>, StoreError> {
        serde_json::to_string(self).map(Arc::from).map_err(|error| StoreError::corrupt(error.to_string()))
    }
}

impl Arrived {
    pub(crate) fn read(body: &str) -> Result<Self, StoreError> {
        serde_json::from_str(body).map_err(|error| StoreError::corrupt(format!("a run's inbox: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::ErrorKind;
    use uuid::Uuid;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn what_is_put_in_comes_out_to_the_digit() {
        let (id, result) = (TaskId(Uuid::from_u128(1)), raw(r#"{"stress": 1.10}"#));
        let artifacts = [ArtifactName::parse("mesh.med").unwrap()];
        let mail = Mail::Task {
            id,
            state: TaskState::Completed,
            result: Some(&result),
            by_reference: false,
            error: None,
            artifacts: &artifacts,
        };
        let Arrived::Task(task) = Arrived::read(&mail.body().unwrap()).unwrap() else { panic!("no task") };
        assert_eq!((task.id, task.state, task.by_reference), (id, TaskState::Completed, false));
        assert_eq!(task.result.unwrap().get(), r#"{"stress": 1.10}"#);
        assert_eq!((task.artifacts, task.error), (artifacts.to_vec(), None));

        let error = TaskError::new(ErrorKind::Timeout, "too slow");
        let error_json = raw(&serde_json::to_string(&error).unwrap());
        let mail = Mail::Task {
            id,
            state: TaskState::Failed,
            result: None,
            by_reference: true,
            error: Some(&error_json),
            artifacts: &[],
        };
        let Arrived::Task(task) = Arrived::read(&mail.body().unwrap()).unwrap() else { panic!("no task") };
        assert!(task.by_reference && task.result.is_none());
        assert_eq!(task.error, Some(error));

        let run = RunId(Uuid::from_u128(2));
        let outputs = raw("[1.0]");
        let mail = Mail::Run { id: run, state: "completed", outputs: Some(&outputs), by_reference: false, error: None };
        let Arrived::Run(ended) = Arrived::read(&mail.body().unwrap()).unwrap() else { panic!("no run") };
        assert_eq!((ended.id, ended.state.as_str(), ended.outputs.unwrap().get()), (run, "completed", "[1.0]"));

        let sent = raw(r#"{"approve": {"n": 1e3}}"#);
        let Arrived::Sent(sent) = Arrived::read(&Mail::Sent(&sent).body().unwrap()).unwrap() else {
            panic!("not sent")
        };
        assert_eq!(sent.get(), r#"{"approve": {"n": 1e3}}"#);
        assert!(Arrived::read("{\"weather\": 1}").is_err());
    }
}
