//! `PUT /v1/objects/{key}`

use super::granted;
use crate::http::{Problem, body::LimitedBody, problem::ProblemBody, router::Api};
use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use mecapy_store::Method;
use std::sync::Arc;

/// The bytes of an upload, from whoever holds its signed URL; once.
#[utoipa::path(put, path = "/v1/objects/{*key}", tag = "Files", security(()),
    params(("key" = String, Path, description = "As in a signed URL, with its query")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "Not signed so, or no longer"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "The file has arrived already")
    )
)]
pub(in crate::http) async fn put(State(api): State<Arc<Api>>, request: Request) -> Result<StatusCode, Problem> {
    let store = &api.app.store;
    let grant = granted(store.signer(), Method::Put, request.uri(), store.clock().now())?;
    let bytes_max = grant.bytes_max.unwrap_or(api.app.limits.upload_bytes_max);
    let mut body = LimitedBody::of(request, bytes_max)?;
    let mut upload = store.receive_upload(&grant.key).await?;
    while let Some(bytes) = body.next().await? {
        upload.write(&bytes).await?;
    }
    upload.finish().await?;
    Ok(StatusCode::NO_CONTENT)
}
