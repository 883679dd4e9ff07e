//! WASI modules that users send.

pub(in crate::http) mod create;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
