//! Tables that a study wrote: in Code_Aster's own format (`#DEBUT_TABLE` … `#FIN_TABLE`) and as CSV, both of
//! `IMPR_TABLE`.

use super::numbers::json_number;
use serde::Serialize;
use serde_json::value::RawValue;

/// Columns of one table.
const COLUMNS_MAX: usize = 200;
/// Cells of all tables of one file.
const CELLS_MAX: usize = 50_000;
/// Tables of one file.
const TABLES_MAX: usize = 50;

/// One table. A number has the digits that stand in the file; what is empty (`-` in Code_Aster's format) is null.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Cell {
    Empty,
    Number(Box<RawValue>),
    Text(String),
}

impl Cell {
    fn new(text: &str) -> Self {
        match text {
            "" | "-" => Self::Empty,
            _ => json_number(text).map_or_else(|| Self::Text(text.to_owned()), Self::Number),
        }
    }
}

/// Reads the tables of a file: those in Code_Aster's format where there are any, else a CSV file's one table, where
/// `csv` says that it is one.
///
/// # Errors
/// Why a table can't be read, with its line.
pub(super) fn read(text: &str, csv: Csv) -> Result<Vec<Table>, String> {
    if text.lines().any(|line| line.trim_end() == BEGIN) {
        aster_tables(text)
    } else if csv == Csv::Yes {
        csv_table(text).map(|table| table.into_iter().collect())
    } else {
        Ok(Vec::new())
    }
}

/// Whether a file without Code_Aster's marks is a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Csv {
    Yes,
    No,
}

const BEGIN: &str = "#DEBUT_TABLE";
const TITLE: &str = "#TITRE";
const END: &str = "#FIN_TABLE";

/// Rows as they come, checked for their widths.
#[derive(Debug, Default)]
struct Rows {
    table: Option<Table>,
    /// Columns that hold texts whatever they look like (`K8` and so on).
    textual: Vec<bool>,
    cells: usize,
    margins: Margins,
}

/// Code_Aster puts a separator before the first value or behind the last: a header shows where, and neither makes a
/// value.
#[derive(Debug, Clone, Copy, Default)]
struct Margins {
    first: bool,
    last: bool,
}

impl Margins {
    fn of(header: &[String]) -> Self {
        let empty = |cell: Option<&String>| header.len() > 1 && cell.is_some_and(String::is_empty);
        Self { first: empty(header.first()), last: empty(header.last()) }
    }

    fn cut(self, mut cells: Vec<String>) -> Vec<String> {
        if self.last && cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        let skipped = usize::from(self.first && cells.first().is_some_and(String::is_empty));
        cells.split_off(skipped)
    }
}

impl Rows {
    /// Takes the line that names the columns.
    fn begin(&mut self, title: String, cells: Vec<String>, line: usize) -> Result<(), String> {
        self.margins = Margins::of(&cells);
        let columns = self.margins.cut(cells);
        if !(1..=COLUMNS_MAX).contains(&columns.len()) {
            return Err(format!("line {line} names {} columns; 1 to {COLUMNS_MAX} can be read", columns.len()));
        }
        self.table = Some(Table { title, columns, rows: Vec::new() });
        Ok(())
    }

    fn add(&mut self, cells: Vec<String>, line: usize) -> Result<(), String> {
        let Some(table) = &mut self.table else { return Ok(()) };
        let cells = self.margins.cut(cells);
        if cells.len() != table.columns.len() {
            let (found, expected) = (cells.len(), table.columns.len());
            return Err(format!("line {line} has {found} values for {expected} columns"));
        }
        self.cells += cells.len();
        if self.cells > CELLS_MAX {
            return Err(format!("more than {CELLS_MAX} values"));
        }
        let textual = self.textual.iter().copied().chain(std::iter::repeat(false));
        let cell = |(cell, textual): (&String, bool)| match cell.as_str() {
            "" | "-" => Cell::Empty,
            text if textual => Cell::Text(text.to_owned()),
            text => Cell::new(text),
        };
        table.rows.push(cells.iter().zip(textual).map(cell).collect());
        Ok(())
    }

    /// Whether a line is the one with the columns' types, which follows the one with their names.
    fn are_types(&self, cells: &[String]) -> bool {
        let first = self.table.as_ref().is_some_and(|table| table.rows.is_empty());
        let known = |cell: &String| cell.is_empty() || is_type(cell);
        first && self.textual.is_empty() && cells.iter().all(known) && cells.iter().any(|cell| is_type(cell))
    }
}

fn aster_tables(text: &str) -> Result<Vec<Table>, String> {
    let (mut tables, mut rows, mut title, mut inside) = (Vec::new(), Rows::default(), Vec::new(), false);
    let mut mark = None;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_end();
        match text {
            BEGIN => {
                (inside, title) = (true, Vec::new());
                rows = Rows { cells: rows.cells, ..Rows::default() };
            }
            END if inside => {
                tables.extend(rows.table.take());
                inside = false;
            }
            _ if !inside || text.trim().is_empty() => {}
            _ if text.starts_with(TITLE) => title.extend(text.strip_prefix(TITLE).map(|text| text.trim().to_owned())),
            _ if text.starts_with('#') => {}
            _ => {
                let cells = split(text, if rows.table.is_none() { separator(text) } else { mark });
                if rows.table.is_none() {
                    rows.begin(std::mem::take(&mut title).join("\n"), cells, line)?;
                    mark = separator(text);
                } else if rows.are_types(&cells) {
                    rows.textual = rows.margins.cut(cells).iter().map(|cell| cell.starts_with('K')).collect();
                } else {
                    rows.add(cells, line)?;
                }
            }
        }
        if tables.len() > TABLES_MAX {
            return Err(format!("more than {TABLES_MAX} tables"));
        }
    }
    Ok(tables)
}

/// Code_Aster's types: whole, real and complex numbers, texts of a length.
fn is_type(cell: &str) -> bool {
    matches!(cell, "I" | "R" | "C")
        || cell
            .strip_prefix('K')
            .is_some_and(|length| length.len() <= 2 && length.bytes().all(|byte| byte.is_ascii_digit()))
}

fn csv_table(text: &str) -> Result<Option<Table>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let (mut rows, mut mark) = (Rows::default(), None);
    for (line, text) in lines {
        let mark = *mark.get_or_insert_with(|| separator(text));
        let cells = split(text, mark);
        if rows.table.is_none() {
            rows.begin(String::new(), cells, line)?;
        } else {
            rows.add(cells, line)?;
        }
    }
    Ok(rows.table)
}

/// What stands between the values of a header.
fn separator(header: &str) -> Option<char> {
    [';', ',', '\t'].into_iter().find(|mark| header.contains(*mark))
}

/// The values of a line: by blanks where there is no separator, else with quotes as in RFC 4180.
fn split(line: &str, separator: Option<char>) -> Vec<String> {
    let Some(separator) = separator else {
        return line.split_whitespace().take(COLUMNS_MAX + 1).map(str::to_owned).collect();
    };
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            c if c == separator && !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => cell.push(c),
        }
        if cells.len() > COLUMNS_MAX {
            break;
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASTER: &str = "\n#DEBUT_TABLE\n#TITRE DEFLECTION OF THE TIP\n#TITRE second line\n NOEUD    NUME_ORDRE   INST          DY\n \
        K8       I            R             R\n 0012     1            0.00000E+00   -1.9047619047619E+00\n \
        N3       -            1.0D+00       .5\n#FIN_TABLE\nother\n#DEBUT_TABLE\nA\n1\n#FIN_TABLE\n";

    fn json(text: &str, csv: Csv) -> String {
        serde_json::to_string(&read(text, csv).unwrap()).unwrap()
    }

    #[test]
    fn code_asters_tables_are_read_with_their_types() {
        assert_eq!(
            json(ASTER, Csv::No),
            "[{\"title\":\"DEFLECTION OF THE TIP\\nsecond line\",\"columns\":[\"NOEUD\",\"NUME_ORDRE\",\"INST\",\"DY\"],\
             \"rows\":[[\"0012\",1,0.00000E+00,-1.9047619047619E+00],[\"N3\",null,1.0E+00,0.5]]},\
             {\"columns\":[\"A\"],\"rows\":[[1]]}]"
        );
    }

    #[test]
    fn csv_files_are_read_in_the_forms_of_impr_table() {
        let rows = [
            ("# title\nX,Y\n1.0D-03,abc\n", r#"[{"columns":["X","Y"],"rows":[[1.0E-03,"abc"]]}]"#),
            ("X,Y\n,5\n", r#"[{"columns":["X","Y"],"rows":[[null,5]]}]"#),
            (",X,Y\n,1,-\n", r#"[{"columns":["X","Y"],"rows":[[1,null]]}]"#),
            ("MOYENNE;\n2.500000000000E-02;\n", r#"[{"columns":["MOYENNE"],"rows":[[2.500000000000E-02]]}]"#),
            ("a;b\n\"x; \"\"y\"\"\";1,5\n", r#"[{"columns":["a","b"],"rows":[["x; \"y\"","1,5"]]}]"#),
            ("", "[]"),
            ("# nothing\n", "[]"),
        ];
        for (text, expected) in rows {
            assert_eq!(json(text, Csv::Yes), expected, "{text}");
        }
        assert_eq!(json("any text, at all", Csv::No), "[]");
    }

    #[test]
    fn tables_that_are_too_large_or_ragged_are_refused_with_a_line() {
        assert_eq!(read("a,b\n1\n", Csv::Yes).unwrap_err(), "line 2 has 1 values for 2 columns");
        let long = format!("a\n{}", "1\n".repeat(CELLS_MAX + 1));
        assert!(read(&long, Csv::Yes).unwrap_err().contains("more than 50000"));
        let wide = "a,".repeat(COLUMNS_MAX + 2);
        assert!(read(&wide, Csv::Yes).unwrap_err().contains("columns"));
        let many = "#DEBUT_TABLE\nA\n1\n#FIN_TABLE\n".repeat(TABLES_MAX + 1);
        assert!(read(&many, Csv::No).unwrap_err().contains("more than 50 tables"));
    }
}
