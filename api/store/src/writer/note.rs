//! What a worker reports while it runs: progress, log entries, that it lives.

use super::ending::{bytes, count, cut_logs};
use super::state::Writer;
use crate::clock::millis;
use crate::shared::Change;
use crate::sql::query;
use crate::{Beat, ClaimRef, NewLog, StoreError, Written};
use mecapy_model::{LogStream, Progress, TaskId};
use std::sync::Arc;

/// Progress and log entries of one attempt.
pub(crate) struct Note {
    claim: ClaimRef,
    progress: Option<Progress>,
    logs: Vec<(LogStream, Arc<str>)>,
}

impl Note {
    pub(crate) fn new(claim: ClaimRef, entries: Vec<NewLog>, progress: Option<Progress>) -> Self {
        let logs = entries.into_iter().map(|NewLog { stream, text }| (stream, text.into())).collect();
        Self { claim, progress, logs }
    }
}

impl Writer {
    pub(super) async fn note(&mut self, note: &Note) -> Result<Written, StoreError> {
        let Note { claim, progress, logs } = note;
        let steps = count(logs) + i64::from(progress.is_some());
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
            .bind(bytes(logs))
            .bind(fraction)
            .bind(self.now_ms)
            .bind(progress.as_ref().and_then(|progress| progress.message.as_deref()))
            .bind(claim.no)
            .bind(i64::try_from(claim.fence).unwrap_or(i64::MAX))
            .bind(claim.lease.0.as_slice());
        let Some(row) = query.fetch_optional(&mut self.conn).await? else { return Ok(Written::Stale) };
        let (seq, log_bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let entries = cut_logs(logs, log_bytes - bytes(logs), self.options.log_bytes_max);
        let now_ms = self.now_ms;
        let rows: Vec<_> = (seq - steps + 1..)
            .zip(entries)
            .map(|(seq, (stream, text))| (claim.no, seq, now_ms, stream, text))
            .collect();
        self.insert_logs(&rows).await?;
        self.changed(claim.task, Change::Moved);
        Ok(Written::Done)
    }

    pub(super) async fn heartbeat(&mut self, claims: &[ClaimRef]) -> Result<Vec<(TaskId, Beat)>, StoreError> {
        let until = self.lease_now_ms().saturating_add(millis(self.options.lease));
        let sql = "UPDATE tasks SET lease_until_ms = ? WHERE no = ? AND fence = ? AND lease_token = ? \
                   AND state = 'running' RETURNING cancel_requested";
        let mut beats = Vec::with_capacity(claims.len());
        for claim in claims {
            let query = query(sql)
                .bind(until)
                .bind(claim.no)
                .bind(i64::try_from(claim.fence).unwrap_or(i64::MAX))
                .bind(claim.lease.0.as_slice());
            let row = query.fetch_optional(&mut self.conn).await?;
            let beat = match row.map(|row| row.flag(0)).transpose()? {
                Some(true) => Beat::CancelRequested,
                Some(false) => Beat::Extended,
                None => Beat::Stale,
            };
            beats.push((claim.task, beat));
        }
        Ok(beats)
    }
}
