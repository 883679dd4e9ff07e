//! Reads an object's fields one by one; all faults are collected, each with its pointer.

use mecapy_model::ports::json::{Faults, Members, Path, Shape};
use serde_json::value::RawValue;
use std::ops::RangeInclusive;

/// The fields of one object that nobody has taken yet.
pub(super) struct Fields<'a, 'p> {
    pub(super) path: Path<'p>,
    members: Members<'a>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// The fields of the object `value`, which stands at `path`; a fault where it is none.
    pub(super) fn open(value: &'a RawValue, path: Path<'p>, faults: &mut Faults) -> Option<Self> {
        match Shape::of(value) {
            Shape::Object(members) => Some(Self { path, members }),
            found => {
                faults.wrong_type(path, "an object", &found);
                None
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key == name)
    }

    /// The field `name`; `None` where it is absent or null.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.members.remove(at);
        (value.get() != "null").then_some(value)
    }

    pub(super) fn require(&mut self, name: &str, faults: &mut Faults) -> Option<&'a RawValue> {
        let value = self.take(name);
        if value.is_none() {
            faults.at(self.path.key(name), "required", format_args!("the field {name:?} is needed"));
        }
        value
    }

    pub(super) fn string(&mut self, name: &str, faults: &mut Faults) -> Option<String> {
        let value = self.take(name)?;
        text(value, self.path.key(name), faults)
    }

    /// A whole number within `range`.
    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<u64> {
        let value = self.take(name)?;
        match Shape::of(value) {
            Shape::Number(text) => match text.parse() {
                Ok(number) if range.contains(&number) => return Some(number),
                _ => {
                    let (least, most) = (range.start(), range.end());
                    let message = format_args!("a whole number from {least} to {most} is needed here, not {text}");
                    faults.at(self.path.key(name), "out_of_range", message);
                }
            },
            found => faults.wrong_type(self.path.key(name), "a whole number", &found),
        }
        None
    }

    /// As [`integer`](Self::integer), for numbers that fit into 32 bits.
    pub(super) fn count(&mut self, name: &str, range: RangeInclusive<u32>, faults: &mut Faults) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(name, range, faults).and_then(|number| u32::try_from(number).ok())
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<f64>, faults: &mut Faults) -> Option<f64> {
        let value = self.take(name)?;
        match Shape::of(value) {
            Shape::Number(text) => match text.parse() {
                Ok(number) if range.contains(&number) => return Some(number),
                _ => {
                    let (least, most) = (range.start(), range.end());
                    let message = format_args!("a number from {least} to {most} is needed here, not {text}");
                    faults.at(self.path.key(name), "out_of_range", message);
                }
            },
            found => faults.wrong_type(self.path.key(name), "a number", &found),
        }
        None
    }

    /// One of a few words, each with what it means.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)], faults: &mut Faults) -> Option<T> {
        let text = self.string(name, faults)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let message = format_args!("use one of {}, not {text:?}", known.join(", "));
            faults.at(self.path.key(name), "unknown_value", message);
        }
        found
    }

    /// The members of the object `name`, whose keys the author chose.
    pub(super) fn members(&mut self, name: &str, faults: &mut Faults) -> Members<'a> {
        let Some(value) = self.take(name) else { return Vec::new() };
        match Shape::of(value) {
            Shape::Object(members) => members,
            found => {
                faults.wrong_type(self.path.key(name), "an object", &found);
                Vec::new()
            }
        }
    }

    /// A fault for every field that nobody took; `known` says what there is.
    pub(super) fn finish(self, known: &str, faults: &mut Faults) {
        for (key, _) in &self.members {
            let shown: String = key.chars().take(64).collect();
            let message = format_args!("there is no field {shown:?} here: there are {known}");
            faults.at(self.path.key(key), "unknown_field", message);
        }
    }
}

pub(super) fn text(value: &RawValue, path: Path<'_>, faults: &mut Faults) -> Option<String> {
    match Shape::of(value) {
        Shape::String(text) => Some(text.into_owned()),
        found => {
            faults.wrong_type(path, "a string", &found);
            None
        }
    }
}
