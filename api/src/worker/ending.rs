//! How an attempt's end is written down, wherever it ran: its files, then its result, log and usage, once.

use super::{Shared, claims::Live, follow::Pending, hold::Hold};
use mecapy_model::{ErrorKind, LogStream, Outcome, Progress, Task, TaskError, Warning};
use mecapy_store::{ArtifactFile, Claimed, Finish, NewLog, OverQuota, Store, StoreError, Written, fail_point};
use std::time::Duration;
use tokio::time::sleep;

/// Tries to write down how an attempt ended, before the lease is left to expire.
const WRITES_MAX: u32 = 5;
/// The same where the database is on another machine, which may be restarting. A claim that is no longer trusted ends
/// it before.
const WRITES_SHARED_MAX: u32 = 40;
/// The wait after the first try that failed, longer with each further one.
const AFTER_FAULT: Duration = Duration::from_millis(200);
const AFTER_FAULT_MAX: Duration = Duration::from_secs(1);
/// The wait of a task that could not be started when it was first claimed, for want of room or of an engine, doubled with each further claim.
const NO_ROOM: Duration = Duration::from_secs(1);
const NO_ROOM_MAX: Duration = Duration::from_secs(30);

/// An attempt's end.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// Files beside the outcome's own artifacts, too large for memory.
    pub(super) files: Vec<ArtifactFile>,
    pub(super) next_try: NextTry,
}

/// Who tries a task again whose attempt the platform failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum NextTry {
    /// Any worker, as often as the platform may fail a task.
    #[default]
    Usual,
    /// Nobody: none would go better before an operator has done something.
    Never,
    /// Another worker, which has what this one lacks; this attempt doesn't count.
    Elsewhere,
    /// Any worker, after a moment: this one's engine went away before the attempt began, and that doesn't count.
    Later,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, files: Vec::new(), next_try: NextTry::default() }
    }
}

pub(super) fn storage(error: StoreError) -> TaskError {
    tracing::error!(%error, "worker.store: the store failed");
    TaskError::new(ErrorKind::Storage, "the platform could not read or write its storage")
}

/// Writes the end down. Stale means that another claim owns the task by now: nothing was written.
pub(super) async fn write_down(
    shared: &Shared,
    claimed: &Claimed,
    live: &Live,
    ended: Ended,
) -> Result<Written, StoreError> {
    let Ended { mut outcome, files, next_try } = ended;
    let (store, claim) = (&shared.store, &live.claim);
    if !live.hold.is_trusted() {
        tracing::warn!(task.id = %claim.task, "worker.fence: the task may be another worker's by now, nothing is written");
        return Ok(Written::Stale);
    }
    let persist = Persist::of(store, live);
    if live.is_given_back() {
        return persist.write(|| store.release(claim.clone())).await;
    }
    if outcome.error_kind() == Some(ErrorKind::Quota) || matches!(next_try, NextTry::Elsewhere | NextTry::Later) {
        let not_before = store.now() + no_room_wait(claim.fence);
        return persist.write(|| store.retry_later(claim.clone(), not_before)).await;
    }
    let artifacts = std::mem::take(&mut outcome.artifacts);
    // For as long as the end itself may wait: what was computed is kept meanwhile, and not computed again.
    let stored = match persist.write(|| store.store_files(claim, &artifacts, &files)).await {
        Ok(stored) => stored,
        Err(StoreError::OverQuota(over)) => {
            no_room_for_files(&mut outcome, over);
            Vec::new()
        }
        Err(error) => {
            outcome.result = Err(storage(error));
            Vec::new()
        }
    };
    if !stored.is_empty() {
        fail_point("worker.after_objects");
    }
    if let Some(kind) = outcome.error_kind().filter(|kind| kind.is_platform_fault())
        && next_try == NextTry::Usual
        && let Some(backoff) = store.fault_backoff(claimed)
    {
        tracing::warn!(task.id = %claim.task, error.kind = %kind, "worker.retry: the platform failed, tried again later");
        let not_before = store.now() + backoff;
        return persist.write(|| store.lose(claim.clone(), not_before)).await;
    }
    outcome.usage.queued_ms += queued_ms(&claimed.task);
    let (logs, progress) = last_words(live, &outcome).await;
    if progress.is_some()
        && let Err(error) = store.note(claim.clone(), Vec::new(), progress).await
    {
        // How far it was is worth less than its end, which follows.
        tracing::debug!(task.id = %claim.task, %error, "worker.finish: the last progress is not written");
    }
    let finish = store.prepare_finish(claim.clone(), Finish { logs, ..Finish::new(outcome, stored) });
    persist.write(|| store.write_finish(&finish)).await
}

/// A computation whose files can't be kept has failed; one that has failed already says why it did.
fn no_room_for_files(outcome: &mut Outcome, over: OverQuota) {
    let message = format!("the files that it left can't be kept: {over}");
    if outcome.result.is_ok() {
        outcome.result = Err(TaskError::new(ErrorKind::InvalidArtifact, message));
    } else {
        let code = "artifact_left_out".to_owned();
        outcome.warnings.push(Warning { code, message, line: None, pointer: None });
    }
}

/// How long a task waits that found no room, by how often it was claimed.
fn no_room_wait(claims: u64) -> Duration {
    NO_ROOM.saturating_mul(1_u32 << claims.saturating_sub(1).min(5)).min(NO_ROOM_MAX)
}

/// How often a claim's writes are tried.
#[derive(Clone, Copy)]
pub(super) struct Persist<'a> {
    hold: &'a Hold,
    tries_max: u32,
}

/// Tries a write of a claim again where that may help, for as long as the claim may be ours.
pub(super) async fn persisted<T, F>(shared: &Shared, live: &Live, write: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    Persist::of(&shared.store, live).write(write).await
}

impl<'a> Persist<'a> {
    pub(super) fn of(store: &Store, live: &'a Live) -> Self {
        Self { hold: &live.hold, tries_max: if store.is_shared() { WRITES_SHARED_MAX } else { WRITES_MAX } }
    }

    /// Tries a write again where the store says that it may help, for as long as the claim may be ours.
    pub(super) async fn write<T, F>(self, mut write: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut tries = 1;
        loop {
            match write().await {
                Err(error) if error.is_retryable() && tries < self.tries_max => {
                    tries += 1;
                    sleep((AFTER_FAULT * tries).min(AFTER_FAULT_MAX)).await;
                    if !self.hold.is_trusted() {
                        return Err(error);
                    }
                }
                ended => return ended,
            }
        }
    }
}

/// Log text and progress that were not written while the task ran, and what there is to say of the log itself.
async fn last_words(live: &Live, outcome: &Outcome) -> (Vec<NewLog>, Option<Progress>) {
    let _writing = live.follow.writing().await;
    let Pending { mut logs, progress, .. } = live.follow.drain();
    for (truncated, stream) in
        [(outcome.stdout_truncated, LogStream::Stdout), (outcome.stderr_truncated, LogStream::Stderr)]
    {
        if truncated {
            logs.push(NewLog { stream, text: "… output cut here: it passed its limit\n".into() });
        }
    }
    (logs, progress)
}

/// From acceptance to the claim, milliseconds.
fn queued_ms(task: &Task) -> f64 {
    let queued = task.started_at.map_or(time::Duration::ZERO, |started| started - task.created_at);
    (queued.as_seconds_f64().max(0.0) * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_write_is_tried_until_the_claim_is_no_longer_trusted_and_not_once_more() {
        let clock = Arc::new(mecapy_store::ManualClock::at(time::OffsetDateTime::UNIX_EPOCH, 1));
        let hold = Hold::new(clock.clone(), Some(Duration::from_secs(3)), Duration::ZERO);
        let mut tried = 0;
        let persist = Persist { hold: &hold, tries_max: WRITES_SHARED_MAX };
        let written: Result<Written, _> = persist
            .write(|| {
                tried += 1;
                clock.advance(Duration::from_secs(1));
                std::future::ready(Err(StoreError::Io {
                    doing: "writing".to_owned(),
                    source: Arc::new(std::io::ErrorKind::TimedOut.into()),
                }))
            })
            .await;
        assert!(written.is_err());
        assert_eq!(tried, 3);
    }

    #[test]
    fn who_finds_no_room_waits_longer_each_time_up_to_a_bound() {
        let waits: Vec<u64> = [0, 1, 2, 3, 4, 5, 6, 7, u64::MAX].map(|claims| no_room_wait(claims).as_secs()).into();
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
