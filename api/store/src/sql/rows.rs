//! Statements over many rows at a time.

use super::query::{Query, queries};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// How many rows one statement takes at most.
const ROWS_MAX: usize = 64;

/// A statement around `VALUES (?, …), (?, …), …`.
pub(crate) struct Rows {
    pub(crate) head: &'static str,
    /// Values in a row.
    pub(crate) width: usize,
    pub(crate) tail: &'static str,
}

impl Rows {
    /// The text for so many rows.
    pub(crate) fn sql(&self, rows: usize) -> SqlStr {
        let mut text = String::new();
        self.write(&mut text, rows);
        // Made of constants and question marks alone.
        AssertSqlSafe(text).into_sql_str()
    }

    fn write(&self, text: &mut String, rows: usize) {
        text.reserve(self.head.len() + self.tail.len() + 16 + rows * (2 * self.width + 2));
        text.push_str(self.head);
        text.push_str(" VALUES ");
        for row in 0..rows {
            text.push_str(if row == 0 { "(?" } else { ",(?" });
            for _ in 1..self.width {
                text.push_str(",?");
            }
            text.push(')');
        }
        text.push_str(self.tail);
    }
}

/// Several statements over so many rows each, in one trip; their values are bound in the same order. None may see what
/// another one of them changes.
pub(crate) fn script(statements: &[&Rows], rows: usize) -> Query {
    queries(statements.iter().map(|part| part.sql(rows)).collect())
}

/// `head`, so many question marks separated by commas, and `tail`.
pub(crate) fn with_list(head: &'static str, values: usize, tail: &'static str) -> SqlStr {
    let marks = vec!["?"; values].join(",");
    AssertSqlSafe(format!("{head}{marks}{tail}")).into_sql_str()
}

/// `part` so many times, with `UNION ALL` between; `#` in it becomes the part's number, from 0, and `{lock}` what locks
/// its rows.
pub(crate) fn union_all(part: &'static str, lock: &'static str, parts: usize) -> SqlStr {
    let part = part.replace("{lock}", lock);
    let texts: Vec<String> = (0..parts).map(|number| part.replace('#', &number.to_string())).collect();
    AssertSqlSafe(texts.join(" UNION ALL ")).into_sql_str()
}

/// Cuts `items` into pieces whose lengths are powers of two, so that few different statements are prepared and kept.
pub(crate) fn pieces<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let length = 1 << rest.len().min(ROWS_MAX).checked_ilog2()?;
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two_and_lose_nothing() {
        for length in [0, 1, 2, 3, 63, 64, 65, 200] {
            let items: Vec<usize> = (0..length).collect();
            let cut: Vec<&[usize]> = pieces(&items).collect();
            assert!(cut.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= ROWS_MAX));
            assert_eq!(cut.concat(), items);
        }
    }

    #[test]
    fn texts_have_as_many_marks_as_values() {
        let rows = Rows { head: "INSERT INTO t", width: 3, tail: "" };
        assert_eq!(rows.sql(2).as_str(), "INSERT INTO t VALUES (?,?,?),(?,?,?)");
        let other = Rows { head: "INSERT INTO u", width: 1, tail: " RETURNING a" };
        assert_eq!(other.sql(1).as_str(), "INSERT INTO u VALUES (?) RETURNING a");
        assert_eq!(with_list("a IN (", 3, ")").as_str(), "a IN (?,?,?)");
        assert_eq!(union_all("SELECT #{lock}", "", 2).as_str(), "SELECT 0 UNION ALL SELECT 1");
    }
}
