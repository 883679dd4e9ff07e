//! The pure workflow engine: a definition and an event log give the next steps.
//!
//! ```text
//! Definition::parse(text, &|callee| signature) -> Result<Definition, Vec<Fault>>
//! definition.check_inputs(inputs, "/inputs")   -> Result<Checked, Vec<Fault>>
//! Run::begin(definition, inputs, depth, now_ms) -> (Run, Entry)        the first entry of a log
//! Run::fold(definition, entries)               -> Result<Run, Corrupt>
//! run.apply(&entry)                            -> Result<(), Corrupt>
//! run.plan(&signals, now_ms, &values)          -> Step                 values: &dyn Fn(Work) -> Option<Json>
//! run.started(&start, work, now_ms)            -> Entry                what a step starts has this id
//! run.refused(&start, kind, message, now_ms)   -> Entry                it can't be made; plan again
//! run.view()                                   -> RunView
//! run.instances(key, from, limit)              -> Option<Vec<InstanceView>>
//! run.restart_refused()                        -> Option<&'static str>
//! run.awaits_approval(key)                     -> bool
//! ```
//!
//! Knows nothing of clocks, randomness, databases or async code: times and ids are handed in.

mod definition;
mod event;
mod expr;
mod json;
mod run;
mod signal;
mod step;

pub use definition::{
    ATTEMPTS_MAX, BACKOFF_FACTOR_MAX, BACKOFF_MS_MAX, Binding, Bound, CacheMode, Callee, DEFINITION_BYTES_MAX,
    DEPTH_MAX, Definition, FILES_MAX, FileBinding, JSON_DEPTH_MAX, KEY_BYTES_MAX, MESSAGE_BYTES_MAX, Map,
    NAME_CHARS_MAX, NODES_MAX, Node, NodeKind, OnError, Over, PARALLEL_MAX, Piece, RetryRule, RunInputs, RunLimits,
    TIMEOUT_MS_MAX, WIDTH_MAX,
};
pub use event::{Entry, Event, FailureKind, FlowError, Outcome, Output, RunError, RunState, SkipReason, Then, Work};
pub use expr::{EXPR_BYTES_MAX, EXPR_DEPTH_MAX, Expr};
pub use json::Json;
pub use run::{
    Corrupt, Counts, ELEMENTS_MAX, ErrorView, InstanceView, LOGGED_VALUE_BYTES_MAX, LOGGED_VALUES_BYTES_MAX,
    NODE_INPUTS_BYTES_MAX, NodeView, OUTPUTS_BYTES_MAX, Run, RunView,
};
pub use signal::{Signal, WorkOutcome};
pub use step::{FileSource, RunStart, Start, Step, TaskStart, What};
