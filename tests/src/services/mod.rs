//! Real services that tests run against.

pub mod oidc;
