//! A result as people read it: aligned keys and values, arrays summarised, objects indented.

use super::{
    escape::{neutralise, neutralise_line},
    paint::{Painter, Style},
    shape::Shape,
};
use console::{measure_text_width, pad_str, truncate_str};
use serde_json::value::RawValue;

/// Objects deeper than this are summarised.
const DEPTH_MAX: usize = 4;
/// Fields of one object that are shown.
const FIELDS_MAX: usize = 100;
/// An array of at most so many values is shown whole, where it fits on the line.
const ITEMS_WHOLE_MAX: usize = 12;
/// Columns that keys are aligned to at most; longer keys push their own value.
const KEY_COLUMNS_MAX: usize = 32;
const INDENT: usize = 2;

/// The lines of a result, each at most `columns` wide (and never less than a readable width).
pub(crate) fn lines(result: &RawValue, painter: Painter, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let table = Table { painter, columns: columns.max(40) };
    match Shape::of(result) {
        Shape::Object(members) => table.object(&members, 0, &mut lines),
        shape => lines.push(table.scalar(&shape, 0)),
    }
    lines
}

struct Table {
    painter: Painter,
    columns: usize,
}

impl Table {
    fn object(&self, members: &[(String, &RawValue)], depth: usize, lines: &mut Vec<String>) {
        let indent = " ".repeat(INDENT * depth);
        let shown: Vec<_> = members.iter().take(FIELDS_MAX).map(|(key, value)| (neutralise_line(key), value)).collect();
        let widest = shown.iter().map(|(key, _)| measure_text_width(key)).max().unwrap_or(0).min(KEY_COLUMNS_MAX);
        for (key, value) in &shown {
            let label = format!("{}{}", self.painter.paint(Style::Bold, key), self.painter.paint(Style::Dim, ":"));
            match Shape::of(value) {
                Shape::Object(inner) if depth + 1 < DEPTH_MAX && !inner.is_empty() => {
                    lines.push(format!("{indent}{label}"));
                    self.object(&inner, depth + 1, lines);
                }
                Shape::Text(text) if text.contains('\n') => {
                    lines.push(format!("{indent}{label}"));
                    let inner = " ".repeat(INDENT * (depth + 1));
                    lines.extend(neutralise(&text).lines().map(|line| format!("{inner}{line}")));
                }
                shape => {
                    let label = pad_str(&label, widest + 1, console::Alignment::Left, None).into_owned();
                    let before = indent.len() + measure_text_width(&label) + INDENT;
                    lines.push(format!("{indent}{label}  {}", self.scalar(&shape, before)));
                }
            }
        }
        if members.len() > shown.len() {
            lines.push(self.painter.paint(Style::Dim, &format!("{indent}… and {} more", members.len() - shown.len())));
        }
    }

    /// A value on the rest of one line, of which `before` columns are taken.
    fn scalar(&self, shape: &Shape<'_>, before: usize) -> String {
        let room = self.columns.saturating_sub(before).max(20);
        match shape {
            // A number is never cut: half a number is a wrong number.
            Shape::Plain(text) => neutralise_line(text),
            Shape::Text(text) => truncate_str(&neutralise_line(text), room.max(60), "…").into_owned(),
            Shape::Object(members) if members.is_empty() => "{}".to_owned(),
            Shape::Object(members) => {
                let keys: Vec<_> = members.iter().map(|(key, _)| neutralise_line(key)).collect();
                truncate_str(&format!("{{{}}}", keys.join(", ")), room, "…}").into_owned()
            }
            Shape::Array(items) => self.array(items, room),
        }
    }

    fn array(&self, items: &[&RawValue], room: usize) -> String {
        if items.len() <= ITEMS_WHOLE_MAX {
            let whole = compact(items);
            if measure_text_width(&whole) <= room {
                return whole;
            }
        }
        let count = self.painter.paint(Style::Dim, &format!("({})", dimensions(items)));
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return "[]".to_owned() };
        if [first, last].iter().any(|item| item.get().starts_with(['[', '{'])) {
            return count;
        }
        let room = room.saturating_sub(measure_text_width(&count) + 1);
        let ends = |heads: usize| {
            let heads: Vec<_> = items.iter().take(heads).map(|item| neutralise_line(item.get())).collect();
            format!("[{}, … {}]", heads.join(", "), neutralise_line(last.get()))
        };
        let fitting = (1..=4.min(items.len() - 1)).rev().map(ends).find(|text| measure_text_width(text) <= room);
        fitting.map_or_else(|| count.clone(), |text| format!("{text} {count}"))
    }
}

/// The items with the white space between them made regular.
fn compact(items: &[&RawValue]) -> String {
    let shown: Vec<_> = items
        .iter()
        .map(|item| match Shape::of(item) {
            Shape::Array(inner) => compact(&inner),
            _ => neutralise_line(item.get()),
        })
        .collect();
    format!("[{}]", shown.join(", "))
}

/// `250 values`, or `3 × 3 values` for an array of arrays of one length.
fn dimensions(items: &[&RawValue]) -> String {
    let mut sizes = vec![items.len()];
    let mut level: Vec<&RawValue> = items.to_vec();
    let mut noun = "values";
    while let Some(first) = level.first() {
        noun = if first.get().starts_with('{') { "objects" } else { "values" };
        if !level.iter().all(|item| item.get().starts_with('[')) {
            break;
        }
        let inner: Vec<_> = level
            .iter()
            .filter_map(|item| match Shape::of(item) {
                Shape::Array(inner) => Some(inner),
                _ => None,
            })
            .collect();
        let length = inner.first().map_or(0, Vec::len);
        if inner.iter().any(|row| row.len() != length) {
            noun = "arrays";
            break;
        }
        sizes.push(length);
        level = inner.into_iter().flatten().collect();
    }
    let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
    format!("{} {noun}", sizes.join(" × "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &[&str]) {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(lines(&raw, Painter::Plain, 60), expected);
    }

    #[test]
    fn flat_results_are_aligned_in_their_own_order() {
        check(
            r#"{"stress_mpa": 212.500, "ok": true, "note": "été", "sf": null}"#,
            &["stress_mpa:  212.500", "ok:          true", "note:        été", "sf:          null"],
        );
    }

    #[test]
    fn nested_objects_are_indented_and_deep_ones_summarised() {
        check(
            r#"{"a": {"b": {"c": {"d": {"e": 1}}}}, "empty": {}}"#,
            &["a:", "  b:", "    c:", "      d:  {e}", "empty:  {}"],
        );
    }

    #[test]
    fn short_arrays_are_whole_and_long_ones_summarised() {
        let long: Vec<_> = (0..250).map(|i| i.to_string()).collect();
        check(
            &format!(r#"{{"k":[[1,2],[3,4]],"x":[{}]}}"#, long.join(",")),
            &["k:  [[1, 2], [3, 4]]", "x:  [0, 1, 2, 3, … 249] (250 values)"],
        );
    }

    #[test]
    fn matrices_and_records_show_their_size() {
        let row = format!("[{}]", ["0.123456"; 9].join(","));
        check(&format!(r#"{{"m":[{row},{row},{row}]}}"#), &["m:  (3 × 9 values)"]);
        let record = r#"{"node": 1, "u": 0.000012345, "v": -0.00045678}"#;
        check(&format!(r#"{{"nodes":[{record},{record}]}}"#), &["nodes:  (2 objects)"]);
        check(&format!(r#"{{"r":[{row},[1]]}}"#), &["r:  (2 arrays)"]);
    }

    #[test]
    fn text_is_neutralised_and_lines_are_kept() {
        check(r#"{"t": "one\ntwo \u001b[31m", "k\u001b": 1}"#, &["t:", "  one", "  two ␛[31m", "k␛:  1"]);
    }

    #[test]
    fn long_numbers_are_never_cut() {
        let digits = "1".repeat(90);
        check(&format!(r#"{{"n": {digits}}}"#), &[&format!("n:  {digits}")]);
    }
}
