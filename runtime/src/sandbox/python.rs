//! A Python attempt: the interpreter's image, the task handed in through the door, the result taken out of it.

use super::{Door, Guest, Limiter, Run, Sandbox, State, door::TaskFrame, failure};
use crate::{PythonImage, output::Sink, python::call_turn, tree::{BaseTree, Tree}, wasi::WasiCtxBuilder};
use mecapy_model::{ErrorKind, TaskError};
use serde_json::value::RawValue;
use std::sync::Arc;
use wasmtime::{Instance, Store};

/// The name that tracebacks show for the user's source.
const SCRIPT_NAME: &str = "task.py";

/// Prepares the store of one attempt.
pub(super) fn make<'a>(
    sandbox: &Sandbox,
    run: &Run<'_>,
    (image, source, entry): (&'a PythonImage, &str, Option<&str>),
    limiter: Limiter,
) -> Result<(Store<State>, Guest<'a>), TaskError> {
    let executor = |error: &dyn std::fmt::Display| TaskError::new(ErrorKind::Executor, error.to_string());
    let frame = TaskFrame {
        source,
        entry,
        inputs: &run.attempt.inputs,
        seed: run.attempt.seed,
        non_finite: run.attempt.non_finite,
        artifact_bytes_max: sandbox.ceilings.artifact_bytes_max,
        script_name: SCRIPT_NAME,
    };
    let door = Door::for_task(&frame, run.observer.clone()).map_err(|error| executor(&error))?;
    let ctx = super::grants(wasi(&image.files), sandbox, run)?;
    let store = super::store(&sandbox.engine, State::new(ctx, limiter, door), run.attempt.limits.fuel);
    Ok((store.map_err(|error| executor(&error))?, Guest::Python(image)))
}
