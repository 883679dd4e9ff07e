//! The Python interpreter as this crate sees it: one compiled module, and images that are memories after a warm-up.
//!
//! Knows nothing of where the interpreter comes from or what the images import.

use crate::{
    Cancel, Engine, MemoryImage,
    budget::MemoryBudget,
    memory::SlotCreator,
    output::Sink,
    sandbox::{self, Door, Frozen, Limiter, State},
    tree::Tree,
};
use mecapy_model::LogStream;
use std::{path::Path, sync::Arc};
use wasmtime::{Instance, InstancePre, Memory, Module, Store, Val};

/// Prefix of the exports that let [`PythonModule::warm_up`] see the module's mutable globals.
pub const GLOBAL_EXPORT_PREFIX: &str = "mecapy.global.";
/// The source that runs the task; the warm-up defines this function in `__main__`.
pub const PYTHON_TURN: &str = "_mecapy_run()";
/// The source that runs an item of a batch: a task, after which the runner puts back what it can. Its answer says whether
/// that was everything (0).
pub(crate) const ITEM_TURN: &str = "_mecapy_item()";
/// The last source of a warm-up, which tidies the memory and refuses what can't be in an image.
pub(crate) const SETTLE_TURN: &str = "_mecapy_settle()";
/// Memory that a warm-up may use, bytes.
const WARM_UP_MEMORY_BYTES_MAX: u64 = 1 << 30;
const WARM_UP_OUTPUT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    #[error("can't load the compiled interpreter")]
    Load(#[source] wasmtime::Error),
    #[error("the interpreter lacks {0}")]
    Lacks(&'static str),
    #[error("the interpreter failed while it was warmed up; it printed:\n{output}")]
    WarmUp { output: String, source: wasmtime::Error },
    #[error("the warm-up raised:\n{output}")]
    Raised { output: String },
    #[error(
        "the mutable global {name} is not back at its initial value after the warm-up: its memory can't be an image"
    )]
    Global { name: String },
}

/// The interpreter, compiled once; every image runs on it.
pub struct PythonModule {
    engine: Engine,
    pre: InstancePre<State>,
    minimum_bytes: usize,
}

/// Where the turn's source stands in an image's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Turn {
    pub address: u32,
    pub bytes: u32,
}

/// A memory after its warm-up.
pub struct Warmed {
    pub memory: Vec<u8>,
    pub turn: Turn,
    pub output: String,
}

/// An interpreter with packages already imported: what a fresh sandbox starts from.
#[derive(Clone)]
pub struct PythonImage {
    pub name: String,
    pub module: Arc<PythonModule>,
    pub memory: Arc<MemoryImage>,
    pub turn: Turn,
    /// The read-only files that the interpreter expects.
    pub files: Tree,
    pub sources: Sources,
    /// What a call of a package must run before its own source, where the image doesn't hold the package.
    pub prepare: Option<Arc<str>>,
    /// Why it doesn't, where that is so.
    pub frozen: Option<Frozen>,
}

/// Whose the sources are that run on an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sources {
    /// A user's: errors show their lines.
    #[default]
    Users,
    /// Ours, each of which calls a function of the package in the image's tree: errors show the package's lines, and not
    /// ours.
    Calls,
}

impl PythonImage {
    /// The same image with a package's files in its tree, for sources of ours that import it: a call that finds no warm
    /// image runs on this.
    pub fn with_package(&self, files: Tree, prepare: Arc<str>, why: Frozen) -> Self {
        Self { files, sources: Sources::Calls, prepare: Some(prepare), frozen: Some(why), ..self.clone() }
    }
}

impl PythonModule {
    /// Loads a module that [`PythonModule::compile`] made.
    ///
    /// # Safety
    /// The file is native code: it must come from a folder that only this user can write.
    pub unsafe fn load(engine: &Engine, path: &Path) -> Result<Self, PythonError> {
        // SAFETY: the caller's promise.
        let module = unsafe { Module::deserialize_file(engine.wasm(), path) }.map_err(PythonError::Load)?;
        let memory = module.exports().find(|export| export.name() == "memory");
        let memory = memory.and_then(|export| export.ty().memory().cloned()).ok_or(PythonError::Lacks("a memory"))?;
        let minimum_bytes = (memory.minimum() * memory.page_size()) as usize;
        let pre =
            sandbox::linker(engine).and_then(|linker| linker.instantiate_pre(&module)).map_err(PythonError::Load)?;
        Ok(Self { engine: engine.clone(), pre, minimum_bytes })
    }

    /// Compiles a module without data segments for this machine. Takes minutes.
    pub fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, PythonError> {
        engine.wasm().precompile_module(wasm).map_err(PythonError::Load)
    }

    pub(crate) fn instantiate(
        &self,
        store: &mut Store<State>,
        memory: &Arc<MemoryImage>,
    ) -> wasmtime::Result<Instance> {
        SlotCreator::with_image(memory, self.minimum_bytes, || self.pre.instantiate(store))
    }

    /// Initialises the interpreter over `initial` memory, runs each source of `turns`, and takes its memory.
    pub fn warm_up(&self, initial: &Arc<MemoryImage>, files: &Tree, turns: &[&str]) -> Result<Warmed, PythonError> {
        let mut store = self.warm_up_store(initial, files).map_err(PythonError::Load)?;
        let ran = self.run_turns(&mut store, initial, turns);
        let State { wasi, door, .. } = store.data();
        let said = door.answer.as_ref().and_then(|answer| answer.as_ref().err());
        let said = said.map_or("", |error| error.traceback.as_deref().unwrap_or(&error.message));
        let output = format!("{}{}{said}", wasi.stdout().text(), wasi.stderr().text());
        match ran {
            Err(source) => Err(PythonError::WarmUp { output, source }),
            Ok(Turns::Raised) => Err(PythonError::Raised { output }),
            Ok(Turns::Moved { global }) => Err(PythonError::Global { name: global }),
            Ok(Turns::Done { memory, turn }) => Ok(Warmed { memory, turn, output }),
        }
    }
}

/// How a warm-up ended.
enum Turns {
    Done { memory: Vec<u8>, turn: Turn },
    Raised,
    Moved { global: String },
}

impl PythonModule {
    fn run_turns(
        &self,
        store: &mut Store<State>,
        initial: &Arc<MemoryImage>,
        turns: &[&str],
    ) -> wasmtime::Result<Turns> {
        let instance = self.instantiate(store, initial)?;
        let globals = mutable_globals(&instance, store);
        for name in ["_initialize", "wizer.initialize"] {
            instance.get_typed_func::<(), ()>(&mut *store, name)?.call(&mut *store, ())?;
        }
        for source in turns {
            let placed = place(store, &instance, source)?;
            if call_turn(store, &instance, placed)? != 0 {
                return Ok(Turns::Raised);
            }
        }
        let turn = place(store, &instance, PYTHON_TURN)?;
        let after = mutable_globals(&instance, store);
        if let Some(((global, _), _)) = globals.into_iter().zip(after).find(|(before, after)| before != after) {
            return Ok(Turns::Moved { global });
        }
        Ok(Turns::Done { memory: memory_of(store, &instance)?.data(&store).to_vec(), turn })
    }

    fn warm_up_store(&self, initial: &Arc<MemoryImage>, files: &Tree) -> wasmtime::Result<Store<State>> {
        let start_bytes = initial.bytes() as u64;
        let charge = MemoryBudget::new(WARM_UP_MEMORY_BYTES_MAX).charge(start_bytes);
        let charge =
            charge.ok_or_else(|| wasmtime::format_err!("the initial memory is larger than a warm-up may use"))?;
        let limiter = Limiter::new(WARM_UP_MEMORY_BYTES_MAX, charge, start_bytes);
        let sink = |stream| Sink::new(stream, WARM_UP_OUTPUT_BYTES_MAX);
        let wasi = sandbox::python_grants()
            .tree(files.clone())
            .stdout(sink(LogStream::Stdout))
            .stderr(sink(LogStream::Stderr))
            .build()?;
        sandbox::store(&self.engine, State::new(wasi, limiter, Door::closed(), Cancel::new()), u64::MAX)
    }
}

/// Runs a placed source in the interpreter's `__main__`; 0 means that it ended without an exception.
pub(crate) fn call_turn(store: &mut Store<State>, instance: &Instance, turn: Turn) -> wasmtime::Result<i32> {
    let function = instance.get_typed_func::<(u32, u32), i32>(&mut *store, "turn")?;
    function.call(store, (turn.address, turn.bytes))
}

/// Copies `source` into memory that the interpreter allocates, and frees when it has run it.
pub(crate) fn place(store: &mut Store<State>, instance: &Instance, source: &str) -> wasmtime::Result<Turn> {
    let bytes = u32::try_from(source.len())?;
    let address = instance.get_typed_func::<u32, u32>(&mut *store, "host_alloc")?.call(&mut *store, bytes)?;
    memory_of(store, instance)?.write(store, address as usize, source.as_bytes())?;
    Ok(Turn { address, bytes })
}

pub(crate) fn memory_of(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Memory> {
    instance.get_memory(store, "memory").ok_or_else(|| wasmtime::format_err!("the interpreter exports no memory"))
}

/// The values of the exported mutable globals, as bits.
pub(crate) fn mutable_globals(instance: &Instance, store: &mut Store<State>) -> Vec<(String, u128)> {
    let globals: Vec<_> = instance
        .exports(&mut *store)
        .filter(|export| export.name().starts_with(GLOBAL_EXPORT_PREFIX))
        .filter_map(|export| Some((export.name().to_owned(), export.into_global()?)))
        .collect();
    let bits = |value| match value {
        Val::I32(value) => value as u128,
        Val::I64(value) => value as u128,
        Val::F32(bits) => u128::from(bits),
        Val::F64(bits) => u128::from(bits),
        Val::V128(value) => value.as_u128(),
        // References can't be told apart here: the recipe's module has none that are mutable.
        _ => u128::MAX,
    };
    globals.into_iter().map(|(name, global)| (name, bits(global.get(&mut *store)))).collect()
}
