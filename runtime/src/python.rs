//! The Python interpreter as this crate sees it: one compiled module, and images that are memories after a warm-up.
//!
//! Knows nothing of where the interpreter comes from or what the images import.

use crate::{
    Engine, MemoryImage,
    budget::MemoryBudget,
    memory::SlotCreator,
    output::Sink,
    sandbox::{self, Door, Limiter, State},
    tree::BaseTree,
    wasi,
};
use std::{path::Path, sync::Arc};
use wasmtime::{Instance, InstancePre, Module, Store, Val};

/// Prefix of the exports that let [`PythonModule::warm_up`] see the module's mutable globals.
pub const GLOBAL_EXPORT_PREFIX: &str = "mecapy.global.";
/// The source that runs the task; the warm-up defines this function in `__main__`.
const TURN: &str = "_mecapy_run()";
/// Memory that a warm-up may use, bytes.
const WARM_UP_MEMORY_BYTES_MAX: u64 = 1 << 30;
const WARM_UP_OUTPUT_BYTES_MAX: u64 = 1 << 20;

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
    #[error("the mutable global {name} is not back at its initial value after the warm-up: its memory can't be an image")]
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
pub struct PythonImage {
    pub name: String,
    pub module: Arc<PythonModule>,
    pub memory: Arc<MemoryImage>,
    pub turn: Turn,
    /// The read-only files that the interpreter expects.
    pub files: Arc<BaseTree>,
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
        let pre = sandbox::linker(engine).and_then(|linker| linker.instantiate_pre(&module)).map_err(PythonError::Load)?;
        Ok(Self { engine: engine.clone(), pre, minimum_bytes })
    }

    /// Compiles a module without data segments for this machine. Takes minutes.
    pub fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, PythonError> {
        engine.wasm().precompile_module(wasm).map_err(PythonError::Load)
    }

    pub(crate) fn instantiate(&self, store: &mut Store<State>, memory: &Arc<MemoryImage>) -> wasmtime::Result<Instance> {
        SlotCreator::with_image(memory, self.minimum_bytes, || self.pre.instantiate(store))
    }

    /// Initialises the interpreter over `initial` memory, runs each source of `turns`, and takes its memory.
    pub fn warm_up(
        &self,
        initial: &Arc<MemoryImage>,
        files: &Arc<BaseTree>,
        turns: &[&str],
    ) -> Result<Warmed, PythonError> {
        let mut store = self.warm_up_store(initial, files);
        let mut run = || -> wasmtime::Result<(bool, Option<String>, Turn)> {
            let instance = self.instantiate(&mut store, initial)?;
            let globals = mutable_globals(&instance, &mut store);
            for name in ["_initialize", "wizer.initialize"] {
                instance.get_typed_func::<(), ()>(&mut store, name)?.call(&mut store, ())?;
            }
            for source in turns {
                if turn(&mut store, &instance, source)? != 0 {
                    return Ok((true, None, Turn { address: 0, bytes: 0 }));
                }
            }
            let prepared = place(&mut store, &instance, TURN)?;
            let after = mutable_globals(&instance, &mut store);
            let moved = globals.iter().zip(&after).find(|(before, after)| before != after);
            Ok((false, moved.map(|((name, _), _)| name.clone()), prepared))
        };
        let ran = run();
        let data = store.data();
        let output = data.wasi.stdout().text() + &data.wasi.stderr().text();
        match ran {
            Err(source) => Err(PythonError::WarmUp { output, source }),
            Ok((true, ..)) => Err(PythonError::Raised { output }),
            Ok((_, Some(name), _)) => Err(PythonError::Global { name }),
            Ok((_, None, prepared)) => {
                let memory = store.data().memory.ok_or(PythonError::Lacks("a memory"))?;
                Ok(Warmed { memory: memory.data(&store).to_vec(), turn: prepared, output })
            }
        }
    }
}

impl PythonModule {
    fn warm_up_store(&self, initial: &Arc<MemoryImage>, files: &Arc<BaseTree>) -> Store<State> {
        let budget = MemoryBudget::new(WARM_UP_MEMORY_BYTES_MAX);
        let start_bytes = initial.bytes() as u64;
        // An own budget of that size always has room for an image, which is smaller.
        let charge = budget.charge(start_bytes.min(WARM_UP_MEMORY_BYTES_MAX));
        let limiter = Limiter::new(WARM_UP_MEMORY_BYTES_MAX, charge, start_bytes);
        let wasi = sandbox::python_wasi(files).stdout(Sink::new(WARM_UP_OUTPUT_BYTES_MAX));
        sandbox::store(&self.engine, State::new(wasi.build(), limiter, Door::closed()), u64::MAX)
    }
}

/// Runs one source in the interpreter's `__main__`; 0 means that it ended without an exception.
fn turn(store: &mut Store<State>, instance: &Instance, source: &str) -> wasmtime::Result<i32> {
    let Turn { address, bytes } = place(store, instance, source)?;
    call_turn(store, instance, Turn { address, bytes })
}

pub(crate) fn call_turn(store: &mut Store<State>, instance: &Instance, turn: Turn) -> wasmtime::Result<i32> {
    let function = instance.get_typed_func::<(u32, u32), i32>(&mut *store, "turn")?;
    function.call(store, (turn.address, turn.bytes))
}

/// Copies `source` into memory that the interpreter allocates, and frees when it has run it.
fn place(store: &mut Store<State>, instance: &Instance, source: &str) -> wasmtime::Result<Turn> {
    let bytes = u32::try_from(source.len())?;
    let address = instance.get_typed_func::<u32, u32>(&mut *store, "host_alloc")?.call(&mut *store, bytes)?;
    let memory = instance.get_memory(&mut *store, "memory").ok_or_else(|| wasmtime::format_err!("no memory"))?;
    memory.write(store, address as usize, source.as_bytes())?;
    Ok(Turn { address, bytes })
}

/// The values of the exported mutable globals, as bits.
fn mutable_globals(instance: &Instance, store: &mut Store<State>) -> Vec<(String, u128)> {
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
