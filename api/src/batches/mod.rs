//! The items of a batch as rows of a table: those that have ended and those that have not, in their order.
//!
//! Knows the store and the pure tables, and nothing of HTTP.

mod rows;

pub use rows::{PARTS, ROWS_PAGE, RowTexts, Rows};
