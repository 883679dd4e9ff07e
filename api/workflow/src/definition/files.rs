//! Input files of a node: uploads, and files that earlier nodes left.

use super::binding::reference;
use super::fields::{Fields, text};
use super::{FILES_MAX, FileBinding};
use crate::expr::{Names, Root, StepKind};
use mecapy_model::ArtifactName;
use mecapy_model::UploadId;
use mecapy_model::ports::json::{Faults, Path, Shape};
use serde_json::value::RawValue;

/// What parts a node from the name of its file: `mesh.artifacts/plate.med`.
const ARTIFACTS: &str = ".artifacts/";

/// Reads the field `files`.
pub(super) fn read(fields: &mut Fields<'_, '_>, names: &Names<'_>, faults: &mut Faults) -> Vec<(String, FileBinding)> {
    let root = fields.path;
    let path = root.key("files");
    let members = fields.members("files", faults);
    if members.len() > FILES_MAX {
        faults.at(path, "too_many", format_args!("a node may have {FILES_MAX} files at most"));
    }
    let mut files = Vec::new();
    for (name, value) in members.iter().take(FILES_MAX) {
        let at = path.key(name);
        if let Err(error) = ArtifactName::parse(name) {
            faults.at(at, "invalid_name", error);
        } else if let Some(binding) = file(value, at, names, faults) {
            files.push((name.to_string(), binding));
        }
    }
    files
}

fn file(value: &RawValue, path: Path<'_>, names: &Names<'_>, faults: &mut Faults) -> Option<FileBinding> {
    match Shape::of(value) {
        Shape::String(id) => {
            if id.parse::<UploadId>().is_err() {
                let message = "the id of an upload is needed here, as POST /v1/uploads answered it, or \
                               {\"from\": \"mesh.artifacts/plate.med\"}";
                faults.at(path, "unknown_upload", message);
                return None;
            }
            Some(FileBinding::Upload(id.into_owned()))
        }
        Shape::Object(_) => {
            let mut fields = Fields::open(value, path, faults)?;
            let from = fields.require("from", faults);
            fields.finish("from", faults);
            let at = path.key("from");
            let from = text(from?, at, faults)?;
            match from.split_once(ARTIFACTS) {
                Some((head, name)) => artifact(head, name, at, names, faults),
                None => reference(&from, at, names, faults).map(FileBinding::From),
            }
        }
        found => {
            faults.wrong_type(path, "the id of an upload, or {\"from\": …}", &found);
            None
        }
    }
}

/// `head` names the node, with the element of a mapped one: `mesh`, `mesh[index]`, `mesh?`.
fn artifact(head: &str, name: &str, path: Path<'_>, names: &Names<'_>, faults: &mut Faults) -> Option<FileBinding> {
    let expr = reference(head, path, names, faults)?;
    let name = match ArtifactName::parse(name) {
        Ok(name) => name.as_str().to_owned(),
        Err(error) => {
            faults.at(path, "invalid_name", error);
            return None;
        }
    };
    let found = expr.reference()?;
    let Root::Node(node) = found.root else {
        faults.at(path, "invalid_reference", "files are left by nodes: mesh.artifacts/plate.med");
        return None;
    };
    let (index, soft) = match found.steps.as_slice() {
        [] => (None, false),
        [step] => match &step.kind {
            StepKind::Item(index) => {
                let text = head.to_owned();
                (Some(crate::expr::Expr { text, node: index.as_ref().clone() }), step.soft)
            }
            StepKind::Field(_) => return refuse(path, faults),
        },
        _ => return refuse(path, faults),
    };
    Some(FileBinding::Artifact { node, index, optional: found.soft || soft, name })
}

fn refuse(path: Path<'_>, faults: &mut Faults) -> Option<FileBinding> {
    let message = "a file is named as mesh.artifacts/plate.med, or mesh[0].artifacts/plate.med of a mapped node";
    faults.at(path, "invalid_reference", message);
    None
}
