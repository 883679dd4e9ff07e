//! The catalogue of solvers: which there are, in which versions, and what image each version is.
//!
//! A TOML file that the operator writes. It decides alone what is run: a request names a solver and a version of it, and
//! nothing of the request reaches an image's name or the options of its container.
//!
//! ```toml
//! [[solver]]
//! name = "calculix"
//! title = "CalculiX CrunchiX"
//! adapter = "calculix"            # code_aster, calculix or plain
//! licence = "GPL-2.0-or-later"
//! default_version = "2.20"
//!
//! [[solver.version]]
//! version = "2.20"
//! image = "sha256:…"              # or repository@sha256:…
//! command = ["/usr/bin/ccx"]
//! env = { OMP_PROC_BIND = "true" }       # may be left out, as what follows
//! memory_bytes_default = 4294967296
//! note = "Debian 12's build"
//! ```
//!
//! Compilers for sources are in the same file: see [`Toolchain`].

mod compilers;

pub use compilers::Toolchain;

use compilers::CompilerText;
use mecapy_model::{CONTAINER_MEMORY_BYTES_MAX, CONTAINER_MEMORY_BYTES_MIN, Digest, SourceLanguage};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A longer file is no catalogue, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The longest name of a solver, and of a version, in characters.
const NAME_CHARS_MAX: usize = 32;
/// The longest title, licence and note, in characters.
const TEXT_CHARS_MAX: usize = 500;
/// The longest image name, in bytes.
const IMAGE_BYTES_MAX: usize = 512;
/// Arguments of a command, and variables of an environment.
const WORDS_MAX: usize = 64;
const DIGEST: &str = "sha256:";

/// Which adapter understands a solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdapterKind {
    CodeAster,
    CalculiX,
    /// Of the program nothing is known but its exit code and the files that it leaves.
    Plain,
}

/// The solvers of a file, by name, and its compilers, one for each language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    solvers: BTreeMap<String, Solver>,
    compilers: BTreeMap<SourceLanguage, Toolchain>,
}

/// One solver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solver {
    pub name: String,
    /// What people call it.
    pub title: String,
    pub adapter: AdapterKind,
    /// Under which terms it may be used.
    pub licence: String,
    pub default_version: String,
    /// In the order of the file; one at least.
    pub versions: Vec<SolverVersion>,
}

/// One version of a solver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolverVersion {
    pub version: String,
    /// `sha256:…` or `repository@sha256:…`, never a tag, which may come to mean another image.
    pub image: String,
    /// The argument array; the first is the program.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// The memory of a task that asks for none, in bytes.
    pub memory_bytes_default: Option<u64>,
    pub note: Option<String>,
}

/// Why a catalogue can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("can't read the catalogue of solvers {}", file.display())]
    Read {
        file: PathBuf,
        #[source]
        error: io::Error,
    },
    /// Where it is wrong, and what is needed there.
    #[error("{}:{line}: {needed}", file.display())]
    Invalid { file: PathBuf, line: usize, needed: String },
}

/// A fault at a byte of the text.
struct Misfit {
    at: usize,
    needed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueText {
    #[serde(default)]
    solver: Vec<SolverText>,
    #[serde(default)]
    compiler: Vec<CompilerText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SolverText {
    name: Spanned<String>,
    title: Spanned<String>,
    adapter: Spanned<String>,
    licence: Spanned<String>,
    default_version: Spanned<String>,
    version: Vec<VersionText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionText {
    version: Spanned<String>,
    image: Spanned<String>,
    command: Spanned<Vec<String>>,
    env: Option<Spanned<BTreeMap<String, String>>>,
    memory_bytes_default: Option<Spanned<u64>>,
    note: Option<Spanned<String>>,
}

impl AdapterKind {
    pub const ALL: [AdapterKind; 3] = [AdapterKind::CodeAster, AdapterKind::CalculiX, AdapterKind::Plain];

    pub const fn as_str(self) -> &'static str {
        match self {
            AdapterKind::CodeAster => "code_aster",
            AdapterKind::CalculiX => "calculix",
            AdapterKind::Plain => "plain",
        }
    }
}

/// Whether a text can name a solver: a lower-case letter, then up to 31 of these, digits and `_`.
pub fn is_solver_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    first
        && text.len() <= NAME_CHARS_MAX
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a text can name a version: a letter or digit, then up to 31 of these, `.`, `_` and `-`.
pub fn is_solver_version(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first
        && text.len() <= NAME_CHARS_MAX
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// What one version of one solver is called: `name@version`.
pub fn version_name(solver: &str, version: &str) -> String {
    format!("{solver}@{version}")
}

impl Catalogue {
    /// Reads a file.
    ///
    /// # Errors
    /// The file, the line and what is needed there.
    pub fn load(file: &Path) -> Result<Self, CatalogueError> {
        let failed = |error| CatalogueError::Read { file: file.to_owned(), error };
        let mut text = String::new();
        let opened = File::open(file).map_err(failed)?;
        let read = opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        if read as u64 > FILE_BYTES_MAX {
            let error = io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes"));
            return Err(failed(error));
        }
        Self::parse(&text, file)
    }

    /// As [`load`](Self::load), from the text of `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, CatalogueError> {
        let read = toml::from_str::<CatalogueText>(text).map_err(|error| Misfit {
            at: error.span().map_or(0, |span| span.start),
            needed: error.message().to_owned(),
        });
        read.and_then(checked).map_err(|Misfit { at, needed }| {
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            CatalogueError::Invalid { file: file.to_owned(), line, needed }
        })
    }

    /// All solvers, by name.
    pub fn solvers(&self) -> impl Iterator<Item = &Solver> {
        self.solvers.values()
    }

    pub fn solver(&self, name: &str) -> Option<&Solver> {
        self.solvers.get(name)
    }

    /// A solver's version.
    pub fn version(&self, solver: &str, version: &str) -> Option<&SolverVersion> {
        self.solver(solver)?.version(version)
    }

    /// All versions of all solvers.
    pub fn versions(&self) -> impl Iterator<Item = (&Solver, &SolverVersion)> {
        self.solvers().flat_map(|solver| solver.versions.iter().map(move |version| (solver, version)))
    }

    /// All compilers.
    pub fn compilers(&self) -> impl Iterator<Item = &Toolchain> {
        self.compilers.values()
    }

    pub fn compiler(&self, language: SourceLanguage) -> Option<&Toolchain> {
        self.compilers.get(&language)
    }

    /// The image of each version of each solver, and of each compiler, with their names as [`version_name`] says them.
    pub fn images(&self) -> impl Iterator<Item = (String, &str)> {
        let solvers = self
            .versions()
            .map(|(solver, version)| (version_name(&solver.name, &version.version), version.image.as_str()));
        solvers.chain(self.compilers().map(|compiler| (compiler.name(), compiler.image.as_str())))
    }

    /// The same names alone.
    pub fn names(&self) -> Vec<String> {
        self.images().map(|(name, _)| name).collect()
    }
}

impl Solver {
    pub fn version(&self, version: &str) -> Option<&SolverVersion> {
        self.versions.iter().find(|known| known.version == version)
    }
}

fn checked(text: CatalogueText) -> Result<Catalogue, Misfit> {
    if text.solver.is_empty() && text.compiler.is_empty() {
        let needed = "a solver or a compiler is needed: begin one with [[solver]] or [[compiler]]";
        return Err(Misfit { at: 0, needed: needed.to_owned() });
    }
    let compilers = compilers::checked(text.compiler)?;
    let mut solvers = BTreeMap::new();
    for solver in text.solver {
        let at = solver.name.span().start;
        let solver = solver_of(solver)?;
        if let Some(before) = solvers.insert(solver.name.clone(), solver) {
            let needed = format!("there are two solvers {:?}: put all versions under one", before.name);
            return Err(Misfit { at, needed });
        }
    }
    Ok(Catalogue { solvers, compilers })
}

fn solver_of(text: SolverText) -> Result<Solver, Misfit> {
    let name_needed = "a name of a lower-case letter and up to 31 more of these, digits and _ is needed";
    let name_at = text.name.span().start;
    let name = shaped(text.name, is_solver_name, name_needed)?;
    if name.parse::<SourceLanguage>().is_ok() {
        let needed = format!("{name} is a language's name: call the solver otherwise");
        return Err(Misfit { at: name_at, needed });
    }
    let default_at = text.default_version.span().start;
    let default_version = text.default_version.into_inner();
    let mut versions = Vec::with_capacity(text.version.len());
    let mut known = BTreeSet::new();
    for version in text.version {
        let at = version.version.span().start;
        let version = version_of(version)?;
        if !known.insert(version.version.clone()) {
            let needed = format!("{name} has two versions {:?}: name one of them otherwise", version.version);
            return Err(Misfit { at, needed });
        }
        versions.push(version);
    }
    if !known.contains(&default_version) {
        let known: Vec<_> = known.into_iter().collect();
        let needed = format!("a version that {name} has is needed, of: {}", known.join(", "));
        return Err(Misfit { at: default_at, needed });
    }
    Ok(Solver {
        name,
        title: shaped(text.title, is_text, TEXT_NEEDED)?,
        adapter: adapter_of(&text.adapter)?,
        licence: shaped(text.licence, is_text, TEXT_NEEDED)?,
        default_version,
        versions,
    })
}

fn adapter_of(text: &Spanned<String>) -> Result<AdapterKind, Misfit> {
    let found = AdapterKind::ALL.into_iter().find(|kind| kind.as_str() == text.get_ref());
    found.ok_or_else(|| Misfit {
        at: text.span().start,
        needed: format!("there is no adapter {:?}: use code_aster, calculix or plain", text.get_ref()),
    })
}

fn version_of(text: VersionText) -> Result<SolverVersion, Misfit> {
    let memory_needed = format!("{CONTAINER_MEMORY_BYTES_MIN} to {CONTAINER_MEMORY_BYTES_MAX} bytes are possible");
    let memory_fits = |bytes: &u64| (CONTAINER_MEMORY_BYTES_MIN..=CONTAINER_MEMORY_BYTES_MAX).contains(bytes);
    Ok(SolverVersion {
        version: shaped(text.version, is_solver_version, VERSION_NEEDED)?,
        image: shaped(text.image, is_image, IMAGE_NEEDED)?,
        command: fitting(text.command, |words| is_command(words), COMMAND_NEEDED)?,
        env: text.env.map_or_else(|| Ok(BTreeMap::new()), |env| fitting(env, is_environment, ENV_NEEDED))?,
        memory_bytes_default: text
            .memory_bytes_default
            .map(|bytes| fitting(bytes, memory_fits, &memory_needed))
            .transpose()?,
        note: text.note.map(|note| shaped(note, is_text, TEXT_NEEDED)).transpose()?,
    })
}

const VERSION_NEEDED: &str = "a version of a letter or digit and up to 31 more of these, ., _ and - is needed";
const IMAGE_NEEDED: &str = "an image is named by its digest, as in sha256:… or repository@sha256:…, with 64 lower-case \
                            hexadecimal digits: `docker image inspect IMAGE` shows Id and RepoDigests";
const COMMAND_NEEDED: &str =
    "a command is a list of 1 to 64 texts without the character U+0000, the program's path first";
const ENV_NEEDED: &str = "variables are up to 64 names of letters, digits and _ with texts of one line";
const TEXT_NEEDED: &str = "a text of 1 to 500 characters on one line is needed";

fn shaped(text: Spanned<String>, fits: impl FnOnce(&str) -> bool, needed: &str) -> Result<String, Misfit> {
    fitting(text, |text| fits(text), needed)
}

/// The value, where it fits.
fn fitting<T>(value: Spanned<T>, fits: impl FnOnce(&T) -> bool, needed: &str) -> Result<T, Misfit> {
    let at = value.span().start;
    let value = value.into_inner();
    if fits(&value) { Ok(value) } else { Err(Misfit { at, needed: needed.to_owned() }) }
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control)
}

/// `sha256:…`, or the same after a repository and `@`.
fn is_image(text: &str) -> bool {
    let (repository, digest) = match text.split_once('@') {
        Some((repository, digest)) => (Some(repository), digest),
        None => (None, text),
    };
    let digest = digest.strip_prefix(DIGEST).and_then(|digits| digits.parse::<Digest>().ok());
    let repository_fits = |repository: &str| {
        repository.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && repository.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':')
            })
    };
    text.len() <= IMAGE_BYTES_MAX && digest.is_some() && repository.is_none_or(repository_fits)
}

fn is_command(words: &[String]) -> bool {
    words.len() <= WORDS_MAX
        && words.first().is_some_and(|program| !program.trim().is_empty())
        && words.iter().all(|word| !word.contains('\0'))
}

fn is_environment(variables: &BTreeMap<String, String>) -> bool {
    variables.len() <= WORDS_MAX
        && variables.iter().all(|(name, value)| {
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && !value.chars().any(char::is_control)
        })
}

#[cfg(test)]
mod tests;
