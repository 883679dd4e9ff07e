//! Files that users send, for tasks to read.

pub(in crate::http) mod complete;
pub(in crate::http) mod create;
pub(in crate::http) mod delete;
mod form;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod receive;

/// What is not found.
const UPLOAD: &str = "upload";
