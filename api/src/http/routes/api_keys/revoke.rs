//! `DELETE /v1/api-keys/{id}`

use super::{super::id, API_KEY};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::Found;
use std::sync::Arc;

/// Revokes a key at once. An admin key is needed.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "Operations", params(("id" = uuid::Uuid, Path)), responses(
    (status = 204)
))]
pub(in crate::http) async fn revoke(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    caller.must_administer()?;
    match api.store_for(&caller).revoke_api_key(caller.tenant(), id(&text, API_KEY)?).await? {
        Found::Yes => Ok(StatusCode::NO_CONTENT),
        Found::No => Err(Problem::not_found(API_KEY)),
    }
}
