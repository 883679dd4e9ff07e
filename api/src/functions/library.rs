//! What runs of published packages: an interpreter image with the package's modules imported, or a compiled module.
//! Made when first called, and kept by the digest of the package's files, which never change.

use super::{
    call::Call,
    published::Published,
    stub,
    warm::{imported_anew, mounted},
};
use crate::{
    analysis::Catalogue,
    packages::{Bounds, Distribution, Files, Package, Python, Runtime, read_zip},
    programs::{Place, Room},
};
use mecapy_model::{Digest, ErrorKind, Fault, TaskError, TenantId, Usage, Warning};
use mecapy_python::Interpreter;
use mecapy_runtime::{
    FileContent, Program, PythonImage, Sandboxes, WarmImages, WasiModule,
    module::{ModuleCache, ModuleError},
};
use mecapy_store::Store;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

/// Memory of warm images that is theirs alone, and of their packages' files, bytes.
const WARM_BYTES_MAX: usize = 512 << 20;
/// As many as are quick to start from: see [`WarmImages::new`].
const WARM_IMAGES_MAX: usize = 40;
/// Packages of which something is remembered; then the memory begins anew.
const REMEMBERED_MAX: usize = 4_096;
/// Packages that are made ready for a call at once: each is in memory as a whole.
const LOADING_MAX: usize = 4;
/// Of those, one tenant's.
const LOADING_PER_TENANT_MAX: usize = 1;
/// How long a package that can't be made ready is not tried again.
const HOPELESS_FOR: Duration = Duration::from_secs(60);

/// Makes packages ready to run, and keeps them.
pub struct Library {
    pub(super) interpreter: Arc<Interpreter>,
    catalogue: Arc<Catalogue>,
    distributions: Vec<Distribution>,
    modules: Arc<ModuleCache>,
    pub(super) sandboxes: Sandboxes,
    images: WarmImages<Unmade>,
    /// The module of each package that is one.
    known_modules: Mutex<HashMap<Digest, Digest>>,
    /// Packages that can't be made ready, and until when nobody tries again.
    hopeless: Mutex<HashMap<Digest, (Instant, TaskError)>>,
    /// Where packages are made ready for a call.
    loading: Room,
    store: Store,
}

/// A package that can run.
#[derive(Clone)]
pub(super) enum Ready {
    Python(Arc<PythonImage>),
    Wasm(Arc<WasiModule>),
}

/// Why a package can't be made ready to run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    /// The package is at fault.
    #[error("{}: {}", .0.pointer, .0.message)]
    Invalid(Box<Fault>),
    #[error("the platform failed")]
    Failed(anyhow::Error),
}

impl Library {
    /// # Errors
    /// The interpreter's library can't be read.
    pub fn new(
        interpreter: Arc<Interpreter>,
        catalogue: Arc<Catalogue>,
        modules: Arc<ModuleCache>,
        (sandboxes, store): (Sandboxes, Store),
    ) -> anyhow::Result<Self> {
        let names = interpreter.library_names()?;
        let distributions = Distribution::among(names.iter().map(String::as_str));
        let images = WarmImages::new(WARM_BYTES_MAX, WARM_IMAGES_MAX);
        let (known_modules, hopeless) = (Mutex::default(), Mutex::default());
        let loading = Room::new(LOADING_MAX, LOADING_PER_TENANT_MAX);
        Ok(Self {
            interpreter,
            catalogue,
            distributions,
            modules,
            sandboxes,
            images,
            known_modules,
            hopeless,
            loading,
            store,
        })
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
    pub async fn program(self: &Arc<Self>, tenant: TenantId, call: &Call) -> Result<Program, TaskError> {
        let published = call.published();
        if let Some(ready) = self.ready(published) {
            return program_of(&ready, call);
        }
        let place = self.loading.enter(tenant).await;
        // Whoever was in the room before may have made it ready, or found out that nobody can.
        let ready = match self.ready(published) {
            Some(ready) => ready,
            None => self.fetch(published, place).await?,
        };
        program_of(&ready, call)
    }

    /// The package where it is in memory.
    fn ready(&self, published: &Published) -> Option<Ready> {
        let row = &published.row;
        if let Runtime::Wasm { .. } = published.manifest.runtime {
            let module = lock(&self.known_modules).get(&row.digest).copied()?;
            return self.modules.loaded(module).map(Ready::Wasm);
        }
        self.images.get(&key(row.tenant, row.digest)).map(Ready::Python)
    }

    /// Goes on, in its place, when nobody waits any more.
    async fn fetch(self: &Arc<Self>, published: &Arc<Published>, place: Place) -> Result<Ready, TaskError> {
        let row = &published.row;
        if let Some((until, error)) = lock(&self.hopeless).get(&row.digest)
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let zip = self.store.package_zip_by_pin(published.pin()).await.map_err(|error| {
            tracing::error!(%error, "library.fetch: the store failed");
            TaskError::new(ErrorKind::Storage, "the platform could not read the package")
        })?;
        let gone = || TaskError::new(ErrorKind::InvalidInput, "the package is not there any more");
        let zip = zip.ok_or_else(gone)?;
        let (library, name) = (Arc::clone(self), published.pin().to_string());
        let (tenant, now, digest) = (row.tenant, row.published_at, row.digest);
        let made = spawn_blocking(move || {
            let _place = place;
            let opened = read_zip(&zip, Bounds::PACKAGE).map_err(|refused| refused.to_string());
            let opened = opened.and_then(|files| library.open(files).map_err(|faults| told(&faults)));
            match opened.map(|package| library.make(&package, tenant, now)) {
                Ok(Ok(made)) => Ok(made.ready),
                Ok(Err(unmade)) => match &*unmade {
                    Unmade::Invalid(fault) => Err(library.despair(digest, &name, &fault.message)),
                    Unmade::Failed(error) => {
                        tracing::error!(
                            package = name,
                            error = format!("{error:#}"),
                            "library.fetch: can't be made ready"
                        );
                        Err(TaskError::new(ErrorKind::Executor, "the platform could not make the package ready"))
                    }
                },
                Err(message) => Err(library.despair(digest, &name, &message)),
            }
        });
        made.await.unwrap_or_else(|error| {
            tracing::error!(%error, "library.fetch: ended badly");
            Err(TaskError::new(ErrorKind::Executor, "the platform could not make the package ready"))
        })
    }

    /// A package was fine when it was published, and is not any more: the interpreter is another one now.
    fn despair(&self, package: Digest, name: &str, message: &str) -> TaskError {
        tracing::error!(
            package = name,
            error = message,
            "library.fetch: the package doesn't fit the interpreter any more"
        );
        let error =
            TaskError::new(ErrorKind::Executor, format!("{name} can't run on this platform any more: {message}"));
        let mut hopeless = lock(&self.hopeless);
        if hopeless.len() >= REMEMBERED_MAX {
            hopeless.clear();
        }
        hopeless.insert(package, (Instant::now() + HOPELESS_FOR, error.clone()));
        error
    }

    /// Makes a package ready, and says what its author should know of that. Blocks: for as long as an import takes, or
    /// the compilation of a module. `now` is the time that an import sees; the sandbox is one of the tenant's.
    pub(super) fn make(&self, package: &Package, tenant: TenantId, now: OffsetDateTime) -> Result<Made, Arc<Unmade>> {
        if let Runtime::Wasm { module } = &package.manifest.runtime {
            let bytes = package.files.get(module.as_str()).unwrap_or_default().to_vec();
            let ready = self.make_module(package.digest, module.as_str(), bytes).map_err(Arc::new)?;
            return Ok(Made { ready, warnings: Vec::new(), usage: None });
        }
        let mut usage = None;
        let image = self.images.get_or_make(&key(tenant, package.digest), || {
            let (folders, files) = mounted(package);
            let bytes = files.iter().map(|(_, content)| bytes_of(content)).sum();
            let image = self.make_image(package, (folders, files), (tenant, now), &mut usage)?;
            Ok((image, bytes))
        })?;
        let warnings = image.frozen.map_or_else(Vec::new, imported_anew);
        Ok(Made { ready: Ready::Python(image), warnings, usage })
    }

    fn make_module(&self, package: Digest, name: &str, bytes: Vec<u8>) -> Result<Ready, Unmade> {
        let digest = Digest(Sha256::digest(&bytes).into());
        match self.modules.get(digest, || Ok(bytes)) {
            Ok(module) => {
                let mut known = lock(&self.known_modules);
                if known.len() >= REMEMBERED_MAX {
                    known.clear();
                }
                known.insert(package, digest);
                Ok(Ready::Wasm(module))
            }
            Err(ModuleError::Refused(refused)) => {
                Err(Unmade::invalid("/runtime/module", "module_invalid", format!("{name} can't run here: {refused}")))
            }
            Err(error) => Err(Unmade::Failed(error.into())),
        }
    }
}

/// A package that was made ready, or was already.
pub(super) struct Made {
    pub(super) ready: Ready,
    /// What its author should know.
    pub(super) warnings: Vec<Warning>,
    /// Of the warm-up, where there was one.
    pub(super) usage: Option<Usage>,
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bytes_of(content: &FileContent) -> usize {
    match content {
        FileContent::Bytes(bytes) => bytes.len(),
        // The host's own files are not in memory.
        FileContent::File { .. } => 0,
    }
}

/// What names an image. Two tenants that publish the same files have one each: else the time that a publication takes
/// would tell the second that the first is there.
fn key(tenant: TenantId, package: Digest) -> String {
    format!("{tenant}:{package}")
}

pub(super) fn program_of(ready: &Ready, call: &Call) -> Result<Program, TaskError> {
    let lost = || TaskError::new(ErrorKind::Executor, "the function is not in its package");
    let function = call.function().ok_or_else(lost)?;
    match ready {
        Ready::Python(image) => {
            let handler = function.handler.as_ref().ok_or_else(lost)?;
            let call = stub::call(handler, function);
            let source: Arc<str> = match &image.prepare {
                None => call.into(),
                Some(prepare) => format!("{prepare}{call}").into(),
            };
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
    pub(super) fn invalid(pointer: &str, code: &str, message: String) -> Self {
        Unmade::Invalid(Box::new(Fault::new(pointer, code, message)))
    }
}
