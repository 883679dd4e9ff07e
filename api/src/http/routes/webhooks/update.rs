//! `PATCH /v1/webhooks/{id}`

use super::{super::json, WEBHOOK, fields, shown::WebhookShown, webhook_id};
use crate::http::{Problem, auth::Caller, body, query::NoQuery, router::Api, schema::WebhookChangeRequest};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// Changes a webhook's URL, events or state. An admin key is needed.
///
/// Enabling it again forgets that it failed; what ended while it was disabled is not sent. Disabling it ends the
/// deliveries that wait.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", tag = "Events", request_body = WebhookChangeRequest,
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = WebhookShown))
)]
pub(in crate::http) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let id = webhook_id(&id)?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let change = fields::read(&body, caller.tenant(), &api.app.guard).await?;
    let changed = api.store_for(&caller).update_webhook(caller.tenant(), id, change).await?;
    json(StatusCode::OK, &WebhookShown::new(&changed.ok_or_else(|| Problem::not_found(WEBHOOK))?))
}
