//! `GET /v1/me`

use super::json;
use crate::http::{
    Problem,
    auth::{Caller, Principal},
    query::NoQuery,
    router::Api,
    shown::{ApiKeyShown, time},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Me<'a> {
    tenant_id: String,
    /// The tenant's name.
    tenant: Option<String>,
    /// The name of the key, person or machine.
    name: &'a str,
    role: &'static str,
    /// What may be done with these credentials: of `read`, `compute`, `publish` and `admin`.
    scopes: Vec<&'static str>,
    /// `api_key` or `access_token`.
    credential: &'static str,
    /// When these credentials end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The client that was given the access token; null for an API key.
    client: Option<&'a str>,
    /// Null for an access token.
    api_key: Option<ApiKeyShown>,
}

/// Who is asking, and what they may do.
#[utoipa::path(get, path = "/v1/me", tag = "Operations", responses((status = 200, body = Me)))]
pub(in crate::http) async fn me(State(api): State<Arc<Api>>, caller: Caller, _: NoQuery) -> Result<Response, Problem> {
    let app = &api.app;
    let (credential, client, api_key) = match caller.principal() {
        Principal::ApiKey(key) => ("api_key", None, Some(ApiKeyShown::new(key))),
        Principal::AccessToken(identity) => ("access_token", identity.client.as_deref(), None),
    };
    let me = Me {
        tenant_id: caller.tenant().to_string(),
        tenant: app.tenant_names.name(&app.store, caller.tenant()).await?,
        name: caller.name(),
        role: caller.role().as_str(),
        scopes: caller.scopes().iter().map(|scope| scope.as_str()).collect(),
        credential,
        expires_at: caller.expires_at().map(time),
        client,
        api_key,
    };
    json(StatusCode::OK, &me)
}
