//! Turns the way a guest ended into an error that an engineer understands.

use super::{State, limiter::Refusal};
use crate::{
    budget::Short,
    wasi::{Broken, Exit, HostCallLimit, Interrupted},
};
use mecapy_model::{ErrorKind, TaskError};
use wasmtime::{Store, ThrownException, Trap};

pub(super) fn cancelled() -> TaskError {
    TaskError::new(ErrorKind::Cancelled, "cancelled")
}

/// The budget has no room for a new sandbox at the moment: nobody's fault, and cured by waiting. Nothing else is of this
/// kind, so that a queue knows that the task never began.
pub(super) fn not_admitted(short: Short) -> TaskError {
    let message: String = match short {
        Short::Process => "the platform's memory is in use by other computations at the moment: try again".into(),
        Short::Tenant { share_bytes } => format!(
            "your running computations use the {} MiB of this server's memory that one tenant may: try again when some have ended",
            share_bytes >> 20
        ),
    };
    TaskError::new(ErrorKind::Quota, message)
}

/// A program that no share has room for, however few others run.
pub(super) fn beyond_share(start_bytes: u64, share_bytes: u64) -> TaskError {
    let (start, share) = (start_bytes >> 20, share_bytes >> 20);
    let message = format!(
        "this program starts with {start} MiB, more than the {share} MiB of this server that one tenant may use"
    );
    TaskError::new(ErrorKind::OutOfMemory, message)
}

pub(super) fn executor(error: impl std::fmt::Display) -> TaskError {
    TaskError::new(ErrorKind::Executor, format!("the platform could not make the sandbox: {error}"))
}

/// `Ok(code)` where the guest ended itself with an exit code; else why it was ended.
pub(super) fn of(store: &Store<State>, error: &wasmtime::Error) -> Result<i32, TaskError> {
    if let Some(Exit(code)) = error.downcast_ref::<Exit>() {
        return Ok(*code);
    }
    if error.is::<Interrupted>() {
        return Err(if store.data().cancel.is_cancelled() { cancelled() } else { timed_out() });
    }
    if let Some(HostCallLimit { calls_max }) = error.downcast_ref::<HostCallLimit>() {
        let message = format!("the computation made more than {calls_max} system calls");
        return Err(TaskError::new(ErrorKind::OutOfFuel, message));
    }
    if let Some(broken) = error.downcast_ref::<Broken>() {
        return Err(TaskError::new(ErrorKind::Trap, broken.to_string()));
    }
    let refused = store.data().limiter.refusal().is_some();
    Err(match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => TaskError::new(
            ErrorKind::OutOfFuel,
            "the fuel limit was reached: raise limits.fuel, or look for a loop that doesn't end",
        ),
        Some(Trap::StackOverflow) => {
            TaskError::new(ErrorKind::StackOverflow, "the stack overflowed: a recursion goes too deep or never ends")
        }
        _ if refused => out_of_memory(store),
        Some(trap) => TaskError::new(ErrorKind::Trap, format!("the guest did what WebAssembly forbids: {trap}")),
        None if error.is::<ThrownException>() => {
            TaskError::new(ErrorKind::Trap, "the module threw an exception that nothing caught")
        }
        None => TaskError::new(ErrorKind::Executor, format!("the sandbox could not run it: {error}")),
    })
}

/// The guest ended badly after memory was refused to it.
pub(super) fn out_of_memory(store: &Store<State>) -> TaskError {
    let message: String = match store.data().limiter.refusal() {
        Some(Refusal::Budget(Short::Process)) => {
            "the platform's memory is in use by other computations at the moment: try again, or ask for less".into()
        }
        Some(Refusal::Budget(Short::Tenant { share_bytes })) => format!(
            "your running computations together need more than the {} MiB of this server's memory that one tenant may use: run fewer at a time, or work in smaller pieces",
            share_bytes >> 20
        ),
        Some(Refusal::TaskLimit) | None => {
            "the computation needs more memory than limits.memory_bytes allows: raise it, or work in smaller pieces"
                .into()
        }
    };
    TaskError::new(ErrorKind::OutOfMemory, message)
}

fn timed_out() -> TaskError {
    TaskError::new(
        ErrorKind::Timeout,
        "the time limit was reached: look for a loop that doesn't end, or raise limits.timeout_ms (a preview has 5 s at most, the default lane 5 min)",
    )
}
