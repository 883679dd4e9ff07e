//! Claims in PostgreSQL where all that waits in a lane waits in one line: chosen, taken and read by one statement.
//!
//! An idle system's claim, and that of a system with one tenant, are of this kind. Nothing is to be decided between
//! lines then, and no cap of a tenant counts, so that there is no need to come back with a choice.

use super::claim::{startable, started};
use super::state::Writer;
use crate::clock::millis;
use crate::counts::{ranks_of, turns_of};
use crate::reading::{TASK_COLUMNS, read_task, task_columns};
use crate::shared::Group;
use crate::sql::{Dialect, query};
use crate::{ClaimRequest, Claimed, LeaseToken, StoreError};
use mecapy_model::{Executor, Lane};

/// Nothing is found where there are several lines, or where a tenant of the only one has limits of its own. The rows
/// are read as they were locked, and found again by their numbers, which are handed on as an array, or one by one: so
/// that no table is walked, whatever the planner believes of its size.
const CLAIM: &str = concat!(
    "WITH first AS MATERIALIZED (SELECT queue_rank, queue_group FROM tasks WHERE state = 'queued' AND lane = ?1 \
      AND queue_group IS NOT NULL AND queue_rank >= ?2 AND queue_rank < ?3 ORDER BY queue_rank, queue_group LIMIT 1), \
     line AS MATERIALIZED (SELECT * FROM first WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE state = 'queued' AND lane = ?1 \
       AND queue_group IS NOT NULL AND queue_rank < ?3 \
       AND (queue_rank, queue_group) > (first.queue_rank, first.queue_group)) \
      AND NOT EXISTS (SELECT 1 FROM tenants WHERE quota IS NOT NULL \
       AND (tenants.id = first.queue_group OR first.queue_group = ?6))), \
     heads AS MATERIALIZED (SELECT queued.* FROM line, LATERAL (SELECT * ",
    startable!("?1", "line.queue_rank", "line.queue_group", "?4"),
    " ORDER BY due_ms, no LIMIT ?5 FOR UPDATE SKIP LOCKED) AS queued), \
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

/// Takes up to so many tasks of the lane's only line; none where there is more than one.
pub(super) async fn claim(
    writer: &mut Writer,
    request: ClaimRequest,
    count: usize,
) -> Result<Vec<Claimed>, StoreError> {
    let mut lease = LeaseToken([0; 16]);
    writer.clock.fill_random(&mut lease.0);
    let until = writer.lease_now_ms().saturating_add(millis(writer.options.lease));
    let ranks = ranks_of(request.executor);
    let query = query(CLAIM)
        .bind(request.lane.as_str())
        .bind(ranks.start)
        .bind(ranks.end)
        .bind(writer.now_ms)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(Group::Shared.id())
        .bind(lease.0.as_slice())
        .bind(until)
        .bind(turns_of(request.lane, request.executor));
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
