//! What a diagnostic means, and why a study failed, in the engineer's words.
//!
//! `OK` and `<A>_ALARM` complete the task. All others fail it: `NOOK_TEST_RESU` (a `TEST_RESU` is out of its
//! tolerance) and `NO_TEST_RESU` (a test case without a test) too, and so does a run without a diagnostic. The exit
//! code decides only where it contradicts a diagnostic of success: the launcher ends with 0 then.

use super::blocks::Trace;
use super::message::Messages;
use crate::solver::{Ended, Stopped};
use mecapy_model::{ErrorKind, TaskError};

/// Bytes of an error's traceback.
const TRACEBACK_BYTES_MAX: usize = 16 << 10;
/// A work folder with less room than this at the end was full.
const DISK_FREE_BYTES_MIN: u64 = 64 << 10;
/// As a shell says that there is no such program.
const EXIT_NO_PROGRAM: i64 = 127;

/// What explains a failure, beside the run itself.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// Seconds, as the solver was told.
    pub(super) time_limit_s: u64,
    /// Megabytes, as the solver was told.
    pub(super) memory_limit_mb: u64,
    /// Names and texts of the command files.
    pub(super) command_files: Vec<(String, String)>,
}

/// Why the task failed; `None` where it completed.
pub(super) fn failure(messages: &Messages, ended: &Ended, context: &Context) -> Option<TaskError> {
    let diagnostic = messages.diagnostic.as_deref();
    let good = matches!(diagnostic, Some("OK" | "<A>_ALARM")) && ended.exit_code == 0;
    let (kind, message) = match ended.stopped {
        Some(Stopped::Timeout) => (ErrorKind::Timeout, stopped(messages, "the wall time of the task was used up")),
        Some(Stopped::Cancelled) => (ErrorKind::Cancelled, stopped(messages, "the task was cancelled")),
        Some(Stopped::Flood) => (ErrorKind::Solver, stopped(messages, "the study wrote more output than is kept")),
        // One process of several may be killed while the study goes on: then the diagnostic decides.
        Some(Stopped::OutOfMemory) if !good => (
            ErrorKind::OutOfMemory,
            stopped(messages, "the task's memory was used up: ask for more in limits.memory_bytes"),
        ),
        _ if ended.disk_free_bytes < DISK_FREE_BYTES_MIN => {
            let full = "the work folder was full, so that results may be cut: write fewer, or ask for more disk";
            (ErrorKind::Solver, stopped(messages, full))
        }
        _ if good => return None,
        _ => (ErrorKind::Solver, explain(messages, ended, context)),
    };
    let (place, line) = match messages.traces.first.as_ref().and_then(|trace| place(trace, context)) {
        Some((name, line)) if kind == ErrorKind::Solver => (format!("{name}, line {line}: "), Some(line)),
        _ => (String::new(), None),
    };
    let mut error = TaskError::new(kind, place + &message);
    (error.line, error.traceback) = (line, traceback(messages));
    Some(error)
}

fn stopped(messages: &Messages, why: &str) -> String {
    let steps = messages.steps();
    let at = match (&steps.last, messages.last_command()) {
        (Some(time), _) => format!(" (at time {}, step {})", time.get(), steps.count),
        (None, Some(command)) if command.seconds.is_none() => format!(" (in {})", command.name),
        _ => String::new(),
    };
    format!("{why}{at}")
}

fn explain(messages: &Messages, ended: &Ended, context: &Context) -> String {
    let Some(diagnostic) = messages.diagnostic.as_deref() else {
        return match ended.exit_code {
            EXIT_NO_PROGRAM => "the solver's image has no such program: its version or command is wrong".to_owned(),
            code => format!("Code_Aster ended with exit code {code} and without a diagnostic{}", cause(messages)),
        };
    };
    let said = match diagnostic {
        "OK" | "<A>_ALARM" => format!("the study ended well, but its launcher with exit code {}", ended.exit_code),
        "NOOK_TEST_RESU" => {
            let (tests, first) = (&messages.tests, messages.tests.first_nook.first());
            let first = first.map(|line| format!(": {line}")).unwrap_or_default();
            format!("{} of {} tests are out of tolerance{first}", tests.nook, tests.nook + tests.ok)
        }
        "NO_TEST_RESU" => "it was run as a test case, and has no TEST_RESU".to_owned(),
        "<S>_NO_CONVERGENCE" | "<S>_CONVERGENCE" => no_convergence(messages),
        "<S>_CPU_LIMIT" | "<F>_CPU_LIMIT" | "<F>_CPU_LIMIT_SYSTEM" => stopped(
            messages,
            &format!(
                "the solver's time limit of {} s was used up: ask for more in limits.timeout_ms",
                context.time_limit_s
            ),
        ),
        "<S>_MEMORY_ERROR" | "<F>_MEMORY_ERROR" => format!(
            "the solver needs more than its {} MB of memory: ask for more in limits.memory_bytes{}",
            context.memory_limit_mb,
            cause(messages)
        ),
        "<F>_SYNTAX_ERROR" => match &messages.traces.first {
            Some(trace) if !trace.message.is_empty() => {
                format!("the command file has a syntax error: {}", trace.message)
            }
            _ => format!("the command file has a syntax error{}", cause(messages)),
        },
        "<F>_ABNORMAL_ABORT" => {
            let code = messages.process_exit.map(|code| format!(" with exit code {code}")).unwrap_or_default();
            format!("the solver's process ended abnormally{code}{}", cause(messages))
        }
        _ => stopped(messages, "the study ended with an error") + &cause(messages),
    };
    format!("{said} ({diagnostic})")
}

/// The first error's summary, or the exception's; behind a colon.
fn cause(messages: &Messages) -> String {
    if let Some(error) = messages.first_error() {
        let code = if error.code.is_empty() { String::new() } else { format!(" [{}]", error.code) };
        return format!(": {}{code}{}", error.summary(), missing_unit(&error.text()));
    }
    let trace = messages.traces.first.as_ref().filter(|trace| !trace.exception.is_empty());
    trace.map(|trace| format!(": {}: {}", trace.exception, trace.message)).unwrap_or_default()
}

/// The solver speaks of `fort.20`, where an engineer knows the mesh.
fn missing_unit(text: &str) -> String {
    let digits =
        text.split("fort.").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    match digits.as_deref() {
        Some("20" | "19") => "; the mesh is read from there: was one sent, with this unit?".to_owned(),
        Some(unit) if !unit.is_empty() => format!("; that is the file with unit {unit}"),
        _ => String::new(),
    }
}

fn no_convergence(messages: &Messages) -> String {
    let steps = messages.steps();
    let mut text = String::from("Newton's iterations did not converge");
    if let Some(time) = &steps.last {
        text += &format!(" at time {} (step {})", time.get(), steps.count);
    }
    if let (Some(last), Some(residuals)) = (&steps.last_iteration, steps.residuals()) {
        text += &format!("; after iteration {} {residuals}", last.iteration);
    }
    if steps.last.is_none() { text + &cause(messages) } else { text }
}

/// Where in the user's own command file Python stopped. The launcher runs a changed copy with other line numbers: the
/// line's text finds it again. Without the text, or where it stands there twice, the place is not told.
fn place(trace: &Trace, context: &Context) -> Option<(String, u32)> {
    let (.., source) = trace.place.as_ref().filter(|(.., source)| !source.is_empty())?;
    let mut found = None;
    for (name, text) in &context.command_files {
        for (line, text) in (1_u32..).zip(text.lines()) {
            if text.trim() == source && found.replace((name.clone(), line)).is_some() {
                return None;
            }
        }
    }
    found
}

/// The errors' boxes; the traceback where there is no box, and the last lines where there is neither.
fn traceback(messages: &Messages) -> Option<String> {
    let mut parts: Vec<String> = messages.errors.iter().map(|error| error.text()).collect();
    if parts.is_empty() {
        parts.extend(messages.first_error().map(|error| error.text()));
    }
    if let Some(trace) = messages.traces.first.as_ref().filter(|_| parts.is_empty()) {
        parts.push(trace.lines.join("\n"));
    }
    if parts.is_empty() {
        parts.push(messages.tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
    }
    let mut text = parts.join("\n\n");
    text.truncate(text.floor_char_boundary(TRACEBACK_BYTES_MAX));
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
