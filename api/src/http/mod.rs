//! The REST API: routes, credentials, bodies, errors.
//!
//! Never names the worker: what a request can reach is in [`App`](crate::app::App).

mod auth;
mod body;
mod compat;
mod download;
mod drawing;
mod observe;
mod openapi;
mod problem;
mod query;
mod rate;
mod router;
mod routes;
pub mod schema;
mod shown;
mod sse;
mod streams;

pub use problem::Problem;
pub use router::{operations, router};

#[cfg(test)]
mod tests;
