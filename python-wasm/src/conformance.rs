//! Runs the conformance rows on an image before it is used. `conformance/README.md` has the keys of a row.

use crate::{BuildError, BuildEvent, cache::digest_of, recipe::Recipe};
use mecapy_model::{ArtifactName, Kernels, Lane, LimitsRequest, NonFinite, Outcome, TenantId};
use mecapy_runtime::{
    Attempt, Cancel, Ceilings, Engine, FileContent, InputFile, Job, Program, PythonImage, Sandboxes, SandboxesConfig,
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};
use time::{OffsetDateTime, macros::datetime};

macro_rules! row_files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../conformance/", $name)))),*];
    };
}

row_files![
    "contained.toml",
    "convention.toml",
    "declared.toml",
    "errors.toml",
    "integers.toml",
    "json.toml",
    "numerics.toml",
    "packages.toml",
    "seeds.toml",
];

/// When every row is run.
const WALL_CLOCK: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
/// Rows that run at once at most: some use their gibibyte.
const ROWS_AT_ONCE_MAX: usize = 4;
/// What the sandboxes of a row are sized for, bytes: the row itself may use half of three quarters of it.
const MEMORY_BUDGET_BYTES: u64 = 3 << 30;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default = "smallest_image")]
    image: String,
    source: String,
    entry: Option<String>,
    #[serde(default = "no_inputs")]
    inputs: String,
    #[serde(default = "first_seed")]
    seed: u64,
    #[serde(default)]
    non_finite: NonFinite,
    #[serde(default)]
    kernels: Kernels,
    #[serde(default)]
    files: BTreeMap<String, String>,
    memory_bytes: Option<u64>,
    timeout_ms: Option<u64>,
    artifact_bytes_max: Option<u64>,
    expect: Expect,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    result: Option<String>,
    close: Option<String>,
    tolerance: Option<f64>,
    errors: Option<Vec<String>>,
    message: Vec<String>,
    line: Option<u32>,
    traceback: Vec<String>,
    traceback_lacks: Vec<String>,
    stdout: Option<String>,
    stderr: Option<String>,
    stdout_contains: Vec<String>,
    stderr_contains: Vec<String>,
    warnings: Vec<String>,
    artifacts: Option<Vec<String>>,
    same_again: bool,
    differs_with_seed: Option<u64>,
}

fn smallest_image() -> String {
    "core".into()
}

fn no_inputs() -> String {
    "{}".into()
}

const fn first_seed() -> u64 {
    1
}

/// SHA-256 of all rows: an image that passed others is tested again.
pub(crate) fn digest() -> String {
    let parts: Vec<&[u8]> = FILES.iter().flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()]).collect();
    digest_of(&parts)
}

/// Runs every row that applies to the image, as many at once as there are cores; answers how many there were.
pub fn check_image(
    engine: &Engine,
    recipe: &Recipe,
    image: &Arc<PythonImage>,
    told: &mut dyn FnMut(BuildEvent),
) -> Result<usize, BuildError> {
    let rows = rows_for(recipe, &image.name)?;
    let total = rows.len();
    let bench = Bench { engine, image };
    let next = AtomicUsize::new(0);
    let (tell, heard) = mpsc::channel();
    let failures = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores.min(ROWS_AT_ONCE_MAX) {
            let (tell, bench, next, rows) = (tell.clone(), &bench, &next, &rows);
            scope.spawn(move || {
                // Nobody hears any more where a row could not be run: the others needn't be, then.
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed))
                    && tell.send((row, bench.faults(row))).is_ok()
                {}
            });
        }
        drop(tell);
        let mut failures = BTreeSet::new();
        for (done, (row, faults)) in heard.into_iter().enumerate() {
            told(BuildEvent::Progress { done, total });
            let faults = faults?;
            if !faults.is_empty() {
                failures.insert(format!("- {}: {}", row.name, faults.join("; ")));
            }
        }
        Ok::<_, BuildError>(failures)
    })?;
    if !failures.is_empty() {
        let report = failures.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        return Err(BuildError::Conformance { image: image.name.clone(), failed: failures.len(), total, report });
    }
    Ok(total)
}

/// The rows that apply to an image: its own, and those of the smaller ones.
fn rows_for(recipe: &Recipe, image: &str) -> Result<Vec<Row>, BuildError> {
    let position = |name: &str| recipe.images.iter().position(|image| image.name == name);
    let mut rows = Vec::new();
    for (file, text) in FILES {
        let parsed: Rows = toml::from_str(text).map_err(|source| BuildError::Rows { file: (*file).into(), source })?;
        rows.extend(parsed.row);
    }
    rows.retain(|row| position(&row.image) <= position(image));
    Ok(rows)
}

/// Where rows are run.
struct Bench<'a> {
    engine: &'a Engine,
    image: &'a Arc<PythonImage>,
}

impl Bench<'_> {
    /// What is not as the row says.
    fn faults(&self, row: &Row) -> Result<Vec<String>, BuildError> {
        let outcome = self.run(row, row.seed)?;
        let mut faults = row.expect.faults(&outcome);
        let text = |outcome: &Outcome| outcome.result.as_ref().map(|result| result.get().to_owned()).ok();
        if row.expect.same_again && text(&self.run(row, row.seed)?) != text(&outcome) {
            faults.push("a second run gave another result".into());
        }
        if let Some(seed) = row.expect.differs_with_seed
            && text(&self.run(row, seed)?) == text(&outcome)
        {
            faults.push(format!("seed {seed} gave the same result"));
        }
        Ok(faults)
    }

    fn run(&self, row: &Row, seed: u64) -> Result<Outcome, BuildError> {
        let limits = LimitsRequest {
            timeout_ms: Some(row.timeout_ms.unwrap_or(20_000)),
            memory_bytes: row.memory_bytes,
            ..LimitsRequest::default()
        };
        let limits =
            limits.resolve(Lane::Default).map_err(|error| BuildError::Row(row.name.clone(), error.to_string()))?;
        let mut files = Vec::new();
        for (name, text) in &row.files {
            let name =
                ArtifactName::parse(name).map_err(|error| BuildError::Row(row.name.clone(), error.to_string()))?;
            files.push(InputFile { name, content: FileContent::Bytes(Arc::from(text.as_bytes())) });
        }
        let (tell, told) = mpsc::channel();
        let job = Job {
            program: Program::Python {
                image: Arc::clone(self.image),
                source: Arc::from(row.source.as_str()),
                entry: row.entry.as_deref().map(Arc::from),
            },
            attempt: Attempt {
                inputs: Arc::from(row.inputs.as_str()),
                files,
                limits,
                seed,
                non_finite: row.non_finite,
                kernels: row.kernels,
                wall_clock: WALL_CLOCK,
            },
            lane: Lane::Default,
            tenant: TenantId::from_parts(0, &[0; 10]),
            cancel: Cancel::new(),
            observer: None,
            done: Box::new(move |outcome| drop(tell.send(outcome))),
        };
        let artifact_bytes_max = row.artifact_bytes_max.unwrap_or(16 << 20);
        let config = SandboxesConfig {
            preview_threads: 1,
            default_threads: 1,
            long_running_threads: 1,
            ceilings: Ceilings { artifact_bytes_max, ..Ceilings::default() },
            ..SandboxesConfig::for_machine(1, MEMORY_BUDGET_BYTES)
        };
        let sandboxes = Sandboxes::new(self.engine, &config).map_err(BuildError::Sandboxes)?;
        let ended = |message: String| BuildError::Row(row.name.clone(), message);
        sandboxes.submit(job).map_err(|refused| ended(refused.to_string()))?;
        told.recv().map_err(|_| ended("no outcome".into()))
    }
}

impl Expect {
    fn faults(&self, outcome: &Outcome) -> Vec<String> {
        let mut faults = self.result_faults(outcome);
        let mut texts = |what: &str, text: &str, parts: &[String]| {
            for part in parts.iter().filter(|part| !text.contains(part.as_str())) {
                faults.push(format!("{what} lacks {part:?}: {text:?}"));
            }
        };
        texts("stdout", &outcome.stdout, &self.stdout_contains);
        texts("stderr", &outcome.stderr, &self.stderr_contains);
        for (what, text, expected) in
            [("stdout", &outcome.stdout, &self.stdout), ("stderr", &outcome.stderr, &self.stderr)]
        {
            if expected.as_ref().is_some_and(|expected| expected != text) {
                faults.push(format!("{what} is {text:?}"));
            }
        }
        let warnings: Vec<&str> = outcome.warnings.iter().map(|warning| warning.code.as_str()).collect();
        if warnings != self.warnings {
            faults.push(format!("the warnings are {:?}", outcome.warnings));
        }
        let mut artifacts: Vec<&str> = outcome.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
        artifacts.sort_unstable();
        if self.artifacts.as_ref().is_some_and(|expected| *expected != artifacts) {
            faults.push(format!("the artifacts are {artifacts:?}"));
        }
        faults
    }

    fn result_faults(&self, outcome: &Outcome) -> Vec<String> {
        let mut faults = Vec::new();
        match (&outcome.result, &self.errors) {
            (Ok(result), None) => {
                if self.result.as_ref().is_some_and(|expected| expected != result.get()) {
                    faults.push(format!("the result is {result}"));
                }
                if self.close.as_ref().is_some_and(|expected| !self.is_close(expected, result.get())) {
                    faults.push(format!("the result is not close: {result}"));
                }
            }
            (Ok(result), Some(kinds)) => faults.push(format!("it completed with {result}, not with {kinds:?}")),
            (Err(error), None) => faults.push(format!("it failed: {error:?}")),
            (Err(error), Some(kinds)) => {
                let traceback = error.traceback.as_deref().unwrap_or_default();
                let lacks = |text: &str, parts: &[String]| parts.iter().any(|part| !text.contains(part.as_str()));
                if !kinds.iter().any(|kind| kind == error.kind.as_str())
                    || lacks(&error.message, &self.message)
                    || lacks(traceback, &self.traceback)
                    || self.traceback_lacks.iter().any(|part| traceback.contains(part.as_str()))
                    || self.line.is_some() && self.line != error.line
                {
                    faults.push(format!("the error is {error:?}"));
                }
            }
        }
        faults
    }

    fn is_close(&self, expected: &str, found: &str) -> bool {
        let tolerance = self.tolerance.unwrap_or(1e-9);
        match (serde_json::from_str(expected), serde_json::from_str(found)) {
            (Ok(expected), Ok(found)) => close(&expected, &found, tolerance),
            _ => false,
        }
    }
}

/// Same shape, numbers within the tolerance: relative, or absolute below 1.
fn close(expected: &Value, found: &Value, tolerance: f64) -> bool {
    match (expected, found) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= tolerance * a.abs().max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| close(a, b, tolerance)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_file_is_read_and_every_name_is_used_once() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
        let found: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".toml"))
            .collect();
        assert_eq!(found, FILES.iter().map(|(name, _)| (*name).to_owned()).collect());
        let mut names = BTreeSet::new();
        for (file, text) in FILES {
            let rows: Rows = toml::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            for row in rows.row {
                assert!(names.insert(row.name.clone()), "{file}: {:?} is there twice", row.name);
            }
        }
        assert!(names.len() >= 100, "only {} rows", names.len());
    }

    #[test]
    fn numbers_are_compared_with_the_tolerance_and_shapes_exactly() {
        let value = |text: &str| serde_json::from_str(text).unwrap();
        assert!(close(&value("[1000.0, {\"a\": 0}]"), &value("[1000.0000001, {\"a\": 1e-10}]"), 1e-9));
        assert!(!close(&value("[1.0]"), &value("[1.0, 1.0]"), 1e-9));
        assert!(!close(&value("{\"a\": 1}"), &value("{\"b\": 1}"), 1e-9));
    }
}
