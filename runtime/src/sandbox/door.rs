//! The door between the interpreter and the host: frames of one operation byte and a payload.
//!
//! The guest is never trusted: every address is checked, every size capped, every JSON text parsed again.

use super::State;
use mecapy_model::{ErrorKind, NonFinite, Progress, TaskError, Warning};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use wasmtime::{Caller, Extern, Linker, Memory};

/// The answers of `host.call`.
const ANSWERED: i32 = 0;
const NO_HOST: i32 = -1;
const FAULT: i32 = -2;

/// The largest result, bytes of JSON text.
pub const RESULT_BYTES_MAX: usize = 16 << 20;
const ERROR_BYTES_MAX: usize = 256 << 10;
const PROGRESS_BYTES_MAX: usize = 4 << 10;
const WARNING_BYTES_MAX: usize = 16 << 10;
const WARNINGS_MAX: usize = 100;

/// What the interpreter is told about its task.
#[derive(Serialize)]
pub(crate) struct TaskFrame<'a> {
    pub(crate) source: &'a str,
    pub(crate) entry: Option<&'a str>,
    /// The user's JSON text, verbatim.
    pub(crate) inputs: &'a str,
    pub(crate) seed: u64,
    pub(crate) non_finite: NonFinite,
    pub(crate) artifact_bytes_max: u64,
    pub(crate) script_name: &'a str,
}

/// The host's side of the door for one run.
pub(crate) struct Door {
    /// A serialized [`TaskFrame`]; `None` while an image is made.
    task: Option<Vec<u8>>,
    observer: Option<Arc<dyn crate::Observer>>,
    pub(crate) answer: Option<Result<Box<RawValue>, TaskError>>,
    pub(crate) warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct ErrorFrame {
    kind: ErrorKind,
    message: String,
    traceback: Option<String>,
    line: Option<u32>,
}

impl Door {
    pub(crate) fn closed() -> Self {
        Self { task: None, observer: None, answer: None, warnings: Vec::new() }
    }

    pub(crate) fn for_task(
        task: &TaskFrame<'_>,
        observer: Option<Arc<dyn crate::Observer>>,
    ) -> serde_json::Result<Self> {
        Ok(Self { task: Some(serde_json::to_vec(task)?), observer, ..Self::closed() })
    }

    /// The answer to one frame, or `None` for a frame that isn't one of ours.
    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let (operation, payload) = frame.split_first()?;
        match operation {
            b't' => return Some(self.task.clone().unwrap_or_default()),
            b'p' => self.progress(payload)?,
            b'r' => self.answer = Some(result_of(payload)),
            b'e' => self.answer = Some(Err(error_of(payload)?)),
            b'w' => self.warning(payload)?,
            _ => return None,
        }
        Some(Vec::new())
    }

    fn progress(&self, payload: &[u8]) -> Option<()> {
        let progress: Progress = parse(payload, PROGRESS_BYTES_MAX)?;
        if let Some(observer) = &self.observer {
            observer.progress(Progress { fraction: progress.fraction.clamp(0.0, 1.0), ..progress });
        }
        Some(())
    }

    fn warning(&mut self, payload: &[u8]) -> Option<()> {
        let warning = parse(payload, WARNING_BYTES_MAX)?;
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        }
        Some(())
    }
}

/// A result text: one JSON object, within its cap.
pub(crate) fn result_of(payload: &[u8]) -> Result<Box<RawValue>, TaskError> {
    let refuse = |message: String| Err(TaskError::new(ErrorKind::InvalidOutput, message));
    if payload.len() > RESULT_BYTES_MAX {
        let (size, cap) = (payload.len() >> 20, RESULT_BYTES_MAX >> 20);
        return refuse(format!(
            "the result has {size} MiB as JSON, {cap} MiB at most: write large data to a file in /work/out"
        ));
    }
    match serde_json::from_slice::<Box<RawValue>>(payload) {
        Ok(result) if result.get().starts_with('{') => Ok(result),
        Ok(_) => refuse("the result is JSON, but not an object: write {\"name\": value, …}".into()),
        Err(error) => refuse(format!("the result is not valid JSON: {error}")),
    }
}

fn error_of(payload: &[u8]) -> Option<TaskError> {
    let ErrorFrame { kind, message, traceback, line } = parse(payload, ERROR_BYTES_MAX)?;
    Some(TaskError { kind, message, traceback, line })
}

fn parse<T: for<'de> Deserialize<'de>>(payload: &[u8], bytes_max: usize) -> Option<T> {
    (payload.len() <= bytes_max).then(|| serde_json::from_slice(payload).ok()).flatten()
}

/// Defines `host.call(request, request_len, &mut response, &mut response_len) -> i32`.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "host",
        "call",
        |caller: Caller<'_, State>, request: u32, length: u32, out: u32, out_length: u32| {
            call(caller, request, length, (out, out_length))
        },
    )?;
    Ok(())
}

fn call(mut caller: Caller<'_, State>, request: u32, length: u32, out: (u32, u32)) -> wasmtime::Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Ok(NO_HOST);
    };
    let (data, state) = memory.data_and_store_mut(&mut caller);
    let Some(frame) = range(request, length).and_then(|range| data.get(range)) else {
        return Ok(FAULT);
    };
    let Some(answer) = state.door.answer(frame) else {
        return Ok(FAULT);
    };
    let Some(Extern::Func(allocate)) = caller.get_export("host_alloc") else {
        return Ok(NO_HOST);
    };
    let address = allocate.typed::<u32, u32>(&caller)?.call(&mut caller, answer.len() as u32)?;
    Ok(if address != 0 && respond(&memory, &mut caller, address, &answer, out).is_some() { ANSWERED } else { FAULT })
}

fn respond(
    memory: &Memory,
    caller: &mut Caller<'_, State>,
    address: u32,
    answer: &[u8],
    out: (u32, u32),
) -> Option<()> {
    let data = memory.data_mut(caller);
    let length = answer.len() as u32;
    data.get_mut(range(address, length)?)?.copy_from_slice(answer);
    data.get_mut(range(out.0, 4)?)?.copy_from_slice(&address.to_le_bytes());
    data.get_mut(range(out.1, 4)?)?.copy_from_slice(&length.to_le_bytes());
    Some(())
}

fn range(address: u32, length: u32) -> Option<std::ops::Range<usize>> {
    let start = address as usize;
    Some(start..start.checked_add(length as usize)?)
}
