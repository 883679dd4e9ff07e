//! Makes text from elsewhere harmless to print: a guest, or a server that is not ours, can't move the cursor,
//! change colours, retitle the window, or show text in another order than it is written.

use std::borrow::Cow;

/// Columns of a description in a table.
const SUMMARY_COLUMNS_MAX: usize = 80;

/// The same text with line feeds and tabs kept, and every other control character shown as a symbol.
pub(crate) fn neutralise(text: &str) -> Cow<'_, str> {
    if text.chars().any(|character| symbol_for(character).is_some()) {
        Cow::Owned(text.replace("\r\n", "\n").chars().map(|c| symbol_for(c).unwrap_or(c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The same on one line.
pub(crate) fn neutralise_line(text: &str) -> String {
    neutralise(text).chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }).collect()
}

/// What a description says in its first line, short enough for a row of a table.
pub(crate) fn summary(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    console::truncate_str(&neutralise_line(line), SUMMARY_COLUMNS_MAX, "…").into_owned()
}

/// What is shown instead of a character that acts on the terminal.
fn symbol_for(character: char) -> Option<char> {
    match character {
        '\n' | '\t' => None,
        // The Unicode block "control pictures" has one for each C0 control, in their order.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(character)),
        '\x7f' => Some('\u{2421}'),
        '\u{80}'..='\u{9f}' => Some('\u{fffd}'),
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some('\u{fffd}'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_06_escapes_are_shown_and_not_obeyed() {
        let rows = [
            ("\x1b[2J\x1b[31mred", "␛[2J␛[31mred"),
            ("\x1b]0;title\x07", "␛]0;title␇"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("50 %\rdone", "50 %␍done"),
            ("a\r\nb\tc\n", "a\nb\tc\n"),
            ("evil\u{202e}gnp", "evil\u{fffd}gnp"),
            ("été µ ✓ 计算", "été µ ✓ 计算"),
        ];
        for (text, expected) in rows {
            assert_eq!(neutralise(text), expected);
        }
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(neutralise_line("a\nb\tc\x1b"), "a b c␛");
    }
}
