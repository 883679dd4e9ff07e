//! Turns the way a guest ended into an error that an engineer understands.

use super::{State, limiter::Refusal};
use crate::wasi::{Exit, HostCallLimit, Interrupted};
use mecapy_model::{ErrorKind, TaskError};
use wasmtime::{Store, Trap};

pub(super) fn cancelled() -> TaskError {
    TaskError::new(ErrorKind::Cancelled, "cancelled")
}

pub(super) fn budget_exceeded() -> TaskError {
    TaskError::new(
        ErrorKind::OutOfMemory,
        "the platform's memory is in use by other computations at the moment: try again, or ask for less",
    )
}

/// Where an exit is not a failure, `Ok(code)`; else the reason.
pub(super) fn of(store: &Store<State>, error: &wasmtime::Error) -> Result<i32, TaskError> {
    if let Some(Exit(code)) = error.downcast_ref::<Exit>() {
        return Ok(*code);
    }
    let refusal = store.data().limiter.refusal();
    let wasi = &store.data().wasi;
    Err(if error.is::<Interrupted>() {
        if wasi.is_cancelled() { cancelled() } else { timed_out(wasi.timeout_ms()) }
    } else if error.is::<HostCallLimit>() {
        TaskError::new(ErrorKind::OutOfFuel, "the computation made more system calls than a task may")
    } else {
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => TaskError::new(
                ErrorKind::OutOfFuel,
                "the fuel limit was reached: raise limits.fuel, or look for a loop that doesn't end",
            ),
            Some(Trap::StackOverflow) => {
                TaskError::new(ErrorKind::StackOverflow, "the stack overflowed: a recursion goes too deep or never ends")
            }
            _ if refusal.is_some() => out_of_memory(store),
            Some(trap) => TaskError::new(ErrorKind::Trap, format!("the module trapped: {trap}")),
            None => TaskError::new(ErrorKind::Executor, format!("the sandbox could not run it: {error}")),
        }
    })
}

/// The guest ended badly after memory was refused to it.
pub(super) fn out_of_memory(store: &Store<State>) -> TaskError {
    match store.data().limiter.refusal() {
        Some(Refusal::ProcessBudget) => budget_exceeded(),
        _ => TaskError::new(
            ErrorKind::OutOfMemory,
            "the computation needs more memory than limits.memory_bytes allows: raise it, or work in smaller pieces",
        ),
    }
}

fn timed_out(timeout_ms: u64) -> TaskError {
    let advice = "look for a loop that doesn't end, or raise limits.timeout_ms (long work belongs in the default lane)";
    TaskError::new(ErrorKind::Timeout, format!("stopped after {timeout_ms} ms, its time limit: {advice}"))
}
