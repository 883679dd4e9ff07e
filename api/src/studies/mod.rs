//! Studies: the rows of all that belongs to one engineering question, and two of them side by side.
//!
//! Knows the store and the pure tables, and nothing of HTTP.

mod case;
mod compare;
mod rows;

pub use case::{Case, CaseName};
pub use compare::{Comparison, FieldCompared, FieldStatus, compare};
pub use rows::{PARTS, RowTexts, Rows};

use serde::Serialize;

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
