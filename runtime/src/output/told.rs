//! Lines by which a program tells the platform something, among its log on standard error:
//!
//! ```text
//! mecapy: progress 0.42 assembling the stiffness matrix
//! mecapy: warning extrapolated beyond the last point of the table
//! mecapy: error invalid_input /bolt/pitch must be greater than zero
//! ```
//!
//! They are text like any other, so that such a program runs anywhere. A line that reads as one of these is not a part
//! of the log; one that doesn't, or is longer than 4 KiB, is. What they say is the guest's: see [`kind_of_guest`].

use super::Sink;
use mecapy_model::{ErrorKind, LogStream, Progress, TaskError, Warning};

const PREFIX: &[u8] = b"mecapy: ";
/// Bytes of one line, with its end.
pub(super) const LINE_BYTES_MAX: usize = 4_096;
/// Bytes of one write that are searched for such lines: no tick interrupts the search.
pub(super) const SEARCHED_BYTES_MAX: usize = 64 << 10;
/// Warnings that are kept of one run.
pub(crate) const WARNINGS_MAX: usize = 100;
/// Characters of a progress message.
const MESSAGE_CHARS_MAX: usize = 200;

/// What was told so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The newest that nobody has heard of yet.
    pub(super) progress: Option<Progress>,
    pub warnings: Vec<Warning>,
    /// The last one. It says why a program failed, if it did.
    pub error: Option<TaskError>,
}

/// Takes such lines out of a stream, however it is cut into writes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line that may be one of them.
    held: Vec<u8>,
    /// The next byte belongs to a line of the log.
    in_log: bool,
    pub(super) told: Told,
}

impl Lines {
    /// Looks at the next bytes and hands those of the log to `log`, in order and in few pieces.
    pub(super) fn take(&mut self, bytes: &[u8], mut log: impl FnMut(&[u8])) {
        let (mut rest, unsearched) = bytes.split_at(bytes.len().min(SEARCHED_BYTES_MAX));
        let mut of_log = Vec::new();
        while !rest.is_empty() {
            let line_end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |newline| newline + 1);
            let room = if self.in_log { rest.len() } else { LINE_BYTES_MAX.saturating_sub(self.held.len()) };
            let (piece, after) = rest.split_at(line_end.min(room));
            rest = after;
            if self.in_log {
                of_log.extend_from_slice(piece);
                self.in_log = !piece.ends_with(b"\n");
                continue;
            }
            self.held.extend_from_slice(piece);
            let ended = self.held.ends_with(b"\n");
            let begins = self.held.iter().zip(PREFIX).all(|(found, wanted)| found == wanted);
            if begins && ended && self.told.line(&self.held) {
                self.held.clear();
            } else if !begins || ended || self.held.len() >= LINE_BYTES_MAX {
                of_log.append(&mut self.held);
                self.in_log = !ended;
            }
        }
        if let Some(last) = unsearched.last() {
            of_log.append(&mut self.held);
            self.in_log = *last != b'\n';
        }
        for piece in [&of_log, unsearched].into_iter().filter(|piece| !piece.is_empty()) {
            log(piece);
        }
    }

    /// At the end of the stream: a line that never ended is a part of the log.
    pub(super) fn end(&mut self, log: impl FnOnce(&[u8])) {
        if !self.held.is_empty() {
            log(&std::mem::take(&mut self.held));
        }
    }
}

impl Told {
    /// All warnings; the error is one of them where the program `completed` all the same.
    pub fn into_warnings(self, completed: bool) -> Vec<Warning> {
        let error = self.error.filter(|_| completed).map(|error| warning(error.kind.as_str(), &error.message));
        self.warnings.into_iter().chain(error).collect()
    }

    /// Whether the line is one of them.
    fn line(&mut self, line: &[u8]) -> bool {
        // As harmless as the log's text is.
        let mut text = Sink::new(LogStream::Stderr, 4 * LINE_BYTES_MAX);
        text.write(line);
        let text = text.finish().text;
        let Some((word, rest)) = text.trim_end().strip_prefix("mecapy: ").map(first_word) else { return false };
        match word {
            "progress" => match progress(rest) {
                Some(progress) => self.progress = Some(progress),
                None => return false,
            },
            "warning" => match first_word(rest) {
                (_, "") => return false,
                (code, message) if self.warnings.len() < WARNINGS_MAX => self.warnings.push(warning(code, message)),
                _ => {}
            },
            "error" => match error(rest) {
                Some(error) => self.error = Some(error),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

/// `0.42 a message`: the fraction is cut to 0 … 1, the message may be left out.
pub(crate) fn progress(text: &str) -> Option<Progress> {
    let (fraction, message) = first_word(text.trim());
    let fraction = fraction.parse::<f64>().ok().filter(|fraction| fraction.is_finite())?;
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    Some(Progress { fraction: fraction.clamp(0.0, 1.0), message: (!message.is_empty()).then_some(message) })
}

fn warning(code: &str, message: &str) -> Warning {
    Warning { code: code.to_owned(), message: message.to_owned(), line: None, pointer: None }
}

fn error(text: &str) -> Option<TaskError> {
    let (kind, message) = first_word(text);
    let kind = serde_json::from_value(kind.into()).ok()?;
    (!message.is_empty()).then(|| TaskError::new(kind_of_guest(kind), message))
}

/// What a guest may say of itself. Whether the platform failed, or a limit was met, is for the host alone to say.
pub(crate) fn kind_of_guest(claimed: ErrorKind) -> ErrorKind {
    match claimed {
        ErrorKind::Exception
        | ErrorKind::InvalidOutput
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidArtifact
        | ErrorKind::OutOfMemory
        | ErrorKind::StackOverflow
        | ErrorKind::ExitCode => claimed,
        _ => ErrorKind::Exception,
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left as the log, and what was told.
    fn read(writes: &[&[u8]]) -> (String, Told) {
        let (mut lines, mut log) = (Lines::default(), Vec::new());
        for bytes in writes {
            lines.take(bytes, |piece| log.extend_from_slice(piece));
        }
        lines.end(|piece| log.extend_from_slice(piece));
        (String::from_utf8_lossy(&log).into_owned(), lines.told)
    }

    const STREAM: &str = "one\nmecapy: progress 0.25 meshing\n two mecapy: progress 1\nmecapy: warning small the \
        step is 1e-9\nmecapy: error invalid_input /d must be greater than zero\nmecapy: hello\nmec\n\nmecapy: progress 0.5";

    #[test]
    fn told_lines_are_taken_out_wherever_the_stream_is_cut() {
        let (log, told) = read(&[STREAM.as_bytes()]);
        assert_eq!(log, "one\n two mecapy: progress 1\nmecapy: hello\nmec\n\nmecapy: progress 0.5");
        assert_eq!(told.progress, Some(Progress { fraction: 0.25, message: Some("meshing".to_owned()) }));
        assert_eq!(told.warnings, [warning("small", "the step is 1e-9")]);
        let error = told.error.clone().unwrap();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidInput, "/d must be greater than zero"));
        for at in 0..STREAM.len() {
            let (head, tail) = STREAM.as_bytes().split_at(at);
            assert_eq!(read(&[head, tail]), (log.clone(), told.clone()), "cut at {at}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), (log, told.clone()));

        let codes = |completed| -> Vec<_> {
            told.clone().into_warnings(completed).into_iter().map(|warning| warning.code).collect()
        };
        assert_eq!(
            (codes(false), codes(true)),
            (vec!["small".to_owned()], vec!["small".to_owned(), "invalid_input".to_owned()])
        );
    }

    #[test]
    fn what_does_not_read_as_told_is_log() {
        let rows = [
            "mecapy: progress\n",
            "mecapy: progress half\n",
            "mecapy: progress NaN x\n",
            "mecapy: warning code\n",
            "mecapy: error made_up x\n",
            "mecapy: error exception\n",
            "mecapy: \n",
            "mecapy:progress 1\n",
            " mecapy: progress 1\n",
            "mecapy: pro",
        ];
        for text in rows {
            assert_eq!(read(&[text.as_bytes()]), (text.to_owned(), Told::default()));
        }
        let long = format!("mecapy: progress 1 {}\n", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(read(&[long.as_bytes()]), (long.clone(), Told::default()));
        let (log, told) = read(&[long.as_bytes(), b"mecapy: progress 1\n"]);
        assert_eq!((log, told.progress.map(|told| told.fraction)), (long, Some(1.0)));
    }

    #[test]
    fn a_guest_can_neither_blame_the_platform_nor_reach_a_terminal() {
        for kind in ["executor", "storage", "worker_lost", "cancelled", "quota", "timeout", "out_of_fuel", "trap"] {
            let (_, told) = read(&[format!("mecapy: error {kind} m\n").as_bytes()]);
            assert_eq!(told.error.unwrap().kind, ErrorKind::Exception, "{kind}");
        }
        let (_, told) = read(&[b"mecapy: error exception \x1b[2J\xff\n"]);
        assert_eq!(told.error.unwrap().message, "\u{241b}[2J\u{fffd}");
    }

    #[test]
    fn a_flood_is_bounded() {
        let (log, told) = read(&[b"mecapy: warning w w\n".repeat(5_000).as_slice()]);
        assert_eq!(told.warnings.len(), WARNINGS_MAX);
        assert_eq!(log.len(), 100_000 - SEARCHED_BYTES_MAX / 20 * 20);
        let (mut lines, mut pieces) = (Lines::default(), 0);
        lines.take(&b"\n".repeat(2 * SEARCHED_BYTES_MAX), |_| pieces += 1);
        assert_eq!(pieces, 2);
        let (_, told) = read(&[format!("mecapy: progress 0 {}\n", "é".repeat(1_000)).as_bytes()]);
        assert_eq!(told.progress.unwrap().message.unwrap(), "é".repeat(MESSAGE_CHARS_MAX));
    }
}
