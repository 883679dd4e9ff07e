//! `POST /v1/webhooks/task-secret/rotate`

use super::{super::no_body, secret, shown::SecretShown};
use crate::http::{Problem, auth::Caller, router::Api};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// Makes the secret that signs what is sent to the URLs of single tasks, or replaces it. An admin key is needed.
///
/// The tenant has one for all of them. For a day deliveries carry two signatures, of the new secret and of the one
/// before; before the first call nobody knows the secret.
#[utoipa::path(post, path = "/v1/webhooks/task-secret/rotate", tag = "Events", responses(
    (status = 200, body = SecretShown)
))]
pub(in crate::http) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    no_body(request).await?;
    secret(StatusCode::OK, &SecretShown::new(&api.store_for(&caller).rotate_task_secret(caller.tenant()).await?))
}
