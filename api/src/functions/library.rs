//! What runs of published packages: an interpreter image with the package's modules imported, or a compiled module.
//! Made when first called, and kept by digest: a package's content never changes.

use super::{call::Call, published::Published, stub};
use crate::{
    analysis::Catalogue,
    packages::{Bounds, Distribution, Files, Handler, Package, Python, Runtime, read_zip},
};
use mecapy_model::{Digest, ErrorKind, Fault, TaskError};
use mecapy_python::Interpreter;
use mecapy_runtime::{
    FileContent, Program, PythonImage, WasiModule,
    module::{ModuleCache, ModuleError},
    tree::{Tree, TreeError},
};
use mecapy_store::Store;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::OnceCell, task::spawn_blocking};

/// Packages that are kept ready to run; what was used longest ago goes first.
const READY_MAX: usize = 64;

/// Makes packages ready to run, and keeps them.
pub struct Library {
    interpreter: Arc<Interpreter>,
    catalogue: Arc<Catalogue>,
    distributions: Vec<Distribution>,
    modules: Arc<ModuleCache>,
    kept: Mutex<Kept>,
}

/// A package that can run.
#[derive(Clone)]
pub(super) enum Ready {
    /// `prepare` is what a call must run first, where the image doesn't hold it already.
    Python {
        image: Arc<PythonImage>,
        prepare: Option<Arc<str>>,
    },
    Wasm {
        module: Arc<WasiModule>,
    },
}

/// Why a package can't be made ready to run.
#[derive(Debug)]
pub(super) enum Unmade {
    /// The package is at fault.
    Invalid(Fault),
    Failed(anyhow::Error),
}

#[derive(Default)]
struct Kept {
    by_digest: HashMap<Digest, Arc<OnceCell<Ready>>>,
    /// Used longest ago first.
    order: VecDeque<Digest>,
}

impl Library {
    /// # Errors
    /// The interpreter's library can't be read.
    pub fn new(
        interpreter: Arc<Interpreter>,
        catalogue: Arc<Catalogue>,
        modules: Arc<ModuleCache>,
    ) -> anyhow::Result<Self> {
        let names = interpreter.library_names()?;
        let distributions = Distribution::among(names.iter().map(String::as_str));
        Ok(Self { interpreter, catalogue, distributions, modules, kept: Mutex::default() })
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
        let published = call.published();
        let cell = self.lock().cell(published.row.digest);
        let ready = cell.get_or_try_init(|| self.fetch(store, published)).await?;
        program_of(ready, call)
    }

    /// Keeps a package that was made ready before it was published.
    pub(super) fn keep(&self, digest: Digest, ready: Ready) {
        // Somebody who was faster has made the same.
        let _ = self.lock().cell(digest).set(ready);
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
        let made = spawn_blocking(move || {
            let files = read_zip(&zip, Bounds::PACKAGE).map_err(|refused| refused.to_string())?;
            let package = library.open(files).map_err(|faults| told(&faults))?;
            library.make(&package).map_err(|unmade| unmade.to_string())
        });
        // It was fine when it was published: the interpreter is another one now, or the platform fails.
        made.await.unwrap_or_else(|error| Err(error.to_string())).map_err(|error| {
            tracing::error!(package = name, error, "library.fetch: can't be made ready");
            TaskError::new(ErrorKind::Executor, format!("the platform can't run {name} any more: {error}"))
        })
    }

    /// Makes a package ready. Blocks, for a second or so where the module of one is compiled.
    pub(super) fn make(&self, package: &Package) -> Result<Ready, Unmade> {
        match &package.manifest.runtime {
            Runtime::Python { .. } => self.make_python(package),
            Runtime::Wasm { module } => {
                let bytes = package.files.get(module.as_str()).unwrap_or_default().to_vec();
                let digest = Digest(Sha256::digest(&bytes).into());
                match self.modules.get(digest, || Ok(bytes)) {
                    Ok(module) => Ok(Ready::Wasm { module }),
                    Err(ModuleError::Refused(refused)) => {
                        let message = format!("{module} can't run here: {refused}");
                        Err(Unmade::Invalid(Fault::new("/runtime/module", "module_invalid", message)))
                    }
                    Err(error) => Err(Unmade::Failed(error.into())),
                }
            }
            // A package of this kind was refused when it was read.
            Runtime::Dockerfile { .. } | Runtime::Image { .. } => {
                Err(Unmade::Failed(anyhow::anyhow!("packages don't run in containers here")))
            }
        }
    }

    fn make_python(&self, package: &Package) -> Result<Ready, Unmade> {
        let base = self.interpreter.image_for(&package.imports).map_err(|error| Unmade::Failed(error.into()))?;
        let mut files = base.files.clone();
        let folders = mount(&mut files, package).map_err(|error| {
            let message = format!("the package's files can't be put in front of the functions: {error}");
            Unmade::Invalid(Fault::new("/files", "files_invalid", message))
        })?;
        let image = PythonImage {
            name: format!("{}+{}", base.name, package.manifest.package.name),
            module: Arc::clone(&base.module),
            memory: Arc::clone(&base.memory),
            turn: base.turn,
            files,
        };
        let prepare = stub::prepare(&folders, BTreeSet::new());
        Ok(Ready::Python { image: Arc::new(image), prepare: Some(prepare.into()) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a package's files and wheels to a tree, read-only; the folders that Python looks for modules in, in order.
fn mount(tree: &mut Tree, package: &Package) -> Result<Vec<String>, TreeError> {
    let mut folders = vec![stub::FILES_FOLDER.to_owned()];
    add_all(tree, stub::FILES_FOLDER, &package.files)?;
    for wheel in &package.wheels {
        let folder = format!("{}/{}", stub::WHEELS_FOLDER, wheel.name);
        add_all(tree, &folder, &wheel.files)?;
        folders.push(folder);
    }
    Ok(folders)
}

fn add_all(tree: &mut Tree, folder: &str, files: &Files) -> Result<(), TreeError> {
    for (name, content) in files.iter() {
        tree.add_file(&format!("{folder}/{}", name.as_str()), FileContent::Bytes(Arc::from(content)))?;
    }
    Ok(())
}

pub(super) fn program_of(ready: &Ready, call: &Call) -> Result<Program, TaskError> {
    let lost = || TaskError::new(ErrorKind::Executor, "the function is not in its package");
    let function = call.function().ok_or_else(lost)?;
    match ready {
        Ready::Python { image, prepare } => {
            let handler: &Handler = function.handler.as_ref().ok_or_else(lost)?;
            let source = stub::call(handler, function);
            let source = prepare.as_ref().map_or_else(|| source.clone(), |prepare| format!("{prepare}{source}"));
            let entry = Some(Arc::from(handler.function.as_str()));
            Ok(Program::Python { image: Arc::clone(image), source: source.into(), entry })
        }
        Ready::Wasm { module } => {
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

impl std::fmt::Display for Unmade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unmade::Invalid(fault) => write!(f, "{}: {}", fault.pointer, fault.message),
            Unmade::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl Kept {
    /// The place of a package, which is now the one used last.
    fn cell(&mut self, digest: Digest) -> Arc<OnceCell<Ready>> {
        self.order.retain(|other| *other != digest);
        self.order.push_back(digest);
        if self.order.len() > READY_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_digest.remove(&oldest);
        }
        Arc::clone(self.by_digest.entry(digest).or_default())
    }
}
