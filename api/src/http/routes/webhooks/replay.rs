//! `POST /v1/webhooks/{id}/deliveries/{delivery}/replay`

use super::{
    super::{id, no_body},
    DELIVERY, sent,
    shown::DeliveryShown,
    webhook_id,
};
use crate::http::{Problem, auth::Caller, router::Api};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use std::sync::Arc;

/// Sends an event once more: a new delivery under the same `webhook-id` and with the same body. An admin key is needed.
#[utoipa::path(post, path = "/v1/webhooks/{id}/deliveries/{delivery}/replay", tag = "Events",
    params(("id" = uuid::Uuid, Path), ("delivery" = uuid::Uuid, Path)),
    responses(
        (status = 202, body = DeliveryShown),
        (status = 409, description = "The webhook is disabled")
    )
)]
pub(in crate::http) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((webhook, delivery)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    no_body(request).await?;
    let (webhook, delivery) = (webhook_id(&webhook)?, id(&delivery, DELIVERY)?);
    sent(api.app.store.replay_delivery(caller.tenant(), webhook, delivery).await?, DELIVERY)
}
