//! One claim, carried out in a container: work folder, container, output, results, end.

use super::{
    Containers, Taken,
    study::{Case, Plan},
    told::Told,
};
use crate::worker::{
    attempt::{DID_NOT_END, input_files, until_cancelled},
    ending::{Ended, write_down},
    held::Registered,
};
use mecapy_model::{ErrorKind, Outcome, Task, TaskError};
use mecapy_runtime::{
    container::{Claim, EngineError, Found, ImageDigest, Launch, Run, Sizes, Volume, VolumeError},
    solver::Reader,
};
use mecapy_store::{Claimed, fail_point};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::spawn_blocking;

/// Processes and threads of one container.
const PIDS: u32 = 512;
/// `/tmp` of a container, which counts as its memory, bytes; no more than an eighth of that.
const TMP_BYTES: u64 = 256 << 20;
const TMP_EIGHTHS: u64 = 8;
/// What a run may say, bytes. Solvers write what is worth keeping into files.
const OUTPUT_BYTES_MAX: u64 = 32 << 20;
/// Tells programs that are built with OpenMP how many threads to use: they would count the machine's cores otherwise.
const OPENMP_THREADS: &str = "OMP_NUM_THREADS";

/// One attempt, with all that it holds.
pub(super) struct Solve {
    containers: Arc<Containers>,
    registered: Registered,
    claimed: Claimed,
    claim: Claim,
}

/// Where an attempt begins.
pub(super) enum Begin {
    /// With nothing.
    Anew,
    /// With the container that an earlier process of this worker made.
    With(Found),
    /// The container that there was is gone.
    Missing,
}

/// What became of a run.
enum Ran {
    Ended(Box<Ended>),
    /// This process ends; the container goes on.
    HandedOver,
}

/// A container that runs, or has run.
struct Running {
    run: Run,
    volume: Volume,
    /// Of its output, what the log holds already, bytes.
    written: u64,
}

impl Solve {
    pub(super) fn new(containers: Arc<Containers>, registered: Registered, claimed: Claimed) -> Self {
        let claim = Claim {
            task: claimed.task.id,
            tenant: claimed.task.tenant,
            attempt: claimed.task.attempt,
            fence: claimed.claim.fence,
            deadline: registered.shared.store.now(),
            log_offset: claimed.log_bytes,
        };
        Self { containers, registered, claimed, claim }
    }

    /// What its container's work folder and its kept claim are called.
    pub(super) fn key(&self) -> String {
        self.claim.key()
    }
}

/// Runs a claimed task to its end, writes the end down and removes what was made for it.
pub(super) async fn carry_out(solve: Solve, begin: Begin, taken: Taken) {
    let solve = Arc::new(solve);
    let task = solve.claimed.task.id;
    let running = Arc::clone(&solve);
    // A task of its own: a panic in it is an end like any other.
    let ended = match tokio::spawn(async move { running.run(begin).await }).await {
        Ok(Ok(Ran::Ended(ended))) => *ended,
        Ok(Ok(Ran::HandedOver)) => return solve.containers.leave(solve.claimed.claim.clone()),
        Ok(Err(error)) => Outcome::failed(error).into(),
        Err(error) => {
            tracing::error!(task.id = %task, %error, "worker.run: did not end");
            Outcome::failed(executor(DID_NOT_END)).into()
        }
    };
    let Registered { shared, live } = &solve.registered;
    if let Err(error) = write_down(shared, &solve.claimed, live, ended).await {
        tracing::error!(task.id = %task, %error, "worker.finish: not written, the task is run again when its lease ends");
    }
    solve.containers.clear(&solve.key()).await;
    drop(taken);
}

impl Solve {
    async fn run(&self, begin: Begin) -> Result<Ran, TaskError> {
        let (store, live) = (&self.registered.shared.store, &self.registered.live);
        let case = Arc::new(Case::read(&self.claimed.task, self.containers.solvers(), store).await?);
        let Running { run, volume, written } = match begin {
            Begin::Anew => self.launch(&case).await?,
            Begin::With(found) => self.adopt(&found).await?,
            Begin::Missing => return Err(executor("the container of this attempt is gone")),
        };
        let (reader, volume) = blocking(&case, volume, Case::reader).await?;
        let mut told = Told::new(Arc::clone(&live.follow), reader, written);
        let watched = tokio::select! {
            biased;
            // One that is being stopped is seen to its end.
            () = self.containers.told_to_hand_over(), if !live.cancel.is_cancelled() => return Ok(Ran::HandedOver),
            watched = run.watch(&mut told, &live.cancel) => watched.map_err(|error| engine_fault(&error))?,
        };
        let reader: Box<dyn Reader> = told.into_reader();
        let conclude = move |case: &Case, volume: &Volume| case.conclude(&watched, &*reader, volume);
        let (ended, _) = blocking(&case, volume, conclude).await?;
        Ok(Ran::Ended(Box::new(ended)))
    }

    /// Makes the work folder and starts the container.
    async fn launch(&self, case: &Arc<Case>) -> Result<Running, TaskError> {
        let (containers, live) = (&self.containers, &self.registered.live);
        // Whoever finds the container must find the claim too.
        containers.state.keep(&self.key(), &live.claim).map_err(|error| {
            tracing::error!(%error, "worker.containers: a claim can't be kept");
            executor("the worker could not write its state folder")
        })?;
        let (volume, command) = tokio::select! {
            filled = until_cancelled(&live.cancel, self.fill(case)) => filled?,
            () = containers.told_to_hand_over() => {
                // There is no container yet that could go on.
                live.give_back.store(true, Ordering::Release);
                return Err(executor("the worker ends"));
            }
        };
        let launch = self.launch_of(case, command, &volume)?;
        let run = Run::launch(&containers.engine, &launch).await.map_err(|error| engine_fault(&error))?;
        fail_point("worker.after_container_start");
        Ok(Running { run, volume, written: 0 })
    }

    /// A work folder with the task's files and those of the adapter; and the command.
    async fn fill(&self, case: &Arc<Case>) -> Result<(Volume, Vec<String>), TaskError> {
        let containers = &self.containers;
        // The room is the files': given back when they are copied.
        let (files, _room) = input_files(&self.registered.shared.store, &self.claimed.task).await?;
        let made = containers.volumes.create(&self.key(), containers.disk_bytes).await;
        let volume = made.map_err(|error| volume_fault(&error))?;
        volume.fill(files).await.map_err(|error| volume_fault(&error))?;
        let (Plan { command, files }, volume) = blocking(case, volume, Case::plan).await?;
        volume.fill(files).await.map_err(|error| volume_fault(&error))?;
        Ok((volume, command))
    }

    fn launch_of(&self, case: &Case, command: Vec<String>, volume: &Volume) -> Result<Launch, TaskError> {
        let (containers, task) = (&self.containers, &self.claimed.task);
        let image = case.version.image.parse::<ImageDigest>().map_err(|error| executor(error.to_string()))?;
        let sizes = sizes(task, containers.disk_bytes);
        Ok(Launch {
            owner: containers.state.owner().to_owned(),
            claim: Claim { deadline: self.registered.shared.store.now() + sizes.wall, ..self.claim },
            image,
            command,
            environment: environment(case, sizes.cpus),
            sizes,
            runtime: containers.runtime.clone(),
            work: volume.path().to_owned(),
        })
    }

    /// Goes on with a container that was found.
    async fn adopt(&self, found: &Found) -> Result<Running, TaskError> {
        let containers = &self.containers;
        let volume = containers.volumes.adopt(&self.key()).map_err(|error| volume_fault(&error))?;
        let now = self.registered.shared.store.now();
        let adopted = Run::adopt(&containers.engine, found, containers.state.owner(), now).await;
        let run = adopted.map_err(|error| engine_fault(&error))?;
        let before = found.claim.map_or(self.claimed.log_bytes, |claim| claim.log_offset);
        let written = self.claimed.log_bytes.saturating_sub(before);
        tracing::info!(task.id = %self.claimed.task.id, container = run.id(), written, "worker.containers: goes on");
        Ok(Running { run, volume, written })
    }
}

/// Asks the adapter, which reads files and computes, on a thread that may block.
async fn blocking<T: Send + 'static>(
    case: &Arc<Case>,
    volume: Volume,
    ask: impl FnOnce(&Case, &Volume) -> Result<T, TaskError> + Send + 'static,
) -> Result<(T, Volume), TaskError> {
    let case = Arc::clone(case);
    let asked = spawn_blocking(move || ask(&case, &volume).map(|answer| (answer, volume))).await;
    asked.map_err(|error| {
        tracing::error!(%error, "worker.adapter: did not end");
        executor(DID_NOT_END)
    })?
}

fn sizes(task: &Task, disk_bytes: u64) -> Sizes {
    let limits = &task.limits;
    Sizes {
        cpus: limits.cpus,
        memory_bytes: limits.memory_bytes,
        disk_bytes,
        pids: PIDS,
        tmp_bytes: TMP_BYTES.min(limits.memory_bytes / TMP_EIGHTHS),
        output_bytes_max: OUTPUT_BYTES_MAX,
        wall: Duration::from_millis(limits.timeout_ms),
    }
}

fn environment(case: &Case, cpus: u32) -> Vec<(String, String)> {
    let of_catalogue = &case.version.env;
    let threads = (!of_catalogue.contains_key(OPENMP_THREADS)).then(|| (OPENMP_THREADS.to_owned(), cpus.to_string()));
    of_catalogue.iter().map(|(name, value)| (name.clone(), value.clone())).chain(threads).collect()
}

/// A fault of the platform.
pub(super) fn executor(message: impl Into<String>) -> TaskError {
    TaskError::new(ErrorKind::Executor, message)
}

fn engine_fault(error: &EngineError) -> TaskError {
    tracing::error!(%error, cause = ?std::error::Error::source(error), "worker.engine: a container could not be run");
    executor(format!("the container could not be run: {error}"))
}

/// What a work folder that can't be had says of the task. One that waits for the disk waits in the queue.
pub(super) fn volume_fault(error: &VolumeError) -> TaskError {
    if error.is_of_the_request() {
        return TaskError::new(ErrorKind::InvalidInput, error.to_string());
    }
    tracing::error!(%error, cause = ?std::error::Error::source(error), "worker.volume: a work folder can't be used");
    match error {
        VolumeError::HostFull { .. } => {
            TaskError::new(ErrorKind::Quota, "the worker's disk has no room for this run now")
        }
        _ => executor("the run's work folder can't be used"),
    }
}
