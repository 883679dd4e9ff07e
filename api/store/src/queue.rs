//! What a worker does: claim, report, finish, give back. Everything but a claim needs the claim's fence and lease token.

use crate::clock::unix_ms;
use crate::counts::ranks_of;
use crate::objects::Nonce;
use crate::shared::Group;
use crate::sql::query;
use crate::writer::{Call, Ending, GiveBack, LogPiece, LostAttempt, Note, Op};
use crate::{LOG_INLINE_BYTES_MAX, ObjectKey, Store, StoreError, StoredArtifact, StoredText};
use mecapy_model::{
    ErrorKind, Executor, Lane, LogStream, Outcome, Progress, Room, Task, TaskError, TaskId, TenantId, Usage, Warning,
};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

/// How many of a tenant's (in a FIFO lane: the lane's) queued tasks a position counts at most.
const POSITION_COUNTED_MAX: u32 = 10_000;
/// The wait after an attempt that the platform failed for the first time, doubled with each further one.
const FAULT_BACKOFF: Duration = Duration::from_secs(1);
const FAULT_BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The earliest time in a lane, in the ranks from `?3` to before `?4`, by a walk over the index of what is queued, from one rank to the next and in each from one
/// group to the next: it reads the first entry of each, however many wait. What is held has no group and is passed over.
const EARLIEST: &str = "WITH RECURSIVE ranks (queue_rank) AS ( \
     SELECT (SELECT t.queue_rank FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 \
      AND t.queue_rank >= ?3 AND t.queue_rank < ?4 ORDER BY t.queue_rank LIMIT 1) \
     UNION ALL SELECT (SELECT t.queue_rank FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 \
      AND t.queue_rank > ranks.queue_rank AND t.queue_rank < ?4 ORDER BY t.queue_rank LIMIT 1) FROM ranks WHERE ranks.queue_rank IS NOT NULL), \
     lines (queue_rank, queue_group) AS ( \
     SELECT ranks.queue_rank, (SELECT t.queue_group FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 \
      AND t.queue_rank = ranks.queue_rank AND t.queue_group >= ?2 ORDER BY t.queue_group LIMIT 1) \
      FROM ranks WHERE ranks.queue_rank IS NOT NULL \
     UNION ALL SELECT lines.queue_rank, (SELECT t.queue_group FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 \
      AND t.queue_rank = lines.queue_rank AND t.queue_group > lines.queue_group ORDER BY t.queue_group LIMIT 1) \
      FROM lines WHERE lines.queue_group IS NOT NULL) \
     SELECT min((SELECT t.due_ms FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 \
      AND t.queue_rank = lines.queue_rank AND t.queue_group = lines.queue_group ORDER BY t.due_ms LIMIT 1)) \
     FROM lines WHERE lines.queue_group IS NOT NULL";

/// How many tasks of one group are ahead of one, as far as is counted.
const AHEAD_IN_GROUP: &str = "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE state = 'queued' AND lane = ?1 \
     AND queue_rank = ?2 AND queue_group = ?3 AND (due_ms, no) < (?4, ?5) LIMIT ?6) AS counted";

/// How many of all groups, from the group `?3` on, which is the first there can be: group by group, until there are
/// enough.
const AHEAD_IN_RANK: &str = "WITH RECURSIVE line (queue_group, ahead) AS ( \
     SELECT (SELECT t.queue_group FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 AND t.queue_rank = ?2 \
      AND t.queue_group >= ?3 ORDER BY t.queue_group LIMIT 1), CAST(0 AS BIGINT) \
     UNION ALL SELECT (SELECT t.queue_group FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 AND t.queue_rank = ?2 \
      AND t.queue_group > line.queue_group ORDER BY t.queue_group LIMIT 1), \
      line.ahead + (SELECT count(*) FROM (SELECT 1 FROM tasks t WHERE t.state = 'queued' AND t.lane = ?1 \
       AND t.queue_rank = ?2 AND t.queue_group = line.queue_group AND (t.due_ms, t.no) < (?4, ?5) LIMIT ?6) AS counted) \
      FROM line WHERE line.queue_group IS NOT NULL AND line.ahead < ?6) \
     SELECT max(ahead) FROM line";

/// A request for work.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest {
    pub lane: Lane,
    /// What runs the tasks: those of the other executor are left alone.
    pub executor: Executor,
    pub max: u32,
    /// What the worker has for containers in all: a task that needs more is passed over.
    pub total: Room,
    /// What of that is free. The next task that fits `total` and not this has to wait, and so do all behind it.
    pub free: Room,
    /// How many tasks of one tenant may run at a time in this lane; `high_priority` is strict FIFO and ignores it.
    pub running_per_tenant_max: Option<u32>,
    /// How many tasks of the lane may run at a time, of all tenants and on all workers, in sandboxes and containers.
    pub running_max: Option<u32>,
    /// How many tasks of one tenant may start within a minute; the other lanes than `long_running` ignore it.
    pub starts_per_minute_max: Option<u32>,
}

impl ClaimRequest {
    /// Up to `max` tasks of the lane for sandboxes, without a cap.
    pub fn new(lane: Lane, max: u32) -> Self {
        Self {
            lane,
            executor: Executor::Sandbox,
            max,
            total: Room::default(),
            free: Room::default(),
            running_per_tenant_max: None,
            running_max: None,
            starts_per_minute_max: None,
        }
    }

    /// Up to `max` tasks of the lane for containers, as many as there is room for, without a cap.
    pub fn containers(lane: Lane, max: u32, total: Room, free: Room) -> Self {
        Self { executor: Executor::Container, total, free, ..Self::new(lane, max) }
    }
}

/// The right to report on one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRef {
    pub task: TaskId,
    pub tenant: TenantId,
    pub fence: u64,
    pub lease: LeaseToken,
    pub(crate) no: i64,
}

/// Random, so that nobody but the claimant can report on a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(pub(crate) [u8; 16]);

impl std::fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeaseToken(…)")
    }
}

/// A task that the caller now runs.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub task: Task,
    pub claim: ClaimRef,
    /// Attempts before this one that the platform lost or failed.
    pub lost_attempts: u32,
    /// What was written to the task's log so far, in all attempts, bytes; also what was dropped because the log is full.
    pub log_bytes: u64,
}

/// What a claim came to.
#[derive(Debug, Default)]
pub struct Claims {
    pub claimed: Vec<Claimed>,
    /// What the next task needs, where that fits the worker and is not free now. The worker should take nothing in its
    /// other lanes either until it is, or tasks there may keep this one out.
    pub waits_for: Option<Room>,
}

/// What a heartbeat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Extended,
    /// Extended, and the attempt should stop.
    CancelRequested,
    /// The claim is somebody else's or nobody's now: stop at once, report nothing.
    Stale,
}

/// Whether a report had effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Done,
    /// The claim does not hold any more; nothing was written.
    Stale,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLog {
    pub stream: LogStream,
    pub text: String,
}

impl From<NewLog> for LogPiece {
    fn from(NewLog { stream, text }: NewLog) -> Self {
        Self { stream, text: StoredText::Inline(text) }
    }
}

/// How an attempt ended. An error of kind `cancelled` ends the task cancelled, any other error failed.
#[derive(Debug, Clone)]
pub struct Finish {
    pub result: Result<Box<RawValue>, TaskError>,
    pub warnings: Vec<Warning>,
    pub logs: Vec<NewLog>,
    /// What [`Store::store_artifacts`] answered for this claim.
    pub artifacts: Vec<StoredArtifact>,
    pub usage: Usage,
}

/// A finish whose texts are shared, so that a write which is tried again copies none of them.
pub struct PreparedFinish(Ending);

/// What became of tasks whose attempt was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    pub requeued: u64,
    /// Lost once too often: ended with `worker_lost`.
    pub failed: u64,
    /// A cancel had been asked for.
    pub cancelled: u64,
}

impl Finish {
    /// What an outcome says, with its output as log entries. The outcome's own artifacts are left out: hand them to
    /// [`Store::store_artifacts`] first.
    pub fn new(outcome: Outcome, artifacts: Vec<StoredArtifact>) -> Self {
        let streams = [
            (LogStream::Stdout, outcome.stdout, outcome.stdout_truncated),
            (LogStream::Stderr, outcome.stderr, outcome.stderr_truncated),
        ];
        let mut logs = Vec::new();
        for (stream, text, truncated) in streams {
            if !text.is_empty() {
                logs.push(NewLog { stream, text });
            }
            if truncated {
                logs.push(NewLog { stream, text: "[output truncated]\n".to_owned() });
            }
        }
        Self { result: outcome.result, warnings: outcome.warnings, logs, artifacts, usage: outcome.usage }
    }
}

impl Store {
    /// Signalled after a commit that queued something in the lane for sandboxes. A hint: claim, then wait for the next.
    pub fn lane_wakeup(&self, lane: Lane) -> Arc<Notify> {
        self.shared().lane_wakeup(lane, Executor::Sandbox)
    }

    /// The same for containers.
    pub fn container_wakeup(&self, lane: Lane) -> Arc<Notify> {
        self.shared().lane_wakeup(lane, Executor::Container)
    }

    /// Running tasks whose cancel was asked for in another process. A hint: heartbeats tell for sure.
    pub fn cancels(&self) -> broadcast::Receiver<TaskId> {
        self.shared().cancels()
    }

    /// The earliest time at which something that is queued in the lane may start in a sandbox; may be in the past.
    pub async fn next_due(&self, lane: Lane) -> Result<Option<OffsetDateTime>, StoreError> {
        self.next_due_of(lane, Executor::Sandbox).await
    }

    /// The same in a container of a worker that has `total` in all.
    pub async fn next_container_due(&self, lane: Lane, total: Room) -> Result<Option<OffsetDateTime>, StoreError> {
        if !self.shared().may_have_queued(lane, Executor::Container) {
            return Ok(None);
        }
        let sql = "SELECT min(due_ms) FROM tasks WHERE state = 'queued' AND lane = ? AND queue_group IS NOT NULL \
                   AND queue_rank >= ? AND cpus <= ? AND memory_bytes <= ?";
        let memory_bytes = i64::try_from(total.memory_bytes).unwrap_or(i64::MAX);
        let first = ranks_of(Executor::Container).start;
        let query = query(sql).bind(lane.as_str()).bind(first).bind(total.cpus).bind(memory_bytes);
        let row = query.fetch_one(self.readers()).await?;
        Ok(row.try_get::<Option<i64>>(0)?.map(crate::clock::from_unix_ms))
    }

    pub(crate) async fn next_due_of(
        &self,
        lane: Lane,
        executor: Executor,
    ) -> Result<Option<OffsetDateTime>, StoreError> {
        if !self.shared().may_have_queued(lane, executor) {
            return Ok(None);
        }
        let ranks = ranks_of(executor);
        let earliest = query(EARLIEST).bind(lane.as_str()).bind(Group::FIRST_ID).bind(ranks.start).bind(ranks.end);
        let row = earliest.fetch_one(self.readers()).await?;
        Ok(row.try_get::<Option<i64>>(0)?.map(crate::clock::from_unix_ms))
    }

    /// Takes up to `max` tasks that may start now, in the order in which they should: `high_priority` by age; `default`
    /// by priority, then the tenant with the fewest running, then age; `long_running` by age, where the tenant's cap
    /// allows. Each is committed as running before it is answered.
    pub async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        self.claim_or_wait(request).await.map(|claims| claims.claimed)
    }

    /// The same, with what the next task waits for, for workers with containers. They claim only what needs no more than
    /// they have: of that in the same order, as many as there is room for.
    pub async fn claim_or_wait(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        if request.max == 0 || !self.shared().may_have_queued(request.lane, request.executor) {
            return Ok(Claims::default());
        }
        self.write(|reply| Op::Claim(Call::new(request, reply))).await
    }

    /// Extends leases; answers in the order of the claims.
    pub async fn heartbeat(&self, claims: Vec<ClaimRef>) -> Result<Vec<(TaskId, Beat)>, StoreError> {
        self.write(|reply| Op::Heartbeat(Call::new(claims, reply))).await
    }

    /// Appends to the task's log and notes how far the attempt is. Each call is a row update: a few per second and task
    /// at most. Past [`StoreOptions::log_bytes_max`](crate::StoreOptions) the rest of the log is dropped, and the log
    /// says so once.
    pub async fn note(
        &self,
        claim: ClaimRef,
        entries: Vec<NewLog>,
        progress: Option<Progress>,
    ) -> Result<Written, StoreError> {
        let mut logs: Vec<LogPiece> = entries.into_iter().map(LogPiece::from).collect();
        let name = || Nonce::new(&**self.clock()).to_string();
        self.keep_large_logs(&claim, &mut logs, name).await?;
        self.write(|reply| Op::Note(Call::new(Note::new(claim, logs, progress), reply))).await
    }

    /// Makes objects of the pieces that are too large for their rows, called by `name` and their number.
    async fn keep_large_logs(
        &self,
        claim: &ClaimRef,
        logs: &mut [LogPiece],
        name: impl Fn() -> String,
    ) -> Result<(), StoreError> {
        for (number, piece) in logs.iter_mut().enumerate() {
            let StoredText::Inline(text) = &mut piece.text else { continue };
            if text.len() > LOG_INLINE_BYTES_MAX {
                let text = std::mem::take(text);
                piece.text = self.objects().store_log(claim, &format!("{}-{number}.txt", name()), text).await?;
            }
        }
        Ok(())
    }

    /// Ends the task: state, result, usage, log, artifacts and events in one transaction. A stale finish writes nothing,
    /// and the objects that its attempt stored are deleted.
    pub async fn finish(&self, claim: ClaimRef, finish: Finish) -> Result<Written, StoreError> {
        self.write_finish(&self.prepare_finish(claim, finish)).await
    }

    /// Makes what [`write_finish`](Self::write_finish) takes. The task ends now, whenever that is written.
    pub fn prepare_finish(&self, claim: ClaimRef, finish: Finish) -> PreparedFinish {
        PreparedFinish(Ending::of(claim, finish, self.options(), self.now_ms()))
    }

    /// [`finish`](Self::finish), for a caller that tries again after an error.
    pub async fn write_finish(&self, PreparedFinish(ending): &PreparedFinish) -> Result<Written, StoreError> {
        let (tenant, task, fence) = (ending.claim.tenant, ending.claim.task, ending.claim.fence);
        let mut ending = ending.clone();
        if let Some(text) = ending.large_result() {
            let stored = self.objects().store_result(&ending.claim, text.to_owned()).await?;
            ending.refer_to(stored);
        }
        // Of a finish that is tried again, the same.
        let claim = ending.claim.clone();
        self.keep_large_logs(&claim, &mut ending.logs, || "end".to_owned()).await?;
        let stored = ending.first_object();
        let written = self.write(|reply| Op::Finish(Call::new(Box::new(ending), reply))).await?;
        if let (Written::Stale, Some(stored)) = (written, stored) {
            // Of a finish that is repeated the first has recorded the objects: then they stay.
            if !self.has_recorded(tenant, task, &stored).await? {
                self.delete_attempt_objects(tenant, task, fence).await?;
            }
        }
        Ok(written)
    }

    /// Whether the task's rows name an object.
    async fn has_recorded(&self, tenant: TenantId, task: TaskId, key: &ObjectKey) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM tasks t LEFT JOIN results r ON r.no = t.no LEFT JOIN artifacts a ON a.no = t.no \
                   WHERE t.tenant = ?1 AND t.id = ?2 AND (r.object_key = ?3 OR a.object_key = ?3)";
        let query = query(sql).bind(tenant).bind(task).bind(key.as_str());
        Ok(query.fetch_optional(&mut self.reader(tenant).await?).await?.is_some())
    }

    /// Gives a task back, as if it had not been claimed (the worker drains). The attempt doesn't count.
    pub async fn release(&self, claim: ClaimRef) -> Result<Written, StoreError> {
        self.write(|reply| Op::GiveBack(Call::new((claim, GiveBack::Released), reply))).await
    }

    /// Queues a task that there was no room to start, not before a time: as if it had not been claimed, so that it can
    /// wait like this for as long as it takes. A task whose cancel was asked for ends cancelled instead.
    pub async fn retry_later(&self, claim: ClaimRef, not_before: OffsetDateTime) -> Result<Written, StoreError> {
        let how = GiveBack::RetryAt { due_ms: unix_ms(not_before) };
        self.write(|reply| Op::GiveBack(Call::new((claim, how), reply))).await
    }

    /// After an attempt that the platform failed (its storage, its executor): how long to wait before one more, or
    /// `None` where the platform lost or failed as many as it may, so that the task ends with the fault. The task's own
    /// retry rule has no say.
    pub fn fault_backoff(&self, claimed: &Claimed) -> Option<Duration> {
        let faults = claimed.lost_attempts.saturating_add(1);
        let wait = || FAULT_BACKOFF.saturating_mul(1 << (faults - 1).min(16)).min(FAULT_BACKOFF_MAX);
        (faults < self.options().lost_attempts_max).then(wait)
    }

    /// Queues the task for another try, not before a time (see [`fault_backoff`](Self::fault_backoff)), and counts the
    /// attempt as lost; what it stored is deleted. A task whose cancel was asked for ends cancelled instead.
    pub async fn lose(&self, claim: ClaimRef, not_before: OffsetDateTime) -> Result<Written, StoreError> {
        let how = GiveBack::LostUntil { due_ms: unix_ms(not_before) };
        let lost = LostAttempt { tenant: claim.tenant, task: claim.task, fence: claim.fence };
        let written = self.write(|reply| Op::GiveBack(Call::new((claim, how), reply))).await?;
        if written == Written::Done {
            self.delete_lost_objects(vec![lost]).await;
        }
        Ok(written)
    }

    /// Takes back the tasks whose lease ran out. Call every 15 s or so.
    pub async fn requeue_expired(&self) -> Result<Recovered, StoreError> {
        let (recovered, lost) = self.write_rarely(async |writer| writer.requeue_expired().await).await?;
        self.delete_lost_objects(lost).await;
        Ok(recovered)
    }

    /// How many queued tasks would run before this one, as far as [`task_with_position`](Self::task_with_position)
    /// counts; `None` where it is not queued.
    pub async fn queue_position(&self, task: &Task) -> Result<Option<u64>, StoreError> {
        let sql =
            "SELECT due_ms, no, queue_rank, queue_group FROM tasks WHERE tenant = ? AND id = ? AND state = 'queued'";
        let row =
            query(sql).bind(task.tenant).bind(task.id).fetch_optional(&mut self.reader(task.tenant).await?).await?;
        let Some(row) = row else { return Ok(None) };
        let (due_ms, no, rank): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let Some(group) = row.try_get::<Option<Uuid>>(3)? else { return Ok(None) };
        let fair = Group::of_lane(task.lane, task.tenant) != Group::Shared && task.lane == Lane::Default;
        let (sql, group_or_first) = if fair { (AHEAD_IN_GROUP, group) } else { (AHEAD_IN_RANK, Group::FIRST_ID) };
        let counted = query(sql)
            .bind(task.lane.as_str())
            .bind(rank)
            .bind(group_or_first)
            .bind(due_ms)
            .bind(no)
            .bind(POSITION_COUNTED_MAX)
            .fetch_one(self.readers())
            .await?;
        let ahead = counted.count(0)?.min(u64::from(POSITION_COUNTED_MAX));
        if !fair {
            return Ok(Some(ahead));
        }
        Ok(Some(self.shared().counts().fair_position(rank, TenantId(group), ahead)))
    }
}

/// The state a finish leads to.
pub(crate) fn is_cancel(error: &TaskError) -> bool {
    error.kind == ErrorKind::Cancelled
}
