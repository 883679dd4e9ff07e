//! `GET /v1/api-keys`

use super::super::json;
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api, shown::ApiKeyShown};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All keys of the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ApiKeys {
    api_keys: Vec<ApiKeyShown>,
}

/// The keys of the caller's tenant, without their secrets. An admin key is needed.
#[utoipa::path(get, path = "/v1/api-keys", tag = "Operations", responses((status = 200, body = ApiKeys)))]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    let keys = api.app.store.api_keys(caller.tenant()).await?;
    json(StatusCode::OK, &ApiKeys { api_keys: keys.iter().map(ApiKeyShown::new).collect() })
}
