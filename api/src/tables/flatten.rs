//! One JSON text as cells, each with its path.

use crate::json::{Kind, Value};
use std::borrow::Cow;

/// Objects that are nested deeper stay whole.
const DEPTH_MAX: usize = 8;

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An array, or an object that is empty or nested too deep.
    Json(&'a str),
}

/// Visits every cell of `text`, a JSON value, with its path: `name` and the keys that lead to it, with points between
/// them. A key that is empty or has a point itself is quoted.
pub(super) fn cells<'a>(name: &str, text: &'a str, visit: &mut impl FnMut(&str, Cell<'a>)) {
    let mut path = String::from(name);
    walk(Value::of(text), &mut path, DEPTH_MAX, visit);
}

fn walk<'a>(value: Value<'a>, path: &mut String, depth_left: usize, visit: &mut impl FnMut(&str, Cell<'a>)) {
    let members = if depth_left > 0 { value.members().filter(|members| !members.is_empty()) } else { None };
    let Some(members) = members else { return visit(path, Cell::of(value)) };
    let own = path.len();
    for (key, value) in members {
        if !path.is_empty() {
            path.push('.');
        }
        if key.is_empty() || key.contains('.') {
            path.push_str(&serde_json::Value::from(key.as_ref()).to_string());
        } else {
            path.push_str(&key);
        }
        walk(value, path, depth_left - 1, visit);
        path.truncate(own);
    }
}

impl<'a> Cell<'a> {
    fn of(value: Value<'a>) -> Self {
        match value.kind() {
            Kind::Null => Cell::Null,
            Kind::Bool => Cell::Bool(value.text() == "true"),
            Kind::Number => Cell::Number(value.text()),
            Kind::String => Cell::Text(value.string().unwrap_or_default()),
            Kind::Array | Kind::Object => Cell::Json(value.text()),
        }
    }

    /// The nearest double of a number, where it is finite.
    pub(super) fn double(&self) -> Option<f64> {
        match self {
            // By the standard library: its doubles are the nearest ones.
            Cell::Number(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The value as it is shown to people; `None` for null.
    pub(super) fn shown(&self) -> Option<&str> {
        match self {
            Cell::Null => None,
            Cell::Bool(true) => Some("true"),
            Cell::Bool(false) => Some("false"),
            Cell::Number(text) | Cell::Json(text) => Some(text),
            Cell::Text(text) => Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_paths_and_arrays_stay_json() {
        let text = r#" {"d": 1.10, "bolt": {"s": "a\nb", "ok": true, "e": {}}, "v": [1, {"x": 2}], "n": null, "a.b": 1, "": 2} "#;
        let mut found = Vec::new();
        cells("result", text, &mut |path, cell| found.push((path.to_owned(), cell)));
        let expected = [
            ("result.d", Cell::Number("1.10")),
            ("result.bolt.s", Cell::Text("a\nb".into())),
            ("result.bolt.ok", Cell::Bool(true)),
            ("result.bolt.e", Cell::Json("{}")),
            ("result.v", Cell::Json(r#"[1, {"x": 2}]"#)),
            ("result.n", Cell::Null),
            (r#"result."a.b""#, Cell::Number("1")),
            (r#"result."""#, Cell::Number("2")),
        ];
        assert_eq!(found, expected.map(|(path, cell)| (path.to_owned(), cell)));
    }

    #[test]
    fn what_is_nested_too_deep_stays_whole() {
        let text = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
        let mut found = Vec::new();
        cells("r", &text, &mut |path, cell| found.push((path.to_owned(), cell)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "r.a.a.a.a.a.a.a.a");
        assert!(matches!(found[0].1, Cell::Json(_)));
    }
}
