//! Where an offset stands: line and column as an editor shows them.

use ruff_text_size::TextSize;
use std::cell::OnceCell;

/// Line starts of a source, found when first asked for.
pub(super) struct Lines<'a> {
    source: &'a str,
    starts: OnceCell<Vec<usize>>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, starts: OnceCell::new() }
    }

    /// Line from 1.
    pub(super) fn line(&self, at: TextSize) -> u32 {
        saturate(self.starts().partition_point(|&start| start <= at.to_usize()).max(1))
    }

    /// Line from 1 and column in characters from 1. Takes time in proportion to the column.
    pub(super) fn place(&self, at: TextSize) -> (u32, u32) {
        let at = at.to_usize().min(self.source.len());
        let line = self.starts().partition_point(|&start| start <= at);
        let start = self.starts().get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.source.get(start..at).unwrap_or("");
        let characters = before.chars().filter(|&c| c != BYTE_ORDER_MARK).count();
        (saturate(line.max(1)), saturate(characters + 1))
    }

    /// The text of the line that holds `at`, without its line break.
    pub(super) fn line_text(&self, at: TextSize) -> &'a str {
        let at = at.to_usize().min(self.source.len());
        let (before, after) = self.source.split_at_checked(at).unwrap_or((self.source, ""));
        let start = before.rfind(['\n', '\r']).map_or(0, |newline| newline + 1);
        let end = after.find(['\n', '\r']).map_or(self.source.len(), |newline| at + newline);
        self.source.get(start..end).unwrap_or("")
    }

    fn starts(&self) -> &[usize] {
        self.starts.get_or_init(|| line_starts(self.source))
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Offsets at which lines start; `\n`, `\r\n` and `\r` all end a line, as for Python.
fn line_starts(source: &str) -> Vec<usize> {
    let bytes = source.as_bytes();
    let ends = bytes.iter().enumerate().filter(|&(index, &byte)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(index + 1) != Some(&b'\n'),
        _ => false,
    });
    std::iter::once(0).chain(ends.map(|(index, _)| index + 1)).collect()
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_every_line_end_counts() {
        let rows = [
            ("ab\ncd", 4, (2, 2)),
            ("a\r\nb\rc", 5, (3, 1)),
            ("é=1;x", 5, (1, 5)),
            ("\u{feff}x", 3, (1, 1)),
            ("", 9, (1, 1)),
        ];
        for (source, at, place) in rows {
            assert_eq!(Lines::new(source).place(TextSize::new(at)), place, "{source:?}");
        }
        assert_eq!(Lines::new("a\nbcd\ne").line_text(TextSize::new(3)), "bcd");
    }
}
