//! The lines by which a task tells the platform something while it runs, written to stderr:
//!
//! ```text
//! mecapy: progress 0.42 assembling the stiffness matrix
//! mecapy: warning extrapolated beyond the last point of the table
//! mecapy: error invalid_input /bolt/pitch must be greater than zero
//! ```
//!
//! One line each, at most 4 KiB. Everything else on stderr is the task's log.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write as _},
};

/// Bytes of one line, with its end. The platform takes a longer one for a part of the log.
const LINE_BYTES_MAX: usize = 4_096;

/// Says how far the task is: `fraction` from 0 to 1 (beyond is cut off), and a short message, which may be empty.
///
/// Costs about a microsecond. A fraction that is no number is not told.
pub fn progress(fraction: f64, message: impl Display) {
    if fraction.is_nan() {
        return;
    }
    say(&format!("progress {}", fraction.clamp(0.0, 1.0)), message);
}

/// Adds a warning to the answer: `code` is one word that programs may look for, `message` is for people.
pub fn warning(code: &str, message: impl Display) {
    let word: String = code.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    say(&format!("warning {word}"), message);
}

pub(crate) fn error(kind: &str, message: impl Display) {
    say(&format!("error {kind}"), message);
}

fn say(what: &str, message: impl Display) {
    // One write for the whole line. Where stderr can't be written to, nobody is there to be told.
    io::stderr().write_all(line(what, message).as_bytes()).unwrap_or_default();
}

fn line(what: &str, message: impl Display) -> String {
    let mut line = format!("mecapy: {what} ");
    // A `Display` that fails has written what it could.
    write!(line, "{message}").unwrap_or_default();
    let mut line = line.replace(['\n', '\r'], " ");
    if line.len() >= LINE_BYTES_MAX {
        let cut = (0..LINE_BYTES_MAX - 4).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        line.truncate(cut);
        line.push('…');
    }
    let kept = line.trim_end().len();
    line.truncate(kept);
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_on_its_line_and_within_its_length() {
        let rows = [
            (line("progress 0.5", "half\nway"), "mecapy: progress 0.5 half way\n"),
            (line("progress 1", ""), "mecapy: progress 1\n"),
            (line("error exception", "a\r\nb\n"), "mecapy: error exception a  b\n"),
        ];
        for (found, expected) in rows {
            assert_eq!(found, expected);
        }
        for unit in ["x", "é", "∑", "🦀"] {
            let long = line("error exception", unit.repeat(5_000));
            assert!((LINE_BYTES_MAX - 8..=LINE_BYTES_MAX).contains(&long.len()), "{}", long.len());
            assert!(long.ends_with("…\n"));
        }
    }
}
