//! `CalculiX`, a finite-element solver: a deck (`.inp`) in, `.dat` and `.frd` files out.
//!
//! Built against CalculiX CrunchiX 2.20. Its exit code says little: a missing file, a keyword that it doesn't know and a
//! full disk all end with 0. What decides is `Job finished`, no `*ERROR`, no card that could not be interpreted, and an
//! `.frd` file that is whole.

mod dat;
mod deck;
mod diagnosis;
mod frd;
mod keywords;
mod lines;
mod output;
mod picture;
mod results;
#[cfg(test)]
mod shelf;
mod study;
#[cfg(test)]
mod tests;
mod token;

use super::{Adapter, Conclusion, Ended, Folder, Prepared, Reader, Study};
use dat::Printed;
use deck::Deck;
use diagnosis::{Case, bare};
use frd::{Frd, Kind};
use mecapy_model::{Artifact, ArtifactName, ErrorKind, Fault, TaskError, Warning};
use output::{Follower, Run};
use std::io;

/// Messages of CalculiX that become warnings of the task.
const WARNINGS_MAX: usize = 50;
/// A model that is farther away than so many times its own size was not held.
const FAR_MAX: f64 = 1e6;
/// The same for a deck that holds nothing by `*BOUNDARY`.
const FAR_UNHELD_MAX: f64 = 1e3;

/// Understands CalculiX. The task's inputs are `{"deck": "beam.inp"}`, or `{}` where one `.inp` file alone was sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct CalculiX;

impl Adapter for CalculiX {
    fn check(&self, study: &Study<'_>) -> Vec<Fault> {
        study::faults(study)
    }

    fn prepare(&self, study: &Study<'_>, files: &dyn Folder) -> Result<Prepared, TaskError> {
        let main = study::main_deck(study).map_err(as_error)?;
        let deck = Deck::read(files, &main).map_err(|fault| fault.into_error(&main))?;
        if deck.steps.is_empty() {
            let message = format!("{main} has no *STEP, so nothing would be computed");
            return Err(TaskError::new(ErrorKind::InvalidInput, message));
        }
        let mut command = study.command.to_vec();
        command.push(study::job(&main).to_owned());
        Ok(Prepared { command, files: Vec::new() })
    }

    fn reader(&self, _study: &Study<'_>) -> Box<dyn Reader> {
        Box::new(Follower::new(None))
    }

    fn reader_beside(&self, study: &Study<'_>, files: &dyn Folder) -> Box<dyn Reader> {
        let main = study::main_deck(study).ok();
        Box::new(Follower::new(main.and_then(|main| Deck::read(files, &main).ok())))
    }

    fn conclude(&self, study: &Study<'_>, ended: &Ended, reader: &dyn Reader, files: &dyn Folder) -> Conclusion {
        let main = match study::main_deck(study) {
            Ok(main) => main,
            Err(fault) => return failed(as_error(fault), Vec::new()),
        };
        let Some(follower) = reader.as_any().downcast_ref::<Follower>() else {
            return failed(TaskError::new(ErrorKind::Executor, "the output was read as another solver's"), Vec::new());
        };
        let mut run = follower.run.clone();
        run.settle();
        let deck = Deck::read(files, &main).ok();
        let kept = study::kept(study, files);
        let case = Case { run: &run, main: &main, deck: deck.as_ref(), ended, files };
        if let Some(error) = case.failure() {
            return Conclusion { warnings: warnings(&run), ..failed(error, kept) };
        }
        match finished(&case) {
            Ok(done) => Conclusion { files: kept, ..done },
            Err(error) => Conclusion { warnings: warnings(&run), ..failed(error, kept) },
        }
    }
}

fn as_error(fault: Fault) -> TaskError {
    TaskError::new(ErrorKind::InvalidInput, fault.message)
}

fn failed(error: TaskError, files: Vec<(ArtifactName, ArtifactName)>) -> Conclusion {
    Conclusion { result: Err(error), warnings: Vec::new(), files, made: Vec::new() }
}

fn warning(code: &str, message: impl Into<String>) -> Warning {
    Warning { code: code.to_owned(), message: message.into(), line: None, pointer: None }
}

fn warnings(run: &Run) -> Vec<Warning> {
    let said = run.warnings.iter().take(WARNINGS_MAX);
    said.map(|block| warning("solver", bare(&block.text()))).collect()
}

/// Reads the results of a run that went through, and judges them.
fn finished(case: &Case<'_>) -> Result<Conclusion, TaskError> {
    let job = study::job(case.main);
    let unreadable =
        |error: io::Error| TaskError::new(ErrorKind::Executor, format!("the results can't be read: {error}"));
    let printed = match open(case.files, &format!("{job}.dat")).map_err(unreadable)? {
        Some(file) => dat::read(file).map_err(unreadable)?,
        None => Printed::default(),
    };
    let frd = match open(case.files, &format!("{job}.frd")).map_err(unreadable)? {
        Some(file) => Some(frd::read(file).map_err(unreadable)?),
        None => None,
    };
    if let Some(message) = unusable(case, frd.as_ref()) {
        return Err(case.error_of(message));
    }
    let mut warnings = warnings(case.run);
    warnings.extend(output_warnings(case, &printed, frd.as_ref()));
    let result = results::json(job, case.run.version.as_deref(), &printed, frd.as_ref());
    let result = result.ok_or_else(|| TaskError::new(ErrorKind::Executor, "the result could not be put together"))?;
    let drawn = frd.as_ref().map(|frd| picture::draw(job, frd)).unwrap_or_default();
    let made = drawn.into_iter().filter_map(|drawn| {
        Some(Artifact::new(ArtifactName::parse(&format!("{job}-{}.png", drawn.name)).ok()?, drawn.png))
    });
    Ok(Conclusion { result: Ok(result), warnings, files: Vec::new(), made: made.collect() })
}

fn open<'a>(files: &'a dyn Folder, name: &str) -> io::Result<Option<Box<dyn io::Read + 'a>>> {
    match files.open(name) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why results that are there can't be trusted.
fn unusable(case: &Case<'_>, frd: Option<&Frd>) -> Option<String> {
    let steps = case.deck.map_or(1, |deck| deck.steps.len());
    if steps == 0 || case.run.step == 0 {
        return Some("nothing was computed: the deck has no step, or one without *END STEP".to_owned());
    }
    let asked = case.deck.is_none_or(|deck| deck.asks_for_file);
    let Some(frd) = frd else { return asked.then(|| "CalculiX wrote no .frd file".to_owned()) };
    if !frd.complete {
        return Some("the .frd file breaks off before its end, so the results are incomplete".to_owned());
    }
    if asked && frd.blocks == 0 {
        return Some(format!(
            "the .frd file holds a mesh and no results: was a procedure (*STATIC, *FREQUENCY, …) run, and do *NODE FILE \
             and *EL FILE name variables that it has? CalculiX said: {}",
            case.run.warnings.last().map_or_else(|| "nothing".to_owned(), |block| bare(&block.text()))
        ));
    }
    let held = case.deck.is_none_or(|deck| deck.has_boundary);
    let far = if held { FAR_MAX } else { FAR_UNHELD_MAX };
    let times = frd.frames.iter().filter(|frame| frame.kind == Kind::Time);
    let lost = times.clone().find_map(|frame| {
        let peak = frame.displacement_max.filter(|peak| frd.diagonal > 0.0 && peak.value > far * frd.diagonal)?;
        Some(format!("node {} moves by {:.1e}, and the model is {:.3} across", peak.node, peak.value, frd.diagonal))
    });
    let broken = || {
        times
            .clone()
            .find_map(|frame| frame.not_finite)
            .map(|node| format!("node {node} has values that are no numbers"))
    };
    let what = lost.or_else(broken)?;
    let why = if held {
        "it is probably not held against every rigid motion, or parts of it hang loose"
    } else {
        "nothing holds it: the deck has no *BOUNDARY"
    };
    Some(format!("the results are meaningless ({what}). Check the supports of the model: {why}"))
}

/// What an engineer should know of results that are incomplete by their own choice or by size.
fn output_warnings(case: &Case<'_>, printed: &Printed, frd: Option<&Frd>) -> Vec<Warning> {
    let mut found: Vec<Warning> = printed
        .left_out
        .iter()
        .map(|text| warning("rows_left_out", format!("{text}; the .dat file has all")))
        .collect();
    if case.deck.is_some_and(|deck| !deck.asks_for_file) {
        found.push(warning(
            "no_field_output",
            "the deck asks for no results in the .frd file, so there are no extremes and no picture. Add these lines \
             before *END STEP: *NODE FILE, then U, then *EL FILE, then S",
        ));
    }
    let Some(frd) = frd else { return found };
    if frd.binary {
        found.push(warning(
            "binary_results",
            "the .frd file is binary, so there are no extremes and no picture: write *NODE FILE and *EL FILE instead of \
             *NODE OUTPUT and *ELEMENT OUTPUT",
        ));
    }
    if frd.frames_left_out > 0 {
        let message = format!(
            "{} of {} increments and modes are in the result",
            frd::FRAMES_MAX,
            frd.frames_left_out + frd::FRAMES_MAX as u64
        );
        found.push(warning("steps_left_out", message));
    }
    if frd.mesh.too_large {
        found.push(warning("no_picture", "the mesh is too large for a picture here: open the .frd file"));
    }
    found
}
