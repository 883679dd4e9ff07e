//! `GET /v1/api-keys/{id}`

use super::{
    super::{id, json},
    API_KEY,
};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api, shown::ApiKeyShown};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A key of the caller's tenant, without its secret. An admin key is needed.
#[utoipa::path(get, path = "/v1/api-keys/{id}", tag = "Operations", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = ApiKeyShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    let found = api.app.store.api_key(caller.tenant(), id(&text, API_KEY)?).await?;
    json(StatusCode::OK, &ApiKeyShown::new(&found.ok_or_else(|| Problem::not_found(API_KEY))?))
}
