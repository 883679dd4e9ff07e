//! One attempt in one fresh sandbox: a store with limits and grants, made for the attempt and gone after it.
//!
//! Knows nothing of threads, lanes or queues: see `pool`.

mod artifacts;
mod command;
mod component;
mod crew;
mod door;
mod failure;
mod grants;
mod kernels;
mod limiter;
mod linalg_imports;
mod python;
mod serving;
mod turns;
mod warm;
mod world;
mod world_types;

pub(crate) use component::MEMORIES_MAX as COMPONENT_MEMORIES_MAX;
pub(crate) use door::Door;
pub use door::RESULT_BYTES_MAX;
pub use grants::add_folders;
pub(crate) use kernels::Kernels;
pub(crate) use limiter::{Limiter, TABLES_MAX};
pub(crate) use linalg_imports::{FUNCTIONS as LINALG_FUNCTIONS, MODULE as LINALG_MODULE};
pub(crate) use python::base_grants as python_grants;
pub use python::{
    ARGUMENTS as PYTHON_ARGUMENTS, ENVIRONMENT as PYTHON_ENVIRONMENT, PACKAGE_FOLDER, PREOPENS as PYTHON_PREOPENS,
};
pub(crate) use serving::Serving;
pub use warm::{Frozen, Rehearsal, WarmError, WarmOutcome, WarmUp, prepare_source};
pub(crate) use world::{INTERFACES as WORLD_INTERFACES, VERSION as WORLD_VERSION};

use crate::{
    Attempt, Cancel, Engine, Observer, PythonImage, WasiModule,
    budget::{Charge, MemoryBudget},
    wasi::{self, Interrupted, WasiCtx},
    wasi_module::{Component, Linked},
};
use mecapy_linalg::Instructions;
use mecapy_model::{ErrorKind, Outcome, TaskError, TenantId, Usage};
use serde_json::value::RawValue;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{InstancePre, Linker, Store, UpdateDeadline};

/// What to run.
#[derive(Clone)]
pub enum Program {
    /// Python source on an interpreter image.
    Python { image: Arc<PythonImage>, source: Arc<str>, entry: Option<Arc<str>> },
    /// A WASI command module (JSON on stdin, JSON on stdout), or a component of the world `mecapy:task`. `function` is its
    /// first argument, where it has several.
    Wasi { module: Arc<WasiModule>, function: Option<Arc<str>> },
    /// A package's warm-up, which keeps what it makes: see [`WarmUp::take`].
    WarmUp(Arc<WarmUp>),
}

/// Ceilings that hold for every attempt, whatever it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes_max: u64,
    /// Bytes of all artifacts of one attempt, and of everything it writes to its file tree.
    pub artifact_bytes_max: u64,
    pub artifacts_max: usize,
    /// With which instructions the host computes linear algebra for a guest that wants it; `None`: it computes none.
    pub kernels: Option<Instructions>,
}

impl Default for Ceilings {
    fn default() -> Self {
        // Where the machine lacks them, the guest computes by itself.
        let kernels = Some(Instructions::default()).filter(|instructions| instructions.are_available());
        Self { output_bytes_max: 1 << 20, artifact_bytes_max: 64 << 20, artifacts_max: 200, kernels }
    }
}

/// What one run is handed beside its program.
pub(crate) struct Run<'a> {
    pub(crate) attempt: &'a Attempt,
    /// Whose share of the memory budget it uses.
    pub(crate) tenant: TenantId,
    pub(crate) cancel: &'a Cancel,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// When the attempt's time is over.
    pub(crate) deadline: Instant,
    /// Called at each tick while the guest runs: may wait to let others go first.
    pub(crate) checkpoint: Arc<dyn Fn() + Send + Sync>,
}

/// Makes sandboxes.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) budget: Arc<MemoryBudget>,
    pub(crate) ceilings: Ceilings,
}

/// What the host holds for one guest.
pub(crate) struct State {
    pub(crate) wasi: WasiCtx,
    pub(crate) limiter: Limiter,
    pub(crate) door: Door,
    pub(crate) cancel: Cancel,
    pub(crate) kernels: Kernels,
}

/// A store that has run its guest. Dropping it resets its memory slot, which can wait until the outcome is told.
pub(crate) struct Spent(Option<Store<State>>);

impl Drop for Spent {
    fn drop(&mut self) {
        // The store hands its data back once its memories are gone: only then is the budget's charge given back.
        drop(self.0.take().map(Store::into_data));
    }
}

impl State {
    pub(crate) fn new(wasi: WasiCtx, limiter: Limiter, door: Door, cancel: Cancel) -> Self {
        Self { wasi, limiter, door, cancel, kernels: Kernels::default() }
    }
}

impl Sandbox {
    /// Runs the attempt to its end. The guest's memory is freed when `Spent` is dropped.
    pub(crate) fn run(&self, program: &Program, run: &Run<'_>) -> (Outcome, Spent) {
        let started = Instant::now();
        let cpu_started = thread_cpu_time();
        let (mut store, guest) = match self.make(program, run) {
            Ok(made) => made,
            Err(error) => return (Outcome::failed(error), Spent(None)),
        };
        let _active = self.engine.ticker().enter();
        let (mut outcome, startup) = guest.execute(&mut store, started, self, run);
        outcome.usage = Usage {
            // Compiled code keeps the count in a register and writes it down at calls and at its end: of a loop that a
            // tick stopped, this is what was known before the loop.
            fuel: run.attempt.limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0)),
            memory_peak_bytes: store.data().limiter.peak_bytes(),
            cpu_ms: milliseconds(
                thread_cpu_time().saturating_sub(cpu_started) + store.data_mut().kernels.take_helped(),
            ),
            queued_ms: 0.0,
            startup_ms: milliseconds(startup),
            execute_ms: milliseconds(started.elapsed().saturating_sub(startup)),
            compile_ms: None,
            kernels: store.data_mut().kernels.take_use(),
        };
        (outcome, Spent(Some(store)))
    }

    /// The store with everything the guest is granted, and nothing run yet.
    fn make<'p>(&self, program: &'p Program, run: &Run<'_>) -> Result<(Store<State>, Guest<'p>), TaskError> {
        if run.cancel.is_cancelled() {
            return Err(failure::cancelled());
        }
        let start_bytes = program.start_bytes();
        let charge = self.admit(run, start_bytes)?;
        let limiter = Limiter::new(run.attempt.limits.memory_bytes, charge, start_bytes);
        let (state, guest) = match program {
            Program::Python { image, source, entry } => {
                let (files, source, entry) = (&image.files, Some(&**source), entry.as_deref());
                let script = python::Script { files, sources: image.sources, source, entry };
                (python::state(self, run, &script, limiter)?, Guest::Python(image))
            }
            Program::Wasi { module, function } => match module.linked() {
                Linked::Command(pre) => (command::state(self, run, function.as_deref(), limiter)?, Guest::Command(pre)),
                Linked::Component(component) => {
                    (component::state(self, run, function.as_deref(), limiter)?, Guest::Component(component))
                }
            },
            Program::WarmUp(warm_up) => (turns::state(run, limiter)?, Guest::WarmUp(warm_up)),
        };
        let store = self.store(state, run).map_err(failure::executor)?;
        Ok((store, guest))
    }

    /// A store under the attempt's limits, with the kernels that it may use.
    fn store(&self, mut state: State, run: &Run<'_>) -> wasmtime::Result<Store<State>> {
        state.kernels = Kernels::of(self.ceilings.kernels, run.attempt);
        let mut store = store(&self.engine, state, run.attempt.limits.fuel)?;
        interrupt_at(&mut store, run);
        Ok(store)
    }

    /// Charges what the sandbox starts with to the process's budget.
    fn admit(&self, run: &Run<'_>, start_bytes: u64) -> Result<Charge, TaskError> {
        let limit = run.attempt.limits.memory_bytes;
        if start_bytes > limit {
            let (start, limit) = (start_bytes >> 20, limit >> 20);
            let message = format!(
                "limits.memory_bytes allows {limit} MiB, but this program starts with {start} MiB: ask for {start} MiB or more"
            );
            return Err(TaskError::new(ErrorKind::OutOfMemory, message));
        }
        let share = self.budget.tenant_bytes_max();
        if start_bytes > share {
            return Err(failure::beyond_share(start_bytes, share));
        }
        self.budget.admit(run.tenant, start_bytes).map_err(failure::not_admitted)
    }
}

impl Program {
    /// Linear memory before the first instruction, bytes.
    fn start_bytes(&self) -> u64 {
        match self {
            Program::Python { image, .. } => image.memory.bytes() as u64,
            Program::Wasi { module, .. } => module.minimum_bytes(),
            Program::WarmUp(warm_up) => warm_up.base.memory.bytes() as u64,
        }
    }
}

/// A guest that is ready to run.
enum Guest<'p> {
    Python(&'p PythonImage),
    Command(&'p InstancePre<State>),
    Component(&'p Component),
    WarmUp(&'p WarmUp),
}

impl Guest<'_> {
    /// Runs to the end; also says how long making the sandbox took.
    fn execute(
        &self,
        store: &mut Store<State>,
        started: Instant,
        sandbox: &Sandbox,
        run: &Run<'_>,
    ) -> (Outcome, Duration) {
        let (startup, result) = match self {
            Guest::Python(image) => {
                let (instance, startup) = (image.module.instantiate(store, &image.memory), started.elapsed());
                let ended = instance.and_then(|instance| python::call(store, &instance, image));
                (startup, python::result(store, ended))
            }
            Guest::Command(pre) => {
                let (instance, startup) = (pre.instantiate(&mut *store), started.elapsed());
                let ended = instance.and_then(|instance| command::call(store, &instance));
                (startup, command::result(store, ended))
            }
            Guest::Component(component) => {
                component::limit(store);
                let (instance, startup) = (component.pre.instantiate(&mut *store), started.elapsed());
                let inputs = &run.attempt.inputs;
                let ended = instance.and_then(|instance| component::call(store, component, &instance, inputs));
                (startup, component::result(store, ended))
            }
            Guest::WarmUp(warm_up) => {
                let image = &warm_up.base;
                let (instance, startup) = (image.module.instantiate(store, &image.memory), started.elapsed());
                (startup, warm_up.run(store, instance, sandbox, run))
            }
        };
        // A command's stdout is its result: shown only where it could not be one.
        let shows_stdout = !matches!(self, Guest::Command(_)) || result.is_err();
        (outcome_of(store, result, shows_stdout, &sandbox.ceilings), startup)
    }
}

/// What a guest left: its result, its output, its artifacts. What it used is counted elsewhere.
fn outcome_of(
    store: &mut Store<State>,
    result: Result<Box<RawValue>, TaskError>,
    shows_stdout: bool,
    ceilings: &Ceilings,
) -> Outcome {
    let mut outcome = Outcome { result, ..Outcome::failed(failure::cancelled()) };
    outcome.warnings = std::mem::take(&mut store.data_mut().door.warnings);
    if let Ok(denied) = WasiCtx::builder().build() {
        let left = std::mem::replace(&mut store.data_mut().wasi, denied).into_parts();
        let (stdout, stderr) = (left.stdout.finish(), left.stderr.finish());
        (outcome.stderr, outcome.stderr_truncated) = (stderr.text, stderr.truncated);
        outcome.warnings.extend(stderr.told.into_warnings(outcome.result.is_ok()));
        if shows_stdout {
            (outcome.stdout, outcome.stdout_truncated) = (stdout.text, stdout.truncated);
        }
        artifacts::collect(&left.tree, ceilings, &mut outcome);
    }
    outcome
}

/// A store with its limiter and its fuel; the first tick is the next one.
pub(crate) fn store(engine: &Engine, state: State, fuel: u64) -> wasmtime::Result<Store<State>> {
    let mut store = Store::new(engine.wasm(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_fuel(fuel)?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
    Ok(store)
}

/// Everything that a guest may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine.wasm());
    wasi::add_to_linker(&mut linker, |state: &mut State| &mut state.wasi)?;
    door::add_to_linker(&mut linker)?;
    linalg_imports::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Everything that a component may import.
pub(crate) fn component_linker(engine: &Engine) -> wasmtime::Result<wasmtime::component::Linker<State>> {
    let mut linker = wasmtime::component::Linker::new(engine.wasm());
    wasi::preview2::add_to_linker(&mut linker, |state: &mut State| &mut state.wasi)?;
    world::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// From now on each tick, and each piece of a kernel's work, looks at the deadline and at the cancel switch.
fn interrupt_at(store: &mut Store<State>, run: &Run<'_>) {
    store.data_mut().kernels.watch(run);
    let (cancel, checkpoint, deadline) = (run.cancel.clone(), Arc::clone(&run.checkpoint), run.deadline);
    store.epoch_deadline_callback(move |_| {
        if cancel.is_cancelled() || Instant::now() >= deadline {
            return Err(Interrupted.into());
        }
        checkpoint();
        Ok(UpdateDeadline::Continue(1))
    });
}

fn milliseconds(duration: Duration) -> f64 {
    // Three decimals are what the clock is worth.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills a timespec of ours; the clock always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
