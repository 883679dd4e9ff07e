//! `POST /v1/uploads/{id}/complete`

use super::{
    super::{id, json, no_body},
    UPLOAD,
};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, router::Api, shown::UploadShown};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// Says that a file was PUT whole; tasks can read it from now on.
#[utoipa::path(post, path = "/v1/uploads/{id}/complete", tag = "Files", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = UploadShown),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "The file has not arrived")
))]
pub(in crate::http) async fn complete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let upload = id(&text, UPLOAD)?;
    no_body(request).await?;
    let upload = api.app.store.complete_upload(caller.tenant(), upload).await?;
    json(StatusCode::OK, &UploadShown::new(&upload))
}
