//! What was sent: which file is the main deck, what it may be called, and which files are results.

use super::super::{Folder, Study};
use mecapy_model::{ArtifactName, Fault};
use serde_json::{Map, Value};

/// CalculiX's job names go into its files' names.
const JOB_BYTES_MAX: usize = 80;
/// What CalculiX writes beside the deck, and would overwrite.
const WRITTEN: [&str; 5] = ["dat", "frd", "sta", "cvg", "12d"];
/// Scratch of the equation solver.
const SCRATCH: [&str; 1] = ["spooles.out"];

/// Faults of names and inputs.
pub(super) fn faults(study: &Study<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let unknown = |name: &String| {
        let message = format!("CalculiX takes no input {name:?}; the one that there is, is \"deck\"");
        Fault::new(format!("/inputs/{}", escaped(name)), "unknown_input", message)
    };
    faults.extend(inputs(study).keys().filter(|name| *name != "deck").map(unknown));
    match main_deck(study) {
        Err(fault) => faults.push(fault),
        Ok(main) => {
            let job = job(&main);
            let taken = |name: &str| WRITTEN.iter().any(|extension| name == format!("{job}.{extension}"));
            faults.extend(study.files.iter().filter(|(name, _)| taken(name.as_str())).map(|(name, _)| {
                let message = "CalculiX writes a file of this name itself: send it under another";
                Fault::new(file_pointer(name.as_str()), "name_taken", message)
            }));
        }
    }
    faults
}

fn inputs(study: &Study<'_>) -> Map<String, Value> {
    serde_json::from_str(study.inputs.get()).unwrap_or_default()
}

/// The name of the main deck.
pub(super) fn main_deck(study: &Study<'_>) -> Result<String, Fault> {
    let names = || study.files.iter().map(|(name, _)| name.as_str());
    let main = match inputs(study).get("deck") {
        Some(Value::String(named)) if names().any(|name| name == named) => named.clone(),
        Some(Value::String(named)) => {
            let message = format!("the deck {named} is not among the files that were sent");
            return Err(Fault::new("/inputs/deck", "missing_deck", message));
        }
        Some(_) => return Err(Fault::new("/inputs/deck", "invalid_deck", "\"deck\" is the name of a file, as text")),
        None => only_deck(&names().collect::<Vec<_>>())?,
    };
    let fault = |message: &str| Err(Fault::new(file_pointer(&main), "invalid_deck_name", message));
    let Some(job) = main.strip_suffix(".inp") else { return fault("the deck's name must end with .inp") };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !job.chars().all(plain) || !job.starts_with(|c: char| c.is_ascii_alphanumeric()) || job.len() > JOB_BYTES_MAX {
        return fault(
            "the deck's name may have 80 letters of a to z, digits, \"_\", \"-\" and \".\", begins with a letter or digit, \
             and is in no folder: CalculiX makes the names of its files from it",
        );
    }
    Ok(main)
}

fn only_deck(names: &[&str]) -> Result<String, Fault> {
    let decks: Vec<&str> = names.iter().copied().filter(|name| name.to_ascii_lowercase().ends_with(".inp")).collect();
    match decks.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Fault::new("/code/files", "missing_deck", "there is no deck: send a file whose name ends with .inp")),
        [first, ..] => {
            let listed = decks.iter().take(10).copied().collect::<Vec<_>>().join(", ");
            let message =
                format!("which is the main deck: {listed}? Say so in the inputs, as {{\"deck\": \"{first}\"}}");
            Err(Fault::new("/inputs/deck", "ambiguous_deck", message))
        }
    }
}

/// The job's name: the deck's without `.inp`.
pub(super) fn job(main: &str) -> &str {
    main.strip_suffix(".inp").unwrap_or(main)
}

/// The files that CalculiX wrote: what is there and was not sent, empty files and scratch left out.
pub(super) fn kept(study: &Study<'_>, files: &dyn Folder) -> Vec<(ArtifactName, ArtifactName)> {
    let sent = |name: &ArtifactName| study.files.iter().any(|(known, _)| known == name);
    let listed = files.list().unwrap_or_default().into_iter();
    let written = listed.filter(|(name, bytes)| *bytes > 0 && !sent(name) && !SCRATCH.contains(&name.as_str()));
    written.map(|(name, _)| (name.clone(), name)).collect()
}

fn file_pointer(name: &str) -> String {
    format!("/code/files/{}", escaped(name))
}

/// A name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
