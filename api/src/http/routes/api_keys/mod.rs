//! API keys of the caller's tenant, for its administrators.

pub(in crate::http) mod create;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod revoke;

/// What is not found.
const API_KEY: &str = "API key";
