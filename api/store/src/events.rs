//! What a tenant is told: how its tasks and workflow runs ended, numbered in the order of the commits. A reader follows live, or goes on
//! from the last number that it saw.

use crate::clock::from_unix_ms;
use crate::sql::{Row, query};
use crate::{RunState, Store, StoreError};
use mecapy_model::{EventId, Lane, RunId, TaskId, TaskState, TenantId};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use tokio::sync::watch;
use uuid::Uuid;

/// How many events one page holds at most.
pub const TENANT_EVENTS_PAGE_MAX: u32 = 1_000;
/// How long events are kept.
pub const TENANT_EVENTS_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    TaskCompleted,
    TaskFailed,
    TaskCancelled,
    WorkflowRunCompleted,
    WorkflowRunFailed,
    WorkflowRunCancelled,
}

/// Something that happened to a tenant's task or workflow run. All of it is written once, so it is told in the same words each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantEvent {
    /// The tenant's first event has 1, and each has one more than the one before.
    pub seq: u64,
    pub id: EventId,
    pub at: OffsetDateTime,
    pub kind: EventType,
    pub about: About,
    /// What it is about is called so.
    pub name: Option<String>,
    /// The kind of the error that it ended with.
    pub error_kind: Option<String>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Task { id: TaskId, lane: Lane },
    WorkflowRun { id: RunId },
}

impl About {
    /// The noun, as streams name their events.
    pub const fn as_str(self) -> &'static str {
        match self {
            About::Task { .. } => "task",
            About::WorkflowRun { .. } => "workflow_run",
        }
    }

    pub(crate) fn id(self) -> Uuid {
        match self {
            About::Task { id, .. } => id.0,
            About::WorkflowRun { id } => id.0,
        }
    }
}

/// A run that has ended, as its tenant is told.
#[derive(Debug)]
pub(crate) struct RunNews {
    pub(crate) id: RunId,
    pub(crate) name: Option<String>,
    pub(crate) state: RunState,
    pub(crate) error_kind: Option<String>,
}

impl EventType {
    pub const ALL: [EventType; 6] = [
        EventType::TaskCompleted,
        EventType::TaskFailed,
        EventType::TaskCancelled,
        EventType::WorkflowRunCompleted,
        EventType::WorkflowRunFailed,
        EventType::WorkflowRunCancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EventType::TaskCompleted => "task.completed",
            EventType::TaskFailed => "task.failed",
            EventType::TaskCancelled => "task.cancelled",
            EventType::WorkflowRunCompleted => "workflow_run.completed",
            EventType::WorkflowRunFailed => "workflow_run.failed",
            EventType::WorkflowRunCancelled => "workflow_run.cancelled",
        }
    }

    const fn state(self) -> TaskState {
        match self {
            EventType::TaskCompleted | EventType::WorkflowRunCompleted => TaskState::Completed,
            EventType::TaskFailed | EventType::WorkflowRunFailed => TaskState::Failed,
            EventType::TaskCancelled | EventType::WorkflowRunCancelled => TaskState::Cancelled,
        }
    }

    /// What a task's end is; `None` where the state is none.
    pub(crate) const fn of_end(state: TaskState) -> Option<Self> {
        match state {
            TaskState::Queued | TaskState::Running => None,
            TaskState::Completed => Some(EventType::TaskCompleted),
            TaskState::Failed => Some(EventType::TaskFailed),
            TaskState::Cancelled => Some(EventType::TaskCancelled),
        }
    }

    /// The same of a workflow run.
    pub(crate) const fn of_run_end(state: RunState) -> Option<Self> {
        match state {
            RunState::Running => None,
            RunState::Completed => Some(EventType::WorkflowRunCompleted),
            RunState::Failed => Some(EventType::WorkflowRunFailed),
            RunState::Cancelled => Some(EventType::WorkflowRunCancelled),
        }
    }
}

impl std::str::FromStr for EventType {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = EventType::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            let all = EventType::ALL.map(EventType::as_str).join(", ");
            format!("unknown event {text:?}: use one of {all}")
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
struct TaskData<'a> {
    id: TaskId,
    name: Option<&'a str>,
    state: TaskState,
    lane: Lane,
    error: Option<ErrorData<'a>>,
    completed_at: &'a str,
    links: Links,
}

#[derive(Serialize)]
struct RunData<'a> {
    id: RunId,
    name: Option<&'a str>,
    state: TaskState,
    error: Option<ErrorData<'a>>,
    completed_at: &'a str,
    links: RunLinks,
}

#[derive(Serialize)]
struct RunLinks {
    #[serde(rename = "self")]
    run: String,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    kind: &'a str,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    task: String,
    result: String,
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
    /// wants more asks for the task or the run.
    pub fn body(&self) -> Result<String, StoreError> {
        let (name, state) = (self.name.as_deref(), self.kind.state());
        let error = self.error_kind.as_deref().map(|kind| ErrorData { kind });
        let completed_at = &text_of(self.at);
        match self.about {
            About::Task { id, lane } => {
                let task = format!("/v1/tasks/{id}");
                let links = Links { result: format!("{task}/result"), task };
                let data = TaskData { id, name, state, lane, error, completed_at, links };
                body(self.id, self.kind.as_str(), self.at, data)
            }
            About::WorkflowRun { id } => {
                let links = RunLinks { run: format!("/v1/workflow-runs/{id}") };
                let data = RunData { id, name, state, error, completed_at, links };
                body(self.id, self.kind.as_str(), self.at, data)
            }
        }
    }
}

impl Store {
    /// The tenant's events after the number `after`, oldest first, at most [`TENANT_EVENTS_PAGE_MAX`]. Those older than
    /// [`TENANT_EVENTS_KEPT_FOR`] may be gone.
    pub async fn tenant_events(&self, tenant: TenantId, after: u64) -> Result<Vec<TenantEvent>, StoreError> {
        let sql = "SELECT seq, id, at_ms, kind, task, name, lane, error_kind FROM tenant_events \
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
    let kind: EventType = row.try_get::<&str>(3)?.parse().map_err(StoreError::corrupt)?;
    let id = row.id(4)?;
    let about = match kind {
        EventType::TaskCompleted | EventType::TaskFailed | EventType::TaskCancelled => {
            About::Task { id: TaskId(id), lane: row.try_get::<&str>(6)?.parse().map_err(StoreError::corrupt)? }
        }
        EventType::WorkflowRunCompleted | EventType::WorkflowRunFailed | EventType::WorkflowRunCancelled => {
            About::WorkflowRun { id: RunId(id) }
        }
    };
    Ok(TenantEvent {
        seq: row.count(0)?,
        id: EventId(row.id(1)?),
        at: from_unix_ms(row.try_get(2)?),
        kind,
        about,
        name: row.try_get(5)?,
        error_kind: row.try_get(7)?,
    })
}

/// The newest number of each tenant that somebody follows, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct TenantFollowers(Arc<Mutex<HashMap<TenantId, watch::Sender<u64>>>>);

impl TenantFollowers {
    fn watch(&self, tenant: TenantId) -> TenantWatch {
        let newest = self.lock().entry(tenant).or_insert_with(|| watch::Sender::new(0)).subscribe();
        TenantWatch { tenant, newest, followers: self.clone() }
    }

    /// There are events up to `seq`.
    pub(crate) fn tell(&self, tenant: TenantId, seq: u64) {
        if let Some(sender) = self.lock().get(&tenant) {
            sender.send_if_modified(|newest| {
                let more = seq > *newest;
                *newest = seq.max(*newest);
                more
            });
        }
    }

    pub(crate) fn followed(&self) -> Vec<TenantId> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, watch::Sender<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// News of one tenant. The last one for a tenant frees what the store keeps for it.
#[derive(Debug)]
pub struct TenantWatch {
    tenant: TenantId,
    newest: watch::Receiver<u64>,
    followers: TenantFollowers,
}

impl TenantWatch {
    /// Returns after a commit that told the tenant something, or at once where one did since the last call (or since
    /// the watch was made). Several may count as one.
    pub async fn changed(&mut self) {
        if self.newest.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for TenantWatch {
    fn drop(&mut self) {
        let mut followers = self.followers.lock();
        // This one still counts.
        if followers.get(&self.tenant).is_some_and(|sender| sender.receiver_count() <= 1) {
            followers.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    #[test]
    fn an_event_says_little_and_always_the_same() {
        let event = TenantEvent {
            seq: 7,
            id: EventId(Uuid::from_u128(1)),
            at: from_unix_ms(1_800_000_000_120),
            kind: EventType::TaskFailed,
            about: About::Task { id: TaskId(Uuid::from_u128(2)), lane: Lane::LongRunning },
            name: Some("beam \"A\"\n".to_owned()),
            error_kind: Some("timeout".to_owned()),
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
    fn an_event_of_a_run_says_where_the_run_is() {
        let event = TenantEvent {
            seq: 7,
            id: EventId(Uuid::from_u128(1)),
            at: from_unix_ms(1_800_000_000_120),
            kind: EventType::WorkflowRunCompleted,
            about: About::WorkflowRun { id: RunId(Uuid::from_u128(2)) },
            name: Some("truss".to_owned()),
            error_kind: None,
        };
        assert_eq!(
            event.body().unwrap(),
            "{\"id\":\"00000000-0000-0000-0000-000000000001\",\"type\":\"workflow_run.completed\",\
             \"timestamp\":\"2027-01-15T08:00:00.120Z\",\"data\":{\"id\":\"00000000-0000-0000-0000-000000000002\",\
             \"name\":\"truss\",\"state\":\"completed\",\"error\":null,\
             \"completed_at\":\"2027-01-15T08:00:00.120Z\",\"links\":{\
             \"self\":\"/v1/workflow-runs/00000000-0000-0000-0000-000000000002\"}}}"
        );
    }

    #[test]
    fn every_end_is_an_event_and_nothing_else_is() {
        for state in TaskState::ALL {
            assert_eq!(EventType::of_end(state).is_some(), state.is_terminal(), "{state}");
        }
        for kind in EventType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("task.started".parse::<EventType>().is_err());
    }

    #[tokio::test]
    async fn followers_hear_of_what_is_new_and_the_last_one_leaves_nothing_behind() {
        let followers = TenantFollowers::default();
        followers.tell(tenant(1), 5);
        let (mut first, second) = (followers.watch(tenant(1)), followers.watch(tenant(1)));
        let is_told = async |watch: &mut TenantWatch| {
            tokio::time::timeout(Duration::from_millis(20), watch.changed()).await.is_ok()
        };
        assert!(!is_told(&mut first).await);
        followers.tell(tenant(1), 6);
        followers.tell(tenant(2), 7);
        assert!(is_told(&mut first).await);
        followers.tell(tenant(1), 6);
        followers.tell(tenant(1), 5);
        assert!(!is_told(&mut first).await);
        drop(first);
        assert_eq!(followers.followed(), [tenant(1)]);
        drop(second);
        assert!(followers.followed().is_empty());
    }
}
