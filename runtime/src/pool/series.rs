//! Many attempts of one program, one after the other on one thread: what a batch's items are run by.

use super::courtesy::Fresh;
use crate::{
    Attempt, Cancel,
    sandbox::{Program, Sandbox, Serving},
};
use mecapy_model::{ErrorKind, Isolation, Lane, Outcome, TaskError, TenantId};
use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an item that finds no memory to start in waits before it is tried again.
const NO_ROOM: Duration = Duration::from_millis(20);
/// How long it does so in all before its series gives its thread to others.
const NO_ROOM_MAX: Duration = Duration::from_secs(2);

/// Attempts that differ in inputs and seed alone, and what to do with their outcomes. It takes one place in its lane
/// and lets previews go first, as one long run does, between items as well as within them.
///
/// With [`Isolation::Item`] each attempt has a fresh sandbox, with [`Isolation::Batch`] one that served earlier attempts
/// of the series: files, output, clock, randomness, fuel and deadline are each attempt's own all the same; the memory
/// limit is the first's, and counts what the sandbox holds.
///
/// A source of Python runs anew in an empty namespace. Put back are what it changed in `sys`, built-in names, the working
/// folder, the environment, warning filters, decimal's and NumPy's contexts, matplotlib's settings; modules from its own
/// folders are imported anew, and both random generators are seeded. **What it changed inside other modules stays**:
/// attributes, caches, options of the library and of packages. Where an attempt was stopped by a limit, ended the process,
/// trapped, was refused memory, or left a file open, the next one has a fresh sandbox; and what was refused memory in a
/// sandbox that had served others is run once more in a fresh one, whose outcome counts. WASI modules and components always
/// have fresh ones, and so has a package that must be imported anew in each call.
pub struct Series {
    pub program: Program,
    pub isolation: Isolation,
    pub lane: Lane,
    /// Whose places and whose share of the memory budget it uses.
    pub tenant: TenantId,
    /// Stops it between attempts and within.
    pub cancel: Cancel,
    pub items: Box<dyn Items>,
    /// Called once, on the sandbox's thread, with its memory reset.
    pub done: Box<dyn FnOnce(SeriesEnd) + Send>,
}

/// The attempts of a series. Called on the sandbox's thread.
pub trait Items: Send {
    /// The next attempt, or nothing where there is none.
    fn next(&mut self) -> Option<Attempt>;

    /// The outcome of the attempt that [`next`](Self::next) gave; says whether to go on. It may block for a moment, and
    /// holds up this series alone. An attempt that a cancel stopped, or that never found memory, is not told.
    fn told(&mut self, outcome: Outcome) -> ControlFlow<()>;
}

/// Why a series ended.
#[derive(Debug, Clone, PartialEq)]
pub enum SeriesEnd {
    /// There are no more items, or [`Items::told`] said to stop.
    Through,
    Cancelled,
    /// The next item found no memory to start in ([`ErrorKind::Quota`]). Waiting cures it.
    NoRoom(TaskError),
    /// The platform failed.
    Failed(TaskError),
}

/// Runs it to its end, on this thread.
pub(super) fn run(sandbox: &Sandbox, series: Series, fresh: &Arc<Fresh>) {
    let Series { program, isolation, lane, tenant, cancel, mut items, done } = series;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let _active = sandbox.engine.ticker().enter();
        let serving = Serving::new(sandbox, (&program, isolation), (tenant, &cancel), fresh.checkpoint());
        run_all(serving, items.as_mut(), &cancel, fresh)
    }));
    let end = ran.unwrap_or_else(|_| {
        tracing::error!(%lane, "sandbox.series: panicked");
        SeriesEnd::Failed(TaskError::new(ErrorKind::Executor, "the platform failed to run these computations"))
    });
    // What holds the outcomes is complete before anybody is told.
    drop(items);
    if catch_unwind(AssertUnwindSafe(|| done(end))).is_err() {
        tracing::error!(%lane, "sandbox.done: panicked");
    }
}

fn run_all(mut serving: Serving<'_>, items: &mut dyn Items, cancel: &Cancel, fresh: &Fresh) -> SeriesEnd {
    while !cancel.is_cancelled() {
        let Some(attempt) = items.next() else { return SeriesEnd::Through };
        // Short items may miss a tick. Not the whole checkpoint, which would hand the core on after each of them.
        fresh.give_way();
        let outcome = match run_one(&mut serving, &attempt, cancel) {
            Ok(outcome) => outcome,
            Err(end) => return end,
        };
        if items.told(outcome).is_break() {
            return SeriesEnd::Through;
        }
    }
    SeriesEnd::Cancelled
}

/// One attempt's outcome, unless it ends the series.
fn run_one(serving: &mut Serving<'_>, attempt: &Attempt, cancel: &Cancel) -> Result<Outcome, SeriesEnd> {
    let mut waited = Duration::ZERO;
    loop {
        let outcome = serving.item(attempt);
        match &outcome.result {
            Err(error) if error.kind == ErrorKind::Cancelled => return Err(SeriesEnd::Cancelled),
            Err(error) if error.kind == ErrorKind::Quota && waited >= NO_ROOM_MAX => {
                return Err(SeriesEnd::NoRoom(error.clone()));
            }
            Err(error) if error.kind == ErrorKind::Quota => {
                waited += NO_ROOM;
                if cancel.sleep_until(Instant::now() + NO_ROOM) {
                    return Err(SeriesEnd::Cancelled);
                }
            }
            _ => return Ok(outcome),
        }
    }
}
