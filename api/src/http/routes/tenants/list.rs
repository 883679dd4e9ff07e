//! `GET /v1/tenants`

use super::{super::json, TenantShown};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All tenants, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Tenants {
    tenants: Vec<TenantShown>,
}

/// All tenants. For operators.
#[utoipa::path(get, path = "/v1/tenants", tag = "Operations", responses((status = 200, body = Tenants)))]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
) -> Result<Response, Problem> {
    caller.must_operate(&api.app.store)?;
    let tenants = api.app.store.tenants().await?;
    json(StatusCode::OK, &Tenants { tenants: tenants.iter().map(TenantShown::new).collect() })
}
