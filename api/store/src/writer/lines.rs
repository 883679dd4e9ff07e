//! Which lines of a lane have something to start: embedded as memory knows, in PostgreSQL as the rows say.

use super::state::Writer;
use crate::clock::millis;
use crate::shared::{Group, Turn};
use crate::sql::{Dialect, Rows, pieces, query};
use crate::{ClaimRequest, Claimed, StoreError};
use mecapy_model::{Lane, TenantId};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Claims of one lane take this advisory lock (and one more for each lane) one after the other.
const LANE_LOCKS: i64 = 0x6d65_6361_7079_0000;
/// How long a claim waits for another process's, which takes milliseconds unless that process stands still: then
/// heartbeats, which wait behind it, must not be late.
const LANE_LOCK_WAIT: Duration = Duration::from_millis(100);
/// Before it is asked for again, doubled each time.
const LANE_LOCK_LOOK: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The groups with queued tasks, by a walk over the index that reads one entry of each.
const WAITING: &str = "WITH RECURSIVE line AS ( \
     (SELECT queue_rank, queue_group FROM tasks WHERE state = 'queued' AND lane = ?1 AND queue_group IS NOT NULL \
      ORDER BY queue_rank, queue_group LIMIT 1) \
     UNION ALL SELECT after.queue_rank, after.queue_group FROM line, LATERAL (SELECT queue_rank, queue_group FROM tasks \
      WHERE state = 'queued' AND lane = ?1 AND queue_group IS NOT NULL \
      AND (queue_rank, queue_group) > (line.queue_rank, line.queue_group) ORDER BY queue_rank, queue_group LIMIT 1) after) \
     SELECT line.queue_rank, line.queue_group, \
      (SELECT count(*) FROM tasks r WHERE r.state = 'running' AND r.lane = ?1 AND r.tenant = line.queue_group), \
      coalesce((SELECT turn FROM lane_turns t WHERE t.lane = ?1 AND t.tenant = line.queue_group), 0) FROM line";
const LAST_TURN: &str = "SELECT coalesce(max(turn), 0) FROM lane_turns WHERE lane = ?";

const TURNS: Rows = Rows {
    head: "INSERT INTO lane_turns (lane, tenant, turn)",
    width: 3,
    tail: " ON CONFLICT (lane, tenant) DO UPDATE SET turn = excluded.turn",
};

/// The lane's ranks, first to last, and the groups of each that may have something to start. In PostgreSQL no other
/// process claims from the lane until this transaction ends; nothing is answered while another does for long.
pub(super) async fn waiting(writer: &mut Writer, lane: Lane) -> Result<BTreeMap<i64, Vec<Turn>>, StoreError> {
    if writer.dialect == Dialect::Sqlite {
        let counts = writer.shared.counts();
        let ranks = counts.ranks(lane).into_iter();
        return Ok(ranks.map(|rank| (rank, counts.turns(lane, rank, writer.now_ms))).collect());
    }
    let mut ranks: BTreeMap<i64, Vec<Turn>> = BTreeMap::new();
    if !lock_lane(writer, lane).await? {
        return Ok(ranks);
    }
    for row in query(WAITING).bind(lane.as_str()).fetch_all(&mut writer.conn).await? {
        let group = Group::of_id(row.try_get(1)?);
        ranks.entry(row.try_get(0)?).or_default().push(Turn::new(group, row.count(2)?, row.count(3)?, i64::MIN));
    }
    Ok(ranks)
}

async fn lock_lane(writer: &mut Writer, lane: Lane) -> Result<bool, StoreError> {
    let at = Lane::ALL.iter().position(|other| *other == lane).and_then(|at| i64::try_from(at).ok()).unwrap_or(0);
    let started = Instant::now();
    let mut look = LANE_LOCK_LOOK;
    loop {
        let lock = query("SELECT pg_try_advisory_xact_lock(?)").bind(LANE_LOCKS + at);
        if lock.fetch_one(&mut writer.conn).await?.try_get(0)? {
            return Ok(true);
        }
        if started.elapsed() >= LANE_LOCK_WAIT {
            return Ok(false);
        }
        sleep(look).await;
        look *= 2;
    }
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

/// Whose turns were taken now, for claims of other processes.
pub(super) async fn remember_turns(writer: &mut Writer, lane: Lane, claimed: &[Claimed]) -> Result<(), StoreError> {
    if writer.dialect == Dialect::Sqlite || lane == Lane::HighPriority {
        return Ok(());
    }
    if claimed.is_empty() {
        return Ok(());
    }
    let last: i64 = query(LAST_TURN).bind(lane.as_str()).fetch_one(&mut writer.conn).await?.try_get(0)?;
    let turns: BTreeMap<_, i64> = claimed.iter().map(|claimed| claimed.claim.tenant).zip(last + 1..).collect();
    let turns: Vec<_> = turns.into_iter().collect();
    for piece in pieces(&turns) {
        let mut query = query(TURNS.sql(piece.len()));
        for (tenant, turn) in piece {
            query = query.bind(lane.as_str()).bind(*tenant).bind(*turn);
        }
        writer.run(query).await?;
    }
    Ok(())
}
