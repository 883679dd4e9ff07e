//! Items as a table for people: what varied, what came out, and which failed. Pure.

use crate::{
    client::ItemRow,
    commands::terminal::{Painter, Shape, Style, aligned_rows, neutralise_line},
};
use console::{measure_text_width, truncate_str};
use mecapy_model::TaskState;
use serde_json::value::RawValue;

/// Columns of a text in a cell; a number is never cut.
const TEXT_COLUMNS_MAX: usize = 24;
/// What is nested deeper is one cell.
const DEPTH_MAX: usize = 3;
const GAP_COLUMNS: usize = 2;

/// The cells of a table, in the order in which their columns were found.
struct Found {
    /// Where each column is in an item: `inputs.d`, `result.bolt.stress`.
    paths: Vec<String>,
    /// Of each row, a cell for each column that was known by then.
    rows: Vec<Vec<String>>,
}

/// The lines of a table that is at most `columns` wide. A row `None` stands for those that are left out.
pub(super) fn lines(items: &[Option<&ItemRow>], columns: usize, painter: Painter) -> Vec<String> {
    let mut found = Found { paths: Vec::new(), rows: Vec::new() };
    // What was given stands before what came out, whichever item had it first.
    items.iter().flatten().for_each(|item| found.name("inputs", &item.inputs));
    items.iter().flatten().filter_map(|item| item.result.as_deref()).for_each(|it| found.name("result", it));
    for item in items {
        found.row(*item);
    }
    let has_errors = items.iter().flatten().any(|item| item.state != TaskState::Completed);
    let names = names(&found.paths);
    let mut header = vec!["#".to_owned()];
    header.extend(names);
    header.extend(has_errors.then(|| "STATE".to_owned()));
    let fitting = fitting(&header, &found.rows, (columns, has_errors));
    let keep = |row: &[String]| -> Vec<String> {
        let last = row.len().saturating_sub(1);
        let is_kept = |at: usize| at < fitting || (has_errors && at == last);
        row.iter().enumerate().filter(|(at, _)| is_kept(*at)).map(|(_, cell)| cell.clone()).collect()
    };
    let rows: Vec<Vec<String>> = found
        .rows
        .iter()
        .map(|row| keep(if has_errors { row } else { row.get(..row.len().saturating_sub(1)).unwrap_or_default() }))
        .collect();
    let mut lines = aligned_rows(&keep(&header), &rows, painter);
    let left_out = header.len() - usize::from(has_errors) - fitting.min(header.len() - usize::from(has_errors));
    if left_out > 0 {
        let text = format!("… and {left_out} more columns: a table with all of them is made with --out");
        lines.push(painter.paint(Style::Dim, &text));
    }
    lines
}

impl Found {
    /// Finds the columns of a value.
    fn name(&mut self, path: &str, value: &RawValue) {
        cells(path, value, DEPTH_MAX, &mut |path, _| {
            if !self.paths.iter().any(|known| known == path) {
                self.paths.push(path.to_owned());
            }
        });
    }

    fn row(&mut self, item: Option<&ItemRow>) {
        let Some(item) = item else {
            self.rows.push(vec!["…".to_owned(); self.paths.len() + 2]);
            return;
        };
        let mut row = vec![String::new(); self.paths.len()];
        let mut put = |path: &str, text: String| {
            let place = self.paths.iter().position(|known| known == path);
            if let Some(cell) = place.and_then(|place| row.get_mut(place)) {
                *cell = text;
            }
        };
        cells("inputs", &item.inputs, DEPTH_MAX, &mut put);
        if let Some(result) = item.result.as_deref() {
            cells("result", result, DEPTH_MAX, &mut put);
        }
        let state = match &item.error {
            Some(error) => neutralise_line(&error.kind),
            None => item.state.as_str().to_owned(),
        };
        let first = item.index.to_string();
        self.rows.push(std::iter::once(first).chain(row).chain([state]).collect());
    }
}

/// Visits the scalars of a value, and what is too deep to be taken apart.
fn cells(path: &str, value: &RawValue, depth: usize, visit: &mut impl FnMut(&str, String)) {
    match Shape::of(value) {
        Shape::Object(members) if depth > 0 && !is_quantity(&members) => {
            members.iter().for_each(|(key, value)| cells(&format!("{path}.{key}"), value, depth - 1, visit));
        }
        Shape::Object(members) if is_quantity(&members) => {
            let parts: Vec<_> = members.iter().map(|(_, value)| value.get().trim_matches('"')).collect();
            visit(path, neutralise_line(&parts.join(" ")));
        }
        Shape::Object(_) => visit(path, "{…}".to_owned()),
        Shape::Array(items) => visit(path, format!("[{}]", items.len())),
        Shape::Text(text) => visit(path, truncate_str(&neutralise_line(&text), TEXT_COLUMNS_MAX, "…").into_owned()),
        Shape::Plain(text) => visit(path, neutralise_line(text)),
    }
}

/// A number with its unit, as the inputs of functions have them.
fn is_quantity(members: &[(String, &RawValue)]) -> bool {
    matches!(members, [(value, _), (unit, _)] if value == "value" && unit == "unit")
}

/// What columns are called: the last part of where they are found, unless two would be called the same.
fn names(paths: &[String]) -> Vec<String> {
    let short = |path: &str| path.split_once('.').map_or_else(|| path.to_owned(), |(_, rest)| rest.to_owned());
    let is_only = |name: &str| paths.iter().filter(|path| short(path) == name).count() == 1;
    paths
        .iter()
        .map(|path| Some(short(path)).filter(|name| is_only(name)).unwrap_or_else(|| path.clone()))
        .map(|name| neutralise_line(&name))
        .collect()
}

/// How many columns fit, the state aside, which is always there where it says something.
fn fitting(header: &[String], rows: &[Vec<String>], (columns, has_errors): (usize, bool)) -> usize {
    let count = header.len() - usize::from(has_errors);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).chain(header.get(at));
        cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0) + GAP_COLUMNS
    };
    let mut room = (columns + GAP_COLUMNS).saturating_sub(if has_errors { width(count) } else { 0 });
    (0..count)
        .take_while(|at| {
            let fits = width(*at) <= room;
            room = room.saturating_sub(width(*at));
            // A table has its index and one more column, however narrow the terminal is.
            fits || *at < 2
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<ItemRow> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_table_has_what_varied_and_what_came_out() {
        let items = items(
            r#"[{"index":0,"state":"completed","inputs":{"d":{"value":8,"unit":"mm"},"F":0.0},"result":{"stress":0.0,"bolt":{"ok":true},"x":[1,2]}},
                {"index":499,"state":"failed","inputs":{"d":12,"F":5e4},"result":null,"error":{"kind":"exception","message":"too thin"}}]"#,
        );
        let rows = [items.first(), None, items.last()];
        let expected = [
            "#    d     F    stress  bolt.ok  x    STATE",
            "0    8 mm  0.0  0.0     true     [2]  completed",
            "…    …     …    …       …        …    …",
            "499  12    5e4                        exception",
        ];
        assert_eq!(lines(&rows, 80, Painter::Plain), expected);
        let expected = [
            "#    d     STATE",
            "0    8 mm  completed",
            "…    …     …",
            "499  12    exception",
            "… and 4 more columns: a table with all of them is made with --out",
        ];
        assert_eq!(lines(&rows, 22, Painter::Plain), expected);
    }

    #[test]
    fn names_that_clash_say_where_they_are() {
        let items =
            items(r#"[{"index":7,"state":"completed","inputs":{"d":1},"result":{"d":123456789012345678901234}}]"#);
        let rows = [items.first()];
        let expected = ["#  inputs.d  result.d", "7  1         123456789012345678901234"];
        assert_eq!(lines(&rows, 80, Painter::Plain), expected);
    }
}
