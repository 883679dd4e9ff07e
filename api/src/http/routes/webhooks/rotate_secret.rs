//! `POST /v1/webhooks/{id}/rotate-secret`

use super::{super::no_body, WEBHOOK, secret, shown::SecretShown, webhook_id};
use crate::http::{Problem, auth::Caller, router::Api};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// Gives a webhook a new secret. An admin key is needed.
///
/// For a day deliveries carry two signatures, of the new secret and of the one before, so that the receiver can change
/// over without losing one.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate-secret", tag = "Events", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = SecretShown))
)]
pub(in crate::http) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    no_body(request).await?;
    let rotated = api.store_for(&caller).rotate_webhook_secret(caller.tenant(), webhook_id(&id)?).await?;
    secret(StatusCode::OK, &SecretShown::new(&rotated.ok_or_else(|| Problem::not_found(WEBHOOK))?))
}
