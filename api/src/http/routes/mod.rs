//! The endpoints, one a file.

pub(super) mod api_keys;
pub(super) mod audit;
pub(super) mod batches;
pub(super) mod cache;
pub(super) mod compilers;
pub(super) mod events;
pub(super) mod functions;
pub(super) mod health;
pub(super) mod lanes;
pub(super) mod later;
pub(super) mod me;
pub(super) mod metrics;
pub(super) mod modules;
pub(super) mod objects;
pub(super) mod packages;
pub(super) mod preview;
pub(super) mod ready;
pub(super) mod root;
pub(super) mod schedules;
pub(super) mod solvers;
pub(super) mod studies;
pub(super) mod tasks;
pub(super) mod tenants;
pub(super) mod tickets;
pub(super) mod uploads;
pub(super) mod usage;
pub(super) mod webhooks;
pub(super) mod workers;
pub(super) mod workflow_runs;
pub(super) mod workflows;

use super::{
    Problem,
    body::LimitedBody,
    query::{NoQuery, Query},
};
use crate::{
    intake::Rejected,
    json::{Faults, Fields, Kind, Path, Value, check},
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_store::{LIST_LIMIT_MAX, PageRequest};
use serde::Serialize;
use std::str::FromStr;

/// Bytes that a request may send where no body is needed.
const NO_BODY_BYTES_MAX: u64 = 64 << 10;

/// An answer in JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The id in a path; what is no id names nothing.
pub(super) fn id<T: FromStr>(text: &str, what: &'static str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// Cuts what was `found`, asked for with one more than `limit`, to a page; answers where the next one starts, if any.
fn next_cursor<T>(found: &mut Vec<T>, limit: u64, cursor: impl FnOnce(&T) -> String) -> Option<String> {
    let more = found.len() as u64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    found.last().filter(|_| more).map(cursor)
}

/// Rows of a page when the request says nothing.
const PAGE_LIMIT_DEFAULT: u64 = 50;

/// Which page a query asks for, by its fields `limit` and `cursor`.
fn page_of(query: &mut Query) -> Result<PageRequest, Problem> {
    let limit = query.integer("limit", 1..=u64::from(LIST_LIMIT_MAX))?.unwrap_or(PAGE_LIMIT_DEFAULT);
    let limit = u32::try_from(limit).unwrap_or(LIST_LIMIT_MAX);
    Ok(PageRequest { limit, cursor: query.text("cursor").filter(|text| !text.is_empty()) })
}

/// Reads what a client may have sent although nothing was asked for, so that its connection can be used again. Fields
/// of a body or a query are faults: whoever sends one expects it to count.
pub(super) async fn no_body(request: Request) -> Result<(), Problem> {
    NoQuery::of(request.uri())?;
    let body = LimitedBody::of(request, NO_BODY_BYTES_MAX)?.whole().await?;
    no_fields(&body)
}

fn no_fields(body: &[u8]) -> Result<(), Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let value = Value::of(check(body)?);
    let mut faults = Faults::default();
    if value.kind() != Kind::Null
        && let Some(fields) = Fields::open(value, Path::Root, &mut faults)
    {
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults.into_vec())) }
}

/// 503 while the interpreter is being built.
pub(super) fn not_built() -> Problem {
    Rejected::not_built().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_refused() {
        for body in ["", " \r\n", "null", "{}", " { } "] {
            assert!(no_fields(body.as_bytes()).is_ok(), "{body:?}");
        }
        for (body, status, pointers) in [
            (r#"{"seed":5,"a/b":null}"#, 422, vec!["/seed", "/a~1b"]),
            ("[1]", 422, vec![""]),
            ("{", 400, vec![]),
            ("seed=5", 400, vec![]),
        ] {
            let problem = no_fields(body.as_bytes()).unwrap_err();
            let found: Vec<_> = problem.errors().iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!((problem.status().as_u16(), found), (status, pointers), "{body}");
        }
    }
}
