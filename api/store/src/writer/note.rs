//! What a worker reports while it runs: progress, log entries, that it lives.

use super::logs::{self, LogPiece, LogRow};
use super::state::Writer;
use crate::clock::millis;
use crate::shared::Change;
use crate::sql::{Rows, pieces, query};
use crate::{Beat, ClaimRef, StoreError, Written};
use mecapy_model::{Progress, TaskId};
use std::collections::HashMap;
use std::time::Duration;

/// Progress and log entries of one attempt.
pub(crate) struct Note {
    claim: ClaimRef,
    progress: Option<Progress>,
    logs: Vec<LogPiece>,
}

impl Note {
    pub(crate) fn new(claim: ClaimRef, logs: Vec<LogPiece>, progress: Option<Progress>) -> Self {
        Self { claim, progress, logs }
    }
}

/// The state as an expression, so that no partial index of it is walked to find rows which are known by number.
const BEAT: Rows = Rows {
    head: "UPDATE tasks SET lease_until_ms = v.column4 FROM (",
    width: 4,
    tail: ") AS v WHERE tasks.no = v.column1 AND tasks.fence = v.column2 AND tasks.lease_token = v.column3 \
           AND tasks.state || '' = 'running' RETURNING no, fence, cancel_requested",
};

impl Writer {
    pub(super) async fn note(&mut self, note: &Note) -> Result<Written, StoreError> {
        let Note { claim, progress, logs } = note;
        let steps = logs::count(logs) + i64::from(progress.is_some());
        let sql = "UPDATE tasks SET event_seq = event_seq + ?1, log_bytes = log_bytes + ?2, \
                   progress_seq = CASE WHEN ?3 IS NULL THEN progress_seq ELSE event_seq + ?1 END, \
                   progress_ms = CASE WHEN ?3 IS NULL THEN progress_ms ELSE ?4 END, \
                   progress_message = CASE WHEN ?3 IS NULL THEN progress_message ELSE ?5 END, \
                   progress_fraction = coalesce(?3, progress_fraction) \
                   WHERE no = ?6 AND fence = ?7 AND lease_token = ?8 AND state = 'running' \
                   RETURNING event_seq, log_bytes";
        let fraction = progress.as_ref().map(|progress| progress.fraction).filter(|fraction| fraction.is_finite());
        let query = query(sql)
            .bind(steps)
            .bind(logs::bytes(logs))
            .bind(fraction)
            .bind(self.now_ms)
            .bind(progress.as_ref().and_then(|progress| progress.message.as_deref()))
            .bind(claim.no)
            .bind(fence(claim))
            .bind(claim.lease.0.as_slice());
        let Some(row) = query.fetch_optional(&mut self.conn).await? else { return Ok(Written::Stale) };
        let (seq, log_bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let kept = logs::cut(logs, log_bytes - logs::bytes(logs), self.options.log_bytes_max);
        let (no, at_ms) = (claim.no, self.now_ms);
        let rows = (seq - steps + 1..).zip(kept).map(|(seq, piece)| LogRow { no, seq, at_ms, piece });
        let rows: Vec<_> = rows.collect();
        self.insert_logs(&rows).await?;
        self.changed(claim.task, Change::Moved);
        Ok(Written::Done)
    }

    pub(super) async fn heartbeat(&mut self, claims: &[ClaimRef]) -> Result<Vec<(TaskId, Beat)>, StoreError> {
        self.extend(claims, self.options.lease).await
    }

    /// Lets claims hold for a time from now.
    pub(crate) async fn extend(
        &mut self,
        claims: &[ClaimRef],
        lease: Duration,
    ) -> Result<Vec<(TaskId, Beat)>, StoreError> {
        let until = self.lease_now_ms().saturating_add(millis(lease));
        // A fence is given out once, so number and fence name one claim.
        let mut extended = HashMap::with_capacity(claims.len());
        for piece in pieces(claims) {
            let mut query = query(BEAT.sql(piece.len()));
            for claim in piece {
                query = query.bind(claim.no).bind(fence(claim)).bind(claim.lease.0.as_slice()).bind(until);
            }
            for row in query.fetch_all(&mut self.conn).await? {
                let (no, fence): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
                let beat = if row.flag(2)? { Beat::CancelRequested } else { Beat::Extended };
                extended.insert((no, fence), beat);
            }
        }
        let beat = |claim: &ClaimRef| extended.get(&(claim.no, fence(claim))).copied().unwrap_or(Beat::Stale);
        Ok(claims.iter().map(|claim| (claim.task, beat(claim))).collect())
    }
}

/// A claim's fence as the database holds it.
fn fence(claim: &ClaimRef) -> i64 {
    i64::try_from(claim.fence).unwrap_or(i64::MAX)
}
