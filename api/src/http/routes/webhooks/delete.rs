//! `DELETE /v1/webhooks/{id}`

use super::{WEBHOOK, webhook_id};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mecapy_store::Found;
use std::sync::Arc;

/// Deletes a webhook with its deliveries: nothing more is sent. An admin key is needed.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "Events", params(("id" = uuid::Uuid, Path)), responses(
    (status = 204)
))]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.store_for(&caller).delete_webhook(caller.tenant(), webhook_id(&id)?).await? {
        Found::Yes => Ok(StatusCode::NO_CONTENT),
        Found::No => Err(Problem::not_found(WEBHOOK)),
    }
}
