//! Claims in PostgreSQL where all that waits in a lane waits in one line: chosen, taken and read by one statement.
//!
//! An idle system's claim, and that of a system with one tenant, are of this kind. Nothing is to be decided between
//! lines then, and no cap of a tenant counts, so that there is no need to come back with a choice.

use super::batch::Batch;
use super::claim::{count_of, startable, started};
use super::lines;
use super::state::{Failure, Writer};
use crate::clock::{millis, unix_ms};
use crate::counts::{ranks_of, turns_of};
use crate::reading::{TASK_COLUMNS, read_task, task_columns};
use crate::shared::Group;
use crate::sql::{Dialect, query};
use crate::{ClaimRequest, Claimed, Claims, LeaseToken, StoreError};
use mecapy_model::{Executor, Lane};

/// Nothing is found where there are several lines, or where a tenant of the only one has limits of its own. As a
/// transaction of its own it takes the lane's lock itself, finds nothing where another process has it, and leaves tasks
/// of batches alone, whose rows must be told in the same transaction. The rows
/// are read as they were locked, and found again by their numbers, which are handed on as an array, or one by one: so
/// that no table is walked, whatever the planner believes of its size.
const CLAIM: &str = concat!(
    "WITH lane AS MATERIALIZED (SELECT CASE WHEN CAST(?10 AS BIGINT) IS NULL THEN TRUE \
      ELSE pg_try_advisory_xact_lock(?10) END AS is_ours), \
     first AS MATERIALIZED (SELECT queued.* FROM lane, LATERAL (SELECT queue_rank, queue_group FROM tasks \
      WHERE state = 'queued' AND lane = ?1 AND queue_group IS NOT NULL AND queue_rank >= ?2 AND queue_rank < ?3 \
      ORDER BY queue_rank, queue_group LIMIT 1) AS queued WHERE lane.is_ours), \
     line AS MATERIALIZED (SELECT * FROM first WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE state = 'queued' AND lane = ?1 \
       AND queue_group IS NOT NULL AND queue_rank < ?3 \
       AND (queue_rank, queue_group) > (first.queue_rank, first.queue_group)) \
      AND NOT EXISTS (SELECT 1 FROM tenants WHERE quota IS NOT NULL \
       AND (tenants.id = first.queue_group OR first.queue_group = ?6))), \
     oldest AS MATERIALIZED (SELECT queued.* FROM line, LATERAL (SELECT * ",
    startable!("?1", "line.queue_rank", "line.queue_group", "?4"),
    " ORDER BY due_ms, no LIMIT ?5 FOR UPDATE SKIP LOCKED) AS queued), \
     heads AS MATERIALIZED (SELECT * FROM oldest WHERE CAST(?10 AS BIGINT) IS NULL \
      OR NOT EXISTS (SELECT 1 FROM oldest WHERE batch IS NOT NULL)), \
     begun AS (UPDATE tasks SET state = 'running', fence = fence + 1, attempt = attempt + 1, event_seq = event_seq + 1, \
      timed = 0, lease_token = ?7, lease_until_ms = ?8, started_ms = ?4 \
      WHERE no = ANY (ARRAY(SELECT no FROM heads)) RETURNING 1), \
     told AS (INSERT INTO task_events (no, seq, at_ms, state, attempt) \
      SELECT no, event_seq + 1, ?4, 'running', attempt + 1 FROM heads RETURNING 1), \
     turns AS (INSERT INTO lane_turns (lane, tenant, turn) SELECT ?9, tenant, \
      count(*) + (SELECT coalesce(max(turn), 0) FROM lane_turns WHERE lane = ?9) \
      FROM heads WHERE heads.lane <> 'high_priority' GROUP BY tenant \
      ON CONFLICT (lane, tenant) DO UPDATE SET turn = excluded.turn) \
     SELECT ",
    task_columns!("s.inputs"),
    ", (SELECT count(*) FROM begun) + (SELECT count(*) FROM told) \
     FROM heads t CROSS JOIN LATERAL (SELECT * FROM task_specs WHERE no = t.no OFFSET 0) s \
     LEFT JOIN LATERAL (SELECT * FROM results WHERE no = t.no OFFSET 0) r ON TRUE \
     LEFT JOIN LATERAL (SELECT * FROM task_usage WHERE no = t.no OFFSET 0) u ON TRUE ORDER BY t.due_ms, t.no"
);

/// Whether a claim may be made so. Where the lane had several lines a moment ago it would come to nothing.
pub(super) fn may_be(writer: &Writer, request: &ClaimRequest) -> bool {
    let is_capped = request.running_max.is_some()
        || request.running_per_tenant_max.is_some()
        || request.starts_per_minute_max.is_some()
        || writer.options.quota.running_max.is_some();
    writer.dialect == Dialect::Postgres
        && request.executor == Executor::Sandbox
        && request.lane != Lane::LongRunning
        && !is_capped
        && !writer.several_lines.contains(&request.lane)
}

/// How the statement stands to the writer's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Part of the open one, which holds the lane's lock.
    Open,
    /// One of its own: a trip instead of three.
    Own,
}

/// Takes up to so many tasks of the lane's only line; none where there is more than one.
pub(super) async fn claim(
    writer: &mut Writer,
    request: ClaimRequest,
    count: usize,
    within: Within,
) -> Result<Vec<Claimed>, StoreError> {
    let mut lease = LeaseToken([0; 16]);
    writer.clock.fill_random(&mut lease.0);
    let until = writer.lease_now_ms().saturating_add(millis(writer.options.lease));
    let ranks = ranks_of(request.executor);
    let lock = lines::locks_of(&[request.lane]).map(|(key, _)| key).find(|_| within == Within::Own);
    let query = query(CLAIM)
        .bind(request.lane.as_str())
        .bind(ranks.start)
        .bind(ranks.end)
        .bind(writer.now_ms)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(Group::Shared.id())
        .bind(lease.0.as_slice())
        .bind(until)
        .bind(turns_of(request.lane, request.executor))
        .bind(lock);
    let rows = query.fetch_all(&mut writer.conn).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        // One change for each task and one for its event.
        let changes = row.count(TASK_COLUMNS)?;
        if changes != 2 * rows.len() as u64 {
            return Err(StoreError::corrupt(format!("starting {} queued tasks changed {changes} rows", rows.len())));
        }
        claimed.push(started(writer, read_task(row)?, request, lease)?);
    }
    Ok(claimed)
}

/// Whether the batch was one claim that a single statement could serve, as a transaction of its own. What it did not find
/// is looked for again, in one that sees everything.
pub(super) async fn claim_at_once(writer: &mut Writer, batch: &mut Batch) -> Result<bool, Failure> {
    let Some(call) = batch.only_claim() else { return Ok(false) };
    let request = call.input;
    let is_known = !writer.in_memory_is_stale && writer.clock.monotonic() < writer.counts_due;
    if !is_known || !writer.conn.is_settled() || !may_be(writer, &request) {
        return Ok(false);
    }
    let Some(now_ms) = known_time_ms(writer) else { return Ok(false) };
    writer.forget_signals();
    writer.clock_ms = now_ms;
    writer.now_ms = writer.now_ms.max(now_ms);
    // Until its answer is there, nobody knows how the statement ended.
    writer.conn.set_settled(false);
    match claim(writer, request, count_of(&request), Within::Own).await {
        Ok(claimed) => {
            writer.conn.set_settled(true);
            let found = !claimed.is_empty();
            if found {
                call.answer = Some(Claims { claimed, waits_for: None });
                writer.signal();
            }
            Ok(found)
        }
        Err(error) => {
            writer.in_memory_is_stale = true;
            Err(if error.is_unreachable() { Failure::Beginning(error) } else { Failure::Within(error) })
        }
    }
}

/// The time without asking: PostgreSQL's, by how far it was ahead of this process's clock a moment ago.
fn known_time_ms(writer: &Writer) -> Option<i64> {
    if writer.clock.rules() {
        return Some(unix_ms(writer.clock.now()));
    }
    let ahead_ms = writer.shared.ahead_ms()?;
    Some(millis(writer.clock.monotonic()).saturating_add(ahead_ms))
}
