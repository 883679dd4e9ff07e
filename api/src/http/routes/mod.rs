//! The endpoints, one a file.

pub(super) mod api_keys;
pub(super) mod health;
pub(super) mod lanes;
pub(super) mod later;
pub(super) mod me;
pub(super) mod metrics;
pub(super) mod modules;
pub(super) mod objects;
pub(super) mod preview;
pub(super) mod ready;
pub(super) mod root;
pub(super) mod tasks;
pub(super) mod uploads;
pub(super) mod workers;

use super::{Problem, body::LimitedBody};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use std::{str::FromStr, time::Duration};

/// Bytes that a request may send where no body is needed.
const NO_BODY_BYTES_MAX: u64 = 64 << 10;
/// What a caller is told while the interpreter is being built.
const RETRY_AFTER_BUILD: Duration = Duration::from_secs(10);

/// An answer in JSON.
fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The id in a path; what is no id names nothing.
fn id<T: FromStr>(text: &str, what: &'static str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// Reads what a client may have sent although none was asked for, so that its connection can be used again.
async fn no_body(request: Request) -> Result<(), Problem> {
    LimitedBody::of(request, NO_BODY_BYTES_MAX)?.whole().await?;
    Ok(())
}

/// 503 while the interpreter is being built.
fn not_built() -> Problem {
    Problem::not_ready("the Python interpreter is being built: try again in a moment", RETRY_AFTER_BUILD)
}
