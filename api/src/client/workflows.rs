//! Workflows and their runs: saved, started, followed, answered.

use super::{ANSWER_TIMEOUT, Answer, Client, ClientError, Events, RunAnswer, ServerSentEvent, events::Told, json_body};
use mecapy_model::{RunId, WorkflowId};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A workflow in one of its versions.
#[derive(Debug, Deserialize)]
pub(crate) struct WorkflowAnswer {
    pub id: WorkflowId,
    pub name: String,
    pub version: u32,
    pub latest: u32,
    /// Absent in lists.
    #[serde(default)]
    pub definition: Option<Box<RawValue>>,
    pub saved_at: String,
}

/// Something that happened to a run: its name alone, since the run itself says how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunEvent {
    pub name: String,
}

impl Told for RunEvent {
    fn read(received: &ServerSentEvent) -> Option<Self> {
        Some(Self { name: received.event.clone() })
    }

    /// A run that has ended may have been restarted after it: the run itself says when it is over.
    fn is_last(&self) -> bool {
        false
    }
}

impl Client {
    /// Saves a definition: a new version where it differs from the newest.
    pub(crate) async fn save_workflow(&self, definition: &RawValue) -> Result<Answer<WorkflowAnswer>, ClientError> {
        let request = json_body(self.request(Method::POST, "/v1/workflows"), definition);
        self.answer(request.timeout(ANSWER_TIMEOUT)).await
    }

    /// A workflow by its id or name, in its newest version or in another one.
    pub(crate) async fn workflow(&self, id: &str, version: Option<u32>) -> Result<Answer<WorkflowAnswer>, ClientError> {
        let path = workflow_path(id);
        let path = version.map_or_else(|| path.clone(), |version| format!("{path}/versions/{version}"));
        self.answer(self.get(&path)).await
    }

    /// Starts a run; the idempotency key makes it safe to try again where the answer was lost.
    pub(crate) async fn start_run(
        &self,
        workflow: &str,
        body: &RawValue,
        idempotency_key: &str,
    ) -> Result<Answer<RunAnswer>, ClientError> {
        let path = format!("{}/runs", workflow_path(workflow));
        self.post_once(&path, body, idempotency_key, ANSWER_TIMEOUT).await
    }

    pub(crate) async fn run(&self, id: RunId) -> Result<Answer<RunAnswer>, ClientError> {
        self.answer(self.get(&run_path(id))).await
    }

    /// The log of a run from its first event, and what is added to it.
    pub(crate) fn run_events(&self, id: RunId) -> Events<'_, RunEvent> {
        Events::new(self, format!("{}/events", run_path(id)))
    }

    pub(crate) async fn cancel_run(&self, id: RunId) -> Result<Answer<RunAnswer>, ClientError> {
        self.post(&format!("{}/cancel", run_path(id))).await
    }

    /// Lets a run go on from what had not completed.
    pub(crate) async fn restart_run(&self, id: RunId) -> Result<Answer<RunAnswer>, ClientError> {
        self.post(&format!("{}/restart", run_path(id))).await
    }

    /// Answers a node that waits for a person.
    pub(crate) async fn approve(
        &self,
        id: RunId,
        key: &str,
        (approved, comment): (bool, Option<&str>),
    ) -> Result<Answer<RunAnswer>, ClientError> {
        let path = format!("{}/nodes/{}/approve", run_path(id), escaped(key));
        let mut body = serde_json::json!({ "approved": approved });
        if let (Some(comment), Some(members)) = (comment, body.as_object_mut()) {
            members.insert("comment".to_owned(), comment.into());
        }
        self.answer(self.request(Method::POST, &path).json(&body).timeout(ANSWER_TIMEOUT)).await
    }
}

fn workflow_path(id: &str) -> String {
    format!("/v1/workflows/{}", escaped(id))
}

fn run_path(id: RunId) -> String {
    format!("/v1/workflow-runs/{id}")
}

/// A name as one segment of a path, whatever characters a user gave it.
fn escaped(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
            b'.' if !segment.bytes().all(|byte| byte == b'.') => ".".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_elsewhere() {
        for (name, expected) in [
            ("bolted_joint", "bolted_joint"),
            ("../tasks", "..%2Ftasks"),
            ("..", "%2E%2E"),
            ("a?b#c d", "a%3Fb%23c%20d"),
            ("né", "n%C3%A9"),
        ] {
            assert_eq!(escaped(name), expected);
        }
    }
}
