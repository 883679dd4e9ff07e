//! `DELETE /v1/uploads/{id}`

use super::{super::id, UPLOAD};
use crate::http::{Problem, auth::Caller, problem::ProblemBody, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::UploadDeleted;
use std::sync::Arc;

/// Deletes an upload that no queued or running task names.
#[utoipa::path(delete, path = "/v1/uploads/{id}", tag = "Files", params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "A task needs it")
))]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.app.store.delete_upload(caller.tenant(), id(&text, UPLOAD)?).await? {
        UploadDeleted::Yes => Ok(StatusCode::NO_CONTENT),
        UploadDeleted::InUse => Err(Problem::conflict("a task that has not ended names this upload")),
        UploadDeleted::Missing => Err(Problem::not_found(UPLOAD)),
    }
}
