//! YAML as authors write it: one document, the core schema of YAML 1.2, and no surprises.
//!
//! What a YAML 1.1 reader (PyYAML) would read as something else is refused or stays a text: numbers with leading
//! zeros, `yes` and `no`, merge keys. Aliases are followed as long as what they stand for stays small.

use super::node::{Content, Member, Node};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// The largest document, bytes.
pub(super) const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// How deep lists and mappings may nest, aliases followed.
const DEPTH_MAX: usize = 32;
/// What a document may weigh once its aliases are followed, bytes.
const WEIGHT_BYTES_MAX: usize = 8 << 20;
/// What a value weighs beside its text, bytes.
const NODE_BYTES: usize = 64;

/// Why a text can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
    pub(super) message: String,
}

/// Reads the one document of `text`; an empty one is null.
pub(super) fn read(text: &[u8]) -> Result<Node, Malformed> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("The file has {} bytes; {DOCUMENT_BYTES_MAX} are allowed.", text.len());
        return Err(Malformed { line: 1, column: 1, message });
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = "The file is not UTF-8: save it with that encoding.".to_owned();
        Malformed { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1, message }
    })?;
    let mut reading = Reading::default();
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let (event, span) = event.map_err(|error| {
            let what = error.info();
            at(error.marker(), format!("This can't be read as YAML: {what}."))
        })?;
        reading.take(event, span)?;
    }
    Ok(reading.root.map_or(Node { line: 1, content: Content::Null }, |whole| whole.node))
}

/// A value, with what it costs to repeat it.
#[derive(Debug, Clone)]
struct Whole {
    node: Node,
    /// Levels of lists and mappings, itself included.
    depth: usize,
    weight: usize,
}

/// A list or a mapping that isn't closed yet.
struct Open {
    line: u32,
    anchor: usize,
    depth: usize,
    weight: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    /// The members so far, the key whose value comes next, and all keys.
    Map(Vec<Member>, Option<(String, u32)>, HashSet<String>),
}

#[derive(Default)]
struct Reading {
    open: Vec<Open>,
    anchors: HashMap<usize, Whole>,
    root: Option<Whole>,
    weight: usize,
}

impl Reading {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Malformed> {
        let start = &span.start;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(key) = self.key_of(&text, style, start)? {
                    return self.set_key(key, start);
                }
                let content = scalar(text, style, tag.as_deref(), start)?;
                let weight = NODE_BYTES + content_bytes(&content);
                self.weight += weight;
                let whole = Whole { node: Node { line: line(start), content }, depth: 0, weight };
                self.close(whole, anchor, start)
            }
            Event::SequenceStart(anchor, tag) => self.open(anchor, tag, OpenKind::List(Vec::new()), start),
            Event::MappingStart(anchor, tag) => {
                self.open(anchor, tag, OpenKind::Map(Vec::new(), None, HashSet::new()), start)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(start),
            Event::Alias(anchor) => self.alias(anchor, start),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(at(start, "A second document begins here: one file holds one document."))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    /// The text as a key, where a mapping waits for one.
    fn key_of<'t>(&self, text: &'t str, style: ScalarStyle, start: &Marker) -> Result<Option<&'t str>, Malformed> {
        let Some(Open { kind: OpenKind::Map(_, None, keys), .. }) = self.open.last() else { return Ok(None) };
        if style == ScalarStyle::Plain && matches!(text, "<<" | "") {
            let what = if text.is_empty() { "An empty key" } else { "A merge key (<<)" };
            return Err(at(start, format!("{what} is not read here: write the fields out.")));
        }
        if keys.contains(text) {
            return Err(at(start, format!("The key {} appears twice in one mapping.", shown(text))));
        }
        Ok(Some(text))
    }

    fn set_key(&mut self, key: &str, start: &Marker) -> Result<(), Malformed> {
        self.weight += NODE_BYTES + key.len();
        if let Some(open) = self.open.last_mut() {
            open.weight += NODE_BYTES + key.len();
            if let OpenKind::Map(_, waiting, keys) = &mut open.kind {
                keys.insert(key.to_owned());
                *waiting = Some((key.to_owned(), line(start)));
            }
        }
        self.bounded(start)
    }

    fn open(
        &mut self,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        kind: OpenKind,
        start: &Marker,
    ) -> Result<(), Malformed> {
        no_tag(tag.as_deref(), start)?;
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(start));
        }
        if let Some(Open { kind: OpenKind::Map(_, None, _), .. }) = self.open.last() {
            return Err(at(start, "A list or a mapping can't be a key."));
        }
        self.weight += NODE_BYTES;
        self.open.push(Open { line: line(start), anchor, depth: 1, weight: NODE_BYTES, kind });
        self.bounded(start)
    }

    fn end(&mut self, start: &Marker) -> Result<(), Malformed> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let content = match open.kind {
            OpenKind::List(items) => Content::List(items),
            OpenKind::Map(members, ..) => Content::Map(members),
        };
        let node = Node { line: open.line, content };
        self.close(Whole { node, depth: open.depth, weight: open.weight }, open.anchor, start)
    }

    fn alias(&mut self, anchor: usize, start: &Marker) -> Result<(), Malformed> {
        let Some(whole) = self.anchors.get(&anchor) else {
            return Err(at(start, "An alias can't stand inside of what it repeats."));
        };
        if self.open.len() + whole.depth > DEPTH_MAX {
            return Err(too_deep(start));
        }
        if let Some(Open { kind: OpenKind::Map(_, None, _), .. }) = self.open.last() {
            return Err(at(start, "An alias can't be a key."));
        }
        // Counted before it is copied: this is what a "billion laughs" document grows by.
        self.weight += whole.weight;
        self.bounded(start)?;
        let whole = self.anchors.get(&anchor).cloned();
        whole.map_or(Ok(()), |whole| self.close(whole, 0, start))
    }

    /// Puts a value where it belongs.
    fn close(&mut self, whole: Whole, anchor: usize, start: &Marker) -> Result<(), Malformed> {
        if anchor > 0 {
            // What an anchor keeps is a copy of its own.
            self.weight += whole.weight;
            self.anchors.insert(anchor, whole.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(whole);
            return self.bounded(start);
        };
        open.depth = open.depth.max(whole.depth + 1);
        open.weight += whole.weight;
        match &mut open.kind {
            OpenKind::List(items) => items.push(whole.node),
            OpenKind::Map(members, key, _) => {
                if let Some((key, line)) = key.take() {
                    members.push(Member { key, line, value: whole.node });
                }
            }
        }
        self.bounded(start)
    }

    fn bounded(&self, start: &Marker) -> Result<(), Malformed> {
        if self.weight > WEIGHT_BYTES_MAX {
            return Err(at(start, "The document grows too large here, its aliases (*name) written out."));
        }
        Ok(())
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, start: &Marker) -> Result<Content, Malformed> {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if is_text || (tag.is_none() && style != ScalarStyle::Plain) {
        return Ok(Content::Text(text.into_owned()));
    }
    no_tag(tag, start)?;
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Content::Null),
        "true" | "True" | "TRUE" => return Ok(Content::Boolean(true)),
        "false" | "False" | "FALSE" => return Ok(Content::Boolean(false)),
        _ => {}
    }
    match number(&text) {
        Number::None => Ok(Content::Text(text.into_owned())),
        Number::Finite(number) => Ok(Content::Number(number)),
        Number::Ambiguous(advice) => Err(at(start, format!("{} is ambiguous: {advice}.", shown(&text)))),
    }
}

enum Number {
    None,
    /// As JSON writes it.
    Finite(String),
    /// What to write instead.
    Ambiguous(&'static str),
}

/// What a plain text is as a number, by YAML's core schema.
fn number(text: &str) -> Number {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { "-" } else { "" }, rest),
        None => ("", text),
    };
    let based = |prefix: &str, radix| {
        digits.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Number::Ambiguous("JSON has no infinity and no NaN; put a text in quotes");
    }
    if based("0x", 16) || based("0o", 8) || based("0b", 2) {
        return Number::Ambiguous("write a number in decimal, or a text in quotes");
    }
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at).unwrap_or_default(), digits.get(at + 1..)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, rest)| (whole, Some(rest)));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let power = exponent.map(|power| power.strip_prefix(['-', '+']).unwrap_or(power));
    let is_number = is_digits(whole)
        && is_digits(fraction.unwrap_or_default())
        && !(whole.is_empty() && fraction.unwrap_or_default().is_empty())
        && power.is_none_or(|power| !power.is_empty() && is_digits(power));
    if !is_number {
        return Number::None;
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Number::Ambiguous("write a number without leading zeros, or a text in quotes");
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.map(|digits| format!(".{}", if digits.is_empty() { "0" } else { digits }));
    let exponent = exponent.map(|power| format!("e{power}"));
    let parts = [Some(sign.to_owned()), Some(whole.to_owned()), fraction, exponent];
    Number::Finite(parts.into_iter().flatten().collect())
}

fn content_bytes(content: &Content) -> usize {
    match content {
        Content::Text(text) | Content::Number(text) => text.len(),
        _ => 0,
    }
}

fn no_tag(tag: Option<&Tag>, start: &Marker) -> Result<(), Malformed> {
    let Some(tag) = tag else { return Ok(()) };
    let named = format!("{tag}");
    Err(at(start, format!("The tag {} is not read here: of all tags, !!str alone is.", shown(&named))))
}

fn too_deep(start: &Marker) -> Malformed {
    at(start, format!("Lists and mappings are nested deeper than {DEPTH_MAX} here."))
}

/// A piece of the author's text in a message.
fn shown(text: &str) -> String {
    let more = if text.chars().nth(40).is_some() { "…" } else { "" };
    format!("{:?}", text.chars().take(40).chain(more.chars()).collect::<String>())
}

fn line(marker: &Marker) -> u32 {
    u32::try_from(marker.line()).unwrap_or(u32::MAX).max(1)
}

fn at(marker: &Marker, message: impl Into<String>) -> Malformed {
    let column = u32::try_from(marker.col()).unwrap_or(u32::MAX).saturating_add(1);
    Malformed { line: line(marker), column, message: message.into() }
}
