//! One pass over a body that says whether it is strict JSON: UTF-8, one value, no duplicate key at any depth,
//! no lone surrogate, not too deep.

use std::{borrow::Cow, collections::HashSet};

/// How deep objects and arrays may nest.
const DEPTH_MAX: usize = 64;
/// Up to so many keys an object is searched from end to end; beyond, they are hashed.
const KEYS_SEARCHED_MAX: usize = 16;
/// So much of a key is quoted in a message, in characters.
const QUOTED_CHARS_MAX: usize = 64;

/// Why a text is not acceptable JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (line {line}, column {column})")]
pub struct Malformed {
    pub reason: Reason,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// What is wrong with the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body is empty where a JSON value is needed")]
    Empty,
    #[error("the JSON ends too early")]
    EndsEarly,
    #[error("objects and arrays are nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("the key {0:?} appears twice in one object")]
    DuplicateKey(String),
    #[error("a \\u escape is half of a surrogate pair")]
    LoneSurrogate,
    #[error("a string holds a control character that must be escaped")]
    ControlCharacter,
    #[error("a string holds an escape that JSON does not have")]
    BadEscape,
    #[error("JSON has no NaN and no infinity: leave the value out or send null")]
    NonFinite,
    #[error("a number is not written as JSON writes numbers")]
    BadNumber,
    #[error("{0} is needed here")]
    Expected(&'static str),
    #[error("there is text after the end of the JSON value")]
    TrailingText,
}

/// The body as text, once it is known to be one strict JSON value.
pub fn check(bytes: &[u8]) -> Result<&str, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = position(&String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default()));
        Malformed { reason: Reason::NotUtf8, line, column }
    })?;
    let mut scanner = Scanner::new(text);
    scanner.document().map_err(|reason| {
        let end = (0..=scanner.at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (line, column) = position(text.get(..end).unwrap_or_default());
        Malformed { reason, line, column }
    })?;
    Ok(text)
}

/// Line and column just after `before`.
fn position(before: &str) -> (u32, u32) {
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// A place in a text, moving forward only.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn document(&mut self) -> Result<(), Reason> {
        self.skip_space();
        if self.peek().is_none() {
            return Err(Reason::Empty);
        }
        self.value(0)?;
        self.skip_space();
        if self.peek().is_some() { Err(Reason::TrailingText) } else { Ok(()) }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Steps over `byte` if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<(), Reason> {
        match self.peek().ok_or(Reason::EndsEarly)? {
            b'{' | b'[' if depth == DEPTH_MAX => Err(Reason::TooDeep),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'N' | b'I' => Err(Reason::NonFinite),
            _ => Err(Reason::Expected("a JSON value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Reason> {
        let mut keys = Keys::default();
        self.at += 1;
        self.skip_space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let start = self.at;
            if let Some(again) = keys.insert(self.string()?) {
                self.at = start;
                return Err(Reason::DuplicateKey(again));
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.expected("a colon after the key"));
            }
            self.skip_space();
            self.value(depth)?;
            self.skip_space();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.expected("a comma or the end of the object"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Reason> {
        self.at += 1;
        self.skip_space();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip_space();
            self.value(depth)?;
            self.skip_space();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.expected("a comma or the end of the array"));
            }
        }
    }

    fn expected(&self, what: &'static str) -> Reason {
        if self.peek().is_none() { Reason::EndsEarly } else { Reason::Expected(what) }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Reason> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Reason::Expected("a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Reason> {
        self.take(b'-');
        if self.peek() == Some(b'I') {
            return Err(Reason::NonFinite);
        }
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.')) {
            return Err(Reason::BadNumber);
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Reason> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match (self.at > start, self.peek()) {
            (true, _) => Ok(()),
            (false, None) => Err(Reason::EndsEarly),
            (false, Some(_)) => Err(Reason::BadNumber),
        }
    }

    /// Steps over a string; answers its text, quotes included.
    pub(super) fn string(&mut self) -> Result<&'a str, Reason> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek().ok_or(Reason::EndsEarly)? {
                b'"' => {
                    self.at += 1;
                    return Ok(self.text.get(start..self.at).unwrap_or_default());
                }
                b'\\' => self.escape()?,
                0..=0x1f => return Err(Reason::ControlCharacter),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Reason> {
        self.at += 1;
        match self.peek().ok_or(Reason::EndsEarly)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => match self.code_unit()? {
                0xd800..=0xdbff => {
                    if !(self.take(b'\\') && self.peek() == Some(b'u')) {
                        return Err(Reason::LoneSurrogate);
                    }
                    match self.code_unit()? {
                        0xdc00..=0xdfff => Ok(()),
                        _ => Err(Reason::LoneSurrogate),
                    }
                }
                0xdc00..=0xdfff => Err(Reason::LoneSurrogate),
                _ => Ok(()),
            },
            _ => Err(Reason::BadEscape),
        }
    }

    /// The four hexadecimal digits after the `u` that is next.
    fn code_unit(&mut self) -> Result<u32, Reason> {
        self.at += 1;
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(Reason::EndsEarly)?;
        let unit = digits.iter().try_fold(0, |unit, byte| {
            char::from(*byte).to_digit(16).map(|digit| unit << 4 | digit).ok_or(Reason::BadEscape)
        })?;
        self.at += 4;
        Ok(unit)
    }

    /// Steps over one value of a text that [`check`] accepted; answers its text.
    pub(super) fn skip_value(&mut self) -> &'a str {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    if self.string().is_err() {
                        break;
                    }
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
                break;
            }
        }
        self.text.get(start..self.at).unwrap_or_default().trim_end()
    }
}

/// The keys that one object has had so far.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// Adds the key written as `quoted`; answers its beginning where it was there already.
    fn insert(&mut self, quoted: &'a str) -> Option<String> {
        let key = unquote(quoted);
        let again = |key: &str| Some(key.chars().take(QUOTED_CHARS_MAX).collect());
        if self.few.contains(&key) || self.many.contains(&key) {
            return again(&key);
        }
        if self.few.len() < KEYS_SEARCHED_MAX {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        None
    }
}

/// The string that a valid JSON string literal (quotes included) stands for; borrowed where it has no escape.
pub(super) fn unquote(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    if inner.contains('\\') {
        Cow::Owned(serde_json::from_str(quoted).unwrap_or_default())
    } else {
        Cow::Borrowed(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_json_is_accepted() {
        let rows = [
            "{}",
            " [1, 2.5e-3, -0, 1e400, 123456789012345678901234567890] ",
            "\"\\ud83d\\ude00 \\u0000 é\"",
            "null",
            "{\"a\":{\"a\":[{\"a\":1}]},\"b\":[]}",
            "0.10",
            "{\"\":1}",
        ];
        for text in rows {
            assert_eq!(check(text.as_bytes()), Ok(text));
        }
    }

    #[test]
    fn each_kind_of_malformed_text_is_named() {
        let again = |key: &str| Reason::DuplicateKey(key.to_owned());
        let rows: Vec<(&[u8], Reason)> = vec![
            (b"", Reason::Empty),
            (b"  \n", Reason::Empty),
            (b"\xff", Reason::NotUtf8),
            (b"{\"a\":\"\xc3\"}", Reason::NotUtf8),
            (b"\xef\xbb\xbf{}", Reason::Expected("a JSON value")),
            (b"{\"a\":1", Reason::EndsEarly),
            (b"[1,]", Reason::Expected("a JSON value")),
            (b"{\"a\":1,}", Reason::Expected("a key in double quotes")),
            (b"{'a':1}", Reason::Expected("a key in double quotes")),
            (b"{} {}", Reason::TrailingText),
            (b"{\"a\":1,\"a\":2}", again("a")),
            (b"{\"a\":1,\"\\u0061\":2}", again("a")),
            (b"[[{\"x\":{\"y\":1,\"y\":1}}]]", again("y")),
            (b"\"\\ud800\"", Reason::LoneSurrogate),
            (b"\"\\udc00\"", Reason::LoneSurrogate),
            (b"\"\\ud800\\u0041\"", Reason::LoneSurrogate),
            (b"{\"\\ud800\":1}", Reason::LoneSurrogate),
            (b"\"\\x41\"", Reason::BadEscape),
            (b"\"\\u00g0\"", Reason::BadEscape),
            (b"\"a\nb\"", Reason::ControlCharacter),
            (b"[NaN]", Reason::NonFinite),
            (b"-Infinity", Reason::NonFinite),
            (b"01", Reason::BadNumber),
            (b"1.", Reason::EndsEarly),
            (b"[1.]", Reason::BadNumber),
            (b"1e+", Reason::EndsEarly),
            (b"+1", Reason::Expected("a JSON value")),
            (b"tru", Reason::Expected("a JSON value")),
        ];
        for (text, reason) in rows {
            assert_eq!(check(text).unwrap_err().reason, reason, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn nesting_is_counted_on_every_path() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(check(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err().reason, Reason::TooDeep);
        assert_eq!(check("{\"a\":".repeat(100_000).as_bytes()).unwrap_err().reason, Reason::TooDeep);
    }

    #[test]
    fn many_keys_are_still_compared_with_the_first() {
        let keys: String = (0..1000).map(|index| format!("\"k{index}\":0,")).collect();
        assert!(check(format!("{{{keys}\"last\":0}}").as_bytes()).is_ok());
        for again in ["k0", "k999"] {
            assert!(check(format!("{{{keys}\"{again}\":0}}").as_bytes()).is_err(), "{again}");
        }
    }

    #[test]
    fn the_place_is_given_in_lines_and_characters() {
        let malformed = check("{\"é\": 1,\n \"é\": 2}".as_bytes()).unwrap_err();
        assert_eq!((malformed.line, malformed.column), (2, 2));
    }
}
