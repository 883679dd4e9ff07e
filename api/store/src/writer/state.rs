//! The writer's connection and what it keeps in memory: counts of live tasks, tenants, and what to signal after the
//! commit.

use super::batch::Batch;
use super::events::NewEvent;
use super::give_back::LostAttempt;
use super::numbers::Numbers;
use super::only_line;
use super::tally::Tally;
use crate::bus::Hint;
use crate::clock::{millis, unix_ms};
use crate::counts::rank_of;
use crate::pace::{Track, tracks};
use crate::shared::{Change, Group, Place, Shared};
use crate::sql::{Conn, Dialect, Opening, Query, query};
use crate::tenants::{STANDINGS, Standing};
use crate::{Access, Clock, Recovered, StoreError, StoreOptions};
use mecapy_model::{BatchId, Code, Executor, Lane, Task, TaskId, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

/// How long counts are kept that other processes change too.
const COUNTS_KEPT_FOR: Duration = Duration::from_secs(1);
const COUNTS_KEPT_FOR_MAX: Duration = Duration::from_secs(5);
/// Counting may take one in so many parts of the time.
const COUNTS_COST_ONE_IN: u32 = 50;
/// A transaction that takes longer has lost its server; longer than any statement may take there.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(25);
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
        Code::Python { source, .. }
        | Code::C { source, .. }
        | Code::Rust { source, .. }
        | Code::Compile { source, .. } => source.len(),
        Code::Function { function, .. } => function.len(),
        Code::Wasm { .. } | Code::Solver { .. } | Code::Items { .. } => 0,
    };
    let warnings: usize = task.warnings.iter().map(|warning| size_of_val(warning) + warning.message.len()).sum();
    code + task.inputs.get().len() + warnings
}

/// See the module.
pub(crate) struct Writer {
    pub(crate) conn: Conn,
    pub(crate) dialect: Dialect,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(crate) options: Arc<StoreOptions>,
    /// The transaction's wall time, Unix milliseconds. Never falls within a process, so that a clock which is set back
    /// doesn't hide what is queued.
    pub(crate) now_ms: i64,
    /// The same as the clock said it, for leases: all processes must go by one.
    pub(super) clock_ms: i64,
    /// Numbers for new tasks: embedded the next of a count, in PostgreSQL those that its sequence gave as the
    /// transaction began.
    pub(super) numbers: Numbers,
    /// What each tenant may do.
    tenants: HashMap<TenantId, Standing>,
    /// Those whose tasks may wait where this process's earlier knowledge has put them.
    moved: BTreeSet<TenantId>,
    /// Those of them that this transaction regroups.
    regrouped: Vec<TenantId>,
    pub(super) in_memory_is_stale: bool,
    /// Lanes in which the last claim found tasks of several tenants or priorities.
    pub(super) several_lines: BTreeSet<Lane>,
    /// The tenant whose row this transaction locked as it began, with what the row said.
    pub(super) locked: Option<(TenantId, Standing)>,
    /// When the counts are to be read again, on the monotonic clock: others change them too.
    pub(super) counts_due: Duration,
    changes: Vec<(TaskId, Change)>,
    /// Tasks that were accepted and not touched since, by number: a claim need not read them.
    fresh: Fresh,
    woken: BTreeSet<Track>,
    /// To be told to other processes after the commit.
    hints: Vec<Hint>,
    /// What ended in this transaction, to be told to its tenants.
    news: Vec<NewEvent>,
    /// What changed of batches, for their rows.
    pub(super) tallies: BTreeMap<BatchId, Tally>,
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
        conn: Conn,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        options: Arc<StoreOptions>,
    ) -> Result<Self, StoreError> {
        let dialect = conn.dialect();
        // In PostgreSQL this process's wall clock, which may be an hour ahead, must not set the time that never falls.
        let now_ms = if dialect == Dialect::Sqlite { unix_ms(clock.now()) } else { 0 };
        let mut writer = Self {
            conn,
            dialect,
            shared,
            clock,
            options,
            now_ms,
            clock_ms: now_ms,
            numbers: Numbers::default(),
            tenants: HashMap::new(),
            moved: BTreeSet::new(),
            regrouped: Vec::new(),
            in_memory_is_stale: true,
            several_lines: BTreeSet::new(),
            locked: None,
            counts_due: Duration::ZERO,
            changes: Vec::new(),
            fresh: Fresh::default(),
            woken: BTreeSet::new(),
            hints: Vec::new(),
            news: Vec::new(),
            tallies: BTreeMap::new(),
            after_commit: Vec::new(),
        };
        if dialect == Dialect::Postgres {
            // Reads the rows and the server's time.
            writer.begin(Opening::default()).await?;
            writer.regroup_held().await?;
            writer.conn.commit().await?;
            return Ok(writer);
        }
        // A clock that was set back while no server ran must not hide what waits without a time of its own.
        let sql = "UPDATE tasks SET due_ms = ?1 WHERE state = 'queued' AND due_ms > ?1 AND timed = 0";
        writer.run(query(sql).bind(now_ms)).await?;
        writer.regroup_fifo().await?;
        writer.reload().await?;
        Ok(writer)
    }

    /// At the start of an embedded server: takes back what an earlier process was running, in a transaction of its own.
    pub(crate) async fn recover(&mut self) -> Result<(Recovered, Vec<LostAttempt>), StoreError> {
        if self.dialect == Dialect::Postgres {
            // Others may be running it.
            return Ok((Recovered::default(), Vec::new()));
        }
        self.conn.begin(&Opening::default()).await?;
        // An error drops the connection, and with it the transaction.
        let recovered = self.requeue_predecessors().await?;
        self.run(query("DELETE FROM workers")).await?;
        self.settle_batches().await?;
        self.record_events().await?;
        self.release_deliveries().await?;
        self.conn.commit().await?;
        self.forget_signals();
        Ok(recovered)
    }

    /// Runs a batch in a transaction and commits it; after an error nothing of it has happened, unless the connection
    /// broke at the commit: then nobody knows.
    pub(super) async fn transact(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        if only_line::claim_at_once(self, batch).await? {
            return Ok(());
        }
        let held = self.begin(batch.opening()).await.map_err(Failure::Beginning)?;
        let done = match self.dialect {
            Dialect::Sqlite => self.work(batch, &held).await,
            // A connection that has lost its other end may say nothing for many minutes.
            Dialect::Postgres => {
                let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into());
                timeout(TRANSACTION_TIMEOUT, self.work(batch, &held)).await.unwrap_or_else(late)
            }
        };
        let error = match done {
            Ok(()) => {
                batch.is_committed();
                self.signal();
                return Ok(());
            }
            // Alone none of the calls would fare better.
            Err(error) if error.is_unreachable() => Failure::Beginning(error),
            Err(error) => Failure::Within(error),
        };
        self.in_memory_is_stale = true;
        self.conn.roll_back().await;
        Err(error)
    }

    /// Executes and commits.
    async fn work(&mut self, batch: &mut Batch, held: &[i64]) -> Result<(), StoreError> {
        batch.run(self, held).await?;
        self.settle_batches().await?;
        // The last thing, so that the numbers of a tenant's events are locked only briefly, and by one that waits for
        // nothing else.
        self.record_events().await?;
        batch.is_written();
        self.conn.commit().await
    }

    /// Begins a transaction; answers which of PostgreSQL's locks it holds, of those that were wanted.
    async fn begin(&mut self, mut opening: Opening) -> Result<Vec<i64>, StoreError> {
        self.forget_signals();
        self.locked = None;
        let mut held = Vec::new();
        let due = self.in_memory_is_stale || self.clock.monotonic() >= self.counts_due;
        if due {
            // Others need not wait while this one counts.
            opening.locks.clear();
        }
        let now_ms = match self.dialect {
            Dialect::Sqlite => {
                if self.in_memory_is_stale {
                    self.reload().await?;
                }
                self.conn.begin(&Opening::default()).await?;
                self.note_paces();
                unix_ms(self.clock.now())
            }
            Dialect::Postgres => {
                let begun = self.conn.begin(&opening).await?;
                held = begun.held;
                if let (Some(tenant), Some(row)) = (opening.tenant, begun.tenant) {
                    self.locked = Some((tenant, Standing::read(&row)?));
                }
                self.numbers.replace(begun.numbers);
                let theirs = begun.now_ms.filter(|_| !self.clock.rules());
                if let Some(theirs) = theirs {
                    self.shared.set_ahead_ms(theirs.saturating_sub(millis(self.clock.monotonic())));
                }
                theirs.unwrap_or_else(|| unix_ms(self.clock.now()))
            }
        };
        self.clock_ms = now_ms;
        self.now_ms = self.now_ms.max(now_ms);
        if self.dialect == Dialect::Postgres && due {
            let reloaded = self.reload().await;
            if reloaded.is_err() {
                self.conn.roll_back().await;
            }
            reloaded?;
        }
        Ok(held)
    }

    /// Embedded, this process has started all that started.
    fn note_paces(&self) {
        let (now, counts) = (self.clock.monotonic(), self.shared.counts());
        let mut paces = self.shared.paces();
        for (lane, executor) in tracks() {
            paces.note((lane, executor), now, counts.started_in(lane, executor));
        }
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.conn.close().await {
            tracing::warn!(error = %error, "the database was not closed cleanly; its log is kept and read at the next start");
        }
    }

    /// Executes a statement; answers how many rows it changed.
    pub(crate) async fn run(&mut self, query: Query) -> Result<u64, StoreError> {
        query.execute(&mut self.conn).await
    }

    /// Milliseconds on the clock that leases run on: monotonic where one process has them all, else the database's.
    pub(super) fn lease_now_ms(&self) -> i64 {
        match self.dialect {
            Dialect::Sqlite => millis(self.clock.monotonic()),
            Dialect::Postgres => self.clock_ms,
        }
    }

    pub(crate) fn standing(&self, tenant: TenantId) -> Option<Standing> {
        self.tenants.get(&tenant).copied()
    }

    /// What a row said within the transaction: newer than what is remembered.
    pub(super) fn learn(&mut self, tenant: TenantId, standing: Standing) {
        self.note_move(tenant, &standing);
        self.tenants.insert(tenant, standing);
    }

    pub(super) fn is_enabled(&self, tenant: TenantId) -> bool {
        self.standing(tenant).is_some_and(|standing| standing.access == Access::Enabled)
    }

    /// After a write to the tenants: reads them and the counts again, within the transaction.
    pub(crate) async fn tenants_changed(&mut self) -> Result<(), StoreError> {
        self.reload().await
    }

    /// Where a task of the tenant waits.
    pub(super) fn place(&self, lane: Lane, executor: Executor, priority: u8, tenant: TenantId) -> Place {
        let rank = rank_of(lane, executor, priority);
        let group = match self.standing(tenant) {
            Some(standing) if standing.access == Access::Enabled => {
                standing.group(lane, tenant, self.options.quota.running_max)
            }
            _ => Group::Held,
        };
        Place { lane, rank, group }
    }

    /// A task of the tenant runs no more. Where it was as many as its quota allows, something may start in any lane.
    pub(super) fn stopped(&mut self, lane: Lane, tenant: TenantId) {
        let max = self.quota(tenant).running_max;
        let mut counts = self.shared.counts();
        let was_full = max.is_some_and(|max| counts.running_of(tenant) >= u64::from(max));
        counts.stop(lane, tenant);
        drop(counts);
        if was_full {
            self.wake_all();
        }
    }

    /// To be signalled after the commit.
    pub(crate) fn changed(&mut self, task: TaskId, change: Change) {
        self.changes.push((task, change));
    }

    /// Signalled when deliveries of webhooks wait.
    pub(crate) fn deliveries_wakeup(&self) -> Arc<Notify> {
        self.shared.deliveries().clone()
    }

    /// A UUIDv7 of the transaction's time.
    pub(crate) fn new_id(&self) -> Uuid {
        let mut random = [0; 10];
        self.clock.fill_random(&mut random);
        let ms = u64::try_from(self.now_ms).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }

    pub(super) fn fresh(&mut self) -> &mut Fresh {
        &mut self.fresh
    }

    /// To be signalled after the commit: a lane holds something new for an executor.
    pub(crate) fn wake(&mut self, lane: Lane, executor: Executor) {
        self.woken.insert((lane, executor));
    }

    /// The same for all of them.
    pub(crate) fn wake_all(&mut self) {
        self.woken.extend(tracks());
    }

    /// To be done after the commit and before its answer, whether or not anybody still waits for that.
    pub(crate) fn after_commit(&mut self, work: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(work));
    }

    /// To be recorded at the end of the transaction.
    pub(super) fn news(&mut self) -> &mut Vec<NewEvent> {
        &mut self.news
    }

    /// To be told to other processes after the commit.
    pub(crate) fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    pub(super) fn forget_signals(&mut self) {
        self.after_commit.clear();
        self.changes.clear();
        self.hints.clear();
        self.news.clear();
        self.tallies.clear();
        self.woken.clear();
        self.regrouped.clear();
    }

    pub(super) fn signal(&mut self) {
        self.after_commit.drain(..).for_each(|work| work());
        for tenant in self.regrouped.drain(..) {
            self.moved.remove(&tenant);
        }
        let tasks = self.shared.publish(&mut self.changes);
        let mut hints = std::mem::take(&mut self.hints);
        for (lane, executor) in &self.woken {
            self.shared.wake(*lane, *executor);
            hints.push(match executor {
                Executor::Sandbox => Hint::Lane(*lane),
                Executor::Container => Hint::Containers(*lane),
            });
        }
        hints.extend(tasks);
        // All at once: what is told on its own after the first may wait until that has gone to Redis and back, and a
        // worker with it.
        self.shared.tell_others(hints);
    }

    pub(super) async fn read_tenants(&mut self) -> Result<(), StoreError> {
        let rows = query(STANDINGS).fetch_all(&mut self.conn).await?;
        let mut tenants = HashMap::with_capacity(rows.len());
        for row in rows {
            tenants.insert(TenantId(row.id(0)?), Standing::read(&row)?);
        }
        for (tenant, now) in &tenants {
            self.note_move(*tenant, now);
        }
        self.tenants = tenants;
        Ok(())
    }

    /// Remembers a tenant whose tasks wait elsewhere from now on.
    fn note_move(&mut self, tenant: TenantId, now: &Standing) {
        let of_all = self.options.quota.running_max;
        let is_elsewhere = |then: &Standing| {
            let group = |standing: &Standing, lane| standing.group(lane, tenant, of_all);
            then.access != now.access || Lane::ALL.into_iter().any(|lane| group(then, lane) != group(now, lane))
        };
        if self.tenants.get(&tenant).is_some_and(is_elsewhere) {
            self.moved.insert(tenant);
            self.regrouped.retain(|regrouped| *regrouped != tenant);
        }
    }

    /// The tenants whose tasks are to be regrouped, which this transaction does.
    pub(super) fn moved(&mut self) -> Vec<TenantId> {
        self.regrouped = self.moved.iter().copied().collect();
        self.regrouped.clone()
    }

    /// Reads tenants, the next number and the counts of live tasks from the rows. In PostgreSQL, where others write
    /// too, the counts are estimates that nothing but what is shown relies on.
    async fn reload(&mut self) -> Result<(), StoreError> {
        let started = self.clock.monotonic();
        self.fresh = Fresh::default();
        if self.dialect == Dialect::Sqlite {
            let highest =
                "SELECT max(no) FROM (SELECT max(no) AS no FROM tasks UNION ALL SELECT max(no) FROM task_usage)";
            let row = query(highest).fetch_one(&mut self.conn).await?;
            self.numbers.at_least(row.try_get::<Option<i64>>(0)?.unwrap_or(0) + 1);
        }
        self.read_tenants().await?;
        if self.dialect == Dialect::Postgres {
            self.regroup_moved().await?;
        }
        let queued = "SELECT lane, queue_rank, queue_group, tenant, count(*) FROM tasks WHERE state = 'queued' \
                      GROUP BY lane, queue_rank, queue_group, tenant";
        let queued = query(queued).fetch_all(&mut self.conn).await?;
        let running = "SELECT lane, tenant, count(*) FROM tasks WHERE state = 'running' GROUP BY lane, tenant";
        let running = query(running).fetch_all(&mut self.conn).await?;
        let mut counts = self.shared.counts();
        counts.clear();
        for row in queued {
            let lane = row.try_get::<&str>(0)?.parse().map_err(StoreError::corrupt)?;
            let place = Place { lane, rank: row.try_get(1)?, group: Group::of_id(row.try_get(2)?) };
            counts.queue_many(place, TenantId(row.id(3)?), i64::MIN, row.count(4)?);
        }
        for row in running {
            let lane = row.try_get::<&str>(0)?.parse().map_err(StoreError::corrupt)?;
            counts.add_running(lane, TenantId(row.id(1)?), row.count(2)?);
        }
        drop(counts);
        self.in_memory_is_stale = false;
        let now = self.clock.monotonic();
        let took = now.saturating_sub(started);
        self.counts_due = now + (took * COUNTS_COST_ONE_IN).clamp(COUNTS_KEPT_FOR, COUNTS_KEPT_FOR_MAX);
        Ok(())
    }
}
