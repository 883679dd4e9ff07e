//! `GET /v1/modules`

use super::super::{json, next_cursor};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, shown::ModuleShown};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::Digest;
use serde::Serialize;
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// Modules, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Modules {
    modules: Vec<ModuleShown>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// The caller's modules, newest first.
#[utoipa::path(get, path = "/v1/modules", tag = "Files",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Modules))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let after = query.cursor(read_cursor)?;
    // One more than asked for says whether there is another page.
    let wanted = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut found = api.app.store.modules_after(caller.tenant(), after, wanted).await?;
    let next_cursor = next_cursor(&mut found, limit, |module| cursor(module.created_at, module.digest));
    json(StatusCode::OK, &Modules { modules: found.into_iter().map(ModuleShown::new).collect(), next_cursor })
}

/// A module's place in the list: when it was made, to the millisecond as it is stored, and its digest.
fn cursor(made_at: OffsetDateTime, digest: Digest) -> String {
    format!("{}-{digest}", made_at.unix_timestamp_nanos() / 1_000_000)
}

fn read_cursor(text: &str) -> Option<(OffsetDateTime, Digest)> {
    let (made_ms, digest) = text.split_once('-')?;
    let made_at = OffsetDateTime::from_unix_timestamp_nanos(made_ms.parse::<i128>().ok()?.checked_mul(1_000_000)?);
    Some((made_at.ok()?, digest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_cursor_names_a_place() {
        let place = (datetime!(2026-01-02 03:04:05.678 UTC), Digest([0x0a; 32]));
        assert_eq!(read_cursor(&cursor(place.0, place.1)), Some(place));
        for text in ["", "1", "x-0a", "170141183460469231731687303715884105727-0a", "1-0a"] {
            assert_eq!(read_cursor(text), None, "{text}");
        }
    }
}
