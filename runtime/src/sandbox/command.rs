//! A WASI command: the inputs on stdin, the result on stdout, the log on stderr, success is exit code 0.

use super::{Door, Limiter, Run, Sandbox, State, door::result_of, failure, grants};
use crate::{
    output::Sink,
    tree::{Tree, TreeLimits},
    wasi::WasiCtx,
};
use mecapy_model::{ErrorKind, LogStream, TaskError};
use serde_json::value::RawValue;
use wasmtime::{Instance, Store};

use super::RESULT_BYTES_MAX;

/// What the host holds for one attempt.
pub(super) fn state(sandbox: &Sandbox, run: &Run<'_>, limiter: Limiter) -> Result<State, TaskError> {
    let mut tree = Tree::new(TreeLimits { bytes_max: sandbox.ceilings.artifact_bytes_max, ..TreeLimits::default() });
    grants::add_folders(&mut tree).map_err(failure::executor)?;
    let builder = WasiCtx::builder()
        .arg("task")
        .preopen("/")
        .stdin(run.attempt.inputs.as_bytes())
        .stdout(Sink::new(LogStream::Stdout, RESULT_BYTES_MAX + 1));
    let wasi = grants::complete(builder, tree, sandbox, run)?;
    Ok(State::new(wasi, limiter, Door::closed(), run.cancel.clone()))
}

/// Runs the module's `_start`.
pub(super) fn call(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<()> {
    instance.get_typed_func::<(), ()>(&mut *store, "_start")?.call(store, ())
}

/// The JSON object on stdout, or why there is none.
pub(super) fn result(store: &Store<State>, ended: wasmtime::Result<()>) -> Result<Box<RawValue>, TaskError> {
    let code = match ended {
        Ok(()) => 0,
        Err(error) => failure::of(store, &error)?,
    };
    let wasi = &store.data().wasi;
    if code != 0 {
        if store.data().limiter.refusal().is_some() {
            return Err(failure::out_of_memory(store));
        }
        let said = wasi.stderr().text().trim_end().lines().last().unwrap_or_default();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        return Err(TaskError::new(ErrorKind::ExitCode, format!("the module ended with exit code {code}{said}")));
    }
    if wasi.stdout().bytes_written() == 0 {
        let message = "the module wrote nothing to stdout: it must write its result there, as one JSON object";
        return Err(TaskError::new(ErrorKind::InvalidOutput, message));
    }
    result_of(wasi.stdout().text().as_bytes())
}
