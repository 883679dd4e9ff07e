//! Reads an object's fields one by one. A fault doesn't stop the reading: all are collected, each with its pointer.

use super::{Kind, Path, Value};
use mecapy_model::Fault;
use std::{borrow::Cow, ops::RangeInclusive};

/// More faults than this are not listed.
const FAULTS_MAX: usize = 100;

/// What is wrong with a request so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

/// The fields of one object that nobody has taken yet.
#[derive(Debug)]
pub struct Fields<'a, 'p> {
    path: Path<'p>,
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        if !self.is_full() {
            self.0.push(fault);
        }
    }

    pub fn at(&mut self, path: Path<'_>, code: &'static str, message: impl Into<String>) {
        self.add(Fault::new(path.to_string(), code, message));
    }

    /// The value at `path` is of another kind than `needed`.
    pub fn wrong_kind(&mut self, path: Path<'_>, needed: &str, value: Value<'_>) {
        self.at(path, "wrong_type", format!("{needed} is needed here, not {}", value.kind().described()));
    }

    /// Whether what comes now would not be listed any more.
    pub fn is_full(&self) -> bool {
        self.0.len() >= FAULTS_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

impl<'a, 'p> Fields<'a, 'p> {
    /// The fields of the object `value`, which stands at `path`; a fault where it is none.
    pub fn open(value: Value<'a>, path: Path<'p>, faults: &mut Faults) -> Option<Self> {
        match value.members() {
            Some(members) => Some(Self { path, members }),
            None => {
                faults.wrong_kind(path, "an object", value);
                None
            }
        }
    }

    /// The field `name`; `None` where it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.members.swap_remove(at);
        (value.kind() != Kind::Null).then_some(value)
    }

    /// As [`take`](Self::take), with a fault where the field is missing.
    pub fn require(&mut self, name: &'static str, faults: &mut Faults) -> Option<Value<'a>> {
        let value = self.take(name);
        if value.is_none() {
            faults.at(self.path.key(name), "required", format!("the field {name:?} is needed"));
        }
        value
    }

    pub fn string(&mut self, name: &'static str, faults: &mut Faults) -> Option<Cow<'a, str>> {
        let value = self.take(name)?;
        let text = value.string();
        if text.is_none() {
            faults.wrong_kind(self.path.key(name), "a string", value);
        }
        text
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<u64> {
        let value = self.take(name)?;
        let path = self.path.key(name);
        if value.kind() != Kind::Number {
            faults.wrong_kind(path, "a whole number", value);
            return None;
        }
        match value.text().parse() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let (least, most) = (range.start(), range.end());
                faults.at(path, "out_of_range", format!("a whole number from {least} to {most} is needed here"));
                None
            }
        }
    }

    /// A finite number within `range`.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<f64>, faults: &mut Faults) -> Option<f64> {
        let value = self.take(name)?;
        let path = self.path.key(name);
        if value.kind() != Kind::Number {
            faults.wrong_kind(path, "a number", value);
            return None;
        }
        match value.text().parse() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let (least, most) = (range.start(), range.end());
                faults.at(path, "out_of_range", format!("a number from {least} to {most} is needed here"));
                None
            }
        }
    }

    /// One of a few words, each with what it means.
    pub fn one_of<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)], faults: &mut Faults) -> Option<T> {
        let text = self.string(name, faults)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            faults.at(self.path.key(name), "unknown_value", format!("use one of {}", known.join(", ")));
        }
        found
    }

    /// Reads the object `name` with `read`, which is given its fields; what `read` leaves is a fault.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
        read: impl FnOnce(&mut Fields<'a, '_>, &mut Faults) -> T,
    ) -> Option<T> {
        let value = self.take(name)?;
        let path = self.path.key(name);
        let mut fields = Fields::open(value, path, faults)?;
        let read = read(&mut fields, faults);
        fields.finish(faults);
        Some(read)
    }

    /// Visits each member of the object `name`, whose keys the user chose, as long as its faults would be listed.
    pub fn each(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
        mut visit: impl FnMut(&str, Value<'a>, Path<'_>, &mut Faults),
    ) {
        let Some(value) = self.take(name) else { return };
        let path = self.path.key(name);
        let Some(fields) = Fields::open(value, path, faults) else { return };
        for (key, value) in &fields.members {
            if faults.is_full() {
                return;
            }
            visit(key, *value, path.key(key), faults);
        }
    }

    /// Where this object stands.
    pub fn path(&self) -> Path<'p> {
        self.path
    }

    /// Whether the field is there, null or not.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key == name)
    }

    /// A fault for every field that nobody took.
    pub fn finish(self, faults: &mut Faults) {
        for (key, _) in self.members.iter().take(FAULTS_MAX) {
            let shown: String = key.chars().take(64).collect();
            faults.at(self.path.key(key), "unknown_field", format!("there is no field {shown:?} here"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, take: impl FnOnce(&mut Fields<'_, '_>, &mut Faults)) -> Vec<(String, String)> {
        let mut faults = Faults::default();
        let mut fields = Fields::open(Value::of(text), Path::Root, &mut faults).unwrap();
        take(&mut fields, &mut faults);
        fields.finish(&mut faults);
        faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn every_fault_is_collected_with_its_pointer() {
        let text = r#"{"n": -1, "f": "x", "s": 3, "w": "blue", "o": {"in~ner": 1}, "left/over": null}"#;
        let mut faults = read(text, |fields, faults| {
            assert_eq!(fields.integer("n", 0..=9, faults), None);
            assert_eq!(fields.number("f", 0.0..=1.0, faults), None);
            assert_eq!(fields.string("s", faults), None);
            assert_eq!(fields.one_of("w", &[("red", 1)], faults), None);
            fields.object("o", faults, |_, _| ());
            fields.require("missing", faults);
        });
        faults.sort();
        let expected = [
            ("/f", "wrong_type"),
            ("/left~1over", "unknown_field"),
            ("/missing", "required"),
            ("/n", "out_of_range"),
            ("/o/in~0ner", "unknown_field"),
            ("/s", "wrong_type"),
            ("/w", "unknown_value"),
        ];
        assert_eq!(faults, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    }

    #[test]
    fn whole_numbers_are_not_rounded_or_wrapped() {
        for text in ["-1", "1.5", "1e1", "18446744073709551616", "1e999"] {
            let faults = read(&format!("{{\"n\":{text}}}"), |fields, faults| {
                assert_eq!(fields.integer("n", 0..=u64::MAX, faults), None);
            });
            assert_eq!(faults.len(), 1, "{text}");
        }
        assert_eq!(
            read("{\"n\":18446744073709551615}", |fields, faults| {
                assert_eq!(fields.integer("n", 0..=u64::MAX, faults), Some(u64::MAX));
            }),
            []
        );
    }

    #[test]
    fn a_list_of_faults_has_an_end() {
        let members: Vec<_> = (0..3 * FAULTS_MAX).map(|n| format!("\"k{n}\":{n}")).collect();
        let members = members.join(",");
        assert_eq!(read(&format!("{{{members}}}"), |_, _| ()).len(), FAULTS_MAX);
        let mut visited = 0;
        let faults = read(&format!("{{\"o\":{{{members}}}}}"), |fields, faults| {
            fields.each("o", faults, |_, value, path, faults| {
                visited += 1;
                faults.wrong_kind(path, "a string", value);
            });
        });
        assert_eq!((faults.len(), visited), (FAULTS_MAX, FAULTS_MAX));
    }

    #[test]
    fn null_is_the_same_as_absent() {
        assert_eq!(read("{\"n\":null}", |fields, faults| assert_eq!(fields.integer("n", 0..=9, faults), None)), []);
    }
}
