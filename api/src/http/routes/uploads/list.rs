//! `GET /v1/uploads`

use super::super::{json, next_cursor};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, shown::UploadShown};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::UploadId;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// Uploads, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Uploads {
    uploads: Vec<UploadShown>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// The caller's uploads, newest first.
#[utoipa::path(get, path = "/v1/uploads", tag = "Files",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Uploads))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let after = query.cursor(|text| text.parse::<UploadId>().ok())?;
    // One more than asked for says whether there is another page.
    let wanted = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut found = api.app.store.uploads_after(caller.tenant(), after, wanted).await?;
    let next_cursor = next_cursor(&mut found, limit, |upload| upload.id.to_string());
    json(StatusCode::OK, &Uploads { uploads: found.iter().map(UploadShown::new).collect(), next_cursor })
}
