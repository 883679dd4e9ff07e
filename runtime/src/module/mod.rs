//! Users' WASI command modules and components: checked, compiled in a process that may be killed, kept by digest.
//!
//! [`inspect`] decides what may be compiled at all: nothing that it refuses reaches a compiler. Compilation runs in a
//! child of this program ([`compile_child`]), and only what that child made, kept in a folder that no one else can
//! write to, is ever loaded as native code. Knows nothing of HTTP, of uploads or of running a module.

mod artefacts;
mod body;
mod cache;
mod child;
mod compile;
mod component;
mod core_module;
mod counters;
mod imports;
mod inspect;
pub mod limits;
mod refused;
#[cfg(test)]
mod tests;

pub use artefacts::{Artefacts, ArtefactsError};
pub use cache::{CacheConfig, ModuleCache, ModuleError};
pub use child::{COMPILE_COMMAND, compile_child};
pub use compile::{CompileError, CompileLimits, Compiler};
use inspect::is_component;
pub use inspect::{Export, ExportKind, Import, ModuleInfo, inspect};
pub use refused::Refused;
