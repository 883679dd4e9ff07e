//! From code to something a sandbox can run: the interpreter image for a source, the compiled module for a digest.
//!
//! Knows nothing of HTTP or of queues: previews and the worker both ask here.

use crate::{
    analysis::{self, Analysis, Catalogue},
    functions::{Call, Functions, Library},
};
use anyhow::{Context as _, Result};
use mecapy_model::{Code, Digest, ErrorKind, TaskError, TenantId};
use mecapy_python::Interpreter;
use mecapy_runtime::{
    Engine, Program, PythonImage, Sandboxes, WasiModule,
    module::{CacheConfig, Compiler, Export, Import, ModuleCache, ModuleError, ModuleInfo},
};
use mecapy_store::{NewModule, Store};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, spawn_blocking},
    time::timeout,
};

/// Sources whose analysis is remembered: engineers send the same source again and again.
const ANALYSES_MAX: usize = 512;
/// Sources longer than this are analysed anew each time, so that the memory stays small, bytes.
const REMEMBERED_SOURCE_BYTES_MAX: usize = 64 << 10;
/// Sources longer than this are analysed on a thread that may block, bytes.
const SOURCE_BYTES_INLINE_MAX: usize = 32 << 10;
/// Modules that are loaded or compiled for a run at once: each takes a thread that may block for long.
const MODULES_LOADING_MAX: usize = 4;
/// Of those, one tenant's.
const MODULES_LOADING_PER_TENANT_MAX: usize = 1;
/// How long a preview waits for a module that is not in memory; its loading goes on without it.
const PREVIEW_MODULE_TIMEOUT: Duration = Duration::from_secs(5);
/// Tenants that a room remembers before it forgets those that are not in it.
const ROOM_TENANTS_MAX: usize = 1_024;

/// Finds programs, and remembers what it found.
pub struct Programs {
    interpreter: Arc<Interpreter>,
    catalogue: Arc<Catalogue>,
    /// What decides all that Python does here.
    interpreter_digest: String,
    modules: Arc<ModuleCache>,
    functions: Arc<Functions>,
    library: Arc<Library>,
    loading: Room,
    store: Store,
    analyses: Mutex<Analyses>,
}

/// Why a preview has nothing to run.
#[derive(Debug)]
pub enum NotLoaded {
    /// There is nothing to run, now or later.
    Failed(TaskError),
    /// The module is not in memory, and others are being loaded; trying again helps.
    Busy,
}

/// Places for work that is dear, some of them for each tenant, so that no tenant takes them all.
#[derive(Debug)]
pub struct Room {
    all: Arc<Semaphore>,
    per_tenant_max: usize,
    tenants: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
}

/// A place in a [`Room`], or several; given back on drop.
#[derive(Debug)]
pub struct Place {
    _of_all: Option<OwnedSemaphorePermit>,
    _of_tenant: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Analyses {
    by_source: HashMap<[u8; 32], Arc<Analysis>>,
    /// Oldest first.
    order: VecDeque<[u8; 32]>,
}

impl Programs {
    /// `cache_dir` keeps compiled modules.
    pub fn new(
        interpreter: Arc<Interpreter>,
        (engine, sandboxes): (&Engine, Sandboxes),
        (store, functions): (Store, Arc<Functions>),
        cache_dir: &Path,
    ) -> Result<Self> {
        let config = CacheConfig::new(cache_dir.join("modules"), Compiler::new(engine.nan_payloads()));
        let modules = ModuleCache::open(engine, config).context("can't use the folder of compiled modules")?;
        let modules = Arc::new(modules);
        let catalogue = Arc::new(catalogue(&interpreter));
        let loading = Room::new(MODULES_LOADING_MAX, MODULES_LOADING_PER_TENANT_MAX);
        let library = Library::new(
            Arc::clone(&interpreter),
            Arc::clone(&catalogue),
            Arc::clone(&modules),
            (sandboxes, store.clone()),
        )?;
        let library = Arc::new(library);
        let interpreter_digest = interpreter.digest();
        let analyses = Mutex::default();
        Ok(Self { interpreter, catalogue, interpreter_digest, modules, functions, library, loading, store, analyses })
    }

    /// Names the interpreter's build with all its images: results of one are not those of another.
    pub fn interpreter_digest(&self) -> &str {
        &self.interpreter_digest
    }

    /// What makes packages ready to run.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// What a source imports and defines, and what is wrong with it. Takes some microseconds where it was seen
    /// before, a millisecond or two where it was not; a long source is analysed on a thread that may block.
    ///
    /// # Errors
    /// That thread ended badly.
    pub async fn analyse(&self, source: &str, entry: Option<&str>) -> Result<Arc<Analysis>, JoinError> {
        let key = (source.len() <= REMEMBERED_SOURCE_BYTES_MAX).then(|| digest_of(source, entry));
        if let Some(known) = key.and_then(|key| self.known(&key)) {
            return Ok(known);
        }
        let analysis = if source.len() <= SOURCE_BYTES_INLINE_MAX {
            analysis::analyse(source, entry, &self.catalogue)
        } else {
            let (catalogue, source, entry) = (Arc::clone(&self.catalogue), source.to_owned(), entry.map(str::to_owned));
            spawn_blocking(move || analysis::analyse(&source, entry.as_deref(), &catalogue)).await?
        };
        let analysis = Arc::new(analysis);
        if let Some(key) = key {
            self.lock().remember(key, Arc::clone(&analysis));
        }
        Ok(analysis)
    }

    /// Something to run, or why there is nothing, with the function that it is a call of. Waits for as long as it takes.
    pub async fn load(&self, tenant: TenantId, code: &Code) -> Result<(Program, Option<Call>), TaskError> {
        if let Code::Function { function, package } = code {
            let call = self.functions.pinned(function).await.map_err(|error| {
                tracing::error!(%error, "programs.function: the store failed");
                TaskError::new(ErrorKind::Storage, "the platform could not read the package")
            })?;
            let gone = || TaskError::new(ErrorKind::InvalidInput, format!("there is no function {function} any more"));
            // A database that was restored from a copy may hold another package under the version.
            let call = call.filter(|call| call.published().row.digest == *package).ok_or_else(gone)?;
            return Ok((self.library.program(tenant, &call).await?, Some(call)));
        }
        self.load_plain(tenant, code).await.map(|program| (program, None))
    }

    /// A call's program, for someone who waits for the answer.
    pub async fn function_soon(&self, tenant: TenantId, call: &Call) -> Result<Program, NotLoaded> {
        let loading = timeout(PREVIEW_MODULE_TIMEOUT, self.library.program(tenant, call));
        loading.await.map_err(|_| NotLoaded::Busy)?.map_err(NotLoaded::Failed)
    }

    async fn load_plain(&self, tenant: TenantId, code: &Code) -> Result<Program, TaskError> {
        match code {
            Code::Python { source, entry } => {
                let analysed = self.analyse(source, entry.as_deref()).await;
                let analysis = analysed.map_err(|error| {
                    tracing::error!(%error, "programs.analyse: the analysis ended badly");
                    TaskError::new(ErrorKind::Executor, "the platform could not analyse the source")
                })?;
                self.python(source, entry.as_deref(), analysis).await
            }
            Code::Wasm { module } | Code::C { module: Some(module), .. } | Code::Rust { module: Some(module), .. } => {
                Ok(wasi(self.module(tenant, *module).await?))
            }
            Code::C { .. } | Code::Rust { .. } | Code::Compile { .. } => {
                Err(TaskError::new(ErrorKind::Executor, "a source is compiled in a container before it runs"))
            }
            Code::Function { .. } => Err(TaskError::new(ErrorKind::Executor, "a function is called by its package")),
            Code::Solver { .. } => Err(TaskError::new(ErrorKind::Executor, "a solver runs in a container alone")),
            Code::Items { .. } => Err(TaskError::new(ErrorKind::Executor, "items are run by their batch's code")),
        }
    }

    /// The same of code that is no function, for someone who waits for the answer: with the analysis that is known already, and not
    /// for long behind the modules of others.
    pub async fn load_soon(
        &self,
        tenant: TenantId,
        code: &Code,
        analysis: Option<Arc<Analysis>>,
    ) -> Result<Program, NotLoaded> {
        match (code, analysis) {
            (Code::Python { source, entry }, Some(analysis)) => {
                self.python(source, entry.as_deref(), analysis).await.map_err(NotLoaded::Failed)
            }
            (Code::Wasm { .. } | Code::C { .. } | Code::Rust { .. }, _) => {
                let loading = timeout(PREVIEW_MODULE_TIMEOUT, self.load_plain(tenant, code));
                loading.await.map_err(|_| NotLoaded::Busy)?.map_err(NotLoaded::Failed)
            }
            _ => self.load_plain(tenant, code).await.map_err(NotLoaded::Failed),
        }
    }

    async fn python(&self, source: &str, entry: Option<&str>, analysis: Arc<Analysis>) -> Result<Program, TaskError> {
        let image = match self.interpreter.loaded_image_for(&analysis.imports) {
            Some(image) => image,
            None => self.load_image(analysis).await?,
        };
        Ok(Program::Python { image, source: Arc::from(source), entry: entry.map(Arc::from) })
    }

    async fn load_image(&self, analysis: Arc<Analysis>) -> Result<Arc<PythonImage>, TaskError> {
        let interpreter = Arc::clone(&self.interpreter);
        let loaded = spawn_blocking(move || interpreter.image_for(&analysis.imports)).await;
        let fail = |error: String| {
            tracing::error!(error, "programs.image: can't be used");
            TaskError::new(ErrorKind::Executor, "the platform's Python interpreter can't be used")
        };
        loaded.map_err(|error| fail(error.to_string()))?.map_err(|error| fail(error.to_string()))
    }

    /// The compiled module of a digest and its bytes. Compiles it where that was not done yet, and goes on with that,
    /// holding `place`, when nobody waits any more.
    pub async fn compile(
        &self,
        digest: Digest,
        bytes: impl Into<Vec<u8>> + Send + 'static,
        place: Place,
    ) -> Result<Arc<WasiModule>, ModuleError> {
        let modules = Arc::clone(&self.modules);
        let compiling = spawn_blocking(move || {
            let _place = place;
            modules.get(digest, || Ok(bytes.into()))
        });
        compiling.await.unwrap_or_else(|error| Err(ModuleError::Read(io::Error::other(error))))
    }

    async fn module(&self, tenant: TenantId, digest: Digest) -> Result<Arc<WasiModule>, TaskError> {
        if let Some(module) = self.modules.loaded(digest) {
            return Ok(module);
        }
        let place = self.loading.enter(tenant).await;
        // Whoever was in the room before may have loaded it.
        if let Some(module) = self.modules.loaded(digest) {
            return Ok(module);
        }
        let bytes = self.store.module_bytes(tenant, digest).await.map_err(|error| {
            tracing::error!(%error, "programs.module: the store failed");
            TaskError::new(ErrorKind::Storage, "the platform could not read the module")
        })?;
        let bytes =
            bytes.ok_or_else(|| TaskError::new(ErrorKind::InvalidInput, format!("there is no module {digest}")))?;
        self.compile(digest, bytes, place).await.map_err(|error| match error {
            ModuleError::Refused(refused) => TaskError::new(ErrorKind::Compile, refused.to_string()),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "programs.module: can't be compiled");
                TaskError::new(ErrorKind::Executor, "the platform could not compile the module")
            }
        })
    }

    fn known(&self, key: &[u8; 32]) -> Option<Arc<Analysis>> {
        self.lock().by_source.get(key).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Analyses> {
        self.analyses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub fn new(places_max: usize, per_tenant_max: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(places_max)), per_tenant_max, tenants: Mutex::default() }
    }

    /// Waits for a place.
    pub async fn enter(&self, tenant: TenantId) -> Place {
        // A permit is absent only where a semaphore was closed, and nobody has the means to close these. The tenant's
        // own first: who waits for it keeps no other tenant out.
        let of_tenant = self.of(tenant).acquire_owned().await.ok();
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok();
        Place { _of_all: of_all, _of_tenant: of_tenant }
    }

    /// So many places at once, where they are free now.
    pub fn try_enter(&self, tenant: TenantId, places: u32) -> Option<Place> {
        let of_tenant = self.of(tenant).try_acquire_many_owned(places).ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(places).ok()?;
        Some(Place { _of_all: Some(of_all), _of_tenant: Some(of_tenant) })
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(&tenant).and_then(Weak::upgrade) {
            return known;
        }
        if tenants.len() >= ROOM_TENANTS_MAX {
            tenants.retain(|_, places| places.strong_count() > 0);
        }
        let places = Arc::new(Semaphore::new(self.per_tenant_max));
        tenants.insert(tenant, Arc::downgrade(&places));
        places
    }
}

fn wasi(module: Arc<WasiModule>) -> Program {
    Program::Wasi { module, function: None }
}

/// A module that was checked, as the store keeps it.
pub fn new_module(info: ModuleInfo, bytes: Vec<u8>) -> NewModule {
    let import = |import: Import| format!("{}.{}", import.module, import.name);
    let export = |export: Export| export.name;
    NewModule {
        digest: info.digest,
        bytes,
        imports: info.imports.into_iter().map(import).collect(),
        exports: info.exports.into_iter().map(export).collect(),
        warnings: info.warnings,
    }
}

/// What an interpreter can import, for the analysis.
pub fn catalogue(interpreter: &Interpreter) -> Catalogue {
    let unavailable = interpreter.unavailable().iter().map(|(name, advice)| (name.clone(), advice.clone()));
    Catalogue::new(interpreter.modules().iter().cloned(), unavailable)
}

impl Analyses {
    fn remember(&mut self, key: [u8; 32], analysis: Arc<Analysis>) {
        if self.by_source.insert(key, analysis).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > ANALYSES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_source.remove(&oldest);
        }
    }
}

fn digest_of(source: &str, entry: Option<&str>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(source.as_bytes());
    // A source holds no byte 0xff, so no source and entry give the digest of another pair.
    hasher.update([0xff]);
    hasher.update(entry.unwrap_or_default().as_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_tenant_takes_all_places() {
        let (one, other) = (TenantId::from_parts(1, &[1; 10]), TenantId::from_parts(1, &[2; 10]));
        let room = Room::new(2, 1);
        let soon = Duration::from_millis(20);
        let first = room.enter(one).await;
        assert!(timeout(soon, room.enter(one)).await.is_err());
        let second = timeout(soon, room.enter(other)).await.unwrap();
        drop(first);
        let _again = timeout(soon, room.enter(one)).await.unwrap();
        let third = TenantId::from_parts(1, &[3; 10]);
        assert!(timeout(soon, room.enter(third)).await.is_err());
        drop(second);
        assert!(timeout(soon, room.enter(third)).await.is_ok());
    }

    #[test]
    fn several_places_are_had_together_or_not_at_all() {
        let (one, other) = (TenantId::from_parts(1, &[1; 10]), TenantId::from_parts(1, &[2; 10]));
        let room = Room::new(4, 2);
        assert!(room.try_enter(one, 3).is_none(), "more than a tenant may have");
        let ones = room.try_enter(one, 2).unwrap();
        assert!(room.try_enter(one, 1).is_none());
        let others = room.try_enter(other, 2).unwrap();
        let third = TenantId::from_parts(1, &[3; 10]);
        assert!(room.try_enter(third, 1).is_none(), "more than there are");
        drop(ones);
        assert!(room.try_enter(one, 2).is_some(), "a refusal keeps nothing");
        assert!(room.try_enter(third, 2).is_some());
        drop(others);
    }
}
