//! WASI modules that users send.

pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod get;
pub(in crate::http) mod list;

/// What is not found.
const MODULE: &str = "module";
