//! Reads a module once, section by section, and refuses it at the first thing that can't be run here.

use super::core_module::{CoreModule, Totals};
use super::{Refused, component, limits};
use mecapy_model::{Digest, Warning};
use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Validator, WasmFeatures};

/// What may be used. Never more than the engine compiles (see [`crate::config`]).
pub(super) const FEATURES: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::EXCEPTIONS)
    .difference(WasmFeatures::GC_TYPES);

/// What an accepted module is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// SHA-256 of the module's bytes.
    pub digest: Digest,
    pub bytes: u64,
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
    pub warnings: Vec<Warning>,
    /// Linear memory before the first instruction, pages of 64 KiB; of a component, of all its modules.
    pub memory_min_pages: u64,
    /// The module's own ceiling, if it declares one, pages of 64 KiB; none of a component.
    pub memory_max_pages: Option<u64>,
    /// Functions that it defines.
    pub functions: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub module: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    pub name: String,
    pub kind: ExportKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportKind {
    Function,
    Table,
    Memory,
    Global,
    Tag,
    /// Of a component: an interface that it implements.
    Instance,
    /// Of a component.
    Type,
}

/// Accepts a WASI command module or a component of the world `mecapy:task`, or says why not. Nothing is compiled.
///
/// Takes about 10 ms for each MiB on the caller's thread, and memory in proportion to the module.
pub fn inspect(bytes: &[u8]) -> Result<ModuleInfo, Refused> {
    if bytes.len() > limits::MODULE_BYTES_MAX {
        return Err(Refused::TooLarge { bytes: bytes.len(), bytes_max: limits::MODULE_BYTES_MAX });
    }
    check_header(bytes)?;
    if is_component(bytes) {
        return component::inspect(bytes);
    }
    let (mut module, mut totals) = (CoreModule::new(true), Totals::new());
    let mut validator = Validator::new_with_features(FEATURES);
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    for payload in parser.parse_all(bytes) {
        module.payload(&payload?, &mut totals, &mut validator)?;
    }
    module.finish(bytes, &totals)
}

/// Whether the first bytes are those of a component.
pub(super) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(&COMPONENT_HEADER)
}

const CORE_HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";
const COMPONENT_HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Tells by the first eight bytes what was uploaded.
fn check_header(bytes: &[u8]) -> Result<(), Refused> {
    let found = match bytes {
        [] => "an empty file",
        _ if bytes.starts_with(&CORE_HEADER) || is_component(bytes) => return Ok(()),
        _ if bytes.starts_with(b"\0asm") => "WebAssembly of an unknown version",
        _ if bytes.starts_with(b"\x7fELF") => "native code (ELF)",
        _ if bytes.starts_with(b"MZ") => "a Windows program",
        _ if bytes.starts_with(b"PK") => "a zip archive",
        _ if bytes.starts_with(b"\x1f\x8b") => "a gzip archive",
        _ if is_text_format(bytes) => "WebAssembly text (compile it with wat2wasm or wasm-tools parse)",
        _ => "something else",
    };
    Err(Refused::NotWasm { found })
}

fn is_text_format(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"(module")
        || text.starts_with(b"(component")
        || text.starts_with(b";;")
        || text.starts_with(b"(;")
}
