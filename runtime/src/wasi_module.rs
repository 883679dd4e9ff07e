//! A user's WASI command module, compiled and linked: ready to be instantiated.

use crate::{
    Engine,
    sandbox::{self, State},
};
use wasmtime::{Instance, InstancePre, Module, Store};

/// A compiled command module.
pub struct WasiModule {
    pre: InstancePre<State>,
    minimum_bytes: u64,
}

impl WasiModule {
    /// Links a module that `module::inspect` accepted. An error names an import that this host doesn't have.
    pub fn new(engine: &Engine, module: &Module) -> wasmtime::Result<Self> {
        let memory = module.exports().find_map(|export| export.ty().memory().cloned());
        let minimum_bytes = memory.map_or(0, |memory| memory.minimum().saturating_mul(memory.page_size()));
        Ok(Self { pre: sandbox::linker(engine)?.instantiate_pre(module)?, minimum_bytes })
    }

    /// Linear memory before the first instruction, bytes.
    pub(crate) fn minimum_bytes(&self) -> u64 {
        self.minimum_bytes
    }

    pub(crate) fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Instance> {
        self.pre.instantiate(store)
    }
}
