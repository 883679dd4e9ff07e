//! Two JSON values side by side, field by field. Pure.

use crate::json::{Kind, Value};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashMap};
use utoipa::ToSchema;

/// Fields that are listed; those beyond are counted.
const FIELDS_MAX: usize = 1_000;
/// What is nested deeper is one field.
const DEPTH_MAX: usize = 32;

/// How two values differ.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Comparison {
    /// Each in the order of a, and what is in b alone behind its neighbours; the first 1000.
    pub fields: Vec<FieldCompared>,
    pub equal: u64,
    pub changed: u64,
    pub only_in_a: u64,
    pub only_in_b: u64,
    /// Fields beyond the first 1000, which are counted above all the same.
    pub left_out: u64,
}

/// One field of two values.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldCompared {
    /// Where it is, as an RFC 6901 pointer.
    pub pointer: String,
    pub status: FieldStatus,
    /// As it was written; absent where it is only in b.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub a: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub b: Option<Box<RawValue>>,
    /// b − a, of two numbers that differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// (b − a) / |a|; absent where a is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldStatus {
    /// The same value; numbers may be written otherwise.
    Equal,
    Changed,
    OnlyInA,
    OnlyInB,
}

/// Compares two JSON texts. Members of objects belong together by their names, items of arrays by their places; `null` in
/// the place of the whole value is nothing at all.
pub fn compare(a: &str, b: &str) -> Comparison {
    let mut comparison = Comparison::default();
    let there = |text| Some(Value::of(text)).filter(|value| value.kind() != Kind::Null);
    comparison.walk(&mut String::new(), (there(a), there(b)), DEPTH_MAX);
    comparison
}

impl Comparison {
    fn walk(&mut self, pointer: &mut String, pair: (Option<Value<'_>>, Option<Value<'_>>), depth_left: usize) {
        let (Some(a), Some(b)) = pair else { return self.leaf(pointer, pair) };
        if depth_left == 0 || a.text() == b.text() && is_scalar(a) {
            return self.leaf(pointer, pair);
        }
        match (a.members(), b.members(), a.items(), b.items()) {
            (Some(a), Some(b), ..) if !(a.is_empty() && b.is_empty()) => self.members(pointer, (a, b), depth_left),
            (_, _, Some(a), Some(b)) if !(a.is_empty() && b.is_empty()) => {
                for place in 0..a.len().max(b.len()) {
                    let pair = (a.get(place).copied(), b.get(place).copied());
                    self.below(pointer, (&place.to_string(), pair), depth_left);
                }
            }
            _ => self.leaf(pointer, pair),
        }
    }

    fn members<'a>(&mut self, pointer: &mut String, (a, b): (Members<'a>, Members<'a>), depth_left: usize) {
        let mut others: HashMap<&str, Value<'_>> = b.iter().map(|(key, value)| (key.as_ref(), *value)).collect();
        for (key, value) in &a {
            let other = others.remove(key.as_ref());
            self.below(pointer, (key, (Some(*value), other)), depth_left);
        }
        for (key, value) in &b {
            if others.remove(key.as_ref()).is_some() {
                self.below(pointer, (key, (None, Some(*value))), depth_left);
            }
        }
    }

    fn below(
        &mut self,
        pointer: &mut String,
        (key, pair): (&str, (Option<Value<'_>>, Option<Value<'_>>)),
        depth_left: usize,
    ) {
        let own = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        self.walk(pointer, pair, depth_left - 1);
        pointer.truncate(own);
    }

    fn leaf(&mut self, pointer: &str, (a, b): (Option<Value<'_>>, Option<Value<'_>>)) {
        let (status, difference) = match (a, b) {
            (None, None) => return,
            (Some(_), None) => (FieldStatus::OnlyInA, None),
            (None, Some(_)) => (FieldStatus::OnlyInB, None),
            (Some(a), Some(b)) if are_equal(a, b) => (FieldStatus::Equal, None),
            (Some(a), Some(b)) => (FieldStatus::Changed, difference(a, b)),
        };
        *match status {
            FieldStatus::Equal => &mut self.equal,
            FieldStatus::Changed => &mut self.changed,
            FieldStatus::OnlyInA => &mut self.only_in_a,
            FieldStatus::OnlyInB => &mut self.only_in_b,
        } += 1;
        if self.fields.len() >= FIELDS_MAX {
            self.left_out += 1;
            return;
        }
        let raw =
            |value: Option<Value<'_>>| value.and_then(|value| RawValue::from_string(value.text().to_owned()).ok());
        let base = a.and_then(double).map(f64::abs).filter(|base| *base > 0.0);
        let relative = difference.zip(base).map(|(difference, base)| difference / base);
        let relative = relative.filter(|relative| relative.is_finite());
        self.fields.push(FieldCompared {
            pointer: pointer.to_owned(),
            status,
            a: raw(a),
            b: raw(b),
            difference,
            relative,
        });
    }
}

type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

fn is_scalar(value: Value<'_>) -> bool {
    !matches!(value.kind(), Kind::Object | Kind::Array)
}

fn are_equal(a: Value<'_>, b: Value<'_>) -> bool {
    if a.text() == b.text() {
        return true;
    }
    match (a.kind(), b.kind()) {
        // Whole numbers are compared as such: doubles would take neighbours for one another beyond 2^53.
        (Kind::Number, Kind::Number) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a == b,
            _ => double(a).zip(double(b)).is_some_and(|(a, b)| a == b),
        },
        (Kind::String, Kind::String) => a.string() == b.string(),
        // Of those what is nested too deep, and what is empty however it was written.
        (Kind::Object | Kind::Array, Kind::Object | Kind::Array) if a.kind() == b.kind() => {
            let parse = |value: Value<'_>| serde_json::from_str::<serde_json::Value>(value.text()).ok();
            parse(a).zip(parse(b)).is_some_and(|(a, b)| a == b)
        }
        _ => false,
    }
}

/// b − a, where both are finite numbers.
fn difference(a: Value<'_>, b: Value<'_>) -> Option<f64> {
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return b.checked_sub(a).map(|difference| difference as f64);
    }
    double(a).zip(double(b)).map(|(a, b)| b - a).filter(|difference| difference.is_finite())
}

fn whole(value: Value<'_>) -> Option<i128> {
    if value.kind() == Kind::Number { value.text().parse().ok() } else { None }
}

/// The nearest double of a number, where it is finite.
fn double(value: Value<'_>) -> Option<f64> {
    if value.kind() != Kind::Number {
        return None;
    }
    value.text().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(a: &str, b: &str) -> Vec<(String, FieldStatus, Option<f64>, Option<f64>)> {
        let found = compare(a, b);
        let fields = found.fields.into_iter();
        fields.map(|field| (field.pointer, field.status, field.difference, field.relative)).collect()
    }

    fn check(a: &str, b: &str, expected: &[(&str, FieldStatus, Option<f64>, Option<f64>)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(pointer, status, difference, relative)| ((*pointer).to_owned(), *status, *difference, *relative))
            .collect();
        assert_eq!(shown(a, b), expected, "{a} {b}");
    }

    #[test]
    fn fields_are_found_by_their_pointers() {
        use FieldStatus::{Changed, Equal, OnlyInA, OnlyInB};
        check(
            r#"{"d": 8, "m": {"E": 210000, "name": "S235"}, "old": 1, "list": [1, 2, 3], "x": 1.0}"#,
            r#"{"x": 1, "d": 10, "m": {"E": 2.1e5, "name": "S355", "a/b": null}, "list": [1, 4]}"#,
            &[
                ("/d", Changed, Some(2.0), Some(0.25)),
                ("/m/E", Equal, None, None),
                ("/m/name", Changed, None, None),
                ("/m/a~1b", OnlyInB, None, None),
                ("/old", OnlyInA, None, None),
                ("/list/0", Equal, None, None),
                ("/list/1", Changed, Some(2.0), Some(1.0)),
                ("/list/2", OnlyInA, None, None),
                ("/x", Equal, None, None),
            ],
        );
        check("null", "null", &[]);
        check("null", r#"{"s": 1}"#, &[("", OnlyInB, None, None)]);
        check("{}", "{ }", &[("", Equal, None, None)]);
        check(r#"{"a": []}"#, r#"{"a": {}}"#, &[("/a", Changed, None, None)]);
        check(r#"{"a": null}"#, r#"{"a": 1}"#, &[("/a", Changed, None, None)]);
        check(r#""a""#, r#""\u0061""#, &[("", Equal, None, None)]);
    }

    #[test]
    fn numbers_differ_exactly_and_never_by_what_is_no_number() {
        use FieldStatus::{Changed, Equal};
        check(
            "9007199254740993",
            "9007199254740992",
            &[("", Changed, Some(-1.0), Some(-1.0 / 9_007_199_254_740_993.0))],
        );
        check("0", "0.5", &[("", Changed, Some(0.5), None)]);
        check("-4", "-3", &[("", Changed, Some(1.0), Some(0.25))]);
        check("1e999", "1", &[("", Changed, None, None)]);
        check("-1e308", "1e308", &[("", Changed, None, None)]);
        check("1", r#""1""#, &[("", Changed, None, None)]);
        check("1e2", "100.0", &[("", Equal, None, None)]);
    }

    #[test]
    fn the_list_has_an_end_and_the_counts_have_none() {
        let list =
            |from: usize| format!("[{}]", (from..from + 1_500).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        let found = compare(&list(0), &list(1));
        assert_eq!((found.fields.len(), found.changed, found.left_out), (FIELDS_MAX, 1_500, 500));
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100), "]".repeat(100));
        let found = compare(&deep("1"), &deep("2"));
        assert_eq!((found.changed, found.fields[0].pointer.len()), (1, 2 * DEPTH_MAX));
        assert_eq!(compare(&deep("1"), &deep(" 1")).equal, 1);
    }
}
