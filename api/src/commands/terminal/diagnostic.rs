//! Faults in a source as a compiler shows them: the line, and a caret under the place.

use super::{
    escape::neutralise_line,
    paint::{Painter, Style},
};
use crate::{
    commands::refusal::SourceText,
    packages::{Files, place_of},
};
use console::measure_text_width;
use mecapy_model::Fault;

/// Characters of a source line that are shown.
const LINE_CHARS_MAX: usize = 200;

/// How serious it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub(crate) fn word(self, painter: Painter) -> String {
        match self {
            Severity::Error => painter.paint(Style::Red, "error"),
            Severity::Warning => painter.paint(Style::Yellow, "warning"),
        }
    }
}

/// Something to tell about a place in a source or in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Diagnostic<'a> {
    pub severity: Severity,
    pub code: &'a str,
    pub message: &'a str,
    /// JSON pointer into the request; empty where there is none.
    pub pointer: &'a str,
    /// From 1.
    pub line: Option<u32>,
    /// In characters, from 1.
    pub column: Option<u32>,
}

impl<'a> Diagnostic<'a> {
    pub(crate) fn of_fault(fault: &'a Fault) -> Self {
        Self {
            severity: Severity::Error,
            code: &fault.code,
            message: &fault.message,
            pointer: &fault.pointer,
            line: fault.line,
            column: fault.column,
        }
    }

    /// The text, without a line feed at its end.
    pub(crate) fn render(&self, source: Option<&SourceText>, painter: Painter) -> String {
        let word = self.severity.word(painter);
        let code = if self.code.is_empty() { String::new() } else { format!("[{}]", neutralise_line(self.code)) };
        let mut text = format!("{word}{code}: {}", neutralise_line(self.message));
        let place = source.zip(self.line).map(|(source, line)| (source, line, self.column));
        match place {
            Some((source, line, column)) => text += &excerpt(source, (line, column), painter),
            None if !self.pointer.is_empty() => {
                text += &format!("\n  {} {}", painter.paint(Style::Blue, "at"), neutralise_line(self.pointer));
            }
            None => {}
        }
        text
    }

    /// The same for a place in a package, which the pointer leads to: the file, and the line there.
    pub(crate) fn render_in(&self, files: &Files, painter: Painter) -> String {
        let Some(place) = place_of(files, self.pointer) else { return self.render(None, painter) };
        let source = SourceText { name: place.file.to_owned(), text: place.text.to_owned() };
        let line = self.line.or(place.line);
        // What is said of another file than the manifest names it, for those who don't see this.
        let named = line.map(|line| format!("{}, line {line}: ", place.file));
        let message = named.and_then(|named| self.message.strip_prefix(&named)).unwrap_or(self.message);
        Diagnostic { line, message, ..*self }.render(Some(&source), painter)
    }
}

/// The source line with its number, and the caret where a column is known.
fn excerpt(source: &SourceText, (line, column): (u32, Option<u32>), painter: Painter) -> String {
    let name = neutralise_line(&source.name);
    let at = column.map_or_else(|| format!("{name}:{line}"), |column| format!("{name}:{line}:{column}"));
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let blue = |text: &str| painter.paint(Style::Blue, text);
    let mut text = format!("\n{margin}{} {at}", blue("-->"));
    let Some(written) = source.text.lines().nth(line.saturating_sub(1) as usize) else { return text };
    let shown: String = neutralise_line(written).chars().take(LINE_CHARS_MAX).collect();
    text += &format!("\n{margin} {}\n{} {} {shown}", blue("|"), blue(&number), blue("|"));
    if let Some(column) = column {
        let start = column.saturating_sub(1) as usize;
        if start <= shown.chars().count() {
            let before: String = shown.chars().take(start).collect();
            let spaces = " ".repeat(measure_text_width(&before));
            let carets = painter.paint(Style::Red, &"^".repeat(name_columns(&shown, start)));
            text += &format!("\n{margin} {} {spaces}{carets}", blue("|"));
        }
    }
    text
}

/// Columns of the name that begins at character `start`, dots included; 1 where no name is there.
fn name_columns(line: &str, start: usize) -> usize {
    let name: String = line.chars().skip(start).take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
    measure_text_width(name.trim_end_matches('.')).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceText {
        SourceText { name: "beam.py".to_owned(), text: text.to_owned() }
    }

    fn fault(line: Option<u32>, column: Option<u32>) -> Fault {
        Fault { line, column, ..Fault::new("/code/source", "import_forbidden", "socket can't work in a sandbox") }
    }

    #[test]
    fn a_fault_is_shown_under_its_line() {
        let text = "import math\n\timport socket as s\n";
        let shown = Diagnostic::of_fault(&fault(Some(2), Some(9))).render(Some(&source(text)), Painter::Plain);
        let expected = "\
error[import_forbidden]: socket can't work in a sandbox
 --> beam.py:2:9
  |
2 |  import socket as s
  |         ^^^^^^";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_fault_of_a_package_is_shown_in_its_file() {
        let manifest = b"version: \"1\"\npackage:\n  name: Rods\n";
        let cases = b"function: f\ntest_cases:\n  - inputs: 12\n";
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in [("mecapy.yml", manifest.as_slice()), ("tests/a.yml", cases)] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, content).unwrap();
        }
        let zip = zip.finish().unwrap().into_inner();
        let files = crate::packages::read_zip(&zip, crate::packages::Bounds::PACKAGE).unwrap();
        let rows = [
            ("/package/name", "no capitals", "error[x]: no capitals\n --> mecapy.yml:3\n  |\n3 |   name: Rods"),
            (
                "/files/tests~1a.yml/test_cases/0/inputs",
                "tests/a.yml, line 3: a mapping is needed",
                "error[x]: a mapping is needed\n --> tests/a.yml:3\n  |\n3 |   - inputs: 12",
            ),
            ("/files/no.py", "is missing", "error[x]: is missing\n  at /files/no.py"),
        ];
        for (pointer, message, expected) in rows {
            let fault = Fault::new(pointer, "x", message);
            assert_eq!(Diagnostic::of_fault(&fault).render_in(&files, Painter::Plain), expected);
        }
    }

    #[test]
    fn wide_characters_do_not_move_the_caret() {
        let shown = Diagnostic::of_fault(&fault(Some(1), Some(8))).render(Some(&source("s = '梁'; (")), Painter::Plain);
        assert!(shown.ends_with("1 | s = '梁'; (\n  |         ^"), "{shown}");
    }

    #[test]
    fn a_place_outside_the_source_and_a_pointer_still_say_where() {
        let outside = Diagnostic::of_fault(&fault(Some(9), Some(1))).render(Some(&source("x")), Painter::Plain);
        assert!(outside.ends_with("\n --> beam.py:9:1"), "{outside}");
        let pointer = Diagnostic::of_fault(&fault(None, None)).render(None, Painter::Plain);
        assert!(pointer.ends_with("\n  at /code/source"), "{pointer}");
    }
}
