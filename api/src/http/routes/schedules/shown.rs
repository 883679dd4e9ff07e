//! How schedules are shown.

use crate::{
    http::{
        schema::{TaskRequest, study::ScheduledRun},
        shown::time,
    },
    schedules::{Timetable, Work},
};
use mecapy_model::{RunId, ScheduleId, TaskId};
use mecapy_store::{Firing, ScheduleRow};
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Times ahead that are shown.
const NEXT_SHOWN: usize = 5;

/// What is started at which times.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(in crate::http) struct ScheduleShown {
    #[schema(value_type = uuid::Uuid)]
    id: ScheduleId,
    name: Option<String>,
    cron: String,
    timezone: String,
    /// As it was sent; in lists absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskRequest>)]
    task: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ScheduledRun>)]
    workflow: Option<Box<RawValue>>,
    /// `skip` or `run_once`.
    missed: &'static str,
    /// `allow`, `skip` or `queue`.
    overlap: &'static str,
    paused: bool,
    /// The next five times; none while it is paused. One in the past is about to fire, or waits for the end of what was
    /// started last.
    #[schema(value_type = Vec<String>)]
    next: Vec<String>,
    /// What it started last.
    #[schema(value_type = Option<uuid::Uuid>)]
    last_task: Option<TaskId>,
    #[schema(value_type = Option<uuid::Uuid>)]
    last_workflow_run: Option<RunId>,
    /// Whether that goes on.
    busy: bool,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    changed_at: String,
    links: ScheduleLinks,
}

/// Where to go from a schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScheduleLinks {
    #[serde(rename = "self")]
    schedule: String,
    run: String,
    firings: String,
}

impl ScheduleShown {
    /// As it is in a list.
    pub(super) fn brief(row: ScheduleRow, now: OffsetDateTime) -> Self {
        let schedule = schedule_path(row.id);
        let under = |what: &str| format!("{schedule}/{what}");
        Self {
            id: row.id,
            next: next(&row, now),
            name: row.name,
            cron: row.cron,
            timezone: row.timezone,
            task: None,
            workflow: None,
            missed: row.missed.as_str(),
            overlap: row.overlap.as_str(),
            paused: row.paused,
            last_task: row.last_task,
            last_workflow_run: row.last_run,
            busy: row.is_busy,
            created_at: time(row.created_at),
            changed_at: time(row.changed_at),
            links: ScheduleLinks { run: under("run"), firings: under("firings"), schedule },
        }
    }

    pub(super) fn new(row: ScheduleRow, now: OffsetDateTime) -> Self {
        let work: Option<Work> = serde_json::from_str(row.work.get()).ok();
        let (task, workflow) = work.map_or((None, None), |work| (work.task, work.workflow));
        Self { task, workflow, ..Self::brief(row, now) }
    }
}

fn next(row: &ScheduleRow, now: OffsetDateTime) -> Vec<String> {
    let first = row.next_ms.filter(|_| !row.paused);
    let first = first.and_then(|ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok());
    let (Some(first), Ok(timetable)) = (first, Timetable::new(&row.cron, &row.timezone)) else { return Vec::new() };
    let later = timetable.upcoming(first.max(now), NEXT_SHOWN - 1);
    std::iter::once(first).chain(later).map(time).collect()
}

/// The path of a schedule.
pub(super) fn schedule_path(id: ScheduleId) -> String {
    format!("/v1/schedules/{id}")
}

/// Some of the tenant's schedules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchedulePage)]
pub(in crate::http) struct SchedulesShown {
    pub(super) schedules: Vec<ScheduleShown>,
    /// Give this as `cursor` to see more; null at the end.
    pub(super) next_cursor: Option<String>,
}

/// The last 50 firings of a schedule, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleFirings)]
pub(in crate::http) struct FiringsShown {
    pub(super) firings: Vec<FiringShown>,
}

/// One time that has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleFiring)]
pub(in crate::http) struct FiringShown {
    /// The time that it was for.
    #[schema(format = DateTime)]
    due_at: String,
    #[schema(format = DateTime)]
    fired_at: String,
    /// What it started; neither where it started nothing.
    #[schema(value_type = Option<uuid::Uuid>)]
    task: Option<TaskId>,
    #[schema(value_type = Option<uuid::Uuid>)]
    workflow_run: Option<RunId>,
    /// Why it started nothing, or why it was not at its time.
    note: Option<String>,
}

impl FiringShown {
    pub(super) fn new(firing: Firing) -> Self {
        Self {
            due_at: time(firing.due_at),
            fired_at: time(firing.fired_at),
            task: firing.task,
            workflow_run: firing.run,
            note: firing.note,
        }
    }
}

/// What was started because somebody asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleStarted)]
pub(in crate::http) struct StartedShown {
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(super) task: Option<TaskId>,
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(super) workflow_run: Option<RunId>,
}
