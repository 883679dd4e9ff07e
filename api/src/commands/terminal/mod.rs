//! Where output goes: results to stdout, everything said about them to stderr, and JSON alone on stdout for
//! programs.
//!
//! Whatever comes from a guest or a server is neutralised before it is shown.

mod block;
mod columns;
mod diagnostic;
mod escape;
mod paint;
mod progress;
mod quantity;
mod shape;
mod table;

pub(crate) use block::Block;
pub(crate) use columns::{aligned, aligned_rows};
pub(crate) use diagnostic::{Diagnostic, Severity};
pub(crate) use escape::{neutralise, neutralise_line, summary};
pub(crate) use paint::{Painter, Style};
pub(crate) use progress::FRACTION_STEPS;
pub(crate) use quantity::{bytes, count, duration, parse_bytes, significant, usage_line};
pub(crate) use shape::{Shape, object_members};
pub(crate) use table::lines as result_lines;

use crate::{
    client::{ClientError, Problem},
    commands::refusal::{Pointed, Refusal},
    config,
};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Who reads stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Human,
    Json,
}

/// The process's stdout and stderr.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    pub format: Format,
    /// Colours of stdout.
    pub out: Painter,
    /// Colours of stderr.
    pub err: Painter,
    /// Width of stdout, in columns.
    pub columns: usize,
    /// Whether stderr can show something that moves.
    animated: bool,
}

/// Width where stdout is no terminal.
const COLUMNS_DEFAULT: usize = 100;

impl Terminal {
    pub(crate) fn new(format: Format) -> Self {
        let painter = |is_terminal: bool| {
            let colours = is_terminal && format == Format::Human && config::colours_allowed();
            if colours { Painter::Colours } else { Painter::Plain }
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let columns = if out { usize::from(console::Term::stdout().size().1) } else { COLUMNS_DEFAULT };
        let animated = err && format == Format::Human;
        Self { format, out: painter(out), err: painter(err), columns, animated }
    }

    /// A line on stdout.
    pub(crate) fn print(&self, line: &str) {
        self.print_raw(&format!("{line}\n"));
    }

    /// Exactly this text on stdout. A reader that has gone away is no error: it has seen what it wanted.
    pub(crate) fn print_raw(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// A line on stderr, for people only.
    pub(crate) fn note(&self, line: &str) {
        if self.format == Format::Human {
            self.note_raw(&format!("{line}\n"));
        }
    }

    /// Exactly this text on stderr.
    pub(crate) fn note_raw(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// A JSON document on stdout, on one line.
    pub(crate) fn print_json<T: Serialize>(&self, document: &T) {
        // What is serialised here has string keys and no failing implementation.
        self.print(&serde_json::to_string(document).unwrap_or_default());
    }

    /// Says why a command could not do its work.
    pub(crate) fn fail(&self, error: &anyhow::Error) {
        if self.format == Format::Json {
            let refused =
                error.chain().find_map(|cause| cause.downcast_ref::<Refusal>().map(|refusal| &refusal.problem));
            let answered = error.chain().find_map(|cause| match cause.downcast_ref() {
                Some(ClientError::Refused(problem)) => Some(&**problem),
                _ => None,
            });
            return match refused.or(answered) {
                Some(problem) => self.print_json(problem),
                None => self.print_json(&Problem::of_error(error)),
            };
        }
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return self.show_refusal(refusal);
        }
        let word = Severity::Error.word(self.err);
        let mut text = format!("{word}: {}", indented(&error.to_string()));
        for cause in error.chain().skip(1) {
            text += &format!("\n  {} {}", self.err.paint(Style::Dim, "because:"), indented(&cause.to_string()));
        }
        self.note(&text);
        let client = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>());
        if let Some(ClientError::Refused(problem)) = client {
            self.show_faults(problem, &Pointed::Nowhere);
        }
        if let Some(advice) = client.and_then(advice) {
            self.note(&format!("  → {advice}"));
        }
    }

    fn show_refusal(&self, refusal: &Refusal) {
        if refusal.problem.errors.is_empty() {
            self.note(&format!("{}: {}", Severity::Error.word(self.err), neutralise_line(&refusal.to_string())));
        }
        self.show_faults(&refusal.problem, &refusal.pointed);
    }

    fn show_faults(&self, problem: &Problem, pointed: &Pointed) {
        for fault in &problem.errors {
            let diagnostic = Diagnostic::of_fault(fault);
            self.note(&match pointed {
                Pointed::Nowhere => diagnostic.render(None, self.err),
                Pointed::Source(source) => diagnostic.render(Some(source), self.err),
                Pointed::Package(files) => diagnostic.render_in(files, self.err),
            });
        }
    }
}

/// Text from elsewhere whose further lines are set in.
fn indented(text: &str) -> String {
    neutralise(text).trim_end().replace('\n', "\n    ")
}

/// What the user can do about it.
fn advice(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::Unreachable { .. } => {
            Some("start a server with `mecapy serve`, or name another with --url or MECAPY_API_URL")
        }
        ClientError::Refused(problem) if problem.status == 401 => {
            Some("give its key with --token-file or MECAPY_TOKEN, or --data-dir for a server on this machine")
        }
        _ => None,
    }
}
