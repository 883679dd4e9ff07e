//! The items of a batch, one after the other: each in a fresh sandbox, or in one that served earlier items.

use super::{
    Limiter, Program, Run, Sandbox, Spent, State, failure, interrupt_at, milliseconds, outcome_of,
    python::Script,
    turns::{self, Turned},
};
use crate::{Attempt, Cancel, PythonImage, python::ITEM_TURN};
use mecapy_model::{Isolation, Outcome, TaskError, TenantId};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{Instance, Store};

/// Runs items. What they share is at most a sandbox; limits, grants and the outcome are each item's own.
///
/// A shared sandbox is for Python alone, and not for a package that must be imported anew in each call. It ends, and the
/// next item gets another, where an item was stopped by a limit or a trap, ended the process, was refused memory, left a
/// file open, or left something that the runner could not put back.
pub(crate) struct Serving<'a> {
    sandbox: &'a Sandbox,
    program: &'a Program,
    shared: Option<Shared<'a>>,
    tenant: TenantId,
    cancel: &'a Cancel,
    checkpoint: Arc<dyn Fn() + Send + Sync>,
    open: Option<Open>,
}

/// A program whose items may share a sandbox.
#[derive(Clone, Copy)]
struct Shared<'a> {
    image: &'a PythonImage,
    source: &'a str,
    entry: Option<&'a str>,
}

/// A sandbox between two items.
struct Open {
    store: Store<State>,
    instance: Instance,
    /// How long making it took: the first item's.
    startup: Duration,
    has_served: bool,
}

impl<'a> Serving<'a> {
    pub(crate) fn new(
        sandbox: &'a Sandbox,
        (program, isolation): (&'a Program, Isolation),
        (tenant, cancel): (TenantId, &'a Cancel),
        checkpoint: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let shared = match (isolation, program) {
            (Isolation::Batch, Program::Python { image, source, entry }) if image.prepare.is_none() => {
                Some(Shared { image, source, entry: entry.as_deref() })
            }
            _ => None,
        };
        Self { sandbox, program, shared, tenant, cancel, checkpoint, open: None }
    }

    /// Runs one item to its end.
    pub(crate) fn item(&mut self, attempt: &Attempt) -> Outcome {
        let Some(shared) = self.shared else {
            return self.sandbox.run(self.program, &self.run(attempt)).0;
        };
        if let Some(open) = self.open.take() {
            let (outcome, is_doubtful) = self.serve(shared, open, &self.run(attempt));
            if !is_doubtful {
                return outcome;
            }
        }
        let run = self.run(attempt);
        match self.make(shared, &run) {
            Ok(open) => self.serve(shared, open, &run).0,
            Err(error) => Outcome::failed(error),
        }
    }

    /// An item's time begins now.
    fn run<'r>(&self, attempt: &'r Attempt) -> Run<'r>
    where
        'a: 'r,
    {
        Run {
            attempt,
            tenant: self.tenant,
            cancel: self.cancel,
            observer: None,
            deadline: Instant::now() + Duration::from_millis(attempt.limits.timeout_ms),
            checkpoint: Arc::clone(&self.checkpoint),
        }
    }

    fn make(&self, shared: Shared<'_>, run: &Run<'_>) -> Result<Open, TaskError> {
        if run.cancel.is_cancelled() {
            return Err(failure::cancelled());
        }
        let (sandbox, image, started) = (self.sandbox, shared.image, Instant::now());
        let start_bytes = image.memory.bytes() as u64;
        let charge = sandbox.admit(run, start_bytes)?;
        let limiter = Limiter::new(run.attempt.limits.memory_bytes, charge, start_bytes);
        let state = turns::state(run, limiter)?;
        let mut store = sandbox.store(state, run).map_err(failure::executor)?;
        let instance = image.module.instantiate(&mut store, &image.memory).map_err(failure::executor)?;
        Ok(Open { store, instance, startup: started.elapsed(), has_served: false })
    }

    /// Runs one item in an open sandbox, which stays open where it can serve another. Also says whether the items before
    /// may have had a hand in the outcome.
    fn serve(&mut self, shared: Shared<'_>, mut open: Open, run: &Run<'_>) -> (Outcome, bool) {
        let Open { store, instance, startup, has_served } = &mut open;
        // The runner has kept the source since the first item.
        let source = (!*has_served).then_some(shared.source);
        let (files, sources) = (&shared.image.files, shared.image.sources);
        let script = Script { files, sources, source, entry: shared.entry };
        let granted = turns::grant(store, self.sandbox, run, &script);
        let granted = granted.and_then(|()| store.set_fuel(run.attempt.limits.fuel).map_err(failure::executor));
        if let Err(error) = granted {
            open.end();
            return (Outcome::failed(error), false);
        }
        interrupt_at(store, run);
        store.set_epoch_deadline(1);
        let Turned { result, mut usage, status, told } = turns::take(store, instance, ITEM_TURN);
        usage.startup_ms = milliseconds(std::mem::take(startup));
        let was_refused_memory = store.data().limiter.refusal().is_some();
        let broke_the_runner = status.is_some() && !told;
        let is_fit = status == Some(0) && told && !was_refused_memory && store.data().wasi.has_only_grants();
        let outcome = Outcome { usage, ..outcome_of(store, result, true, &self.sandbox.ceilings) };
        let is_doubtful = *has_served && (was_refused_memory || broke_the_runner);
        *has_served = true;
        if is_fit {
            self.open = Some(open);
        } else {
            open.end();
        }
        (outcome, is_doubtful)
    }
}

impl Open {
    fn end(self) {
        drop(Spent(Some(self.store)));
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.end();
        }
    }
}
