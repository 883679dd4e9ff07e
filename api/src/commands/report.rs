//! How a computation ended, in one form for `run`, `preview`, `submit --wait` and `watch`.

use super::{
    artifacts::SavedArtifact,
    exit::Exit,
    refusal::SourceText,
    terminal::{self, Diagnostic, Format, Severity, Style, Terminal, neutralise, neutralise_line},
};
use mecapy_model::{TaskError, TaskId, TaskState, Usage, Warning};
use serde::Serialize;
use serde_json::value::RawValue;

/// The whole of what is known at the end; with `--json` this is the document on stdout.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TaskId>,
    pub state: TaskState,
    pub result: Option<Box<RawValue>>,
    pub error: Option<TaskError>,
    pub warnings: Vec<Warning>,
    pub seed: Option<u64>,
    #[serde(flatten)]
    pub output: Option<Output>,
    pub usage: Option<Usage>,
    pub artifacts: Vec<SavedArtifact>,
}

/// What the guest printed.
#[derive(Debug, Serialize)]
pub(crate) struct Output {
    pub stdout: String,
    pub stderr: String,
    pub stdout_truncated: bool,
}

/// Whether the guest's output has been shown while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Live,
    NotYet,
}

impl Report {
    /// Shows it, and answers the exit it stands for. `source` is what the user's line numbers count in.
    pub(crate) fn show(&self, terminal: &Terminal, source: Option<&SourceText>, output: Shown) -> Exit {
        match terminal.format {
            Format::Json => terminal.print_json(self),
            Format::Human => self.show_to_people(terminal, source, output),
        }
        Exit::of_computation(self.state, self.error.as_ref().map(|error| error.kind))
    }

    fn show_to_people(&self, terminal: &Terminal, source: Option<&SourceText>, shown: Shown) {
        if let Some(output) = self.output.as_ref() {
            if shown == Shown::NotYet {
                terminal.print_raw(&whole_lines(&output.stdout));
                terminal.note_raw(&whole_lines(&output.stderr));
            }
            if output.stdout_truncated {
                terminal.note(
                    &terminal.err.paint(Style::Yellow, "the output was cut: it is longer than the platform keeps"),
                );
            }
        }
        show_warnings(&self.warnings, source, terminal);
        if let Some(result) = self.result.as_deref() {
            for line in terminal::result_lines(result, terminal.out, terminal.columns) {
                terminal.print(&line);
            }
        }
        if let Some(error) = &self.error {
            terminal.note(&error_text(error, source, terminal));
        } else if self.state == TaskState::Cancelled {
            terminal.note(&terminal.err.paint(Style::Yellow, "cancelled"));
        }
        for artifact in &self.artifacts {
            terminal.note(&artifact_line(artifact, terminal));
        }
        if let Some(usage) = &self.usage {
            terminal.note(&terminal.err.paint(Style::Dim, &terminal::usage_line(usage)));
        }
    }
}

/// Text that ends with a line feed, so that what follows begins a line.
fn whole_lines(text: &str) -> String {
    let mut text = neutralise(text).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Tells people what was noticed; `source` is what line numbers count in.
pub(crate) fn show_warnings(warnings: &[Warning], source: Option<&SourceText>, terminal: &Terminal) {
    for warning in warnings {
        let diagnostic = Diagnostic {
            severity: Severity::Warning,
            code: &warning.code,
            message: &warning.message,
            pointer: warning.pointer.as_deref().unwrap_or_default(),
            line: warning.line,
            column: None,
        };
        terminal.note(&diagnostic.render(source, terminal.err));
    }
}

fn error_text(error: &TaskError, source: Option<&SourceText>, terminal: &Terminal) -> String {
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        code: error.kind.as_str(),
        message: &error.message,
        pointer: "",
        line: error.line,
        column: None,
    };
    let mut text = diagnostic.render(source, terminal.err);
    if let Some(traceback) = error.traceback.as_deref().filter(|traceback| !traceback.trim().is_empty()) {
        let lines: Vec<_> = neutralise(traceback).trim_end().lines().map(|line| format!("  {line}")).collect();
        let lines: Vec<_> = lines.iter().map(|line| terminal.err.paint(Style::Red, line)).collect();
        text = format!("{text}\n{}", lines.join("\n"));
    }
    text
}

fn artifact_line(artifact: &SavedArtifact, terminal: &Terminal) -> String {
    let size = terminal::bytes(artifact.size_bytes);
    match &artifact.path {
        Some(path) => {
            let path = neutralise_line(&path.display().to_string());
            format!("{} {path} ({size})", terminal.err.paint(Style::Green, "wrote"))
        }
        None => format!("{} {} ({size})", terminal.err.paint(Style::Green, "artifact"), artifact.name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::ErrorKind;

    fn terminal() -> Terminal {
        Terminal::new(Format::Json)
    }

    fn report() -> Report {
        Report {
            id: None,
            state: TaskState::Completed,
            result: Some(RawValue::from_string(r#"{"b": 1.50, "a": 12345678901234567890123}"#.into()).unwrap()),
            error: None,
            warnings: Vec::new(),
            seed: Some(7),
            output: Some(Output { stdout: "hi\n".into(), stderr: String::new(), stdout_truncated: false }),
            usage: None,
            artifacts: Vec::new(),
        }
    }

    #[test]
    fn the_document_has_the_names_of_the_contract_and_the_results_own_digits() {
        let text = serde_json::to_string(&report()).unwrap();
        assert_eq!(
            text,
            r#"{"state":"completed","result":{"b": 1.50, "a": 12345678901234567890123},"error":null,"warnings":[],"seed":7,"stdout":"hi\n","stderr":"","stdout_truncated":false,"usage":null,"artifacts":[]}"#
        );
    }

    #[test]
    fn an_error_shows_its_line_and_its_traceback() {
        let source = SourceText { name: "beam.py".into(), text: "x = 0\ny = 1 / x\n".into() };
        let error = TaskError {
            kind: ErrorKind::Exception,
            message: "ZeroDivisionError: division by zero".into(),
            traceback: Some("Traceback (most recent call last):\n  File \"task.py\", line 2\x1b[2J\n".into()),
            line: Some(2),
        };
        let expected = "\
error[exception]: ZeroDivisionError: division by zero
 --> beam.py:2
  |
2 | y = 1 / x
  Traceback (most recent call last):
    File \"task.py\", line 2␛[2J";
        assert_eq!(error_text(&error, Some(&source), &terminal()), expected);
    }

    #[test]
    fn output_that_ends_in_the_middle_of_a_line_gets_its_end() {
        assert_eq!(whole_lines("50 %\x07"), "50 %␇\n");
        assert_eq!(whole_lines("a\n"), "a\n");
        assert_eq!(whole_lines(""), "");
    }
}
