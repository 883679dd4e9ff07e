//! Programs whose output nobody understands: the exit code decides, and every file that is new or changed is kept.
//!
//! A program may tell how far it is by lines `mecapy: progress 0.42 what it does`. Its inputs are in `inputs.json`.

use super::{Adapter, Conclusion, Ended, Folder, Prepared, Reader, Stopped, Study};
use crate::output;
use mecapy_model::{ArtifactName, ErrorKind, Fault, Progress, TaskError, Warning};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, VecDeque};

/// Where a program finds the task's inputs.
const INPUTS_NAME: &str = "inputs.json";
const PROGRESS: &str = "mecapy: progress ";
/// Files that are kept.
const FILES_MAX: usize = 1_000;
/// The last lines of a program that failed, and how much of each is kept.
const TAIL_LINES_MAX: usize = 20;
const TAIL_LINE_BYTES_MAX: usize = 300;

/// The adapter for programs without one of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Adapter for Plain {
    fn check(&self, study: &Study<'_>) -> Vec<Fault> {
        let taken = study.files.iter().any(|(name, _)| name.as_str() == INPUTS_NAME);
        let fault = || Fault {
            pointer: format!("/code/files/{INPUTS_NAME}"),
            code: "reserved".to_owned(),
            message: format!("{INPUTS_NAME} holds the task's inputs: send yours under another name"),
            line: None,
            column: None,
        };
        taken.then(fault).into_iter().collect()
    }

    fn prepare(&self, study: &Study<'_>, _: &dyn Folder) -> Result<Prepared, TaskError> {
        let name = ArtifactName::parse(INPUTS_NAME)
            .map_err(|invalid| TaskError::new(ErrorKind::Executor, invalid.to_string()))?;
        let inputs = study.inputs.get().as_bytes().to_vec();
        Ok(Prepared { command: study.command.to_vec(), files: vec![(name, inputs)] })
    }

    fn reader(&self, _: &Study<'_>) -> Box<dyn Reader> {
        Box::new(Lines::default())
    }

    fn conclude(&self, study: &Study<'_>, ended: &Ended, reader: &dyn Reader, files: &dyn Folder) -> Conclusion {
        let mut warnings = Vec::new();
        let files = produced(study, files, &mut warnings);
        let result = match failure(ended) {
            None => RawValue::from_string(format!("{{\"exit_code\":{}}}", ended.exit_code))
                .map_err(|error| TaskError::new(ErrorKind::InvalidOutput, error.to_string())),
            Some((kind, message)) => {
                let mut error = TaskError::new(kind, message);
                let lines = reader.as_any().downcast_ref::<Lines>();
                error.traceback = lines.and_then(Lines::text);
                Err(error)
            }
        };
        Conclusion { result, warnings, files, made: Vec::new() }
    }
}

fn failure(ended: &Ended) -> Option<(ErrorKind, String)> {
    match ended.stopped {
        Some(Stopped::Timeout) => Some((ErrorKind::Timeout, "the wall time of the task was used up".to_owned())),
        Some(Stopped::Cancelled) => Some((ErrorKind::Cancelled, "the task was cancelled".to_owned())),
        Some(Stopped::Flood) => Some((ErrorKind::Solver, "the program wrote more output than is kept".to_owned())),
        // Where only one of its processes was killed, the program's own exit code decides.
        Some(Stopped::OutOfMemory) if ended.exit_code != 0 => {
            Some((ErrorKind::OutOfMemory, "the task's memory was used up".to_owned()))
        }
        _ if ended.exit_code != 0 => {
            Some((ErrorKind::Solver, format!("the program ended with exit code {}", ended.exit_code)))
        }
        _ => None,
    }
}

/// The files that are new, or whose size is not the one that was sent: a folder tells sizes, and no file is read twice
/// to find out. One that was changed without changing its size is not noticed; a program that changes an input
/// writes it under a name of its own.
fn produced(study: &Study<'_>, files: &dyn Folder, warnings: &mut Vec<Warning>) -> Vec<(ArtifactName, ArtifactName)> {
    let mut warn = |code: &str, message: String| {
        warnings.push(Warning { code: code.to_owned(), message, line: None, pointer: None });
    };
    let listed = files.list().unwrap_or_else(|error| {
        warn("results_unread", format!("the work folder can't be listed: {error}"));
        Vec::new()
    });
    let sent: BTreeMap<&str, Option<u64>> = study.files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let is_new = |name: &str, bytes: u64| match sent.get(name) {
        _ if name == INPUTS_NAME => false,
        Some(known) => known.is_some_and(|known| known != bytes),
        None => true,
    };
    let mut found: Vec<ArtifactName> =
        listed.into_iter().filter(|(name, bytes)| is_new(name.as_str(), *bytes)).map(|(name, _)| name).collect();
    if found.len() > FILES_MAX {
        warn("results_left_out", format!("{FILES_MAX} files are kept of {}", found.len()));
        found.truncate(FILES_MAX);
    }
    found.into_iter().map(|name| (name.clone(), name)).collect()
}

/// Progress, and the last lines.
#[derive(Debug, Default)]
struct Lines {
    tail: VecDeque<String>,
}

impl Lines {
    fn text(&self) -> Option<String> {
        let lines: Vec<&str> = self.tail.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

impl Reader for Lines {
    fn line(&mut self, line: &str) -> Option<Progress> {
        if let Some(told) = line.trim_start().strip_prefix(PROGRESS) {
            return output::progress(told);
        }
        if !line.trim().is_empty() {
            if self.tail.len() >= TAIL_LINES_MAX {
                self.tail.pop_front();
            }
            let kept = line.get(..line.floor_char_boundary(TAIL_LINE_BYTES_MAX)).unwrap_or_default();
            self.tail.push_back(kept.to_owned());
        }
        None
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::Limits;
    use std::io::{self, Read};
    use std::time::Duration;

    struct Sizes(Vec<(&'static str, u64)>);

    impl Folder for Sizes {
        fn list(&self) -> io::Result<Vec<(ArtifactName, u64)>> {
            Ok(self.0.iter().map(|(name, bytes)| (ArtifactName::parse(name).unwrap(), *bytes)).collect())
        }

        fn open(&self, _: &str) -> io::Result<Box<dyn Read + '_>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn conclude(ended: Ended, output: &str, sent: &[(&str, u64)], left: Sizes) -> Conclusion {
        let inputs = RawValue::from_string("{}".to_owned()).unwrap();
        let files: Vec<_> =
            sent.iter().map(|(name, bytes)| (ArtifactName::parse(name).unwrap(), Some(*bytes))).collect();
        let limits = Limits { timeout_ms: 1, memory_bytes: 1, fuel: 0, cpus: 1 };
        let study = Study { inputs: &inputs, files: &files, limits: &limits, command: &[] };
        let mut reader = Plain.reader(&study);
        output.lines().for_each(|line| {
            reader.line(line);
        });
        Plain.conclude(&study, &ended, &*reader, &left)
    }

    const ENDED: Ended = Ended { exit_code: 0, stopped: None, disk_free_bytes: 1, wall: Duration::ZERO };

    #[test]
    fn new_and_changed_files_are_kept() {
        let left = Sizes(vec![("a.txt", 3), ("b.txt", 5), ("inputs.json", 2), ("out/c.txt", 0)]);
        let conclusion = conclude(ENDED, "", &[("a.txt", 3), ("b.txt", 4)], left);
        assert_eq!(conclusion.result.unwrap().get(), r#"{"exit_code":0}"#);
        let kept: Vec<_> = conclusion.files.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(kept, ["b.txt", "out/c.txt"]);
    }

    #[test]
    fn the_exit_code_and_what_stopped_it_decide() {
        let rows = [
            (Ended { exit_code: 3, ..ENDED }, Some(ErrorKind::Solver)),
            (Ended { exit_code: 137, stopped: Some(Stopped::OutOfMemory), ..ENDED }, Some(ErrorKind::OutOfMemory)),
            (Ended { stopped: Some(Stopped::OutOfMemory), ..ENDED }, None),
            (Ended { stopped: Some(Stopped::Timeout), ..ENDED }, Some(ErrorKind::Timeout)),
            (Ended { stopped: Some(Stopped::Cancelled), ..ENDED }, Some(ErrorKind::Cancelled)),
            (Ended { stopped: Some(Stopped::Flood), ..ENDED }, Some(ErrorKind::Solver)),
        ];
        for (ended, expected) in rows {
            let error = conclude(ended, "one\n\ntwo\n", &[], Sizes(vec![])).result.err();
            assert_eq!(error.as_ref().map(|error| error.kind), expected, "{ended:?}");
            assert!(error.is_none_or(|error| error.traceback.as_deref() == Some("one\ntwo")));
        }
    }

    #[test]
    fn progress_is_told_in_its_own_lines() {
        let rows = [
            ("mecapy: progress 0.42 half way", Some((0.42, Some("half way")))),
            ("  mecapy: progress 7", Some((1.0, None))),
            ("mecapy: progress -1 x", Some((0.0, Some("x")))),
            ("mecapy: progress NaN", None),
            ("mecapy: progress", None),
            ("progress 0.5", None),
        ];
        for (line, expected) in rows {
            let told = Lines::default().line(line);
            let told = told.as_ref().map(|told| (told.fraction, told.message.as_deref()));
            assert_eq!(told, expected, "{line}");
        }
    }
}
