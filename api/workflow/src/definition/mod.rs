//! What a workflow is: nodes, what leads from one to another, and what comes out. Read once, strictly; after that the
//! types say that it is sound.

mod binding;
mod checked;
mod fields;
mod files;
mod graph;
mod node;
mod read;
#[cfg(test)]
mod tests;
mod typing;

pub use checked::RunInputs;

use crate::expr::Expr;
use crate::{FailureKind, Json};
use indexmap::IndexMap;
use mecapy_model::ports::{Port, Signature, Unit};

/// The longest name of a workflow, characters.
pub const NAME_CHARS_MAX: usize = 200;
/// How deep objects and arrays of a definition may nest.
pub const JSON_DEPTH_MAX: usize = 64;
/// The longest text of a definition, bytes.
pub const DEFINITION_BYTES_MAX: usize = 1 << 20;
/// The longest key of a node, or name of an input or output, bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// Nodes of one workflow.
pub const NODES_MAX: u32 = 500;
/// Elements of one mapped node.
pub const WIDTH_MAX: u32 = 10_000;
/// Runs nested in one another, the outermost counted.
pub const DEPTH_MAX: u32 = 8;
/// Tasks and nested runs of one run at a time, by default and at most.
pub const PARALLEL_MAX: u32 = 1_000;
/// Tries of one node, or element of it.
pub const ATTEMPTS_MAX: u32 = 10;
/// The longest wait between two tries, milliseconds.
pub const BACKOFF_MS_MAX: u64 = 3_600_000;
/// The most that a wait may grow by from one try to the next.
pub const BACKOFF_FACTOR_MAX: f64 = 10.0;
/// The longest time that a node may have, milliseconds: 90 days, since a person may be asked.
pub const TIMEOUT_MS_MAX: u64 = 90 * 24 * 3_600_000;
/// Input files of one node.
pub const FILES_MAX: usize = 64;
/// The longest message to who approves, bytes.
pub const MESSAGE_BYTES_MAX: usize = 4_000;

/// A workflow, read and found sound.
#[derive(Debug, Clone)]
pub struct Definition {
    pub name: String,
    pub description: Option<String>,
    /// In the author's order.
    pub nodes: Vec<Node>,
    /// The workflow's own inputs; it says nothing of outputs.
    pub signature: Signature,
    pub outputs: IndexMap<String, Binding>,
    pub limits: RunLimits,
    pub(crate) positions: std::collections::HashMap<String, usize>,
}

/// Ceilings of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    pub width_max: u32,
    pub depth_max: u32,
    /// Tasks and nested runs at a time.
    pub parallel_max: u32,
}

/// One step of a workflow.
#[derive(Debug, Clone)]
pub struct Node {
    pub key: String,
    pub kind: NodeKind,
    pub inputs: Vec<(String, Binding)>,
    pub files: Vec<(String, FileBinding)>,
    pub map: Option<Map>,
    pub when: Option<Expr>,
    pub retry: RetryRule,
    /// From the start of an attempt to its end, waiting in a queue included.
    pub timeout_ms: Option<u64>,
    pub on_error: OnError,
    pub cache: CacheMode,
    /// Added to by an element's index.
    pub seed: Option<u64>,
    /// `lane`, `priority`, `limits`, `non_finite` and `kernels` of the task, as the author wrote them.
    pub settings: Vec<(&'static str, Json)>,
    /// Whether the signature of what it calls was known, so that units are converted on the way to it.
    pub(crate) is_typed: bool,
    /// Nodes that must have ended before, by position.
    pub(crate) dependencies: Vec<Dependency>,
    /// Nodes that wait for this one, by position.
    pub(crate) dependents: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    Task {
        /// The `code` of a task, as the author wrote it.
        code: Json,
        /// The published function that it calls.
        function: Option<String>,
    },
    Approval {
        message: String,
    },
    Workflow {
        /// Its id or name.
        workflow: String,
        version: Option<u32>,
    },
}

/// What a value is bound to.
#[derive(Debug, Clone)]
pub enum Binding {
    Literal(Json),
    /// A reference or an expression, and how its value is handed over.
    Expr(Box<Bound>),
    /// A literal that holds bindings: its text, cut where they stand.
    Compound(Vec<Piece>),
}

#[derive(Debug, Clone)]
pub enum Piece {
    Text(String),
    Bound(Box<Bound>),
}

/// A reference or expression with what is known of its two ends.
#[derive(Debug, Clone)]
pub struct Bound {
    pub expr: Expr,
    /// The unit that its author says it has.
    pub(crate) unit: Option<Unit>,
    /// Where it stands in the input that it is a part of.
    pub(crate) place: Vec<Place>,
    /// Source and target, where both are known: a value takes its unit along.
    pub(crate) ports: Option<(Port, Port)>,
}

/// One step into a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Key(String),
    Index(usize),
}

/// What an input file is bound to.
#[derive(Debug, Clone)]
pub enum FileBinding {
    /// The id of an upload.
    Upload(String),
    /// The id of an upload, from a value.
    From(Expr),
    Artifact {
        /// Position of the node that leaves it.
        node: usize,
        /// The element of a mapped node.
        index: Option<Expr>,
        /// Whether it is left out where the node was skipped or left no such file.
        optional: bool,
        name: String,
    },
}

/// One task for each element of a list.
#[derive(Debug, Clone)]
pub struct Map {
    pub over: Over,
    /// The name of the element in the node's own expressions.
    pub name: String,
    pub width_max: u32,
}

#[derive(Debug, Clone)]
pub enum Over {
    Expr(Expr),
    /// A list that the author wrote.
    Items(Vec<Json>),
}

/// When a node is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryRule {
    /// Tries in all, from 1.
    pub max_attempts: u32,
    /// Before the second try, milliseconds.
    pub backoff_ms: u64,
    /// Each further wait is this many times the one before.
    pub backoff_factor: f64,
    /// The kinds that it helps with, besides what the platform itself lost or failed. Where it is absent: all kinds of a
    /// task's error but `cancelled`, `invalid_input` and `compile`, and a nested run's failure.
    pub on: Option<Vec<FailureKind>>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum OnError {
    Fail,
    Skip,
    /// With the value that is taken for the output.
    Default(Json),
}

/// Whether an earlier result may stand for a new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheMode {
    Use,
    Refresh,
    #[default]
    Off,
}

/// A node that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) node: usize,
    /// Whether its output is needed, so that the other is skipped with it.
    pub(crate) hard: bool,
}

/// What a node calls whose signature may be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callee<'a> {
    /// A published function as the node names it, `owner/package@1.2.0#name`.
    Function(&'a str),
    /// A nested workflow; its outputs are not asked for.
    Workflow { workflow: &'a str, version: Option<u32> },
}

impl Definition {
    /// The keys of nodes that call a function or a workflow whose signature was not known. Values go to them without a
    /// conversion of units: who reads a definition to carry it out must know all signatures, or refuse.
    pub fn untyped(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| !node.is_typed && node.calls()).map(|node| node.key.as_str())
    }
}

impl Node {
    /// Whether it calls something that has a signature.
    const fn calls(&self) -> bool {
        matches!(self.kind, NodeKind::Task { function: Some(_), .. } | NodeKind::Workflow { .. })
    }
}

impl CacheMode {
    pub const fn as_str(self) -> &'static str {
        match self {
            CacheMode::Use => "use",
            CacheMode::Refresh => "refresh",
            CacheMode::Off => "off",
        }
    }
}
