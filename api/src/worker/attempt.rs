//! One claim, carried out: program, files, sandbox, artifacts, finish.

use super::{Shared, claims::Live, pace::Pace};
use mecapy_model::{ArtifactName, ErrorKind, LogStream, Outcome, Task, TaskError};
use mecapy_runtime::{Attempt, FileContent, InputFile, Job, Observer, Refused};
use mecapy_store::{Claimed, Finish, NewLog, StoreError, Written};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::oneshot, time::sleep};

/// Tries to write down how an attempt ended, before the lease is left to expire.
const WRITES_MAX: u32 = 5;
const AFTER_FAULT: Duration = Duration::from_millis(200);

/// Runs a claimed task to its end and writes the end down.
pub(super) async fn carry_out(shared: Arc<Shared>, claimed: Claimed, pace: &Pace, in_flight: &AtomicUsize) {
    let live = Live::new(claimed.claim.clone());
    let task_id = claimed.task.id;
    shared.claims.insert(live.clone());
    if claimed.task.cancel_requested {
        live.cancel.cancel();
    }
    let outcome = run(&shared, &claimed.task, &live).await.unwrap_or_else(Outcome::failed);
    pace.took(Duration::from_secs_f64((outcome.usage.startup_ms + outcome.usage.execute_ms) / 1e3));
    // The sandbox is free again: others may start while this end is written.
    in_flight.fetch_sub(1, Ordering::AcqRel);
    shared.room_made();
    if let Err(error) = write_down(&shared, &claimed, &live, outcome).await {
        tracing::error!(task.id = %task_id, %error, "worker.finish: not written, the task is run again when its lease ends");
    }
    shared.claims.remove(task_id);
    shared.room_made();
}

async fn run(shared: &Shared, task: &Task, live: &Live) -> Result<Outcome, TaskError> {
    let program = shared.programs.load(task.tenant, &task.code).await?;
    let attempt = Attempt {
        inputs: Arc::from(task.inputs.get()),
        files: input_files(shared, task).await?,
        limits: task.limits,
        seed: task.seed,
        non_finite: task.non_finite,
        wall_clock: task.started_at.unwrap_or_else(|| shared.store.clock().now()),
    };
    let (tell, told) = oneshot::channel();
    let observer: Arc<dyn Observer> = Arc::clone(&live.follow) as _;
    let job = Job {
        program,
        attempt,
        lane: task.lane,
        tenant: task.tenant,
        cancel: live.cancel.clone(),
        observer: Some(observer),
        done: Box::new(move |outcome| drop(tell.send(outcome))),
    };
    shared.sandboxes.submit(job).map_err(|refused| refusal(live, refused))?;
    told.await.map_err(|_| TaskError::new(ErrorKind::Executor, "the sandbox ended without an outcome"))
}

/// The pool has no room although it was asked for no more than it has: treated as the platform's fault.
fn refusal(live: &Live, refused: Refused) -> TaskError {
    if refused == Refused::ShuttingDown {
        live.give_back.store(true, Ordering::Release);
    }
    TaskError::new(ErrorKind::Executor, refused.to_string())
}

async fn input_files(shared: &Shared, task: &Task) -> Result<Vec<InputFile>, TaskError> {
    let mut files = Vec::with_capacity(task.files.len());
    for (name, upload) in &task.files {
        let invalid = |message: String| TaskError::new(ErrorKind::InvalidInput, message);
        let name = ArtifactName::parse(name).map_err(|error| invalid(error.to_string()))?;
        let found = shared.store.open_upload(task.tenant, *upload).await.map_err(storage)?;
        let (file, bytes) = found.ok_or_else(|| invalid(format!("the upload {upload} is not there any more")))?;
        files.push(InputFile { name, content: FileContent::File { file: Arc::new(file), bytes } });
    }
    Ok(files)
}

fn storage(error: StoreError) -> TaskError {
    tracing::error!(%error, "worker.files: the store failed");
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
    if live.is_given_back() {
        return persist(|| store.release(claim.clone())).await;
    }
    if let Some(kind) = outcome.error_kind().filter(|kind| kind.is_platform_fault())
        && let Some(backoff) = claimed.retry_after()
    {
        tracing::warn!(task.id = %claim.task, error.kind = %kind, "worker.retry: the platform failed, tried again later");
        let not_before = store.clock().now() + backoff;
        return persist(|| store.retry_later(claim.clone(), not_before)).await;
    }
    let artifacts = std::mem::take(&mut outcome.artifacts);
    let stored = match artifacts.is_empty() {
        true => Vec::new(),
        false => persist(|| store.store_artifacts(claim, artifacts.clone())).await?,
    };
    outcome.usage.queued_ms += queued_ms(&claimed.task);
    let logs = last_logs(live, &outcome).await;
    let finish = Finish { logs, ..Finish::new(outcome, stored) };
    persist(|| store.finish(claim.clone(), finish.clone())).await
}

/// Tries a write again where the store says that it may help.
async fn persist<T, F>(mut write: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 1;
    loop {
        match write().await {
            Err(error) if error.is_retryable() && tries < WRITES_MAX => {
                tries += 1;
                sleep(AFTER_FAULT * tries).await;
            }
            ended => return ended,
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
