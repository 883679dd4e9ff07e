//! Following one task: its events in order, its log, and being told when there is more.

use crate::clock::from_unix_ms;
use crate::reading::bytes_of;
use crate::shared::TaskWatch;
use crate::sql::{Row, query};
use crate::{ObjectKey, Store, StoreError, StoredText};
use mecapy_model::{Digest, LogStream, Progress, TaskId, TaskState, TenantId};
use time::OffsetDateTime;

/// How many events or log entries one page holds at most.
pub const EVENTS_PAGE_MAX: u32 = 1_000;

/// Said in the place of a piece of a log whose object is gone or not what was stored.
const LOG_LOST: &str = "[this piece of the log is lost]\n";

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskEvent {
    /// Rises within a task; may skip.
    pub id: u64,
    pub at: OffsetDateTime,
    pub kind: EventKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    State {
        state: TaskState,
        attempt: u32,
    },
    /// The latest progress; earlier ones are not kept.
    Progress(Progress),
    Log {
        stream: LogStream,
        text: String,
    },
    /// Always the last.
    Done {
        state: TaskState,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<TaskEvent>,
    /// The task's `Done` event is in this page or was before it: nothing will follow.
    pub done: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    pub entries: Vec<LogEntry>,
    /// What to ask for next.
    pub next_index: u64,
    /// The task has ended and this page reaches the end of its log.
    pub done: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Rises within a task; may skip.
    pub index: u64,
    pub at: OffsetDateTime,
    pub stream: LogStream,
    pub text: String,
}

impl Store {
    /// Be told of commits that touch the task. Subscribe before reading, and nothing is missed.
    pub fn watch(&self, tenant: TenantId, id: TaskId) -> TaskWatch {
        self.shared().watch(tenant, id)
    }

    /// Events after the event `after` (0: from the start), at most [`EVENTS_PAGE_MAX`]. `None`: no such task.
    pub async fn events(&self, tenant: TenantId, id: TaskId, after: u64) -> Result<Option<EventPage>, StoreError> {
        let Some(head) = self.task_head(tenant, id).await? else { return Ok(None) };
        let sql = "SELECT seq, at_ms, CAST(0 AS BIGINT), state, attempt, NULL, NULL, NULL, NULL FROM task_events \
                   WHERE no = ?1 AND seq > ?2 AND seq <= ?4 \
                   UNION ALL SELECT seq, at_ms, CAST(1 AS BIGINT), stream, CAST(0 AS BIGINT), text, object_key, \
                   object_bytes, object_sha256 FROM task_logs WHERE no = ?1 AND seq > ?2 AND seq <= ?4 \
                   ORDER BY seq LIMIT ?3";
        let rows = query(sql)
            .bind(head.no)
            .bind(index(after))
            .bind(EVENTS_PAGE_MAX)
            .bind(head.last_seq)
            .fetch_all(&mut self.reader(tenant).await?)
            .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.push(self.read_event(row).await?);
        }
        let whole = rows.len() < EVENTS_PAGE_MAX as usize;
        let end = if whole { u64::MAX } else { events.last().map_or(u64::MAX, |event| event.id) };
        if let Some(progress) = head.progress.filter(|progress| progress.id > after && progress.id <= end) {
            let at = events.partition_point(|event| event.id < progress.id);
            events.insert(at, progress);
        }
        let done = head.state.is_terminal() && whole;
        let last = u64::try_from(head.last_seq).unwrap_or(0);
        if done && last > after {
            events.push(TaskEvent { id: last, at: head.completed_at, kind: EventKind::Done { state: head.state } });
        }
        Ok(Some(EventPage { events, done }))
    }

    /// Log entries from index `since` on, at most [`EVENTS_PAGE_MAX`]. `None`: no such task.
    pub async fn logs(&self, tenant: TenantId, id: TaskId, since: u64) -> Result<Option<LogPage>, StoreError> {
        let Some(head) = self.task_head(tenant, id).await? else { return Ok(None) };
        let sql = "SELECT seq, at_ms, stream, text, object_key, object_bytes, object_sha256 FROM task_logs \
                   WHERE no = ? AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ?";
        let rows = query(sql)
            .bind(head.no)
            .bind(index(since))
            .bind(head.last_seq)
            .bind(EVENTS_PAGE_MAX)
            .fetch_all(&mut self.reader(tenant).await?)
            .await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(LogEntry {
                index: seq(row.try_get(0)?),
                at: from_unix_ms(row.try_get(1)?),
                stream: parse_stream(row.try_get(2)?)?,
                text: self.log_text(&row, 3).await?,
            });
        }
        let whole = entries.len() < EVENTS_PAGE_MAX as usize;
        let next_index = entries.last().map_or(since, |entry| entry.index + 1);
        Ok(Some(LogPage { entries, next_index, done: whole && head.state.is_terminal() }))
    }

    async fn read_event(&self, row: &Row) -> Result<TaskEvent, StoreError> {
        let word: &str = row.try_get(3)?;
        let kind = match row.try_get::<i64>(2)? {
            0 => EventKind::State {
                state: word.parse().map_err(StoreError::corrupt)?,
                attempt: u32::try_from(row.count(4)?).unwrap_or(u32::MAX),
            },
            _ => EventKind::Log { stream: parse_stream(word)?, text: self.log_text(row, 5).await? },
        };
        Ok(TaskEvent { id: seq(row.try_get(0)?), at: from_unix_ms(row.try_get(1)?), kind })
    }

    /// A row's text, which the columns after it may say to be an object.
    async fn log_text(&self, row: &Row, at: usize) -> Result<String, StoreError> {
        let Some(key) = row.try_get::<Option<&str>>(at + 1)? else { return row.try_get(at) };
        let text = StoredText::Object {
            key: ObjectKey::parse(key).map_err(|error| StoreError::corrupt(error.to_string()))?,
            size_bytes: row.count(at + 2)?,
            sha256: Digest(bytes_of(row.try_get(at + 3)?)?),
        };
        match self.objects().load_text(&text).await {
            // The rest of the log, and how the task ended, are worth reading without it.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "follow: a piece of a log is gone");
                Ok(LOG_LOST.to_owned())
            }
            loaded => loaded,
        }
    }

    async fn task_head(&self, tenant: TenantId, id: TaskId) -> Result<Option<Head>, StoreError> {
        let sql = "SELECT no, state, event_seq, completed_ms, progress_seq, progress_ms, progress_fraction, \
                   progress_message FROM tasks WHERE tenant = ? AND id = ?";
        let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.reader(tenant).await?).await?;
        let Some(row) = row else { return Ok(None) };
        let state: &str = row.try_get(1)?;
        let completed_ms: Option<i64> = row.try_get(3)?;
        let progress = match row.try_get::<Option<i64>>(4)? {
            Some(id) => Some(TaskEvent {
                id: seq(id),
                at: from_unix_ms(row.try_get(5)?),
                kind: EventKind::Progress(Progress { fraction: row.try_get(6)?, message: row.try_get(7)? }),
            }),
            None => None,
        };
        Ok(Some(Head {
            no: row.try_get(0)?,
            state: state.parse().map_err(StoreError::corrupt)?,
            last_seq: row.try_get(2)?,
            completed_at: from_unix_ms(completed_ms.unwrap_or(0)),
            progress,
        }))
    }
}

/// What a task's own row says about its events.
struct Head {
    no: i64,
    state: TaskState,
    /// The number of the newest event; of an ended task, that of `Done`. Later rows are left for the next page, so that
    /// one page agrees with one moment.
    last_seq: i64,
    completed_at: OffsetDateTime,
    progress: Option<TaskEvent>,
}

pub(crate) fn stream_name(stream: LogStream) -> &'static str {
    match stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
    }
}

fn parse_stream(text: &str) -> Result<LogStream, StoreError> {
    match text {
        "stdout" => Ok(LogStream::Stdout),
        "stderr" => Ok(LogStream::Stderr),
        other => Err(StoreError::corrupt(format!("log stream {other:?}"))),
    }
}

fn seq(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A client's number as the database holds them; beyond its range there is nothing.
fn index(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
