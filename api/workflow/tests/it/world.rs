//! The simulated world: what the store, the driver, the workers and people do, one small action at a time.

use mecapy_model::{ErrorKind, RunId, TaskId};
use mecapy_workflow::{
    Definition, Entry, Event, FailureKind, FlowError, Json, Output, Run, RunError, RunState, Signal, Start, What, Work,
    WorkOutcome,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A task's script: by the name of its workflow and its start, what comes of it.
pub(crate) type Script = fn(&str, &Start) -> WorkOutcome;
/// What a person says when asked.
pub(crate) type Answer = fn(&str) -> Signal;

/// What goes wrong in one step of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It dies before its transaction.
    Before,
    /// It dies after its transaction.
    After,
    /// Another process takes the same step, and is the first to commit.
    Stale,
}

/// How the world behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) script: Script,
    pub(crate) answer: Answer,
    /// The step of the driver that goes wrong, counted from 0.
    pub(crate) fault: Option<(usize, Fault)>,
    /// Each signal comes twice, and once more after all others.
    pub(crate) repeats: bool,
    /// Each task runs twice before it ends: its first lease is lost.
    pub(crate) loses_leases: bool,
    /// Actions are taken in an order of its own where this is not 0; steps of the driver go wrong at times.
    pub(crate) seed: u64,
    /// Results are never in a signal: they have to be loaded.
    pub(crate) stores: bool,
}

pub(crate) struct StoredRun {
    pub(crate) definition: Arc<Definition>,
    pub(crate) log: Vec<Entry>,
    inbox: Vec<(u64, Signal)>,
    /// All that was ever sent to it.
    pub(crate) sent: Vec<Signal>,
    parent: Option<RunId>,
    is_due: bool,
    wake_at_ms: Option<i64>,
}

pub(crate) struct StoredTask {
    pub(crate) run: RunId,
    pub(crate) start: Start,
    pub(crate) outcome: Option<WorkOutcome>,
    is_cancel_asked: bool,
    pub(crate) executions: u32,
}

pub(crate) struct World {
    pub(crate) habits: Habits,
    pub(crate) definitions: BTreeMap<String, Arc<Definition>>,
    pub(crate) runs: BTreeMap<RunId, StoredRun>,
    pub(crate) tasks: BTreeMap<TaskId, StoredTask>,
    questions: Vec<(RunId, String)>,
    /// The driver's memory: a run, and how long its log was.
    held: BTreeMap<RunId, (usize, Run)>,
    pub(crate) now_ms: i64,
    next_id: u64,
    pub(crate) steps: usize,
    random: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) state: RunState,
    pub(crate) outputs: Option<Json>,
    pub(crate) error: Option<RunError>,
}

enum Action {
    Step(RunId),
    Execute(TaskId),
    Say(usize),
}

impl Habits {
    pub(crate) fn of(script: Script) -> Self {
        let answer = |key: &str| Signal::Approve { key: key.to_owned(), by: "ada".to_owned(), comment: None };
        Self { script, answer, fault: None, repeats: false, loses_leases: false, seed: 0, stores: false }
    }
}

impl World {
    pub(crate) fn new(habits: Habits, definitions: impl IntoIterator<Item = Arc<Definition>>) -> Self {
        let definitions = definitions.into_iter().map(|definition| (definition.name.clone(), definition)).collect();
        World {
            random: habits.seed,
            habits,
            definitions,
            runs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            questions: Vec::new(),
            held: BTreeMap::new(),
            now_ms: 1_000,
            next_id: 0,
            steps: 0,
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn chance(&mut self, of: usize) -> usize {
        // SplitMix64 (G. L. Steele, D. Lea, C. H. Flood: Fast splittable pseudorandom number generators, 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % of as u64) as usize
    }

    /// Starts a run of a workflow, whose inputs must be right.
    pub(crate) fn start(&mut self, name: &str, inputs: &str) -> RunId {
        let definition = self.definitions[name].clone();
        let raw = serde_json::value::RawValue::from_string(inputs.to_owned()).unwrap();
        let inputs = definition.check_inputs(&raw, "/inputs").unwrap().values;
        let id = RunId::from_parts(self.id(), &[0; 10]);
        let (_, first) = Run::begin(definition.clone(), inputs, 0, self.now_ms);
        self.keep(id, definition, first, None);
        id
    }

    fn keep(&mut self, id: RunId, definition: Arc<Definition>, first: Entry, parent: Option<RunId>) {
        let (inbox, sent) = (Vec::new(), Vec::new());
        let run = StoredRun { definition, log: vec![first], inbox, sent, parent, is_due: true, wake_at_ms: None };
        self.runs.insert(id, run);
    }

    /// A run whose log ends earlier, with all tasks and signals that there ever were.
    pub(crate) fn cut(&mut self, id: RunId, len: usize) {
        self.held.clear();
        let run = self.runs.get_mut(&id).unwrap();
        run.log.truncate(len);
        run.is_due = true;
        run.wake_at_ms = None;
        for signal in std::mem::take(&mut run.sent) {
            self.send(id, signal);
        }
    }

    pub(crate) fn send(&mut self, id: RunId, signal: Signal) {
        let numbers = if self.habits.repeats { vec![self.id(), self.id()] } else { vec![self.id()] };
        let run = self.runs.get_mut(&id).unwrap();
        run.inbox.extend(numbers.into_iter().map(|number| (number, signal.clone())));
        run.sent.push(signal);
    }

    /// Lets everything happen until nothing does any more.
    pub(crate) fn settle(&mut self) {
        for _ in 0..200_000 {
            let actions = self.actions();
            if actions.is_empty() {
                let wake = self.runs.values().filter_map(|run| run.wake_at_ms).min();
                let Some(wake) = wake else { return };
                self.now_ms = self.now_ms.max(wake);
                continue;
            }
            let chosen = if self.habits.seed == 0 { 0 } else { self.chance(actions.len()) };
            self.take(actions.into_iter().nth(chosen).unwrap());
        }
        panic!("it never comes to rest");
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Step(run) => self.step(run),
            Action::Execute(task) => self.execute(task),
            Action::Say(at) => {
                let (run, key) = self.questions.remove(at);
                self.send(run, (self.habits.answer)(&key));
            }
        }
        self.now_ms += 1;
    }

    /// Takes so many actions, as long as there are any.
    pub(crate) fn advance(&mut self, actions: usize) {
        for _ in 0..actions {
            if let Some(action) = self.actions().into_iter().next() {
                self.take(action);
            }
        }
    }

    fn actions(&self) -> Vec<Action> {
        let due =
            |run: &StoredRun| run.is_due || !run.inbox.is_empty() || run.wake_at_ms.is_some_and(|at| at <= self.now_ms);
        let steps = self.runs.iter().filter(|(_, run)| due(run)).map(|(id, _)| Action::Step(*id));
        let open = |task: &StoredTask| task.outcome.is_none();
        let tasks = self.tasks.iter().filter(|(_, task)| open(task)).map(|(id, _)| Action::Execute(*id));
        steps.chain(tasks).chain((0..self.questions.len()).map(Action::Say)).collect()
    }

    fn execute(&mut self, id: TaskId) {
        let task = self.tasks.get_mut(&id).unwrap();
        task.executions += 1;
        if self.habits.loses_leases && task.executions == 1 {
            return;
        }
        let workflow = &self.runs[&task.run].definition.name;
        let outcome =
            if task.is_cancel_asked { WorkOutcome::Cancelled } else { (self.habits.script)(workflow, &task.start) };
        task.outcome = Some(outcome.clone());
        let run = task.run;
        let outcome = self.told(outcome);
        self.send(run, Signal::WorkEnded { work: Work::Task(id), outcome });
    }

    /// As a signal has it.
    fn told(&self, outcome: WorkOutcome) -> WorkOutcome {
        match outcome {
            WorkOutcome::Completed { output: Output::Value(value), artifacts } if self.habits.stores => {
                WorkOutcome::Completed { output: Output::Stored { bytes: value.bytes() as u64 }, artifacts }
            }
            other => other,
        }
    }

    /// What the store has of a result.
    fn load(&self, work: Work) -> Json {
        let outputs = match work {
            Work::Task(task) => match self.tasks[&task].outcome.clone().unwrap() {
                WorkOutcome::Completed { output: Output::Value(value), .. } => Some(value),
                _ => None,
            },
            Work::Run(run) => self.end(run).outputs,
            Work::Approval => None,
        };
        outputs.unwrap()
    }

    fn fault(&mut self) -> Option<Fault> {
        if let Some((at, fault)) = self.habits.fault
            && at == self.steps
        {
            return Some(fault);
        }
        if self.habits.seed == 0 || self.chance(8) > 0 {
            return None;
        }
        Some([Fault::Before, Fault::After, Fault::Stale][self.chance(3)])
    }

    /// One step of the driver, which may go wrong.
    fn step(&mut self, id: RunId) {
        let fault = self.fault();
        self.steps += 1;
        let stored = &self.runs[&id];
        let len = stored.log.len();
        let inbox = stored.inbox.clone();
        let run = match self.held.remove(&id) {
            Some((known, run)) if known == len => run,
            _ => Run::fold(stored.definition.clone(), stored.log.clone()).unwrap(),
        };
        let (run, events, made, cancels, wake) =
            self.plan(run, inbox.iter().map(|(_, signal)| signal.clone()).collect());
        match fault {
            Some(Fault::Before) => return,
            // The other's step is whole; ours finds another length, and comes to nothing.
            Some(Fault::Stale) => {
                self.habits.fault = None;
                let seed = std::mem::take(&mut self.habits.seed);
                self.step(id);
                self.habits.seed = seed;
                if self.runs[&id].log.len() != len || events.is_empty() {
                    return;
                }
            }
            Some(Fault::After) | None => {}
        }
        self.commit(id, events.clone(), made, cancels);
        let stored = self.runs.get_mut(&id).unwrap();
        let consumed: BTreeSet<_> = inbox.into_iter().map(|(number, _)| number).collect();
        stored.inbox.retain(|(number, _)| !consumed.contains(number));
        stored.is_due = false;
        stored.wake_at_ms = wake;
        if fault != Some(Fault::After) {
            self.held.insert(id, (self.runs[&id].log.len(), run));
        }
    }

    #[allow(clippy::type_complexity)]
    fn plan(
        &mut self,
        mut run: Run,
        signals: Vec<Signal>,
    ) -> (Run, Vec<Entry>, Vec<(Start, Work)>, Vec<Work>, Option<i64>) {
        let (mut events, mut made, mut cancels) = (Vec::new(), Vec::new(), Vec::new());
        let mut loaded: BTreeMap<Work, Json> = BTreeMap::new();
        let mut signals = signals;
        loop {
            let step = run.plan(&std::mem::take(&mut signals), self.now_ms, &|work| loaded.get(&work).cloned());
            events.extend(step.events);
            cancels.extend(step.cancels);
            let mut again = !step.missing.is_empty();
            for work in step.missing {
                assert!(loaded.insert(work, self.load(work)).is_none(), "{work:?} was missing twice");
            }
            for start in step.starts {
                match self.make(&start) {
                    Ok(work) => {
                        events.push(run.started(&start, work, self.now_ms));
                        made.push((start, work));
                    }
                    Err((kind, message)) => {
                        events.push(run.refused(&start, kind, message, self.now_ms));
                        again = true;
                    }
                }
            }
            if !again {
                return (run, events, made, cancels, step.wake_at_ms);
            }
        }
    }

    fn make(&mut self, start: &Start) -> Result<Work, (FailureKind, String)> {
        match &start.what {
            What::Task(_) => Ok(Work::Task(TaskId::from_parts(self.id(), &[0; 10]))),
            What::Run(nested) => {
                let Some(definition) = self.definitions.get(&nested.workflow) else {
                    return Err((
                        ErrorKind::InvalidInput.into(),
                        format!("there is no workflow {:?}", nested.workflow),
                    ));
                };
                if let Err(faults) = definition.check_inputs(nested.inputs.raw(), "/inputs") {
                    let message = faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ");
                    return Err((ErrorKind::InvalidInput.into(), message));
                }
                Ok(Work::Run(RunId::from_parts(self.id(), &[0; 10])))
            }
        }
    }

    /// The transaction.
    fn commit(&mut self, id: RunId, events: Vec<Entry>, made: Vec<(Start, Work)>, cancels: Vec<Work>) {
        for (start, work) in made {
            match (work, &start.what) {
                (Work::Run(child), What::Run(nested)) => {
                    let definition = self.definitions[&nested.workflow].clone();
                    let inputs = definition.check_inputs(nested.inputs.raw(), "/inputs").unwrap().values;
                    let (_, first) = Run::begin(definition.clone(), inputs, nested.depth, self.now_ms);
                    self.keep(child, definition, first, Some(id));
                }
                (Work::Task(task), _) => {
                    let task_row = StoredTask { run: id, start, outcome: None, is_cancel_asked: false, executions: 0 };
                    assert!(self.tasks.insert(task, task_row).is_none());
                }
                _ => {}
            }
        }
        for work in cancels {
            match work {
                Work::Task(task) => self.tasks.get_mut(&task).unwrap().is_cancel_asked = true,
                Work::Run(run) => self.send(run, Signal::Cancel { by: None }),
                Work::Approval => {}
            }
        }
        let asked = events.iter().filter_map(|entry| match &entry.event {
            Event::NodeStarted { key, work: Work::Approval, .. } => Some((id, key.clone())),
            _ => None,
        });
        self.questions.extend(asked);
        let has_ended = events.iter().any(|entry| matches!(entry.event, Event::Ended { .. }));
        let run = self.runs.get_mut(&id).unwrap();
        run.log.extend(events);
        if has_ended && let Some(parent) = run.parent {
            let outcome = match self.end(id) {
                End { state: RunState::Completed, outputs, .. } => {
                    WorkOutcome::Completed { output: Output::Value(outputs.unwrap()), artifacts: Vec::new() }
                }
                End { state: RunState::Cancelled, .. } => WorkOutcome::Cancelled,
                End { error, .. } => {
                    WorkOutcome::Failed { kind: FlowError::Workflow.into(), message: error.unwrap().message }
                }
            };
            let outcome = self.told(outcome);
            self.send(parent, Signal::WorkEnded { work: Work::Run(id), outcome });
        }
    }

    pub(crate) fn fold(&self, id: RunId) -> Run {
        let run = &self.runs[&id];
        Run::fold(run.definition.clone(), run.log.clone()).unwrap()
    }

    pub(crate) fn end(&self, id: RunId) -> End {
        match &self.runs[&id].log.last().unwrap().event {
            Event::Ended { state, outputs, error } => {
                End { state: *state, outputs: outputs.clone(), error: error.clone() }
            }
            other => panic!("the run has not ended: {other:?}"),
        }
    }
}

/// What holds of every log: each prefix folds, nothing completes or starts twice, and nothing follows the end.
pub(crate) fn check_log(run: &StoredRun) {
    let (mut done, mut begun) = (BTreeSet::new(), BTreeSet::new());
    let mut has_ended = false;
    for (number, entry) in run.log.iter().enumerate() {
        let text = serde_json::to_string(entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), *entry);
        assert_eq!(matches!(entry.event, Event::Started { .. }), number == 0);
        assert!(!has_ended || matches!(entry.event, Event::Restarted { .. }), "after the end: {entry:?}");
        match &entry.event {
            Event::NodeStarted { key, index, attempt, .. } => {
                assert!(!done.contains(&(key.clone(), *index)), "{key} {index:?} began after it had completed");
                assert!(begun.insert((key.clone(), *index, *attempt)), "{key} {index:?} began twice");
            }
            Event::NodeEnded { key, index, outcome: mecapy_workflow::Outcome::Done { .. }, .. } => {
                assert!(done.insert((key.clone(), *index)), "{key} {index:?} completed twice");
            }
            Event::Approved { key, .. } => assert!(done.insert((key.clone(), None))),
            Event::Ended { .. } => has_ended = true,
            Event::Restarted { .. } => has_ended = false,
            _ => {}
        }
    }
    if run.log.len() < 200 {
        for len in 1..=run.log.len() {
            Run::fold(run.definition.clone(), run.log[..len].to_vec()).unwrap();
        }
    }
}
