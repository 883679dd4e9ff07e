//! `GET /v1/batches`

use super::{
    json,
    shown::{BatchPageShown, BatchShown},
};
use crate::http::{Problem, auth::Caller, query::Query, router::Api};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::{BatchState, StudyId};
use mecapy_store::{BatchFilter, LIST_LIMIT_MAX};
use std::sync::Arc;

/// Batches of a page when the request says nothing.
const LIMIT_DEFAULT: u64 = 50;

/// The caller's batches, newest first.
#[utoipa::path(get, path = "/v1/batches", tag = "Batches",
    params(
        ("state" = Option<BatchState>, Query, description = "Only batches in this state"),
        ("study" = Option<uuid::Uuid>, Query, description = "Only batches of this study"),
        ("limit" = Option<u32>, Query, description = "Batches of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = BatchPageShown))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["state", "study", "limit", "cursor"])?;
    let limit = query.integer("limit", 1..=u64::from(LIST_LIMIT_MAX))?.unwrap_or(LIMIT_DEFAULT);
    let filter = BatchFilter {
        state: query.word::<BatchState>("state")?,
        study: study(&mut query)?,
        limit: u32::try_from(limit).unwrap_or(LIST_LIMIT_MAX),
        cursor: query.text("cursor").filter(|text| !text.is_empty()),
    };
    let page = api.app.store.batches(caller.tenant(), filter).await?;
    let batches = page.batches.iter().map(BatchShown::new).collect();
    json(StatusCode::OK, &BatchPageShown { batches, next_cursor: page.next_cursor.as_deref() })
}

/// An empty text is as good as none.
fn study(query: &mut Query) -> Result<Option<StudyId>, Problem> {
    let Some(text) = query.text("study").filter(|text| !text.is_empty()) else { return Ok(None) };
    let study = text.parse().map_err(|_| Problem::fault("/study", "invalid", "the id of a study is needed here"))?;
    Ok(Some(study))
}
