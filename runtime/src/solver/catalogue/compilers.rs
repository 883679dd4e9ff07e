//! The compilers of a catalogue.
//!
//! ```toml
//! [[compiler]]
//! language = "rust"               # c or rust
//! version = "1.85-sdk0.1.0"       # of the toolchain with its SDK, as the operator counts them
//! title = "Rust 1.85 (Debian 13)"
//! licence = "MIT OR Apache-2.0"
//! image = "sha256:…"
//! command = ["/usr/bin/rustc", "--edition=2024", "--target=wasm32-wasip1", …]
//! env = { … }                     # may be left out, as what follows
//! note = "with serde and mecapy_task"
//! ```

use super::{
    COMMAND_NEEDED, ENV_NEEDED, IMAGE_NEEDED, Misfit, TEXT_NEEDED, VERSION_NEEDED, fitting, is_command, is_environment,
    is_image, is_solver_version, is_text, shaped, version_name,
};
use mecapy_model::SourceLanguage;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// What compiles the sources of one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    pub language: SourceLanguage,
    /// Of the compiler with the SDK that is in its image: another version compiles all sources anew.
    pub version: String,
    /// What people call it.
    pub title: String,
    /// Of the compiler and of what it links into modules.
    pub licence: String,
    /// As a solver version's: by digest.
    pub image: String,
    /// The argument array up to what the platform adds: output, messages' format, source.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CompilerText {
    language: Spanned<String>,
    version: Spanned<String>,
    title: Spanned<String>,
    licence: Spanned<String>,
    image: Spanned<String>,
    command: Spanned<Vec<String>>,
    env: Option<Spanned<BTreeMap<String, String>>>,
    note: Option<Spanned<String>>,
}

impl Toolchain {
    /// What workers offer it as: `language@version`.
    pub fn name(&self) -> String {
        version_name(self.language.as_str(), &self.version)
    }
}

pub(super) fn checked(texts: Vec<CompilerText>) -> Result<BTreeMap<SourceLanguage, Toolchain>, Misfit> {
    let mut compilers = BTreeMap::new();
    for text in texts {
        let at = text.language.span().start;
        let toolchain = toolchain_of(text)?;
        if let Some(before) = compilers.insert(toolchain.language, toolchain) {
            let needed = format!("there are two compilers for {}: one is needed", before.language);
            return Err(Misfit { at, needed });
        }
    }
    Ok(compilers)
}

fn toolchain_of(text: CompilerText) -> Result<Toolchain, Misfit> {
    let at = text.language.span().start;
    let language = text.language.into_inner().parse().map_err(|needed| Misfit { at, needed })?;
    Ok(Toolchain {
        language,
        version: shaped(text.version, is_solver_version, VERSION_NEEDED)?,
        title: shaped(text.title, is_text, TEXT_NEEDED)?,
        licence: shaped(text.licence, is_text, TEXT_NEEDED)?,
        image: shaped(text.image, is_image, IMAGE_NEEDED)?,
        command: fitting(text.command, |words| is_command(words), COMMAND_NEEDED)?,
        env: text.env.map_or_else(|| Ok(BTreeMap::new()), |env| fitting(env, is_environment, ENV_NEEDED))?,
        note: text.note.map(|note| shaped(note, is_text, TEXT_NEEDED)).transpose()?,
    })
}
