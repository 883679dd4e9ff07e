//! What a preview and a task have in common: code, inputs, files, seed.

use super::{FILES_MAX, SEED_MAX, code};
use crate::json::{Faults, Fields, Kind};
use mecapy_model::{ArtifactName, Code, NonFinite, UploadId};
use std::collections::BTreeMap;

/// A computation as it was asked for; `code` is `None` where it has a fault.
#[derive(Debug)]
pub(super) struct Computation<'a> {
    pub(super) code: Option<Code>,
    /// The user's own JSON text of an object.
    pub(super) inputs: &'a str,
    pub(super) files: BTreeMap<String, UploadId>,
    pub(super) seed: Option<u64>,
    pub(super) non_finite: NonFinite,
}

/// Takes the fields that make a computation.
pub(super) fn read<'a>(fields: &mut Fields<'a, '_>, faults: &mut Faults) -> Computation<'a> {
    let path = fields.path();
    let code = fields.require("code", faults);
    Computation {
        code: code.and_then(|code| code::read(code, path.key("code"), faults)),
        inputs: inputs(fields, faults),
        files: files(fields, faults),
        seed: fields.integer("seed", 0..=SEED_MAX, faults),
        non_finite: fields
            .one_of("non_finite", &[("reject", NonFinite::Reject), ("null", NonFinite::Null)], faults)
            .unwrap_or_default(),
    }
}

fn inputs<'a>(fields: &mut Fields<'a, '_>, faults: &mut Faults) -> &'a str {
    let Some(inputs) = fields.take("inputs") else { return "{}" };
    if inputs.kind() != Kind::Object {
        let path = fields.path();
        faults.wrong_kind(path.key("inputs"), "an object", inputs);
    }
    inputs.text()
}

fn files(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> BTreeMap<String, UploadId> {
    let mut files = BTreeMap::new();
    fields.each("files", faults, |name, value, path, faults| {
        if let Err(error) = ArtifactName::parse(name) {
            return faults.at(path, "invalid_name", error.to_string());
        }
        match value.string().map(|text| text.parse()) {
            Some(Ok(upload)) => {
                files.insert(name.to_owned(), upload);
            }
            Some(Err(_)) => {
                faults.at(path, "unknown_upload", "the id of an upload is needed here, as POST /v1/uploads answered it")
            }
            None => faults.wrong_kind(path, "the id of an upload", value),
        }
    });
    if files.len() > FILES_MAX {
        let path = fields.path();
        faults.at(path.key("files"), "too_many", format!("a task may have {FILES_MAX} files at most"));
        files.clear();
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Path, Value};

    #[test]
    fn too_many_files_are_a_fault_and_none_of_them_is_looked_at() {
        for (count, kept, codes) in [(FILES_MAX, FILES_MAX, vec![]), (FILES_MAX + 1, 0, vec!["too_many"])] {
            let members: Vec<_> =
                (0..count).map(|n| format!(r#""f{n}":"01890a5d-ac96-774b-bcce-b302099a8057""#)).collect();
            let text = format!(r#"{{"files":{{{}}}}}"#, members.join(","));
            let mut faults = Faults::default();
            let mut fields = Fields::open(Value::of(&text), Path::Root, &mut faults).unwrap();
            assert_eq!(files(&mut fields, &mut faults).len(), kept);
            let found: Vec<_> = faults.into_vec().into_iter().map(|fault| fault.code).collect();
            assert_eq!(found, codes);
        }
    }
}
