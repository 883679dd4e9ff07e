//! Several tasks through the door of one sandbox, one after the other: each with files, output, clock and randomness of
//! its own.

use super::{
    Door, Limiter, Run, Sandbox, State, failure, milliseconds,
    python::{self, Script},
    thread_cpu_time,
};
use crate::{
    python::{call_turn, place},
    wasi::WasiCtx,
};
use mecapy_model::{TaskError, Usage};
use serde_json::value::RawValue;
use std::time::Instant;
use wasmtime::{Instance, Store};

/// What the host holds before the first task.
pub(super) fn state(run: &Run<'_>, limiter: Limiter) -> Result<State, TaskError> {
    let denied = WasiCtx::builder().build().map_err(failure::executor)?;
    Ok(State::new(denied, limiter, Door::closed(), run.cancel.clone()))
}

/// Hands a task its source, files, output, clock and randomness, in place of those of the one before.
pub(super) fn grant(
    store: &mut Store<State>,
    sandbox: &Sandbox,
    run: &Run<'_>,
    script: &Script<'_>,
) -> Result<(), TaskError> {
    let (wasi, door) = python::grants(sandbox, run, script)?;
    let state = store.data_mut();
    (state.wasi, state.door) = (wasi, door);
    Ok(())
}

/// How one task ended.
pub(super) struct Turned {
    pub(super) result: Result<Box<RawValue>, TaskError>,
    /// Of this task alone, but for the memory: what the sandbox holds.
    pub(super) usage: Usage,
    /// What the runner answered the host; `None` where it didn't come to that.
    pub(super) status: Option<i32>,
    /// The runner told a result or an error.
    pub(super) told: bool,
}

/// Runs a source of the runner's, which carries the task out.
pub(super) fn take(store: &mut Store<State>, instance: &Instance, source: &str) -> Turned {
    let (started, cpu_started) = (Instant::now(), thread_cpu_time());
    let fuel = store.get_fuel().unwrap_or(0);
    let ended = place(store, instance, source).and_then(|turn| call_turn(store, instance, turn));
    let status = ended.as_ref().ok().copied();
    let told = store.data().door.answer.is_some();
    // What was told stands, whatever the runner says of the sandbox beside it.
    let result = python::result(store, ended.map(|status| if told { 0 } else { status }));
    let usage = Usage {
        fuel: fuel.saturating_sub(store.get_fuel().unwrap_or(0)),
        memory_peak_bytes: store.data().limiter.peak_bytes(),
        cpu_ms: milliseconds(thread_cpu_time().saturating_sub(cpu_started) + store.data_mut().kernels.take_helped()),
        queued_ms: 0.0,
        startup_ms: 0.0,
        execute_ms: milliseconds(started.elapsed()),
        compile_ms: None,
        kernels: store.data_mut().kernels.take_use(),
    };
    Turned { result, usage, status, told }
}
