//! `POST /v1/webhooks/{id}/test`

use super::{super::no_body, WEBHOOK, sent, shown::DeliveryShown, webhook_id};
use crate::http::{Problem, auth::Caller, router::Api};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use std::sync::Arc;

/// Sends a webhook an event of the type `ping`, whatever events it asked for. An admin key is needed.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "Events", params(("id" = uuid::Uuid, Path)), responses(
    (status = 202, body = DeliveryShown),
    (status = 409, description = "The webhook is disabled")
))]
pub(in crate::http) async fn test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    no_body(request).await?;
    sent(api.app.store.ping_webhook(caller.tenant(), webhook_id(&id)?).await?, WEBHOOK)
}
