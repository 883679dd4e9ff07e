//! The input deck: the files it is made of, and as much of it as is needed to foresee a run and to explain its end.

use super::super::Folder;
use super::lines::Lines;
use mecapy_model::{ArtifactName, ErrorKind, TaskError};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

/// How deep files may include one another: CalculiX's own limit.
const INCLUDES_DEEP_MAX: usize = 9;
/// Files that one deck is made of, each inclusion counted.
const INCLUDES_MAX: usize = 1_000;
/// CalculiX holds this many bytes of a line.
const LINE_BYTES_MAX: usize = 1_320;
/// Steps and names that are remembered of a deck.
const STEPS_MAX: usize = 10_000;
const NAMES_MAX: usize = 10_000;
/// What the manual calls INC: increments of a step where the deck doesn't say.
const INCREMENTS_DEFAULT: u64 = 100;

/// What is known of a deck after it was read once.
#[derive(Debug, Default)]
pub(super) struct Deck {
    pub(super) steps: Vec<Step>,
    /// Results for `.frd` (`*NODE FILE`, `*EL FILE`, `*CONTACT FILE`, and their binary sisters `… OUTPUT`).
    pub(super) asks_for_file: bool,
    pub(super) asks_for_binary: bool,
    /// Results for `.dat` (`*NODE PRINT` and its like).
    pub(super) asks_for_print: bool,
    /// Whether any `*BOUNDARY` holds the model.
    pub(super) has_boundary: bool,
    /// Names of sets, materials, surfaces, amplitudes and orientations, in capitals, under what they are.
    pub(super) names: BTreeMap<&'static str, Vec<String>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// The keyword of its procedure without blanks, such as `STATIC`; empty where there is none.
    pub(super) procedure: String,
    /// Its period in units of the deck's time, for procedures that have one.
    pub(super) period: Option<f64>,
    pub(super) increments_max: u64,
}

/// Why a deck can't be used.
#[derive(Debug)]
pub(super) enum DeckFault {
    /// The folder could not be read.
    Unreadable(io::Error),
    Wrong {
        file: String,
        /// From 1; 0 where the whole file is meant.
        line: u64,
        message: String,
    },
}

impl DeckFault {
    fn wrong(file: &str, line: u64, message: impl Into<String>) -> Self {
        DeckFault::Wrong { file: file.to_owned(), line, message: message.into() }
    }

    pub(super) fn into_error(self, main: &str) -> TaskError {
        match self {
            DeckFault::Unreadable(error) => {
                TaskError::new(ErrorKind::Executor, format!("the deck could not be read: {error}"))
            }
            DeckFault::Wrong { file, line: 0, message } => {
                TaskError::new(ErrorKind::InvalidInput, format!("{file}: {message}"))
            }
            DeckFault::Wrong { file, line, message } => TaskError {
                line: if file == main { u32::try_from(line).ok() } else { None },
                ..TaskError::new(ErrorKind::InvalidInput, format!("{file}, line {line}: {message}"))
            },
        }
    }
}

/// One line of a deck, comments left out, as CalculiX sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeckLine<'a> {
    pub(super) file: &'a str,
    /// From 1.
    pub(super) number: u64,
    pub(super) text: &'a str,
}

impl Deck {
    /// Reads a deck and the files that it includes.
    ///
    /// # Errors
    /// A file that was not sent, a name that leads elsewhere, text that is none.
    pub(super) fn read(files: &dyn Folder, main: &str) -> Result<Self, DeckFault> {
        let mut noter = Noter { deck: Deck::default(), keyword: String::new(), data_lines: 0 };
        let mut pending = String::new();
        walk(files, main, &mut |line| {
            // A keyword's line that ends with a comma goes on in the next.
            if !pending.is_empty() || line.text.starts_with('*') {
                pending.push_str(line.text);
                if pending.ends_with(',') && pending.len() < LINE_BYTES_MAX {
                    return ControlFlow::Continue(());
                }
                noter.keyword(&std::mem::take(&mut pending));
            } else {
                noter.data(line.text);
            }
            ControlFlow::Continue(())
        })?;
        Ok(noter.deck)
    }

    /// The sum of all periods, where every step has one.
    pub(super) fn total_time(&self) -> Option<f64> {
        let periods: Option<Vec<f64>> = self.steps.iter().map(|step| step.period).collect();
        periods.map(|periods| periods.iter().sum()).filter(|total: &f64| *total > 0.0 && total.is_finite())
    }

    /// The number, from 1, of the step that begins at a total time.
    pub(super) fn step_at(&self, start: f64) -> Option<u64> {
        let mut passed = 0.0;
        for (number, step) in (1..).zip(&self.steps) {
            let Some(period) = step.period else { continue };
            // Times are printed with seven digits.
            if (passed - start).abs() <= 1e-5 * (passed + period) {
                return Some(number);
            }
            passed += period;
        }
        None
    }
}

/// Finds the line that CalculiX shows as a card image: in capitals and without blanks.
pub(super) fn locate(files: &dyn Folder, main: &str, card: &str) -> Option<(String, u64)> {
    let wanted = squeezed(card);
    let mut found = None;
    let read = walk(files, main, &mut |line| {
        if squeezed(line.text) == wanted {
            found = Some((line.file.to_owned(), line.number));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found.filter(|_| read.is_ok())
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
}

/// Hands on every line of a deck, in the order in which CalculiX reads them.
fn walk(
    files: &dyn Folder,
    main: &str,
    each: &mut dyn FnMut(DeckLine<'_>) -> ControlFlow<()>,
) -> Result<(), DeckFault> {
    let listed = files.list().map_err(DeckFault::Unreadable)?;
    let mut names: Vec<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let mut walker = Walker { files, names, each, opened: 0 };
    walker.file(main, 0).map(|_| ())
}

struct Walker<'a> {
    files: &'a dyn Folder,
    /// Sorted.
    names: Vec<&'a str>,
    each: &'a mut dyn FnMut(DeckLine<'_>) -> ControlFlow<()>,
    opened: usize,
}

impl Walker<'_> {
    fn file(&mut self, name: &str, depth: usize) -> Result<ControlFlow<()>, DeckFault> {
        self.opened += 1;
        let reader = self.files.open(name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DeckFault::wrong(name, 0, "this file was not sent"),
            _ => DeckFault::Unreadable(error),
        })?;
        let mut lines = Lines::new(reader, LINE_BYTES_MAX);
        loop {
            let Some(bytes) = lines.next().map_err(DeckFault::Unreadable)? else {
                return Ok(ControlFlow::Continue(()));
            };
            let bytes = bytes.to_vec();
            let (number, cut) = (lines.number, lines.cut);
            let wrong = |message: &str| Err(DeckFault::wrong(name, number, message));
            if bytes.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\x0c' | b'\r')) {
                return wrong("this is no text: a deck is a text file, so was the right file sent?");
            }
            let comment = bytes.starts_with(b"**");
            if comment {
                continue;
            }
            let Ok(text) = std::str::from_utf8(&bytes) else {
                return wrong("this line is not UTF-8 text: save the deck as plain ASCII or UTF-8");
            };
            if cut {
                return wrong("this line is longer than the 1320 characters that CalculiX reads: break it");
            }
            let line = DeckLine { file: name, number, text: text.trim() };
            if line.text.is_empty() {
                continue;
            }
            if (self.each)(line).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if let Some(included) = self.named_file(line)?
                && self.included(line, &included, depth)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    fn included(&mut self, line: DeckLine<'_>, name: &str, depth: usize) -> Result<ControlFlow<()>, DeckFault> {
        let wrong = |message: &str| Err(DeckFault::wrong(line.file, line.number, message));
        if depth + 1 > INCLUDES_DEEP_MAX {
            return wrong("files include one another more than 9 deep: does one include itself?");
        }
        if self.opened >= INCLUDES_MAX {
            return wrong("the deck includes more than 1000 files");
        }
        self.file(name, depth + 1)
    }

    /// Checks the file that a keyword's line names; answers it where its content belongs to the deck.
    fn named_file(&self, line: DeckLine<'_>) -> Result<Option<String>, DeckFault> {
        let Some(card) = Card::parse(line.text) else { return Ok(None) };
        let include = card.keyword == "INCLUDE";
        let wrong = |message: String| Err(DeckFault::wrong(line.file, line.number, message));
        let Some(named) = card.value("INPUT").or_else(|| card.value("FILE")) else {
            return if include { wrong("*INCLUDE needs INPUT= and a file's name".to_owned()) } else { Ok(None) };
        };
        if ArtifactName::parse(&named).is_err() {
            return wrong(format!(
                "{named:?} must be the plain name of a file that was sent: no absolute path, no \"..\""
            ));
        }
        let written = card.parameters.iter().any(|(name, _)| name == "WRITE");
        if self.names.binary_search(&named.as_str()).is_err() && !written {
            let near = super::keywords::nearest(&named, self.names.iter().copied());
            let near = near.map_or_else(String::new, |near| format!(" Did you mean {near}?"));
            return wrong(format!("the file {named} was not sent; add it to the task's files.{near}"));
        }
        Ok(include.then_some(named))
    }
}

/// A keyword's line: `*KEYWORD, PARAMETER=value, PARAMETER`.
struct Card {
    /// In capitals, without `*` and blanks.
    keyword: String,
    /// Names in capitals; values as they stand, without quotation marks.
    parameters: Vec<(String, String)>,
}

impl Card {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('*')?.split(',');
        let keyword = squeezed(parts.next()?);
        let parameters = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (squeezed(name), value.trim().trim_matches('"').to_owned())
        });
        Some(Card { keyword, parameters: parameters.collect() })
    }

    fn value(&self, name: &str) -> Option<String> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }
}

/// What a keyword gives names to: the keyword, the parameter, and the word for what is named.
const NAMING: [(&str, &str, &str); 8] = [
    ("NSET", "NSET", "node set"),
    ("NODE", "NSET", "node set"),
    ("ELSET", "ELSET", "element set"),
    ("ELEMENT", "ELSET", "element set"),
    ("MATERIAL", "NAME", "material"),
    ("SURFACE", "NAME", "surface"),
    ("AMPLITUDE", "NAME", "amplitude"),
    ("ORIENTATION", "NAME", "orientation"),
];

/// Procedures whose first data line is: first increment, period, ….
const TIMED: [&str; 8] = [
    "STATIC",
    "VISCO",
    "DYNAMIC",
    "MODALDYNAMIC",
    "HEATTRANSFER",
    "COUPLEDTEMPERATURE-DISPLACEMENT",
    "UNCOUPLEDTEMPERATURE-DISPLACEMENT",
    "ELECTROMAGNETICS",
];
/// Procedures without a time of their own.
const TIMELESS: [&str; 7] =
    ["FREQUENCY", "COMPLEXFREQUENCY", "BUCKLE", "STEADYSTATEDYNAMICS", "GREEN", "SENSITIVITY", "NOANALYSIS"];

struct Noter {
    deck: Deck,
    keyword: String,
    data_lines: u64,
}

impl Noter {
    fn keyword(&mut self, text: &str) {
        let Some(card) = Card::parse(text) else { return };
        let deck = &mut self.deck;
        match card.keyword.as_str() {
            "NODEFILE" | "ELFILE" | "CONTACTFILE" => deck.asks_for_file = true,
            "NODEOUTPUT" | "ELEMENTOUTPUT" | "CONTACTOUTPUT" => {
                (deck.asks_for_file, deck.asks_for_binary) = (true, true);
            }
            "NODEPRINT" | "ELPRINT" | "CONTACTPRINT" | "SECTIONPRINT" => deck.asks_for_print = true,
            "BOUNDARY" => deck.has_boundary = true,
            "STEP" if deck.steps.len() < STEPS_MAX => {
                let increments_max = card.value("INC").and_then(|value| value.trim().parse().ok());
                let increments_max = increments_max.unwrap_or(INCREMENTS_DEFAULT);
                deck.steps.push(Step { procedure: String::new(), period: None, increments_max });
            }
            keyword if TIMED.contains(&keyword) || TIMELESS.contains(&keyword) => {
                if let Some(step) = deck.steps.last_mut() {
                    step.period = TIMED.contains(&keyword).then_some(1.0);
                    keyword.clone_into(&mut step.procedure);
                }
            }
            _ => {}
        }
        for (_, parameter, kind) in NAMING.iter().filter(|(keyword, ..)| *keyword == card.keyword) {
            let names = deck.names.entry(kind).or_default();
            if let Some(name) = card.value(parameter).filter(|_| names.len() < NAMES_MAX) {
                names.push(name.to_uppercase());
            }
        }
        (self.keyword, self.data_lines) = (card.keyword, 0);
    }

    fn data(&mut self, text: &str) {
        self.data_lines += 1;
        if self.data_lines > 1 || !TIMED.contains(&self.keyword.as_str()) {
            return;
        }
        let period = text.split(',').nth(1).and_then(|field| field.trim().parse::<f64>().ok());
        if let (Some(step), Some(period)) =
            (self.deck.steps.last_mut(), period.filter(|period| *period > 0.0 && period.is_finite()))
        {
            step.period = Some(period);
        }
    }
}

#[cfg(test)]
mod tests;
