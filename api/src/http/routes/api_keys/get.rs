//! `GET /v1/api-keys/{id}`

use super::{
    super::{id, json},
    API_KEY,
};
use crate::http::{Problem, auth::Caller, router::Api, shown::ApiKeyShown};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::ApiKeyId;
use std::sync::Arc;

/// A key of the caller's tenant, without its secret. An admin key is needed.
#[utoipa::path(get, path = "/v1/api-keys/{id}", tag = "Operations", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = ApiKeyShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    let wanted: ApiKeyId = id(&text, API_KEY)?;
    let keys = api.app.store.api_keys(caller.tenant()).await?;
    let key = keys.iter().find(|key| key.id == wanted).ok_or_else(|| Problem::not_found(API_KEY))?;
    json(StatusCode::OK, &ApiKeyShown::new(key))
}
