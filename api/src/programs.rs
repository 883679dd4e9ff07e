//! From code to something a sandbox can run: the interpreter image for a source, the compiled module for a digest.
//!
//! Knows nothing of HTTP or of queues: previews and the worker both ask here.

use crate::analysis::{self, Analysis, Catalogue};
use anyhow::{Context as _, Result};
use mecapy_model::{Code, Digest, ErrorKind, TaskError, TenantId};
use mecapy_python::Interpreter;
use mecapy_runtime::{
    Engine, NanPayloads, Program, PythonImage, WasiModule,
    module::{CacheConfig, Compiler, ModuleCache, ModuleError},
};
use mecapy_store::Store;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::spawn_blocking;

/// Sources whose analysis is remembered: engineers send the same source again and again.
const ANALYSES_MAX: usize = 512;
/// Sources longer than this are analysed anew each time, so that the memory stays small, bytes.
const REMEMBERED_SOURCE_BYTES_MAX: usize = 64 << 10;

/// Finds programs, and remembers what it found.
pub struct Programs {
    interpreter: Arc<Interpreter>,
    catalogue: Catalogue,
    modules: Arc<ModuleCache>,
    store: Store,
    analyses: Mutex<Analyses>,
}

#[derive(Default)]
struct Analyses {
    by_source: HashMap<[u8; 32], Arc<Analysis>>,
    /// Oldest first.
    order: VecDeque<[u8; 32]>,
}

impl Programs {
    /// `cache_dir` keeps compiled modules.
    pub fn new(interpreter: Arc<Interpreter>, engine: &Engine, store: Store, cache_dir: &Path) -> Result<Self> {
        let config = CacheConfig::new(cache_dir.join("modules"), Compiler::new(NanPayloads::Native));
        let modules = ModuleCache::open(engine, config).context("can't use the folder of compiled modules")?;
        let catalogue = catalogue(&interpreter);
        Ok(Self { interpreter, catalogue, modules: Arc::new(modules), store, analyses: Mutex::default() })
    }

    /// What a source imports and defines, and what is wrong with it. Takes some microseconds where it was seen
    /// before, a millisecond or two where it was not.
    pub fn analyse(&self, source: &str, entry: Option<&str>) -> Arc<Analysis> {
        if source.len() > REMEMBERED_SOURCE_BYTES_MAX {
            return Arc::new(analysis::analyse(source, entry, &self.catalogue));
        }
        let key = digest_of(source, entry);
        if let Some(known) = self.lock().by_source.get(&key) {
            return Arc::clone(known);
        }
        let analysis = Arc::new(analysis::analyse(source, entry, &self.catalogue));
        self.lock().remember(key, Arc::clone(&analysis));
        analysis
    }

    /// Something to run, or why there is nothing.
    pub async fn load(&self, tenant: TenantId, code: &Code) -> Result<Program, TaskError> {
        match code {
            Code::Python { source, entry } => {
                let analysis = self.analyse(source, entry.as_deref());
                let image = match self.interpreter.loaded_image_for(&analysis.imports) {
                    Some(image) => image,
                    None => self.load_image(analysis).await?,
                };
                let entry = entry.as_deref().map(Arc::from);
                Ok(Program::Python { image, source: Arc::from(source.as_str()), entry })
            }
            Code::Wasm { module } => Ok(Program::Wasi { module: self.module(tenant, *module).await? }),
        }
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

    /// The compiled module of a digest that this tenant uploaded. Compiles it where that was not done yet.
    pub async fn compile(&self, digest: Digest, bytes: Vec<u8>) -> Result<Arc<WasiModule>, ModuleError> {
        let modules = Arc::clone(&self.modules);
        spawn_blocking(move || modules.get(digest, || Ok(bytes)))
            .await
            .unwrap_or_else(|error| Err(ModuleError::Read(io::Error::other(error))))
    }

    async fn module(&self, tenant: TenantId, digest: Digest) -> Result<Arc<WasiModule>, TaskError> {
        if let Some(module) = self.modules.loaded(digest) {
            return Ok(module);
        }
        let bytes = self.store.module_bytes(tenant, digest).await.map_err(|error| {
            tracing::error!(%error, "programs.module: the store failed");
            TaskError::new(ErrorKind::Storage, "the platform could not read the module")
        })?;
        let bytes =
            bytes.ok_or_else(|| TaskError::new(ErrorKind::InvalidInput, format!("there is no module {digest}")))?;
        self.compile(digest, bytes).await.map_err(|error| match error {
            ModuleError::Refused(refused) => TaskError::new(ErrorKind::Compile, refused.to_string()),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "programs.module: can't be compiled");
                TaskError::new(ErrorKind::Executor, "the platform could not compile the module")
            }
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Analyses> {
        self.analyses.lock().unwrap_or_else(PoisonError::into_inner)
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
