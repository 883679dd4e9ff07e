//! The loop that fires what is due: one in every process that runs sandboxes. Of all that try for the same time one has
//! effect, by the schedule's next time as the store has it.

use super::{
    judge::{Situation, Verdict, judge},
    timetable::Timetable,
    unix_ms,
    work::Work,
};
use crate::{app::App, intake::Rejected};
use mecapy_model::Fault;
use mecapy_store::{Fire, FireWork, Fired, OverlapPolicy, ScheduleRow, StoreError, SubmitError};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Schedules of one look, each with its request.
const LOOK_MAX: u32 = 64;
/// Of those, fired at once.
const AT_ONCE_MAX: usize = 8;
/// Between two looks. One is at each full minute, which is when cron's times are.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After the store failed.
const AFTER_FAULT: Duration = Duration::from_secs(1);
/// A firing that takes longer is given up, and tried again at the next look.
const FIRING_TIMEOUT: Duration = Duration::from_secs(30);
/// Faults of one request that the history tells.
const FAULTS_TOLD_MAX: usize = 5;
/// The longest note of the history, in characters.
const NOTE_CHARS_MAX: usize = 1_000;

/// Fires schedules until it is drained.
pub struct Driver {
    stopping: CancellationToken,
    loops: tokio::sync::Mutex<JoinSet<()>>,
}

impl Driver {
    /// Starts the loop.
    pub fn start(app: Arc<App>) -> Self {
        let stopping = CancellationToken::new();
        let mut loops = JoinSet::new();
        loops.spawn(drive(app, stopping.clone()));
        Self { stopping, loops: tokio::sync::Mutex::new(loops) }
    }

    /// Begins no more firings and waits for those that are under way.
    pub async fn drain(&self, at_most: Duration) {
        self.stopping.cancel();
        let mut loops = self.loops.lock().await;
        // What is cut off here has no effect: a firing is one transaction.
        let _ = timeout(at_most, async { while loops.join_next().await.is_some() {} }).await;
        loops.shutdown().await;
    }
}

async fn drive(app: Arc<App>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let wait = match app.store.due_schedules(app.store.now(), LOOK_MAX).await {
            Ok(due) => {
                let is_full = due.len() >= usize::try_from(LOOK_MAX).unwrap_or(usize::MAX);
                let failed = fire_all(&app, due, &stopping).await;
                match (failed, is_full) {
                    (false, true) => Duration::ZERO,
                    (false, false) => until_next_look(app.store.now()),
                    (true, _) => AFTER_FAULT,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "schedules.look: the store failed");
                AFTER_FAULT
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = stopping.cancelled() => {}
        }
    }
}

/// A look's period, or less where a minute begins before.
fn until_next_look(now: OffsetDateTime) -> Duration {
    let into_minute = Duration::new(u64::from(now.second()), now.nanosecond());
    LOOK_EVERY.min(Duration::from_secs(60).saturating_sub(into_minute))
}

/// Fires these, some at once; says whether one has to be tried again.
async fn fire_all(app: &Arc<App>, due: Vec<ScheduleRow>, stopping: &CancellationToken) -> bool {
    let mut firings = JoinSet::new();
    let mut failed = false;
    for row in due {
        if stopping.is_cancelled() {
            break;
        }
        if firings.len() >= AT_ONCE_MAX {
            failed |= firings.join_next().await.is_some_and(|fired| fired.unwrap_or(true));
        }
        firings.spawn(guarded(Arc::clone(app), row));
    }
    while let Some(fired) = firings.join_next().await {
        failed |= fired.unwrap_or(true);
    }
    failed
}

/// A firing in a task of its own: one that panics is a failure of its schedule alone, whose time passes. Says whether it
/// has to be tried again.
async fn guarded(app: Arc<App>, row: ScheduleRow) -> bool {
    let id = row.id;
    let mut one = JoinSet::new();
    let (own_app, own_row) = (Arc::clone(&app), row.clone());
    one.spawn(async move { fire(&own_app, &own_row).await });
    let fired = match timeout(FIRING_TIMEOUT, one.join_next()).await {
        Ok(Some(Ok(fired))) => fired,
        Ok(Some(Err(error))) => {
            tracing::error!(schedule.id = %id, %error, "schedules.fire: a firing ended badly");
            pass(&app, &row, "the platform failed at this firing".to_owned()).await
        }
        Ok(None) | Err(_) => {
            tracing::warn!(schedule.id = %id, "schedules.fire: took too long, tried again");
            return true;
        }
    };
    if let Err(error) = &fired {
        tracing::warn!(schedule.id = %id, %error, "schedules.fire: the store failed, tried again");
    }
    fired.is_err()
}

async fn fire(app: &App, row: &ScheduleRow) -> Result<(), StoreError> {
    let now = app.store.now();
    let Some(due) = row.next_ms.and_then(from_unix_ms) else { return Ok(()) };
    let ended = match row.overlap {
        OverlapPolicy::Queue if !row.is_busy => last_end(app, row).await?,
        _ => None,
    };
    let ScheduleRow { missed, overlap, is_busy, .. } = *row;
    let note = match judge(Situation { due, now, missed, overlap, is_busy, ended }) {
        Verdict::Wait => return Ok(()),
        Verdict::Pass(why) => return pass(app, row, why.to_owned()).await,
        Verdict::Fire(note) => note.map(str::to_owned),
    };
    let work: Work = match serde_json::from_str(row.work.get()) {
        Ok(work) => work,
        Err(error) => return pass(app, row, format!("the request can't be read: {error}")).await,
    };
    let work = match work.make(app, row.tenant, Some(row.id)).await {
        Ok(work) => work,
        Err(Rejected::Store(error)) => return Err(error),
        Err(rejected) => return pass(app, row, told(rejected)).await,
    };
    match store(app, row, (work, note)).await? {
        Fired::Done { task, run } => {
            tracing::debug!(schedule.id = %row.id, task.id = ?task, run.id = ?run, "schedules.fire: fired");
            Ok(())
        }
        Fired::Stale => Ok(()),
        Fired::Refused(SubmitError::Store(error)) => Err(error),
        Fired::Refused(why) => pass(app, row, format!("nothing was started: {why}")).await,
    }
}

/// Lets the time pass; the history says why.
async fn pass(app: &App, row: &ScheduleRow, why: String) -> Result<(), StoreError> {
    tracing::debug!(schedule.id = %row.id, why = %why, "schedules.fire: the time passes");
    let note = why.chars().take(NOTE_CHARS_MAX).collect();
    store(app, row, (FireWork::Nothing, Some(note))).await.map(drop)
}

async fn store(app: &App, row: &ScheduleRow, (work, note): (FireWork, Option<String>)) -> Result<Fired, StoreError> {
    let Some(due_ms) = row.next_ms else { return Ok(Fired::Stale) };
    // A zone's rules change with the program: one that is not known any more has no next time.
    let timetable = Timetable::new(&row.cron, &row.timezone).ok();
    let next = timetable.and_then(|timetable| timetable.next(app.store.now()));
    let next_ms = next.map(unix_ms);
    app.store.fire(Fire { tenant: row.tenant, schedule: row.id, due_ms, next_ms, work, note }).await
}

/// When what the schedule started last ended; `None` where it started nothing, or that is gone.
async fn last_end(app: &App, row: &ScheduleRow) -> Result<Option<OffsetDateTime>, StoreError> {
    if let Some(task) = row.last_task {
        return Ok(app.store.task_shown(row.tenant, task).await?.and_then(|task| task.completed_at));
    }
    let Some(run) = row.last_run else { return Ok(None) };
    Ok(app.store.run(row.tenant, run).await?.and_then(|run| run.completed_at))
}

/// Why a request is not accepted any more, for the history.
fn told(rejected: Rejected) -> String {
    let why = match rejected {
        Rejected::Invalid(faults) => {
            let left = faults.len().saturating_sub(FAULTS_TOLD_MAX);
            let told = faults
                .iter()
                .take(FAULTS_TOLD_MAX)
                .map(|Fault { pointer, message, .. }| format!("{pointer}: {message}"));
            let mut told: Vec<String> = told.collect();
            if left > 0 {
                told.push(format!("and {left} more"));
            }
            told.join("; ")
        }
        Rejected::Malformed(malformed) => malformed.to_string(),
        Rejected::NotReady { detail, .. } | Rejected::Busy { detail, .. } => detail.to_owned(),
        Rejected::NotQueued(error) => error.to_string(),
        Rejected::Store(error) => error.to_string(),
    };
    format!("the request is not accepted any more: {why}")
}

fn from_unix_ms(ms: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_look_is_each_second_and_at_each_full_minute() {
        let rows = [
            (datetime!(2026-11-26 10:00:00 UTC), 1_000),
            (datetime!(2026-11-26 10:00:58.5 UTC), 1_000),
            (datetime!(2026-11-26 10:00:59.75 UTC), 250),
        ];
        for (now, expected) in rows {
            assert_eq!(until_next_look(now), Duration::from_millis(expected), "{now}");
        }
    }

    #[test]
    fn the_history_tells_the_first_faults() {
        let fault = |n: usize| Fault::new(format!("/task/inputs/{n}"), "invalid", "no");
        let told = told(Rejected::Invalid((0..7).map(fault).collect()));
        assert!(told.ends_with("/task/inputs/4: no; and 2 more"), "{told}");
    }
}
