//! A call of a published function: its inputs before the run, its outputs after it.

use super::published::Published;
use crate::packages::Function;
use mecapy_model::{
    Code, ErrorKind, Fault, NonFinite, Outcome, TaskError,
    ports::{Checked, FileUse, Run},
};
use serde_json::value::RawValue;
use std::{collections::BTreeSet, sync::Arc};

/// Where a request has its inputs.
const INPUTS: &str = "/inputs";
/// So many faults of inputs or of a result are told in their error.
const FAULTS_TOLD_MAX: usize = 5;

/// A function of a published package, to be called.
#[derive(Debug, Clone)]
pub struct Call {
    published: Arc<Published>,
    at: usize,
}

impl Call {
    pub(super) fn of(published: Arc<Published>, function: &str) -> Option<Self> {
        let at = published.manifest.functions.iter().position(|found| found.name.as_str() == function)?;
        Some(Self { published, at })
    }

    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    pub fn function(&self) -> Option<&Function> {
        self.published.manifest.functions.get(self.at)
    }

    /// The code of a task that makes this call: the version is pinned.
    pub fn code(&self) -> Option<Code> {
        let function = self.published.reference(self.function()?);
        Some(Code::Function { function, package: self.published.row.digest })
    }

    /// The inputs as the guest gets them: checked, in the units of the ports, with defaults. As they came where the
    /// manifest declares none. `files` are the names of the request's.
    ///
    /// # Errors
    /// Every fault, with its place under `/inputs`.
    pub fn inputs(&self, inputs: &RawValue, files: &BTreeSet<&str>) -> Result<Checked, Vec<Fault>> {
        match self.function() {
            Some(function) => checked_inputs(function, inputs, files),
            None => Err(vec![Fault::new("/code/function", "unknown_function", "the function is not in its package")]),
        }
    }

    /// The outcome with its result checked by the output ports; what doesn't fit is `invalid_output`, and conditions that
    /// are only told are warnings.
    #[must_use]
    pub fn finish(&self, mut outcome: Outcome, inputs: &str, non_finite: NonFinite) -> Outcome {
        let signature = self.function().map(|function| &function.signature);
        let Some(signature) = signature.filter(|signature| signature.outputs().is_some()) else { return outcome };
        let Ok(result) = &outcome.result else { return outcome };
        // What was stored as JSON is JSON.
        let Ok(inputs) = serde_json::from_str::<&RawValue>(inputs) else { return outcome };
        match signature.ports.check_outputs(result, Run { inputs, non_finite }, "") {
            Ok(checked) => {
                let written = |name: &str| outcome.artifacts.iter().any(|artifact| artifact.name.as_str() == name);
                let lost = checked.files.iter().find(|used| !written(used.name.as_str()));
                outcome.result = match lost {
                    None => Ok(checked.values),
                    Some(used) => Err(TaskError::new(
                        ErrorKind::InvalidOutput,
                        format!("{}: the function wrote no file {} under /work/out", used.pointer, used.name.as_str()),
                    )),
                };
                outcome.warnings.extend(checked.flags);
            }
            Err(faults) => outcome.result = Err(invalid_outputs(&faults)),
        }
        outcome
    }
}

/// The same of a function by itself.
pub(super) fn checked_inputs(
    function: &Function,
    inputs: &RawValue,
    files: &BTreeSet<&str>,
) -> Result<Checked, Vec<Fault>> {
    let signature = &function.signature;
    if signature.inputs().is_none() {
        return Ok(Checked { values: inputs.to_owned(), files: Vec::new(), flags: Vec::new() });
    }
    let checked = signature.ports.check_inputs(inputs, INPUTS)?;
    let missing = |used: &&FileUse| !files.contains(used.name.as_str());
    let faults: Vec<Fault> = checked.files.iter().filter(missing).map(|used| no_file(used, files)).collect();
    if faults.is_empty() { Ok(checked) } else { Err(faults) }
}

fn no_file(used: &FileUse, files: &BTreeSet<&str>) -> Fault {
    let has = files.iter().copied().collect::<Vec<_>>().join(", ");
    let has = if has.is_empty() { "the request has no files".to_owned() } else { format!("its files are {has}") };
    let name = used.name.as_str();
    let message =
        format!("there is no file {name:?}: name its upload in /files, as {{{name:?}: \"<upload id>\"}} ({has})");
    Fault::new(used.pointer.clone(), "unknown_file", message)
}

/// What an item of a batch fails with whose inputs don't fit: nobody waits for its faults as a request's client does.
pub fn invalid_inputs(faults: &[Fault]) -> TaskError {
    let message = format!("the inputs don't fit the function's: {}", told(faults));
    TaskError::new(ErrorKind::InvalidInput, message)
}

fn invalid_outputs(faults: &[Fault]) -> TaskError {
    let message = format!("the result doesn't fit the function's outputs: {}", told(faults));
    TaskError::new(ErrorKind::InvalidOutput, message)
}

/// The first ones, each with its place.
fn told(faults: &[Fault]) -> String {
    let told = faults.iter().take(FAULTS_TOLD_MAX).map(|fault| match fault.pointer.as_str() {
        "" => fault.message.clone(),
        pointer => format!("{pointer}: {}", fault.message),
    });
    let mut message = told.collect::<Vec<_>>().join("; ");
    if faults.len() > FAULTS_TOLD_MAX {
        message.push_str(&format!("; and {} more", faults.len() - FAULTS_TOLD_MAX));
    }
    message
}
