//! What runs a package's functions.

use super::fields::{Fields, Report};
use super::name::FileName;
use super::node::{Content, Node};
use serde::{Deserialize, Serialize};

/// The most requirements that a package may list.
const REQUIREMENTS_MAX: usize = 100;
/// The longest requirement, in characters.
pub(super) const REQUIREMENT_CHARS_MAX: usize = 500;
/// Where requirements are where the manifest says `requirements: true`.
const REQUIREMENTS_FILE: &str = "requirements.txt";

/// The `runtime` of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Runtime {
    /// The platform's Python, in a sandbox.
    Python {
        /// The version that the author wrote for, `3.12`.
        version: Option<String>,
        requirements: Requirements,
    },
    /// A WASI command module of the package, or a component of the world `mecapy:task`, in a sandbox.
    Wasm { module: FileName },
    /// An image that a Dockerfile of the package describes, in a container.
    Dockerfile {
        dockerfile: FileName,
        /// The manifest's other fields, as JSON texts.
        other: Vec<(String, String)>,
    },
    /// A ready image, in a container.
    Image { image: String, other: Vec<(String, String)> },
}

/// Distributions that the functions import, as PEP 508 writes them (`scipy>=1.11`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirements {
    Listed(Vec<String>),
    /// One a line, in a file of the package.
    File(FileName),
}

impl Runtime {
    /// Whether functions are named as `module:function`.
    pub fn is_python(&self) -> bool {
        matches!(self, Runtime::Python { .. })
    }

    /// Whether the functions run in containers.
    pub fn is_container(&self) -> bool {
        matches!(self, Runtime::Dockerfile { .. } | Runtime::Image { .. })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Python,
    Wasm,
    Dockerfile,
    Image,
}

/// Reads the fields of the mapping `runtime`.
pub(super) fn read_runtime(fields: &mut Fields<'_, '_>, report: &mut Report) -> Option<Runtime> {
    let kinds =
        [("python", Kind::Python), ("wasm", Kind::Wasm), ("dockerfile", Kind::Dockerfile), ("image", Kind::Image)];
    let kind = fields.require("kind", report);
    match kind.and_then(|kind| fields.parse("kind", kind, report, |text| super::fields::one_of(text, &kinds))) {
        Some(Kind::Python) => {
            let version = fields.take("version");
            let version = version.and_then(|node| fields.parse("version", node, report, python_version));
            let requirements = read_requirements(fields, report);
            Some(Runtime::Python { version, requirements })
        }
        Some(Kind::Wasm) => {
            let module = fields.require("module", report)?;
            let module = fields.parse("module", module, report, file_name)?;
            Some(Runtime::Wasm { module })
        }
        Some(Kind::Dockerfile) => {
            let node = fields.take("dockerfile");
            let dockerfile = match node {
                Some(node) => fields.parse("dockerfile", node, report, file_name),
                None => FileName::parse("Dockerfile").ok(),
            }?;
            Some(Runtime::Dockerfile { dockerfile, other: rest(fields) })
        }
        Some(Kind::Image) => {
            let image = fields.require("image", report)?;
            let image = fields.parse("image", image, report, image_name)?;
            Some(Runtime::Image { image, other: rest(fields) })
        }
        None => {
            // What the other fields should be depends on the kind.
            fields.rest();
            None
        }
    }
}

fn rest(fields: &mut Fields<'_, '_>) -> Vec<(String, String)> {
    fields.rest().into_iter().map(|member| (member.key.clone(), member.value.to_json())).collect()
}

/// A name in the package, which may be written with `./` before it.
pub(super) fn file_name(text: &str) -> Result<FileName, String> {
    FileName::parse(text.strip_prefix("./").unwrap_or(text)).map_err(|invalid| invalid.to_string())
}

fn python_version(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.first() == Some(&"3") && (2..=3).contains(&parts.len()) && parts.iter().all(is_number) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is not a version of Python 3: write it as \"3.12\"", super::fields::quoted(text)))
}

/// `registry/name:tag` or `registry/name@sha256:…`: nothing that a command line could take for an option.
fn image_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let fits = (1..=255).contains(&text.len()) && text.chars().all(plain);
    if fits && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.contains("..") {
        return Ok(text.to_owned());
    }
    Err(format!("{} is not the name of an image, as name:1.2 or name@sha256:… is", super::fields::quoted(text)))
}

/// `requirements`: a list, the name of a file, or true for requirements.txt.
fn read_requirements(fields: &mut Fields<'_, '_>, report: &mut Report) -> Requirements {
    let none = Requirements::Listed(Vec::new());
    let Some(node) = fields.take("requirements") else { return none };
    match &node.content {
        Content::Boolean(false) => none,
        Content::Boolean(true) => FileName::parse(REQUIREMENTS_FILE).map_or(none, Requirements::File),
        Content::List(items) => {
            if items.len() > REQUIREMENTS_MAX {
                let message = format!("there are {} requirements; {REQUIREMENTS_MAX} are allowed", items.len());
                fields.fault("requirements", node.line, report, ("too_many", &message));
                return none;
            }
            let mut listed = Vec::new();
            fields.items("requirements", node, report, |item: &Node, place, report| match item.text() {
                Some(text) => listed.push(text.to_owned()),
                None => report.wrong_kind(place, "a requirement as text, as \"scipy>=1.11\",", item),
            });
            Requirements::Listed(listed)
        }
        _ => fields.parse("requirements", node, report, file_name).map_or(none, Requirements::File),
    }
}
