//! `GET /v1/webhooks`

use super::{super::json, shown::WebhookShown};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All webhooks of the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Webhooks {
    webhooks: Vec<WebhookShown>,
}

/// The webhooks of the caller's tenant, without their secrets. An admin key is needed.
#[utoipa::path(get, path = "/v1/webhooks", tag = "Events", responses((status = 200, body = Webhooks)))]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
) -> Result<Response, Problem> {
    let webhooks = api.app.store.webhooks(caller.tenant()).await?;
    json(StatusCode::OK, &Webhooks { webhooks: webhooks.iter().map(WebhookShown::new).collect() })
}
