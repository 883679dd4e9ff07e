//! The loop that makes runs go on: one in every process that runs sandboxes. Runs are woken by what ends, by their own
//! clocks, and by a look each second, in which a hint that was lost is made up for.
//!
//! Any number of processes may do this beside one another: of two that take the same step, one has effect.

use super::{
    advance::{Stepper, Trouble},
    held::Held,
};
use crate::app::App;
use mecapy_model::RunId;
use mecapy_store::RunKey;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Runs that are advanced at once.
const AT_ONCE_MAX: usize = 8;
/// Runs of one look.
const LOOK_MAX: u32 = 256;
/// A look without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Tries of a step that fails for the run's own sake; then the run ends as failed.
const TRIES_MAX: u32 = 3;
/// Between two tries of a step that failed, longer each time.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// After the store failed at a look.
const AFTER_FAULT: Duration = Duration::from_millis(500);
/// A step that takes longer is given up and counts as failed.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Makes runs go on until it is drained.
pub struct Driver {
    stopping: CancellationToken,
    loops: tokio::sync::Mutex<JoinSet<()>>,
}

struct Shared {
    stepper: Stepper,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Runs whose step is under way.
    running: HashSet<RunId>,
    /// Steps that failed: how often, and not before when they are tried again.
    failed: HashMap<RunId, (u32, Instant)>,
    /// When runs of this process want to be looked at, Unix milliseconds.
    wakes: HashMap<RunId, i64>,
}

impl Driver {
    /// Starts the loop.
    pub fn start(app: Arc<App>) -> Self {
        let stopping = CancellationToken::new();
        let stepper = Stepper { app, held: Held::default() };
        let shared = Arc::new(Shared { stepper, state: Mutex::default() });
        let mut loops = JoinSet::new();
        loops.spawn(supervise(shared, stopping.clone()));
        Self { stopping, loops: tokio::sync::Mutex::new(loops) }
    }

    /// Begins no more steps and waits for those that are under way.
    pub async fn drain(&self, at_most: Duration) {
        self.stopping.cancel();
        let mut loops = self.loops.lock().await;
        // What is cut off here has no effect: a step is one transaction.
        let _ = timeout(at_most, async { while loops.join_next().await.is_some() {} }).await;
        loops.shutdown().await;
    }
}

/// Keeps the loop going: one that ends badly is started again.
async fn supervise(shared: Arc<Shared>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let mut one = JoinSet::new();
        one.spawn(drive(Arc::clone(&shared), stopping.clone()));
        if let Some(Err(error)) = one.join_next().await {
            tracing::error!(%error, "workflows.drive: the loop failed, started again");
            shared.lock().running.clear();
            sleep(AFTER_FAULT).await;
        }
    }
}

async fn drive(shared: Arc<Shared>, stopping: CancellationToken) {
    let store = shared.stepper.app.store.clone();
    let wakeup = store.run_wakeup();
    let mut steps = JoinSet::new();
    loop {
        while let Some(ended) = steps.try_join_next() {
            shared.note(ended);
        }
        if stopping.is_cancelled() {
            break;
        }
        let is_full = match store.due_runs(LOOK_MAX).await {
            Ok(due) => begin(&shared, &mut steps, due),
            Err(error) => {
                tracing::warn!(%error, "workflows.look: the store failed");
                sleep(AFTER_FAULT).await;
                continue;
            }
        };
        let soon = shared.until_next_wake();
        tokio::select! {
            // With every place taken, a hint changes nothing until one is free.
            () = wakeup.notified(), if !is_full => {}
            Some(ended) = steps.join_next(), if !steps.is_empty() => shared.note(ended),
            () = sleep(soon), if !is_full => {}
            () = stopping.cancelled() => {}
        }
    }
    while let Some(ended) = steps.join_next().await {
        shared.note(ended);
    }
}

/// What one step came to.
struct Ended {
    key: RunKey,
    step: Result<Option<i64>, Trouble>,
}

/// Begins steps of those that have none under way; says whether all places are taken.
fn begin(shared: &Arc<Shared>, steps: &mut JoinSet<Ended>, due: Vec<RunKey>) -> bool {
    for key in due {
        if steps.len() >= AT_ONCE_MAX {
            return true;
        }
        if !shared.claim(key.id) {
            continue;
        }
        let shared = Arc::clone(shared);
        steps.spawn(async move { Ended { key, step: step_of(shared, key).await } });
    }
    steps.len() >= AT_ONCE_MAX
}

/// A step; a run that can't take one is held back, so that it keeps no others waiting.
async fn step_of(shared: Arc<Shared>, key: RunKey) -> Result<Option<i64>, Trouble> {
    let store = shared.stepper.app.store.clone();
    let stepped = guarded(shared, key).await;
    let wait = match &stepped {
        Ok(_) => return stepped,
        Err(Trouble::NotNow(wait)) => *wait,
        Err(Trouble::Store(_) | Trouble::Broken(_)) => AFTER_FAILURE,
    };
    if let Err(error) = store.hold_run(key, store.now() + wait).await {
        tracing::warn!(run.id = %key.id, %error, "workflows.hold: the store failed");
    }
    stepped
}

/// A step in a task of its own, so that one which panics is a failure of its run alone.
async fn guarded(shared: Arc<Shared>, key: RunKey) -> Result<Option<i64>, Trouble> {
    let mut one = JoinSet::new();
    one.spawn(async move { shared.stepper.advance(key).await });
    match timeout(STEP_TIMEOUT, one.join_next()).await {
        Ok(Some(Ok(stepped))) => Ok(stepped?.and_then(|stepped| stepped.wake_ms)),
        Ok(Some(Err(error))) => Err(Trouble::Broken(format!("the platform failed at a step of the run: {error}"))),
        Ok(None) | Err(_) => Err(Trouble::Broken(format!("a step of the run took more than {STEP_TIMEOUT:?}"))),
    }
}

impl Shared {
    /// Whether a step of the run may begin now; then it counts as under way.
    fn claim(&self, run: RunId) -> bool {
        let mut state = self.lock();
        let waits = state.failed.get(&run).is_some_and(|(_, not_before)| Instant::now() < *not_before);
        !waits && state.running.insert(run)
    }

    fn note(self: &Arc<Self>, ended: Result<Ended, tokio::task::JoinError>) {
        // A step's own panic was caught further in.
        let Ok(Ended { key, step }) = ended else { return };
        let mut state = self.lock();
        state.running.remove(&key.id);
        state.wakes.remove(&key.id);
        match step {
            Ok(wake_ms) => {
                state.failed.remove(&key.id);
                state.wakes.extend(wake_ms.map(|wake_ms| (key.id, wake_ms)));
            }
            Err(Trouble::NotNow(wait)) => {
                let tries = state.failed.get(&key.id).map_or(0, |(tries, _)| *tries);
                state.failed.insert(key.id, (tries, Instant::now() + wait));
            }
            Err(Trouble::Store(error)) if error.is_retryable() => {
                tracing::warn!(run.id = %key.id, %error, "workflows.step: the store failed, tried again");
                let tries = state.failed.get(&key.id).map_or(0, |(tries, _)| *tries);
                state.failed.insert(key.id, (tries, Instant::now() + AFTER_FAULT));
            }
            Err(trouble) => {
                let tries = state.failed.get(&key.id).map_or(0, |(tries, _)| *tries) + 1;
                tracing::error!(run.id = %key.id, step.tries = tries, error = %trouble, "workflows.step: failed");
                state.failed.insert(key.id, (tries, Instant::now() + AFTER_FAILURE * tries));
                if tries >= TRIES_MAX && state.running.insert(key.id) {
                    drop(state);
                    self.give_up(key, trouble.to_string());
                }
            }
        }
    }

    /// Ends a run that can't go on, beside the others.
    fn give_up(self: &Arc<Self>, key: RunKey, why: String) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let given_up = timeout(STEP_TIMEOUT, shared.stepper.give_up(key, &why)).await;
            match given_up {
                Ok(Ok(())) => {
                    tracing::error!(run.id = %key.id, "workflows.give_up: the run has failed");
                    shared.lock().failed.remove(&key.id);
                }
                Ok(Err(trouble)) => tracing::error!(run.id = %key.id, error = %trouble, "workflows.give_up: failed"),
                Err(_) => tracing::error!(run.id = %key.id, "workflows.give_up: took too long"),
            }
            shared.lock().running.remove(&key.id);
        });
    }

    /// How long until a run of this process wants to be looked at, a look's period at most.
    fn until_next_wake(&self) -> Duration {
        let now_ms = super::begin::unix_ms(self.stepper.app.store.now());
        let mut state = self.lock();
        // What is due was looked at just now, and is due again where its step left it so.
        state.wakes.retain(|_, wake_ms| *wake_ms > now_ms);
        let next = state.wakes.values().min().map(|wake_ms| u64::try_from(wake_ms - now_ms).unwrap_or(0));
        // Those whose time has come were among what was due.
        let waits = state.failed.values().map(|(_, at)| at.saturating_duration_since(Instant::now()));
        let retry = waits.filter(|wait| !wait.is_zero()).min();
        let wake = next.map_or(LOOK_EVERY, Duration::from_millis).min(LOOK_EVERY);
        retry.map_or(wake, |retry| wake.min(retry))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
