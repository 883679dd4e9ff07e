//! Modules that are ready to run, by digest: in memory, else from the folder, else compiled, each once.

use super::artefacts::{Artefacts, ArtefactsError};
use super::{CompileError, Compiler, Refused, inspect};
use crate::{Engine, WasiModule};
use mecapy_model::Digest;
use std::{
    collections::{HashMap, hash_map::Entry::Vacant},
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use wasmtime::{Precompiled, component::Component};

/// Refusals that are remembered, so that a module that is dear to refuse is refused once.
const REFUSALS_MAX: usize = 1_000;
/// Longer than a compilation may take: who waits for another's compilation waits this much beyond its limit.
const WAIT_MARGIN: Duration = Duration::from_secs(5);

/// Settings of a [`ModuleCache`].
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Made with mode 0700 where it is missing; must not be open to others.
    pub folder: PathBuf,
    /// All compiled modules on disk, bytes.
    pub folder_bytes_max: u64,
    /// All loaded modules that are kept, bytes of code; one in use elsewhere lives on.
    pub loaded_bytes_max: u64,
    /// Compilations at one time.
    pub compilations_max: usize,
    pub compiler: Compiler,
}

impl CacheConfig {
    pub fn new(folder: PathBuf, compiler: Compiler) -> Self {
        Self { folder, folder_bytes_max: 4 << 30, loaded_bytes_max: 512 << 20, compilations_max: 1, compiler }
    }
}

/// Why a module can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The module is at fault.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Others are being compiled; trying again helps.
    #[error("too many modules are being compiled")]
    Busy,
    /// The module's bytes can't be read.
    #[error("can't read the module")]
    Read(#[source] io::Error),
    /// The bytes that were handed in are not those of the digest.
    #[error("the stored module does not match its digest {0}")]
    WrongBytes(Digest),
    #[error("can't compile the module")]
    Compile(#[source] CompileError),
    #[error("can't load the compiled module")]
    Load(#[source] wasmtime::Error),
}

/// Compiled modules by digest. Shared between threads; every method may block and belongs on no async thread.
pub struct ModuleCache {
    engine: Engine,
    compatibility: String,
    artefacts: Artefacts,
    config: CacheConfig,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: HashMap<Digest, Entry>,
    loaded_bytes: u64,
    refusals: usize,
    compiling: usize,
    /// Rises with each use.
    clock: u64,
}

enum Entry {
    /// Someone is at it.
    Loading,
    Loaded {
        module: Arc<WasiModule>,
        bytes: u64,
        used: u64,
    },
    Refused {
        why: Refused,
        used: u64,
    },
}

impl ModuleCache {
    pub fn open(engine: &Engine, config: CacheConfig) -> Result<Self, ArtefactsError> {
        let artefacts = Artefacts::open(&config.folder, config.folder_bytes_max)?;
        Ok(Self {
            engine: engine.clone(),
            compatibility: engine.compatibility(),
            artefacts,
            config,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// The module of a digest. `read` yields its bytes and is called only where nothing compiled is kept.
    ///
    /// Blocks while the module is loaded or compiled; many callers of one digest cause one compilation.
    pub fn get(
        &self,
        digest: Digest,
        read: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> Result<Arc<WasiModule>, ModuleError> {
        if let Some(known) = self.known_or_mine(digest)? {
            return Ok(known);
        }
        let mut turn = Turn { cache: self, digest, outcome: None };
        let loaded = self.load(digest, read);
        turn.outcome = match &loaded {
            Ok((module, bytes)) => Some(Ok((Arc::clone(module), *bytes))),
            Err(ModuleError::Refused(why)) if why.is_lasting() => Some(Err(why.clone())),
            Err(_) => None,
        };
        drop(turn);
        loaded.map(|(module, _)| module)
    }

    /// The module where it is in memory already; touches neither disk nor compiler.
    pub fn loaded(&self, digest: Digest) -> Option<Arc<WasiModule>> {
        self.lock().touch(digest)?.ok()
    }

    /// What is known of a digest; nothing where the caller must find out, and then tell by a [`Turn`].
    fn known_or_mine(&self, digest: Digest) -> Result<Option<Arc<WasiModule>>, ModuleError> {
        let deadline = self.deadline();
        let mut state = self.lock();
        loop {
            if let Some(known) = state.touch(digest) {
                return known.map(Some).map_err(ModuleError::Refused);
            }
            if let Vacant(entry) = state.entries.entry(digest) {
                entry.insert(Entry::Loading);
                return Ok(None);
            }
            state = self.wait(state, deadline)?;
        }
    }

    fn load(
        &self,
        digest: Digest,
        read: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> Result<(Arc<WasiModule>, u64), ModuleError> {
        let key = format!("{digest}-{}", self.compatibility);
        if let Some(code) = self.artefacts.read(&key) {
            match self.link(&code) {
                Ok(module) => return Ok((module, code.len() as u64)),
                Err(ModuleError::Refused(refused)) => return Err(refused.into()),
                Err(error) => {
                    tracing::warn!(module.digest = %digest, error = %error, "a kept module can't be loaded and is compiled again")
                }
            }
        }
        let wasm = read().map_err(ModuleError::Read)?;
        if inspect(&wasm)?.digest != digest {
            return Err(ModuleError::WrongBytes(digest));
        }
        let code = self.compile(&wasm)?;
        if let Err(error) = self.artefacts.write(&key, &code) {
            tracing::warn!(module.digest = %digest, error = %error, "a compiled module can't be kept");
        }
        Ok((self.link(&code)?, code.len() as u64))
    }

    fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let _permit = self.permit()?;
        self.config.compiler.compile(wasm).map_err(|error| match error {
            CompileError::Refused(refused) => ModuleError::Refused(refused),
            other => ModuleError::Compile(other),
        })
    }

    fn link(&self, code: &[u8]) -> Result<Arc<WasiModule>, ModuleError> {
        let engine = self.engine.wasm();
        if wasmtime::Engine::detect_precompiled(code) == Some(Precompiled::Component) {
            // SAFETY: as below.
            let component = unsafe { Component::deserialize(engine, code) }.map_err(ModuleError::Load)?;
            let linked = WasiModule::of_component(&self.engine, &component).map_err(ModuleError::Load)?;
            return Ok(Arc::new(linked?));
        }
        // SAFETY: the code is the compiler's own: it came from our child just now, or from a file that this user wrote
        // into a folder that no one else can write to, whose seal over content and key was right.
        let module = unsafe { wasmtime::Module::deserialize(engine, code) };
        let module = module.map_err(ModuleError::Load)?;
        Ok(Arc::new(WasiModule::new(&self.engine, &module).map_err(ModuleError::Load)?))
    }

    /// Waits for leave to compile.
    fn permit(&self) -> Result<Permit<'_>, ModuleError> {
        let deadline = self.deadline();
        let mut state = self.lock();
        while state.compiling >= self.config.compilations_max.max(1) {
            state = self.wait(state, deadline)?;
        }
        state.compiling += 1;
        Ok(Permit(self))
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.config.compiler.limits.wall + WAIT_MARGIN
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, deadline: Instant) -> Result<MutexGuard<'a, State>, ModuleError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Err(ModuleError::Busy);
        }
        Ok(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known of a digest, which counts as a use.
    fn touch(&mut self, digest: Digest) -> Option<Result<Arc<WasiModule>, Refused>> {
        self.clock += 1;
        match self.entries.get_mut(&digest)? {
            Entry::Loading => None,
            Entry::Loaded { module, used, .. } => {
                *used = self.clock;
                Some(Ok(Arc::clone(module)))
            }
            Entry::Refused { why, used } => {
                *used = self.clock;
                Some(Err(why.clone()))
            }
        }
    }

    fn keep(&mut self, digest: Digest, outcome: Result<(Arc<WasiModule>, u64), Refused>, loaded_bytes_max: u64) {
        let used = self.clock;
        match outcome {
            Ok((module, bytes)) => {
                self.loaded_bytes += bytes;
                self.entries.insert(digest, Entry::Loaded { module, bytes, used });
            }
            Err(why) => {
                self.refusals += 1;
                self.entries.insert(digest, Entry::Refused { why, used });
            }
        }
        while self.loaded_bytes > loaded_bytes_max && self.forget_oldest(|entry| matches!(entry, Entry::Loaded { .. }))
        {
        }
        while self.refusals > REFUSALS_MAX && self.forget_oldest(|entry| matches!(entry, Entry::Refused { .. })) {}
    }

    /// Drops the entry of a sort that was used longest ago; says whether there was one.
    fn forget_oldest(&mut self, of_sort: impl Fn(&Entry) -> bool) -> bool {
        let candidates = self.entries.iter().filter(|(_, entry)| of_sort(entry));
        let Some(digest) = candidates.min_by_key(|(_, entry)| entry.used()).map(|(digest, _)| *digest) else {
            return false;
        };
        match self.entries.remove(&digest) {
            Some(Entry::Loaded { bytes, .. }) => self.loaded_bytes -= bytes,
            Some(Entry::Refused { .. }) => self.refusals -= 1,
            Some(Entry::Loading) | None => {}
        }
        true
    }
}

impl Entry {
    fn used(&self) -> u64 {
        match self {
            Entry::Loading => u64::MAX,
            Entry::Loaded { used, .. } | Entry::Refused { used, .. } => *used,
        }
    }
}

/// The duty to say how the loading of a digest ended, kept even where it panics.
struct Turn<'a> {
    cache: &'a ModuleCache,
    digest: Digest,
    outcome: Option<Result<(Arc<WasiModule>, u64), Refused>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        state.entries.remove(&self.digest);
        if let Some(outcome) = self.outcome.take() {
            state.keep(self.digest, outcome, self.cache.config.loaded_bytes_max);
        }
        drop(state);
        self.cache.changed.notify_all();
    }
}

/// Leave to compile, given back when dropped.
struct Permit<'a>(&'a ModuleCache);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().compiling -= 1;
        self.0.changed.notify_all();
    }
}
