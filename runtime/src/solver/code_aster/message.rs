//! The solver's output, read as it comes: commands, time steps, residuals, alarms, errors, tests, times and the
//! diagnostic. Everything that is kept has a limit; what lies beyond is counted.
//!
//! Understands French and English output, in which bytes that are no UTF-8 have become U+FFFD.

use super::blocks::{Block, Blocks, Severity, Traces};
use super::newton::{Newton, Steps, Told};
use super::numbers;
use crate::solver::Reader;
use mecapy_model::Progress;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// Bytes of a line that are looked at.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Commands that the result lists.
const COMMANDS_MAX: usize = 1_000;
/// Different alarms that are kept.
const ALARMS_MAX: usize = 50;
/// Errors that are kept: those before the first that ends the command, and that one.
const ERRORS_MAX: usize = 5;
/// Tests out of tolerance that are kept.
const NOOK_MAX: usize = 10;
/// The last lines, for a run that ended without a message, and how much of each is kept.
const TAIL_LINES_MAX: usize = 20;
const TAIL_LINE_BYTES_MAX: usize = 300;

/// One command of the command file that was carried out.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Command {
    pub(super) name: String,
    /// Processor time (user and system), seconds; null where it did not end.
    pub(super) seconds: Option<Box<RawValue>>,
    #[serde(skip)]
    number: u32,
}

/// An alarm, and how often it was said.
#[derive(Debug, Clone)]
pub(super) struct Alarm {
    pub(super) code: String,
    pub(super) summary: String,
    pub(super) count: u64,
}

/// The tests of `TEST_RESU` and its like.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Tests {
    pub(super) ok: u64,
    pub(super) nook: u64,
    #[serde(skip)]
    pub(super) first_nook: Vec<String>,
}

/// The `TOTAL_JOB` line, seconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Times {
    pub(super) user: Box<RawValue>,
    pub(super) system: Box<RawValue>,
    pub(super) total: Box<RawValue>,
    pub(super) elapsed: Box<RawValue>,
}

/// Reads one run's output.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) version: Option<String>,
    pub(super) commands: Vec<Command>,
    pub(super) commands_ended: u64,
    pub(super) alarms: Vec<Alarm>,
    /// All alarms, those that are not kept included.
    pub(super) alarm_count: u64,
    /// Errors, up to the first that ended a command.
    pub(super) errors: Vec<Block>,
    pub(super) tests: Tests,
    pub(super) times: Option<Times>,
    /// What stands behind the last `DIAGNOSTIC JOB :`.
    pub(super) diagnostic: Option<String>,
    /// What the solver's process ended with, by its launcher.
    pub(super) process_exit: Option<i64>,
    pub(super) tail: VecDeque<String>,
    pub(super) traces: Traces,
    blocks: Blocks,
    newton: Newton,
    echo: Echo,
    /// The end of the time that is being stepped through, as far as the commands' own text tells.
    list_end: Option<f64>,
    fraction: f64,
}

/// The text of a command, which the solver prints before it carries it out.
#[derive(Debug, Default)]
struct Echo {
    open: bool,
    /// The number of the command whose name is still to be read.
    unnamed: Option<u32>,
    /// `INST_FIN` of this command.
    end: Option<f64>,
}

impl Reader for Messages {
    fn line(&mut self, line: &str) -> Option<Progress> {
        let line = line.get(..line.floor_char_boundary(LINE_BYTES_MAX)).unwrap_or_default().trim_end();
        self.remember(line);
        self.traces.line(line);
        if let Some(block) = self.blocks.line(line) {
            self.block(block);
        }
        let told = self.newton.line(line);
        let message = match told {
            Some(_) => self.step_message(told)?,
            None => self.other(line)?,
        };
        Some(Progress { fraction: self.fraction, message: Some(message) })
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Messages {
    pub(super) fn steps(&self) -> &Steps {
        &self.newton.steps
    }

    /// The error that explains an end: the first, or one that was still being said.
    pub(super) fn first_error(&self) -> Option<&Block> {
        let unfinished = || self.blocks.unfinished().filter(|block| block.severity == Severity::Fatal);
        self.errors.first().or_else(unfinished)
    }

    /// The command that was being carried out last.
    pub(super) fn last_command(&self) -> Option<&Command> {
        self.commands.last()
    }

    fn remember(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.tail.len() >= TAIL_LINES_MAX {
            self.tail.pop_front();
        }
        let kept = line.get(..line.floor_char_boundary(TAIL_LINE_BYTES_MAX)).unwrap_or_default();
        self.tail.push_back(kept.to_owned());
    }

    fn block(&mut self, block: Block) {
        match block.severity {
            Severity::Information => {}
            Severity::Alarm => {
                self.alarm_count += 1;
                let summary = block.summary();
                let room = self.alarms.len() < ALARMS_MAX;
                let known = self.alarms.iter_mut().find(|alarm| alarm.code == block.code && alarm.summary == summary);
                match known {
                    Some(alarm) => alarm.count += 1,
                    None if room => {
                        self.alarms.push(Alarm { code: block.code, summary, count: 1 });
                    }
                    None => {}
                }
            }
            Severity::Error | Severity::Fatal => {
                let explained = self.errors.iter().any(|error| error.severity == Severity::Fatal);
                let room = self.errors.len() + usize::from(block.severity == Severity::Error) < ERRORS_MAX;
                if !explained && room {
                    self.errors.push(block);
                }
            }
        }
    }

    fn step_message(&mut self, told: Option<Told>) -> Option<String> {
        let steps = &self.newton.steps;
        let time = steps.last.as_ref().map_or("?", |time| time.get());
        if told == Some(Told::Iteration) {
            let iteration = steps.last_iteration.as_ref()?.iteration;
            let residuals = steps.residuals()?;
            return Some(format!("time {time}, iteration {iteration}: {residuals}"));
        }
        let end = self.echo.end.or(self.list_end).filter(|end| *end > 0.0);
        if let (Some(end), Some(time)) = (end, numbers::value(time)) {
            // What has been reached before never goes back: a second command may step through the same times again.
            self.fraction = (time / end).clamp(self.fraction, 1.0);
        }
        Some(format!("step {}, time {time}", steps.count))
    }

    /// Lines that are neither a step nor a message.
    fn other(&mut self, line: &str) -> Option<String> {
        let text = line.trim();
        if let Some((number, _)) = command_line(text, &BEGINNINGS) {
            self.echo = Echo { open: true, unnamed: Some(number), end: None };
            return None;
        }
        if let Some((number, rest)) = command_line(text, &ENDINGS) {
            return self.command_ended(number, rest);
        }
        self.summary(text);
        if self.echo.open { self.echoed(text) } else { None }
    }

    /// A line of the text of a command. The first names it: `MESH = LIRE_MAILLAGE(UNITE=20)`.
    fn echoed(&mut self, text: &str) -> Option<String> {
        if text.is_empty() || text.starts_with('#') {
            self.echo.open = self.echo.unnamed.is_some() && text.is_empty();
            return None;
        }
        self.echo.end = value_after(text, "INST_FIN").or(self.echo.end);
        if let Some(end) = value_after(text, "JUSQU_A") {
            self.list_end = Some(self.list_end.map_or(end, |known| known.max(end)));
        }
        let number = self.echo.unnamed.take()?;
        let call = text.split_once('(').map_or(text, |(call, _)| call);
        let name = call.rsplit('=').next().unwrap_or_default().trim();
        let is_name =
            !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = if is_name { name } else { "?" };
        if self.commands.len() < COMMANDS_MAX {
            self.commands.push(Command { name: name.to_owned(), seconds: None, number });
        }
        Some(format!("command {number}: {name}"))
    }

    fn command_ended(&mut self, number: u32, rest: &str) -> Option<String> {
        self.echo = Echo::default();
        self.commands_ended += 1;
        let seconds = rest.split_once("user+syst:").map(|(_, rest)| rest.trim_start());
        let seconds = seconds.and_then(|rest| rest.split(['s', ' ']).next()).and_then(numbers::json_number);
        let command = self.commands.iter_mut().rev().find(|command| command.number == number)?;
        command.seconds = seconds;
        Some(format!("command {number}: {} ended", command.name))
    }

    /// Banners, tests, times and the end.
    fn summary(&mut self, text: &str) {
        let after = |mark: &str| text.find(mark).and_then(|at| text.get(at + mark.len()..)).map(str::trim);
        if let Some(diagnostic) = text.strip_prefix("--- DIAGNOSTIC JOB :") {
            self.diagnostic = diagnostic.split_whitespace().next().map(|word| word.chars().take(40).collect());
        } else if let Some(times) = text.strip_prefix("* TOTAL_JOB").or_else(|| text.strip_prefix("TOTAL_JOB")) {
            self.times = job_times(times).or(self.times.take());
        } else if text.starts_with("-- CODE_ASTER -- VERSION") || text.starts_with("Version ") {
            self.version = self.version.take().or_else(|| version(text));
        } else if let Some(code) = after("EXECUTION_CODE_ASTER_EXIT_") {
            self.process_exit = code.split_once('=').and_then(|(_, code)| code.trim().parse().ok());
        } else if text.starts_with("OK ") {
            self.tests.ok += 1;
        } else if text.starts_with("NOOK ") {
            self.tests.nook += 1;
            if self.tests.first_nook.len() < NOOK_MAX {
                let words: Vec<&str> = text.split_whitespace().collect();
                self.tests.first_nook.push(words.join(" ").chars().take(TAIL_LINE_BYTES_MAX).collect());
            }
        }
    }
}

const BEGINNINGS: [&str; 2] = ["# Commande #", "# Command #"];
const ENDINGS: [&str; 4] = ["# Fin commande #", "# End command #", "# End of command #", "# Command end #"];

/// A line that begins or ends a command, as its number and the rest.
fn command_line<'t>(text: &'t str, marks: &[&str]) -> Option<(u32, &'t str)> {
    let rest = marks.iter().find_map(|mark| text.strip_prefix(mark))?;
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at_checked(end)?;
    Some((number.parse().ok()?, rest))
}

/// The number behind `KEY=` in a command's text.
fn value_after(text: &str, key: &str) -> Option<f64> {
    let rest = text.get(text.find(key)? + key.len()..)?.trim_start().strip_prefix('=')?.trim_start();
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
    numbers::value(rest.get(..end)?)
}

/// `17.4.0` from ` : EXPLOITATION (stable) … 17.4.0 …` and the like: the first word of digits and points.
fn version(text: &str) -> Option<String> {
    let word = |word: &&str| {
        word.contains('.') && word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    text.split([' ', '(', ')', ',', '/']).find(word).map(str::to_owned)
}

/// `: 1.20 : 0.30 : 1.50 : 2.00`.
fn job_times(text: &str) -> Option<Times> {
    let mut values = text.trim_end_matches('*').split(':').skip(1).map(|value| numbers::json_number(value.trim()));
    let mut next = || values.next().flatten();
    Some(Times { user: next()?, system: next()?, total: next()?, elapsed: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "\
-- CODE_ASTER -- VERSION : EXPLOITATION (stable) --\n\
                       Version 17.4.0 modifiée le 15/05/2026\n\
# Commande #0001 de ./beam.comm.changed.py, ligne 8\n\
DEBUT(LANG='EN')\n\
\n\
# Mémoire (Mo) :  1234.55 /  1200.00 /   208.23 /   197.97 (VmPeak / VmSize / Optimum / Minimum)\n\
# Fin commande #0001   user+syst:        0.03s (syst:        0.01s, elaps:        0.04s)\n\
# Commande #0002 de ./beam.comm.changed.py, ligne 20\n\
LINST = DEFI_LIST_REEL(DEBUT=0.0,\n\
                       INTERVALLE=_F(JUSQU_A=2.0, NOMBRE=4))\n\
\n\
# Fin commande #0002   user+syst:        0.00s (syst:        0.00s, elaps:        0.00s)\n\
# Command #0003 of ./beam.comm.changed.py, line 30\n\
RESU = STAT_NON_LINE(MODELE=MODELE)\n\
\n\
Instant de calcul:  5.000000000000E-01\n\
|                | RESI_GLOB_RELA | RESI_GLOB_MAXI |                |\n\
|     0        X | 9.17109E-01  X | 1.45013E+04    |TANGENTE        |\n\
Instant de calcul:  1.000000000000E+00\n\
 OK   ANALYTIQUE       XXXX             1.0                1.0                0.0              1.0%\n\
NOOK  ANALYTIQUE       XXXX             1.0                2.0                50.0%            1.0%\n\
 * TOTAL_JOB                :       1.20 :       0.30 :       1.50 :       2.00 *\n\
EXECUTION_CODE_ASTER_EXIT_12=134\n\
--- DIAGNOSTIC JOB : NOOK_TEST_RESU\n";

    fn read(text: &str) -> (Messages, Vec<Progress>) {
        let mut messages = Messages::default();
        let progress = text.lines().filter_map(|line| messages.line(line)).collect();
        (messages, progress)
    }

    #[test]
    fn a_run_is_followed_from_start_to_end() {
        let (messages, progress) = read(RUN);
        let told: Vec<_> = progress.iter().map(|told| (told.fraction, told.message.as_deref().unwrap())).collect();
        assert_eq!(
            told,
            [
                (0.0, "command 1: DEBUT"),
                (0.0, "command 1: DEBUT ended"),
                (0.0, "command 2: DEFI_LIST_REEL"),
                (0.0, "command 2: DEFI_LIST_REEL ended"),
                (0.0, "command 3: STAT_NON_LINE"),
                (0.25, "step 1, time 5.000000000000E-01"),
                (0.25, "time 5.000000000000E-01, iteration 0: RESI_GLOB_RELA 9.17109E-01, RESI_GLOB_MAXI 1.45013E+04"),
                (0.5, "step 2, time 1.000000000000E+00"),
            ]
        );
        assert_eq!(
            serde_json::to_string(&messages.commands).unwrap(),
            r#"[{"name":"DEBUT","seconds":0.03},{"name":"DEFI_LIST_REEL","seconds":0.00},{"name":"STAT_NON_LINE","seconds":null}]"#
        );
        assert_eq!(messages.version.as_deref(), Some("17.4.0"));
        assert_eq!((messages.tests.ok, messages.tests.nook), (1, 1));
        assert_eq!(messages.tests.first_nook, ["NOOK ANALYTIQUE XXXX 1.0 2.0 50.0% 1.0%"]);
        assert_eq!(messages.times.unwrap().elapsed.get(), "2.00");
        assert_eq!(messages.process_exit, Some(134));
        assert_eq!(messages.diagnostic.as_deref(), Some("NOOK_TEST_RESU"));
    }

    #[test]
    fn alarms_are_counted_and_errors_end_with_the_first_that_is_fatal() {
        let boxed = |mark: &str, code: u32| format!("!----------!\n! <{mark}> <X_{code}> !\n! text !\n!----------!\n");
        let alarms: String = (0..200).map(|code| boxed("A", code % 60)).collect();
        let errors = boxed("E", 1) + &boxed("F", 2) + &boxed("S", 3);
        let (messages, _) = read(&(alarms + &errors));
        assert_eq!((messages.alarm_count, messages.alarms.len()), (200, ALARMS_MAX));
        assert_eq!(messages.alarms[0].count, 4);
        let codes: Vec<_> = messages.errors.iter().map(|error| error.code.as_str()).collect();
        assert_eq!(codes, ["X_1", "X_2"]);
    }

    #[test]
    fn what_is_kept_stays_small_whatever_is_said() {
        let mut messages = Messages::default();
        let long = "é".repeat(1 << 16);
        for number in 0..5_000 {
            messages.line(&format!("# Commande #{number} de x, ligne 1"));
            messages.line(&format!("X{number} = AFFE(A={long})"));
            messages.line(&long);
        }
        assert_eq!(messages.commands.len(), COMMANDS_MAX);
        assert_eq!(messages.tail.len(), TAIL_LINES_MAX);
        assert!(messages.tail.iter().all(|line| line.len() <= TAIL_LINE_BYTES_MAX));
    }
}
