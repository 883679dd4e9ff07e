//! What a preview and a task have in common: code, inputs, files, seed.

use super::{
    FILES_MAX, SEED_MAX,
    code::{self, AskedCode},
    solver::{self, SolverCode, Solving},
};
use crate::{
    json::{Faults, Fields, Kind, Path},
    packages::FunctionReference,
};
use mecapy_model::{ArtifactName, CONTAINER_MEMORY_BYTES_DEFAULT, Code, Executor, Kernels, NonFinite, UploadId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

const KERNELS: [(&str, Kernels); 2] = [("native", Kernels::Native), ("wasm", Kernels::Wasm)];

/// A computation as it was asked for; `code` is `None` where it has a fault.
#[derive(Debug)]
pub(super) struct Computation<'a> {
    pub(super) code: Option<Code>,
    /// The function that is to be found and called, where that is the code.
    pub(super) function: Option<FunctionReference>,
    /// What it needs to run, also where its code has a fault.
    pub(super) executor: Executor,
    /// What a container gets where the request names no memory, bytes.
    pub(super) container_memory_bytes: u64,
    /// The user's own JSON text of an object.
    pub(super) inputs: &'a str,
    /// Those of the code too.
    pub(super) files: BTreeMap<String, UploadId>,
    /// Which of them stand in the code.
    pub(super) files_of_code: BTreeSet<String>,
    pub(super) seed: Option<u64>,
    pub(super) non_finite: NonFinite,
    pub(super) kernels: Kernels,
}

impl Computation<'_> {
    /// Of a request that is no object.
    pub(super) fn nothing() -> Self {
        Self {
            code: None,
            function: None,
            executor: Executor::Sandbox,
            container_memory_bytes: CONTAINER_MEMORY_BYTES_DEFAULT,
            inputs: "{}",
            files: BTreeMap::new(),
            files_of_code: BTreeSet::new(),
            seed: None,
            non_finite: NonFinite::default(),
            kernels: Kernels::default(),
        }
    }
}

/// Takes the fields that make a computation.
pub(super) fn read<'a>(fields: &mut Fields<'a, '_>, solving: Solving<'_>, faults: &mut Faults) -> Computation<'a> {
    let path = fields.path();
    let code = fields.require("code", faults);
    let asked = code.map_or(AskedCode::Sandboxed(None), |code| code::read(code, path.key("code"), solving, faults));
    let inputs = inputs(fields, faults);
    let mut files = files(fields, faults);
    let mut files_of_code = BTreeSet::new();
    let mut container_memory_bytes = CONTAINER_MEMORY_BYTES_DEFAULT;
    let mut function = None;
    let (executor, code) = match asked {
        AskedCode::Function(reference) => {
            function = reference;
            (Executor::Sandbox, None)
        }
        AskedCode::Sandboxed(code) => (Executor::Sandbox, code),
        AskedCode::Solver(None) => (Executor::Container, None),
        AskedCode::Solver(Some(SolverCode { code, memory_bytes_default, files: of_code })) => {
            container_memory_bytes = memory_bytes_default;
            files_of_code.extend(of_code.keys().cloned());
            solver::refuse_option_names(&files, path.key("files"), faults);
            merge(&mut files, of_code, path.key("code").key("files"), faults);
            (Executor::Container, Some(code))
        }
    };
    Computation {
        code,
        function,
        executor,
        container_memory_bytes,
        inputs,
        files,
        files_of_code,
        seed: fields.integer("seed", 0..=SEED_MAX, faults),
        non_finite: fields
            .one_of("non_finite", &[("reject", NonFinite::Reject), ("null", NonFinite::Null)], faults)
            .unwrap_or_default(),
        kernels: fields.one_of("kernels", &KERNELS, faults).unwrap_or_default(),
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

/// Adds the files of the code, which stand at `path`.
fn merge(
    files: &mut BTreeMap<String, UploadId>,
    of_code: BTreeMap<String, UploadId>,
    path: Path<'_>,
    faults: &mut Faults,
) {
    for (name, upload) in of_code {
        match files.entry(name) {
            Entry::Vacant(free) => {
                free.insert(upload);
            }
            Entry::Occupied(taken) => {
                let name = taken.key();
                let message = format!("there is a file {name:?} in /files already: name it once");
                faults.at(path.key(name), "duplicate", message);
            }
        }
    }
    if files.len() > FILES_MAX {
        faults.at(path, "too_many", format!("a task may have {FILES_MAX} files at most, those of /files too"));
    }
}

pub(super) fn files(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> BTreeMap<String, UploadId> {
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
    use crate::json::Value;

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
