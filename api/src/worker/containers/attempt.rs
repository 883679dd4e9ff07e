//! One claim, carried out in a container: work folder, container, output, results, end.

use super::{
    Containers, Taken,
    compile::{Made, Turn},
    study::{Case, Plan},
    told::Told,
};
use crate::worker::{
    attempt::{DID_NOT_END, input_files, until_cancelled},
    ending::{Ended, NextTry, write_down},
    held::Registered,
};
use mecapy_model::{ErrorKind, Outcome, TaskError, TaskId};
use mecapy_runtime::{
    container::{Claim, ContainerEngine, ENGINE_AWAY_MAX, EngineError, ImageDigest, Launch, Run, Volume, VolumeError},
    solver::Reader,
};
use mecapy_store::{Claimed, fail_point};
use std::{
    collections::BTreeMap,
    future::pending,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

/// How often an engine may go away under a task's launch, before that counts as a fault.
const GIVEN_BACK_MAX: u64 = 10;
/// Before an engine or a store that failed is asked again for what a container was left with.
const ADOPT_AGAIN: Duration = Duration::from_secs(1);
/// Tells programs that are built with OpenMP how many threads to use: they would count the machine's cores otherwise.
const OPENMP_THREADS: &str = "OMP_NUM_THREADS";

/// One attempt, with all that it holds.
pub(super) struct Solve {
    pub(super) containers: Arc<Containers>,
    pub(super) registered: Registered,
    pub(super) claimed: Claimed,
    claim: Claim,
}

/// Where an attempt begins.
pub(super) enum Begin {
    /// With nothing.
    Anew,
    /// With the container that an earlier process of this worker made.
    Kept,
}

/// What became of a run.
enum Ran {
    Ended(Box<Ended>, Times),
    /// A source has been compiled, or can't be.
    Compiled(Box<Made>, Times),
    /// This process ends; the container goes on.
    HandedOver,
}

/// Why a run came to nothing.
struct Failure {
    error: TaskError,
    next_try: NextTry,
}

/// A container that runs, or has run.
struct Running {
    run: Run,
    volume: Volume,
    /// Of its output, what the log holds already, bytes.
    written: u64,
    times: Times,
}

/// What an attempt takes beside its container's own time.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    /// To make the work folder.
    folder: Duration,
    /// To bring the inputs into it.
    inputs: Duration,
    /// To read what the solver left, and to draw it.
    results: Duration,
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self { error, next_try: NextTry::Usual }
    }
}

impl From<Failure> for Ended {
    fn from(Failure { error, next_try }: Failure) -> Self {
        Self { next_try, ..Outcome::failed(error).into() }
    }
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
    let (ended, times) = match tokio::spawn(async move { running.run(begin).await }).await {
        Ok(Ok(Ran::Ended(ended, times))) => (Some(*ended), Some(times)),
        Ok(Ok(Ran::Compiled(made, times))) => (solve.settle(*made).await, Some(times)),
        Ok(Ok(Ran::HandedOver)) => return solve.containers.leave(Arc::clone(&solve)),
        Ok(Err(failure)) => (Some(failure.into()), None),
        Err(error) => {
            tracing::error!(task.id = %task, %error, "worker.run: did not end");
            (Some(Outcome::failed(executor(DID_NOT_END)).into()), None)
        }
    };
    let Registered { shared, live } = &solve.registered;
    let computed = Instant::now();
    if let Some(ended) = ended
        && let Err(error) = write_down(shared, &solve.claimed, live, ended).await
    {
        tracing::error!(task.id = %task, %error, "worker.finish: not written, the task is run again when its lease ends");
    }
    if let Some(times) = times {
        times.log(task, computed.elapsed());
    }
    solve.containers.clear(&solve.key()).await;
    drop(taken);
}

impl Times {
    /// `kept`: to copy results to the object store and write the end down.
    fn log(self, task: TaskId, kept: Duration) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Self { folder, inputs, results } = self;
        tracing::info!(
            task.id = %task,
            folder_ms = ms(folder),
            inputs_ms = ms(inputs),
            results_ms = ms(results),
            kept_ms = ms(kept),
            "worker.containers: ended"
        );
    }
}

impl Solve {
    async fn run(&self, begin: Begin) -> Result<Ran, Failure> {
        let live = &self.registered.live;
        let case = Arc::new(self.case(&begin).await?);
        let turn = match (case.key, &begin) {
            (Some(key), Begin::Anew) => match self.turn(key).await? {
                Turn::Known(made) => return Ok(Ran::Compiled(Box::new(made), Times::default())),
                Turn::Ours(turn) => Some(turn),
            },
            _ => None,
        };
        let Running { run, volume, written, mut times } = match begin {
            Begin::Anew => self.launch(&case).await?,
            Begin::Kept => tokio::select! {
                adopted = self.adopt() => adopted?,
                () = self.containers.told_to_hand_over() => return Ok(Ran::HandedOver),
            },
        };
        let (reader, volume) = blocking(&case, volume, Case::reader).await?;
        let mut told = Told::new(Arc::clone(&live.follow), reader, written);
        let hand_over = async {
            self.containers.told_to_hand_over().await;
            if live.cancel.is_cancelled() {
                // One that is being stopped is seen to its end.
                pending::<()>().await;
            }
        };
        let watched = tokio::select! {
            biased;
            () = hand_over => return Ok(Ran::HandedOver),
            watched = run.watch(&mut told, &live.cancel) => watched.map_err(|error| engine_fault(&error))?,
        };
        let reader: Box<dyn Reader> = told.into_reader();
        let (computed, wall) = (Instant::now(), watched.wall);
        let conclude = move |case: &Case, volume: &Volume| case.conclude(&watched, &*reader, volume);
        let (ended, _) = blocking(&case, volume, conclude).await?;
        times.results = computed.elapsed();
        Ok(match case.key {
            None => Ran::Ended(Box::new(ended), times),
            Some(key) => match self.made(key, ended, wall).await {
                Ok(made) => Ran::Compiled(Box::new(made.in_turn(turn)), times),
                Err(ended) => Ran::Ended(ended, times),
            },
        })
    }

    /// A container that runs is not given up for a store that fails: that is waited for as long as the claim is trusted.
    async fn case(&self, begin: &Begin) -> Result<Case, TaskError> {
        let Registered { shared, live } = &self.registered;
        loop {
            match Case::read(&self.claimed.task, self.containers.solvers(), &shared.store).await {
                Err(error)
                    if matches!(begin, Begin::Kept) && error.kind == ErrorKind::Storage && live.hold.is_trusted() =>
                {
                    sleep(ADOPT_AGAIN).await;
                }
                read => return read,
            }
        }
    }

    /// Makes the work folder and starts the container.
    async fn launch(&self, case: &Arc<Case>) -> Result<Running, Failure> {
        let (containers, live) = (&self.containers, &self.registered.live);
        let image = case.version.image.parse::<ImageDigest>().map_err(|error| executor(error.to_string()))?;
        self.must_have(&image, case).await?;
        // Whoever finds the container must find the claim too.
        containers.state.keep(&self.key(), &live.claim).map_err(|error| {
            tracing::error!(%error, "worker.containers: a claim can't be kept");
            match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => disk_full(),
                _ => executor("the worker could not write its state folder"),
            }
        })?;
        let (volume, command, times) = tokio::select! {
            filled = until_cancelled(&live.cancel, self.fill(case)) => filled?,
            () = containers.told_to_hand_over() => return Err(self.give_back().into()),
        };
        let launch = self.launch_of(case, image, command, &volume);
        let launched = match containers.link.engine() {
            Ok(engine) => Run::launch(&engine, &launch).await,
            Err(error) => Err(error),
        };
        let run = match launched {
            Ok(run) => run,
            Err(error) => return Err(self.launch_failure(&error, case).await),
        };
        fail_point("worker.after_container_start");
        Ok(Running { run, volume, written: 0, times })
    }

    /// This process ends, and there is no container yet that could go on.
    pub(super) fn give_back(&self) -> TaskError {
        self.registered.live.give_back.store(true, Ordering::Release);
        executor("the worker ends")
    }

    /// Before anything is copied: the image may be missing.
    async fn must_have(&self, image: &ImageDigest, case: &Case) -> Result<(), Failure> {
        let containers = &self.containers;
        if containers.has_image_of(&case.version_name()) {
            return Ok(());
        }
        // It may have come since the latest look.
        let looked = match containers.link.engine() {
            Ok(engine) => engine.has_image(image).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.launch_failure(&EngineError::ImageMissing { image: image.clone() }, case).await),
            Err(error) => Err(self.launch_failure(&error, case).await),
        }
    }

    /// What becomes of a task whose container can't be started here.
    async fn launch_failure(&self, error: &EngineError, case: &Case) -> Failure {
        // Asked in any case: nothing more is claimed from then on.
        if error.may_be_away() && (!self.containers.link.answers().await || error.was_not_asked()) {
            let next_try = after_absence(error, self.claimed.claim.fence, self.claimed.task.attempt);
            let error = executor(format!("the container could not be run: {error}"));
            tracing::warn!(task.id = %self.claimed.task.id, ?next_try, "worker.engine: it went away before a container ran");
            return Failure { error, next_try };
        }
        let mut failure = Failure::from(engine_fault(error));
        if !error.retry_helps() {
            failure.next_try = NextTry::Never;
        }
        if let EngineError::ImageMissing { .. } = error {
            self.containers.look_at_images().await;
            if self.is_served_elsewhere(&case.version_name()).await {
                failure.next_try = NextTry::Elsewhere;
            }
        }
        failure
    }

    /// Whether another worker that is there now has the image, and the room in all.
    async fn is_served_elsewhere(&self, version: &str) -> bool {
        let (shared, task) = (&self.registered.shared, &self.claimed.task);
        let seen = shared.store.workers().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "worker.containers: the store can't say which workers there are");
            Vec::new()
        });
        seen.iter().any(|seen| seen.row.id != shared.id && seen.can_run(task, version))
    }

    /// A work folder with the task's files and those of the adapter; and the command.
    async fn fill(&self, case: &Arc<Case>) -> Result<(Volume, Vec<String>, Times), TaskError> {
        let (containers, begun) = (&self.containers, Instant::now());
        // The room is the files': given back when they are copied.
        let task = &self.claimed.task;
        let (files, _room) = match case.key {
            None => Some(input_files(&self.registered.shared.store, task.tenant, &task.files).await?),
            // A compiler gets none of what the module will.
            Some(_) => None,
        }
        .unzip();
        let fetched = Instant::now();
        let disk_bytes = case.sizes(containers.disk_bytes).disk_bytes;
        let made = containers.volumes.create(&self.key(), disk_bytes).await;
        let volume = made.map_err(|error| volume_fault(&error))?;
        let folder = fetched.elapsed();
        volume.fill(files.unwrap_or_default()).await.map_err(|error| volume_fault(&error))?;
        let (Plan { command, files }, volume) = blocking(case, volume, Case::plan).await?;
        volume.fill(files).await.map_err(|error| volume_fault(&error))?;
        let inputs = begun.elapsed().saturating_sub(folder);
        Ok((volume, command, Times { folder, inputs, ..Times::default() }))
    }

    fn launch_of(&self, case: &Case, image: ImageDigest, command: Vec<String>, volume: &Volume) -> Launch {
        let containers = &self.containers;
        let sizes = case.sizes(containers.disk_bytes);
        Launch {
            owner: containers.state.owner().to_owned(),
            claim: Claim { deadline: self.registered.shared.store.now() + sizes.wall, ..self.claim },
            image,
            command,
            environment: environment(&case.version.env, sizes.cpus),
            sizes,
            runtime: containers.runtime.clone(),
            work: volume.path().to_owned(),
        }
    }

    /// Goes on with the container that there is, once the engine is there; waits as long for that as a run that is watched.
    async fn adopt(&self) -> Result<Running, TaskError> {
        let containers = &self.containers;
        let volume = containers.volumes.adopt(&self.key()).map_err(|error| volume_fault(&error))?;
        let (run, before) = timeout(ENGINE_AWAY_MAX, self.take_over()).await.unwrap_or_else(|_| {
            let away = EngineError::NoEngine(containers.link.url().to_owned());
            Err(engine_fault(&away))
        })?;
        let written = self.claimed.log_bytes.saturating_sub(before);
        tracing::info!(task.id = %self.claimed.task.id, container = run.id(), written, "worker.containers: goes on");
        Ok(Running { run, volume, written, times: Times::default() })
    }

    /// Waits for the engine; answers the container and how much log the task had before it, bytes.
    async fn take_over(&self) -> Result<(Run, u64), TaskError> {
        let link = &self.containers.link;
        loop {
            let engine = link.until_there().await;
            match self.find(&engine).await {
                Ok(found) => return found.ok_or_else(|| executor("the container of this attempt is gone")),
                // It went away again, or is busy with its own start: the container may run on all the same.
                Err(error) if error.may_be_away() => {
                    link.answers().await;
                    sleep(ADOPT_AGAIN).await;
                }
                Err(error) => return Err(engine_fault(&error)),
            }
        }
    }

    async fn find(&self, engine: &ContainerEngine) -> Result<Option<(Run, u64)>, EngineError> {
        let (owner, now) = (self.containers.state.owner(), self.registered.shared.store.now());
        for found in engine.find(owner).await? {
            if let Some(claim) = found.claim.filter(|claim| claim.key() == self.key()) {
                return Ok(Some((Run::adopt(engine, &found, owner, now).await?, claim.log_offset)));
            }
        }
        Ok(None)
    }
}

/// Who tries a task again whose engine went away before its container ran. Where the engine was asked for something, it
/// may be this very task that ends it: then not for ever.
fn after_absence(error: &EngineError, fence: u64, attempt: u32) -> NextTry {
    // Claims that were given back without a lost attempt.
    let given_back = fence.saturating_sub(u64::from(attempt));
    if error.was_not_asked() || given_back < GIVEN_BACK_MAX { NextTry::Later } else { NextTry::Usual }
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

/// The catalogue's variables, and how many threads a run has where they don't say it.
fn environment(of_catalogue: &BTreeMap<String, String>, cpus: u32) -> Vec<(String, String)> {
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
        VolumeError::HostFull { .. } => disk_full(),
        _ => executor("the run's work folder can't be used"),
    }
}

fn disk_full() -> TaskError {
    TaskError::new(ErrorKind::Quota, "the worker's disk has no room for this run now")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_away_costs_no_attempt_unless_a_task_may_be_what_ends_it() {
        let away = EngineError::NoEngine("there".to_owned());
        let broke = EngineError::Vanished("id".to_owned());
        for (error, fence, attempt, expected) in [
            (&away, 1, 1, NextTry::Later),
            (&away, 1_000, 1, NextTry::Later),
            (&broke, 1, 1, NextTry::Later),
            (&broke, GIVEN_BACK_MAX, 1, NextTry::Later),
            (&broke, GIVEN_BACK_MAX + 1, 1, NextTry::Usual),
            // Lost attempts are no give-backs.
            (&broke, GIVEN_BACK_MAX + 1, 2, NextTry::Later),
        ] {
            assert_eq!(after_absence(error, fence, attempt), expected, "{error} {fence} {attempt}");
        }
    }

    #[test]
    fn a_run_has_as_many_threads_as_cores_unless_the_catalogue_says_otherwise() {
        let variables = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let given = |of_catalogue, cpus| environment(&of_catalogue, cpus).into_iter().collect::<BTreeMap<_, _>>();
        let bound = ("OMP_PROC_BIND", "true");
        assert_eq!(given(variables(&[bound]), 4), variables(&[bound, ("OMP_NUM_THREADS", "4")]));
        assert_eq!(given(variables(&[("OMP_NUM_THREADS", "1")]), 4), variables(&[("OMP_NUM_THREADS", "1")]));
    }
}
