//! `GET /v1/studies`

use super::{StudyShown, json};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, routes::page_of};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Some of the tenant's studies.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StudyPage)]
pub(in crate::http) struct Studies {
    studies: Vec<StudyShown>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// The caller's studies, newest first.
#[utoipa::path(get, path = "/v1/studies", tag = "Studies",
    params(
        ("limit" = Option<u32>, Query, description = "Studies of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Studies))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let page = api.app.store.studies(caller.tenant(), page_of(&mut query)?).await?;
    let studies = page.items.into_iter().map(StudyShown::new).collect();
    json(StatusCode::OK, &Studies { studies, next_cursor: page.next_cursor })
}
