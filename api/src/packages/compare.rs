//! Whether what a run gave is what a test case expects.

use super::fields::quoted;
use super::node::{Content, Node};
use crate::json::Path;
use mecapy_model::{ErrorKind, TaskError};
use std::collections::HashMap;

/// So many differences of one test case are told.
const DIFFERENCES_MAX: usize = 20;
/// So much of a value is shown in a difference, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// What must come of a test case.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    Outputs {
        /// A JSON object, numbers as they were written. What it doesn't name may be anything, at any depth.
        outputs: String,
        tolerance: Tolerance,
    },
    Exception(Exception),
}

/// How far a number may be from the expected one: by `absolute`, or by `relative` times the expected number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// In the number's own unit.
    pub absolute: f64,
    pub relative: f64,
}

impl Default for Tolerance {
    /// What the order of operations may change, and no more.
    fn default() -> Self {
        Self { absolute: 0.0, relative: 1e-9 }
    }
}

/// An exception that must be raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The name of its class, with or without its module.
    pub kind: String,
    /// What its text must contain.
    pub message: Option<String>,
}

impl Exception {
    /// Reads `ValueError` or `ValueError: part of the text`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (kind, message) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest.trim())));
        let kind = kind.trim();
        let is_name = kind.split('.').all(|part| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        });
        if !is_name {
            return Err(format!(
                "{} names no exception: write ValueError, or ValueError: part of its text",
                quoted(text)
            ));
        }
        let message = message.filter(|message| !message.is_empty()).map(str::to_owned);
        Ok(Self { kind: kind.to_owned(), message })
    }

    /// The error of a run begins with the class's name, then a colon and the text.
    fn is_raised_by(&self, error: &TaskError) -> bool {
        let (name, text) = error.message.split_once(':').unwrap_or((&error.message, ""));
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let same = if self.kind.contains('.') { self.kind == name } else { self.kind == last(name) };
        same && self.message.as_ref().is_none_or(|part| text.contains(part.as_str()))
    }
}

impl Expected {
    /// What is wrong with a run's result (a JSON document) or its error, one sentence each; none where all is as
    /// expected.
    pub fn differences(&self, outcome: Result<&str, &TaskError>) -> Vec<String> {
        match (self, outcome) {
            (Expected::Outputs { outputs, tolerance }, Ok(result)) => compare_documents(outputs, result, *tolerance),
            (Expected::Outputs { .. }, Err(error)) => {
                vec![format!("it failed ({}) instead of giving a result: {}", error.kind, error.message)]
            }
            (Expected::Exception(exception), Ok(_)) => {
                vec![format!("it gave a result instead of raising {}", exception.kind)]
            }
            (Expected::Exception(exception), Err(error)) if exception.is_raised_by(error) => match error.kind {
                ErrorKind::Exception | ErrorKind::StackOverflow | ErrorKind::OutOfMemory => Vec::new(),
                kind => vec![format!("it failed with {kind}, which no exception of the function is")],
            },
            (Expected::Exception(exception), Err(error)) => {
                let part = exception.message.as_ref().map_or(String::new(), |part| format!(" with {}", quoted(part)));
                vec![format!("it should raise {}{part}, and failed with {}", exception.kind, error.message)]
            }
        }
    }
}

fn compare_documents(expected: &str, found: &str, tolerance: Tolerance) -> Vec<String> {
    let read = |text: &str| Node::from_json(text.as_bytes());
    match (read(expected), read(found)) {
        (Ok(expected), Ok(found)) => {
            let mut comparison = Comparison { tolerance, differences: Vec::new() };
            comparison.node(Path::Root, &expected, &found);
            comparison.differences
        }
        (Err(error), _) => vec![format!("what is expected can't be compared: {error}")],
        (_, Err(error)) => vec![format!("the result can't be compared: {error}")],
    }
}

struct Comparison {
    tolerance: Tolerance,
    differences: Vec<String>,
}

impl Comparison {
    /// Recurses as deep as what is expected, which its reader bounds.
    fn node(&mut self, path: Path<'_>, expected: &Node, found: &Node) {
        match (&expected.content, &found.content) {
            (Content::Map(members), Content::Map(others)) => {
                let others: HashMap<&str, &Node> =
                    others.iter().map(|other| (other.key.as_str(), &other.value)).collect();
                for member in members {
                    let path = path.key(&member.key);
                    match others.get(member.key.as_str()) {
                        Some(other) => self.node(path, &member.value, other),
                        None => self.differ(path, &member.value, "nothing"),
                    }
                }
            }
            (Content::List(items), Content::List(others)) if items.len() == others.len() => {
                for (index, (item, other)) in items.iter().zip(others).enumerate() {
                    self.node(path.key(&index.to_string()), item, other);
                }
            }
            (Content::List(items), Content::List(others)) => {
                let found = format!("{} items instead of {}", others.len(), items.len());
                self.differ(path, expected, &found);
            }
            (Content::Number(one), Content::Number(other)) if one == other || self.is_near(expected, found) => {}
            (one, other) if one == other => {}
            _ => self.differ(path, expected, &shown(found)),
        }
    }

    fn is_near(&self, expected: &Node, found: &Node) -> bool {
        let (Some(expected), Some(found)) = (expected.number(), found.number()) else { return false };
        let allowed = self.tolerance.absolute.max(self.tolerance.relative * expected.abs());
        (found - expected).abs() <= allowed
    }

    fn differ(&mut self, path: Path<'_>, expected: &Node, found: &str) {
        if self.differences.len() < DIFFERENCES_MAX {
            let Tolerance { absolute, relative } = self.tolerance;
            let within = match (expected.number(), absolute > 0.0, relative > 0.0) {
                (None, _, _) | (_, false, false) => String::new(),
                (_, true, false) => format!(" ± {absolute}"),
                (_, false, true) => format!(" ± {relative} of it"),
                (_, true, true) => format!(" ± {absolute} or {relative} of it"),
            };
            self.differences.push(format!("{path} should be {}{within}, and is {found}", shown(expected)));
        }
    }
}

fn shown(node: &Node) -> String {
    let text = node.to_json();
    let more = if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "…" } else { "" };
    text.chars().take(SHOWN_CHARS_MAX).chain(more.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(text: &str, absolute: f64, relative: f64) -> Expected {
        Expected::Outputs { outputs: text.to_owned(), tolerance: Tolerance { absolute, relative } }
    }

    #[test]
    fn numbers_are_near_by_one_tolerance_or_the_other() {
        let rows = [
            ("1", "1.0", 0.0, 0.0, true),
            ("100", "100.1", 0.1000001, 0.0, true),
            ("100", "100.11", 0.1, 0.0, false),
            ("100", "101", 0.0, 0.01, true),
            ("1e-6", "2e-6", 0.0, 0.01, false),
            ("0", "1e-300", 0.0, 0.01, false),
            ("0", "1e-3", 1e-2, 0.0, true),
            ("12345678901234567890123", "12345678901234567890123", 0.0, 0.0, true),
            ("1", "true", 1.0, 1.0, false),
            ("1", "\"1\"", 1.0, 1.0, false),
            ("1", "null", 1.0, 1.0, false),
        ];
        for (expected, found, absolute, relative, passes) in rows {
            let expected = outputs(&format!("{{\"x\":{expected}}}"), absolute, relative);
            let differences = expected.differences(Ok(&format!("{{\"x\":{found}}}")));
            assert_eq!(differences.is_empty(), passes, "{expected:?} {found} {differences:?}");
        }
    }

    #[test]
    fn what_is_not_named_may_be_anything() {
        let expected = outputs(r#"{"a":{"b":[1,{"c":true}]},"s":"x","n":null}"#, 0.0, 0.0);
        let same = r#"{"extra":1,"a":{"b":[1.0,{"c":true,"d":2}],"e":3},"s":"x","n":null}"#;
        assert_eq!(expected.differences(Ok(same)), Vec::<String>::new());
        let other = r#"{"a":{"b":[2,{"c":false}]},"s":"y"}"#;
        let expected_texts = [
            "/a/b/0 should be 1, and is 2",
            "/a/b/1/c should be true, and is false",
            "/s should be \"x\", and is \"y\"",
            "/n should be null, and is nothing",
        ];
        assert_eq!(expected.differences(Ok(other)), expected_texts);
        let short = outputs(r#"{"a":[1,2]}"#, 0.0, 0.0).differences(Ok(r#"{"a":[1]}"#));
        assert_eq!(short, ["/a should be [1,2], and is 1 items instead of 2"]);
        assert!(outputs("{}", 0.0, 0.0).differences(Ok("{\"a\":1}")).is_empty());
    }

    #[test]
    fn exceptions_are_told_apart_by_class_and_text() {
        let error = |message: &str| TaskError::new(ErrorKind::Exception, message);
        let rows = [
            ("ValueError", "ValueError: a pitch of 9 mm is too coarse", true),
            ("ValueError", "ValueError", true),
            ("ValueError", "KeyError: 'x'", false),
            ("ValueError: too coarse", "ValueError: a pitch of 9 mm is too coarse", true),
            ("ValueError: too fine", "ValueError: a pitch of 9 mm is too coarse", false),
            ("JointError", "joint.errors.JointError: opens", true),
            ("joint.errors.JointError", "joint.errors.JointError: opens", true),
            ("other.JointError", "joint.errors.JointError: opens", false),
        ];
        for (text, message, passes) in rows {
            let expected = Expected::Exception(Exception::parse(text).unwrap());
            let differences = expected.differences(Err(&error(message)));
            assert_eq!(differences.is_empty(), passes, "{text} {message} {differences:?}");
        }
        let expected = Expected::Exception(Exception::parse("RuntimeError").unwrap());
        assert_eq!(expected.differences(Ok("{}")), ["it gave a result instead of raising RuntimeError"]);
        let timeout = TaskError::new(ErrorKind::Timeout, "RuntimeError: late");
        assert_eq!(expected.differences(Err(&timeout)).len(), 1);
        assert!(Exception::parse("not a name").is_err());
    }
}
