//! `POST /v1/tenants/{id}/api-keys`

use super::{super::api_keys::create::NewKey, seen};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api, schema::ApiKeyRequest};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use std::sync::Arc;

/// Makes a key of any tenant, such as the first of a new one. For operators.
#[utoipa::path(post, path = "/v1/tenants/{id}/api-keys", tag = "Operations", params(("id" = uuid::Uuid, Path)),
    request_body = ApiKeyRequest, responses((status = 201, body = NewKey))
)]
pub(in crate::http) async fn new_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    let tenant = seen(&api, &caller, &text).await?;
    caller.must_operate(&api.app.store)?;
    NewKey::make(&api, &caller, tenant.id, request).await
}
