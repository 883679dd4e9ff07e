//! Rows of cells as aligned columns under a header.

use super::paint::{Painter, Style};

/// Blanks between two columns.
const GAP: &str = "  ";

/// The lines: the header, then a line for each row. Cells have one line each, neutralised where they come from
/// elsewhere; the last column is as wide as it is.
pub(crate) fn aligned<const N: usize>(header: [&str; N], rows: &[[String; N]], painter: Painter) -> Vec<String> {
    aligned_rows(&header.map(str::to_owned), rows, painter)
}

/// The same for as many columns as the header has.
pub(crate) fn aligned_rows<R: AsRef<[String]>>(header: &[String], rows: &[R], painter: Painter) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(AsRef::as_ref).chain([header]).filter_map(|row| row.get(column));
        cells.map(|cell| console::measure_text_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths);
        let padded = cells.map(|(cell, width)| console::pad_str(cell, *width, console::Alignment::Left, None));
        padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let mut lines = vec![painter.paint(Style::Bold, &line(header))];
    lines.extend(rows.iter().map(|row| line(row.as_ref())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            [["été".to_owned(), "1".to_owned(), String::new()], ["a".to_owned(), "22".to_owned(), "x".to_owned()]];
        assert_eq!(aligned(["A", "BB", "C"], &rows, Painter::Plain), ["A    BB  C", "été  1", "a    22  x"]);
    }
}
