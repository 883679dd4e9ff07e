//! The processes that run tasks: each says so every few seconds, and is lost when it has said nothing for a while.
//! Nothing relies on it: leases alone decide who runs what.

use crate::clock::{from_unix_ms, millis, unix_ms};
use crate::sql::{Row, query};
use crate::writer::Writer;
use crate::{Store, StoreError};
use mecapy_model::{COMPILE_ROOM, Executor, Lane, Room, Task};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A worker that was silent for so long has missed several announcements.
const LOST_AFTER: Duration = Duration::from_secs(15);
/// So long a worker is shown after its last announcement.
const SHOWN_FOR: Duration = Duration::from_secs(30);
const KEPT_FOR: Duration = Duration::from_secs(3_600);

/// What a worker is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerKind {
    /// A server that runs tasks too.
    Embedded,
    /// A process that does nothing else.
    Alone,
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    pub id: Uuid,
    pub kind: WorkerKind,
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub lanes: Vec<Lane>,
    pub executor: Executor,
    /// What it has for containers in all; nothing where it runs sandboxes.
    pub total: Room,
    /// What of that is free.
    pub free: Room,
    /// The solvers that it can run, each as `name@version`.
    pub solvers: Vec<String>,
    /// Tasks that it may run at once, over all its lanes.
    pub concurrency: u32,
    /// Tasks that it has claimed and not finished.
    pub running: u32,
    /// It takes nothing more.
    pub draining: bool,
    pub started_at: OffsetDateTime,
}

/// A worker, as it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenWorker {
    pub row: WorkerRow,
    pub seen_at: OffsetDateTime,
    /// It missed several announcements.
    pub is_lost: bool,
}

impl SeenWorker {
    /// Whether it is there and takes tasks.
    pub fn is_at_work(&self) -> bool {
        !self.is_lost && !self.row.draining
    }

    /// Whether it takes a lane's tasks for containers.
    pub fn serves_containers(&self, lane: Lane) -> bool {
        self.is_at_work() && self.row.executor == Executor::Container && self.row.lanes.contains(&lane)
    }

    /// Whether it can compile sources of tasks of this lane: `compiler` is theirs, as `language@version`.
    pub fn can_compile(&self, lane: Lane, compiler: &str) -> bool {
        self.serves_containers(lane)
            && self.row.solvers.iter().any(|known| known == compiler)
            && self.row.total.holds(COMPILE_ROOM)
    }

    /// Whether it can run a solver's task, or compile its source, now or once there is room: `version` is the solver's or
    /// the compiler's, as `name@version`.
    pub fn can_run(&self, task: &Task, version: &str) -> bool {
        self.serves_containers(task.lane)
            && self.row.solvers.iter().any(|known| known == version)
            && self.row.total.holds(task.code.room(&task.limits))
    }
}

impl WorkerKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            WorkerKind::Embedded => "embedded",
            WorkerKind::Alone => "worker",
        }
    }
}

impl std::str::FromStr for WorkerKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = [WorkerKind::Embedded, WorkerKind::Alone].into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("unknown kind of worker {text:?}"))
    }
}

impl Store {
    /// Writes down that a worker is there, and how it is. Call every 5 s or so.
    pub async fn announce_worker(&self, row: WorkerRow) -> Result<(), StoreError> {
        let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
        let lanes = serde_json::to_string(&row.lanes).map_err(json)?;
        let solvers = serde_json::to_string(&row.solvers).map_err(json)?;
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.write_rarely(async move |writer| {
            let sql = "INSERT INTO workers (id, kind, host, pid, version, lanes, concurrency, running, draining, \
                       started_ms, seen_ms, executor, cpus_total, cpus_free, memory_bytes_total, memory_bytes_free, \
                       solvers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE \
                       SET concurrency = excluded.concurrency, running = excluded.running, \
                       draining = excluded.draining, seen_ms = excluded.seen_ms, \
                       cpus_total = excluded.cpus_total, cpus_free = excluded.cpus_free, \
                       memory_bytes_total = excluded.memory_bytes_total, \
                       memory_bytes_free = excluded.memory_bytes_free, solvers = excluded.solvers";
            let query = query(sql)
                .bind(row.id)
                .bind(row.kind.as_str())
                .bind(row.host.as_str())
                .bind(row.pid)
                .bind(row.version.as_str())
                .bind(lanes.as_str())
                .bind(row.concurrency)
                .bind(row.running)
                .bind(row.draining)
                .bind(unix_ms(row.started_at))
                .bind(writer.now_ms)
                .bind(row.executor.as_str())
                .bind(row.total.cpus)
                .bind(row.free.cpus)
                .bind(bytes(row.total.memory_bytes))
                .bind(bytes(row.free.memory_bytes))
                .bind(solvers.as_str());
            writer.run(query).await.map(drop)
        })
        .await
    }

    /// The worker ends.
    pub async fn withdraw_worker(&self, id: Uuid) -> Result<(), StoreError> {
        self.write_rarely(async move |writer| {
            writer.run(query("DELETE FROM workers WHERE id = ?").bind(id)).await.map(drop)
        })
        .await
    }

    /// The workers that were heard of within half a minute, oldest first.
    pub async fn workers(&self) -> Result<Vec<SeenWorker>, StoreError> {
        let now_ms = self.now_ms();
        let sql = "SELECT id, kind, host, pid, version, lanes, concurrency, running, draining, started_ms, seen_ms, \
                   executor, cpus_total, cpus_free, memory_bytes_total, memory_bytes_free, solvers FROM workers WHERE seen_ms > ? ORDER BY started_ms, id";
        let query = query(sql).bind(now_ms.saturating_sub(millis(SHOWN_FOR)));
        query.fetch_all(self.readers()).await?.iter().map(|row| read_worker(row, now_ms)).collect()
    }
}

impl Writer {
    /// Deletes the rows of workers that nobody has heard of for an hour.
    pub(crate) async fn expire_workers(&mut self) -> Result<u64, StoreError> {
        let before = self.now_ms.saturating_sub(millis(KEPT_FOR));
        self.run(query("DELETE FROM workers WHERE seen_ms < ?").bind(before)).await
    }
}

fn read_worker(row: &Row, now_ms: i64) -> Result<SeenWorker, StoreError> {
    let number = |at: usize| Ok::<_, StoreError>(u32::try_from(row.count(at)?).unwrap_or(u32::MAX));
    let lanes: &str = row.try_get(5)?;
    let solvers: &str = row.try_get(16)?;
    let seen_ms: i64 = row.try_get(10)?;
    Ok(SeenWorker {
        row: WorkerRow {
            id: row.id(0)?,
            kind: row.try_get::<&str>(1)?.parse().map_err(StoreError::corrupt)?,
            host: row.try_get(2)?,
            pid: number(3)?,
            version: row.try_get(4)?,
            lanes: serde_json::from_str(lanes).map_err(|error| StoreError::corrupt(error.to_string()))?,
            executor: row.try_get::<&str>(11)?.parse().map_err(StoreError::corrupt)?,
            total: Room { cpus: number(12)?, memory_bytes: row.count(14)? },
            free: Room { cpus: number(13)?, memory_bytes: row.count(15)? },
            solvers: serde_json::from_str(solvers).map_err(|error| StoreError::corrupt(error.to_string()))?,
            concurrency: number(6)?,
            running: number(7)?,
            draining: row.flag(8)?,
            started_at: from_unix_ms(row.try_get(9)?),
        },
        seen_at: from_unix_ms(seen_ms),
        is_lost: now_ms.saturating_sub(seen_ms) > millis(LOST_AFTER),
    })
}
