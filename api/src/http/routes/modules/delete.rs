//! `DELETE /v1/modules/{module}`

use super::{super::id, MODULE};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::Found;
use std::sync::Arc;

/// Deletes a module. A task that is queued and names it fails when it starts.
#[utoipa::path(delete, path = "/v1/modules/{module}", tag = "Files",
    params(("module" = String, Path, description = "Its SHA-256")),
    responses((status = 204))
)]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.app.store.delete_module(caller.tenant(), id(&text, MODULE)?).await? {
        Found::Yes => Ok(StatusCode::NO_CONTENT),
        Found::No => Err(Problem::not_found(MODULE)),
    }
}
