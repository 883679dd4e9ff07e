//! Lines of files of any size and origin, with a bound on what is held of each.

use std::io::{self, BufRead, BufReader, Read};

/// Reads a file line by line; the end of a line (LF or CR LF) is not part of it.
pub(super) struct Lines<'a> {
    reader: BufReader<Box<dyn Read + 'a>>,
    line: Vec<u8>,
    /// Bytes that are held of a line; what follows is passed over.
    bytes_max: usize,
    /// How many lines were read.
    pub(super) number: u64,
    /// Whether the last line was longer than what is held of it.
    pub(super) cut: bool,
    /// The last bytes of the last line, of one that is cut as well.
    pub(super) tail: Vec<u8>,
}

/// Bytes of a line's tail.
const TAIL_BYTES: usize = 8;

impl<'a> Lines<'a> {
    pub(super) fn new(reader: Box<dyn Read + 'a>, bytes_max: usize) -> Self {
        let reader = BufReader::with_capacity(1 << 16, reader);
        Self { reader, line: Vec::new(), bytes_max, number: 0, cut: false, tail: Vec::new() }
    }

    /// The next line; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        self.tail.clear();
        self.cut = false;
        let mut any = false;
        loop {
            let held = self.reader.fill_buf()?;
            if held.is_empty() {
                break;
            }
            any = true;
            let end = held.iter().position(|byte| *byte == b'\n');
            let part = held.get(..end.unwrap_or(held.len())).unwrap_or_default();
            let room = self.bytes_max.saturating_sub(self.line.len());
            self.cut |= part.len() > room;
            self.line.extend(part.iter().take(room));
            self.tail.extend(part.iter().skip(part.len().saturating_sub(TAIL_BYTES)));
            self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(Some(&self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_or_without_carriage_return_and_are_cut_where_too_long() {
        let mut lines = Lines::new(Box::new(&b"one\r\n\ntwenty-two\nlast"[..]), 6);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let text = String::from_utf8(line.to_vec()).unwrap();
            found.push((text, lines.number, lines.cut, String::from_utf8(lines.tail.clone()).unwrap()));
        }
        let row = |text: &str, number, cut, tail: &str| (text.to_owned(), number, cut, tail.to_owned());
        let expected = [
            row("one", 1, false, "one\r"),
            row("", 2, false, ""),
            row("twenty", 3, true, "enty-two"),
            row("last", 4, false, "last"),
        ];
        assert_eq!(found, expected);
    }
}
