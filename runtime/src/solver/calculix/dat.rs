//! The `.dat` file: what `*NODE PRINT`, `*EL PRINT` and their like wrote, and the tables of eigenvalue procedures.
//!
//! Stress components stand in the order xx, yy, zz, xy, xz, yz here; the `.frd` file has xx, yy, zz, xy, yz, zx. Each
//! block of the result carries the names of its columns, as CalculiX prints them.

use super::lines::Lines;
use super::token;
use std::io;

/// Rows that are kept of one block.
pub(super) const ROWS_MAX: usize = 10_000;
/// Bytes of JSON of all blocks together.
pub(super) const JSON_BYTES_MAX: usize = 8 << 20;
const LINE_BYTES_MAX: usize = 2_048;
/// Numbers in a row.
const COLUMNS_MAX: usize = 64;

/// The tables of eigenvalue procedures: how the spaced-out title reads without blanks, the name in the result, and the
/// members of a row, of which the first is the mode's number.
const TABLES: [(&str, &str, &[&str]); 5] = [
    (
        "EIGENVALUEOUTPUT",
        "eigenvalues",
        &["mode", "eigenvalue", "angular_frequency", "frequency_hz", "imaginary_angular_frequency"],
    ),
    ("PARTICIPATIONFACTORS", "participation_factors", &["mode", "x", "y", "z", "rx", "ry", "rz"]),
    ("EFFECTIVEMODALMASS", "effective_modal_mass", &["mode", "x", "y", "z", "rx", "ry", "rz"]),
    ("TOTALEFFECTIVEMASS", "total_effective_mass", &["x", "y", "z", "rx", "ry", "rz"]),
    ("BUCKLINGFACTOROUTPUT", "buckling_factors", &["mode", "factor"]),
];

/// The blocks of a `.dat` file as JSON values, under their names, in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub(super) members: Vec<(String, Vec<String>)>,
    /// What was left out, for people.
    pub(super) left_out: Vec<String>,
    bytes: usize,
}

/// Reads a `.dat` file.
///
/// # Errors
/// The file can't be read. What is not understood is passed over.
pub(super) fn read(file: Box<dyn io::Read + '_>) -> io::Result<Printed> {
    let mut printed = Printed::default();
    let mut open: Option<Open> = None;
    let mut lines = Lines::new(file, LINE_BYTES_MAX);
    while let Some(line) = lines.next()? {
        let line = String::from_utf8_lossy(line);
        let words: Vec<&str> = line.split_whitespace().take(COLUMNS_MAX).collect();
        let Some(first) = words.first() else { continue };
        let row = token::is_number(first) || (*first == "TOTAL" && words.len() > 2);
        if row {
            if let Some(open) = &mut open {
                open.row(&words);
            }
        } else if let Some(next) = heading(&line, open.as_ref()) {
            printed.close(open.replace(next));
        }
    }
    printed.close(open);
    Ok(printed)
}

/// A block whose rows are being read.
#[derive(Debug, Clone)]
struct Open {
    name: String,
    kind: Kind,
    rows: Vec<String>,
    rows_left_out: usize,
}

#[derive(Debug, Clone)]
enum Kind {
    /// `columns` are as printed, and may lack the leading node number; `width` is that of the first row.
    Block {
        set: String,
        time: String,
        columns: Vec<String>,
        width: usize,
    },
    Table(&'static [&'static str]),
}

fn heading(line: &str, open: Option<&Open>) -> Option<Open> {
    let squeezed: String = line.split_whitespace().collect();
    let start = |name: &str, kind| Some(Open { name: name.to_owned(), kind, rows: Vec::new(), rows_left_out: 0 });
    // The titles of tables are set with blanks between the letters; a prose line never is.
    if line.split_whitespace().take(5).all(|word| word.len() == 1)
        && let Some((_, name, members)) = TABLES.iter().find(|(title, ..)| *title == squeezed)
    {
        return start(name, Kind::Table(members));
    }
    if let Some((quantity, set, time)) = block_heading(line) {
        let (name, columns) = named(quantity);
        return start(&name, Kind::Block { set, time, columns, width: 0 });
    }
    // Within the statistics of a surface, each line of words names the row after it.
    let Some(Open { kind: Kind::Block { set, time, .. }, .. }) = open else { return None };
    let (name, columns) = named(line);
    let kind = Kind::Block { set: set.clone(), time: time.clone(), columns, width: 0 };
    if name.is_empty() { None } else { start(&name, kind) }
}

/// ` displacements (vx,vy,vz) for set TIP and time  0.1000000E+01` → quantity, set, time.
fn block_heading(line: &str) -> Option<(&str, String, String)> {
    let (rest, time) = line.trim().rsplit_once(' ')?;
    let rest = rest.trim_end().strip_suffix("time")?.trim_end();
    let rest = rest.strip_suffix("and").unwrap_or(rest).trim_end();
    let (quantity, set) = rest.split_once("for set").or_else(|| rest.split_once("for"))?;
    token::is_number(time).then(|| (quantity, set.trim().to_owned(), time.to_owned()))
}

/// A name for programs, and the names of columns: `total force (fx,fy,fz)` → `total_force`, fx, fy, fz.
fn named(quantity: &str) -> (String, Vec<String>) {
    let mut words = String::new();
    let mut columns = Vec::new();
    let mut rest = quantity;
    while let Some((before, after)) = rest.split_once('(') {
        let (inside, after) = after.split_once(')').unwrap_or((after, ""));
        words.push_str(before);
        columns.extend(inside.split(',').map(|name| match name.trim() {
            "elem" => "element".to_owned(),
            "integ.pnt." => "point".to_owned(),
            other => other.to_owned(),
        }));
        rest = after;
    }
    words.push_str(rest);
    let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = words.chars().map(letters).take(120).collect();
    (words.split_whitespace().collect::<Vec<_>>().join("_"), columns)
}

impl Open {
    fn row(&mut self, words: &[&str]) {
        if self.rows.len() >= ROWS_MAX {
            self.rows_left_out += 1;
            return;
        }
        let cell = |word: &&str| match token::is_number(word) {
            true => token::json(word),
            false => serde_json::Value::from(*word).to_string(),
        };
        let cells: Vec<String> = words.iter().map(cell).collect();
        match &mut self.kind {
            Kind::Block { width, .. } => {
                *width = (*width).max(cells.len());
                self.rows.push(format!("[{}]", cells.join(",")));
            }
            Kind::Table(members) if cells.len() == members.len() => {
                let members = members.iter().zip(&cells).map(|(name, cell)| format!("\"{name}\":{cell}"));
                self.rows.push(format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
            }
            // With cyclic symmetry the nodal diameter stands before the mode.
            Kind::Table(members) if cells.len() == members.len() + 1 => {
                let names = ["nodal_diameter"].into_iter().chain(members.iter().copied());
                let members = names.zip(&cells).map(|(name, cell)| format!("\"{name}\":{cell}"));
                self.rows.push(format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
            }
            Kind::Table(_) => {}
        }
    }
}

/// As many names as a row has numbers: a node's rows begin with its number, which the heading doesn't mention, and rows
/// in a local system end with a letter.
fn all_columns(mut columns: Vec<String>, width: usize) -> Vec<String> {
    let of_node = columns.first().is_none_or(|first| first != "element" && !first.contains("slave"));
    if columns.is_empty() && width <= 2 {
        columns.push("value".to_owned());
    }
    if of_node && width > columns.len() {
        columns.insert(0, "node".to_owned());
    }
    if width == columns.len() + 1 {
        columns.push("system".to_owned());
    }
    while columns.len() < width {
        columns.push(format!("value_{}", columns.len()));
    }
    columns.truncate(width);
    columns
}

impl Printed {
    fn close(&mut self, open: Option<Open>) {
        let Some(open) = open.filter(|open| !open.rows.is_empty()) else { return };
        let (values, what) = match open.kind {
            Kind::Table(_) => (open.rows, open.name.clone()),
            Kind::Block { set, time, columns, width } => {
                let columns = all_columns(columns, width);
                let json = serde_json::json!({"set": set, "time": null, "columns": columns}).to_string();
                let json = json.replacen("\"time\":null", &format!("\"time\":{}", token::json(&time)), 1);
                let rows = open.rows.join(",");
                let block = format!("{},\"rows\":[{rows}]}}", json.strip_suffix('}').unwrap_or(&json));
                (vec![block], format!("{} of {set} at time {time}", open.name))
            }
        };
        let bytes: usize = values.iter().map(|value| value.len() + 1).sum();
        if self.bytes + bytes > JSON_BYTES_MAX {
            self.left_out.push(format!("{what} is left out, since the result would be too large"));
            return;
        }
        if open.rows_left_out > 0 {
            self.left_out.push(format!("{what}: {ROWS_MAX} rows are in the result, {} are not", open.rows_left_out));
        }
        self.bytes += bytes;
        match self.members.iter_mut().find(|(name, _)| *name == open.name) {
            Some((_, held)) => held.extend(values),
            None => self.members.push((open.name, values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> serde_json::Value {
        let printed = read(Box::new(text.as_bytes())).unwrap();
        let members = printed.members.iter().map(|(name, values)| format!("\"{name}\":[{}]", values.join(",")));
        serde_json::from_str(&format!("{{{}}}", members.collect::<Vec<_>>().join(","))).unwrap()
    }

    #[test]
    fn every_kind_of_block_becomes_named_columns_and_rows() {
        let found = read_text(
            "\n displacements (vx,vy,vz) for set TIP and time  0.1000000E+01\n\n        21 -1.4E-01  2.5E-04 -1.898629E+00\n\
            \n total force (fx,fy,fz) for set FIX and time  0.1000000E+01\n\n  -2.0E-10  6.1E-09  1.0E+03\n\n \
            stresses (elem, integ.pnt.,sxx,syy,szz,sxy,sxz,syz) for set EALL and time  0.1000000E+01\n\n   \
            1   1 -4.7E+02 -8.4E+01 -8.5E+01 -4.3E+01 -1.2E+01  1.0E-101\n\n temperatures for set A and time  0.2E+01\n\n \
            11  1.2E+02\n\n heat flux (elem, integ.pnt.,qx,qy,qz) for setEALL and time  0.1E+01\n\n 1 1 NaN 0.0 ****\n\n \
            total volume for set E and time  0.1E+01\n\n 1.0E+04\n\n displacements (vx,vy,vz) for set TIP and time  0.2E+01\n\n \
            21 1.0 2.0 3.0 L\n",
        );
        let expected = serde_json::json!({
            "displacements": [
                {"set": "TIP", "time": 1.0, "columns": ["node", "vx", "vy", "vz"],
                    "rows": [[21, -0.14, 2.5e-4, -1.898629]]},
                {"set": "TIP", "time": 2.0, "columns": ["node", "vx", "vy", "vz", "system"],
                    "rows": [[21, 1.0, 2.0, 3.0, "L"]]}],
            "total_force": [{"set": "FIX", "time": 1.0, "columns": ["fx", "fy", "fz"], "rows": [[-2e-10, 6.1e-9, 1e3]]}],
            "stresses": [{"set": "EALL", "time": 1.0,
                "columns": ["element", "point", "sxx", "syy", "szz", "sxy", "sxz", "syz"],
                "rows": [[1, 1, -470.0, -84.0, -85.0, -43.0, -12.0, 1e-101]]}],
            "temperatures": [{"set": "A", "time": 2.0, "columns": ["node", "value"], "rows": [[11, 120.0]]}],
            "heat_flux": [{"set": "EALL", "time": 1.0, "columns": ["element", "point", "qx", "qy", "qz"],
                "rows": [[1, 1, null, 0.0, null]]}],
            "total_volume": [{"set": "E", "time": 1.0, "columns": ["value"], "rows": [[1e4]]}],
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn tables_of_modes_are_read() {
        let found = read_text(
            "\n     E I G E N V A L U E   O U T P U T\n\n MODE NO    EIGENVALUE      FREQUENCY\n    REAL PART   IMAGINARY \
            PART\n      1   0.275E+08   0.524E+04   0.8352412E+03   0.0E+00\n\n     T O T A L   E F F E C T I V E   M A S S\n\n\
            MODE NO.   X-COMPONENT\n\n   0.7 0.7 0.7 0.005 0.26 0.26\n\n     B U C K L I N G   F A C T O R   O U T P U T\n\n \
            MODE NO       BUCKLING\n                FACTOR\n\n      1   0.6189813E+02\n",
        );
        assert_eq!(found["eigenvalues"][0]["frequency_hz"], 835.2412);
        assert_eq!(found["total_effective_mass"][0]["rz"], 0.26);
        assert_eq!(found["buckling_factors"], serde_json::json!([{"mode": 1, "factor": 61.89813}]));
    }

    #[test]
    fn digits_stay_as_they_were_printed_and_long_blocks_are_cut() {
        let rows: String = (1..=ROWS_MAX + 2).map(|node| format!("{node} 1.000000E-01\n")).collect();
        let text = format!(" temperatures for set A and time  0.1000000E+01\n\n{rows}");
        let printed = read(Box::new(text.as_bytes())).unwrap();
        assert!(printed.members[0].1[0].contains("\"time\":0.1000000E+01,"));
        assert!(printed.members[0].1[0].ends_with(&format!("[{ROWS_MAX},1.000000E-01]]}}")));
        assert_eq!(
            printed.left_out,
            ["temperatures of A at time 0.1000000E+01: 10000 rows are in the result, 2 are not"]
        );
    }
}
