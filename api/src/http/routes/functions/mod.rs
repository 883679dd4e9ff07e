//! Functions that can be called by name, and the types of their ports.

pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod types;
