//! A document of an author, YAML or JSON alike: values with the lines that they stand in.
//!
//! Numbers keep their text, so that what a test case says reaches the function exactly.

use crate::json::{self, Value};
use std::{borrow::Cow, fmt::Write};

/// A value and its line, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Null,
    Boolean(bool),
    /// As JSON writes it.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) value: Node,
}

impl Node {
    /// Reads a JSON document strictly: no duplicate keys, no lone surrogates, no deep nesting.
    pub(super) fn from_json(document: &[u8]) -> Result<Node, json::Malformed> {
        let text = json::check(document)?;
        let starts = text.match_indices('\n').map(|(at, _)| at).collect();
        Ok(Lines { text, starts }.node(Value::of(text)))
    }

    /// The kind in a sentence: "a text", "nothing", …
    pub(super) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Boolean(_) => "true or false",
            Content::Number(_) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.content == Content::Null
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, or the text that a number or a truth value was written as: `3.12` stays `3.12`.
    pub(super) fn plain(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) | Content::Number(text) => Some(text),
            Content::Boolean(true) => Some("true"),
            Content::Boolean(false) => Some("false"),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        match &self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn map(&self) -> Option<&[Member]> {
        match &self.content {
            Content::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The line of what these tokens of a pointer lead to, or of what is next above it.
    pub(super) fn line_at<'t>(&self, tokens: impl Iterator<Item = &'t str>) -> u32 {
        let (mut node, mut line) = (self, self.line);
        for token in tokens {
            let key = token.replace("~1", "/").replace("~0", "~");
            let of_key = |member: &&Member| member.key == key;
            let next = match &node.content {
                Content::Map(members) => members.iter().find(of_key).map(|member| (&member.value, member.line)),
                Content::List(items) => {
                    token.parse().ok().and_then(|at: usize| items.get(at)).map(|item| (item, item.line))
                }
                _ => None,
            };
            let Some(next) = next else { break };
            (node, line) = next;
        }
        line
    }

    /// The value of a finite number.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.content {
            Content::Number(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The value as JSON text, numbers as they were written.
    pub(super) fn to_json(&self) -> String {
        let mut text = String::new();
        self.write_json(&mut text);
        text
    }

    fn write_json(&self, out: &mut String) {
        match &self.content {
            Content::Null => out.push_str("null"),
            Content::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Content::Number(text) => out.push_str(text),
            Content::Text(text) => write_string(text, out),
            Content::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write_json(out);
                }
                out.push(']');
            }
            Content::Map(members) => {
                out.push_str(&object(members.iter().map(|member| (member.key.as_str(), &member.value))))
            }
        }
    }
}

/// An object as JSON text.
pub(super) fn object<'n>(members: impl IntoIterator<Item = (&'n str, &'n Node)>) -> String {
    let mut out = String::from("{");
    for (index, (key, value)) in members.into_iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        write_string(key, &mut out);
        out.push(':');
        value.write_json(&mut out);
    }
    out.push('}');
    out
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // A write to a String doesn't fail.
            c if c < ' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A checked JSON text, and where its lines end.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl Lines<'_> {
    /// Recurses as deep as the document, which the strict reader bounds.
    fn node(&self, value: Value<'_>) -> Node {
        let text = value.text();
        let content = match value.kind() {
            json::Kind::Null => Content::Null,
            json::Kind::Bool => Content::Boolean(text == "true"),
            json::Kind::Number => Content::Number(text.to_owned()),
            json::Kind::String => Content::Text(value.string().map(Cow::into_owned).unwrap_or_default()),
            json::Kind::Array => {
                Content::List(value.items().unwrap_or_default().into_iter().map(|item| self.node(item)).collect())
            }
            json::Kind::Object => {
                let members = value.members().unwrap_or_default().into_iter();
                let members = members.map(|(key, value)| {
                    let value = self.node(value);
                    Member { key: key.into_owned(), line: value.line, value }
                });
                Content::Map(members.collect())
            }
        };
        Node { line: self.line(text), content }
    }

    /// The line in which `part` begins, a piece of the document's own text.
    fn line(&self, part: &str) -> u32 {
        let at = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        u32::try_from(self.starts.partition_point(|start| *start < at) + 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_numbers_and_its_lines() {
        let text = "{\"a\": 1.50,\n \"b\": [\n true, null, \"x\\n\\u0001\\\"\" ], \"c\": {\"d\": 1e400}}";
        let node = Node::from_json(text.as_bytes()).unwrap();
        assert_eq!(node.to_json(), r#"{"a":1.50,"b":[true,null,"x\n\u0001\""],"c":{"d":1e400}}"#);
        let members = node.map().unwrap();
        let lines: Vec<_> = members.iter().map(|member| (member.key.as_str(), member.line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 2), ("c", 3)]);
        assert_eq!(members[1].value.list().unwrap()[0].line, 3);
        assert_eq!(members[2].value.map().unwrap()[0].value.number(), None);
        assert!(Node::from_json(b"{\"a\":1,\"a\":2}").is_err());
    }
}
