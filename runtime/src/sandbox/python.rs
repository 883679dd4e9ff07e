//! A Python attempt: the interpreter's image, the task handed in through the door, the result taken out of it.

use super::{Door, Limiter, Run, Sandbox, State, door::TaskFrame, failure, grants};
use crate::{
    PythonImage, Sources,
    python::call_turn,
    tree::Tree,
    wasi::{WasiCtx, WasiCtxBuilder},
};
use mecapy_model::{ErrorKind, LogStream, TaskError};
use serde_json::value::RawValue;
use wasmtime::{Instance, Store};

/// The name that tracebacks show for the user's source.
const SCRIPT_NAME: &str = "task.py";
/// The name of a source of ours that calls a package's function. It looks like one of the runner's own files, which
/// tracebacks leave out.
const CALL_NAME: &str = "/usr/local/lib/mecapy/call";
/// Where the files of a published package are; the runner knows it too, and shows names from here on.
pub const PACKAGE_FOLDER: &str = "/usr/local/lib/package";
/// The directories of the tree, in the order that every image saw.
pub const PREOPENS: [&str; 2] = ["/usr/local/lib", "/"];
/// The interpreter's arguments and environment.
pub const ARGUMENTS: [&str; 1] = ["python"];
pub const ENVIRONMENT: [(&str, &str); 2] = [("HOME", "/tmp"), ("TMPDIR", "/tmp")];

/// What the interpreter is granted whatever it runs: the same when an image is made and when it is used.
pub(crate) fn base_grants() -> WasiCtxBuilder {
    let builder = ARGUMENTS.into_iter().fold(WasiCtx::builder(), WasiCtxBuilder::arg);
    let builder = ENVIRONMENT.into_iter().fold(builder, |builder, (name, value)| builder.env(name, value));
    PREOPENS.into_iter().fold(builder, WasiCtxBuilder::preopen)
}

/// A source, and the files and names that it runs with.
pub(super) struct Script<'a> {
    pub(super) files: &'a Tree,
    pub(super) sources: Sources,
    /// `None` for the source of the item before, which the runner has kept.
    pub(super) source: Option<&'a str>,
    pub(super) entry: Option<&'a str>,
}

/// What the host holds for one attempt.
pub(super) fn state(
    sandbox: &Sandbox,
    run: &Run<'_>,
    script: &Script<'_>,
    limiter: Limiter,
) -> Result<State, TaskError> {
    let (wasi, door) = grants(sandbox, run, script)?;
    Ok(State::new(wasi, limiter, door, run.cancel.clone()))
}

/// What one task is granted: its files, output, clock and randomness, and the door that hands it in.
pub(super) fn grants(sandbox: &Sandbox, run: &Run<'_>, script: &Script<'_>) -> Result<(WasiCtx, Door), TaskError> {
    let frame = TaskFrame {
        source: script.source,
        entry: script.entry,
        inputs: &run.attempt.inputs,
        seed: run.attempt.seed,
        non_finite: run.attempt.non_finite,
        artifact_bytes_max: sandbox.ceilings.artifact_bytes_max,
        script_name: match script.sources {
            Sources::Users => SCRIPT_NAME,
            Sources::Calls => CALL_NAME,
        },
    };
    let door = Door::for_task(&frame, run.observer.clone()).map_err(failure::executor)?;
    let log = |stream| grants::log(stream, sandbox, run);
    let builder = base_grants().stdout(log(LogStream::Stdout)).stderr(log(LogStream::Stderr));
    Ok((grants::complete(builder, script.files.clone(), run)?, door))
}

/// Runs the task to its end; 0 means that the runner itself ended well.
pub(super) fn call(store: &mut Store<State>, instance: &Instance, image: &PythonImage) -> wasmtime::Result<i32> {
    call_turn(store, instance, image.turn)
}

/// What the runner said through the door, or why it could not say anything.
pub(super) fn result(store: &mut Store<State>, ended: wasmtime::Result<i32>) -> Result<Box<RawValue>, TaskError> {
    let answer = store.data_mut().door.answer.take();
    match (ended, answer) {
        (Ok(0), Some(answer)) => answer,
        (Ok(_), _) if store.data().limiter.refusal().is_some() => Err(failure::out_of_memory(store)),
        (Ok(_), Some(Err(error))) => Err(error),
        (Ok(0), None) => Err(TaskError::new(ErrorKind::InvalidOutput, "the computation ended without a result")),
        (Ok(_), _) => {
            let message =
                "the code broke the interpreter's own runner, which could not report a result: stderr may say how";
            Err(TaskError::new(ErrorKind::Exception, message))
        }
        (Err(error), answer) => match failure::of(store, &error) {
            // The code called the operating system's exit after its result was told: the result stands.
            Ok(0) => answer.unwrap_or_else(|| {
                Err(TaskError::new(ErrorKind::InvalidOutput, "the code ended the process before it had a result"))
            }),
            Ok(code) => {
                Err(TaskError::new(ErrorKind::ExitCode, format!("the code ended the process with exit code {code}")))
            }
            Err(error) => Err(error),
        },
    }
}
