//! One step of one run: what its inbox says, what the engine makes of it, and the transaction that keeps both.

use super::{
    begin::{text_of, unix_ms},
    definitions::Unreadable,
    held::{Held, Open},
    make::{Made, Maker},
    news,
};
use crate::{
    app::App,
    intake::{Intake, Sight},
};
use mecapy_model::{ErrorKind, TaskId};
use mecapy_store::{
    Advance, Advanced, LoadedRun, NewRun, NodeTask, RunEnd, RunEvent, RunKey, RunRow, RunState, StoreError,
    SubmitError, Viewer,
};
use mecapy_workflow::{Entry, Event, FailureKind, Json, Run, RunError, Signal, Start, What, Work};
use serde_json::value::RawValue;
use std::{collections::HashMap, sync::Arc, time::Duration};
use uuid::Uuid;

/// Tries of a step that somebody else's step makes stale, before it is left for later.
const STALE_MAX: usize = 8;
/// Plans within one step: each follows from a value that was read, or from what was started or could not be. What is left
/// then is another step.
const PLANS_MAX: usize = 64;
/// Values that one step reads because they are too large for a log, together, bytes.
const VALUES_BYTES_MAX: usize = 256 << 20;
/// How long a run waits whose tasks find no room in the queue.
const AFTER_QUEUE_FULL: Duration = Duration::from_secs(1);
/// How long a run waits whose tenant may start nothing: it is disabled, or its fuel of the day is used up.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// Takes the steps of runs.
pub(super) struct Stepper {
    pub(super) app: Arc<App>,
    pub(super) held: Held,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something that a task needs is not there yet.
    #[error("what a node needs is not there yet")]
    NotNow(Duration),
    /// The run can't go on, whoever tries.
    #[error("{0}")]
    Broken(String),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stepped {
    /// When to look again if nothing happens before, Unix milliseconds.
    pub(super) wake_ms: Option<i64>,
}

/// What the queue lets a step start.
#[derive(Debug, Default)]
struct Room {
    /// Tasks at most.
    tasks_max: Option<usize>,
    /// Those that it refuses for good.
    refused: HashMap<StartName, String>,
    /// How long to wait with the others.
    wait: Duration,
}

/// A node, the element of it, and the attempt.
type StartName = (String, Option<u32>, u32);

/// A step as it is planned.
#[derive(Default)]
struct Planned {
    events: Vec<Entry>,
    tasks: Vec<NodeTask>,
    /// Of which start each of the tasks is.
    names: Vec<StartName>,
    children: Vec<NewRun>,
    cancels: Vec<Work>,
    wake_ms: Option<i64>,
    /// Something is left for another step, for want of room or after many plans.
    is_cut: bool,
}

impl Stepper {
    /// Advances a run by what it has to take in; `None`: it is gone.
    ///
    /// # Errors
    /// The step was not taken, and nothing of it is kept.
    pub(super) async fn advance(&self, key: RunKey) -> Result<Option<Stepped>, Trouble> {
        let mut room = Room::default();
        for _ in 0..STALE_MAX {
            // What goes wrong leaves nothing behind: the next step folds the log anew.
            let open = self.held.take(key.id);
            let after = open.as_ref().map_or(0, |open| open.seq);
            let Some(loaded) = self.app.store.load_run(key, after).await? else { return Ok(None) };
            let LoadedRun { row, events, inbox } = loaded;
            let mut run = self.catch_up(open, &row, &events).await?;
            let signals = news::signals(&inbox)?;
            let planned = self.plan(&mut run, &row, signals, &room).await?;
            let wake_ms = self.wake_of(&planned, &room);
            let mut step = Advance::new(key, run.seq, self.app.limits.queued_per_tenant_max);
            step.consumed = inbox.iter().map(|item| item.no).collect();
            step.wake_ms = wake_ms;
            let is_cut = planned.is_cut;
            let names = fill(&mut step, planned)?;
            let cancels = step.cancels.clone();
            match self.app.store.advance_run(step).await? {
                Advanced::Done { seq } => {
                    // What was left out counts as begun in this copy: the next step folds the log anew.
                    if !is_cut {
                        run.seq = seq;
                        self.held.put(key.id, run);
                    }
                    cancels.into_iter().for_each(|task| self.app.stop_running(task));
                    return Ok(Some(Stepped { wake_ms }));
                }
                Advanced::Stale => {}
                Advanced::Refused { at, why } => room.learn(at, why, names)?,
            }
        }
        Err(Trouble::NotNow(AFTER_QUEUE_FULL))
    }

    /// The run as far as its log goes.
    async fn catch_up(&self, open: Option<Open>, row: &RunRow, events: &[RunEvent]) -> Result<Open, Trouble> {
        let entries = events.iter().map(|event| serde_json::from_str(event.body.get()));
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>().map_err(corrupt)?;
        if let Some(mut open) = open {
            for entry in &entries {
                open.run.apply(entry).map_err(corrupt)?;
            }
            open.seq = row.seq;
            return Ok(open);
        }
        let known = match self.app.definitions.of(&self.app.store, &self.app.functions, row).await {
            Ok(known) => known,
            Err(Unreadable::Gone(message)) => return Err(Trouble::Broken(message)),
            Err(Unreadable::Store(error)) => return Err(error.into()),
        };
        let run = Run::fold(Arc::clone(&known.definition), entries).map_err(corrupt)?;
        Ok(Open { run, known, seq: row.seq, values: HashMap::new() })
    }

    /// What follows from the signals: plans until nothing is left to be read or refused.
    async fn plan(
        &self,
        open: &mut Open,
        row: &RunRow,
        mut signals: Vec<Signal>,
        room: &Room,
    ) -> Result<Planned, Trouble> {
        let now_ms = unix_ms(self.app.store.now());
        let Open { run, known, values, .. } = open;
        let mut maker =
            Maker { intake: self.intake(row), definitions: &self.app.definitions, row, known, uploads: HashMap::new() };
        let mut planned = Planned::default();
        for _ in 0..PLANS_MAX {
            let step = run.plan(&signals, now_ms, &|work| values.get(&work).cloned());
            signals.clear();
            planned.events.extend(step.events);
            planned.cancels.extend(step.cancels);
            planned.wake_ms = step.wake_at_ms;
            // Once more after starts too: they may have deadlines, which the run is to be woken for.
            let again = !step.missing.is_empty() || !step.starts.is_empty();
            self.load(&step.missing, row, values).await?;
            for start in &step.starts {
                let is_task = matches!(start.what, What::Task(_));
                if is_task && room.tasks_max.is_some_and(|max| planned.tasks.len() >= max) {
                    planned.is_cut = true;
                    break;
                }
                let made = match room.refused.get(&name_of(start)) {
                    Some(message) => Made::Refused(ErrorKind::InvalidInput.into(), message.clone()),
                    None => maker.make(start).await?,
                };
                planned.take_in(made, start, (run, now_ms));
            }
            if !again || planned.is_cut {
                return Ok(planned);
            }
        }
        planned.is_cut = true;
        Ok(planned)
    }

    /// Reads values that a plan asks for.
    async fn load(&self, missing: &[Work], row: &RunRow, values: &mut HashMap<Work, Json>) -> Result<(), Trouble> {
        for work in missing {
            let value = news::load(&self.app.store, row.tenant, *work).await?;
            if values.insert(*work, value).is_some() {
                return Err(Trouble::Broken("a step of the run asks twice for the same value".to_owned()));
            }
        }
        let bytes: usize = values.values().map(Json::bytes).sum();
        if bytes > VALUES_BYTES_MAX {
            let message = format!("a node takes results of {bytes} bytes together, and {VALUES_BYTES_MAX} are allowed");
            return Err(Trouble::Broken(message));
        }
        Ok(())
    }

    /// When the run is looked at again: as the engine says, and soon where something waits for room.
    fn wake_of(&self, planned: &Planned, room: &Room) -> Option<i64> {
        if !planned.is_cut {
            return planned.wake_ms;
        }
        let wait = i64::try_from(room.wait.as_millis()).unwrap_or(i64::MAX);
        let soon = unix_ms(self.app.store.now()).saturating_add(wait);
        Some(planned.wake_ms.map_or(soon, |wake| wake.min(soon)))
    }

    /// Accepts what the nodes of a run ask for. Nobody is asked again what they may see: whoever started the run was.
    fn intake(&self, row: &RunRow) -> Intake<'_> {
        let viewer = Viewer { tenant: row.tenant, principal: Uuid::nil(), is_admin: false };
        Intake { sight: Sight::Pinned, ..self.app.intake(viewer) }
    }

    /// Ends a run that can't go on, as the platform's failure; what it runs is told to stop where that is known.
    pub(super) async fn give_up(&self, key: RunKey, why: &str) -> Result<(), Trouble> {
        self.held.take(key.id);
        let Some(LoadedRun { row, events, inbox }) = self.app.store.load_run(key, 0).await? else { return Ok(()) };
        let mut step = Advance::new(key, row.seq, self.app.limits.queued_per_tenant_max);
        step.consumed = inbox.iter().map(|item| item.no).collect();
        if row.state == RunState::Running {
            let kind = FailureKind::from(ErrorKind::Executor);
            let error = RunError { key: None, index: None, kind, message: why.to_owned() };
            let state = mecapy_workflow::RunState::Failed;
            let event = Event::Ended { state, outputs: None, error: Some(error) };
            let entry = Entry { at_ms: unix_ms(self.app.store.now()), event };
            step.cancels = unfinished(&events);
            fill(&mut step, Planned { events: vec![entry], ..Planned::default() })?;
        }
        let stopped = step.cancels.clone();
        match self.app.store.advance_run(step).await? {
            Advanced::Done { .. } => stopped.into_iter().for_each(|task| self.app.stop_running(task)),
            // The next look finds out.
            Advanced::Stale | Advanced::Refused { .. } => {}
        }
        Ok(())
    }
}

impl Planned {
    /// Adds what was made for a start, and the event that says so.
    fn take_in(&mut self, made: Made, start: &Start, (run, now_ms): (&mut Run, i64)) {
        let entry = match made {
            Made::Task(task) => {
                let entry = run.started(start, Work::Task(task.id), now_ms);
                self.tasks.push(*task);
                self.names.push(name_of(start));
                entry
            }
            Made::Run(child) => {
                let entry = run.started(start, Work::Run(child.id), now_ms);
                self.children.push(*child);
                entry
            }
            Made::Refused(kind, message) => run.refused(start, kind, message, now_ms),
        };
        self.events.push(entry);
    }
}

fn name_of(start: &Start) -> StartName {
    (start.key.clone(), start.index, start.attempt)
}

impl Room {
    /// Takes in why the queue refused a step at its task number `at`.
    fn learn(&mut self, at: usize, why: SubmitError, mut names: Vec<StartName>) -> Result<(), Trouble> {
        match why {
            SubmitError::UnknownUpload { file } if at < names.len() => {
                let message = format!("/files/{file}: there is no such upload any more, or it is not complete");
                self.refused.insert(names.swap_remove(at), message);
            }
            SubmitError::QueueFull { .. } => self.cut(at, AFTER_QUEUE_FULL),
            SubmitError::OverFuel(_) | SubmitError::TenantDisabled => self.cut(at, AFTER_REFUSAL),
            SubmitError::Store(error) => return Err(error.into()),
            why => return Err(Trouble::Broken(format!("a node's task can't be accepted: {why}"))),
        }
        Ok(())
    }

    fn cut(&mut self, at: usize, wait: Duration) {
        self.tasks_max = Some(self.tasks_max.map_or(at, |max| max.min(at)));
        self.wait = wait;
    }
}

/// Puts what was planned into the step; answers of which start each of its tasks is.
fn fill(step: &mut Advance, planned: Planned) -> Result<Vec<StartName>, Trouble> {
    let Planned { events, tasks, names, children, cancels, .. } = planned;
    for entry in &events {
        step.events.push(text_of(entry)?);
        match &entry.event {
            Event::Restarted { .. } => step.restarted = true,
            Event::Ended { state, outputs, error } => {
                step.ended = Some(RunEnd {
                    state: stored(*state),
                    outputs: outputs.as_ref().map(|outputs| outputs.raw().to_owned()),
                    error: error.as_ref().map(text_of).transpose()?,
                    error_kind: error.as_ref().map(|error| error.kind.to_string()),
                });
            }
            _ => {}
        }
    }
    step.tasks = tasks;
    step.children = children;
    for work in cancels {
        match work {
            Work::Task(task) => step.cancels.push(task),
            Work::Run(run) => step.signals.push((run, cancel()?)),
            Work::Approval => {}
        }
    }
    Ok(names)
}

/// What a nested run is sent that is to stop.
fn cancel() -> Result<Box<RawValue>, StoreError> {
    text_of(&Signal::Cancel { by: None })
}

const fn stored(state: mecapy_workflow::RunState) -> RunState {
    match state {
        mecapy_workflow::RunState::Running => RunState::Running,
        mecapy_workflow::RunState::Completed => RunState::Completed,
        mecapy_workflow::RunState::Failed => RunState::Failed,
        mecapy_workflow::RunState::Cancelled => RunState::Cancelled,
    }
}

/// The tasks that a log started, where it can be read: those that have ended take no notice of a cancel.
fn unfinished(events: &[RunEvent]) -> Vec<TaskId> {
    let started = |event: &RunEvent| match serde_json::from_str::<Entry>(event.body.get()).ok()?.event {
        Event::NodeStarted { work: Work::Task(task), .. } => Some(task),
        _ => None,
    };
    events.iter().filter_map(started).collect()
}

fn corrupt(error: impl std::fmt::Display) -> Trouble {
    Trouble::Broken(format!("the run's log can't be read: {error}"))
}
