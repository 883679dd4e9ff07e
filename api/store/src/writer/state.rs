//! The writer's connection and what it keeps in memory: counts of live tasks, tenants, and what to signal after the
//! commit.

use super::batch::Batch;
use super::give_back::LostAttempt;
use crate::clock::{millis, unix_ms};
use crate::reading::uuid_of;
use crate::shared::{Change, Group, Place, Shared};
use crate::{Clock, Recovered, StoreError, StoreOptions};
use mecapy_model::{Code, Lane, Task, TaskId, TenantId};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Connection, Executor, Row, Sqlite};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How much of tasks just accepted is kept, in bytes of code, inputs and warnings.
const FRESH_BYTES_MAX: usize = 16 << 20;

/// Tasks just accepted, by number.
#[derive(Default)]
pub(super) struct Fresh {
    tasks: HashMap<i64, Task>,
    bytes: usize,
}

impl Fresh {
    /// Keeps a task, if there is room.
    pub(super) fn keep(&mut self, no: i64, task: Task) {
        let bytes = weight(&task);
        if self.bytes + bytes <= FRESH_BYTES_MAX {
            self.bytes += bytes;
            self.tasks.insert(no, task);
        }
    }

    /// Takes a task out; `None` where it is not kept.
    pub(super) fn take(&mut self, no: i64) -> Option<Task> {
        let task = self.tasks.remove(&no)?;
        self.bytes = self.bytes.saturating_sub(weight(&task));
        Some(task)
    }
}

/// The bytes of a task's code, inputs and warnings.
pub(super) fn weight(task: &Task) -> usize {
    let code = match &task.code {
        Code::Python { source, .. } => source.len(),
        Code::Wasm { .. } => 0,
    };
    let warnings: usize = task.warnings.iter().map(|warning| size_of_val(warning) + warning.message.len()).sum();
    code + task.inputs.get().len() + warnings
}

/// A query ready to run.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// See the module.
pub(crate) struct Writer {
    pub(crate) conn: SqliteConnection,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: Arc<StoreOptions>,
    /// The transaction's wall time, Unix milliseconds. Never falls within a process, so that a clock which is set back
    /// doesn't hide what is queued.
    pub(crate) now_ms: i64,
    pub(super) next_no: i64,
    /// Tenant → whether it may submit and run.
    tenants: HashMap<TenantId, bool>,
    in_memory_is_stale: bool,
    changes: Vec<(TaskId, Change)>,
    /// Tasks that were accepted and not touched since, by number: a claim need not read them.
    fresh: Fresh,
    woken: BTreeSet<Lane>,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
}

/// Why a batch was not committed.
pub(super) enum Failure {
    /// The transaction could not begin: none of its calls is at fault, and none would fare better alone.
    Beginning(StoreError),
    Within(StoreError),
}

impl Writer {
    /// Takes over a connection to a database of this program's schema.
    pub(crate) async fn new(
        conn: SqliteConnection,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        options: Arc<StoreOptions>,
    ) -> Result<Self, StoreError> {
        let now_ms = unix_ms(clock.now());
        let mut writer = Self {
            conn,
            shared,
            clock,
            options,
            now_ms,
            next_no: 0,
            tenants: HashMap::new(),
            in_memory_is_stale: true,
            changes: Vec::new(),
            fresh: Fresh::default(),
            woken: BTreeSet::new(),
            after_commit: Vec::new(),
        };
        writer.reload().await?;
        // A clock that was set back while no server ran must not hide what waits without a time of its own.
        let sql = "UPDATE tasks SET due_ms = ?1 WHERE state = 'queued' AND due_ms > ?1 AND timed = 0";
        writer.run(sqlx::query(sql).bind(now_ms)).await?;
        Ok(writer)
    }

    /// At the start: takes back what an earlier process was running, in a transaction of its own.
    pub(crate) async fn recover(&mut self) -> Result<(Recovered, Vec<LostAttempt>), StoreError> {
        self.conn.execute("BEGIN IMMEDIATE").await?;
        // An error drops the connection, and with it the transaction.
        let recovered = self.requeue_predecessors().await?;
        self.conn.execute("COMMIT").await?;
        self.forget_signals();
        Ok(recovered)
    }

    /// Runs a batch in a transaction and commits it; after an error nothing of it has happened.
    pub(super) async fn transact(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        self.begin().await.map_err(Failure::Beginning)?;
        let outcome = match batch.run(self).await {
            Ok(()) => self.conn.execute("COMMIT").await.map(drop).map_err(StoreError::from),
            Err(error) => Err(error),
        };
        if outcome.is_ok() {
            self.signal();
        } else {
            self.in_memory_is_stale = true;
            // An error may have ended the transaction already; then there is nothing to roll back.
            let _ = self.conn.execute("ROLLBACK").await;
        }
        outcome.map_err(Failure::Within)
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.forget_signals();
        self.now_ms = self.now_ms.max(unix_ms(self.clock.now()));
        if self.in_memory_is_stale {
            self.reload().await?;
        }
        self.conn.execute("BEGIN IMMEDIATE").await?;
        Ok(())
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.conn.close().await {
            tracing::warn!(error = %error, "the database was not closed cleanly; its log is kept and read at the next start");
        }
    }

    /// Executes a statement; answers how many rows it changed.
    pub(crate) async fn run(&mut self, query: Query<'_>) -> Result<u64, StoreError> {
        Ok(query.execute(&mut self.conn).await?.rows_affected())
    }

    /// Milliseconds on the clock that leases run on.
    pub(super) fn lease_now_ms(&self) -> i64 {
        millis(self.clock.monotonic())
    }

    pub(super) fn is_enabled(&self, tenant: TenantId) -> bool {
        self.tenants.get(&tenant).copied().unwrap_or(false)
    }

    /// After a write to the tenants: reads them and the counts again, within the transaction.
    pub(crate) async fn tenants_changed(&mut self) -> Result<(), StoreError> {
        self.reload().await
    }

    /// Where a task of the tenant waits.
    pub(super) fn place(&self, lane: Lane, priority: u8, tenant: TenantId) -> Place {
        let rank = match lane {
            Lane::Default => i64::from(9 - priority.min(9)),
            Lane::HighPriority | Lane::LongRunning => 0,
        };
        let group = if self.is_enabled(tenant) { Group::of_lane(lane, tenant) } else { Group::Held };
        Place { lane, rank, group }
    }

    /// To be signalled after the commit.
    pub(crate) fn changed(&mut self, task: TaskId, change: Change) {
        self.changes.push((task, change));
    }

    pub(super) fn fresh(&mut self) -> &mut Fresh {
        &mut self.fresh
    }

    /// To be signalled after the commit: a lane holds something new.
    pub(crate) fn wake(&mut self, lane: Lane) {
        self.woken.insert(lane);
    }

    /// To be done after the commit and before its answer, whether or not anybody still waits for that.
    pub(crate) fn after_commit(&mut self, work: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(work));
    }

    fn forget_signals(&mut self) {
        self.after_commit.clear();
        self.changes.clear();
        self.woken.clear();
    }

    fn signal(&mut self) {
        self.after_commit.drain(..).for_each(|work| work());
        self.shared.publish(&mut self.changes);
        for lane in &self.woken {
            self.shared.wake(*lane);
        }
    }

    /// Reads tenants, the next number and the counts of live tasks from the rows.
    async fn reload(&mut self) -> Result<(), StoreError> {
        self.fresh = Fresh::default();
        let highest = "SELECT max(no) FROM (SELECT max(no) AS no FROM tasks UNION ALL SELECT max(no) FROM task_usage)";
        let row = sqlx::query(highest).fetch_one(&mut self.conn).await?;
        self.next_no = self.next_no.max(row.try_get::<Option<i64>, _>(0)?.unwrap_or(0) + 1);

        self.tenants.clear();
        for row in sqlx::query("SELECT id, disabled FROM tenants").fetch_all(&mut self.conn).await? {
            let (id, disabled): (&[u8], bool) = (row.try_get(0)?, row.try_get(1)?);
            self.tenants.insert(TenantId(uuid_of(id)?), !disabled);
        }

        let queued = "SELECT lane, queue_rank, queue_group, tenant, count(*) FROM tasks WHERE state = 'queued' \
                      GROUP BY lane, queue_rank, queue_group, tenant";
        let queued = sqlx::query(queued).fetch_all(&mut self.conn).await?;
        let running = "SELECT lane, tenant, count(*) FROM tasks WHERE state = 'running' GROUP BY lane, tenant";
        let running = sqlx::query(running).fetch_all(&mut self.conn).await?;
        let mut counts = self.shared.counts();
        counts.clear();
        for row in queued {
            let lane = row.try_get::<&str, _>(0)?.parse().map_err(StoreError::corrupt)?;
            let tenant = TenantId(uuid_of(row.try_get(3)?)?);
            let group = match row.try_get::<Option<&[u8]>, _>(2)? {
                None => Group::Held,
                Some([]) => Group::Shared,
                Some(bytes) => Group::Tenant(TenantId(uuid_of(bytes)?)),
            };
            let tasks = u64::try_from(row.try_get::<i64, _>(4)?).unwrap_or(0);
            counts.queue_many(Place { lane, rank: row.try_get(1)?, group }, tenant, i64::MIN, tasks);
        }
        for row in running {
            let lane = row.try_get::<&str, _>(0)?.parse().map_err(StoreError::corrupt)?;
            let tasks = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0);
            counts.add_running(lane, TenantId(uuid_of(row.try_get(1)?)?), tasks);
        }
        drop(counts);
        self.in_memory_is_stale = false;
        Ok(())
    }
}
