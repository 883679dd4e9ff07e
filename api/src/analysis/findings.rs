//! Collects faults and warnings in source order, each place once and never more than a limit.

use super::position::Lines;
use super::seen::{Guard, Place, Seen};
use super::{Analysis, FINDINGS_MAX};
use mecapy_model::{Fault, Warning};
use ruff_text_size::TextSize;

const SOURCE_POINTER: &str = "/code/source";
const ENTRY_POINTER: &str = "/code/entry";
/// The longest piece of the user's own text that a message repeats, characters.
const QUOTED_CHARACTERS_MAX: usize = 60;

pub(super) struct Findings<'a> {
    pub(super) lines: Lines<'a>,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
    /// Place and code of the newest fault.
    last: Option<(TextSize, &'static str)>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { lines: Lines::new(source), faults: Vec::new(), warnings: Vec::new(), last: None }
    }

    pub(super) fn fault(&mut self, code: &'static str, message: String, at: TextSize) {
        // A statement with many names has many findings at one place: the first says it.
        let again = self.last.replace((at, code)) == Some((at, code));
        if again || self.faults.len() >= FINDINGS_MAX {
            return;
        }
        let (line, column) = self.lines.place(at);
        self.faults.push(Fault { line: Some(line), column: Some(column), ..Fault::new(SOURCE_POINTER, code, message) });
    }

    pub(super) fn warn(&mut self, code: &str, message: String, at: TextSize) {
        let line = self.lines.line(at);
        self.push_warning(Warning {
            code: code.to_owned(),
            message,
            line: Some(line),
            pointer: Some(SOURCE_POINTER.to_owned()),
        });
    }

    /// A fault of the source as a whole.
    pub(super) fn fault_whole(&mut self, code: &str, message: String) {
        self.faults.push(Fault::new(SOURCE_POINTER, code, message));
    }

    pub(super) fn warn_whole(&mut self, code: &str, message: String) {
        self.push_warning(Warning {
            code: code.to_owned(),
            message,
            line: None,
            pointer: Some(SOURCE_POINTER.to_owned()),
        });
    }

    /// A fault of the entry that was asked for.
    pub(super) fn fault_entry(&mut self, code: &str, message: String) {
        self.faults.push(Fault::new(ENTRY_POINTER, code, message));
    }

    pub(super) fn any_fault(&self) -> bool {
        !self.faults.is_empty()
    }

    pub(super) fn into_analysis(mut self) -> Analysis {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.warnings.sort_by_key(|warning| warning.line);
        Analysis { faults: self.faults, warnings: self.warnings, ..Analysis::default() }
    }

    fn push_warning(&mut self, warning: Warning) {
        if self.warnings.len() < FINDINGS_MAX && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// The user's own text, short enough for a message and without control characters.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String =
        text.chars().take(QUOTED_CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTED_CHARACTERS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// Something wrong at one place of the source.
pub(super) struct Finding {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) at: TextSize,
}

/// Weighs findings by whether their place will run.
pub(super) struct Reporter<'r, 'a> {
    pub(super) seen: &'r Seen<'a>,
    /// The function that will be called, if the source defines it.
    pub(super) entry: &'r str,
    pub(super) findings: &'r mut Findings<'a>,
}

impl Reporter<'_, '_> {
    /// A fault where the place will run, a warning where it may not, nothing where its failure is provided for.
    pub(super) fn report(&mut self, finding: Finding, place: Place) {
        match place.guard {
            Guard::Excused => {}
            Guard::Open if self.seen.is_reachable(place, self.entry) => {
                self.findings.fault(finding.code, finding.message, finding.at)
            }
            Guard::Open | Guard::MainBlock => self.findings.warn(finding.code, finding.message, finding.at),
        }
    }
}
