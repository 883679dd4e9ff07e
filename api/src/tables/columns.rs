//! Which columns a table has, of which type, and in which order.

use super::flatten::{Cell, cells};
use std::collections::HashMap;

/// Columns of one table.
pub const COLUMNS_MAX: usize = 1_000;

/// What all values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    /// Whole numbers that 64 bits hold.
    Integer,
    /// Numbers; among them whole ones are doubles too.
    Double,
    /// Texts, and whatever differs from row to row: each value as it was written.
    Text,
}

/// One part of each row, in the order in which rows have them.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// A column for whatever is found in it, named after it.
    Found(&'static str),
    /// These columns alone, whether anything is found or not: the path below the part's name, empty for the part itself.
    Fixed(&'static str, &'static [(&'static str, Kind)]),
}

/// The columns of a table that is being looked through.
#[derive(Debug)]
pub struct Columns {
    parts: &'static [Part],
    found: Vec<Column>,
    places: HashMap<Box<str>, usize>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: Box<str>,
    /// `None` while every value was null.
    pub(super) kind: Option<Kind>,
    part: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rows have more than {COLUMNS_MAX} different fields, too many for the columns of a table: ask for NDJSON, which \
     keeps each row as it is"
)]
pub struct TooManyColumns;

impl Part {
    pub const fn name(self) -> &'static str {
        match self {
            Part::Found(name) | Part::Fixed(name, _) => name,
        }
    }
}

impl Columns {
    pub fn new(parts: &'static [Part]) -> Self {
        let mut columns = Self { parts, found: Vec::new(), places: HashMap::new() };
        for (part, of) in parts.iter().enumerate() {
            let Part::Fixed(name, fields) = of else { continue };
            for (path, kind) in *fields {
                let name = if path.is_empty() { (*name).to_owned() } else { format!("{name}.{path}") };
                columns.add(&name, part, Some(*kind));
            }
        }
        columns
    }

    /// Takes note of what a row has: the JSON text of each part.
    ///
    /// # Errors
    /// There are more than [`COLUMNS_MAX`] by now.
    pub fn see(&mut self, row: &[&str]) -> Result<(), TooManyColumns> {
        for (part, (of, text)) in self.parts.iter().zip(row).enumerate() {
            if let Part::Found(name) = of {
                cells(name, text, &mut |path, cell| self.note(part, path, &cell));
            }
        }
        if self.found.len() > COLUMNS_MAX { Err(TooManyColumns) } else { Ok(()) }
    }

    /// The names so far, in the table's order.
    pub fn names(&self) -> Vec<&str> {
        let mut columns: Vec<_> = self.found.iter().collect();
        columns.sort_by_key(|column| column.part);
        columns.into_iter().map(|column| &*column.name).collect()
    }

    pub(super) fn parts(&self) -> &'static [Part] {
        self.parts
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.found
    }

    /// The same in the table's order: by part, and in each as they were found first.
    pub(super) fn ordered(mut self) -> Self {
        self.found.sort_by_key(|column| column.part);
        self.places = self.found.iter().enumerate().map(|(place, column)| (column.name.clone(), place)).collect();
        self
    }

    /// The cells of a row, one for each column. What has no column was not there when the columns were found.
    pub(super) fn cells<'a>(&self, row: &[&'a str]) -> Vec<Cell<'a>> {
        let mut all = vec![Cell::Null; self.found.len()];
        for (of, text) in self.parts.iter().zip(row) {
            cells(of.name(), text, &mut |path, cell| {
                if let Some(slot) = self.places.get(path).and_then(|place| all.get_mut(*place)) {
                    *slot = cell;
                }
            });
        }
        all
    }

    fn note(&mut self, part: usize, path: &str, cell: &Cell<'_>) {
        let kind = Kind::of(cell);
        let known = self.places.get(path).copied();
        if let Some(column) = known.and_then(|place| self.found.get_mut(place)) {
            column.kind = together(column.kind, kind);
            return;
        }
        // A part that is null as a whole says nothing of its columns.
        let is_nothing = kind.is_none() && self.parts.get(part).is_some_and(|of| of.name() == path);
        if !is_nothing && self.found.len() <= COLUMNS_MAX {
            self.add(path, part, kind);
        }
    }

    fn add(&mut self, name: &str, part: usize, kind: Option<Kind>) {
        self.places.insert(name.into(), self.found.len());
        self.found.push(Column { name: name.into(), kind, part });
    }
}

impl Kind {
    fn of(cell: &Cell<'_>) -> Option<Kind> {
        match cell {
            Cell::Null => None,
            Cell::Bool(_) => Some(Kind::Bool),
            Cell::Number(text) if !text.contains(['.', 'e', 'E']) => {
                Some(if text.parse::<i64>().is_ok() { Kind::Integer } else { Kind::Text })
            }
            Cell::Number(_) => Some(if cell.double().is_some() { Kind::Double } else { Kind::Text }),
            Cell::Text(_) | Cell::Json(_) => Some(Kind::Text),
        }
    }
}

fn together(a: Option<Kind>, b: Option<Kind>) -> Option<Kind> {
    match (a, b) {
        (kind, None) | (None, kind) => kind,
        (Some(a), Some(b)) if a == b => Some(a),
        (Some(Kind::Integer | Kind::Double), Some(Kind::Integer | Kind::Double)) => Some(Kind::Double),
        _ => Some(Kind::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 4] = [
        Part::Fixed("index", &[("", Kind::Integer)]),
        Part::Found("inputs"),
        Part::Found("result"),
        Part::Fixed("error", &[("kind", Kind::Text)]),
    ];

    #[test]
    fn columns_keep_the_order_of_parts_and_the_widest_type() {
        let mut columns = Columns::new(&PARTS);
        columns.see(&["0", r#"{"d":8,"on":true,"F":null}"#, "null", "null"]).unwrap();
        columns.see(&["1", r#"{"d":8.5,"on":1}"#, r#"{"s":12345678901234567890,"n":3}"#, "null"]).unwrap();
        columns.see(&["2", r#"{"F":1e400}"#, r#"{"s":1,"n":4,"none":null}"#, "null"]).unwrap();
        let columns = columns.ordered();
        let found: Vec<_> = columns.columns().iter().map(|column| (&*column.name, column.kind)).collect();
        let expected = [
            ("index", Some(Kind::Integer)),
            ("inputs.d", Some(Kind::Double)),
            ("inputs.on", Some(Kind::Text)),
            ("inputs.F", Some(Kind::Text)),
            ("result.s", Some(Kind::Text)),
            ("result.n", Some(Kind::Integer)),
            ("result.none", None),
            ("error.kind", Some(Kind::Text)),
        ];
        assert_eq!(found, expected);
        let cells = columns.cells(&["7", r#"{"new":1,"d":2}"#, "null", r#"{"kind":"trap","line":3}"#]);
        let shown: Vec<_> = cells.iter().map(Cell::shown).collect();
        assert_eq!(shown, [Some("7"), Some("2"), None, None, None, None, None, Some("trap")]);
    }

    #[test]
    fn a_table_has_only_so_many_columns() {
        let mut columns = Columns::new(&PARTS);
        let many: Vec<_> = (0..2 * COLUMNS_MAX).map(|n| format!("\"k{n}\":{n}")).collect();
        assert_eq!(columns.see(&["0", "{}", &format!("{{{}}}", many.join(",")), "null"]), Err(TooManyColumns));
        assert!(columns.columns().len() <= COLUMNS_MAX + 1);
    }
}
