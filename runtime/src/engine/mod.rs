//! The WebAssembly engine with the settings for untrusted code, and the clock that interrupts it.
//!
//! Knows nothing of what runs: modules, limits and grants are elsewhere.

mod ticker;

pub use ticker::TICK;
pub(crate) use ticker::{Active, Ticker};

use crate::memory::SlotCreator;
use std::sync::Arc;
use wasmtime::{Config, RegallocAlgorithm, WasmBacktraceDetails};

/// Native stack that a guest may use, bytes. Threads that run guests have more.
pub const GUEST_STACK_BYTES_MAX: usize = 8 << 20;

/// Whether NaN payloads are made the same on every machine; half again the time on dense float loops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NanPayloads {
    /// As the processor leaves them. They reach no result on machines of one architecture.
    #[default]
    Native,
    Canonical,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("this machine can't run the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    #[error("can't start the engine's clock")]
    Ticker(#[source] std::io::Error),
}

/// A shared handle to the engine. One serves the whole process: its slots and its clock are worth sharing.
#[derive(Clone)]
pub struct Engine {
    wasm: wasmtime::Engine,
    ticker: Arc<Ticker>,
    nan: NanPayloads,
}

impl Engine {
    pub fn new(nan: NanPayloads) -> Result<Self, EngineError> {
        let wasm = wasmtime::Engine::new(&config(nan)).map_err(EngineError::Engine)?;
        let ticker = Ticker::start(wasm.clone()).map_err(EngineError::Ticker)?;
        Ok(Self { wasm, ticker: Arc::new(ticker), nan })
    }

    /// The engine itself, for those who compile modules.
    pub fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// How modules for this engine must be compiled.
    pub fn nan_payloads(&self) -> NanPayloads {
        self.nan
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    /// Names everything that decides whether a compiled module of another process can be loaded by this one.
    pub fn compatibility(&self) -> String {
        use std::hash::{Hash, Hasher};
        // A fixed-key hasher: the same build gives the same name in every process.
        let mut hasher = std::hash::DefaultHasher::new();
        self.wasm.precompile_compatibility_hash().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// Settings for untrusted code. What compiles and what runs must agree, so there is this one place.
pub fn config(nan: NanPayloads) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES_MAX)
        // No guest runs on a fibre here, but the engine checks that one could.
        .async_stack_size(GUEST_STACK_BYTES_MAX + (4 << 20))
        .with_host_memory(Arc::new(SlotCreator::default()))
        .memory_may_move(false)
        .memory_init_cow(false)
        .signals_based_traps(true)
        .gc_support(true)
        .wasm_exceptions(true)
        .wasm_gc(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_component_model(true)
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(nan == NanPayloads::Canonical)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .generate_address_map(false)
        .native_unwind_info(false)
        // A module's debug information is its author's to write: it is never parsed.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .debug_info(false);
    config
}
