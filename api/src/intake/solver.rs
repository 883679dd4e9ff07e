//! Code that names a solver: which one, in which version, with which files. The catalogue alone decides what that runs.

use super::computation;
use crate::json::{Faults, Fields, Path};
use mecapy_model::{CONTAINER_MEMORY_BYTES_DEFAULT, Code, UploadId};
use mecapy_runtime::solver::{Solver, Solvers, is_solver_name, is_solver_version};
use std::collections::BTreeMap;

/// Whether a request may name a solver.
#[derive(Debug, Clone, Copy)]
pub(super) enum Solving<'a> {
    /// A preview may not.
    Never,
    /// A batch may not.
    InBatch,
    /// A task may name one of these; `None` where no catalogue is configured.
    With(Option<&'a Solvers>),
}

/// What a solver is to run.
#[derive(Debug)]
pub(super) struct SolverCode {
    pub(super) code: Code,
    /// Memory of a task that names none, bytes.
    pub(super) memory_bytes_default: u64,
    pub(super) files: BTreeMap<String, UploadId>,
}

/// Reads the fields of a `code` that names a solver.
pub(super) fn read(mut fields: Fields<'_, '_>, solving: Solving<'_>, faults: &mut Faults) -> Option<SolverCode> {
    let path = fields.path();
    let solvers = match solving {
        Solving::Never => {
            let message = "a solver runs for longer than a preview may: submit a task with POST /v1/tasks";
            faults.at(path.key("solver"), "not_available", message);
            return None;
        }
        Solving::InBatch => {
            let message = "a solver's run is a task of its own and no item of a batch: submit tasks with POST /v1/tasks, or \
                           map a node of a workflow over the values";
            faults.at(path.key("solver"), "not_available", message);
            return None;
        }
        Solving::With(None) => {
            let message = "no solver is configured here: the platform's operators name a catalogue of solvers with \
                           --solvers or MECAPY_SOLVERS";
            faults.at(path.key("solver"), "not_available", message);
            return None;
        }
        Solving::With(Some(solvers)) => solvers,
    };
    let name = fields.require("solver", faults);
    if let Some(value) = name.filter(|name| name.string().is_none()) {
        faults.wrong_kind(path.key("solver"), "a string", value);
    }
    let name = name.and_then(|name| name.string());
    let version = fields.string("version", faults);
    let files = computation::files(&mut fields, faults);
    refuse_option_names(&files, path.key("files"), faults);
    fields.finish(faults);
    let solver = known_solver(solvers, &name?, path.key("solver"), faults)?;
    let version = match version {
        Some(version) => known_version(solver, &version, path.key("version"), faults)?,
        None => solver.default_version.clone(),
    };
    let memory_bytes_default = solver.version(&version).and_then(|version| version.memory_bytes_default);
    Some(SolverCode {
        code: Code::Solver { solver: solver.name.clone(), version },
        memory_bytes_default: memory_bytes_default.unwrap_or(CONTAINER_MEMORY_BYTES_DEFAULT),
        files,
    })
}

/// The solver of this name, with a fault at `path` where the catalogue has none.
pub(super) fn known_solver<'a>(
    solvers: &'a Solvers,
    name: &str,
    path: Path<'_>,
    faults: &mut Faults,
) -> Option<&'a Solver> {
    if !is_solver_name(name) {
        faults.at(path, "invalid", "a solver's name is a lower-case letter and up to 31 more of these, digits and _");
        return None;
    }
    let found = solvers.catalogue().solver(name);
    if found.is_none() {
        let known: Vec<_> = solvers.catalogue().solvers().map(|solver| format!("{:?}", solver.name)).collect();
        let advice =
            if known.is_empty() { "none is configured".to_owned() } else { format!("use one of {}", known.join(", ")) };
        let message = format!("there is no solver {name:?} here: {advice}");
        faults.at(path, "unknown_solver", message);
    }
    found
}

/// The same for a version of it.
pub(super) fn known_version(solver: &Solver, version: &str, path: Path<'_>, faults: &mut Faults) -> Option<String> {
    if !is_solver_version(version) {
        faults.at(path, "invalid", "a version is a letter or digit and up to 31 more of these, ., _ and -");
        return None;
    }
    if solver.version(version).is_some() {
        return Some(version.to_owned());
    }
    let known: Vec<_> = solver.versions.iter().map(|known| format!("{:?}", known.version)).collect();
    let message = format!("there is no version {version:?} of {} here: use one of {}", solver.title, known.join(", "));
    faults.at(path, "unknown_version", message);
    None
}

/// A fault for each file that a program could take for an option where it is named in an argument.
pub(super) fn refuse_option_names(files: &BTreeMap<String, UploadId>, path: Path<'_>, faults: &mut Faults) {
    for name in files.keys().filter(|name| name.split('/').any(|part| part.starts_with('-'))) {
        faults.at(path.key(name), "invalid_name", "a solver's file can't have a name that begins with -");
    }
}

/// A fault for a name or label that looks like an option of a command. None of them gets near one, and whoever writes
/// such a thing should not believe that it does.
pub(super) fn refuse_options(name: Option<&str>, labels: &BTreeMap<String, String>, faults: &mut Faults) {
    let root = Path::Root;
    let is_option = |text: &str| text.starts_with("--");
    if name.is_some_and(is_option) {
        faults.at(root.key("name"), "invalid", "the name of a solver's task can't begin with --");
    }
    for (label, _) in labels.iter().filter(|(label, value)| is_option(label) || is_option(value)) {
        faults.at(root.key("labels").key(label), "invalid", "a label of a solver's task can't begin with --");
    }
}
