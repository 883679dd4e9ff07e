//! A user's WASI command module or component, compiled and linked: ready to be instantiated.

use crate::{
    Engine,
    module::Refused,
    sandbox::{self, State},
};
use wasmtime::component::{self, ComponentExportIndex, Type, types};
use wasmtime::{InstancePre, Module};

/// Bytes of a page of linear memory.
const PAGE_BYTES: u64 = 64 << 10;

/// A compiled command module, or a compiled component of the world `mecapy:task`.
pub struct WasiModule {
    linked: Linked,
    minimum_bytes: u64,
}

/// What is instantiated for each run.
pub(crate) enum Linked {
    Command(InstancePre<State>),
    Component(Component),
}

/// A component, and where its function `run` is.
pub(crate) struct Component {
    pub(crate) pre: component::InstancePre<State>,
    pub(crate) run: ComponentExportIndex,
}

impl WasiModule {
    /// Links a module that `module::inspect` accepted. An error names an import that this host doesn't have.
    pub fn new(engine: &Engine, module: &Module) -> wasmtime::Result<Self> {
        let memory = module.exports().find_map(|export| export.ty().memory().cloned());
        let minimum_bytes = memory.map_or(0, |memory| memory.minimum().saturating_mul(memory.page_size()));
        Ok(Self { linked: Linked::Command(sandbox::linker(engine)?.instantiate_pre(module)?), minimum_bytes })
    }

    /// Links a component that `module::inspect` accepted; the outer error is the platform's.
    ///
    /// Refuses what only the engine can tell: imports whose types are not those of their interfaces, and more memories
    /// or tables than one component may have.
    pub fn of_component(engine: &Engine, component: &component::Component) -> wasmtime::Result<Result<Self, Refused>> {
        let linker = sandbox::component_linker(engine)?;
        let linked = || {
            let unlinkable = |error: wasmtime::Error| Refused::unlinkable(&format!("{error:#}"));
            let pre = linker.instantiate_pre(component).map_err(unlinkable)?;
            // Nothing is said where core modules are imported.
            let needed =
                component.resources_required().ok_or_else(|| Refused::unlinkable("it imports core modules"))?;
            at_most("memories", needed.num_memories, sandbox::COMPONENT_MEMORIES_MAX)?;
            at_most("tables", needed.num_tables, sandbox::TABLES_MAX)?;
            let minimum_bytes = needed.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES);
            let run = match component.get_export(None, "run") {
                Some((types::ComponentItem::ComponentFunc(function), run)) if is_run(&function) => run,
                _ => return Err(Refused::Export(RUN_TYPE)),
            };
            Ok(Self { linked: Linked::Component(Component { pre, run }), minimum_bytes })
        };
        Ok(linked())
    }

    /// Linear memory before the first instruction, bytes. Of a component with several memories, the largest.
    pub(crate) fn minimum_bytes(&self) -> u64 {
        self.minimum_bytes
    }

    pub(crate) fn linked(&self) -> &Linked {
        &self.linked
    }
}

const RUN_TYPE: &str = "the component's function run has another type than the world mecapy:task@0.1.0 gives it: run: func(inputs: string) -> result<string, error>";

/// Whether it is `func(string) -> result<string, error>`, with the world's record `error`.
fn is_run(function: &types::ComponentFunc) -> bool {
    let parameters: Vec<Type> = function.params().map(|(_, ty)| ty).collect();
    let results: Vec<Type> = function.results().collect();
    let ([Type::String], [Type::Result(result)]) = (parameters.as_slice(), results.as_slice()) else { return false };
    let (Some(Type::String), Some(Type::Record(error))) = (result.ok(), result.err()) else { return false };
    let fields: Vec<(String, Type)> = error.fields().map(|field| (field.name.to_owned(), field.ty)).collect();
    let [(kind, Type::Enum(kinds)), (message, Type::String), (pointer, Type::Option(text))] = fields.as_slice() else {
        return false;
    };
    [kind, message, pointer] == ["kind", "message", "pointer"]
        && kinds.names().eq(["exception", "invalid-input", "invalid-output"])
        && text.ty() == Type::String
}

fn at_most(what: &'static str, found: u32, max: usize) -> Result<(), Refused> {
    if found as usize > max { Err(Refused::OverLimit { what, found: u64::from(found), max }) } else { Ok(()) }
}
