//! What to run.

use crate::{BatchId, Limits, Room};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A computation that this platform can run today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "language", rename_all = "snake_case")]
pub enum Code {
    /// Inline Python; `entry` is the function that is called, `main` where the source defines one.
    Python {
        source: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        entry: Option<String>,
    },
    /// An uploaded WASI command module.
    Wasm { module: Digest },
    /// A whole program in C, compiled to WASI by the platform; `module` is what came of that, once it has been done.
    C {
        source: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        module: Option<Digest>,
    },
    /// The same in Rust.
    Rust {
        source: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        module: Option<Digest>,
    },
    /// Compiling a source and nothing else, for a preview that waits for it. Never a request's.
    Compile { of: SourceLanguage, source: String },
    /// A published function in one version: `owner/package@1.2.0#name`, and the digest of the package's files.
    Function { function: String, package: Digest },
    /// A solver of the catalogue, in a container; its input files are the task's.
    Solver { solver: String, version: String },
    /// Some items of a batch, one after the other: neighbours, or those listed. Never a request's.
    Items {
        batch: BatchId,
        first: u32,
        count: u32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        indexes: Option<Vec<u32>>,
    },
}

/// What a container gets in which a source is compiled: one core, and 1 GiB of memory.
pub const COMPILE_ROOM: Room = Room { cpus: 1, memory_bytes: 1 << 30 };

/// A language whose sources the platform compiles to WASI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceLanguage {
    C,
    Rust,
}

/// A source to compile, and what it was compiled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    pub language: SourceLanguage,
    pub text: &'a str,
    pub module: Option<Digest>,
}

impl SourceLanguage {
    pub const ALL: [SourceLanguage; 2] = [SourceLanguage::C, SourceLanguage::Rust];

    pub const fn as_str(self) -> &'static str {
        match self {
            SourceLanguage::C => "c",
            SourceLanguage::Rust => "rust",
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            SourceLanguage::C => "C",
            SourceLanguage::Rust => "Rust",
        }
    }
}

impl std::fmt::Display for SourceLanguage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for SourceLanguage {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = SourceLanguage::ALL.into_iter().find(|language| language.as_str() == text);
        found.ok_or_else(|| format!("unknown language {text:?}: use c or rust"))
    }
}

/// What runs a computation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// WebAssembly, in the worker's own process.
    #[default]
    Sandbox,
    /// A container of a Docker engine.
    Container,
}

impl Executor {
    pub const ALL: [Executor; 2] = [Executor::Sandbox, Executor::Container];

    pub const fn as_str(self) -> &'static str {
        match self {
            Executor::Sandbox => "sandbox",
            Executor::Container => "container",
        }
    }
}

impl std::fmt::Display for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Executor {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Executor::ALL.into_iter().find(|executor| executor.as_str() == text);
        found.ok_or_else(|| format!("unknown executor {text:?}: use sandbox or container"))
    }
}

impl Code {
    /// The published function that is called, `owner/package#name`: tasks are listed by it in all versions together.
    pub fn function(&self) -> Option<String> {
        let Code::Function { function, .. } = self else { return None };
        let (package, name) = function.split_once('#')?;
        let (package, _version) = package.split_once('@')?;
        Some(format!("{package}#{name}"))
    }

    /// A source of `language`, compiled to `module` where that is known.
    pub const fn of_source(language: SourceLanguage, source: String, module: Option<Digest>) -> Self {
        match language {
            SourceLanguage::C => Code::C { source, module },
            SourceLanguage::Rust => Code::Rust { source, module },
        }
    }

    /// The source that this is, where the platform compiles it.
    pub fn source(&self) -> Option<Source<'_>> {
        let (language, text, module) = match self {
            Code::C { source, module } => (SourceLanguage::C, source, *module),
            Code::Rust { source, module } => (SourceLanguage::Rust, source, *module),
            Code::Compile { of, source } => (*of, source, None),
            Code::Python { .. }
            | Code::Wasm { .. }
            | Code::Function { .. }
            | Code::Solver { .. }
            | Code::Items { .. } => return None,
        };
        Some(Source { language, text, module })
    }

    /// What carries it out next: a source is compiled in a container, and what came of that runs in a sandbox.
    pub const fn executor(&self) -> Executor {
        match self {
            Code::Python { .. } | Code::Wasm { .. } | Code::Function { .. } | Code::Items { .. } => Executor::Sandbox,
            Code::C { module: Some(_), .. } | Code::Rust { module: Some(_), .. } => Executor::Sandbox,
            Code::C { module: None, .. } | Code::Rust { module: None, .. } | Code::Compile { .. } => {
                Executor::Container
            }
            Code::Solver { .. } => Executor::Container,
        }
    }

    /// What its container needs, of a task with these limits; nothing in a sandbox.
    pub fn room(&self, limits: &Limits) -> Room {
        match self {
            Code::Solver { .. } => limits.room(),
            _ if self.executor() == Executor::Container => COMPILE_ROOM,
            _ => Room::default(),
        }
    }
}

/// A SHA-256 digest, lower-case hexadecimal where written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 lower-case hexadecimal digits are needed")]
pub struct InvalidDigest;

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let nibble = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(InvalidDigest),
        };
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(InvalidDigest);
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Digest(digest))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What to do with NaN and infinities in a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NonFinite {
    /// Fail with `invalid_output`.
    #[default]
    Reject,
    /// Write `null`.
    Null,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_code_is_read_as_it_was_stored_and_knows_what_runs_it() {
        let rows = [
            (r#"{"language":"python","source":"x"}"#, Executor::Sandbox),
            (
                concat!(
                    r#"{"language":"function","function":"acme/joint@1.2.0#preload","#,
                    r#""package":"0000000000000000000000000000000000000000000000000000000000000000"}"#
                ),
                Executor::Sandbox,
            ),
            (r#"{"language":"solver","solver":"calculix","version":"2.20"}"#, Executor::Container),
            (r#"{"language":"rust","source":"fn main() {}"}"#, Executor::Container),
            (r#"{"language":"compile","of":"c","source":"int main(void) { return 0; }"}"#, Executor::Container),
            (
                concat!(
                    r#"{"language":"c","source":"","#,
                    r#""module":"0000000000000000000000000000000000000000000000000000000000000000"}"#
                ),
                Executor::Sandbox,
            ),
        ];
        for (text, executor) in rows {
            let code: Code = serde_json::from_str(text).unwrap();
            assert_eq!((serde_json::to_string(&code).unwrap().as_str(), code.executor()), (text, executor));
        }
        for executor in Executor::ALL {
            assert_eq!(executor.as_str().parse(), Ok(executor));
        }
    }

    #[test]
    fn a_source_takes_a_compilers_room_and_none_once_it_is_compiled() {
        let limits = Limits { timeout_ms: 1, memory_bytes: 1 << 40, fuel: 0, cpus: 64 };
        let of = |module| Code::of_source(SourceLanguage::Rust, "fn main() {}".to_owned(), module);
        let compiled = of(Some(Digest([7; 32])));
        assert_eq!((of(None).room(&limits), compiled.room(&limits)), (COMPILE_ROOM, Room::default()));
        assert_eq!(
            compiled.source().map(|source| (source.language, source.module)),
            Some((SourceLanguage::Rust, Some(Digest([7; 32]))))
        );
        let solver = Code::Solver { solver: "a".to_owned(), version: "1".to_owned() };
        assert_eq!((solver.room(&limits), solver.source()), (limits.room(), None));
    }

    #[test]
    fn a_function_is_listed_without_its_version() {
        let code = Code::Function { function: "acme/joint@1.2.0-rc.1#preload".to_owned(), package: Digest([0; 32]) };
        assert_eq!(code.function().as_deref(), Some("acme/joint#preload"));
        assert_eq!(Code::Wasm { module: Digest([0; 32]) }.function(), None);
    }
}
