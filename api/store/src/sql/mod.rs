//! The queries' layer: one code for SQLite and PostgreSQL. The texts keep to what both understand where they can.

mod connection;
mod lent;
mod query;
mod rows;
mod schema;
mod session;

pub(crate) use connection::{Conn, Dialect, Executor, Opening, Reader, Readers};
pub(crate) use query::{Query, Row, query};
pub(crate) use rows::{Rows, pieces, script, union_all, with_list};
pub use schema::SchemaState;
pub(crate) use schema::{grant_to, migrate};

#[cfg(test)]
mod tests;
