//! CSV as RFC 4180 has it, safe to open in a spreadsheet.

use super::flatten::Cell;

/// How a text begins that a spreadsheet takes for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Appends one line. Numbers are as they were written; null is nothing, an empty text a pair of quotes.
pub(super) fn write_line<'a>(cells: impl Iterator<Item = &'a Cell<'a>>, out: &mut Vec<u8>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        match cell {
            Cell::Text(text) => write_text(text, out),
            cell => write_field(cell.shown().unwrap_or_default(), out),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the line of column names.
pub(super) fn write_head<'a>(names: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    let names: Vec<_> = names.map(|name| Cell::Text(name.into())).collect();
    write_line(names.iter(), out);
}

/// A text: one that a spreadsheet would calculate gets an apostrophe before it (OWASP, *CSV injection*).
fn write_text(text: &str, out: &mut Vec<u8>) {
    if text.is_empty() {
        out.extend_from_slice(b"\"\"");
    } else if text.starts_with(FORMULA) {
        write_field(&format!("'{text}"), out);
    } else {
        write_field(text, out);
    }
}

fn write_field(text: &str, out: &mut Vec<u8>) {
    let plain = !text.contains(['"', ',', '\r', '\n']) && !text.starts_with(' ') && !text.ends_with(' ');
    if plain {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be_and_never_formulas() {
        let cells = [
            Cell::Number("-1.10"),
            Cell::Text("a, \"b\"\r\nc".into()),
            Cell::Null,
            Cell::Text("".into()),
            Cell::Text("=HYPERLINK(\"x\")".into()),
            Cell::Text("+1".into()),
            Cell::Text("-1".into()),
            Cell::Text("@a".into()),
            Cell::Text("\t=1".into()),
            Cell::Json("[1, 2]"),
            Cell::Bool(true),
        ];
        let mut out = Vec::new();
        write_line(cells.iter(), &mut out);
        let expected =
            "-1.10,\"a, \"\"b\"\"\r\nc\",,\"\",\"'=HYPERLINK(\"\"x\"\")\",'+1,'-1,'@a,'\t=1,\"[1, 2]\",true\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
