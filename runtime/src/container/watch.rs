//! Watches a container to its end, and ends it where it must.

use super::{
    EngineError,
    cgroup::Counted,
    error::Patience,
    launch::GRACE_SECONDS,
    output::{Follower, Output},
    run::Run,
};
use crate::{cancel::Cancel, solver::Stopped};
use bollard::{
    errors::Error as ClientError,
    models::{ContainerInspectResponse, ContainerState},
    query_parameters::{InspectContainerOptions, KillContainerOptionsBuilder, StatsOptions, WaitContainerOptions},
};
use mecapy_model::Usage;
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{sync::watch, time::sleep};
use tokio_stream::StreamExt;

/// How often a reason to stop is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How often KILL is repeated: the engine may be away, or restarting.
const KILL_EVERY: Duration = Duration::from_secs(2);
const SAMPLE_PAUSE: Duration = Duration::from_secs(1);
/// What a shell says of a child that KILL ended, and the engine of a container's first process.
const EXIT_KILLED: i64 = 137;
const EXIT_TERMINATED: i64 = 143;
/// What the engine says of a container whose end it did not see.
const EXIT_UNKNOWN: i64 = 255;

/// Set once, and seen by whoever waits for it.
pub(super) type Signal = watch::Sender<bool>;

/// Waits for a signal.
pub(super) async fn told(signal: &Signal) {
    // It is not dropped while it is borrowed.
    let _ = signal.subscribe().wait_for(|set| *set).await;
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    pub exit_code: i64,
    pub stopped: Option<Stopped>,
    /// From start to end, by the engine's clock.
    pub wall: Duration,
    /// `queued_ms` and `fuel` are 0. `startup_ms` is from the container's making to its start.
    pub usage: Usage,
    /// Standard output and error together.
    pub output_bytes: u64,
}

impl Run {
    /// Hands the output to `follower` from its beginning, ends the container where `cancel` or the deadline says so or
    /// where it says too much, and answers once it has ended and all output was handed on. Asked again, it does the
    /// same again. Whoever drops the future leaves the container as it is.
    ///
    /// # Errors
    /// Where the engine is away for minutes, or the container vanished or fell with its engine.
    pub async fn watch(&self, follower: &mut dyn Follower, cancel: &Cancel) -> Result<Watched, EngineError> {
        let (flood, ended) = (Signal::new(false), Signal::new(false));
        let mut output = Output::new(follower, self.output_bytes_max);
        let guarded = async {
            let end = self.guard(cancel, &flood).await?;
            ended.send_replace(true);
            Ok(end)
        };
        let (end, (), sampled) =
            tokio::try_join!(guarded, output.follow(&self.engine, &self.id, &flood, &ended), self.sample(&ended))?;
        let counted = self.cgroup.as_ref().and_then(|group| group.counted()).unwrap_or(sampled);
        // What it said in its last moments is read after its end.
        let flooded = flood.borrow().then_some(Stopped::Flood);
        let output_bytes = output.bytes;
        Ok(Watched { output_bytes, ..watched(&end.container, end.stopped.or(flooded), counted) })
    }

    /// Answers when the container has ended, by itself or by us.
    async fn guard(&self, cancel: &Cancel, flood: &Signal) -> Result<End, EngineError> {
        let mut patience = Patience::default();
        let mut asked = None;
        let container = {
            let mut ended = std::pin::pin!(self.ended(&mut patience));
            tokio::select! {
                biased;
                container = &mut ended => container?,
                reason = self.reason_to_stop(cancel, flood) => {
                    asked = Some(reason);
                    tracing::info!(container = self.id, ?reason, "container.stopping");
                    tokio::select! {
                        container = &mut ended => container?,
                        error = self.stop(reason, flood) => return Err(error),
                    }
                }
            }
        };
        let state = container.state.as_ref();
        let exit_code = exit_code(state);
        let killed = exit_code == EXIT_KILLED;
        // The flag alone may be a child's end, which its parent survived.
        let out_of_memory = killed && state.and_then(|state| state.oom_killed).unwrap_or_default();
        let stopped = asked.or(out_of_memory.then_some(Stopped::OutOfMemory));
        let fell = killed || matches!(exit_code, EXIT_TERMINATED | EXIT_UNKNOWN);
        if stopped.is_none() && patience.was_tried() && fell {
            return Err(EngineError::Lost(self.id.clone()));
        }
        Ok(End { container, stopped })
    }

    /// Answers when the container has ended, also where the engine goes away and comes back meanwhile.
    async fn ended(&self, patience: &mut Patience) -> Result<ContainerInspectResponse, EngineError> {
        loop {
            // An exit code other than 0 is an error to the client. What counts is the state, which is asked for next.
            let waited = {
                let mut wait =
                    std::pin::pin!(self.engine.docker.wait_container(&self.id, None::<WaitContainerOptions>));
                wait.next().await
            };
            if let Some(Err(error)) = waited
                && !matches!(error, ClientError::DockerContainerWaitError { .. })
            {
                patience.pause(EngineError::about(&self.id, error)).await?;
                continue;
            }
            match self.inspect().await {
                Ok(container) if has_ended(container.state.as_ref()) => return Ok(container),
                Ok(_) => sleep(LOOK_EVERY).await,
                Err(error) => patience.pause(error).await?,
            }
        }
    }

    pub(super) async fn inspect(&self) -> Result<ContainerInspectResponse, EngineError> {
        let inspected = self.engine.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        inspected.map_err(|error| EngineError::about(&self.id, error))
    }

    async fn reason_to_stop(&self, cancel: &Cancel, flood: &Signal) -> Stopped {
        loop {
            if *flood.borrow() {
                return Stopped::Flood;
            }
            if cancel.is_cancelled() {
                return Stopped::Cancelled;
            }
            if tokio::time::Instant::now() >= self.deadline {
                return Stopped::Timeout;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// TERM, then KILL until it has ended, which whoever polls this sees. A flood gets no grace: it would go on.
    ///
    /// Answers only where the engine can't end it.
    async fn stop(&self, reason: Stopped, flood: &Signal) -> EngineError {
        let mut patience = Patience::default();
        if reason != Stopped::Flood {
            while let Err(error) = self.signal("SIGTERM").await {
                if let Err(error) = patience.pause(error).await {
                    return error;
                }
            }
            tokio::select! {
                () = sleep(Duration::from_secs(u64::from(GRACE_SECONDS))) => {}
                () = told(flood) => {}
            }
        }
        loop {
            match self.signal("SIGKILL").await {
                // A process that waits for a dead device survives KILL for a while, and the run waits for it.
                Ok(()) => sleep(KILL_EVERY).await,
                Err(error) => {
                    if let Err(error) = patience.pause(error).await {
                        return error;
                    }
                }
            }
        }
    }

    /// Sends a signal. A container that has ended meanwhile is no error.
    async fn signal(&self, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.engine.docker.kill_container(&self.id, Some(options)).await {
            Ok(()) => Ok(()),
            // 409 is "not running", which older engines call an internal error at times.
            Err(error) if matches!(super::error::status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What was used, by the engine's samples of each second: for control groups that are out of our sight. What a run
    /// used after the last one is not in it.
    async fn sample(&self, ended: &Signal) -> Result<Counted, EngineError> {
        let mut counted = Counted::default();
        if self.cgroup.as_ref().is_some_and(|group| group.counted().is_some()) {
            return Ok(counted);
        }
        loop {
            let mut samples = std::pin::pin!(self.engine.docker.stats(&self.id, None::<StatsOptions>));
            loop {
                let sample = tokio::select! {
                    () = told(ended) => return Ok(counted),
                    sample = samples.next() => sample,
                };
                let Some(Ok(sample)) = sample else { break };
                let memory = sample.memory_stats.unwrap_or_default();
                let peak = memory.max_usage.or(memory.usage).unwrap_or_default();
                let cpu_ns = sample.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).unwrap_or_default();
                counted.memory_peak_bytes = counted.memory_peak_bytes.max(peak);
                counted.cpu_ms = counted.cpu_ms.max(cpu_ns as f64 / 1e6);
            }
            tokio::select! {
                () = told(ended) => return Ok(counted),
                () = sleep(SAMPLE_PAUSE) => {}
            }
        }
    }
}

struct End {
    container: ContainerInspectResponse,
    stopped: Option<Stopped>,
}

fn has_ended(state: Option<&ContainerState>) -> bool {
    use bollard::models::ContainerStateStatusEnum::{DEAD, EXITED};
    state.is_some_and(|state| matches!(state.status, Some(EXITED | DEAD)))
}

fn exit_code(state: Option<&ContainerState>) -> i64 {
    state.and_then(|state| state.exit_code).unwrap_or(EXIT_UNKNOWN)
}

fn watched(container: &ContainerInspectResponse, stopped: Option<Stopped>, counted: Counted) -> Watched {
    let state = container.state.as_ref();
    let made = container.created.as_deref().and_then(moment);
    let started = state.and_then(|state| moment(state.started_at.as_deref()?));
    let finished = state.and_then(|state| moment(state.finished_at.as_deref()?));
    let between = |from: Option<OffsetDateTime>, to: Option<OffsetDateTime>| {
        from.zip(to).and_then(|(from, to)| Duration::try_from(to - from).ok()).unwrap_or_default()
    };
    let (startup, wall) = (between(made, started), between(started, finished));
    let usage = Usage {
        memory_peak_bytes: counted.memory_peak_bytes,
        cpu_ms: counted.cpu_ms,
        startup_ms: startup.as_secs_f64() * 1e3,
        execute_ms: wall.as_secs_f64() * 1e3,
        ..Usage::default()
    };
    Watched { exit_code: exit_code(state), stopped, wall, usage, output_bytes: 0 }
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
