//! One claim, carried out: program, files, sandbox, artifacts, finish.

use super::{
    Shared,
    claims::Live,
    held::{Place, Registered},
    hold::Hold,
};
use mecapy_model::{ArtifactName, ErrorKind, LogStream, Outcome, Task, TaskError, Warning};
use mecapy_runtime::{Attempt, Cancel, FileContent, InputFile, Job, Observer, Refused};
use mecapy_store::{Claimed, Finish, NewLog, OverQuota, SpoolRoom, StoreError, Written, fail_point, fail_point_of};
use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::oneshot, time::sleep};

/// Tries to write down how an attempt ended, before the lease is left to expire.
const WRITES_MAX: u32 = 5;
/// The same where the database is on another machine, which may be restarting. A claim that is no longer trusted ends
/// it before.
const WRITES_SHARED_MAX: u32 = 40;
/// The wait after the first try that failed, longer with each further one.
const AFTER_FAULT: Duration = Duration::from_millis(200);
const AFTER_FAULT_MAX: Duration = Duration::from_secs(1);
/// Wait before a full pool is asked again.
const POOL_FULL: Duration = Duration::from_millis(20);
/// How often the cancel switch is looked at while a program is made ready.
const CANCEL_HEARD_EVERY: Duration = Duration::from_millis(20);
/// The wait of a task that found no memory when it was first claimed, doubled with each further claim.
const NO_MEMORY: Duration = Duration::from_secs(1);
const NO_MEMORY_MAX: Duration = Duration::from_secs(30);
/// An outcome up to this size, in bytes of result, log and artifacts, leaves its place before it is written. A larger
/// one keeps it, so that a slow disk lets few of them wait in memory.
const WAITS_ASIDE_BYTES_MAX: usize = 256 << 10;
/// Claims not finished, of all lanes, from which on every outcome keeps its place: a slow disk slows the runs instead of
/// filling the memory.
const ENDING_MAX: usize = 1_024;

/// Runs a claimed task to its end and writes the end down.
pub(super) async fn carry_out(claimed: Claimed, registered: Registered, place: Place) {
    let (shared, live) = (&registered.shared, &registered.live);
    let claimed = Arc::new(claimed);
    let outcome = outcome_of(shared, &claimed, live).await;
    // What never ran says nothing of how long tasks take.
    if outcome.usage.execute_ms > 0.0 {
        place.took(Duration::from_secs_f64((outcome.usage.startup_ms + outcome.usage.execute_ms) / 1e3));
    }
    let bytes = bytes_of(&outcome).saturating_add(live.follow.pending_bytes());
    let waits_aside = bytes <= WAITS_ASIDE_BYTES_MAX && shared.claims.len() < ENDING_MAX;
    // The sandbox is free again: others may start while this end is written, unless it is large or one of many.
    let _place = (!waits_aside).then_some(place);
    if let Err(error) = write_down(shared, &claimed, live, outcome).await {
        let task = live.claim.task;
        tracing::error!(task.id = %task, %error, "worker.finish: not written, the task is run again when its lease ends");
    }
}

/// Runs the attempt as a task of its own: a panic in it is an outcome like any other.
async fn outcome_of(shared: &Arc<Shared>, claimed: &Arc<Claimed>, live: &Live) -> Outcome {
    let (in_shared, in_claimed, in_live) = (Arc::clone(shared), Arc::clone(claimed), live.clone());
    let ran = tokio::spawn(async move { run(&in_shared, &in_claimed.task, &in_live).await }).await;
    match ran {
        Ok(ended) => ended.unwrap_or_else(Outcome::failed),
        Err(error) => {
            tracing::error!(task.id = %live.claim.task, %error, "worker.run: did not end");
            Outcome::failed(TaskError::new(ErrorKind::Executor, "the platform failed to run this computation"))
        }
    }
}

/// Roughly what an outcome takes until it is written, bytes.
fn bytes_of(outcome: &Outcome) -> usize {
    let result = outcome.result.as_ref().map_or(0, |result| result.get().len());
    let artifacts: usize = outcome.artifacts.iter().map(|artifact| artifact.bytes.len()).sum();
    result + outcome.stdout.len() + outcome.stderr.len() + artifacts
}

async fn run(shared: &Shared, task: &Task, live: &Live) -> Result<Outcome, TaskError> {
    fail_point_of("worker.run", task.name.as_deref());
    let made_ready = async {
        let program = shared.programs.load(task.tenant, &task.code).await?;
        Ok::<_, TaskError>((program, input_files(shared, task).await?))
    };
    // The room is the files': given back when the run has ended.
    let (program, (files, _room)) = until_cancelled(&live.cancel, made_ready).await?;
    let attempt = Attempt {
        inputs: Arc::from(task.inputs.get()),
        files,
        limits: task.limits,
        seed: task.seed,
        non_finite: task.non_finite,
        wall_clock: task.started_at.unwrap_or_else(|| shared.store.clock().now()),
    };
    let mut told = None;
    let submit = || {
        let (tell, receiver) = oneshot::channel();
        told = Some(receiver);
        let observer: Arc<dyn Observer> = Arc::clone(&live.follow) as _;
        shared.sandboxes.submit(Job {
            program: program.clone(),
            attempt: attempt.clone(),
            lane: task.lane,
            tenant: task.tenant,
            cancel: live.cancel.clone(),
            observer: Some(observer),
            done: Box::new(move |outcome| drop(tell.send(outcome))),
        })
    };
    admit(&live.cancel, submit).await.map_err(|refused| refusal(live, refused))?;
    let without_outcome = || TaskError::new(ErrorKind::Executor, "the sandbox ended without an outcome");
    told.ok_or_else(without_outcome)?.await.map_err(|_| without_outcome())
}

/// Does the work that a sandbox needs done first, unless the attempt is cancelled before it ends: that may take minutes.
async fn until_cancelled<T>(cancel: &Cancel, work: impl Future<Output = Result<T, TaskError>>) -> Result<T, TaskError> {
    let mut work = pin!(work);
    while !cancel.is_cancelled() {
        tokio::select! {
            biased;
            ended = &mut work => return ended,
            () = sleep(CANCEL_HEARD_EVERY) => {}
        }
    }
    Err(cancelled())
}

/// Submits, as soon as the pool has room. Previews share the pool, so it may be full although no more was claimed than
/// it takes; that is not the task's fault. A refusal for want of room is answered only where the attempt was cancelled.
async fn admit(cancel: &Cancel, mut submit: impl FnMut() -> Result<(), Refused>) -> Result<(), Refused> {
    loop {
        match submit() {
            Err(Refused::LaneFull { .. } | Refused::TenantFull { .. }) if !cancel.is_cancelled() => {
                sleep(POOL_FULL).await;
            }
            ended => return ended,
        }
    }
}

/// What [`admit`] was refused for good.
fn refusal(live: &Live, refused: Refused) -> TaskError {
    if refused == Refused::ShuttingDown {
        live.give_back.store(true, Ordering::Release);
        return TaskError::new(ErrorKind::Executor, refused.to_string());
    }
    cancelled()
}

fn cancelled() -> TaskError {
    TaskError::new(ErrorKind::Cancelled, "cancelled")
}

async fn input_files(shared: &Shared, task: &Task) -> Result<(Vec<InputFile>, SpoolRoom), TaskError> {
    let invalid = |message: String| TaskError::new(ErrorKind::InvalidInput, message);
    let open = shared.store.open_uploads(task.tenant, task.files.values().copied().collect()).await;
    let open = open.map_err(|error| match error {
        StoreError::TooLarge { bytes_max, .. } => {
            invalid(format!("the input files are larger than {bytes_max} bytes together"))
        }
        error => storage(error),
    })?;
    let mut files = Vec::with_capacity(task.files.len());
    for (name, upload) in &task.files {
        let name = ArtifactName::parse(name).map_err(|error| invalid(error.to_string()))?;
        let found = open.files.get(upload);
        let (file, bytes) = found.ok_or_else(|| invalid(format!("the upload {upload} is not there any more")))?;
        files.push(InputFile { name, content: FileContent::File { file: Arc::clone(file), bytes: *bytes } });
    }
    Ok((files, open.room))
}

fn storage(error: StoreError) -> TaskError {
    tracing::error!(%error, "worker.store: the store failed");
    TaskError::new(ErrorKind::Storage, "the platform could not read or write its storage")
}

/// Writes the end down. Stale means that another claim owns the task by now: nothing was written.
async fn write_down(
    shared: &Shared,
    claimed: &Claimed,
    live: &Live,
    mut outcome: Outcome,
) -> Result<Written, StoreError> {
    let (store, claim) = (&shared.store, &live.claim);
    if !live.hold.is_trusted() {
        tracing::warn!(task.id = %claim.task, "worker.fence: the task may be another worker's by now, nothing is written");
        return Ok(Written::Stale);
    }
    let tries_max = if store.is_shared() { WRITES_SHARED_MAX } else { WRITES_MAX };
    let persist = Persist { hold: &live.hold, tries_max };
    if live.is_given_back() {
        return persist.write(|| store.release(claim.clone())).await;
    }
    if outcome.error_kind() == Some(ErrorKind::Quota) {
        let not_before = store.now() + no_memory_wait(claim.fence);
        return persist.write(|| store.retry_later(claim.clone(), not_before)).await;
    }
    let artifacts = std::mem::take(&mut outcome.artifacts);
    // For as long as the end itself may wait: what was computed is kept meanwhile, and not computed again.
    let stored = match persist.write(|| store.store_artifacts(claim, &artifacts)).await {
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
        && let Some(backoff) = store.fault_backoff(claimed)
    {
        tracing::warn!(task.id = %claim.task, error.kind = %kind, "worker.retry: the platform failed, tried again later");
        let not_before = store.now() + backoff;
        return persist.write(|| store.lose(claim.clone(), not_before)).await;
    }
    outcome.usage.queued_ms += queued_ms(&claimed.task);
    let logs = last_logs(live, &outcome).await;
    let finish = store.prepare_finish(claim.clone(), Finish { logs, ..Finish::new(outcome, stored) });
    persist.write(|| store.write_finish(&finish)).await
}

/// A computation whose files can't be kept has failed; one that has failed already says why it did.
fn no_room_for_files(outcome: &mut Outcome, over: OverQuota) {
    let message = format!("the files under /work/out can't be kept: {over}");
    if outcome.result.is_ok() {
        outcome.result = Err(TaskError::new(ErrorKind::InvalidArtifact, message));
    } else {
        let code = "artifact_left_out".to_owned();
        outcome.warnings.push(Warning { code, message, line: None, pointer: None });
    }
}

/// How long a task waits that found no memory, by how often it was claimed.
fn no_memory_wait(claims: u64) -> Duration {
    NO_MEMORY.saturating_mul(1_u32 << claims.saturating_sub(1).min(5)).min(NO_MEMORY_MAX)
}

/// How often a claim's writes are tried.
#[derive(Clone, Copy)]
struct Persist<'a> {
    hold: &'a Hold,
    tries_max: u32,
}

impl Persist<'_> {
    /// Tries a write again where the store says that it may help, for as long as the claim may be ours.
    async fn write<T, F>(self, mut write: impl FnMut() -> F) -> Result<T, StoreError>
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

/// Log text that was not written while the task ran, and what there is to say of the log itself.
async fn last_logs(live: &Live, outcome: &Outcome) -> Vec<NewLog> {
    let _writing = live.follow.writing().await;
    let mut logs = live.follow.drain().logs;
    for (truncated, stream) in
        [(outcome.stdout_truncated, LogStream::Stdout), (outcome.stderr_truncated, LogStream::Stderr)]
    {
        if truncated {
            logs.push(NewLog { stream, text: "… output cut here: it passed its limit\n".into() });
        }
    }
    logs
}

/// From acceptance to the claim, milliseconds.
fn queued_ms(task: &Task) -> f64 {
    let queued = task.started_at.map_or(time::Duration::ZERO, |started| started - task.created_at);
    (queued.as_seconds_f64().max(0.0) * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_pool_is_asked_again_until_it_has_room() {
        let mut answers = [
            Err(Refused::LaneFull { retry_after: POOL_FULL }),
            Err(Refused::TenantFull { retry_after: POOL_FULL }),
            Ok(()),
        ]
        .into_iter();
        let admitted = admit(&Cancel::new(), || answers.next().unwrap()).await;
        assert_eq!((admitted, answers.len()), (Ok(()), 0));
    }

    #[tokio::test]
    async fn a_cancel_ends_the_wait_and_a_closing_pool_is_not_waited_for() {
        let full = Refused::LaneFull { retry_after: POOL_FULL };
        let cancel = Cancel::new();
        let mut asked = 0;
        let submit = || {
            asked += 1;
            if asked == 3 {
                cancel.cancel();
            }
            Err(full)
        };
        assert_eq!(admit(&cancel, submit).await, Err(full));
        assert_eq!(asked, 3);
        assert_eq!(admit(&Cancel::new(), || Err(Refused::ShuttingDown)).await, Err(Refused::ShuttingDown));
    }

    #[tokio::test]
    async fn a_cancel_is_heard_while_a_program_is_made_ready() {
        let cancel = Cancel::new();
        assert_eq!(until_cancelled(&cancel, async { Ok(7) }).await, Ok(7));
        let endless = until_cancelled(&cancel, std::future::pending::<Result<(), TaskError>>());
        let stop = async {
            sleep(CANCEL_HEARD_EVERY).await;
            cancel.cancel();
        };
        assert_eq!(tokio::join!(endless, stop).0, Err(cancelled()));
    }

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
    fn who_finds_no_memory_waits_longer_each_time_up_to_a_bound() {
        let waits: Vec<u64> = [0, 1, 2, 3, 4, 5, 6, 7, u64::MAX].map(|claims| no_memory_wait(claims).as_secs()).into();
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn an_outcome_weighs_its_result_log_and_artifacts() {
        let failed = Outcome::failed(TaskError::new(ErrorKind::Exception, "no"));
        assert_eq!(bytes_of(&failed), 0);
        let artifact = mecapy_model::Artifact::new(ArtifactName::parse("a.txt").unwrap(), vec![0; 5]);
        let outcome = Outcome { stdout: "ab".to_owned(), artifacts: vec![artifact], ..failed };
        assert_eq!(bytes_of(&outcome), 7);
    }
}
