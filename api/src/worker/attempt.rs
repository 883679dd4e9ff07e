//! One claim, carried out in a sandbox: program, files, sandbox, finish.

use super::{
    Shared,
    claims::Live,
    ending::{storage, write_down},
    held::{Place, Registered},
    items,
    lanes::Sandboxed,
};
use mecapy_model::{ArtifactName, Code, ErrorKind, Outcome, Task, TaskError, TenantId, UploadId};
use mecapy_runtime::{Attempt, Cancel, FileContent, InputFile, Job, Observer, Refused};
use mecapy_store::{Claimed, SpoolRoom, Store, StoreError, fail_point_of};
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::oneshot, time::sleep};

/// Wait before a full pool is asked again.
const POOL_FULL: Duration = Duration::from_millis(20);
/// How often the cancel switch is looked at while a program is made ready.
const CANCEL_HEARD_EVERY: Duration = Duration::from_millis(20);
/// What is told of an attempt that panicked.
pub(super) const DID_NOT_END: &str = "the platform failed to run this computation";
/// An outcome up to this size, in bytes of result, log and artifacts, leaves its place before it is written. A larger
/// one keeps it, so that a slow disk lets few of them wait in memory.
const WAITS_ASIDE_BYTES_MAX: usize = 256 << 10;
/// Claims not finished, of all lanes, from which on every outcome keeps its place: a slow disk slows the runs instead of
/// filling the memory.
const ENDING_MAX: usize = 1_024;

/// Runs a claimed task to its end and writes the end down.
pub(super) async fn carry_out(sandboxed: Arc<Sandboxed>, claimed: Claimed, registered: Registered, place: Place) {
    let (shared, live) = (&registered.shared, &registered.live);
    let claimed = Arc::new(claimed);
    let outcome = outcome_of(&sandboxed, shared, &claimed, live).await;
    // What never ran says nothing of how long tasks take.
    if outcome.usage.execute_ms > 0.0 {
        place.took(Duration::from_secs_f64((outcome.usage.startup_ms + outcome.usage.execute_ms) / 1e3));
    }
    let bytes = bytes_of(&outcome).saturating_add(live.follow.pending_bytes());
    let waits_aside = bytes <= WAITS_ASIDE_BYTES_MAX && shared.claims.len() < ENDING_MAX;
    // The sandbox is free again: others may start while this end is written, unless it is large or one of many.
    let _place = (!waits_aside).then_some(place);
    if let Err(error) = write_down(shared, &claimed, live, outcome.into()).await {
        let task = live.claim.task;
        tracing::error!(task.id = %task, %error, "worker.finish: not written, the task is run again when its lease ends");
    }
}

/// Runs the attempt as a task of its own: a panic in it is an outcome like any other.
async fn outcome_of(sandboxed: &Arc<Sandboxed>, shared: &Arc<Shared>, claimed: &Arc<Claimed>, live: &Live) -> Outcome {
    let (in_sandbox, in_shared) = (Arc::clone(sandboxed), Arc::clone(shared));
    let (in_claimed, in_live) = (Arc::clone(claimed), live.clone());
    let ran = tokio::spawn(async move {
        let (store, claimed) = (&in_shared.store, &in_claimed);
        match &claimed.task.code {
            Code::Items { .. } => items::run(&in_sandbox, store, claimed, &in_live).await,
            _ => run(&in_sandbox, store, &claimed.task, &in_live).await,
        }
    });
    let ran = ran.await;
    match ran {
        Ok(ended) => ended.unwrap_or_else(Outcome::failed),
        Err(error) => {
            tracing::error!(task.id = %live.claim.task, %error, "worker.run: did not end");
            Outcome::failed(TaskError::new(ErrorKind::Executor, DID_NOT_END))
        }
    }
}

/// Roughly what an outcome takes until it is written, bytes.
fn bytes_of(outcome: &Outcome) -> usize {
    let result = outcome.result.as_ref().map_or(0, |result| result.get().len());
    let artifacts: usize = outcome.artifacts.iter().map(|artifact| artifact.bytes.len()).sum();
    result + outcome.stdout.len() + outcome.stderr.len() + artifacts
}

async fn run(sandboxed: &Sandboxed, store: &Store, task: &Task, live: &Live) -> Result<Outcome, TaskError> {
    fail_point_of("worker.run", task.name.as_deref());
    let made_ready = async {
        let loaded = sandboxed.programs.load(task.tenant, &task.code).await?;
        Ok::<_, TaskError>((loaded, input_files(store, task.tenant, &task.files).await?))
    };
    // The room is the files': given back when the run has ended.
    let ((program, call), (files, _room)) = until_cancelled(&live.cancel, made_ready).await?;
    let attempt = Attempt {
        inputs: Arc::from(task.inputs.get()),
        files,
        limits: task.limits,
        seed: task.seed,
        non_finite: task.non_finite,
        kernels: task.kernels,
        wall_clock: task.started_at.unwrap_or_else(|| store.clock().now()),
    };
    let mut told = None;
    let submit = || {
        let (tell, receiver) = oneshot::channel();
        told = Some(receiver);
        let observer: Arc<dyn Observer> = Arc::clone(&live.follow) as _;
        sandboxed.sandboxes.submit(Job {
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
    let outcome = told.ok_or_else(without_outcome)?.await.map_err(|_| without_outcome())?;
    Ok(match call {
        Some(call) => call.finish(outcome, task.inputs.get(), task.non_finite),
        None => outcome,
    })
}

/// Does the work that a run needs done first, unless the attempt is cancelled before it ends: that may take minutes.
pub(super) async fn until_cancelled<T>(
    cancel: &Cancel,
    work: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, TaskError> {
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
pub(super) async fn admit(cancel: &Cancel, mut submit: impl FnMut() -> Result<(), Refused>) -> Result<(), Refused> {
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
pub(super) fn refusal(live: &Live, refused: Refused) -> TaskError {
    if refused == Refused::ShuttingDown {
        live.give_back.store(true, Ordering::Release);
        return TaskError::new(ErrorKind::Executor, refused.to_string());
    }
    cancelled()
}

pub(super) fn cancelled() -> TaskError {
    TaskError::new(ErrorKind::Cancelled, "cancelled")
}

/// A task's files by their names, open. The room is to be held for as long as they are.
pub(super) async fn input_files(
    store: &Store,
    tenant: TenantId,
    uploads: &BTreeMap<String, UploadId>,
) -> Result<(Vec<InputFile>, SpoolRoom), TaskError> {
    let invalid = |message: String| TaskError::new(ErrorKind::InvalidInput, message);
    let open = store.open_uploads(tenant, uploads.values().copied().collect()).await;
    let open = open.map_err(|error| match error {
        StoreError::TooLarge { bytes_max, .. } => {
            invalid(format!("the input files are larger than {bytes_max} bytes together"))
        }
        error => storage(error),
    })?;
    let mut files = Vec::with_capacity(uploads.len());
    for (name, upload) in uploads {
        let name = ArtifactName::parse(name).map_err(|error| invalid(error.to_string()))?;
        let found = open.files.get(upload);
        let (file, bytes) = found.ok_or_else(|| invalid(format!("the upload {upload} is not there any more")))?;
        files.push(InputFile { name, content: FileContent::File { file: Arc::clone(file), bytes: *bytes } });
    }
    Ok((files, open.room))
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

    #[test]
    fn an_outcome_weighs_its_result_log_and_artifacts() {
        let failed = Outcome::failed(TaskError::new(ErrorKind::Exception, "no"));
        assert_eq!(bytes_of(&failed), 0);
        let artifact = mecapy_model::Artifact::new(ArtifactName::parse("a.txt").unwrap(), vec![0; 5]);
        let outcome = Outcome { stdout: "ab".to_owned(), artifacts: vec![artifact], ..failed };
        assert_eq!(bytes_of(&outcome), 7);
    }
}
