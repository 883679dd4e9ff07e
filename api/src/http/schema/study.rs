//! What requests about studies and schedules look like.

use super::{TaskRequest, workflow::RunRequest};
use serde::Serialize;
use utoipa::ToSchema;

/// Makes a study.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "M12 joint", "description": "Which class carries 60 kN with a margin of 1.5?"}))]
pub struct StudyRequest {
    /// For people, at most 200 characters.
    pub name: String,
    /// At most 10 000 characters.
    pub description: Option<String>,
}

/// Changes a study's words; what is absent stays.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"description": "8.8 does, with a margin of 1.7"}))]
pub struct StudyChangeRequest {
    pub name: Option<String>,
    pub description: Option<String>,
}

/// Makes a schedule: of a task or of a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "nightly check", "cron": "0 2 * * MON-FRI", "timezone": "Europe/Paris",
    "task": {"code": {"function": "acme/bolted-joint#preload"}, "inputs": {"d": 12.0}},
    "missed": "run_once", "overlap": "skip"
}))]
pub struct ScheduleRequest {
    /// For people, at most 200 characters.
    pub name: Option<String>,
    /// Minute, hour, day, month and weekday, with names (`MON-FRI`, `JAN`), steps, `L`, `#` and `W`; or `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`, `@yearly`.
    pub cron: String,
    /// A name of the IANA time zone database; `UTC` when absent.
    pub timezone: Option<String>,
    /// The body of a `POST /v1/tasks`, without `run_at`: sent anew at each firing. 256 KiB at most.
    pub task: Option<TaskRequest>,
    pub workflow: Option<ScheduledRun>,
    /// What becomes of times that passed while no worker was there: `skip` (when absent), or `run_once` for all of them
    /// together.
    pub missed: Option<String>,
    /// What becomes of a time at which what was started last has not ended: `skip` (when absent), `allow`, or `queue`: it
    /// fires once that has ended; one waits at most.
    pub overlap: Option<String>,
    /// `true`: it fires when somebody asks, and else not.
    pub paused: Option<bool>,
}

/// A run of a workflow that a schedule starts: the body of a `POST /v1/workflows/{id}/runs`, with the workflow in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduledRun {
    /// The workflow's id or name.
    pub id: String,
    #[serde(flatten)]
    pub run: RunRequest,
}

/// Changes a schedule; what is absent stays.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"paused": true}))]
pub struct ScheduleChangeRequest {
    pub name: Option<String>,
    pub cron: Option<String>,
    pub timezone: Option<String>,
    /// In the place of what was started before, whichever it was.
    pub task: Option<TaskRequest>,
    pub workflow: Option<ScheduledRun>,
    pub missed: Option<String>,
    pub overlap: Option<String>,
    /// `false`: it goes on with the next of its times.
    pub paused: Option<bool>,
}
