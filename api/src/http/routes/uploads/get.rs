//! `GET /v1/uploads/{id}`

use super::{
    super::{id, json},
    UPLOAD,
};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api, shown::UploadShown};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// An upload as it is now.
#[utoipa::path(get, path = "/v1/uploads/{id}", tag = "Files", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = UploadShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let found = api.app.store.upload(caller.tenant(), id(&text, UPLOAD)?).await?;
    let upload = found.ok_or_else(|| Problem::not_found(UPLOAD))?;
    json(StatusCode::OK, &UploadShown::new(&upload))
}
