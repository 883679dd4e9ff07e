//! `GET /v1/uploads`

use super::super::json;
use crate::http::{Problem, auth::Caller, query::Query, router::Api, shown::UploadShown};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// Uploads, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Uploads {
    uploads: Vec<UploadShown>,
}

/// The caller's uploads, newest first.
#[utoipa::path(get, path = "/v1/uploads", tag = "Files",
    params(("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent")),
    responses((status = 200, body = Uploads))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let limit = Query::of(&uri, &["limit"])?.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let found = api.app.store.uploads(caller.tenant(), u32::try_from(limit).unwrap_or(u32::MAX)).await?;
    json(StatusCode::OK, &Uploads { uploads: found.iter().map(UploadShown::new).collect() })
}
