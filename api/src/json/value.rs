//! One value of a text that [`check`](super::check) accepted, as its own text.

use super::scan::{Scanner, unquote};
use std::borrow::Cow;

/// A JSON value, not parsed further than what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    text: &'a str,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl<'a> Value<'a> {
    /// The one value of a text that [`check`](super::check) accepted.
    pub fn of(checked: &'a str) -> Self {
        Self { text: checked.trim_matches([' ', '\n', '\r', '\t']) }
    }

    /// The value as it was written.
    pub fn text(self) -> &'a str {
        self.text
    }

    pub fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The string, borrowed where it was written without escapes; `None` for other kinds.
    pub fn string(self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| unquote(self.text))
    }

    /// The members of an object in the order they were written; `None` for other kinds.
    pub fn members(self) -> Option<Vec<(Cow<'a, str>, Value<'a>)>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let mut scanner = Scanner::new(self.text);
        let mut members = Vec::new();
        scanner.take(b'{');
        loop {
            scanner.skip_space();
            if scanner.peek() != Some(b'"') {
                return Some(members);
            }
            let key = unquote(scanner.string().unwrap_or_default());
            scanner.skip_space();
            scanner.take(b':');
            scanner.skip_space();
            members.push((key, Value { text: scanner.skip_value() }));
            scanner.skip_space();
            scanner.take(b',');
        }
    }
}

impl<'a> Value<'a> {
    /// The items of an array in their order; `None` for other kinds.
    pub fn items(self) -> Option<Vec<Value<'a>>> {
        if self.kind() != Kind::Array {
            return None;
        }
        let mut scanner = Scanner::new(self.text);
        let mut items = Vec::new();
        scanner.take(b'[');
        loop {
            scanner.skip_space();
            if matches!(scanner.peek(), None | Some(b']')) {
                return Some(items);
            }
            items.push(Value { text: scanner.skip_value() });
            scanner.skip_space();
            scanner.take(b',');
        }
    }
}

impl Kind {
    /// The kind in a sentence: "a string", "null", …
    pub fn described(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "true or false",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_text() {
        let text =
            super::super::check(b" {\"a\" : 1e400 , \"b\\n\":[ 1 , {\"x\":\"]},\"} , \"s\" ],\"c\":null,\"d\":{ } } ")
                .unwrap();
        let members = Value::of(text).members().unwrap();
        let shown: Vec<_> = members.iter().map(|(key, value)| (key.as_ref(), value.text())).collect();
        let items = "[ 1 , {\"x\":\"]},\"} , \"s\" ]";
        assert_eq!(shown, [("a", "1e400"), ("b\n", items), ("c", "null"), ("d", "{ }")]);
        assert_eq!(Value::of("{}").members(), Some(vec![]));
        assert_eq!(Value::of("[]").members(), None);
    }

    #[test]
    fn items_keep_their_text() {
        let text = super::super::check(b"[ 1 , \"a,]\" ,[2,[]],{\"x\":[]} ]").unwrap();
        let items: Vec<_> = Value::of(text).items().unwrap().into_iter().map(Value::text).collect();
        assert_eq!(items, ["1", "\"a,]\"", "[2,[]]", "{\"x\":[]}"]);
        assert_eq!(Value::of("[ ]").items(), Some(vec![]));
        assert_eq!(Value::of("{}").items(), None);
    }

    #[test]
    fn strings_are_unescaped() {
        assert_eq!(Value::of("\"a\\u0000\\ud83d\\ude00\"").string().unwrap(), "a\0😀");
        assert!(matches!(Value::of("\"plain\"").string(), Some(Cow::Borrowed("plain"))));
        assert_eq!(Value::of("1").string(), None);
    }
}
