//! A package's own test cases, run as calls of its functions in sandboxes before it is published.

use super::{
    call::{Call, checked_inputs},
    library::{Ready, program_of},
    published::Published,
};
use crate::packages::{Expected, Files, Function, TestCase};
use mecapy_model::{
    ArtifactName, ErrorKind, Fault, Kernels, Lane, LimitsRequest, NonFinite, Outcome, TaskError, TenantId,
};
use mecapy_runtime::{Attempt, Cancel, FileContent, InputFile, Job, Program, Refused, Sandboxes, StopOnDrop};
use mecapy_store::{PreviewUsage, Store};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use tokio::{
    sync::oneshot,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use utoipa::ToSchema;

/// How long one case may take, milliseconds.
const CASE_TIMEOUT_MS: u64 = 30_000;
/// How long all cases of a package may take together; those that are left then have failed.
const CASES_TIMEOUT: Duration = Duration::from_secs(120);
/// What is compared on the spot; more is on a thread that may block, bytes.
const COMPARED_INLINE_BYTES_MAX: usize = 16 << 10;
/// Wait before a full pool is asked again.
const POOL_FULL: Duration = Duration::from_millis(20);
/// The seed of every case, so that it comes out the same each time.
const SEED: u64 = 0;
/// What the guest SDK raises where inputs don't fit: a test case may expect it, and the ports refuse before the run.
const INPUT_ERROR: &str = "InputError";

/// How the test cases of a package came out.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct TestReport {
    pub total: usize,
    pub passed: usize,
    pub failed: usize,
    pub duration_ms: f64,
    pub cases: Vec<CaseReport>,
}

/// How one test case came out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CaseReport {
    pub function: String,
    pub name: String,
    /// Where it is written: file and line.
    pub file: String,
    /// `passed` or `failed`
    pub state: &'static str,
    /// What was not as expected.
    pub message: Option<String>,
    pub duration_ms: f64,
}

/// What the cases of one package are run with.
#[derive(Clone, Copy)]
pub(super) struct Gate<'a> {
    pub(super) store: &'a Store,
    pub(super) sandboxes: &'a Sandboxes,
    /// Whose share of the sandboxes is used.
    pub(super) tenant: TenantId,
    pub(super) now: OffsetDateTime,
    pub(super) package: &'a Arc<Published>,
    pub(super) ready: &'a Ready,
    pub(super) files: &'a Files,
}

impl Gate<'_> {
    /// Runs the cases, two at once, each in a fresh sandbox.
    pub(super) async fn run(self, cases: &[TestCase]) -> TestReport {
        let started = Instant::now();
        let next = AtomicUsize::new(0);
        let (mut reports, others) = tokio::join!(self.line(cases, &next, started), self.line(cases, &next, started));
        reports.extend(others);
        reports.sort_by_key(|(at, _)| *at);
        let reports: Vec<CaseReport> = reports.into_iter().map(|(_, report)| report).collect();
        let passed = reports.iter().filter(|report| report.message.is_none()).count();
        let total = reports.len();
        TestReport { total, passed, failed: total - passed, duration_ms: milliseconds(started), cases: reports }
    }

    /// Runs one case after the other, of those that no other line has taken.
    async fn line(self, cases: &[TestCase], next: &AtomicUsize, started: Instant) -> Vec<(usize, CaseReport)> {
        let mut reports = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(at) else { return reports };
            reports.push((at, self.case(case, started).await));
        }
    }

    async fn case(self, case: &TestCase, all_started: Instant) -> CaseReport {
        let started = Instant::now();
        let left = CASES_TIMEOUT.saturating_sub(all_started.elapsed());
        let message = timeout(left, self.differences(case)).await.unwrap_or_else(|_| {
            let seconds = CASES_TIMEOUT.as_secs();
            Some(format!("it did not end: the package's test cases may take {seconds} s together"))
        });
        CaseReport {
            function: case.function.to_string(),
            name: case.name.clone(),
            file: case.place.clone(),
            state: if message.is_none() { "passed" } else { "failed" },
            message,
            duration_ms: milliseconds(started),
        }
    }

    /// What is not as the case expects; `None` where all is.
    async fn differences(self, case: &TestCase) -> Option<String> {
        let Some(call) = Call::of(Arc::clone(self.package), case.function.as_str()) else {
            return Some("the function is not in the package".to_owned());
        };
        let outcome = match self.attempt(&call, case) {
            Ok(attempt) => {
                let inputs = Arc::clone(&attempt.inputs);
                let ran = match program_of(self.ready, &call) {
                    Ok(program) => outcome_of(self.sandboxes, self.tenant, program, attempt).await,
                    Err(error) => Outcome::failed(error),
                };
                let (error_kind, usage) = (ran.error_kind(), ran.usage);
                self.store.record_preview_usage(PreviewUsage { tenant: self.tenant, error_kind, usage });
                call.finish(ran, &inputs, NonFinite::Reject)
            }
            Err(refused) => match &case.expected {
                Expected::Exception(exception) if exception.kind == INPUT_ERROR => return None,
                _ => return Some(format!("its inputs are refused: {refused}")),
            },
        };
        let found = compare(&case.expected, outcome.result).await;
        (!found.is_empty()).then(|| found.join("; "))
    }

    fn attempt(self, call: &Call, case: &TestCase) -> Result<Attempt, String> {
        let function = call.function().ok_or("the function is not in the package")?;
        let CaseInputs { inputs, files } = case_inputs(function, case, self.files)?;
        let limits = LimitsRequest { timeout_ms: Some(CASE_TIMEOUT_MS), ..LimitsRequest::default() };
        Ok(Attempt {
            inputs,
            files,
            limits: limits.resolve(Lane::Default).map_err(|error| error.to_string())?,
            seed: SEED,
            non_finite: NonFinite::Reject,
            kernels: Kernels::default(),
            wall_clock: self.now,
        })
    }
}

/// What is not as expected. Large results take a while to compare.
async fn compare(expected: &Expected, result: Result<Box<RawValue>, TaskError>) -> Vec<String> {
    let differences = |expected: &Expected, result: &Result<Box<RawValue>, TaskError>| {
        expected.differences(result.as_ref().map(|result| result.get()))
    };
    if result.as_ref().map_or(0, |result| result.get().len()) <= COMPARED_INLINE_BYTES_MAX {
        return differences(expected, &result);
    }
    let expected = expected.clone();
    let compared = spawn_blocking(move || differences(&expected, &result)).await;
    compared.unwrap_or_else(|_| vec!["the result could not be compared".to_owned()])
}

/// What a case hands to its function.
pub(super) struct CaseInputs {
    pub(super) inputs: Arc<str>,
    pub(super) files: Vec<InputFile>,
}

/// A case's inputs, checked as a request's are, and its files.
pub(super) fn case_inputs(function: &Function, case: &TestCase, package: &Files) -> Result<CaseInputs, String> {
    let mut inputs = case.inputs.clone();
    let mut files = Vec::with_capacity(case.files.len());
    for (port, file) in &case.files {
        let content = package.get(file.as_str()).ok_or_else(|| format!("the package has no file {file}"))?;
        let name = ArtifactName::parse(file.last()).map_err(|error| error.to_string())?;
        inputs = with_file(&inputs, port, name.as_str())?;
        files.push(InputFile { name, content: FileContent::Bytes(Arc::from(content)) });
    }
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let inputs = RawValue::from_string(inputs).map_err(|error| error.to_string())?;
    let checked = checked_inputs(function, &inputs, &names).map_err(|faults| told(&faults))?;
    Ok(CaseInputs { inputs: Arc::from(checked.values.get()), files })
}

/// Runs a program as a preview of the tenant's, and waits for its end; it is stopped when nobody waits any more.
pub(super) async fn outcome_of(sandboxes: &Sandboxes, tenant: TenantId, program: Program, attempt: Attempt) -> Outcome {
    let cancel = Cancel::new();
    let mut stop = StopOnDrop::of(&cancel);
    let told = loop {
        let (tell, told) = oneshot::channel();
        let job = Job {
            program: program.clone(),
            attempt: attempt.clone(),
            // Whoever publishes waits, and whoever calls a function that isn't ready does too.
            lane: Lane::HighPriority,
            tenant,
            cancel: cancel.clone(),
            observer: None,
            done: Box::new(move |outcome| drop(tell.send(outcome))),
        };
        match sandboxes.submit(job) {
            Ok(()) => break told,
            Err(Refused::ShuttingDown) => {
                return Outcome::failed(TaskError::new(ErrorKind::Executor, Refused::ShuttingDown.to_string()));
            }
            Err(_) => sleep(POOL_FULL).await,
        }
    };
    let ended = told.await;
    stop.disarm();
    ended.unwrap_or_else(|_| {
        Outcome::failed(TaskError::new(ErrorKind::Executor, "the sandbox ended without an outcome"))
    })
}

/// The inputs with one more member: the name of a file.
fn with_file(inputs: &str, port: &str, name: &str) -> Result<String, String> {
    let rest = inputs.trim().strip_prefix('{').ok_or("the inputs are no object")?.trim_start();
    let separator = if rest.starts_with('}') { "" } else { "," };
    let quoted = |text: &str| serde_json::to_string(text).map_err(|error| error.to_string());
    Ok(format!("{{{}:{}{separator}{rest}", quoted(port)?, quoted(name)?))
}

fn told(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect::<Vec<_>>().join("; ")
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_joins_the_inputs() {
        assert_eq!(with_file("{}", "mesh", "a.med").unwrap(), r#"{"mesh":"a.med"}"#);
        assert_eq!(with_file(r#" { "F": 1e400 }"#, "mesh", "a.med").unwrap(), r#"{"mesh":"a.med","F": 1e400 }"#);
        assert!(with_file("[]", "mesh", "a.med").is_err());
    }
}
