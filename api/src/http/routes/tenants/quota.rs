//! `GET /v1/tenants/{id}/quota`

use super::{super::json, QuotaShown, seen};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// What a tenant may have and use, and what it does: any for operators, their own for a tenant's administrators.
#[utoipa::path(get, path = "/v1/tenants/{id}/quota", tag = "Operations", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = QuotaShown)
))]
pub(in crate::http) async fn quota(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    let tenant = seen(&api, &caller, &text).await?;
    json(StatusCode::OK, &QuotaShown::of(&api, &tenant).await?)
}
