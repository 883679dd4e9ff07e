//! Warm images: a package imported over the smallest interpreter image, its functions rehearsed, the memory kept.

use super::{
    gate,
    library::{Library, Unmade},
    stub,
};
use crate::packages::{Expected, FileName, Files, Package, TestCase};
use mecapy_model::{Fault, Kernels, Lane, Limits, LimitsError, LimitsRequest, NonFinite, TenantId, Usage, Warning};
use mecapy_runtime::{
    Attempt, FileContent, Frozen, Program, PythonImage, Rehearsal, WarmError, WarmOutcome, WarmUp, prepare_source,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{runtime::Handle, time::timeout};

/// How long the import of a package and its rehearsals may take together, milliseconds.
const WARM_UP_TIMEOUT_MS: u64 = 20_000;
/// How long a warm-up may wait for a place and run.
const WARM_UP_WAIT: Duration = Duration::from_secs(60);
/// Functions that are called once before an image is kept.
const REHEARSALS_MAX: usize = 50;
/// The seed of warm-ups, so that an image comes out the same each time.
const SEED: u64 = 0;

impl Library {
    /// Imports the package over the smallest image that has what it imports, calls its functions once, and keeps the
    /// memory.
    pub(super) fn make_image(
        &self,
        package: &Package,
        (folders, files): (Vec<String>, Vec<(String, FileContent)>),
        (tenant, now): (TenantId, OffsetDateTime),
        usage: &mut Option<Usage>,
    ) -> Result<PythonImage, Unmade> {
        let base = self.interpreter.image_for(&package.imports).map_err(|error| Unmade::Failed(error.into()))?;
        let tree = base.files.with_files(files).map_err(|error| {
            let message = format!("the package's files can't be put in front of its functions: {error}");
            Unmade::invalid("/files", "files_invalid", message)
        })?;
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let handlers = package.manifest.functions.iter().filter_map(|function| function.handler.as_ref());
        let modules: BTreeSet<&str> = handlers.map(|handler| handler.module.as_str()).collect();
        let prepare: Arc<str> = prepare_source(&folders, &modules.into_iter().collect::<Vec<_>>()).into();
        let name = format!("{}+{}", base.name, package.manifest.package.name);
        let mut rehearsals = rehearsals(package);
        loop {
            let is_last = rehearsals.is_empty();
            let (base, some) = (Arc::clone(&base), std::mem::take(&mut rehearsals));
            let warm_up = WarmUp::new(Arc::clone(&base), name.clone(), tree.clone(), Arc::clone(&prepare), some);
            let (outcome, used) = self.run_warm_up(Arc::new(warm_up), tenant, now)?;
            *usage = Some(used);
            match outcome.image {
                Ok(_) if outcome.frozen != Frozen::default() => {
                    return Ok(base.with_package(tree, prepare, outcome.frozen));
                }
                Ok(image) => return Ok(image),
                // A call that takes too much or ends the interpreter is the test case's business: the image goes without.
                Err(WarmError::Rehearsal { .. } | WarmError::Delta(_)) if !is_last => {}
                Err(error) => return Err(unmade(error)),
            }
        }
    }

    fn run_warm_up(
        &self,
        warm_up: Arc<WarmUp>,
        tenant: TenantId,
        now: OffsetDateTime,
    ) -> Result<(WarmOutcome, Usage), Unmade> {
        let attempt = Attempt {
            inputs: Arc::from("{}"),
            files: Vec::new(),
            limits: limits().map_err(|error| Unmade::Failed(error.into()))?,
            seed: SEED,
            non_finite: NonFinite::Reject,
            // What it leaves is the same whichever kernels the runs after it ask for.
            kernels: Kernels::Wasm,
            wall_clock: now,
        };
        let program = Program::WarmUp(Arc::clone(&warm_up));
        let running = timeout(WARM_UP_WAIT, gate::outcome_of(&self.sandboxes, tenant, program, attempt));
        let Ok(ended) = Handle::current().block_on(running) else {
            return Err(Unmade::Failed(anyhow::anyhow!("the warm-up found no place in time")));
        };
        let not_begun = || match &ended.result {
            Err(error) => Unmade::Failed(anyhow::anyhow!("the warm-up did not begin: {}", error.message)),
            Ok(_) => Unmade::Failed(anyhow::anyhow!("the warm-up left nothing")),
        };
        warm_up.take().ok_or_else(not_begun).map(|outcome| (outcome, ended.usage))
    }
}

fn limits() -> Result<Limits, LimitsError> {
    LimitsRequest { timeout_ms: Some(WARM_UP_TIMEOUT_MS), ..LimitsRequest::default() }.resolve(Lane::Default)
}

/// The folders that Python looks for the package's modules in, in order, and all files by their places.
pub(super) fn mounted(package: &Package) -> (Vec<String>, Vec<(String, FileContent)>) {
    let mut folders = vec![stub::FILES_FOLDER.to_owned()];
    let mut files = under(stub::FILES_FOLDER, &package.files);
    // They are unpacked below.
    files.retain(|(place, _)| !place.starts_with(&format!("{}/wheels/", stub::FILES_FOLDER)));
    for wheel in &package.wheels {
        let folder = format!("{}/{}", stub::WHEELS_FOLDER, wheel.name);
        files.extend(under(&folder, &wheel.files));
        folders.push(folder);
    }
    (folders, files)
}

fn under(folder: &str, files: &Files) -> Vec<(String, FileContent)> {
    let place = |(name, content): (&FileName, &[u8])| {
        (format!("{folder}/{}", name.as_str()), FileContent::Bytes(Arc::from(content)))
    };
    files.iter().map(place).collect()
}

/// One call of each function that has a test case which gives a result, as its first call will be.
fn rehearsals(package: &Package) -> Vec<Rehearsal> {
    let mut first: BTreeMap<&str, &TestCase> = BTreeMap::new();
    let works = |case: &&TestCase| matches!(case.expected, Expected::Outputs { .. });
    for case in package.test_cases.iter().filter(works) {
        first.entry(case.function.as_str()).or_insert(case);
    }
    let rehearsal = |(name, case): (&str, &TestCase)| {
        let function = package.manifest.function(name)?;
        let handler = function.handler.as_ref()?;
        let call = gate::case_inputs(function, case, &package.files).ok()?;
        Some(Rehearsal {
            source: stub::call(handler, function).into(),
            entry: Some(Arc::from(handler.function.as_str())),
            inputs: call.inputs,
            files: call.files,
        })
    };
    first.into_iter().filter_map(rehearsal).take(REHEARSALS_MAX).collect()
}

/// Why a package is imported anew in each call.
pub(super) fn imported_anew(frozen: Frozen) -> Vec<Warning> {
    let warning = |code: &str, message: &str| Warning {
        code: code.to_owned(),
        message: message.to_owned(),
        line: None,
        pointer: None,
    };
    let mut warnings = Vec::new();
    if frozen.randomness {
        let message = "the package draws random numbers when it is imported, so each call imports it anew, with its own \
                       seed, and takes that much longer. Draw them in the function.";
        warnings.push(warning("import_draws_randomness", message));
    }
    if frozen.wall_clock {
        let message = "the package reads the clock when it is imported, so each call imports it anew, at its own time, and \
                       takes that much longer. Read it in the function.";
        warnings.push(warning("import_reads_clock", message));
    }
    warnings
}

fn unmade(error: WarmError) -> Unmade {
    match error {
        WarmError::Prepare(error) => {
            let line = error.line;
            let message = match &error.traceback {
                Some(traceback) => format!("the package can't be imported: {}\n{traceback}", error.message),
                None => format!("the package can't be imported: {}", error.message),
            };
            Unmade::Invalid(Box::new(Fault { line, ..Fault::new("/functions", "import_failed", message) }))
        }
        error @ (WarmError::Settle(_) | WarmError::Delta(_) | WarmError::Rehearsal { .. }) => {
            let message = format!("the package can't be kept ready for its calls: {error}");
            Unmade::invalid("/functions", "warm_up_failed", message)
        }
        error => Unmade::Failed(error.into()),
    }
}
