//! Reads an author's mapping field by field. A fault doesn't stop the reading: all are collected, each with its
//! pointer, its line and what to do.

use super::node::{Member, Node};
use crate::{analysis::nearest, json::Path};
use mecapy_model::{Fault, Warning};

/// More faults than this are not listed, nor more warnings.
const LISTED_MAX: usize = 100;
/// So much of an author's own text is repeated in a message, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// What is wrong with a package so far, and what its author should know.
#[derive(Debug, Default)]
pub(super) struct Report {
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

/// Where in a document: a pointer, and a line from 1, or 0 where there is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) path: Path<'p>,
    pub(super) line: u32,
}

impl Report {
    pub(super) fn fault(&mut self, place: Place<'_>, code: &'static str, message: impl Into<String>) {
        let line = (place.line > 0).then_some(place.line);
        self.add(Fault { line, ..Fault::new(place.path.to_string(), code, message) });
    }

    pub(super) fn add(&mut self, fault: Fault) {
        if self.faults.len() < LISTED_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    pub(super) fn warn(&mut self, place: Place<'_>, code: &'static str, message: impl Into<String>) {
        let (line, pointer) = ((place.line > 0).then_some(place.line), Some(place.path.to_string()));
        self.add_warning(Warning { code: code.to_owned(), message: message.into(), line, pointer });
    }

    pub(super) fn add_warning(&mut self, warning: Warning) {
        if self.warnings.len() < LISTED_MAX && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The node is of another kind than `needed`.
    pub(super) fn wrong_kind(&mut self, place: Place<'_>, needed: &str, node: &Node) {
        self.fault(place, "wrong_type", format!("{needed} is needed here, not {}", node.kind()));
    }

    /// Hands over what was found in a file other than the manifest, naming the file in each message.
    pub(super) fn of_file(self, file: &str, report: &mut Report) {
        let placed = |line: Option<u32>| line.map_or(file.to_owned(), |line| format!("{file}, line {line}"));
        for fault in self.faults {
            let message = format!("{}: {}", placed(fault.line), fault.message);
            report.add(Fault { message, ..fault });
        }
        for warning in self.warnings {
            let message = format!("{}: {}", placed(warning.line), warning.message);
            report.add_warning(Warning { message, ..warning });
        }
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    pub(super) fn into_parts(self) -> (Vec<Fault>, Vec<Warning>) {
        (self.faults, self.warnings)
    }
}

/// An author's own text in a message: short, in quotes, its control characters escaped.
pub(super) fn quoted(text: &str) -> String {
    let more = if text.chars().nth(QUOTED_CHARS_MAX).is_some() { "…" } else { "" };
    format!("{:?}", text.chars().take(QUOTED_CHARS_MAX).chain(more.chars()).collect::<String>())
}

/// The fields of one mapping that nobody has taken yet.
pub(super) struct Fields<'n, 'p> {
    place: Place<'p>,
    members: Vec<&'n Member>,
    known: Vec<&'static str>,
}

impl<'n, 'p> Fields<'n, 'p> {
    /// The fields of the mapping `node`; a fault where it is none.
    pub(super) fn open(node: &'n Node, place: Place<'p>, report: &mut Report) -> Option<Self> {
        match node.map() {
            Some(members) => Some(Self { place, members: members.iter().collect(), known: Vec::new() }),
            None => {
                report.wrong_kind(place, "a mapping", node);
                None
            }
        }
    }

    pub(super) fn place(&self) -> Place<'p> {
        self.place
    }

    /// The field `name`; `None` where it is absent or empty.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        let at = self.members.iter().position(|member| member.key == name)?;
        Some(&self.members.remove(at).value).filter(|node| !node.is_null())
    }

    /// As [`take`](Self::take), with a fault where the field is missing.
    pub(super) fn require(&mut self, name: &'static str, report: &mut Report) -> Option<&'n Node> {
        let node = self.take(name);
        if node.is_none() {
            self.fault(name, self.place.line, report, ("required", &format!("the field {name:?} is needed")));
        }
        node
    }

    /// A fault of the field `name`: its code and its message.
    pub(super) fn fault(&self, name: &str, line: u32, report: &mut Report, (code, message): (&'static str, &str)) {
        report.fault(Place { path: self.place.path.key(name), line }, code, message);
    }

    /// What `parse` makes of the plain text of `node`, which is the field `name`; a fault with its message where it
    /// makes nothing.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        node: &Node,
        report: &mut Report,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let place = Place { path: self.place.path.key(name), line: node.line };
        let Some(text) = node.plain() else {
            report.wrong_kind(place, "a text", node);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => {
                report.fault(place, "invalid_value", message);
                None
            }
        }
    }

    /// A text of at most `chars_max` characters, without control characters but ends of lines and tabs; empty where the
    /// field is absent.
    pub(super) fn text(&mut self, name: &'static str, chars_max: usize, report: &mut Report) -> String {
        let Some(node) = self.take(name) else { return String::new() };
        let checked = self.parse(name, node, report, |text| {
            let text = text.trim_end();
            if text.chars().nth(chars_max).is_some() {
                return Err(format!("{chars_max} characters are allowed here"));
            }
            match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
                Some(c) => Err(format!("the control character U+{:04X} is not allowed here", u32::from(c))),
                None => Ok(text.to_owned()),
            }
        });
        checked.unwrap_or_default()
    }

    pub(super) fn flag(&mut self, name: &'static str, report: &mut Report) -> Option<bool> {
        let node = self.take(name)?;
        let place = Place { path: self.place.path.key(name), line: node.line };
        match (&node.content, node.text()) {
            (super::node::Content::Boolean(value), _) => return Some(*value),
            (_, Some(text)) => {
                report.fault(place, "wrong_type", format!("write true or false, not {}", quoted(text)));
            }
            _ => report.wrong_kind(place, "true or false", node),
        }
        None
    }

    /// One of a few words, each with what it means.
    pub(super) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)], report: &mut Report) -> Option<T> {
        let node = self.take(name)?;
        self.parse(name, node, report, |text| one_of(text, words))
    }

    /// Reads the mapping `name` with `read`, which is given its fields; what `read` leaves is a fault.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        report: &mut Report,
        read: impl FnOnce(&mut Fields<'n, '_>, &mut Report) -> T,
    ) -> Option<T> {
        let node = self.take(name)?;
        let path = self.place.path.key(name);
        let mut fields = Fields::open(node, Place { path, line: node.line }, report)?;
        let read = read(&mut fields, report);
        fields.finish(report);
        Some(read)
    }

    /// Visits each member of the mapping `node`, which is the field `name` and whose keys the author chose.
    pub(super) fn each(
        &self,
        name: &str,
        node: &'n Node,
        report: &mut Report,
        mut visit: impl FnMut(&'n Member, Place<'_>, &mut Report),
    ) {
        let path = self.place.path.key(name);
        let place = Place { path, line: node.line };
        let Some(members) = node.map() else { return report.wrong_kind(place, "a mapping", node) };
        for member in members {
            visit(member, Place { path: path.key(&member.key), line: member.line }, report);
        }
    }

    /// Visits each item of the list `node`, which is the field `name`.
    pub(super) fn items(
        &self,
        name: &str,
        node: &'n Node,
        report: &mut Report,
        mut visit: impl FnMut(&'n Node, Place<'_>, &mut Report),
    ) {
        let path = self.place.path.key(name);
        let Some(items) = node.list() else {
            return report.wrong_kind(Place { path, line: node.line }, "a list", node);
        };
        for (index, item) in items.iter().enumerate() {
            let index = index.to_string();
            visit(item, Place { path: path.key(&index), line: item.line }, report);
        }
    }

    /// What nobody took, by key.
    pub(super) fn rest(&mut self) -> Vec<&'n Member> {
        std::mem::take(&mut self.members)
    }

    /// A fault for every field that nobody took, with the name that was probably meant.
    pub(super) fn finish(self, report: &mut Report) {
        for member in &self.members {
            let message = match self.meant(&member.key) {
                Some(meant) => format!("there is no field {} here: did you mean {meant}?", quoted(&member.key)),
                None => format!(
                    "there is no field {} here; there {} {}",
                    quoted(&member.key),
                    if self.known.len() == 1 { "is" } else { "are" },
                    self.known.join(", ")
                ),
            };
            self.fault(&member.key, member.line, report, ("unknown_field", &message));
        }
    }

    /// For documents that others extend: a fault for what is probably a misspelt field, a warning for what isn't.
    pub(super) fn finish_leniently(self, report: &mut Report) {
        let all = self.members.iter().copied();
        let (misspelt, unknown): (Vec<_>, Vec<_>) = all.partition(|member| self.meant(&member.key).is_some());
        for member in unknown {
            let message = format!("the field {} has no meaning here and is passed over", quoted(&member.key));
            let place = Place { path: self.place.path.key(&member.key), line: member.line };
            report.warn(place, "unknown_field", message);
        }
        Fields { members: misspelt, ..self }.finish(report);
    }

    fn meant(&self, key: &str) -> Option<&str> {
        nearest(key, self.known.iter().copied())
    }
}

/// What `text` means among `words`.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        match nearest(text, known.iter().copied()) {
            Some(meant) => format!("{} is not known: did you mean {meant}?", quoted(text)),
            None => format!("{} is not known: use one of {}", quoted(text), known.join(", ")),
        }
    })
}
