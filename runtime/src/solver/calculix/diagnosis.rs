//! Why a run failed, in the engineer's words, from what CalculiX said.

use super::super::{Ended, Folder, Stopped};
use super::deck::{Deck, locate};
use super::keywords::{meant_keyword, nearest};
use super::output::{Block, Run, two_digits};
use mecapy_model::{ErrorKind, TaskError};

/// Lines of the explaining block.
const BLOCK_LINES_MAX: usize = 60;
/// Elements that are named.
const ELEMENTS_MAX: usize = 10;
/// Less than this left in the work folder means that it is full.
const DISK_FREE_BYTES_MIN: u64 = 64 << 10;

/// What a run was, for explaining it.
pub(super) struct Case<'a> {
    pub(super) run: &'a Run,
    pub(super) main: &'a str,
    pub(super) deck: Option<&'a Deck>,
    pub(super) ended: &'a Ended,
    pub(super) files: &'a dyn Folder,
}

/// A cause, the line of a file where it is, and what explains it where that is not CalculiX's errors.
struct Cause {
    message: String,
    place: Option<(String, u64)>,
    block: Option<String>,
}

impl From<String> for Cause {
    fn from(message: String) -> Self {
        Cause { message, place: None, block: None }
    }
}

impl Case<'_> {
    /// Why the run failed, as far as its end and its output tell; `None` for one that went through.
    pub(super) fn failure(&self) -> Option<TaskError> {
        if let Some(stopped) = self.ended.stopped {
            return Some(self.stopped(stopped));
        }
        if self.ended.disk_free_bytes < DISK_FREE_BYTES_MIN {
            let message = "the work folder is full, so the results are incomplete: ask for fewer of them (*NODE FILE \
                and *EL FILE with FREQUENCY=, fewer variables) or for a larger disk";
            return Some(self.error(ErrorKind::Solver, message.to_owned().into()));
        }
        // A keyword that was passed over is the cause of the errors that follow from it.
        let cause = self
            .unknown_keyword()
            .or_else(|| self.said())
            .or_else(|| self.unknown_line())
            .or_else(|| self.unfinished())?;
        Some(self.error(ErrorKind::Solver, cause))
    }

    fn stopped(&self, stopped: Stopped) -> TaskError {
        let place = if self.run.step > 0 { format!(" in {}", self.run.place()) } else { String::new() };
        let equations = "an iterative solver (*STATIC, SOLVER=ITERATIVE CHOLESKY) and a coarser mesh need less";
        let (kind, message) = match stopped {
            Stopped::OutOfMemory => (
                ErrorKind::OutOfMemory,
                format!("CalculiX needed more memory than it was given{place}: give more; {equations}"),
            ),
            Stopped::Timeout => (ErrorKind::Timeout, format!("the time limit ended the run{place}")),
            Stopped::Cancelled => (ErrorKind::Cancelled, format!("the run was cancelled{place}")),
            Stopped::Flood => (ErrorKind::Solver, format!("CalculiX wrote more output than is kept{place}")),
        };
        self.error(kind, message.into())
    }

    /// The error of results that went wrong without CalculiX noticing; its warnings may explain it.
    pub(super) fn error_of(&self, message: String) -> TaskError {
        let said = self.run.warnings.iter().flat_map(|block| &block.lines).take(BLOCK_LINES_MAX);
        let traceback = said.map(String::as_str).collect::<Vec<_>>().join("\n");
        let traceback = Some(traceback).filter(|text| !text.is_empty());
        TaskError { traceback, ..TaskError::new(ErrorKind::Solver, message) }
    }

    fn error(&self, kind: ErrorKind, cause: Cause) -> TaskError {
        let message = match &cause.place {
            Some((file, line)) => format!("{file}, line {line}: {}", cause.message),
            None => cause.message,
        };
        let line = cause.place.filter(|(file, _)| file == self.main).and_then(|(_, line)| u32::try_from(line).ok());
        TaskError { traceback: cause.block.or_else(|| self.explaining_block()), line, ..TaskError::new(kind, message) }
    }

    /// CalculiX's own errors; where there are none, what it said last.
    fn explaining_block(&self) -> Option<String> {
        let times =
            |block: &Block| if block.times > 1 { format!("  (said {} times)", block.times) } else { String::new() };
        let said = self.run.errors.iter().flat_map(|block| {
            let first = block.lines.first().map(|line| format!(" {line}{}", times(block)));
            first.into_iter().chain(block.lines.iter().skip(1).cloned())
        });
        let mut lines: Vec<String> = said.take(BLOCK_LINES_MAX).collect();
        let iterating = self.run.errors.is_empty() || self.diverged().is_some();
        if iterating {
            let room = BLOCK_LINES_MAX.saturating_sub(lines.len()).min(self.run.tail.len());
            lines = self.run.tail.iter().skip(self.run.tail.len() - room).cloned().collect();
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// A keyword that CalculiX passed over: it then solves another problem than the one that was meant.
    fn unknown_keyword(&self) -> Option<Cause> {
        let (card, _) = self.run.uninterpreted.iter().find(|(card, _)| card.starts_with('*'))?;
        let word = card.split(',').next().unwrap_or_default();
        let meant = meant_keyword(word).map_or_else(String::new, |meant| format!("; did you mean *{meant}?"));
        let message = format!("CalculiX doesn't know the keyword {word}, and passed over it and its lines{meant}");
        Some(Cause { message, place: locate(self.files, self.main, card), block: Some(self.passed_over()) })
    }

    /// A line that it passed over, since the keyword before it came to nothing.
    fn unknown_line(&self) -> Option<Cause> {
        let (card, before) = self.run.uninterpreted.first()?;
        let why = before.as_deref().map(|before| self.undefined(before, None).unwrap_or_else(|| bare(before)));
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        let message = format!("CalculiX passed over the line \"{card}\"{why}");
        Some(Cause { message, place: locate(self.files, self.main, card), block: Some(self.passed_over()) })
    }

    fn passed_over(&self) -> String {
        let lines = self.run.uninterpreted.iter().take(BLOCK_LINES_MAX);
        let lines = lines.map(|(card, _)| format!(" *WARNING in calinput. Card image cannot be interpreted: {card}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The first error that says what is wrong.
    fn said(&self) -> Option<Cause> {
        let errors = &self.run.errors;
        let speaking = |block: &&Block| !block.text().contains("at least one fatal error");
        let (at, first) = errors
            .iter()
            .enumerate()
            .find(|(_, block)| speaking(block))
            .or_else(|| errors.iter().enumerate().next())?;
        let text = first.text();
        if let Some(message) = self.diverged().or_else(|| self.turned_inside_out()) {
            return Some(message.into());
        }
        // The card image follows the message that it belongs to, or is that message.
        let card = errors.iter().skip(at).take(2).find(|block| block.text().contains("Card image:"));
        let card = card.and_then(|block| block.lines.get(1)).map(|line| line.trim().to_owned());
        let place = card.as_deref().and_then(|card| locate(self.files, self.main, card));
        let message = self.undefined(&text, card.as_deref()).or_else(|| known(&text)).unwrap_or_else(|| bare(&text));
        let others = errors.iter().skip(at + 1).filter(speaking).count();
        let more = if others > usize::from(card.is_some()) { "; the log has more errors" } else { "" };
        let message = match (&card, text.contains("Card image:")) {
            (Some(card), true) => format!("CalculiX can't read the line \"{card}\" of {}", keyword_of(&text)),
            _ => message,
        };
        Some(Cause { message: format!("{message}{more}"), place, block: None })
    }

    fn diverged(&self) -> Option<String> {
        let run = self.run;
        let says = |words: &str| run.errors.iter().any(|block| block.text().contains(words));
        let residual = run.residual.as_ref().map_or_else(String::new, |residual| {
            let percent = residual
                .percent
                .map_or_else(String::new, |percent| format!(" ({} % of the average)", two_digits(percent)));
            format!("; the last residual {} was {}{percent} at node {}", residual.kind, residual.value, residual.node)
        });
        let step = usize::try_from(run.step.saturating_sub(1)).ok().and_then(|at| self.deck?.steps.get(at));
        if says("max. # of increments reached") {
            let allowed = step.map_or_else(String::new, |step| format!(" ({})", step.increments_max));
            return Some(format!(
                "step {} used up its increments{allowed} before its end: allow more (*STEP, INC=), or larger ones",
                run.step
            ));
        }
        if ["increment size smaller than minimum", "too many cutbacks", "too many iterations needed"]
            .into_iter()
            .any(says)
        {
            let size = run.increment_size.as_ref().map_or_else(String::new, |size| format!(", size {size}"));
            return Some(format!(
                "the solution diverges in step {}, increment {} (attempt {}{size}){residual}: check supports, material \
                 and contact, and whether the load is beyond what the structure bears; then try smaller increments",
                run.step, run.increment, run.attempt
            ));
        }
        None
    }

    fn turned_inside_out(&self) -> Option<String> {
        let texts: Vec<String> = self.run.errors.iter().map(Block::text).collect();
        let mut elements: Vec<&str> = texts
            .iter()
            .filter(|text| text.contains("nonpositive jacobian"))
            .filter_map(|text| text.rsplit(' ').next())
            .collect();
        elements.dedup();
        let named = elements.iter().take(ELEMENTS_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = if elements.len() > ELEMENTS_MAX { " and more" } else { "" };
        (!elements.is_empty()).then(|| {
            format!(
                "elements are turned inside out (nonpositive Jacobian): {named}{more}. Their nodes are in the wrong \
                 order, or they are too distorted"
            )
        })
    }

    /// Names of sets, materials and the like that the deck doesn't define.
    fn undefined(&self, text: &str, card: Option<&str>) -> Option<String> {
        let missing = ["not yet been defined", "not been defined", "is not defined", "nonexistent", "does not exist"];
        if !missing.iter().any(|words| text.contains(words)) {
            return None;
        }
        let within = keyword_of(text);
        for (kind, parameter) in [
            ("node set", "NSET="),
            ("element set", "ELSET="),
            ("material", "MATERIAL="),
            ("surface", "SURFACE="),
            ("amplitude", "AMPLITUDE="),
            ("orientation", "ORIENTATION="),
        ] {
            let Some((_, rest)) = text.split_once(kind) else { continue };
            let from_card = || card.and_then(|card| Some(card.split_once(parameter)?.1.split(',').next()?.to_owned()));
            let told = rest.split_whitespace().next().filter(|word| !["has", "is", "does"].contains(word));
            let Some(name) = told.map(str::to_owned).or_else(from_card) else { continue };
            let known = self.deck.and_then(|deck| deck.names.get(kind)).into_iter().flatten();
            let near = nearest(&name, known.map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Some(format!("the {kind} {name} in {within} is not defined{near}"));
        }
        let node = text.split_once("node ").and_then(|(_, rest)| rest.split_whitespace().next())?;
        node.parse::<u64>().ok().map(|node| format!("the node {node} in {within} is not defined"))
    }

    /// It neither finished nor said why.
    fn unfinished(&self) -> Option<Cause> {
        if self.run.finished {
            return None;
        }
        let place =
            if self.run.step > 0 { format!(" in {}", self.run.place()) } else { " while reading the deck".to_owned() };
        let cause = "an element that names a node which isn't defined does that";
        Some(match self.ended.exit_code {
            139 => format!("CalculiX crashed{place} (segmentation fault); {cause}").into(),
            134 => format!("CalculiX crashed{place} (aborted); {cause}, and so does a deck that is no text").into(),
            153 => "CalculiX wrote a file larger than is allowed: ask for fewer results".to_owned().into(),
            code => {
                format!("CalculiX ended{place} without finishing, and without saying why (exit code {code})").into()
            }
        })
    }
}

/// The keyword that an error speaks of: `*ERROR reading *BOUNDARY: …`.
fn keyword_of(text: &str) -> String {
    let after = text.split_once(" reading ").map_or("", |(_, rest)| rest);
    let end = after.find([':', '.']).unwrap_or(after.len());
    let keyword = after.get(..end).unwrap_or_default().trim();
    if keyword.starts_with('*') { keyword.to_owned() } else { "the deck".to_owned() }
}

/// Messages whose cure is worth saying.
fn known(text: &str) -> Option<String> {
    let has = |words: &str| text.contains(words);
    if let Some((_, name)) = text.split_once("cannot open file ") {
        return Some(format!(
            "CalculiX can't open {name}: add it to the task's files, or correct its name in the deck"
        ));
    }
    let cure = if has("no material was assigned") {
        "give every element a section (*SOLID SECTION, *SHELL SECTION, … with ELSET= and MATERIAL=)"
    } else if has("no elastic constants") {
        "give the material *ELASTIC"
    } else if has("no density was assigned") {
        "give the material *DENSITY, which frequencies, dynamics and gravity need"
    } else if has("unknown element type") {
        "correct TYPE= of *ELEMENT"
    } else if has("dependent side of a MPC and a SPC") {
        "a degree of freedom is held by *BOUNDARY and depends on others through *EQUATION, *MPC, *TIE or *RIGID BODY: \
         keep one"
    } else if has("statement detected within step") {
        "a *STEP begins before the one before it ended: write *END STEP"
    } else if has("singular") {
        "the system of equations is singular: the model is probably not held against every rigid motion, or parts hang \
         loose"
    } else if has("allocating memory") {
        "CalculiX needs more memory than it was given: give more, or use a coarser mesh"
    } else {
        return None;
    };
    Some(format!("{}: {cure}", bare(text)))
}

/// A message without what CalculiX begins it with.
pub(super) fn bare(text: &str) -> String {
    let text = ["*ERROR", "*WARNING"].iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
    let text = text.trim_start_matches([':', ' ']);
    // `in calinput:` names a routine of CalculiX, which tells an engineer nothing.
    let routine =
        text.strip_prefix("in ").and_then(|rest| rest.split_once(": ")).filter(|(name, _)| !name.contains(' '));
    routine.map_or(text, |(_, rest)| rest).to_owned()
}
