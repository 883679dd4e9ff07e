//! Lines on stderr that are drawn again and again in the same place.

use super::Terminal;
use std::fmt::Write;

/// Rows and columns where the size of the terminal is not known.
const SIZE_DEFAULT: (usize, usize) = (24, 80);

/// A block of lines at the end of what is shown; silent where nobody watches.
#[derive(Debug)]
pub(crate) struct Block<'t> {
    terminal: &'t Terminal,
    /// Lines that stand there now.
    drawn: usize,
}

impl Terminal {
    /// A block that has no lines yet.
    pub(crate) fn block(&self) -> Block<'_> {
        Block { terminal: self, drawn: 0 }
    }

    /// Rows and columns of what shows stderr.
    pub(crate) fn err_size(&self) -> (usize, usize) {
        let size = console::Term::stderr().size_checked().filter(|_| self.is_animated());
        size.map_or(SIZE_DEFAULT, |(rows, columns)| (usize::from(rows), usize::from(columns)))
    }
}

impl Block<'_> {
    /// Puts these lines in the place of those that stand there. Each must be narrower than the terminal.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        if self.terminal.is_animated() {
            let text = redrawn(self.drawn, lines);
            self.terminal.note_raw(&text);
            self.drawn = lines.len();
        }
    }

    /// Takes all of it away.
    pub(crate) fn clear(&mut self) {
        self.draw(&[]);
    }
}

/// What replaces `before` lines above the cursor by others.
fn redrawn(before: usize, lines: &[String]) -> String {
    let mut text = String::from("\r");
    if before > 0 {
        let _ = write!(text, "\x1b[{before}A");
    }
    for line in lines {
        let _ = writeln!(text, "\x1b[2K{line}");
    }
    // What is left of a longer block.
    text.push_str("\x1b[J");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_take_the_place_of_those_before() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(redrawn(0, &lines), "\r\x1b[2Ka\n\x1b[2Kb\n\x1b[J");
        assert_eq!(redrawn(2, &lines[..1]), "\r\x1b[2A\x1b[2Ka\n\x1b[J");
        assert_eq!(redrawn(1, &[]), "\r\x1b[1A\x1b[J");
    }
}
