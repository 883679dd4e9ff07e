//! The pure workflow engine: a definition and an event log give the next steps.
//!
//! Knows nothing of clocks, randomness, databases or async code: times and ids are handed in.
//!
//! # Interface
//!
//! ```text
//! Definition::parse(text, &|callee| signature)  -> Result<Definition, Vec<Fault>>
//! definition.untyped()                          -> keys of nodes whose callee's signature was not known
//! definition.check_inputs(inputs, "/inputs")    -> Result<RunInputs, Vec<Fault>>
//! Run::begin(definition, inputs, depth, now_ms) -> (Run, Entry)        the first entry of a log
//! Run::fold(definition, entries)                -> Result<Run, Corrupt>
//! run.apply(&entry)                             -> Result<(), Corrupt>
//! run.plan(&signals, now_ms, &values)           -> Step                values: &dyn Fn(Work) -> Option<Json>
//! run.started(&start, work, now_ms)             -> Entry               what a step starts has this id
//! run.refused(&start, kind, message, now_ms)    -> Entry               it can't be made; plan again
//! run.view(), run.instances(key, from, limit)   -> what is shown
//! run.awaits_approval(key), run.asked_about(key, &values), run.restart_refused(), run.works()
//! task_start.request(|name, source| upload)     -> the body of POST /v1/tasks, without `cache`
//! ```
//!
//! One step of a driver: load the run's log and inbox; plan with the inbox; load what [`Step::missing`] names and plan
//! once more with it; make what [`Step::starts`] asks for, with [`Run::started`] or [`Run::refused`] for each, and plan
//! again where something was refused; then, in **one** transaction that compares the log's length: append all events,
//! insert the tasks and nested runs, ask [`Step::cancels`] to stop, take what was heard out of the inbox. Where that
//! fails, drop the [`Run`]: a plan has applied its own events. Plan again at [`Step::wake_at_ms`].
//!
//! # What follows from what
//!
//! - **Order.** A node waits for every node that its inputs, files, `when` and `map.over` name, and for its `needs`.
//!   `needs` is order alone.
//! - **Skipped.** A node whose `when` is false is skipped. A node that refers to the output of one that was skipped is
//!   skipped too, since there is nothing to compute with; where the reference says `?` (`check?.value`), it gets null
//!   instead and runs. A run's output that refers to what was skipped is left out, or null with `?`.
//! - **Failures.** First `retry`: another attempt after `backoff_ms · backoff_factor^(n − 1)`, where it can help (see
//!   [`RetryRule::on`]); what the platform itself lost or failed (`storage`, `executor`, `worker_lost`, `quota`) always
//!   counts among that. Then `on_error`: `fail` fails the run: nothing new starts, what is under way is asked to stop,
//!   and the run ends when all of it has ended; the first failure is the one that is told. `skip` is as if `when` had
//!   been false. `default` takes the node's `default` as its output. An expression without a value, a file that is not
//!   there, a rejected approval are failures like those of tasks, and are never tried again.
//! - **Mapped nodes** run once for each element; their output is the list of outputs in order. Retries and `on_error`
//!   are each element's own: a skipped element is null. `when` is asked once for the node. No element, no task, and the
//!   output is `[]`. A map over what is no list, or over too many elements, is a failure of the node as a whole: with
//!   `on_error: default` the run fails, because a default is the output of an element.
//! - **Time.** `timeout_ms` counts from the start of an attempt, waiting in queues included; the work is asked to stop,
//!   its late end is not heard, and the attempt has failed with `timeout`.
//! - **Approval.** A node without work: its output is `{"approved": true, "by": …, "comment": …}`. A rejection is the
//!   failure `rejected`.
//! - **Nested workflows** are runs of their own; their outputs are the node's output. A nested run that failed is begun
//!   anew as a whole by `retry` or a restart.
//! - **Cancel** stops everything, and the run ends `cancelled`; one that is failing already ends `failed`.
//! - **Restart** of a run that failed or was cancelled: what has completed is kept and never runs again. Everything else
//!   begins anew, with its full number of tries; so do nodes whose failure was passed over, and those skipped because
//!   of it, as long as nothing that has completed used their null or default.
//! - **Parallel** are as many tasks and nested runs as [`RunLimits::parallel_max`] says, in the order of nodes and
//!   elements.
//! - **Values** keep their digits. A reference between two typed ends takes its unit along; from a script, whose
//!   results have no types, a number goes as it is, unless `"unit"` beside `"from"` says what it is in.
//!
//! # What is kept small
//!
//! Results of more than [`LOGGED_VALUE_BYTES_MAX`] stay where the task's result is ([`Output::Stored`]) and are asked
//! for when a step needs them. The state has counters and queues, so that a plan costs as much as its news.

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
