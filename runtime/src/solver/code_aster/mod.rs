//! Code_Aster: studies of command files, meshes and an `.export`, run by `run_aster` or `as_run`.
//!
//! **Inputs.** One object; each member may be left out, and an unknown one is a fault.
//!
//! | member | meaning |
//! |---|---|
//! | `export` | which file is the `.export`; needed where several were sent |
//! | `comm` | without an `.export`: the command files in the order in which they run (`DEBUT`, then `POURSUITE`) |
//! | `results` | without an `.export`: further results, `{"deflection.csv": 38}`, by unit |
//! | `parameters` | an object that the command file finds as `inputs.json` in its work folder |
//!
//! Without an `.export` one is made: meshes by their extension, files below `base/` and `repe/` as folders, all others
//! under their own names, and the results `.mess`, `.resu` and `.rmed`. With one, its paths must be names that were
//! sent, and its limits are lowered to the task's.
//!
//! **Result.** `{"diagnostic", "version", "tables": {name: {"title", "columns", "rows"}}, "commands": [{"name",
//! "seconds"}], "commands_ended", "time_steps", "tests": {"ok", "nook"}, "times", "alarms"}`; `times` are those of the
//! last command file, seconds. A table is named by its file without extension, a second one of the same file `name_2`.
//! Numbers have the digits that the solver wrote.
//!
//! Every declared result is kept, also of a run that failed or was stopped.

mod blocks;
mod diagnostic;
mod export;
mod message;
mod newton;
mod numbers;
mod study;
mod tables;

use super::{Adapter, Conclusion, Ended, Folder, Prepared, Reader, Study};
use export::{Entry, Shape};
use mecapy_model::{ArtifactName, ErrorKind, Fault, TaskError, Warning};
use message::Messages;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use study::{EXPORT_NAME, PARAMETERS_NAME, Plan};
use tables::{Csv, Table};

/// Files that are kept.
const FILES_MAX: usize = 1_000;
/// Bytes of all files whose tables are read. A value's JSON is at most six times as long.
const TABLE_BYTES_MAX: u64 = 2 << 20;
/// Types of results that hold no table.
const NO_TABLES: [&str; 6] = ["mess", "rmed", "base", "bhdf", "repe", "comm"];

/// The adapter for Code_Aster.
#[derive(Debug, Clone, Copy, Default)]
pub struct CodeAster;

impl Adapter for CodeAster {
    fn check(&self, study: &Study<'_>) -> Vec<Fault> {
        study::choose(study).err().unwrap_or_default()
    }

    fn prepare(&self, study: &Study<'_>, files: &dyn Folder) -> Result<Prepared, TaskError> {
        let plan = Plan::new(study, files)?;
        let mut written = vec![(name(EXPORT_NAME)?, plan.export.text().into_bytes())];
        if let Some(parameters) = plan.parameters {
            written.push((name(PARAMETERS_NAME)?, parameters.into_bytes()));
        }
        let command = study.command.iter().cloned().chain([EXPORT_NAME.to_owned()]).collect();
        Ok(Prepared { command, files: written })
    }

    fn reader(&self, _: &Study<'_>) -> Box<dyn Reader> {
        Box::new(Messages::default())
    }

    fn conclude(&self, study: &Study<'_>, ended: &Ended, reader: &dyn Reader, files: &dyn Folder) -> Conclusion {
        let Some(messages) = reader.as_any().downcast_ref::<Messages>() else {
            return Conclusion {
                result: Err(TaskError::new(ErrorKind::Executor, "the reader is not Code_Aster's")),
                warnings: Vec::new(),
                files: Vec::new(),
                made: Vec::new(),
            };
        };
        // The command file may have changed what the plan is made from; then only its results are unknown.
        let plan = Plan::new(study, files).ok();
        let mut warnings = alarms(messages);
        let kept = plan.as_ref().map(|plan| results(plan, files, &mut warnings)).unwrap_or_default();
        let context = plan.as_ref().map(|plan| diagnostic::Context {
            time_limit_s: plan.time_limit_s,
            memory_limit_mb: plan.memory_limit_mb,
            command_files: plan.command_files(files),
        });
        let result = match diagnostic::failure(messages, ended, &context.unwrap_or_default()) {
            Some(error) => Err(error),
            None => summary(messages, read_tables(&kept, files, &mut warnings)),
        };
        warnings.extend(plan.map(|plan| plan.warnings).unwrap_or_default());
        let files = kept.into_iter().map(|(found, named, _)| (found, named)).collect();
        Conclusion { result, warnings, files, made: Vec::new() }
    }
}

/// A file that is kept: where it is, what it is called, and its type in the `.export`.
type Kept = (ArtifactName, ArtifactName, String);

fn results(plan: &Plan, files: &dyn Folder, warnings: &mut Vec<Warning>) -> Vec<Kept> {
    let listed = files.list().unwrap_or_else(|error| {
        warnings.push(warning("results_unread", format!("the work folder can't be listed: {error}")));
        Vec::new()
    });
    let mut kept: Vec<Kept> = Vec::new();
    for entry in plan.export.results() {
        let before = kept.len();
        for (found, _) in listed.iter().filter(|(found, _)| belongs(entry, found.as_str())) {
            kept.push((found.clone(), found.clone(), entry.kind.clone()));
        }
        // A run that was stopped leaves a result where the solver writes it: `fort.<unit>`, maybe in a folder of its own.
        if kept.len() == before && entry.unit > 0 {
            let unit = format!("fort.{}", entry.unit);
            let found = listed.iter().find(|(found, _)| found.as_str().rsplit('/').next() == Some(unit.as_str()));
            if let (Some((found, _)), Ok(named)) = (found, ArtifactName::parse(&entry.path)) {
                kept.push((found.clone(), named, entry.kind.clone()));
            }
        }
    }
    kept.sort();
    kept.dedup_by(|left, right| left.0 == right.0);
    if kept.len() > FILES_MAX {
        warnings.push(warning("results_left_out", format!("{} results are kept of {}", FILES_MAX, kept.len())));
        kept.truncate(FILES_MAX);
    }
    kept
}

/// Whether a file is (of) a result; a compressed one may have `.gz` added to its name.
fn belongs(entry: &Entry, file: &str) -> bool {
    let Some(rest) = file.strip_prefix(entry.path.as_str()) else { return false };
    match entry.shape {
        Shape::Folder => rest.starts_with('/'),
        Shape::File => rest.is_empty() || (entry.flags.compressed && rest == ".gz"),
    }
}

fn read_tables(kept: &[Kept], files: &dyn Folder, warnings: &mut Vec<Warning>) -> BTreeMap<String, Table> {
    let (mut tables, mut room) = (BTreeMap::new(), TABLE_BYTES_MAX);
    for (found, named, _) in kept.iter().filter(|(.., kind)| !NO_TABLES.contains(&kind.as_str())) {
        let named = named.as_str();
        let csv = if named.to_ascii_lowercase().ends_with(".csv") { Csv::Yes } else { Csv::No };
        let read = study::text(files, found.as_str(), room).and_then(|text| {
            let read = tables::read(&text, csv)?;
            room -= if read.is_empty() { 0 } else { text.len().min(room as usize) as u64 };
            Ok(read)
        });
        match read {
            Ok(read) => add(&mut tables, named, read),
            // A large file of another kind is no table that could not be read.
            Err(why) if csv == Csv::Yes => {
                warnings.push(warning("table_not_read", format!("{named} is kept as a file only: {why}")));
            }
            Err(_) => {}
        }
    }
    tables
}

fn add(tables: &mut BTreeMap<String, Table>, file: &str, read: Vec<Table>) {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    // `a.csv` and `a.table` are two files: the second keeps its whole name.
    let stem = if tables.contains_key(stem) { file } else { stem };
    for (number, table) in (1..).zip(read) {
        let key = if number == 1 { stem.to_owned() } else { format!("{stem}_{number}") };
        tables.entry(key).or_insert(table);
    }
}

/// The result of a study that completed.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    diagnostic: Option<&'a str>,
    version: Option<&'a str>,
    tables: BTreeMap<String, Table>,
    commands: &'a [message::Command],
    commands_ended: u64,
    time_steps: &'a newton::Steps,
    tests: &'a message::Tests,
    times: Option<&'a message::Times>,
    alarms: u64,
}

fn summary(messages: &Messages, tables: BTreeMap<String, Table>) -> Result<Box<RawValue>, TaskError> {
    let summary = Summary {
        diagnostic: messages.diagnostic.as_deref(),
        version: messages.version.as_deref(),
        tables,
        commands: &messages.commands,
        commands_ended: messages.commands_ended,
        time_steps: messages.steps(),
        tests: &messages.tests,
        times: messages.times.as_ref(),
        alarms: messages.alarm_count,
    };
    serde_json::value::to_raw_value(&summary)
        .map_err(|error| TaskError::new(ErrorKind::InvalidOutput, format!("the result is no JSON: {error}")))
}

fn alarms(messages: &Messages) -> Vec<Warning> {
    let told = messages.alarms.iter().map(|alarm| {
        let times = if alarm.count > 1 { format!(" ({} times)", alarm.count) } else { String::new() };
        warning("solver_alarm", format!("{}: {}{times}", alarm.code, alarm.summary))
    });
    let mut warnings: Vec<Warning> = told.collect();
    let kept: u64 = messages.alarms.iter().map(|alarm| alarm.count).sum();
    if kept < messages.alarm_count {
        let more = messages.alarm_count - kept;
        warnings.push(warning("solver_alarm", format!("and {more} further alarms, which are in the message file")));
    }
    warnings
}

fn warning(code: &str, message: String) -> Warning {
    Warning { code: code.to_owned(), message, line: None, pointer: None }
}

fn name(name: &str) -> Result<ArtifactName, TaskError> {
    ArtifactName::parse(name).map_err(|invalid| TaskError::new(ErrorKind::Executor, invalid.to_string()))
}

#[cfg(test)]
mod tests;
