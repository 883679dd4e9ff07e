//! `POST /v1/webhooks`

use super::{fields, secret, shown::NewWebhookShown};
use crate::http::{
    Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::WebhookRequest,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::Fault;
use mecapy_store::NewWebhook;
use std::sync::Arc;

/// Has the tenant's events sent to a URL. An admin key is needed.
///
/// Deliveries are signed as Standard Webhooks says; the answer shows the secret, once. What fails is tried again, up to
/// eleven times in two days, under the same `webhook-id`. The URL must be https and lead to a public address, now and
/// whenever it is called.
#[utoipa::path(post, path = "/v1/webhooks", tag = "Events", request_body = WebhookRequest, responses(
    (status = 201, body = NewWebhookShown),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer")
))]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let asked = fields::read(&body, caller.tenant(), &api.app.guard).await?;
    let needed = |pointer: &str, missing: bool| {
        missing.then(|| Fault::new(format!("/{pointer}"), "required", format!("the field {pointer:?} is needed")))
    };
    let missing = [needed("url", asked.url.is_none()), needed("events", asked.events.is_none())];
    let mut missing: Vec<Fault> = missing.into_iter().flatten().collect();
    if asked.enabled.is_some() {
        missing.push(Fault::new("/state", "unknown_field", "a new webhook is enabled"));
    }
    let (Some(url), Some(events), true) = (asked.url, asked.events, missing.is_empty()) else {
        return Err(Problem::invalid(missing));
    };
    let new = NewWebhook { tenant: caller.tenant(), url, events };
    let (webhook, new_secret) = api.store_for(&caller).create_webhook(new).await?;
    secret(StatusCode::CREATED, &NewWebhookShown::new(&webhook, &new_secret))
}
