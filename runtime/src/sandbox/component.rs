//! A component of the world `mecapy:task`: the inputs are the argument of `run`, the result is what it returns.
//!
//! Its standard streams are its log, and may tell the platform the same lines as a command's.

use super::{
    Door, Limiter, RESULT_BYTES_MAX, Run, Sandbox, State, command,
    door::{document_of, too_large},
    failure, grants,
    world_types::Fault,
};
use crate::{
    wasi::{HANDLES_MAX, WasiCtx, WasiCtxBuilder},
    wasi_module::Component,
};
use mecapy_model::{ErrorKind, LogStream, TaskError};
use serde_json::value::RawValue;
use wasmtime::Store;
use wasmtime::component::Instance;

/// Bytes that cross from the guest to the host in one call, at most. More than a result may have, so that one that is
/// too large is told its size.
const CALL_BYTES_MAX: usize = 2 * RESULT_BYTES_MAX;
/// What the engine says where a call carries more.
const CALL_TOO_LARGE: &str = "fuel allocated for hostcalls has been exhausted";

/// Core modules that one component may consist of when it runs. Compilers make up to four of one module.
const INSTANCES_MAX: usize = 16;
/// Their memories, and the heap that holds their exceptions.
pub(crate) const MEMORIES_MAX: usize = 4;

/// What `run` returns.
type Answer = Result<String, Fault>;

/// What the host holds for one attempt.
pub(super) fn state(
    sandbox: &Sandbox,
    run: &Run<'_>,
    function: Option<&str>,
    limiter: Limiter,
) -> Result<State, TaskError> {
    let tree = command::tree(sandbox)?;
    let arguments = ["task"].into_iter().chain(function);
    let builder = arguments
        .fold(WasiCtx::builder(), WasiCtxBuilder::arg)
        .preopen("/")
        .stdout(grants::log(LogStream::Stdout, sandbox, run))
        .stderr(grants::log(LogStream::Stderr, sandbox, run).hearing());
    let wasi = grants::complete(builder, tree, run)?;
    let limiter = limiter.for_component(INSTANCES_MAX, MEMORIES_MAX + 1);
    Ok(State::new(wasi, limiter, Door::watched(run.observer.clone()), run.cancel.clone()))
}

/// Bounds what the engine itself keeps for the component.
pub(super) fn limit(store: &mut Store<State>) {
    store.set_hostcall_fuel(CALL_BYTES_MAX);
    store.set_max_component_handles(HANDLES_MAX);
}

/// Calls `run`.
pub(super) fn call(
    store: &mut Store<State>,
    component: &Component,
    instance: &Instance,
    inputs: &str,
) -> wasmtime::Result<Answer> {
    let run = instance.get_typed_func::<(&str,), (Answer,)>(&mut *store, &component.run)?;
    let (answer,) = run.call(store, (inputs,))?;
    Ok(answer)
}

/// What `run` returned as an object, or why there is none.
pub(super) fn result(store: &Store<State>, ended: wasmtime::Result<Answer>) -> Result<Box<RawValue>, TaskError> {
    match ended {
        Ok(Ok(text)) if text.len() > RESULT_BYTES_MAX => Err(too_large(text.len() as u64)),
        Ok(Ok(text)) => document_of(text.as_bytes()).and_then(command::wrapped),
        Ok(Err(_)) if store.data().limiter.refusal().is_some() => Err(failure::out_of_memory(store)),
        Ok(Err(fault)) => Err(fault.told()),
        Err(error) => match why_ended(store, &error)? {
            0 => {
                let message = "the component ended itself before it had a result: return it from run";
                Err(TaskError::new(ErrorKind::InvalidOutput, message))
            }
            code => Err(command::exited("component", store, code)),
        },
    }
}

/// The exit code with which the component ended itself, or why it was ended. What the engine finds wrong with a call is
/// the component's doing: it chose the addresses, the handles and the texts.
fn why_ended(store: &Store<State>, error: &wasmtime::Error) -> Result<i32, TaskError> {
    match failure::of(store, error) {
        Err(why) if why.kind == ErrorKind::Executor => {}
        known => return known,
    }
    let said = format!("{error:#}");
    if said.contains(CALL_TOO_LARGE) {
        let mib = CALL_BYTES_MAX >> 20;
        let message = format!(
            "the component passed more than {mib} MiB in one call: write large data as an artifact, in several parts"
        );
        return Err(TaskError::new(ErrorKind::InvalidOutput, message));
    }
    Err(TaskError::new(ErrorKind::Trap, format!("the component broke the rules of its interfaces: {said}")))
}
