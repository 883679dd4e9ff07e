//! What runs of published packages: an interpreter image with the package's modules imported, or a compiled module.
//! Made when first called, and kept by the digest of the package's files, which never change.

use super::{call::Call, gate, published::Published, stub};
use crate::{
    analysis::Catalogue,
    packages::{Bounds, Distribution, Expected, Files, Package, Python, Runtime, TestCase, read_zip},
};
use mecapy_model::{Digest, ErrorKind, Fault, Lane, Limits, LimitsRequest, NonFinite, TaskError, TenantId, Warning};
use mecapy_python::Interpreter;
use mecapy_runtime::{
    Attempt, FileContent, Frozen, Program, PythonImage, Rehearsal, Sandboxes, WarmError, WarmImages, WarmUp,
    WasiModule,
    module::{ModuleCache, ModuleError},
    prepare_source,
};
use mecapy_store::Store;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{runtime::Handle, task::spawn_blocking};

/// Memory of warm images that is theirs alone, and of their packages' files, bytes.
const WARM_BYTES_MAX: usize = 512 << 20;
/// As many as are quick to start from: see [`WarmImages::new`].
const WARM_IMAGES_MAX: usize = 40;
/// How long the import of a package and its rehearsals may take together, milliseconds.
const WARM_UP_TIMEOUT_MS: u64 = 20_000;
/// Functions that are called once before an image is kept.
const REHEARSALS_MAX: usize = 50;
/// The seed of warm-ups, so that an image comes out the same each time.
const SEED: u64 = 0;
/// Packages of which something is noted; then the modules' notes are made anew.
const NOTES_MAX: usize = 4_096;

/// Makes packages ready to run, and keeps them.
pub struct Library {
    interpreter: Arc<Interpreter>,
    catalogue: Arc<Catalogue>,
    distributions: Vec<Distribution>,
    modules: Arc<ModuleCache>,
    sandboxes: Sandboxes,
    images: WarmImages<Unmade>,
    notes: Mutex<HashMap<Digest, Note>>,
}

/// What is remembered of a package beside its image.
#[derive(Clone)]
enum Note {
    /// Its module.
    Module(Digest),
    /// It can't be kept imported: this source imports it, in each call.
    Cold(Arc<str>),
}

/// A package that can run.
#[derive(Clone)]
pub(super) enum Ready {
    /// `prepare` imports the package, where the image doesn't hold it.
    Python {
        image: Arc<PythonImage>,
        prepare: Option<Arc<str>>,
    },
    Wasm(Arc<WasiModule>),
}

/// Why a package can't be made ready to run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    /// The package is at fault.
    #[error("{0:?}")]
    Invalid(Box<Fault>),
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl Library {
    /// # Errors
    /// The interpreter's library can't be read.
    pub fn new(
        interpreter: Arc<Interpreter>,
        catalogue: Arc<Catalogue>,
        modules: Arc<ModuleCache>,
        sandboxes: Sandboxes,
    ) -> anyhow::Result<Self> {
        let names = interpreter.library_names()?;
        let distributions = Distribution::among(names.iter().map(String::as_str));
        let images = WarmImages::new(WARM_BYTES_MAX, WARM_IMAGES_MAX);
        let notes = Mutex::default();
        Ok(Self { interpreter, catalogue, distributions, modules, sandboxes, images, notes })
    }

    /// Reads and checks a package for this interpreter. Takes milliseconds, more for a large one.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn open(&self, files: Files) -> Result<Package, Vec<Fault>> {
        let version = self.interpreter.python_version();
        let python = Python { version, catalogue: &self.catalogue, distributions: &self.distributions };
        Package::open(files, &python)
    }

    /// Something to run for a call. Takes some microseconds where the package is ready.
    ///
    /// # Errors
    /// The package is gone, or the platform fails.
    pub async fn program(self: &Arc<Self>, store: &Store, call: &Call) -> Result<Program, TaskError> {
        let ready = match self.ready(call.published()) {
            Some(ready) => ready,
            None => self.fetch(store, call.published()).await?,
        };
        program_of(&ready, call)
    }

    /// The package where it is in memory.
    fn ready(&self, published: &Published) -> Option<Ready> {
        let row = &published.row;
        let note = self.notes().get(&row.digest).cloned();
        if let Some(Note::Module(module)) = note {
            return self.modules.loaded(module).map(Ready::Wasm);
        }
        self.images.get(&key(row.tenant, row.digest)).map(|image| Ready::of(image, note))
    }

    async fn fetch(self: &Arc<Self>, store: &Store, published: &Arc<Published>) -> Result<Ready, TaskError> {
        let row = &published.row;
        let zip = store.package_zip_by_pin(published.pin()).await.map_err(|error| {
            tracing::error!(%error, "library.fetch: the store failed");
            TaskError::new(ErrorKind::Storage, "the platform could not read the package")
        })?;
        let gone = || TaskError::new(ErrorKind::InvalidInput, "the package is not there any more");
        let zip = zip.ok_or_else(gone)?;
        let (library, name) = (Arc::clone(self), format!("{}/{}@{}", row.owner, row.name, row.version));
        let (tenant, now) = (row.tenant, row.published_at);
        let made = spawn_blocking(move || {
            let files = read_zip(&zip, Bounds::PACKAGE).map_err(|refused| refused.to_string())?;
            let package = library.open(files).map_err(|faults| told(&faults))?;
            library.make(&package, tenant, now).map(|(ready, _)| ready).map_err(|unmade| unmade.to_string())
        });
        // It was fine when it was published: the interpreter is another one now, or the platform fails.
        made.await.unwrap_or_else(|error| Err(error.to_string())).map_err(|error| {
            tracing::error!(package = name, error, "library.fetch: can't be made ready");
            TaskError::new(ErrorKind::Executor, format!("the platform can't run {name} any more: {error}"))
        })
    }

    /// Makes a package ready, and says what its author should know of that. Blocks: for as long as an import takes, or
    /// the compilation of a module. `now` is the time that an import sees; the sandbox is one of the tenant's.
    pub(super) fn make(
        &self,
        package: &Package,
        tenant: TenantId,
        now: time::OffsetDateTime,
    ) -> Result<(Ready, Vec<Warning>), Arc<Unmade>> {
        if let Runtime::Wasm { module } = &package.manifest.runtime {
            let bytes = package.files.get(module.as_str()).unwrap_or_default().to_vec();
            return self.make_module(package.digest, module.as_str(), bytes).map_err(Arc::new);
        }
        let mut warnings = Vec::new();
        let image = self.images.get_or_make(&key(tenant, package.digest), || {
            let (image, found) = self.make_image(package, tenant, now)?;
            warnings = found;
            Ok((image, usize::try_from(package.files.bytes()).unwrap_or(usize::MAX)))
        })?;
        let note = self.notes().get(&package.digest).cloned();
        Ok((Ready::of(image, note), warnings))
    }

    fn make_module(&self, package: Digest, name: &str, bytes: Vec<u8>) -> Result<(Ready, Vec<Warning>), Unmade> {
        let digest = Digest(Sha256::digest(&bytes).into());
        match self.modules.get(digest, || Ok(bytes)) {
            Ok(module) => {
                self.note(package, Note::Module(digest));
                Ok((Ready::Wasm(module), Vec::new()))
            }
            Err(ModuleError::Refused(refused)) => {
                Err(Unmade::invalid("/runtime/module", "module_invalid", format!("{name} can't run here: {refused}")))
            }
            Err(error) => Err(Unmade::Failed(error.into())),
        }
    }

    /// Imports the package over the smallest image that has what it imports, calls its functions once, and keeps the
    /// memory.
    fn make_image(
        &self,
        package: &Package,
        tenant: TenantId,
        now: time::OffsetDateTime,
    ) -> Result<(PythonImage, Vec<Warning>), Unmade> {
        let failed = |error: anyhow::Error| Unmade::Failed(error);
        let base = self.interpreter.image_for(&package.imports).map_err(|error| failed(error.into()))?;
        let (folders, files) = mounted(package);
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
            let again = rehearsals.is_empty();
            let warm_up = WarmUp::new(
                Arc::clone(&base),
                name.clone(),
                tree.clone(),
                Arc::clone(&prepare),
                std::mem::take(&mut rehearsals),
            );
            let outcome = self.run_warm_up(Arc::new(warm_up), tenant, now)?;
            match outcome.image {
                Ok(_) if outcome.frozen != Frozen::default() => {
                    self.note(package.digest, Note::Cold(prepare));
                    return Ok((base.with_package(tree), frozen(outcome.frozen)));
                }
                Ok(image) => return Ok((image, Vec::new())),
                // A call that takes too much or ends the interpreter is the test case's business: the image goes without.
                Err(WarmError::Rehearsal { .. } | WarmError::Delta(_)) if !again => {}
                Err(error) => return Err(unmade(error)),
            }
        }
    }

    fn run_warm_up(
        &self,
        warm_up: Arc<WarmUp>,
        tenant: TenantId,
        now: time::OffsetDateTime,
    ) -> Result<mecapy_runtime::WarmOutcome, Unmade> {
        let attempt = Attempt {
            inputs: Arc::from("{}"),
            files: Vec::new(),
            limits: limits().map_err(|error| Unmade::Failed(error.into()))?,
            seed: SEED,
            non_finite: NonFinite::Reject,
            wall_clock: now,
        };
        let program = Program::WarmUp(Arc::clone(&warm_up));
        let ended = Handle::current().block_on(gate::outcome_of(&self.sandboxes, tenant, program, attempt));
        let not_begun = || match &ended.result {
            Err(error) => Unmade::Failed(anyhow::anyhow!("the warm-up did not begin: {}", error.message)),
            Ok(_) => Unmade::Failed(anyhow::anyhow!("the warm-up left nothing")),
        };
        warm_up.take().ok_or_else(not_begun)
    }

    fn note(&self, package: Digest, note: Note) {
        let mut notes = self.notes();
        if notes.len() >= NOTES_MAX {
            // The image of a cold package can't do without its note.
            notes.retain(|_, note| matches!(note, Note::Cold(_)));
        }
        notes.insert(package, note);
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    fn of(image: Arc<PythonImage>, note: Option<Note>) -> Self {
        let prepare = match note {
            Some(Note::Cold(prepare)) => Some(prepare),
            Some(Note::Module(_)) | None => None,
        };
        Ready::Python { image, prepare }
    }
}

/// What names an image. Two tenants that publish the same files have one each: else the time that a publication takes
/// would tell the second that the first is there.
fn key(tenant: TenantId, package: Digest) -> String {
    format!("{tenant}:{package}")
}

fn limits() -> Result<Limits, mecapy_model::LimitsError> {
    LimitsRequest { timeout_ms: Some(WARM_UP_TIMEOUT_MS), ..LimitsRequest::default() }.resolve(Lane::Default)
}

/// The folders that Python looks for the package's modules in, in order, and all files by their places.
fn mounted(package: &Package) -> (Vec<String>, Vec<(String, FileContent)>) {
    let mut folders = vec![stub::FILES_FOLDER.to_owned()];
    let mut files = under(stub::FILES_FOLDER, &package.files);
    for wheel in &package.wheels {
        let folder = format!("{}/{}", stub::WHEELS_FOLDER, wheel.name);
        files.extend(under(&folder, &wheel.files));
        folders.push(folder);
    }
    (folders, files)
}

fn under(folder: &str, files: &Files) -> Vec<(String, FileContent)> {
    let place = |(name, content): (&crate::packages::FileName, &[u8])| {
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

fn frozen(frozen: Frozen) -> Vec<Warning> {
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

pub(super) fn program_of(ready: &Ready, call: &Call) -> Result<Program, TaskError> {
    let lost = || TaskError::new(ErrorKind::Executor, "the function is not in its package");
    let function = call.function().ok_or_else(lost)?;
    match ready {
        Ready::Python { image, prepare } => {
            let handler = function.handler.as_ref().ok_or_else(lost)?;
            let call = stub::call(handler, function);
            let source: Arc<str> = prepare.as_ref().map_or(call.clone(), |prepare| format!("{prepare}{call}")).into();
            Ok(Program::Python { image: Arc::clone(image), source, entry: Some(Arc::from(handler.function.as_str())) })
        }
        Ready::Wasm(module) => {
            let name = function.handler.as_ref().map_or(function.name.as_str(), |handler| handler.function.as_str());
            Ok(Program::Wasi { module: Arc::clone(module), function: Some(Arc::from(name)) })
        }
    }
}

/// The first fault, and how many there are.
fn told(faults: &[Fault]) -> String {
    let first = faults.first().map_or(String::new(), |fault| format!("{}: {}", fault.pointer, fault.message));
    if faults.len() > 1 { format!("{first} (and {} more faults)", faults.len() - 1) } else { first }
}

impl Unmade {
    fn invalid(pointer: &str, code: &str, message: String) -> Self {
        Unmade::Invalid(Box::new(Fault::new(pointer, code, message)))
    }
}
