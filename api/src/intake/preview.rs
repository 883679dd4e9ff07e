//! A preview's request.

use super::{
    Rejected,
    computation::{self, Computation},
    function::Called,
    limits,
    lookup::{FilePlaces, Intake, OpenFiles},
    solver::Solving,
    source::Ready,
};
use crate::{
    analysis::Analysis,
    functions::Call,
    json::{Faults, Fields, Path, Value},
};
use mecapy_model::{Code, Kernels, Lane, Limits, NonFinite, TaskError, Warning};
use mecapy_runtime::InputFile;
use std::{collections::BTreeSet, sync::Arc};

/// A preview that may run.
#[derive(Debug)]
pub struct Preview {
    pub code: Code,
    /// Why there is nothing to run: the source can't be compiled.
    pub failed: Option<TaskError>,
    /// For how long the source was compiled, where it was just now, milliseconds.
    pub compile_ms: Option<f64>,
    pub inputs: Arc<str>,
    pub files: Vec<InputFile>,
    /// Must be held for as long as the files are.
    pub file_places: Option<FilePlaces>,
    pub limits: Limits,
    pub seed: u64,
    pub non_finite: NonFinite,
    pub kernels: Kernels,
    /// What is known of the source, where the code is one.
    pub analysis: Option<Arc<Analysis>>,
    /// The function that is called, where the code is one.
    pub call: Option<Call>,
    /// What the request and its source are worth warning of.
    pub warnings: Vec<Warning>,
}

impl Intake<'_> {
    /// Accepts the preview that `text`, checked JSON, asks for.
    ///
    /// # Errors
    /// All faults of the request together.
    pub async fn preview(&self, text: &str) -> Result<Preview, Rejected> {
        let mut faults = Faults::default();
        let (asked, limits, mut warnings) = read(text, &mut faults);
        let Computation { code, function, inputs, files, seed, non_finite, kernels, .. } = asked;
        let readable = faults.is_empty();
        let called = match &function {
            Some(reference) => self.call(reference, inputs, &files, &mut faults).await?,
            None => None,
        };
        let analysis = match &code {
            Some(code) => self.check_code(code, &mut faults).await?,
            None => None,
        };
        warnings.extend(analysis.iter().flat_map(|analysis| analysis.warnings.iter().cloned()));
        // Before any file is open: it may take seconds.
        let ready = match &code {
            Some(code) if readable && faults.is_empty() => self.compiled_soon(code).await?,
            _ => None,
        };
        let compile_ms = ready.as_ref().and_then(|ready| ready.compile_ms);
        let (code, failed) = match ready {
            Some(Ready { code: made, warnings: told, .. }) => {
                warnings.extend(told);
                made.map_or_else(|error| (code, Some(error)), |made| (Some(made), None))
            }
            None => (code, None),
        };
        let files = match (readable, faults.is_empty()) {
            (true, true) => self.open_files(files, &mut faults).await?,
            (true, false) => {
                self.check_files(&files, &BTreeSet::new(), &mut faults).await?;
                OpenFiles::default()
            }
            (false, _) => OpenFiles::default(),
        };
        let (code, inputs, call) = match called {
            Some(Called { call, code, inputs, warnings: flags }) => {
                warnings.extend(flags);
                (Some(code), Arc::from(inputs.get()), Some(call))
            }
            None => (code, Arc::from(inputs), None),
        };
        match (code, limits) {
            (Some(code), Some(limits)) if faults.is_empty() => Ok(Preview {
                code,
                failed,
                compile_ms,
                inputs,
                call,
                files: files.files,
                file_places: files.places,
                limits,
                seed: seed.unwrap_or_else(|| self.new_seed()),
                non_finite,
                kernels,
                analysis,
                warnings,
            }),
            _ => Err(Rejected::Invalid(faults.into_vec())),
        }
    }
}

fn read<'a>(text: &'a str, faults: &mut Faults) -> (Computation<'a>, Option<Limits>, Vec<Warning>) {
    let Some(mut fields) = Fields::open(Value::of(text), Path::Root, faults) else {
        return (Computation::nothing(), None, Vec::new());
    };
    let computation = computation::read(&mut fields, Solving::Never, faults);
    let limits = limits::read(&mut fields, faults);
    fields.finish(faults);
    let lane = Lane::HighPriority;
    let warnings = limits::warnings(&limits, lane, computation.kernels);
    (computation, limits::resolve(&limits, lane, faults), warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faults_of_a_whole_request_come_together() {
        let text = r#"{"code": {"language": "python"}, "inputs": [1], "files": {"../x": "y", "ok": 3},
                       "limits": {"timeout_ms": 6000, "memory": 1}, "seed": -1, "non_finite": "maybe",
                       "kernels": "gpu", "lane": "default"}"#;
        let mut faults = Faults::default();
        read(text, &mut faults);
        let mut found: Vec<_> = faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect();
        found.sort();
        let expected = [
            ("/code/source", "required"),
            ("/files/..~1x", "invalid_name"),
            ("/files/ok", "wrong_type"),
            ("/inputs", "wrong_type"),
            ("/kernels", "unknown_value"),
            ("/lane", "unknown_field"),
            ("/limits/memory", "unknown_field"),
            ("/limits/timeout_ms", "out_of_range"),
            ("/non_finite", "unknown_value"),
            ("/seed", "out_of_range"),
        ];
        assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    }

    #[test]
    fn inputs_keep_their_text() {
        let mut faults = Faults::default();
        let text = r#"{"code":{"language":"python","source":""},"inputs": {"x" : 1e400, "big":123456789012345678901234567890} }"#;
        let (computation, limits, _) = read(text, &mut faults);
        assert_eq!(computation.inputs, r#"{"x" : 1e400, "big":123456789012345678901234567890}"#);
        assert_eq!(limits.map(|limits| limits.timeout_ms), Some(5_000));
        assert!(faults.is_empty());
    }
}
