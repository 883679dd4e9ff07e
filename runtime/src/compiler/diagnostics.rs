//! What a compiler said of a source: its errors and warnings by the user's lines, within bounds.

use mecapy_model::{ErrorKind, TaskError, Warning};

/// How many errors, and how many warnings, are told.
const TOLD_MAX: usize = 50;
/// The longest message of one, in characters.
const MESSAGE_CHARS_MAX: usize = 500;
/// What of a compiler's own text is kept for people, in bytes.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// The code of a compiler's warning.
const WARNING_CODE: &str = "compiler";

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnostic {
    pub(super) message: String,
    /// Of the user's source, from 1; `None` where it is of no line, or of another file's.
    pub(super) line: Option<u32>,
    /// In characters, from 1.
    pub(super) column: Option<u32>,
}

/// All of one compiler's run.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    errors_left_out: usize,
    warnings_left_out: usize,
    /// As the compiler wrote it, with the source's lines.
    text: String,
    text_is_cut: bool,
    /// A process of the compiler's was ended by the kernel.
    was_killed: bool,
}

impl Diagnostics {
    pub(super) fn error(&mut self, diagnostic: Diagnostic) {
        keep(&mut self.errors, &mut self.errors_left_out, diagnostic);
    }

    pub(super) fn warning(&mut self, diagnostic: Diagnostic) {
        keep(&mut self.warnings, &mut self.warnings_left_out, diagnostic);
    }

    /// Remembers that the kernel ended the compiler, and not the compiler itself.
    pub(super) fn killed(&mut self) {
        self.was_killed = true;
    }

    pub(super) fn was_killed(&self) -> bool {
        self.was_killed
    }

    /// Adds to the text that people read.
    pub(super) fn say(&mut self, text: &str) {
        if self.text_is_cut {
            return;
        }
        let room = TEXT_BYTES_MAX.saturating_sub(self.text.len());
        let fits = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        self.text.extend(fits.chars().map(shown));
        if fits.len() < text.len() {
            self.text += "\n… cut here";
            self.text_is_cut = true;
        }
    }

    /// The compiler's warnings as the task's.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let warning = |message: String, line: Option<u32>| Warning {
            code: WARNING_CODE.to_owned(),
            message,
            line,
            pointer: None,
        };
        let mut warnings: Vec<_> = self.warnings.iter().map(|told| warning(told.message.clone(), told.line)).collect();
        if self.warnings_left_out > 0 {
            warnings.push(warning(format!("and {} more warnings", self.warnings_left_out), None));
        }
        warnings
    }

    /// Why there is no module. Where the compiler named no error, it is for `otherwise`.
    pub(super) fn to_error(&self, otherwise: impl FnOnce() -> String) -> TaskError {
        let mut lines: Vec<String> = self.errors.iter().map(Diagnostic::to_line).collect();
        if self.errors_left_out > 0 {
            lines.push(format!("and {} more errors", self.errors_left_out));
        }
        let message = if lines.is_empty() { otherwise() } else { lines.join("\n") };
        let text = self.text.trim_end();
        TaskError {
            traceback: (!text.is_empty()).then(|| text.to_owned()),
            line: self.errors.iter().find_map(|error| error.line),
            ..TaskError::new(ErrorKind::Compile, message)
        }
    }

    /// The same where the compiler itself was stopped: what it said until then is kept.
    pub(super) fn to_stopped(&self, why: String) -> TaskError {
        TaskError { message: why, line: None, ..self.to_error(String::new) }
    }
}

impl Diagnostic {
    /// Of no line.
    pub(super) fn of_all(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, column: None }
    }

    fn to_line(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: {}", self.message),
            (Some(line), None) => format!("line {line}: {}", self.message),
            (None, _) => self.message.clone(),
        }
    }
}

fn keep(told: &mut Vec<Diagnostic>, left_out: &mut usize, diagnostic: Diagnostic) {
    if told.len() >= TOLD_MAX {
        *left_out += 1;
        return;
    }
    let message = diagnostic.message.trim().chars().take(MESSAGE_CHARS_MAX).map(shown).collect();
    let diagnostic = Diagnostic { message, ..diagnostic };
    // Of one macro that is used in many places, and of a header that is included twice, once.
    if !told.contains(&diagnostic) {
        told.push(diagnostic);
    }
}

/// A source's own control characters come back in what a compiler quotes: a terminal must not obey them.
fn shown(c: char) -> char {
    if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, message: &str) -> Diagnostic {
        Diagnostic { message: message.to_owned(), line: Some(line), column: Some(2) }
    }

    #[test]
    fn errors_are_told_in_their_order_and_once_each() {
        let mut said = Diagnostics::default();
        said.error(Diagnostic::of_all("the linker failed"));
        said.error(at(4, "no `b` \u{1b}[31m"));
        said.error(at(4, "no `b` \u{1b}[31m"));
        said.say("error: no `b`\u{7}\n");
        let error = said.to_error(|| unreachable!());
        assert_eq!(error.message, "the linker failed\nline 4, column 2: no `b` \u{fffd}[31m");
        assert_eq!((error.kind, error.line), (ErrorKind::Compile, Some(4)));
        assert_eq!(error.traceback.as_deref(), Some("error: no `b`\u{fffd}"));
        assert_eq!(Diagnostics::default().to_error(|| "it ended".to_owned()).message, "it ended");
    }

    #[test]
    fn a_flood_of_them_is_bounded_and_counted() {
        let mut said = Diagnostics::default();
        for line in 1..=1_000 {
            said.error(at(line, &"é".repeat(10_000)));
            said.warning(at(line, "unused"));
            said.say(&"é".repeat(1_000));
        }
        let warnings = said.warnings();
        assert_eq!((warnings.len(), warnings[50].message.as_str()), (51, "and 950 more warnings"));
        assert_eq!((warnings[3].code.as_str(), warnings[3].line), ("compiler", Some(4)));
        let error = said.to_error(|| unreachable!());
        assert!(error.message.ends_with("and 950 more errors"), "{}", error.message);
        assert!(error.message.len() < 60_000 && error.traceback.unwrap().len() < TEXT_BYTES_MAX + 20);
    }
}
