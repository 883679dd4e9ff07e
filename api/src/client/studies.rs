//! Studies and schedules.

use super::{ANSWER_TIMEOUT, Answer, Client, ClientError, json_body, paging::with_query};
use mecapy_model::{RunId, ScheduleId, StudyId, TaskId};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A study; with its members where it was asked for alone.
#[derive(Debug, Deserialize)]
pub(crate) struct StudyAnswer {
    pub id: StudyId,
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub created_at: String,
    #[serde(default)]
    pub counts: Option<StudyCounts>,
    /// Newest first, those of the first page.
    #[serde(default)]
    pub members: Vec<StudyMember>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// How many members of each kind there are.
#[derive(Debug, Deserialize)]
pub(crate) struct StudyCounts {
    pub tasks: u64,
    pub batches: u64,
    pub workflow_runs: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StudyMember {
    /// `task`, `batch` or `workflow_run`.
    pub kind: String,
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    pub state: String,
    pub created_at: String,
}

/// Two cases of a study side by side.
#[derive(Debug, Deserialize)]
pub(crate) struct ComparisonAnswer {
    pub inputs: Differences,
    pub outputs: Differences,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Differences {
    pub fields: Vec<FieldDifference>,
    pub equal: u64,
    #[serde(default)]
    pub left_out: u64,
}

/// One field of two cases.
#[derive(Debug, Deserialize)]
pub(crate) struct FieldDifference {
    /// RFC 6901 pointer.
    pub pointer: String,
    /// `equal`, `changed`, `only_in_a` or `only_in_b`.
    pub status: String,
    #[serde(default)]
    pub a: Option<Box<RawValue>>,
    #[serde(default)]
    pub b: Option<Box<RawValue>>,
    /// b − a, of two numbers that differ.
    #[serde(default)]
    pub difference: Option<f64>,
    /// (b − a) / |a|.
    #[serde(default)]
    pub relative: Option<f64>,
}

/// What is started at which times.
#[derive(Debug, Deserialize)]
pub(crate) struct ScheduleAnswer {
    pub id: ScheduleId,
    #[serde(default)]
    pub name: Option<String>,
    pub cron: String,
    pub timezone: String,
    /// Absent in lists, as `workflow`.
    #[serde(default)]
    pub task: Option<Box<RawValue>>,
    #[serde(default)]
    pub workflow: Option<Box<RawValue>>,
    pub missed: String,
    pub overlap: String,
    pub paused: bool,
    #[serde(default)]
    pub next: Vec<String>,
}

/// One time of a schedule that has come.
#[derive(Debug, Deserialize)]
pub(crate) struct Firing {
    pub due_at: String,
    #[serde(default)]
    pub task: Option<TaskId>,
    #[serde(default)]
    pub workflow_run: Option<RunId>,
    #[serde(default)]
    pub note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Firings {
    firings: Vec<Firing>,
}

/// What a schedule started because somebody asked.
#[derive(Debug, Deserialize)]
pub(crate) struct StartedAnswer {
    #[serde(default)]
    pub task: Option<TaskId>,
    #[serde(default)]
    pub workflow_run: Option<RunId>,
}

impl Client {
    pub(crate) async fn create_study(
        &self,
        name: &str,
        description: Option<&str>,
    ) -> Result<Answer<StudyAnswer>, ClientError> {
        let mut body = serde_json::json!({ "name": name });
        if let (Some(description), Some(members)) = (description, body.as_object_mut()) {
            members.insert("description".to_owned(), description.into());
        }
        self.answer(self.request(Method::POST, "/v1/studies").json(&body).timeout(ANSWER_TIMEOUT)).await
    }

    /// A study with its newest members.
    pub(crate) async fn study(&self, id: StudyId) -> Result<Answer<StudyAnswer>, ClientError> {
        self.answer(self.get(&study_path(id))).await
    }

    /// Two cases of a study, each `task:<id>`, `workflow_run:<id>` or `item:<batch id>:<index>`.
    pub(crate) async fn compare(&self, id: StudyId, a: &str, b: &str) -> Result<Answer<ComparisonAnswer>, ClientError> {
        let path = with_query(&format!("{}/compare", study_path(id)), [("a", Some(a)), ("b", Some(b))]);
        self.answer(self.get(&path)).await
    }

    pub(crate) async fn create_schedule(&self, body: &RawValue) -> Result<Answer<ScheduleAnswer>, ClientError> {
        let request = json_body(self.request(Method::POST, "/v1/schedules"), body);
        self.answer(request.timeout(ANSWER_TIMEOUT)).await
    }

    pub(crate) async fn schedule(&self, id: ScheduleId) -> Result<Answer<ScheduleAnswer>, ClientError> {
        self.answer(self.get(&schedule_path(id))).await
    }

    /// The last times of a schedule, newest first.
    pub(crate) async fn firings(&self, id: ScheduleId) -> Result<Vec<Firing>, ClientError> {
        Ok(self.answer::<Firings>(self.get(&format!("{}/firings", schedule_path(id)))).await?.value.firings)
    }

    pub(crate) async fn pause_schedule(
        &self,
        id: ScheduleId,
        paused: bool,
    ) -> Result<Answer<ScheduleAnswer>, ClientError> {
        let request = self.request(Method::PATCH, &schedule_path(id)).json(&serde_json::json!({ "paused": paused }));
        self.answer(request.timeout(ANSWER_TIMEOUT)).await
    }

    /// Fires a schedule now, whatever its times are.
    pub(crate) async fn run_schedule(&self, id: ScheduleId) -> Result<Answer<StartedAnswer>, ClientError> {
        self.post(&format!("{}/run", schedule_path(id))).await
    }

    pub(crate) async fn delete_schedule(&self, id: ScheduleId) -> Result<(), ClientError> {
        self.delete(&schedule_path(id)).await
    }
}

/// The path of a study.
pub(super) fn study_path(id: StudyId) -> String {
    format!("/v1/studies/{id}")
}

fn schedule_path(id: ScheduleId) -> String {
    format!("/v1/schedules/{id}")
}
