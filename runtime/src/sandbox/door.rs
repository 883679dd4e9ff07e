//! The door between the interpreter and the host: frames of one operation byte and a payload.
//!
//! What a component tells by its own interfaces ends here too.
//!
//! The guest is never trusted: every address is checked, every size capped, every JSON text parsed again.

use super::{State, kernels};
use crate::output::{self, WARNINGS_MAX, harmless, kind_of_guest};
use mecapy_model::{ErrorKind, NonFinite, Progress, TaskError, Warning};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use wasmtime::{Caller, Extern, Linker, Memory};

/// A length with this bit is no frame's: the rest of it numbers a function of BLAS or LAPACK, whose parameters are spilled
/// at the request's address. 0 says that it is done; after anything else the guest's own code does it.
const KERNEL: u32 = 0x8000_0000;
const DECLINED: i32 = 1;
/// The operation of a frame that asks for a sparse solve, and the answer where the guest's own code is to do it.
const SPARSE: u8 = b'k';
const SPARSE_DECLINED: &[u8] = b"-";
const SPARSE_BYTES_MAX: usize = 4 << 10;

/// The answers of `host.call`.
const ANSWERED: i32 = 0;
const NO_HOST: i32 = -1;
const FAULT: i32 = -2;

/// The largest result, bytes of JSON text.
pub const RESULT_BYTES_MAX: usize = 16 << 20;
const ERROR_BYTES_MAX: usize = 256 << 10;
const PROGRESS_BYTES_MAX: usize = 4 << 10;
const WARNING_BYTES_MAX: usize = 16 << 10;
const WARNING_CODE_CHARS_MAX: usize = 100;

/// What the interpreter is told about its task.
#[derive(Serialize)]
pub(crate) struct TaskFrame<'a> {
    /// `None` for the one that the runner has kept.
    pub(crate) source: Option<&'a str>,
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
    /// A serialized [`TaskFrame`] until the guest has asked for it, which it does once; `None` while an image is made.
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

    /// The door of a guest that is handed nothing through it, and may be watched.
    pub(super) fn watched(observer: Option<Arc<dyn crate::Observer>>) -> Self {
        Self { observer, ..Self::closed() }
    }

    /// Tells how far a component is; a fraction that is no number is not told.
    pub(super) fn report(&self, fraction: f64, message: &str) {
        let told = format!("{fraction} {}", harmless(message, PROGRESS_BYTES_MAX));
        if let (Some(observer), Some(progress)) = (&self.observer, output::progress(&told)) {
            observer.progress(progress);
        }
    }

    /// Keeps a component's warning.
    pub(super) fn warn(&mut self, code: &str, message: &str) {
        if self.warnings.len() >= WARNINGS_MAX {
            return;
        }
        let word = code.chars().take(WARNING_CODE_CHARS_MAX);
        let word = word.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let message = harmless(message, WARNING_BYTES_MAX);
        self.warnings.push(Warning { code: word, message, line: None, pointer: None });
    }

    /// The answer to one frame, or `None` for a frame that isn't one of ours.
    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let (operation, payload) = frame.split_first()?;
        match operation {
            b't' => return self.task.take(),
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
fn result_of(payload: &[u8]) -> Result<Box<RawValue>, TaskError> {
    let result = document_of(payload)?;
    if result.get().starts_with('{') {
        return Ok(result);
    }
    Err(TaskError::new(ErrorKind::InvalidOutput, "the runner's result is JSON, but not an object"))
}

/// Any JSON text, within its cap.
pub(super) fn document_of(payload: &[u8]) -> Result<Box<RawValue>, TaskError> {
    let refuse = |message: String| Err(TaskError::new(ErrorKind::InvalidOutput, message));
    if payload.len() > RESULT_BYTES_MAX {
        return Err(too_large(payload.len() as u64));
    }
    let text = match std::str::from_utf8(payload) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            return refuse(format!("the result is not UTF-8, which JSON is written in: look at byte {at} of it"));
        }
    };
    serde_json::from_str(text).or_else(|error| refuse(format!("the result is not valid JSON: {error}")))
}

/// A result of so many bytes of JSON text is beyond the cap.
pub(super) fn too_large(bytes: u64) -> TaskError {
    let (size, cap) = (bytes.div_ceil(1 << 20), RESULT_BYTES_MAX >> 20);
    let message =
        format!("the result has {size} MiB as JSON, {cap} MiB at most: write large data to a file in /work/out");
    TaskError::new(ErrorKind::InvalidOutput, message)
}

fn error_of(payload: &[u8]) -> Option<TaskError> {
    let ErrorFrame { kind, message, traceback, line } = parse(payload, ERROR_BYTES_MAX)?;
    Some(TaskError { kind: kind_of_guest(kind), message, traceback, line })
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
    caller.data_mut().wasi.count_call()?;
    if length & KERNEL != 0 {
        return dense(&mut caller, length & !KERNEL, request);
    }
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Ok(NO_HOST);
    };
    let (data, state) = memory.data_and_store_mut(&mut caller);
    let Some(frame) = range(request, length).and_then(|range| data.get(range)) else {
        return Ok(FAULT);
    };
    let answer = match frame.split_first() {
        Some((&SPARSE, request)) if request.len() <= SPARSE_BYTES_MAX => {
            let request = request.to_vec();
            Some(sparse(&mut caller, &request)?)
        }
        _ => state.door.answer(frame),
    };
    let Some(answer) = answer else {
        return Ok(FAULT);
    };
    let Some(Extern::Func(allocate)) = caller.get_export("host_alloc") else {
        return Ok(NO_HOST);
    };
    let address = allocate.typed::<u32, u32>(&caller)?.call(&mut caller, answer.len() as u32)?;
    Ok(if address != 0 && respond(&memory, &mut caller, address, &answer, out).is_some() { ANSWERED } else { FAULT })
}

/// A function of BLAS or LAPACK whose own code asks whether the host does it.
fn dense(caller: &mut Caller<'_, State>, operation: u32, parameters: u32) -> wasmtime::Result<i32> {
    let done = kernels::with_kernels(caller, |context, memory| {
        mecapy_linalg::blas::call(context, memory, operation, parameters)
    })?;
    Ok(if done.is_ok() { ANSWERED } else { DECLINED })
}

fn sparse(caller: &mut Caller<'_, State>, request: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let answer =
        kernels::with_kernels(caller, |context, memory| mecapy_linalg::sparse::serve(context, memory, request))?;
    Ok(answer.unwrap_or_else(|_| SPARSE_DECLINED.to_vec()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn for_task(source: &str) -> Door {
        let frame = TaskFrame {
            source: Some(source),
            entry: None,
            inputs: "{}",
            seed: 1,
            non_finite: NonFinite::Reject,
            artifact_bytes_max: 0,
            script_name: "task.py",
        };
        Door::for_task(&frame, None).unwrap()
    }

    #[test]
    fn the_task_is_handed_in_once() {
        let mut door = for_task("result = 1");
        let frame = door.answer(b"t").unwrap();
        assert!(String::from_utf8(frame).unwrap().contains("result = 1"));
        assert_eq!(door.answer(b"t"), None);
        assert_eq!(Door::closed().answer(b"t"), None);
        assert_eq!((door.answer(b""), door.answer(b"?")), (None, None));
    }

    /// The kinds that say whose fault it is, or how a task's state ends, are not the guest's to choose.
    #[test]
    fn a_guest_can_not_blame_the_platform() {
        let told = |kind: &str| {
            let mut door = Door::closed();
            let frame = format!(r#"e{{"kind": "{kind}", "message": "m", "traceback": "t", "line": 3}}"#);
            door.answer(frame.as_bytes())?;
            door.answer?.err()
        };
        for kind in ["executor", "storage", "worker_lost", "cancelled", "quota", "timeout", "out_of_fuel", "trap"] {
            let error = told(kind).unwrap();
            assert_eq!(
                (error.kind, error.message.as_str(), error.line),
                (ErrorKind::Exception, "m", Some(3)),
                "{kind}"
            );
        }
        for kind in [
            ErrorKind::Exception,
            ErrorKind::InvalidOutput,
            ErrorKind::InvalidInput,
            ErrorKind::InvalidArtifact,
            ErrorKind::OutOfMemory,
            ErrorKind::StackOverflow,
            ErrorKind::ExitCode,
        ] {
            assert_eq!(told(kind.as_str()).unwrap().kind, kind);
        }
        assert_eq!(told("made_up"), None);
    }

    #[test]
    fn a_result_is_one_object_of_utf8_kept_as_it_is_written() {
        let exact = " {\"x\": 1e400, \"text\": \"\u{7f}\u{85}é\"} ";
        assert_eq!(result_of(exact.as_bytes()).unwrap().get(), exact.trim_ascii());
        let rows: [(&[u8], &str); 6] = [
            (b"{\"x\": \"\xff\"}", "not UTF-8, which JSON is written in: look at byte 7"),
            (b"{\"x\": \"\x1b\"}", "not valid JSON"),
            (b"{\"x\": 1} {}", "not valid JSON"),
            (b"", "not valid JSON"),
            (b"[1]", "not an object"),
            (&vec![b' '; RESULT_BYTES_MAX + 1], "17 MiB as JSON, 16 MiB at most"),
        ];
        for (payload, words) in rows {
            let error = result_of(payload).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidOutput);
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
