//! What a tenant is told: how its tasks, batches and workflow runs ended, numbered in the order of the commits. A reader follows live, or goes on
//! from the last number that it saw.

use crate::batches::ItemCounts;
use crate::clock::from_unix_ms;
use crate::followers::Watch;
use crate::sql::{Row, query};
use crate::{RunState, Store, StoreError};
use mecapy_model::{BatchState, EventId, Lane, TaskState, TenantId};
use serde::Serialize;
use std::time::Duration;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

/// How many events one page holds at most.
pub const TENANT_EVENTS_PAGE_MAX: u32 = 1_000;
/// How long events are kept.
pub const TENANT_EVENTS_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// News of one tenant's events.
pub type TenantWatch = Watch<TenantId>;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    TaskCompleted,
    TaskFailed,
    TaskCancelled,
    BatchCompleted,
    BatchFailed,
    BatchCancelled,
    WorkflowRunCompleted,
    WorkflowRunFailed,
    WorkflowRunCancelled,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Task,
    Batch,
    WorkflowRun,
}

/// Something that ended. All of it is written once, so it is told in the same words each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantEvent {
    /// The tenant's first event has 1, and each has one more than the one before.
    pub seq: u64,
    pub id: EventId,
    pub at: OffsetDateTime,
    pub kind: EventType,
    /// The id of the task, batch or workflow run.
    pub subject: Uuid,
    /// Its name.
    pub name: Option<String>,
    /// Says nothing of a workflow run.
    pub lane: Lane,
    /// The kind of its error.
    pub error_kind: Option<String>,
    /// What became of a batch's items.
    pub items: Option<ItemCounts>,
}

impl EventType {
    pub const ALL: [EventType; 9] = [
        EventType::TaskCompleted,
        EventType::TaskFailed,
        EventType::TaskCancelled,
        EventType::BatchCompleted,
        EventType::BatchFailed,
        EventType::BatchCancelled,
        EventType::WorkflowRunCompleted,
        EventType::WorkflowRunFailed,
        EventType::WorkflowRunCancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EventType::TaskCompleted => "task.completed",
            EventType::TaskFailed => "task.failed",
            EventType::TaskCancelled => "task.cancelled",
            EventType::BatchCompleted => "batch.completed",
            EventType::BatchFailed => "batch.failed",
            EventType::BatchCancelled => "batch.cancelled",
            EventType::WorkflowRunCompleted => "workflow_run.completed",
            EventType::WorkflowRunFailed => "workflow_run.failed",
            EventType::WorkflowRunCancelled => "workflow_run.cancelled",
        }
    }

    pub const fn subject(self) -> Subject {
        match self {
            EventType::TaskCompleted | EventType::TaskFailed | EventType::TaskCancelled => Subject::Task,
            EventType::BatchCompleted | EventType::BatchFailed | EventType::BatchCancelled => Subject::Batch,
            EventType::WorkflowRunCompleted | EventType::WorkflowRunFailed | EventType::WorkflowRunCancelled => {
                Subject::WorkflowRun
            }
        }
    }

    /// The state in which it ended.
    pub(crate) fn state(self) -> &'static str {
        self.as_str().rsplit('.').next().unwrap_or_default()
    }

    /// What a task's end is; `None` where the state is none.
    pub(crate) fn of_end(state: TaskState) -> Option<Self> {
        match state {
            TaskState::Completed => Some(EventType::TaskCompleted),
            TaskState::Failed => Some(EventType::TaskFailed),
            TaskState::Cancelled => Some(EventType::TaskCancelled),
            TaskState::Queued | TaskState::Running => None,
        }
    }

    /// What a workflow run's end is; `None` where the state is none.
    pub(crate) const fn of_run_end(state: RunState) -> Option<Self> {
        match state {
            RunState::Running => None,
            RunState::Completed => Some(EventType::WorkflowRunCompleted),
            RunState::Failed => Some(EventType::WorkflowRunFailed),
            RunState::Cancelled => Some(EventType::WorkflowRunCancelled),
        }
    }

    /// What a batch's end is; `None` where the state is none.
    pub(crate) fn of_batch_end(state: BatchState) -> Option<Self> {
        match state {
            BatchState::Completed => Some(EventType::BatchCompleted),
            BatchState::Failed => Some(EventType::BatchFailed),
            BatchState::Cancelled => Some(EventType::BatchCancelled),
            BatchState::Queued | BatchState::Running => None,
        }
    }
}

impl Subject {
    /// Its word in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Task => "task",
            Subject::Batch => "batch",
            Subject::WorkflowRun => "workflow_run",
        }
    }

    /// Where things of its kind are, and what each of them came to.
    const fn paths(self) -> (&'static str, &'static str) {
        match self {
            Subject::Task => ("/v1/tasks", "/result"),
            Subject::Batch => ("/v1/batches", "/results"),
            Subject::WorkflowRun => ("/v1/workflow-runs", ""),
        }
    }
}

impl std::str::FromStr for EventType {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = EventType::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            let known = EventType::ALL.map(EventType::as_str).join(", ");
            format!("unknown event {text:?}: use one of {known}")
        })
    }
}

/// Always three digits after the second, so that texts sort as the times do.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// An event as it is told: the envelope of Standard Webhooks with an id.
#[derive(Serialize)]
struct Body<'a, D> {
    id: EventId,
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: &'a str,
    data: D,
}

#[derive(Serialize)]
struct EndData<'a> {
    id: Uuid,
    name: Option<&'a str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<Lane>,
    error: Option<ErrorData<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    items: Option<ItemCounts>,
    completed_at: &'a str,
    links: Links,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    kind: &'a str,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    itself: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<String>,
}

/// An event's JSON; `data` is what it is about.
pub(crate) fn body<D: Serialize>(id: EventId, kind: &str, at: OffsetDateTime, data: D) -> Result<String, StoreError> {
    let timestamp = &text_of(at);
    serde_json::to_string(&Body { id, kind, timestamp, data }).map_err(|error| StoreError::corrupt(error.to_string()))
}

fn text_of(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(TIME).unwrap_or_default()
}

impl TenantEvent {
    /// The event as JSON, in the same words for streams and webhooks. It leaves out what may be large or secret: who
    /// wants more asks for the task, batch or run.
    pub fn body(&self) -> Result<String, StoreError> {
        let subject = self.kind.subject();
        let (place, outcome) = subject.paths();
        let itself = format!("{place}/{}", self.subject);
        let outcome = format!("{itself}{outcome}");
        let (result, results) = match subject {
            Subject::Task => (Some(outcome), None),
            Subject::Batch => (None, Some(outcome)),
            Subject::WorkflowRun => (None, None),
        };
        let data = EndData {
            id: self.subject,
            name: self.name.as_deref(),
            state: self.kind.state(),
            lane: (subject != Subject::WorkflowRun).then_some(self.lane),
            error: self.error_kind.as_deref().map(|kind| ErrorData { kind }),
            items: self.items,
            completed_at: &text_of(self.at),
            links: Links { itself, result, results },
        };
        body(self.id, self.kind.as_str(), self.at, data)
    }
}

impl Store {
    /// The tenant's events after the number `after`, oldest first, at most [`TENANT_EVENTS_PAGE_MAX`]. Those older than
    /// [`TENANT_EVENTS_KEPT_FOR`] may be gone.
    pub async fn tenant_events(&self, tenant: TenantId, after: u64) -> Result<Vec<TenantEvent>, StoreError> {
        let sql = "SELECT seq, id, at_ms, kind, task, name, lane, error_kind, items FROM tenant_events \
                   WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?";
        let rows = query(sql)
            .bind(tenant)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(TENANT_EVENTS_PAGE_MAX)
            .fetch_all(&mut self.reader(tenant).await?)
            .await?;
        rows.iter().map(read_event).collect()
    }

    /// The number of the tenant's newest event; 0 where there was none.
    pub async fn last_tenant_event(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let sql = "SELECT last FROM tenant_event_numbers WHERE tenant = ?";
        let row = query(sql).bind(tenant).fetch_optional(&mut self.reader(tenant).await?).await?;
        row.map_or(Ok(0), |row| row.count(0))
    }

    /// Be told of the tenant's events. Subscribe before reading, and nothing is missed.
    pub fn watch_tenant(&self, tenant: TenantId) -> TenantWatch {
        self.shared().tenants().watch(tenant)
    }
}

fn read_event(row: &Row) -> Result<TenantEvent, StoreError> {
    let corrupt = |error: serde_json::Error| StoreError::corrupt(error.to_string());
    Ok(TenantEvent {
        seq: row.count(0)?,
        id: EventId(row.id(1)?),
        at: from_unix_ms(row.try_get(2)?),
        kind: row.try_get::<&str>(3)?.parse().map_err(StoreError::corrupt)?,
        subject: row.id(4)?,
        name: row.try_get(5)?,
        lane: row.try_get::<&str>(6)?.parse().map_err(StoreError::corrupt)?,
        error_kind: row.try_get(7)?,
        items: row.try_get::<Option<&str>>(8)?.map(serde_json::from_str).transpose().map_err(corrupt)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    fn of_batch(kind: EventType) -> TenantEvent {
        let items = ItemCounts { total: 3, completed: 1, failed: 2, cancelled: 0 };
        TenantEvent {
            seq: 7,
            id: EventId(Uuid::from_u128(1)),
            at: from_unix_ms(1_800_000_000_120),
            kind,
            subject: Uuid::from_u128(2),
            name: None,
            lane: Lane::Default,
            error_kind: None,
            items: Some(items),
        }
    }

    #[test]
    fn an_event_says_little_and_always_the_same() {
        let event = TenantEvent {
            seq: 7,
            id: EventId(Uuid::from_u128(1)),
            at: from_unix_ms(1_800_000_000_120),
            kind: EventType::TaskFailed,
            subject: Uuid::from_u128(2),
            name: Some("beam \"A\"\n".to_owned()),
            lane: Lane::LongRunning,
            error_kind: Some("timeout".to_owned()),
            items: None,
        };
        assert_eq!(
            event.body().unwrap(),
            "{\"id\":\"00000000-0000-0000-0000-000000000001\",\"type\":\"task.failed\",\
             \"timestamp\":\"2027-01-15T08:00:00.120Z\",\"data\":{\"id\":\"00000000-0000-0000-0000-000000000002\",\
             \"name\":\"beam \\\"A\\\"\\n\",\"state\":\"failed\",\"lane\":\"long_running\",\"error\":{\"kind\":\"timeout\"},\
             \"completed_at\":\"2027-01-15T08:00:00.120Z\",\"links\":{\
             \"self\":\"/v1/tasks/00000000-0000-0000-0000-000000000002\",\
             \"result\":\"/v1/tasks/00000000-0000-0000-0000-000000000002/result\"}}}"
        );
        let other = TenantEvent { seq: 8, ..event.clone() };
        assert_eq!(other.body().unwrap(), event.body().unwrap());
    }

    #[test]
    fn a_batchs_event_counts_its_items_and_a_runs_has_no_lane() {
        assert_eq!(
            of_batch(EventType::BatchFailed).body().unwrap(),
            "{\"id\":\"00000000-0000-0000-0000-000000000001\",\"type\":\"batch.failed\",\
             \"timestamp\":\"2027-01-15T08:00:00.120Z\",\"data\":{\"id\":\"00000000-0000-0000-0000-000000000002\",\
             \"name\":null,\"state\":\"failed\",\"lane\":\"default\",\"error\":null,\"total\":3,\"completed\":1,\"failed\":2,\
             \"cancelled\":0,\"completed_at\":\"2027-01-15T08:00:00.120Z\",\"links\":{\
             \"self\":\"/v1/batches/00000000-0000-0000-0000-000000000002\",\
             \"results\":\"/v1/batches/00000000-0000-0000-0000-000000000002/results\"}}}"
        );
        let run = TenantEvent { items: None, ..of_batch(EventType::WorkflowRunCompleted) };
        assert_eq!(
            run.body().unwrap(),
            "{\"id\":\"00000000-0000-0000-0000-000000000001\",\"type\":\"workflow_run.completed\",\
             \"timestamp\":\"2027-01-15T08:00:00.120Z\",\"data\":{\"id\":\"00000000-0000-0000-0000-000000000002\",\
             \"name\":null,\"state\":\"completed\",\"error\":null,\"completed_at\":\"2027-01-15T08:00:00.120Z\",\"links\":{\
             \"self\":\"/v1/workflow-runs/00000000-0000-0000-0000-000000000002\"}}}"
        );
    }

    #[test]
    fn every_end_is_an_event_and_nothing_else_is() {
        for state in TaskState::ALL {
            assert_eq!(EventType::of_end(state).is_some(), state.is_terminal(), "{state}");
            assert!(EventType::of_end(state).is_none_or(|kind| kind.state() == state.as_str()));
        }
        for state in RunState::ALL {
            assert_eq!(EventType::of_run_end(state).is_some(), state.is_terminal(), "{state}");
            assert!(EventType::of_run_end(state).is_none_or(|kind| kind.state() == state.as_str()));
        }
        for state in BatchState::ALL {
            assert_eq!(EventType::of_batch_end(state).is_some(), state.is_terminal(), "{state}");
            assert!(EventType::of_batch_end(state).is_none_or(|kind| kind.state() == state.as_str()));
        }
        for kind in EventType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("task.started".parse::<EventType>().is_err());
    }
}
