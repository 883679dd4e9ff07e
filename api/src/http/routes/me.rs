//! `GET /v1/me`

use super::json;
use crate::http::{Problem, auth::Caller, query::NoQuery, shown::ApiKeyShown};
use axum::{http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Me {
    tenant_id: String,
    role: &'static str,
    api_key: ApiKeyShown,
}

/// Whose key this is and what it may do.
#[utoipa::path(get, path = "/v1/me", tag = "Operations", responses((status = 200, body = Me)))]
pub(in crate::http) async fn me(caller: Caller, _: NoQuery) -> Result<Response, Problem> {
    let me = Me {
        tenant_id: caller.tenant().to_string(),
        role: caller.0.role.as_str(),
        api_key: ApiKeyShown::new(&caller.0),
    };
    json(StatusCode::OK, &me)
}
