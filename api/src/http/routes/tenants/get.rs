//! `GET /v1/tenants/{id}`

use super::{super::json, TenantShown, seen};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A tenant: any for operators, their own for a tenant's administrators.
#[utoipa::path(get, path = "/v1/tenants/{id}", tag = "Operations", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = TenantShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    json(StatusCode::OK, &TenantShown::new(&seen(&api, &caller, &text).await?))
}
