//! `mecapy.yml`: what a package is called, what runs it, and which functions it holds.

use super::fields::{Fields, Place, Report, quoted};
use super::function::{Function, read_functions};
use super::node::Node;
use super::reference::{PackageName, parse_version};
use super::resources::{Resources, read_resources};
use super::runtime::{Runtime, read_runtime};
use super::yaml;
use crate::json::Path;
use mecapy_model::{Fault, Visibility};
use semver::Version;
use serde::{Deserialize, Serialize};

/// The manifest's name, at the package's root.
pub const MANIFEST_FILE: &str = "mecapy.yml";
/// The only version of the manifest's own format.
const FORMAT: &str = "1";
const DESCRIPTION_CHARS_MAX: usize = 4_000;
const LINE_CHARS_MAX: usize = 200;
const TAGS_MAX: usize = 30;
const TAG_CHARS_MAX: usize = 50;

/// A manifest without faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub package: Identity,
    pub runtime: Runtime,
    /// In the manifest's order.
    pub functions: Vec<Function>,
    pub quality: Quality,
    /// Top keys that have no meaning here, with their values as JSON texts.
    pub other: Vec<(String, String)>,
}

/// What a package is called, and what is said about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub name: PackageName,
    pub version: Version,
    pub description: String,
    pub author: String,
    pub license: String,
    pub visibility: Visibility,
    pub tags: Vec<String>,
    /// For functions that ask for nothing of their own.
    pub resources: Resources,
}

/// What the package's own test cases decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Whether they run before the package is published.
    pub on_deployment: bool,
    /// Whether one that fails keeps the package from being published.
    pub fail_on_error: bool,
}

impl Default for Quality {
    fn default() -> Self {
        Self { on_deployment: true, fail_on_error: true }
    }
}

impl Manifest {
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name.as_str() == name)
    }

    /// What a call of `function` may use.
    pub fn resources(&self, function: &Function) -> Resources {
        function.resources.unwrap_or(self.package.resources)
    }
}

/// Reads a manifest; nothing where `report` has faults afterwards. Pointers are into the manifest.
pub(super) fn read_manifest(text: &[u8], report: &mut Report) -> Option<Manifest> {
    let root = match yaml::read(text) {
        Ok(root) => root,
        Err(malformed) => {
            let (line, column) = (Some(malformed.line), Some(malformed.column));
            report.add(Fault { line, column, ..Fault::new("", "malformed", malformed.message) });
            return None;
        }
    };
    let place = Place { path: Path::Root, line: root.line };
    let mut fields = Fields::open(&root, place, report)?;
    read_format(&mut fields, report);
    let package = fields.require("package", report).map(|node| {
        let path = place.path.key("package");
        let mut fields = Fields::open(node, Place { path, line: node.line }, report)?;
        let identity = read_identity(&mut fields, report);
        fields.finish(report);
        identity
    });
    let runtime = fields.require("runtime", report).map(|node| {
        let path = place.path.key("runtime");
        let mut fields = Fields::open(node, Place { path, line: node.line }, report)?;
        let runtime = read_runtime(&mut fields, report);
        fields.finish(report);
        runtime
    });
    let (package, runtime) = (package.flatten(), runtime.flatten());
    let functions = read_functions(&mut fields, runtime.as_ref(), report);
    let quality = fields.object("quality", report, read_quality).flatten().unwrap_or_default();
    let other = fields.rest().into_iter().map(|member| (member.key.clone(), member.value.to_json())).collect();
    if report.has_faults() {
        return None;
    }
    Some(Manifest { package: package?, runtime: runtime?, functions, quality, other })
}

fn read_format(fields: &mut Fields<'_, '_>, report: &mut Report) {
    let Some(node) = fields.require("version", report) else { return };
    fields.parse("version", node, report, |text| match text {
        FORMAT => Ok(()),
        _ => {
            let shown = quoted(text);
            Err(format!("{shown} is not a version of the manifest's format: write version: \"{FORMAT}\". The package's own version is the field version of package."))
        }
    });
}

fn read_identity(fields: &mut Fields<'_, '_>, report: &mut Report) -> Option<Identity> {
    let name = fields.require("name", report);
    let name = name.and_then(|node| {
        fields.parse("name", node, report, |text| text.parse::<PackageName>().map_err(|invalid| invalid.to_string()))
    });
    let version = fields.require("version", report);
    let version = version.and_then(|node| {
        fields.parse("version", node, report, |text| parse_version(text).map_err(|invalid| invalid.to_string()))
    });
    let description = fields.text("description", DESCRIPTION_CHARS_MAX, report);
    let author = fields.text("author", LINE_CHARS_MAX, report);
    let license = fields.text("license", LINE_CHARS_MAX, report);
    let visibilities = Visibility::ALL.map(|visibility| (visibility.as_str(), visibility));
    let visibility = fields.word("visibility", &visibilities, report).unwrap_or_default();
    let tags = fields.take("tags").map_or(Vec::new(), |node| read_tags(node, fields, report));
    let resources = read_resources(fields, report).unwrap_or(Resources::SMALL);
    Some(Identity { name: name?, version: version?, description, author, license, visibility, tags, resources })
}

fn read_tags(node: &Node, fields: &Fields<'_, '_>, report: &mut Report) -> Vec<String> {
    let mut tags = Vec::new();
    fields.items("tags", node, report, |item, place, report| match item.plain().map(str::trim) {
        Some(tag) if (1..=TAG_CHARS_MAX).contains(&tag.chars().count()) && !tag.chars().any(char::is_control) => {
            tags.push(tag.to_owned());
        }
        Some(_) => {
            report.fault(place, "invalid_value", format!("a tag has 1 to {TAG_CHARS_MAX} characters, in one line"))
        }
        None => report.wrong_kind(place, "a tag", item),
    });
    if tags.len() > TAGS_MAX {
        let message = format!("there are {} tags; {TAGS_MAX} are allowed", tags.len());
        fields.fault("tags", node.line, report, ("too_many", &message));
    }
    tags
}

fn read_quality(fields: &mut Fields<'_, '_>, report: &mut Report) -> Option<Quality> {
    let default = Quality::default();
    fields.object("validation_testcases", report, |fields, report| Quality {
        on_deployment: fields.flag("on_deployment", report).unwrap_or(default.on_deployment),
        fail_on_error: fields.flag("fail_on_error", report).unwrap_or(default.fail_on_error),
    })
}
