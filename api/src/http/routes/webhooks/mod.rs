//! Webhooks of the caller's tenant, for its administrators.

pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod deliveries;
mod fields;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod replay;
pub(in crate::http) mod rotate_secret;
mod shown;
pub(in crate::http) mod task_secret;
pub(in crate::http) mod test;
pub(in crate::http) mod update;

use super::{id, json};
use crate::http::Problem;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_model::WebhookId;
use mecapy_store::Replay;
use serde::Serialize;
use shown::DeliveryShown;

/// What is not found.
const WEBHOOK: &str = "webhook";
const DELIVERY: &str = "delivery";

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    id(text, WEBHOOK)
}

/// An answer that holds a secret.
fn secret<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Problem> {
    let mut response = json(status, value)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Answers what became of a request to send something; `what` is not found where there is nothing to send.
fn sent(replay: Replay, what: &'static str) -> Result<Response, Problem> {
    match replay {
        Replay::Made(delivery) => json(StatusCode::ACCEPTED, &DeliveryShown::new(&delivery)),
        Replay::Disabled => Err(Problem::conflict("the webhook is disabled: enable it first")),
        Replay::Missing => Err(Problem::not_found(what)),
    }
}
