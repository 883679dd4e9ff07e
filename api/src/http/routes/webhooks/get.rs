//! `GET /v1/webhooks/{id}`

use super::{super::json, WEBHOOK, shown::WebhookShown, webhook_id};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A webhook of the caller's tenant, without its secret. An admin key is needed.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "Events", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = WebhookShown)
))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let found = api.app.store.webhook(caller.tenant(), webhook_id(&id)?).await?;
    json(StatusCode::OK, &WebhookShown::new(&found.ok_or_else(|| Problem::not_found(WEBHOOK))?))
}
