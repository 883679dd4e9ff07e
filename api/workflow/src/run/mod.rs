//! One execution of a workflow: the state that its log folds to, and what it needs next.
//!
//! The state keeps what a plan asks for by counters and queues, so that a step costs as much as its news and not as
//! much as the whole run. All of it but what stands in the log is derived anew when a log is folded.

mod apply;
mod plan;
mod restart;
mod start;
mod state;
mod values;
mod view;

use crate::definition::Definition;
use crate::{Entry, Event, Json, RunError, RunState, Work};
use state::{NodeState, Place};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
pub use view::{Counts, ErrorView, InstanceView, NodeView, RunView};

/// A value of at most so many bytes stands in the log itself.
pub const LOGGED_VALUE_BYTES_MAX: usize = 16 << 10;
/// Values of a run's log together, bytes; what comes after is kept with the task that gave it.
pub const LOGGED_VALUES_BYTES_MAX: usize = 4 << 20;
/// The inputs of one node, filled in, bytes.
pub const NODE_INPUTS_BYTES_MAX: usize = 8 << 20;
/// The outputs of a run, bytes.
pub const OUTPUTS_BYTES_MAX: usize = 8 << 20;
/// Elements of all mapped nodes of a run together.
pub const ELEMENTS_MAX: usize = 100_000;

/// A run in memory. Whoever plans with it writes what the plan says, or drops it and folds the log anew: a plan has
/// applied its own events.
#[derive(Debug, Clone)]
pub struct Run {
    definition: Arc<Definition>,
    inputs: Json,
    depth: u32,
    nodes: Vec<NodeState>,
    phase: Phase,
    /// Tasks and nested runs that are under way.
    works: HashMap<Work, Place>,
    /// How many those are, with the starts that nobody has reported on yet.
    busy: usize,
    /// Nodes that have not come to an end.
    unsettled: usize,
    /// Nodes whose dependencies have all come to an end.
    due: VecDeque<usize>,
    /// What may start, in the order of nodes and elements.
    ready: BTreeSet<Place>,
    /// When a try is due, or has taken too long.
    timers: BTreeSet<(i64, Place)>,
    elements: usize,
    logged_bytes: usize,
    /// Whether what runs has been asked to stop, since this state is in memory.
    is_stop_told: bool,
    started_ms: i64,
    ended_ms: Option<i64>,
}

#[derive(Debug, Clone)]
enum Phase {
    Running,
    /// Nothing starts any more; the run ends when all that is under way has ended.
    Stopping(Stop),
    Ended {
        state: RunState,
        outputs: Option<Json>,
        error: Option<RunError>,
    },
}

#[derive(Debug, Clone)]
enum Stop {
    Cancelled,
    Failed(RunError),
}

/// A log that is not one of this definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    #[error("a log begins with the event \"started\"")]
    NotStarted,
    #[error("the log names {0:?}, which is no node of the definition, or no element of one")]
    UnknownNode(String),
    #[error("the event {event:?} can't follow on what the log says of {key:?}")]
    OutOfPlace { event: &'static str, key: String },
}

impl Run {
    /// A run at its beginning, with the first entry of its log. `inputs` are as
    /// [`check_inputs`](Definition::check_inputs) left them; `depth` says how many runs it is nested in.
    pub fn begin(definition: Arc<Definition>, inputs: Json, depth: u32, now_ms: i64) -> (Run, Entry) {
        let entry = Entry { at_ms: now_ms, event: Event::Started { inputs: inputs.clone(), depth } };
        (Run::new(definition, inputs, depth, now_ms), entry)
    }

    /// The run that a log is of: from any prefix of it, too.
    ///
    /// # Errors
    /// The log is of another definition.
    pub fn fold(definition: Arc<Definition>, log: impl IntoIterator<Item = Entry>) -> Result<Run, Corrupt> {
        let mut log = log.into_iter();
        let Some(Entry { at_ms, event: Event::Started { inputs, depth } }) = log.next() else {
            return Err(Corrupt::NotStarted);
        };
        let mut run = Run::new(definition, inputs, depth, at_ms);
        for entry in log {
            run.apply(&entry)?;
        }
        Ok(run)
    }

    fn new(definition: Arc<Definition>, inputs: Json, depth: u32, now_ms: i64) -> Run {
        let nodes: Vec<_> = definition.nodes.iter().map(|node| NodeState::new(node.dependencies.len())).collect();
        let mut run = Run {
            unsettled: nodes.len(),
            nodes,
            definition,
            inputs,
            depth,
            phase: Phase::Running,
            works: HashMap::new(),
            busy: 0,
            due: VecDeque::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            elements: 0,
            logged_bytes: 0,
            is_stop_told: false,
            started_ms: now_ms,
            ended_ms: None,
        };
        run.queue_due();
        run
    }

    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    pub fn state(&self) -> RunState {
        match &self.phase {
            Phase::Running | Phase::Stopping(_) => RunState::Running,
            Phase::Ended { state, .. } => *state,
        }
    }

    /// Tasks and nested runs that are under way, in no order.
    pub fn works(&self) -> impl Iterator<Item = Work> {
        self.works.keys().copied()
    }

    /// Whether this node waits for a person's word.
    pub fn awaits_approval(&self, key: &str) -> bool {
        let node = self.definition.positions.get(key);
        node.is_some_and(|node| self.approval(*node).is_some()) && matches!(self.phase, Phase::Running)
    }
}
