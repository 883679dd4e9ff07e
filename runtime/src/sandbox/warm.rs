//! A package's warm-up: its modules imported, and some of its calls rehearsed, in one sandbox whose memory becomes an
//! image.
//!
//! The package's code is nobody's to trust: fuel, memory, deadline and cancel switch are those of the attempt, for all
//! steps together. Each step is a whole task through the door, with files, output, clock and randomness of its own, so
//! that the image holds no descriptor and no file of a step. Knows nothing of what a package or a function is.

use super::{
    Door, Limiter, Run, Sandbox, State, failure, milliseconds, outcome_of,
    python::{self, Script},
    thread_cpu_time,
};
use crate::{
    Attempt, Delta, DeltaError, ImageError, InputFile, MemoryImage, PYTHON_TURN, PythonImage, Sources,
    python::{SETTLE_TURN, call_turn, memory_of, mutable_globals, place},
    tree::Tree,
    wasi::WasiCtx,
};
use mecapy_model::{ErrorKind, Outcome, TaskError, Usage};
use serde_json::value::RawValue;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use wasmtime::{Instance, Store};

/// A call that is run once before the image is kept.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// A source as a call's will be, which imports the function.
    pub source: Arc<str>,
    pub entry: Option<Arc<str>>,
    /// One JSON object.
    pub inputs: Arc<str>,
    /// Read-only files under `/work/in`, for this call alone.
    pub files: Vec<InputFile>,
}

/// What to make an image of, and what came of it. It is a program: the pool runs it as a job like any other, whose
/// attempt gives the limits, the seed and the clock of all steps, and no inputs.
pub struct WarmUp {
    pub(super) base: Arc<PythonImage>,
    name: String,
    files: Tree,
    prepare: Arc<str>,
    rehearsals: Vec<Rehearsal>,
    made: Mutex<Option<WarmOutcome>>,
}

/// What came of a warm-up that began.
pub struct WarmOutcome {
    pub prepared: Outcome,
    /// Of each rehearsal that began, in order. One whose code raised has failed like a task; the next ones ran all the
    /// same.
    pub rehearsed: Vec<Outcome>,
    pub frozen: Frozen,
    pub image: Result<PythonImage, WarmError>,
}

/// What the import took from its surroundings. Calls on the image see what the warm-up saw, whatever their own seed and
/// clock; calls that import the package themselves don't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Frozen {
    pub randomness: bool,
    pub wall_clock: bool,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum WarmError {
    /// The import failed: the package's exception, or the limit that it reached.
    #[error("{}", .0.message)]
    Prepare(TaskError),
    /// A rehearsal ended the sandbox, by a limit or by itself.
    #[error("{}", .error.message)]
    Rehearsal { index: usize, error: TaskError },
    /// What the package left can't be in an image: a file that is open.
    #[error("{}", .0.message)]
    Settle(TaskError),
    #[error(transparent)]
    Delta(#[from] DeltaError),
    #[error("the mutable global {name} is not back at its initial value after the warm-up")]
    Global { name: String },
    #[error("the platform could not make the image: {0}")]
    Image(#[from] ImageError),
    #[error("the platform could not run the warm-up: {0}")]
    Sandbox(String),
}

impl WarmUp {
    /// Over `base`, whose tree with the package's files is `files` ([`Tree::with_files`]). `prepare` is a source that
    /// imports the package ([`prepare_source`]); the rehearsals follow in order.
    pub fn new(
        base: Arc<PythonImage>,
        name: String,
        files: Tree,
        prepare: Arc<str>,
        rehearsals: Vec<Rehearsal>,
    ) -> Self {
        Self { base, name, files, prepare, rehearsals, made: Mutex::default() }
    }

    /// What came of it, once; `None` where the job ended before it began.
    pub fn take(&self) -> Option<WarmOutcome> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs all steps. The result is for the job's outcome: an empty object where there is an image.
    pub(super) fn run(
        &self,
        store: &mut Store<State>,
        instance: wasmtime::Result<Instance>,
        sandbox: &Sandbox,
        run: &Run<'_>,
    ) -> Result<Box<RawValue>, TaskError> {
        let instance = instance.map_err(failure::executor)?;
        let globals = mutable_globals(&instance, store);
        let mut steps = Steps { store, instance, globals, sandbox, run, warm_up: self };
        let (prepared, frozen, ended) = steps.prepare()?;
        let mut rehearsed = Vec::new();
        let image = ended.and_then(|()| steps.rehearse(&mut rehearsed)).and_then(|()| steps.image());
        let told = match &image {
            Ok(_) => RawValue::from_string("{}".into()).map_err(failure::executor),
            Err(error) => Err(error.task_error()),
        };
        let outcome = WarmOutcome { prepared, rehearsed, frozen, image };
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        told
    }
}

impl WarmError {
    /// What a job's outcome, or an author, is told.
    pub fn task_error(&self) -> TaskError {
        match self {
            WarmError::Prepare(error) | WarmError::Rehearsal { error, .. } | WarmError::Settle(error) => error.clone(),
            WarmError::Delta(_) => TaskError::new(ErrorKind::OutOfMemory, self.to_string()),
            WarmError::Global { .. } | WarmError::Image(_) | WarmError::Sandbox(_) => {
                TaskError::new(ErrorKind::Executor, self.to_string())
            }
        }
    }
}

/// What the host holds before the first step.
pub(super) fn state(run: &Run<'_>, limiter: Limiter) -> Result<State, TaskError> {
    let denied = WasiCtx::builder().build().map_err(failure::executor)?;
    Ok(State::new(denied, limiter, Door::closed(), run.cancel.clone()))
}

/// A source that puts folders on the module path and imports modules, by their full names. The folders come after the
/// interpreter's own library, which wins where both have a module of one name.
pub fn prepare_source(folders: &[&str], modules: &[&str]) -> String {
    // JSON's lists of strings are Python's too.
    let list = |names: &[&str]| serde_json::to_string(names).unwrap_or_default();
    let (folders, modules) = (list(folders), list(modules));
    format!(
        "import sys\nat = sys.path.index(\"/work/in\")\nsys.path[at:at] = {folders}\n{GENERATORS}before = generators()\n\
         for name in {modules}:\n    __import__(name)\nif generators() != before:\n    os.urandom(1)\nresult = None\n"
    )
}

/// The state of the generators that the runner seeds. What a package draws from them, or seeds, the host doesn't see: it
/// is asked for a random byte then, so that it does.
const GENERATORS: &str = "\
import os, random
def generators():
    numpy = sys.modules.get(\"numpy.random\")
    return random.getstate(), numpy and [getattr(part, \"tolist\", lambda: part)() for part in numpy.get_state()]
";

/// The steps of one warm-up in its sandbox.
struct Steps<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
    /// The mutable globals before the first step.
    globals: Vec<(String, u128)>,
    sandbox: &'a Sandbox,
    run: &'a Run<'a>,
    warm_up: &'a WarmUp,
}

impl Steps<'_> {
    /// Imports the package.
    fn prepare(&mut self) -> Result<(Outcome, Frozen, Result<(), WarmError>), TaskError> {
        let warm_up = self.warm_up;
        let attempt = self.attempt(Arc::from("{}"), Vec::new());
        self.grant(&attempt, &warm_up.prepare, None)?;
        let (result, usage, _) = self.turn(PYTHON_TURN);
        let wasi = &self.store.data().wasi;
        let frozen = Frozen { randomness: wasi.drew_randomness(), wall_clock: wasi.read_wall_clock() };
        let outcome = self.outcome(result, usage);
        let ended = outcome.result.as_ref().map(drop).map_err(|error| WarmError::Prepare(error.clone()));
        Ok((outcome, frozen, ended))
    }

    /// Runs each rehearsal; the first that ends the sandbox is the last.
    fn rehearse(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), WarmError> {
        for (index, rehearsal) in self.warm_up.rehearsals.iter().enumerate() {
            let attempt = self.attempt(Arc::clone(&rehearsal.inputs), rehearsal.files.clone());
            let granted = self.grant(&attempt, &rehearsal.source, rehearsal.entry.as_deref());
            granted.map_err(|error| WarmError::Rehearsal { index, error })?;
            let (result, usage, lives) = self.turn(PYTHON_TURN);
            let outcome = self.outcome(result, usage);
            let error = outcome.result.as_ref().err().cloned();
            outcomes.push(outcome);
            if let (false, Some(error)) = (lives, error) {
                return Err(WarmError::Rehearsal { index, error });
            }
        }
        Ok(())
    }

    /// Has the interpreter tidy up, and keeps what its memory has become.
    fn image(&mut self) -> Result<PythonImage, WarmError> {
        let attempt = self.attempt(Arc::from("{}"), Vec::new());
        self.grant(&attempt, "", None).map_err(WarmError::Settle)?;
        self.store.data_mut().door = Door::closed();
        let (result, _, lives) = self.turn(SETTLE_TURN);
        if let (false, Err(error)) = (lives, result) {
            return Err(WarmError::Settle(error));
        }
        let turn = match place(self.store, &self.instance, PYTHON_TURN) {
            Ok(turn) => turn,
            Err(error) => return Err(WarmError::Settle(why_ended(self.store, &error))),
        };
        let after = mutable_globals(&self.instance, self.store);
        if let Some(((name, _), _)) = self.globals.iter().zip(after).find(|(before, after)| **before != *after) {
            return Err(WarmError::Global { name: name.clone() });
        }
        let (base, warm_up) = (&self.warm_up.base, self.warm_up);
        let memory = memory_of(self.store, &self.instance).map_err(|error| WarmError::Sandbox(error.to_string()))?;
        let delta = Delta::between(base.memory.contents(), memory.data(&*self.store))?;
        Ok(PythonImage {
            name: warm_up.name.clone(),
            module: Arc::clone(&base.module),
            memory: MemoryImage::with_delta(&base.memory, &delta)?,
            turn,
            files: warm_up.files.clone(),
            sources: Sources::Calls,
            prepare: None,
            frozen: None,
        })
    }

    /// The attempt with a step's own inputs.
    fn attempt(&self, inputs: Arc<str>, files: Vec<InputFile>) -> Attempt {
        Attempt { inputs, files, ..self.run.attempt.clone() }
    }

    /// Hands a step its source, files, output, clock and randomness, in place of those of the step before.
    fn grant(&mut self, attempt: &Attempt, source: &str, entry: Option<&str>) -> Result<(), TaskError> {
        let checkpoint = Arc::clone(&self.run.checkpoint);
        let run = Run { attempt, observer: None, checkpoint, ..*self.run };
        let script = Script { files: &self.warm_up.files, sources: Sources::Calls, source, entry };
        let (wasi, door) = python::grants(self.sandbox, &run, &script)?;
        let state = self.store.data_mut();
        (state.wasi, state.door) = (wasi, door);
        Ok(())
    }

    /// Runs a source of the runner's; says whether the sandbox can go on.
    fn turn(&mut self, source: &str) -> (Result<Box<RawValue>, TaskError>, Usage, bool) {
        let (started, cpu_started) = (Instant::now(), thread_cpu_time());
        let fuel = self.store.get_fuel().unwrap_or(0);
        let placed = place(self.store, &self.instance, source);
        let ended = placed.and_then(|turn| call_turn(self.store, &self.instance, turn));
        let lives = matches!(ended, Ok(0));
        let result = python::result(self.store, ended);
        let usage = Usage {
            fuel: fuel.saturating_sub(self.store.get_fuel().unwrap_or(0)),
            memory_peak_bytes: self.store.data().limiter.peak_bytes(),
            cpu_ms: milliseconds(thread_cpu_time().saturating_sub(cpu_started)),
            queued_ms: 0.0,
            startup_ms: 0.0,
            execute_ms: milliseconds(started.elapsed()),
            compile_ms: None,
        };
        (result, usage, lives)
    }

    fn outcome(&mut self, result: Result<Box<RawValue>, TaskError>, usage: Usage) -> Outcome {
        Outcome { usage, ..outcome_of(self.store, result, true, &self.sandbox.ceilings) }
    }
}

/// The limit that a host's own call into the guest met.
fn why_ended(store: &Store<State>, error: &wasmtime::Error) -> TaskError {
    failure::of(store, error).err().unwrap_or_else(|| failure::executor("the guest ended itself"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_that_imports_is_python_whatever_the_names_are() {
        let source = prepare_source(&["/usr/local/lib/package/a \"b\""], &["joint.thread", "x\ny"]);
        let lines: Vec<&str> = source.lines().collect();
        let (first, last) = (lines.get(..3).unwrap(), lines.get(lines.len() - 6..).unwrap());
        let expected = [
            "import sys",
            "at = sys.path.index(\"/work/in\")",
            r#"sys.path[at:at] = ["/usr/local/lib/package/a \"b\""]"#,
        ];
        assert_eq!(first, expected);
        let expected = [
            r#"for name in ["joint.thread","x\ny"]:"#,
            "    __import__(name)",
            "if generators() != before:",
            "    os.urandom(1)",
            "result = None",
        ];
        assert_eq!(last.get(1..).unwrap(), expected);
        assert_eq!(last.first(), Some(&"before = generators()"));
    }
}
