//! A WASI command: the inputs on stdin, the result on stdout, the log on stderr, success is exit code 0.
//!
//! Lines of the log may tell how far it is, a warning, or why it failed: see [`Sink::hearing`].

use super::{
    Door, Limiter, RESULT_BYTES_MAX, Run, Sandbox, State,
    door::{document_of, too_large},
    failure, grants,
};
use crate::{
    output::Sink,
    tree::{Tree, TreeLimits},
    wasi::{WasiCtx, WasiCtxBuilder},
};
use mecapy_model::{ErrorKind, LogStream, TaskError};
use serde_json::value::RawValue;
use wasmtime::{Instance, Store};

/// What the host holds for one attempt.
pub(super) fn state(
    sandbox: &Sandbox,
    run: &Run<'_>,
    function: Option<&str>,
    limiter: Limiter,
) -> Result<State, TaskError> {
    let tree = tree(sandbox)?;
    let shown_bytes_max = usize::try_from(sandbox.ceilings.output_bytes_max).unwrap_or(usize::MAX);
    let arguments = ["task"].into_iter().chain(function);
    let builder = arguments
        .fold(WasiCtx::builder(), WasiCtxBuilder::arg)
        .preopen("/")
        .stdin(run.attempt.inputs.as_bytes())
        // The result is the bytes as they came; the text is for showing what could not be one.
        .stdout(Sink::new(LogStream::Stdout, shown_bytes_max).keeping_raw(RESULT_BYTES_MAX))
        .stderr(grants::log(LogStream::Stderr, sandbox, run).hearing());
    let wasi = grants::complete(builder, tree, run)?;
    Ok(State::new(wasi, limiter, Door::closed(), run.cancel.clone()))
}

/// The files of a guest that has none of its own: folders to read from and to write to.
pub(super) fn tree(sandbox: &Sandbox) -> Result<Tree, TaskError> {
    let mut tree = Tree::new(TreeLimits { bytes_max: sandbox.ceilings.artifact_bytes_max, ..TreeLimits::default() });
    grants::add_folders(&mut tree).map_err(failure::executor)?;
    Ok(tree)
}

/// Runs the module's `_start`.
pub(super) fn call(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<()> {
    instance.get_typed_func::<(), ()>(&mut *store, "_start")?.call(store, ())
}

/// The JSON document on stdout as an object, or why there is none.
pub(super) fn result(store: &Store<State>, ended: wasmtime::Result<()>) -> Result<Box<RawValue>, TaskError> {
    let code = match ended {
        Ok(()) => 0,
        Err(error) => failure::of(store, &error)?,
    };
    let wasi = &store.data().wasi;
    if code != 0 {
        return Err(exited("module", store, code));
    }
    match wasi.stdout().bytes_written() {
        0 => {
            let message = "the module wrote nothing to stdout: it must write its result there, as one JSON document";
            Err(TaskError::new(ErrorKind::InvalidOutput, message))
        }
        bytes if bytes > RESULT_BYTES_MAX as u64 => Err(too_large(bytes)),
        _ => document_of(wasi.stdout().raw()).and_then(wrapped),
    }
}

/// Why a guest ended itself with an exit code other than 0, as far as it said.
pub(super) fn exited(what: &str, store: &Store<State>, code: i32) -> TaskError {
    let stderr = store.data().wasi.stderr();
    if store.data().limiter.refusal().is_some() {
        return failure::out_of_memory(store);
    }
    if let Some(error) = stderr.told_error() {
        return error.clone();
    }
    let said = stderr.text().trim_end().lines().last().unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    TaskError::new(ErrorKind::ExitCode, format!("the {what} ended with exit code {code}{said}"))
}

/// A result that is no object becomes one, as Python's do.
pub(super) fn wrapped(document: Box<RawValue>) -> Result<Box<RawValue>, TaskError> {
    if document.get().starts_with('{') {
        return Ok(document);
    }
    RawValue::from_string(format!("{{\"result\":{}}}", document.get())).map_err(failure::executor)
}
