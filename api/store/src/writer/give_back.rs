//! Tasks that go back to the queue: released, to be tried again, or lost with their worker.

use super::ending::{LiveTask, Record};
use super::state::Writer;
use crate::clock::millis;
use crate::counts::executor_of;
use crate::shared::{Change, Place};
use crate::sql::{Dialect, Query, Row, query};
use crate::{ClaimRef, Recovered, StoreError, Written};
use mecapy_model::{BatchId, ErrorKind, Lane, RunId, TaskError, TaskId, TaskState, TenantId, Transition, Usage};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// So many losses are taken for bad luck: the task is queued again at once.
const LOSSES_FREE: i64 = 3;
/// The wait after the first loss that is not, doubled with each further one.
const LOSS_BACKOFF_MS: i64 = 1_000;
const LOSS_BACKOFF_MS_MAX: i64 = 5_000;
/// Between the starts of tasks that were lost together and not for the first time: one of them may be what kills its
/// worker, and the others should be done before it starts again.
const LOST_APART_MS: i64 = 250;
const LOST_APART_MS_MAX: i64 = 30_000;

/// A query for live tasks with the given condition, and what locks them; its rows are for [`Writer::read_live`].
pub(super) fn select_live(condition: &str, lock: &'static str) -> Query {
    const COLUMNS: &str = "SELECT no, id, tenant, lane, priority, state, attempt, lost_attempts, fence, event_seq, \
                           due_ms, created_ms, cancel_requested, name, webhook_url, queue_rank, batch, run, compile_ms, \
                           internal FROM tasks ";
    // Made of texts of ours.
    query(AssertSqlSafe(format!("{COLUMNS}{condition}{lock}")))
}

/// A task that is due so much later than now was accepted before the clock was set back.
const CLOCK_SET_BACK_MS: i64 = 1_000;

/// A claim that holds, by its number, fence and token.
pub(super) const HELD: &str = "WHERE no = ? AND fence = ? AND lease_token = ? AND state = 'running'";

/// Why a worker gives a task back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GiveBack {
    /// It drains: as if the task had not been claimed.
    Released,
    /// There was no room to start it: as if it had not been claimed, but not before a Unix millisecond.
    RetryAt { due_ms: i64 },
    /// A fault of the platform, not before a Unix millisecond: the attempt counts, as a lost one.
    LostUntil { due_ms: i64 },
}

/// An attempt that nobody will finish; what it stored is to be deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LostAttempt {
    pub(crate) tenant: TenantId,
    pub(crate) task: TaskId,
    pub(crate) fence: u64,
}

/// How a task returns to the queue.
pub(super) struct Requeue {
    pub(super) due_ms: i64,
    pub(super) timed: bool,
    pub(super) attempt: i64,
    pub(super) lost_attempts: i64,
}

impl Writer {
    pub(super) async fn give_back(&mut self, claim: &ClaimRef, how: GiveBack) -> Result<Written, StoreError> {
        let fence = i64::try_from(claim.fence).unwrap_or(i64::MAX);
        let query =
            select_live(HELD, self.dialect.lock_rows()).bind(claim.no).bind(fence).bind(claim.lease.0.as_slice());
        let Some(row) = query.fetch_optional(&mut self.conn).await? else { return Ok(Written::Stale) };
        let task = self.read_live(&row)?;
        if task.cancel_requested {
            self.end_cancelled(&task).await?;
            return Ok(Written::Done);
        }
        let (attempt, lost_attempts) = (task.attempt, task.lost_attempts);
        let requeue = match how {
            GiveBack::Released => {
                Requeue { due_ms: self.place_in_line(&task), timed: false, attempt: attempt - 1, lost_attempts }
            }
            GiveBack::RetryAt { due_ms } => Requeue { due_ms, timed: true, attempt: attempt - 1, lost_attempts },
            GiveBack::LostUntil { due_ms } => {
                Requeue { due_ms, timed: true, attempt, lost_attempts: lost_attempts + 1 }
            }
        };
        self.requeue(&task, requeue).await?;
        Ok(Written::Done)
    }

    /// Takes back what has an expired lease.
    pub(crate) async fn requeue_expired(&mut self) -> Result<(Recovered, Vec<LostAttempt>), StoreError> {
        let query = select_live("WHERE state = 'running' AND lease_until_ms < ?", self.dialect.lock_free_rows())
            .bind(self.lease_now_ms());
        let rows = query.fetch_all(&mut self.conn).await?;
        if self.dialect == Dialect::Postgres {
            // A database's clock that was set back must not hide what waits without a time of its own.
            let sql = "UPDATE tasks SET due_ms = ?1 WHERE state = 'queued' AND due_ms > ?1 + ?2 AND timed = 0";
            self.run(crate::sql::query(sql).bind(self.now_ms).bind(CLOCK_SET_BACK_MS)).await?;
        }
        self.lose(rows).await
    }

    /// Takes back everything that runs in sandboxes: it was claimed by a process that is gone, and they with it. A
    /// container outlives its worker, so its claim holds for one more lease, in which the next worker may adopt it.
    pub(crate) async fn requeue_predecessors(&mut self) -> Result<(Recovered, Vec<LostAttempt>), StoreError> {
        let until = self.lease_now_ms().saturating_add(millis(self.options.lease));
        let sql = "UPDATE tasks SET lease_until_ms = ? WHERE state = 'running' AND cpus IS NOT NULL";
        self.run(query(sql).bind(until)).await?;
        let rows = select_live("WHERE state = 'running' AND cpus IS NULL", "").fetch_all(&mut self.conn).await?;
        self.lose(rows).await
    }

    async fn lose(&mut self, rows: Vec<Row>) -> Result<(Recovered, Vec<LostAttempt>), StoreError> {
        let mut recovered = Recovered::default();
        let mut lost = Vec::with_capacity(rows.len());
        let mut tasks = rows.iter().map(|row| self.read_live(row)).collect::<Result<Vec<_>, _>>()?;
        tasks.sort_by_key(|task| (task.lost_attempts, task.no));
        let mut apart_ms = 0;
        for task in tasks {
            let fence = u64::try_from(task.fence).unwrap_or(0);
            lost.push(LostAttempt { tenant: task.tenant, task: task.id, fence });
            let losses = task.lost_attempts + 1;
            if task.cancel_requested {
                self.end_cancelled(&task).await?;
                recovered.cancelled += 1;
            } else if losses >= i64::from(self.options.lost_attempts_max) {
                let message = format!("the platform lost this task {losses} times while it ran");
                let error = TaskError::new(ErrorKind::WorkerLost, message);
                self.end_one(&task, Record::failed(&error, Usage::default())).await?;
                recovered.failed += 1;
            } else {
                if task.lost_attempts > 0 {
                    apart_ms = LOST_APART_MS_MAX.min(apart_ms + LOST_APART_MS);
                }
                let wait = loss_backoff_ms(losses) + apart_ms;
                let (due_ms, timed) =
                    if wait == 0 { (self.place_in_line(&task), false) } else { (self.now_ms + wait, true) };
                let requeue = Requeue { due_ms, timed, attempt: task.attempt, lost_attempts: losses };
                self.requeue(&task, requeue).await?;
                recovered.requeued += 1;
            }
        }
        Ok((recovered, lost))
    }

    /// Where a task that was claimed stood in its queue. It was due then, so a later time than now means that the clock
    /// was set back.
    pub(super) fn place_in_line(&self, task: &LiveTask) -> i64 {
        task.due_ms.min(self.now_ms)
    }

    /// running → queued; a compare-and-set.
    pub(super) async fn requeue(&mut self, task: &LiveTask, requeue: Requeue) -> Result<(), StoreError> {
        let state = task.state.after(Transition::Requeue).map_err(|error| StoreError::corrupt(error.to_string()))?;
        let sql = "UPDATE tasks SET state = ?, queue_group = ?, due_ms = ?, timed = ?, attempt = ?, lost_attempts = ?, \
                   event_seq = event_seq + 1, lease_token = NULL, lease_until_ms = NULL, started_ms = NULL \
                   WHERE no = ? AND fence = ? AND state = 'running'";
        let update = query(sql)
            .bind(state.as_str())
            .bind(task.place.group.id())
            .bind(requeue.due_ms)
            .bind(requeue.timed)
            .bind(requeue.attempt)
            .bind(requeue.lost_attempts)
            .bind(task.no)
            .bind(task.fence);
        if self.run(update).await? != 1 {
            return Err(StoreError::corrupt("a task changed within the transaction that requeues it"));
        }
        let sql = "INSERT INTO task_events (no, seq, at_ms, state, attempt) VALUES (?, ?, ?, ?, ?)";
        let event = query(sql)
            .bind(task.no)
            .bind(task.event_seq + 1)
            .bind(self.now_ms)
            .bind(state.as_str())
            .bind(requeue.attempt);
        self.run(event).await?;
        self.stopped(task.place.lane, task.tenant);
        self.shared.counts().queue(task.place, task.tenant, requeue.due_ms);
        self.changed(task.id, Change::Moved);
        if let Some(batch) = task.batch {
            self.tally(batch);
        }
        self.wake(task.place.lane, executor_of(task.place.rank));
        Ok(())
    }

    /// Ends a task whose cancel was asked for, without a worker's word.
    pub(super) async fn end_cancelled(&mut self, task: &LiveTask) -> Result<(), StoreError> {
        let message = if task.attempt == 0 { "cancelled before it started" } else { "cancelled" };
        let record = self.cancelled_record(task, message);
        self.end_one(task, record).await
    }

    /// What is written of such a task.
    pub(super) fn cancelled_record(&self, task: &LiveTask, message: &str) -> Record {
        let queued_ms = if task.attempt == 0 { self.now_ms.saturating_sub(task.created_ms).max(0) } else { 0 };
        let usage = Usage { queued_ms: queued_ms as f64, ..Usage::default() };
        Record::failed(&TaskError::new(ErrorKind::Cancelled, message), usage)
    }

    /// Reads a row of [`select_live`].
    pub(super) fn read_live(&self, row: &Row) -> Result<LiveTask, StoreError> {
        let tenant = TenantId(row.id(2)?);
        let lane: Lane = row.try_get::<&str>(3)?.parse().map_err(StoreError::corrupt)?;
        let state: TaskState = row.try_get::<&str>(5)?.parse().map_err(StoreError::corrupt)?;
        let priority = u8::try_from(row.count(4)?).unwrap_or(u8::MAX);
        let place: Place = self.place(lane, executor_of(row.try_get(15)?), priority, tenant);
        Ok(LiveTask {
            no: row.try_get(0)?,
            id: TaskId(row.id(1)?),
            tenant,
            place,
            state,
            attempt: row.try_get(6)?,
            lost_attempts: row.try_get(7)?,
            fence: row.try_get(8)?,
            event_seq: row.try_get(9)?,
            due_ms: row.try_get(10)?,
            created_ms: row.try_get(11)?,
            cancel_requested: row.flag(12)?,
            name: row.try_get(13)?,
            webhook_url: row.try_get(14)?,
            batch: row.try_get::<Option<Uuid>>(16)?.map(BatchId),
            run: row.try_get::<Option<Uuid>>(17)?.map(RunId),
            compile_ms: row.try_get(18)?,
            internal: row.flag(19)?,
        })
    }
}

/// How long a task waits after so many losses, so that one which kills its worker leaves others time to finish.
fn loss_backoff_ms(losses: i64) -> i64 {
    let doublings = losses - LOSSES_FREE - 1;
    if doublings < 0 {
        return 0;
    }
    LOSS_BACKOFF_MS.saturating_mul(1 << doublings.min(10)).min(LOSS_BACKOFF_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_losses_cost_no_time_and_later_ones_little() {
        let waits: Vec<i64> = (1..=9).map(loss_backoff_ms).collect();
        assert_eq!(waits, [0, 0, 0, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
    }
}
