//! CalculiX's standard output, read as it is said: steps, increments, iterations, residuals, errors and warnings.
//!
//! Half of it is written by Fortran (` STEP`, `*ERROR`) and half by C (increments, residuals), each with a buffer of its
//! own, so a step's title may come before or long after its increments. What is said of time is C's, and decides.

use super::super::Reader;
use super::deck::Deck;
use mecapy_model::Progress;
use std::collections::VecDeque;

/// Different error and warning blocks that are kept.
const BLOCKS_MAX: usize = 200;
/// Lines of one block.
const BLOCK_LINES_MAX: usize = 8;
/// The last lines that are kept, blank ones left out.
const TAIL_LINES_MAX: usize = 40;
/// Characters that are kept of a line.
const LINE_CHARS_MAX: usize = 240;

/// CalculiX says so of every nonlinear step that names no least increment; it means nothing.
const MINIMUM_INCREMENT: &str = "the minimum increment 0.0000000000000000 is smaller";

/// One message of CalculiX, its lines trimmed at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) lines: Vec<String>,
    /// How often it was said.
    pub(super) times: u64,
}

impl Block {
    /// The message on one line, with single blanks.
    pub(super) fn text(&self) -> String {
        let words = self.lines.iter().flat_map(|line| line.split_whitespace());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The largest residual of an iteration, as CalculiX judges it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Residual {
    /// `force` or `flux`.
    pub(super) kind: String,
    /// In units of the deck.
    pub(super) value: String,
    pub(super) node: String,
    /// Of the average over time, as in the `.cvg` file; `None` where there is no average yet.
    pub(super) percent: Option<f64>,
}

/// What a run has said so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Run {
    pub(super) version: Option<String>,
    pub(super) finished: bool,
    pub(super) errors: Vec<Block>,
    pub(super) warnings: Vec<Block>,
    /// Card images that CalculiX could not interpret, each with the warning before it.
    pub(super) uninterpreted: Vec<(String, Option<String>)>,
    pub(super) step: u64,
    pub(super) increment: u64,
    pub(super) attempt: u64,
    pub(super) iteration: u64,
    pub(super) residual: Option<Residual>,
    /// Size of the increment that was tried last.
    pub(super) increment_size: Option<String>,
    pub(super) tail: VecDeque<String>,
    average: Option<f64>,
    /// Steps whose first increment was begun.
    begun: u64,
    /// Time within the step before the present increment, and at its end.
    step_done: f64,
    step_time: f64,
    /// Total time at which the step began.
    start: f64,
    gathering: Option<Gathering>,
    farthest: f64,
}

/// What a line tells.
enum Event {
    Told(String),
    /// An increment begins.
    Increment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathering {
    Error,
    Warning,
    /// Said for information; its lines are passed over.
    Info,
}

/// Follows one run.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) run: Run,
    /// What the deck plans, where it is at hand.
    plan: Option<Deck>,
}

impl Follower {
    /// `plan` is what tells how far a step is; without it, steps are taken to last 1 and the present one to be the last.
    pub(super) fn new(plan: Option<Deck>) -> Self {
        Follower { run: Run::default(), plan }
    }

    fn progress(&mut self, message: String) -> Option<Progress> {
        let fraction = self.fraction().clamp(0.0, 1.0);
        // A step that begins anew, or a plan that was short, never takes progress back.
        self.run.farthest = self.run.farthest.max(fraction);
        Some(Progress { fraction: self.run.farthest, message: Some(message) })
    }

    fn fraction(&self) -> f64 {
        let run = &self.run;
        if run.finished {
            return 1.0;
        }
        let before = usize::try_from(run.step.saturating_sub(1)).unwrap_or(usize::MAX);
        let steps = self.plan.as_ref().map_or(&[][..], |plan| &plan.steps);
        if let Some(total) = self.plan.as_ref().and_then(Deck::total_time) {
            let passed: f64 = steps.iter().take(before).filter_map(|step| step.period).sum();
            let passed = if run.begun > 0 { run.start } else { passed };
            return (passed + run.step_done) / total;
        }
        let period = steps.get(before).and_then(|step| step.period).unwrap_or(1.0);
        let within = (run.step_done / period).clamp(0.0, 1.0);
        (before as f64 + within) / steps.len().max(before + 1) as f64
    }
}

impl Reader for Follower {
    fn line(&mut self, line: &str) -> Option<Progress> {
        let line: String = line.trim_end().chars().take(LINE_CHARS_MAX).collect();
        if line.is_empty() {
            self.run.gathering = None;
            return None;
        }
        self.run.remember(&line);
        let said = line.trim_start();
        // A full buffer of the other half may end in the middle of a line.
        let message = said.find("*ERROR").and_then(|at| said.get(at..)).unwrap_or(said);
        if message.starts_with('*') && line.starts_with(' ') && self.run.begins_block(message) {
            return None;
        }
        if self.run.continues_block(&line) {
            return None;
        }
        match self.run.event(said)? {
            Event::Told(message) => self.progress(message),
            Event::Increment => {
                let planned = self.plan.as_ref().and_then(|plan| plan.step_at(self.run.start));
                self.run.step = planned.unwrap_or(self.run.begun);
                self.progress(self.run.place())
            }
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Run {
    fn remember(&mut self, line: &str) {
        if self.tail.len() == TAIL_LINES_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }

    fn begins_block(&mut self, said: &str) -> bool {
        let (gathering, into) = match said {
            _ if said.starts_with("*ERROR") => (Gathering::Error, &mut self.errors),
            _ if said.starts_with("*WARNING") => (Gathering::Warning, &mut self.warnings),
            _ if said.starts_with("*INFO") => {
                self.gathering = Some(Gathering::Info);
                return true;
            }
            // A card image: the second line of a block.
            _ => return false,
        };
        fold_last(into);
        self.gathering = (into.len() < BLOCKS_MAX).then_some(gathering);
        if self.gathering.is_some() {
            into.push(Block { lines: vec![said.to_owned()], times: 1 });
        }
        true
    }

    /// Takes a line that belongs to the message before it.
    fn continues_block(&mut self, line: &str) -> bool {
        let into = match self.gathering {
            None => return false,
            Some(Gathering::Info) => return line.starts_with("  "),
            Some(Gathering::Error) => &mut self.errors,
            Some(Gathering::Warning) => &mut self.warnings,
        };
        let Some(block) = into.last_mut() else { return false };
        // Errors go on in lines of any indentation until a blank one; a step's or solver's line ends them too.
        let other = ["STEP", "Using up to", "Job finished", "Determining", "Factoring"];
        if !line.starts_with(' ') || other.iter().any(|start| line.trim_start().starts_with(start)) {
            self.gathering = None;
            return false;
        }
        if block.lines.len() < BLOCK_LINES_MAX {
            block.lines.push(line.to_owned());
        }
        true
    }

    /// Folds a message that was said before into its first occurrence, and takes uninterpreted cards out.
    pub(super) fn settle(&mut self) {
        fold(&mut self.errors);
        let mut warnings = std::mem::take(&mut self.warnings).into_iter().peekable();
        let mut last: Option<String> = None;
        while let Some(block) = warnings.next() {
            let text = block.text();
            if text.contains("Card image cannot be") {
                let card = warnings.next_if(|next| next.text().contains("Card image:"));
                let image = card.and_then(|card| card.lines.get(1).map(|line| line.trim().to_owned()));
                self.uninterpreted.push((image.unwrap_or_default(), last.clone()));
            } else if let (Some(card), Some(known)) = (text.split_once("Card image:"), self.warnings.last_mut()) {
                known.lines.push(format!("({})", card.1.trim()));
            } else if !text.contains(MINIMUM_INCREMENT) {
                last = Some(text);
                self.warnings.push(block);
            }
        }
        fold(&mut self.warnings);
    }

    /// Reads a line that is no message; answers what to tell, where there is something new.
    fn event(&mut self, said: &str) -> Option<Event> {
        let linear = self.begun == 0;
        if let Some(version) = said.strip_prefix("CalculiX Version ") {
            self.version = version.split(',').next().map(|version| version.trim().to_owned());
            None
        } else if said.ends_with("Job finished") {
            self.finished = true;
            Some(Event::Told("CalculiX has finished".to_owned()))
        } else if let Some(step) = said.strip_prefix("STEP ").and_then(whole) {
            self.step = if linear { step } else { self.step };
            linear.then(|| Event::Told(format!("step {step}")))
        } else if let Some(kind) = said.strip_suffix(" analysis was selected").filter(|_| linear && self.step > 0) {
            Some(Event::Told(format!("step {}, {} analysis", self.step, kind.to_lowercase())))
        } else if said.starts_with("Factoring the system of equations") {
            let step = if self.step > 0 { format!("step {}, ", self.step) } else { String::new() };
            linear.then(|| Event::Told(format!("{step}solving the equations")))
        } else {
            self.iterates(said)
        }
    }

    fn iterates(&mut self, said: &str) -> Option<Event> {
        if let Some(rest) = said.strip_prefix("increment ").filter(|rest| rest.contains(" attempt ")) {
            let mut numbers = rest.split_whitespace().filter_map(|word| word.parse().ok());
            (self.increment, self.attempt) = (numbers.next()?, numbers.next()?);
            (self.iteration, self.residual, self.average) = (0, None, None);
            self.begun += u64::from((self.increment, self.attempt) == (1, 1));
        } else if let Some(rest) = said.strip_prefix("increment size=") {
            self.increment_size = Some(rest.trim().to_owned());
        } else if let Some(time) = said.strip_prefix("sum of previous increments=").and_then(number) {
            self.step_done = time;
        } else if let Some(time) = said.strip_prefix("actual step time=").and_then(number) {
            self.step_time = time;
        } else if let Some(time) = said.strip_prefix("actual total time=").and_then(number) {
            self.start = time - self.step_time;
            return Some(Event::Increment);
        } else if let Some(iteration) = said.strip_prefix("iteration ").and_then(whole) {
            self.iteration = iteration;
        } else if let Some((_, average)) = said.strip_prefix("time avg.").and_then(|rest| rest.split_once('=')) {
            self.average = number(average);
        } else if let Some(rest) = said.strip_prefix("largest residual ") {
            self.residual = residual(rest, self.average);
        } else if said.starts_with("no convergence") {
            return Some(Event::Told(self.place()));
        } else if said.starts_with("convergence") {
            return Some(Event::Told(format!("{}: converged", self.place())));
        } else if said.starts_with("divergence") {
            return Some(Event::Told(format!("{}: diverges, the increment is made smaller", self.place())));
        }
        None
    }

    /// Where the run is, for people: `step 1, increment 3, attempt 2, iteration 4, residual 1.2 %`.
    pub(super) fn place(&self) -> String {
        let mut text = format!("step {}", self.step);
        if self.increment > 0 {
            text.push_str(&format!(", increment {}", self.increment));
        }
        if self.attempt > 1 {
            text.push_str(&format!(", attempt {}", self.attempt));
        }
        if self.iteration > 0 {
            text.push_str(&format!(", iteration {}", self.iteration));
        }
        if let Some(percent) = self.residual.as_ref().and_then(|residual| residual.percent) {
            text.push_str(&format!(", residual {} %", two_digits(percent)));
        }
        text
    }
}

/// A message that is said for each integration point takes the room of one.
fn fold_last(blocks: &mut Vec<Block>) {
    if let [.., known, last] = blocks.as_mut_slice()
        && known.lines == last.lines
    {
        known.times += last.times;
        blocks.pop();
    }
}

fn fold(blocks: &mut Vec<Block>) {
    let mut folded: Vec<Block> = Vec::new();
    for block in blocks.drain(..) {
        match folded.iter_mut().find(|known| known.lines == block.lines) {
            Some(known) => known.times += block.times,
            None => folded.push(block),
        }
    }
    *blocks = folded;
}

/// `force= 228077.939585 in node 153 and dof 3`
fn residual(rest: &str, average: Option<f64>) -> Option<Residual> {
    let (kind, rest) = rest.split_once('=')?;
    let mut words = rest.split_whitespace();
    let value = words.next()?;
    let node = words.skip_while(|word| *word != "node").nth(1).unwrap_or("?");
    let percent = average.filter(|average| *average > 0.0).and_then(|average| Some(100.0 * number(value)? / average));
    Some(Residual { kind: kind.to_owned(), value: value.to_owned(), node: node.to_owned(), percent })
}

fn whole(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

/// A number with two significant digits: 1.2, 450, 0.035.
pub(super) fn two_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-4..1e6).contains(&rounded.abs()) { format!("{rounded:e}") } else { format!("{rounded}") }
}

#[cfg(test)]
mod tests {
    use super::super::shelf::Shelf;
    use super::*;

    fn follow(deck: &str, lines: &str) -> (Follower, Vec<(f64, String)>) {
        let plan = Deck::read(&Shelf::of(&[("a.inp", deck)]), "a.inp").unwrap();
        let mut follower = Follower::new(Some(plan));
        let told = lines.lines().filter_map(|line| follower.line(line)).collect::<Vec<_>>();
        let told = told.into_iter().map(|progress| (progress.fraction, progress.message.unwrap())).collect();
        follower.run.settle();
        (follower, told)
    }

    const SAID: &str = " STEP            1\n\n Static analysis was selected\n\n increment 1 attempt 1 \n \
        increment size= 5.000000e-01\n sum of previous increments=0.000000e+00\n actual step time=5.000000e-01\n \
        actual total time=5.000000e-01\n iteration 1\n time avg. forc= 10.0\n largest residual force= 0.12 in node 7 and dof 3\n \
        \n\n no convergence\n\n iteration 2\n \
        time avg. forc= 10.0\n largest residual force= 0.001 in node 7 and dof 3\n convergence\n\n \
        increment 2 attempt 2 \n sum of previous increments=5.000000e-01\n actual step time=7.5e-01\n \
        actual total time=7.5e-01\n iteration 1\n divergence; the increment size is decreased to 1.2e-01\n\n \
        STEP            2\n\n increment 1 attempt 1 \n sum of previous increments=0.000000e+00\n \
        actual step time=1.000000e+00\n actual total time=2.000000e+00\n\n Job finished\n";

    #[test]
    fn progress_follows_the_time_of_the_decks_steps() {
        let (follower, told) = follow("*STEP\n*STATIC\n.5, 1.\n*END STEP\n*STEP\n*STATIC\n1., 3.\n*END STEP\n", SAID);
        let expected = [
            (0.0, "step 1"),
            (0.0, "step 1, static analysis"),
            (0.0, "step 1, increment 1"),
            (0.0, "step 1, increment 1, iteration 1, residual 1.2 %"),
            (0.0, "step 1, increment 1, iteration 2, residual 0.01 %: converged"),
            (0.125, "step 1, increment 2, attempt 2"),
            (0.125, "step 1, increment 2, attempt 2, iteration 1: diverges, the increment is made smaller"),
            (0.25, "step 2, increment 1"),
            (1.0, "CalculiX has finished"),
        ];
        assert_eq!(told, expected.map(|(fraction, message)| (fraction, message.to_owned())));
        assert!(follower.run.finished);
    }

    #[test]
    fn without_times_the_steps_are_counted() {
        let steps = "*STEP\n*FREQUENCY\n1\n*END STEP\n".repeat(4);
        let (_, told) = follow(&steps, " STEP            1\n STEP            3\n");
        assert_eq!(told.iter().map(|(fraction, _)| *fraction).collect::<Vec<_>>(), [0.0, 0.5]);
    }

    #[test]
    fn messages_are_gathered_whole_and_repeated_ones_counted() {
        let said = " *ERROR in e_c3d: nonpositive jacobian\n        determinant in element           1\n\n".repeat(3)
            + " *WARNING in calinput. Card image cannot be inter    preted:\n *WARNING reading the input file. Card image:\n          \
            *BOUNDRAY\n\n *INFO reading *STEP: nonlinear geometric\n       effects are turned on\n\n *WARNING x\n";
        let (follower, _) = follow("", &said);
        assert_eq!(follower.run.errors.len(), 1);
        assert_eq!(follower.run.errors[0].times, 3);
        assert_eq!(follower.run.errors[0].text(), "*ERROR in e_c3d: nonpositive jacobian determinant in element 1");
        assert_eq!(follower.run.uninterpreted, [("*BOUNDRAY".to_owned(), None)]);
        assert_eq!(follower.run.warnings.iter().map(Block::text).collect::<Vec<_>>(), ["*WARNING x"]);
    }

    #[test]
    fn numbers_are_shown_with_two_digits() {
        for (value, expected) in [(1.234, "1.2"), (449.0, "450"), (0.0349, "0.035"), (0.0, "0"), (2.5e9, "2.5e9")] {
            assert_eq!(two_digits(value), expected);
        }
    }
}
