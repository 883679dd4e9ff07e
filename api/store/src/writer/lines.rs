//! Which lines of a lane have something to start: embedded as memory knows, in PostgreSQL as the rows say.

use super::state::Writer;
use crate::clock::millis;
use crate::counts::{ranks_of, turns_of};
use crate::quota::Quota;
use crate::shared::{Group, Turn};
use crate::sql::{Dialect, Row, Rows, query};
use crate::{ClaimRequest, StoreError};
use mecapy_model::{Executor, Lane, TenantId};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Claims of one lane take this advisory lock (and one more for each lane) one after the other.
const LANE_LOCKS: i64 = 0x6d65_6361_7079_0000;
/// And those that look at a tenant with a running quota take this one too, after their lanes', so that no two lanes give
/// it the same room.
const QUOTA_LOCK: i64 = 0x6d65_6361_7079_0800;
/// How long a claim waits for another process's, which takes milliseconds unless that process stands still: then
/// heartbeats, which wait behind it, must not be late.
const CLAIM_LOCK_WAIT: Duration = Duration::from_millis(100);
/// Before it is asked for again, doubled each time.
const CLAIM_LOCK_LOOK: Duration = Duration::from_millis(1);
/// More than one claim takes of a line.
const STRAYS_LOOKED_AT: u32 = 512;
const MINUTE: Duration = Duration::from_secs(60);

/// The groups with queued tasks, by a walk over the index that reads one entry of each.
const WAITING: &str = "WITH RECURSIVE line AS ( \
     (SELECT queue_rank, queue_group FROM tasks WHERE state = 'queued' AND lane = ?1 AND queue_group IS NOT NULL \
      AND queue_rank >= ?2 AND queue_rank < ?3 ORDER BY queue_rank, queue_group LIMIT 1) \
     UNION ALL SELECT after.queue_rank, after.queue_group FROM line, LATERAL (SELECT queue_rank, queue_group FROM tasks \
      WHERE state = 'queued' AND lane = ?1 AND queue_group IS NOT NULL AND queue_rank < ?3 \
      AND (queue_rank, queue_group) > (line.queue_rank, line.queue_group) ORDER BY queue_rank, queue_group LIMIT 1) after) \
     SELECT line.queue_rank, line.queue_group, \
      (SELECT count(*) FROM tasks r WHERE r.state = 'running' AND r.lane = ?1 AND r.tenant = line.queue_group), \
      coalesce((SELECT turn FROM lane_turns t WHERE t.lane = ?4 AND t.tenant = line.queue_group), 0), \
      (SELECT quota FROM tenants q WHERE q.id = line.queue_group), \
      EXISTS (SELECT 1 FROM tenants WHERE quota IS NOT NULL) FROM line";

/// A process that had not heard of a quota yet may have put a task back into the line of all tenants. Only those at its
/// head matter now.
const SET_STRAYS_APART: &str = "UPDATE tasks SET queue_group = tenant WHERE no IN (SELECT no FROM tasks \
     WHERE state = 'queued' AND lane = ?1 AND queue_rank = 0 AND queue_group = ?2 AND due_ms <= ?3 \
     ORDER BY due_ms, no LIMIT ?4) AND state = 'queued' AND queue_group = ?2 \
     AND (?5 = 1 OR EXISTS (SELECT 1 FROM tenants q WHERE q.id = tasks.tenant AND q.quota IS NOT NULL))";

/// Lane (see [`turns_of`](crate::counts::turns_of)), tenant, and how much later than all before its turn was; of a tenant's turns the last counts.
pub(super) const TURNS: Rows = Rows {
    head: "INSERT INTO lane_turns (lane, tenant, turn) SELECT v.column1, v.column2, max(v.column3) \
           + (SELECT coalesce(max(turn), 0) FROM lane_turns WHERE lane = v.column1) FROM (",
    width: 3,
    tail: ") AS v GROUP BY v.column1, v.column2 ON CONFLICT (lane, tenant) DO UPDATE SET turn = excluded.turn",
};

/// What waits in a lane.
pub(super) struct Waiting {
    /// The ranks, first to last, and the groups of each that may have something to start.
    pub(super) ranks: BTreeMap<i64, Vec<Turn>>,
    /// Of tenants with a running quota: how many of their tasks may run in this lane, with what runs there now.
    pub(super) running_max: HashMap<TenantId, u64>,
}

/// In PostgreSQL, no other process claims from these lanes until this transaction ends. All that a transaction needs are
/// locked at once and in one order, so that two never wait for each other.
pub(super) async fn lock(writer: &mut Writer, lanes: &[Lane]) -> Result<(), StoreError> {
    if writer.dialect == Dialect::Sqlite {
        return Ok(());
    }
    for (key, _) in locks_of(lanes) {
        query("SELECT pg_advisory_xact_lock(?)").bind(key).execute(&mut writer.conn).await?;
    }
    Ok(())
}

/// The same for claims, which leave a lane alone that another process holds for long. Answers those that are locked.
/// Some may be `held` already.
pub(super) async fn try_lock(writer: &mut Writer, lanes: &[Lane], held: &[i64]) -> Result<Vec<Lane>, StoreError> {
    let mut locked = Vec::with_capacity(Lane::ALL.len());
    for (key, lane) in locks_of(lanes) {
        if writer.dialect == Dialect::Sqlite || held.contains(&key) || lock_soon(writer, key).await? {
            locked.push(lane);
        }
    }
    Ok(locked)
}

/// The locks of lanes, in their order.
pub(super) fn locks_of(lanes: &[Lane]) -> impl Iterator<Item = (i64, Lane)> {
    (LANE_LOCKS..).zip(Lane::ALL).filter(|(_, lane)| lanes.contains(lane))
}

/// Whether an advisory lock could be taken before another process had held it for long.
async fn lock_soon(writer: &mut Writer, key: i64) -> Result<bool, StoreError> {
    let started = Instant::now();
    let mut look = CLAIM_LOCK_LOOK;
    loop {
        let lock = query("SELECT pg_try_advisory_xact_lock(?)").bind(key);
        if lock.fetch_one(&mut writer.conn).await?.try_get(0)? {
            return Ok(true);
        }
        if started.elapsed() >= CLAIM_LOCK_WAIT {
            return Ok(false);
        }
        sleep(look).await;
        look *= 2;
    }
}

/// What waits for an executor in a lane that is locked.
pub(super) async fn waiting(writer: &mut Writer, lane: Lane, executor: Executor) -> Result<Waiting, StoreError> {
    if writer.dialect == Dialect::Postgres {
        return waiting_rows(writer, lane, executor).await;
    }
    let counts = writer.shared.counts();
    let ranks: BTreeMap<i64, Vec<Turn>> =
        counts.ranks(lane, executor).into_iter().map(|rank| (rank, counts.turns(lane, rank, writer.now_ms))).collect();
    let mut running_max = HashMap::new();
    for turn in ranks.values().flatten() {
        let Group::Tenant(tenant) = turn.group else { continue };
        if let Some(max) = writer.quota(tenant).running_max {
            let elsewhere = counts.running_of(tenant).saturating_sub(turn.running);
            running_max.insert(tenant, u64::from(max).saturating_sub(elsewhere));
        }
    }
    drop(counts);
    Ok(Waiting { ranks, running_max })
}

async fn waiting_rows(writer: &mut Writer, lane: Lane, executor: Executor) -> Result<Waiting, StoreError> {
    let ranks = ranks_of(executor);
    let turns = turns_of(lane, executor);
    let asked = || query(WAITING).bind(lane.as_str()).bind(ranks.start).bind(ranks.end).bind(turns);
    let mut rows = asked().fetch_all(&mut writer.conn).await?;
    if may_hold_strays(&rows, writer.options.quota)? && set_strays_apart(writer, lane).await? > 0 {
        rows = asked().fetch_all(&mut writer.conn).await?;
    }
    let mut waiting = Waiting { ranks: BTreeMap::new(), running_max: HashMap::new() };
    for row in rows {
        let group = Group::of_id(row.try_get(1)?);
        let turn = Turn::new(group, row.count(2)?, row.count(3)?, i64::MIN);
        waiting.ranks.entry(row.try_get(0)?).or_default().push(turn);
        if let Group::Tenant(tenant) = group
            && let Some(max) = Quota::read(row.try_get(4)?)?.over(writer.options.quota).running_max
        {
            waiting.running_max.insert(tenant, u64::from(max));
        }
    }
    if waiting.running_max.is_empty() {
        return Ok(waiting);
    }
    if !lock_soon(writer, QUOTA_LOCK).await? {
        // Another process is giving their room away: what they have waits for a later claim, and nobody else's does.
        waiting.running_max.values_mut().for_each(|max| *max = 0);
        return Ok(waiting);
    }
    let sql = "SELECT tenant, count(*) FROM tasks WHERE state = 'running' AND lane <> ? GROUP BY tenant";
    for row in query(sql).bind(lane.as_str()).fetch_all(&mut writer.conn).await? {
        if let Some(max) = waiting.running_max.get_mut(&TenantId(row.id(0)?)) {
            *max = max.saturating_sub(row.count(1)?);
        }
    }
    Ok(waiting)
}

/// Whether tasks wait in the line of all tenants, and some tenants have lines of their own.
fn may_hold_strays(rows: &[Row], of_server: Quota) -> Result<bool, StoreError> {
    for row in rows {
        if Group::of_id(row.try_get(1)?) == Group::Shared {
            return Ok(of_server.running_max.is_some() || row.try_get(5)?);
        }
    }
    Ok(false)
}

async fn set_strays_apart(writer: &mut Writer, lane: Lane) -> Result<u64, StoreError> {
    let all_have_lines = writer.options.quota.running_max.is_some();
    let update = query(SET_STRAYS_APART)
        .bind(lane.as_str())
        .bind(Group::Shared.id())
        .bind(writer.now_ms)
        .bind(STRAYS_LOOKED_AT)
        .bind(all_have_lines);
    writer.run(update).await
}

/// How many more tasks may run in the lane, whosever they are.
pub(super) async fn room_in_lane(writer: &mut Writer, request: &ClaimRequest) -> Result<usize, StoreError> {
    let Some(max) = request.running_max else { return Ok(usize::MAX) };
    let running = match writer.dialect {
        Dialect::Sqlite => writer.shared.counts().running_in(request.lane),
        Dialect::Postgres => {
            let sql = "SELECT count(*) FROM tasks WHERE state = 'running' AND lane = ?";
            query(sql).bind(request.lane.as_str()).fetch_one(&mut writer.conn).await?.count(0)?
        }
    };
    Ok(usize::try_from(u64::from(max).saturating_sub(running)).unwrap_or(usize::MAX))
}

/// How many tasks each tenant started in the lane within the last minute; empty where the request sets no limit.
pub(super) async fn lately_started(
    writer: &mut Writer,
    request: &ClaimRequest,
) -> Result<HashMap<Group, u64>, StoreError> {
    if request.starts_per_minute_max.is_none() || request.lane != Lane::LongRunning {
        return Ok(HashMap::new());
    }
    // Its order keeps SQLite from walking all tasks by tenant.
    let sql = "SELECT tenant, count(*) FROM (SELECT tenant FROM tasks WHERE lane = 'long_running' AND started_ms > ? \
               ORDER BY started_ms) AS lately GROUP BY tenant";
    let query = query(sql).bind(writer.now_ms.saturating_sub(millis(MINUTE)));
    let rows = query.fetch_all(&mut writer.conn).await?;
    rows.iter().map(|row| Ok((Group::Tenant(TenantId(row.id(0)?)), row.count(1)?))).collect()
}
