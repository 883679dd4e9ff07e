//! What a study is to run, from what was asked and sent: an `.export` of the user's with the task's ceilings, or one
//! that is made for command files and a mesh.

use super::export::{EXPORT_BYTES_MAX, Entry, Export, Flags, Problem, Shape, UNIT_MAX, plain_path};
use crate::solver::{Folder, Study};
use mecapy_model::{ErrorKind, Fault, Limits, TaskError, Warning};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Read as _;

/// What the launcher is given: never a name of the user's.
pub(super) const EXPORT_NAME: &str = "mecapy.export";
/// `parameters` of the inputs, where the command file finds them.
pub(super) const PARAMETERS_NAME: &str = "inputs.json";
/// Bytes of a command file that are looked at.
const COMMAND_FILE_BYTES_MAX: u64 = 1 << 20;
/// Faults that are told in one message.
const PROBLEMS_TOLD_MAX: usize = 5;

/// The inputs of a Code_Aster task.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Which of the files is the `.export`; not needed where there is only one.
    pub(super) export: Option<String>,
    /// Without an `.export`: the command files, in the order in which they run.
    pub(super) comm: Vec<String>,
    /// Without an `.export`: further results, name and unit.
    pub(super) results: BTreeMap<String, u32>,
    /// The text of an object for the command file.
    pub(super) parameters: Option<String>,
}

impl Inputs {
    /// Reads the inputs; a member that means nothing is a fault.
    fn parse(inputs: &RawValue) -> Result<Self, Vec<Fault>> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(inputs.get())
            .map_err(|_| vec![fault("/inputs", "invalid_type", "the inputs are one JSON object")])?;
        let (mut read, mut faults) = (Self::default(), Vec::new());
        for (name, value) in &members {
            let text = value.get();
            let fits = match name.as_str() {
                "export" => serde_json::from_str(text).map(|export| read.export = Some(export)).is_ok(),
                "comm" => serde_json::from_str(text).map(|comm| read.comm = comm).is_ok(),
                "results" => serde_json::from_str(text).map(|results| read.results = results).is_ok(),
                "parameters" => {
                    read.parameters = Some(text.to_owned());
                    text.starts_with('{')
                }
                _ => {
                    let known =
                        "Code_Aster takes export, comm, results and parameters; other values go into parameters";
                    faults.push(fault(&pointer("/inputs", name), "unknown_field", known));
                    true
                }
            };
            if !fits {
                let shape = match name.as_str() {
                    "export" => "a file name",
                    "comm" => "a list of file names",
                    "results" => "an object from file names to units",
                    _ => "an object",
                };
                faults.push(fault(&pointer("/inputs", name), "invalid_type", &format!("{name} is {shape}")));
            }
        }
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }
}

/// What is run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) export: Export,
    pub(super) parameters: Option<String>,
    pub(super) warnings: Vec<Warning>,
    pub(super) time_limit_s: u64,
    pub(super) memory_limit_mb: u64,
}

/// What the solver may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ceilings {
    pub(super) timeout_ms: u64,
    pub(super) memory_mb: u64,
    pub(super) cores: u64,
}

impl Ceilings {
    pub(super) fn of(limits: &Limits) -> Self {
        let memory_mb = limits.memory_bytes >> 20;
        // Beside the solver's own account lie its program text, Python and what the kernel keeps of files.
        let headroom = (memory_mb / 10).max((memory_mb / 2).min(256));
        Self {
            timeout_ms: limits.timeout_ms,
            memory_mb: (memory_mb - headroom).max(1),
            cores: u64::from(limits.cpus).max(1),
        }
    }

    /// The largest `time_limit`, seconds, at which the solver's own ceilings (`time_limit` × 1.25 × `ncpus`, of processor
    /// and of wall time) lie below the task's: then the solver ends itself and still writes its results.
    pub(super) fn time_limit_s(self, ncpus: u64) -> u64 {
        let headroom_ms = (self.timeout_ms / 20).clamp(1_000, 60_000);
        let inner_ms = self.timeout_ms.saturating_sub(headroom_ms);
        (inner_ms / (1_250 * ncpus.max(1))).max(1)
    }
}

/// Chooses what to run, as far as names tell.
///
/// # Errors
/// All faults, with pointers into the request.
pub(super) fn choose(study: &Study<'_>) -> Result<(Inputs, Choice), Vec<Fault>> {
    let inputs = Inputs::parse(study.inputs)?;
    let (names, mut faults) = (names(study), Vec::new());
    for reserved in [Some(EXPORT_NAME), inputs.parameters.as_ref().map(|_| PARAMETERS_NAME)].into_iter().flatten() {
        if names.contains(&reserved) {
            let message = format!("{reserved} is written by the platform: send yours under another name");
            faults.push(fault(&pointer("/code/files", reserved), "reserved", &message));
        }
    }
    let exports: Vec<&str> = names.iter().copied().filter(|name| name.ends_with(".export")).collect();
    let alone = !inputs.comm.is_empty() || !inputs.results.is_empty();
    let choice = match (&inputs.export, exports.as_slice()) {
        (Some(_), _) if alone => {
            Err(("/inputs/export", "conflict", "an .export names command files and results itself"))
        }
        (Some(name), _) if names.contains(&name.as_str()) => Ok(Choice::Export(name.clone())),
        (Some(_), _) => Err(("/inputs/export", "not_sent", "no file of this name was sent")),
        (None, _) if alone => Ok(Choice::Files),
        (None, []) => Ok(Choice::Files),
        (None, [name]) => Ok(Choice::Export((*name).to_owned())),
        (None, _) => Err(("/inputs/export", "required", "several .export files were sent: name the one to run")),
    };
    let choice = choice.map_err(|(at, code, message)| faults.push(fault(at, code, message)));
    match choice {
        Ok(Choice::Files) => {
            faults.extend(file_faults(&inputs, &names));
            if faults.is_empty() { Ok((inputs, Choice::Files)) } else { Err(faults) }
        }
        Ok(choice) if faults.is_empty() => Ok((inputs, choice)),
        _ => Err(faults),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// The `.export` of this name.
    Export(String),
    /// One is to be made for the files.
    Files,
}

fn file_faults(inputs: &Inputs, names: &[&str]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, name) in inputs.comm.iter().enumerate() {
        if !names.contains(&name.as_str()) {
            let message = format!("the command file {name:?} was not sent");
            faults.push(fault(&format!("/inputs/comm/{at}"), "not_sent", &message));
        }
    }
    if inputs.comm.is_empty() {
        match names.iter().filter(|name| name.ends_with(".comm")).count() {
            0 => faults.push(fault("/code/files", "required", "a command file (.comm) or an .export is needed")),
            1 => {}
            _ => {
                let message = "several command files were sent: list them in the order in which they run";
                faults.push(fault("/inputs/comm", "required", message));
            }
        }
    }
    for (name, unit) in &inputs.results {
        let at = pointer("/inputs/results", name);
        faults.extend(plain_path(name).err().map(|message| fault(&at, "invalid", &message)));
        if !(1..=UNIT_MAX).contains(unit) {
            faults.push(fault(&at, "out_of_range", &format!("a unit is a whole number from 1 to {UNIT_MAX}")));
        }
    }
    for name in names {
        faults.extend(plain_path(name).err().map(|message| fault(&pointer("/code/files", name), "invalid", &message)));
    }
    if faults.is_empty() {
        for problem in made(inputs, names).judge(&is_sent(names)) {
            faults.push(fault("/code/files", "invalid", &problem.message));
        }
    }
    faults
}

impl Plan {
    /// What to run, from the names and what is in the files.
    ///
    /// # Errors
    /// `invalid_input`, with the `.export`'s lines.
    pub(super) fn new(study: &Study<'_>, files: &dyn Folder) -> Result<Self, TaskError> {
        let (inputs, choice) = choose(study).map_err(|faults| {
            let told: Vec<String> =
                faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
            refused(told, None)
        })?;
        let names = names(study);
        let mut export = match &choice {
            Choice::Export(name) => read_export(name, files, &names)?,
            Choice::Files => made(&inputs, &names),
        };
        if export.entries.iter().all(|entry| entry.kind != "mess") {
            let name = format!("{}.mess", stem(&export));
            export.entries.push(Entry::file("mess", &name, Flags::RESULT, 6));
        }
        if inputs.parameters.is_some() {
            export.entries.push(Entry::file("nom", PARAMETERS_NAME, Flags::DATA, 0));
        }
        if let Choice::Files = choice {
            mesh_is_there(&export, files)?;
        }
        let mut plan =
            Self { export, parameters: inputs.parameters, warnings: Vec::new(), time_limit_s: 0, memory_limit_mb: 0 };
        plan.limit(Ceilings::of(study.limits)).map_err(|problem| {
            let name = if let Choice::Export(name) = &choice { name } else { EXPORT_NAME };
            refused(vec![told(name, &problem)], Some(problem.line))
        })?;
        Ok(plan)
    }

    /// Names and texts of the command files.
    pub(super) fn command_files(&self, files: &dyn Folder) -> Vec<(String, String)> {
        let read = |entry: &Entry| {
            let text = text(files, &entry.path, COMMAND_FILE_BYTES_MAX).ok()?;
            Some((entry.path.clone(), text))
        };
        self.export.command_files().filter_map(read).collect()
    }

    /// Puts the task's ceilings over what the `.export` asks for.
    fn limit(&mut self, ceilings: Ceilings) -> Result<(), Problem> {
        let mpi = self.whole("mpi_nbcpu", 1, ceilings.cores)?;
        let ncpus = self.whole("ncpus", ceilings.cores, (ceilings.cores / mpi).max(1))?;
        let time_limit_s = ceilings.time_limit_s(ncpus);
        self.time_limit_s = self.whole("time_limit", time_limit_s, time_limit_s)?;
        self.memory_limit_mb = self.whole("memory_limit", ceilings.memory_mb, ceilings.memory_mb)?;
        for ignored in std::mem::take(&mut self.export.ignored) {
            let message = format!("`{ignored}` of the .export is left out: the task says that itself");
            self.warnings.push(Warning { code: "export_line_ignored".to_owned(), message, line: None, pointer: None });
        }
        Ok(())
    }

    /// A parameter as a whole number, at most `max`, or `otherwise`.
    fn whole(&mut self, name: &'static str, otherwise: u64, max: u64) -> Result<u64, Problem> {
        let Some((value, line)) = self.export.value(name) else {
            let value = otherwise.min(max);
            self.export.set(name, value);
            return Ok(value);
        };
        let number = value.parse::<f64>().ok().filter(|number| (1.0..1e15).contains(number));
        let Some(number) = number else {
            return Err(Problem { line, message: format!("{name} is a number from 1 on") });
        };
        // The range is checked above: a whole part below 2^50 is exact.
        let asked = number as u64;
        if asked > max {
            let message = format!("{name} {asked} is more than the task's limits leave: {max} is used");
            self.warnings.push(Warning { code: "limit_capped".to_owned(), message, line: Some(line), pointer: None });
        }
        let value = asked.min(max);
        self.export.set(name, value);
        Ok(value)
    }
}

fn read_export(name: &str, files: &dyn Folder, names: &[&str]) -> Result<Export, TaskError> {
    let text = text(files, name, EXPORT_BYTES_MAX).map_err(|why| refused(vec![format!("{name}: {why}")], None))?;
    let problems = match Export::parse(&text) {
        Ok(export) => match export.judge(&is_sent(names)) {
            problems if problems.is_empty() => return Ok(export),
            problems => problems,
        },
        Err(problems) => problems,
    };
    let line = problems.first().map(|problem| problem.line);
    Err(refused(problems.iter().map(|problem| self::told(name, problem)).collect(), line))
}

/// The `.export` for files that were sent without one.
fn made(inputs: &Inputs, names: &[&str]) -> Export {
    let mut export = Export::default();
    let only: Vec<&str> = names.iter().copied().filter(|name| name.ends_with(".comm")).take(1).collect();
    let commands: Vec<&str> =
        if inputs.comm.is_empty() { only } else { inputs.comm.iter().map(String::as_str).collect() };
    export.entries.extend(commands.iter().map(|name| Entry::file("comm", name, Flags::DATA, 1)));
    let mut folders: Vec<&str> = Vec::new();
    for name in names.iter().filter(|name| !commands.contains(name)) {
        if let Some((folder @ ("base" | "repe"), _)) = name.split_once('/') {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
            continue;
        }
        let (kind, unit) = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("mail") => ("mail", 20),
            Some("med" | "mmed") => ("mmed", 20),
            Some("msh") => ("msh", 19),
            Some("mgib") => ("mgib", 19),
            Some("msup" | "unv") => ("msup", 19),
            _ => ("nom", 0),
        };
        export.entries.push(Entry::file(kind, name, Flags::DATA, unit));
    }
    for folder in folders {
        let inside = |name: &&&str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let compressed = names.iter().filter(inside).all(|name| name.ends_with(".gz"));
        let flags = Flags { compressed, ..Flags::DATA };
        export.entries.push(Entry { shape: Shape::Folder, ..Entry::file(folder, folder, flags, 0) });
    }
    let stem = stem(&export);
    let results = [("mess", 6), ("resu", 8), ("rmed", 80)];
    let named = |unit: u32| inputs.results.values().any(|named| *named == unit);
    for (kind, unit) in results.into_iter().filter(|(_, unit)| !named(*unit)) {
        export.entries.push(Entry::file(kind, &format!("{stem}.{kind}"), Flags::RESULT, unit));
    }
    export.entries.extend(inputs.results.iter().map(|(name, unit)| Entry::file("libr", name, Flags::RESULT, *unit)));
    export
}

/// What results are called after: the first command file.
fn stem(export: &Export) -> String {
    let name = export.command_files().next().map_or("study", |entry| entry.path.as_str());
    name.strip_suffix(".comm").unwrap_or(name).to_owned()
}

/// A study that reads a mesh needs one: told before hours in a queue and not by a unit's number.
fn mesh_is_there(export: &Export, files: &dyn Folder) -> Result<(), TaskError> {
    if export.entries.iter().any(|entry| entry.is_mesh()) {
        return Ok(());
    }
    for entry in export.command_files() {
        let text = text(files, &entry.path, COMMAND_FILE_BYTES_MAX)
            .map_err(|why| refused(vec![format!("{}: {why}", entry.path)], None))?;
        let reads = |line: &str| line.split('#').next().is_some_and(|code| code.contains("LIRE_MAILLAGE"));
        if let Some((line, _)) = (1_u32..).zip(text.lines()).find(|(_, line)| reads(line)) {
            let message = format!(
                "{}, line {line}: it reads a mesh, and none was sent (.mail, .med, .msh, .mgib or .unv)",
                entry.path
            );
            return Err(refused(vec![message], Some(line)));
        }
    }
    Ok(())
}

fn names<'a>(study: &Study<'a>) -> Vec<&'a str> {
    study.files.iter().map(|(name, _)| name.as_str()).collect()
}

fn is_sent(names: &[&str]) -> impl Fn(&str, Shape) -> bool {
    let inside = |path: &str, name: &&str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    move |path, shape| match shape {
        Shape::File => names.contains(&path),
        Shape::Folder => names.iter().any(|name| inside(path, name)),
    }
}

/// A file's text up to a size; other bytes than UTF-8 become U+FFFD.
pub(super) fn text(files: &dyn Folder, name: &str, bytes_max: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = files.open(name).map_err(|error| format!("it can't be read: {error}"))?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| format!("it can't be read: {error}"))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it has more than {bytes_max} bytes"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn told(name: &str, problem: &Problem) -> String {
    match problem.line {
        0 => format!("{name}: {}", problem.message),
        line => format!("{name}, line {line}: {}", problem.message),
    }
}

fn refused(mut messages: Vec<String>, line: Option<u32>) -> TaskError {
    messages.truncate(PROBLEMS_TOLD_MAX);
    let mut error = TaskError::new(ErrorKind::InvalidInput, messages.join("; "));
    error.line = line.filter(|line| *line > 0);
    error
}

fn fault(pointer: &str, code: &str, message: &str) -> Fault {
    let (pointer, code, message) = (pointer.to_owned(), code.to_owned(), message.to_owned());
    Fault { pointer, code, message, line: None, column: None }
}

/// A member of an object, as RFC 6901 writes it.
fn pointer(parent: &str, member: &str) -> String {
    format!("{parent}/{}", member.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
#[path = "study_tests.rs"]
mod tests;
