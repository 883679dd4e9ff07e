//! Why a module is not accepted, in words for the person who built it.

/// Why a module can't be run here. `Display` is the message for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The first bytes are not those of WebAssembly.
    #[error("this is {found}, not a WebAssembly module; upload the .wasm file that the compiler made")]
    NotWasm { found: &'static str },
    #[error("the module has {bytes} bytes; {bytes_max} are allowed. Strip it, or move data into input files")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// Not valid WebAssembly, or built on a proposal that sandboxes don't offer.
    #[error("the module is not valid at byte {offset}: {reason}")]
    Invalid { offset: usize, reason: String },
    /// More of something than [`super::limits`] allows.
    #[error("the module has {found} {what}; {max} are allowed")]
    OverLimit { what: &'static str, found: u64, max: usize },
    #[error("the module imports {module}.{name}: {reason}")]
    Import { module: String, name: String, reason: &'static str },
    #[error("the module imports {module}.{name} as {found}; what is offered is {expected}")]
    ImportSignature { module: String, name: String, found: String, expected: String },
    /// Core modules run in components inside the component.
    #[error(
        "the component is composed of others that hold or run core modules: link its parts into one module, and make a component of that"
    )]
    Composed,
    /// Imports of a component that are offered by name, but with other types.
    #[error("the component's imports are not what their interfaces declare: {reason}")]
    Unlinkable { reason: String },
    /// An export that a command module must have is missing or of another type.
    #[error("{0}")]
    Export(&'static str),
    /// The compiler was stopped at a limit of time, memory or size.
    #[error(
        "the module takes too long or too much memory to compile ({limit}); split its largest functions, or build it with optimisation (-O2)"
    )]
    CompileTooExpensive { limit: &'static str },
    /// The compiler could not compile a valid module.
    #[error("the module can't be compiled: {reason}")]
    CompileFailed { reason: String },
}

impl Refused {
    /// For programs; stable.
    pub fn code(&self) -> &'static str {
        match self {
            Refused::NotWasm { .. } => "not_wasm",
            Refused::TooLarge { .. } => "module_too_large",
            Refused::Invalid { .. } => "module_invalid",
            Refused::OverLimit { .. } => "module_over_limit",
            Refused::Import { .. } | Refused::ImportSignature { .. } | Refused::Unlinkable { .. } => {
                "import_not_available"
            }
            Refused::Composed => "component_composed",
            Refused::Export(_) => "export_missing",
            Refused::CompileTooExpensive { .. } => "compile_too_expensive",
            Refused::CompileFailed { .. } => "compile_failed",
        }
    }

    pub(crate) fn unlinkable(said: &str) -> Self {
        Refused::Unlinkable { reason: shortened(said) }
    }

    /// Whether the same module would be refused again: an elapsed time also depends on what else the machine does.
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Refused::CompileTooExpensive { limit } if *limit == ELAPSED_TIME)
    }

    /// Whether these bytes are no WebAssembly at all, so that the request's media type was wrong.
    pub fn is_other_media_type(&self) -> bool {
        matches!(self, Refused::NotWasm { .. })
    }
}

pub(super) const ELAPSED_TIME: &str = "elapsed time";

/// What is not offered, appended where validation says that a feature is missing.
const OFFERED: &str = "sandboxes run WebAssembly 2.0 with tail calls, exceptions and relaxed SIMD; build without threads, 64-bit memory, several memories and garbage-collected types";

/// The longest part of a validator's or compiler's message that is passed on, characters.
pub(super) const REASON_CHARACTERS_MAX: usize = 300;

/// The beginning of what a library says, on one line.
fn shortened(said: &str) -> String {
    said.chars().take(REASON_CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl From<wasmparser::Error> for Refused {
    fn from(error: wasmparser::Error) -> Self {
        let said = error.message();
        let needs_feature = said.contains("must be enabled")
            || said.contains("is not enabled")
            || said.contains("proposal")
            || said.contains("feature");
        let said: String = said.chars().take(REASON_CHARACTERS_MAX).collect();
        let reason = if needs_feature { format!("{said} ({OFFERED})") } else { said };
        Refused::Invalid { offset: error.offset(), reason }
    }
}
