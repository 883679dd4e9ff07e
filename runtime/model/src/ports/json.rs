//! JSON texts taken apart one level at a time, with numbers as they were written, and the places in them.
//!
//! For whoever reads documents that hold ports: manifests, workflows.

use crate::Fault;
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// More faults than this are not listed.
pub const FAULTS_MAX: usize = 100;
/// So much of a text is quoted in a message, in characters.
const QUOTED_CHARS_MAX: usize = 64;

/// One level of a JSON value.
#[derive(Debug)]
pub enum Shape<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<&'a RawValue>),
    Object(Members<'a>),
    /// A text that no string can hold: half of a surrogate pair.
    Broken,
}

/// The members of an object in their order; keys may repeat.
pub type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// A place in a document, as a chain of borrowed steps from the root; an RFC 6901 pointer once it is written.
#[derive(Debug, Clone, Copy)]
pub enum Path<'p> {
    /// What stands before, a pointer itself.
    Root(&'p str),
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// What is wrong with a document so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl<'a> Shape<'a> {
    pub fn of(value: &'a RawValue) -> Self {
        let text = value.get().trim_matches([' ', '\n', '\r', '\t']);
        let shape = match text.as_bytes().first() {
            Some(b'{') => serde_json::Deserializer::from_str(text).deserialize_map(MembersOf).map(Shape::Object),
            Some(b'[') => serde_json::from_str(text).map(Shape::Array),
            Some(b'"') if !text.contains('\\') => {
                let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
                return Shape::String(Cow::Borrowed(inner));
            }
            Some(b'"') => serde_json::from_str(text).map(|text: String| Shape::String(Cow::Owned(text))),
            Some(b't') => return Shape::Bool(true),
            Some(b'f') => return Shape::Bool(false),
            Some(b'n') | None => return Shape::Null,
            Some(_) => return Shape::Number(text),
        };
        // A raw value is valid JSON already, but for half of a surrogate pair.
        shape.unwrap_or(Shape::Broken)
    }

    /// The value in a sentence: "a string", "null", …
    pub fn described(&self) -> &'static str {
        match self {
            Shape::Null => "null",
            Shape::Bool(true) => "true",
            Shape::Bool(false) => "false",
            Shape::Number(_) => "a number",
            Shape::String(_) => "a string",
            Shape::Array(_) => "an array",
            Shape::Object(_) => "an object",
            Shape::Broken => "a text with half of a surrogate pair",
        }
    }
}

struct MembersOf;

impl<'a> Visitor<'a> for MembersOf {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            members.push((key, value));
        }
        Ok(members)
    }
}

/// A key, borrowed where it has no escape.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'p> Path<'p> {
    pub fn key(&'p self, name: &'p str) -> Path<'p> {
        Path::Key(self, name)
    }

    pub fn index(&'p self, index: usize) -> Path<'p> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(before) => f.write_str(before),
            Path::Key(parent, name) if name.contains(['~', '/']) => {
                write!(f, "{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Path::Key(parent, name) => write!(f, "{parent}/{name}"),
            Path::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

impl Faults {
    /// Adds a fault at `path`, as long as it would be listed.
    pub fn at(&mut self, path: Path<'_>, code: &str, message: impl fmt::Display) {
        if !self.is_full() {
            self.add(Fault::new(path.to_string(), code, message.to_string()));
        }
    }

    pub fn add(&mut self, fault: Fault) {
        if !self.is_full() {
            self.0.push(fault);
        }
    }

    /// The value at `path` is of another kind than `needed`.
    pub fn wrong_type(&mut self, path: Path<'_>, needed: &str, found: &Shape<'_>) {
        self.at(path, "wrong_type", format_args!("{needed} is needed here, not {}", found.described()));
    }

    pub fn is_full(&self) -> bool {
        self.0.len() >= FAULTS_MAX
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

/// The text as a JSON string.
pub fn text_of(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The beginning of a text, for a message.
pub fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn each_level_keeps_its_text() {
        let value = raw(r#" {"a\u0062": 1.10, "n": 123456789012345678901234567890, "a": [1e400, {"x": "]"}]} "#);
        let Shape::Object(members) = Shape::of(&value) else { panic!() };
        let shown: Vec<_> = members.iter().map(|(key, value)| (key.as_ref(), value.get())).collect();
        let expected = [("ab", "1.10"), ("n", "123456789012345678901234567890"), ("a", r#"[1e400, {"x": "]"}]"#)];
        assert_eq!(shown, expected);
        let Shape::Array(items) = Shape::of(members[2].1) else { panic!() };
        assert!(matches!(Shape::of(items[0]), Shape::Number("1e400")));
    }

    #[test]
    fn half_a_surrogate_pair_is_broken_and_nothing_panics() {
        for text in [r#""\ud800""#, r#"{"\ud800": 1}"#] {
            assert!(matches!(Shape::of(&raw(text)), Shape::Broken), "{text}");
        }
        assert!(matches!(Shape::of(&raw(r#""a\n""#)), Shape::String(text) if text == "a\n"));
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep = raw(&deep);
        let Shape::Array(items) = Shape::of(&deep) else { panic!() };
        assert_eq!(items.len(), 1);
    }

    #[test]
    fn places_are_written_as_rfc_6901_says() {
        let root = Path::Root("/inputs");
        let (bolt, holes) = (root.key("a/b~c"), root.key("holes"));
        assert_eq!(root.to_string(), "/inputs");
        assert_eq!(bolt.key("").to_string(), "/inputs/a~1b~0c/");
        assert_eq!(holes.index(3).to_string(), "/inputs/holes/3");
    }

    #[test]
    fn a_list_of_faults_has_an_end() {
        let mut faults = Faults::default();
        for index in 0..3 * FAULTS_MAX {
            faults.at(Path::Root("").index(index), "x", "y");
        }
        assert_eq!(faults.into_vec().len(), FAULTS_MAX);
    }
}
