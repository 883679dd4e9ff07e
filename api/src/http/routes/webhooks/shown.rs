//! How webhooks, their secrets and their deliveries are shown.

use crate::http::shown::time;
use mecapy_store::{Delivery, EventType, LastAttempt, NewSecret, Webhook, WebhookState};
use serde::Serialize;
use utoipa::ToSchema;

/// Where events are sent, without the secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(in crate::http) struct WebhookShown {
    id: String,
    url: String,
    /// `task.completed`, `task.failed`, `task.cancelled`, and the same of `batch` and `workflow_run`
    events: Vec<&'static str>,
    /// `enabled` or `disabled`
    state: &'static str,
    /// `asked`; `gone`: it answered 410; `failing`: nothing had worked for five days. Null while it is enabled.
    disabled_reason: Option<&'static str>,
    /// Since when nothing has worked; null where the latest delivery did.
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    /// Attempts that failed since.
    failures: u32,
    /// Until when the secret before the present one signs too.
    #[schema(format = DateTime)]
    former_secret_until: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl WebhookShown {
    pub(super) fn new(webhook: &Webhook) -> Self {
        let (state, disabled_reason) = match webhook.state {
            WebhookState::Enabled => ("enabled", None),
            WebhookState::Disabled(reason) => ("disabled", Some(reason.as_str())),
        };
        Self {
            id: webhook.id.to_string(),
            url: webhook.url.clone(),
            events: webhook.events.iter().copied().map(EventType::as_str).collect(),
            state,
            disabled_reason,
            failing_since: webhook.health.failing_since.map(time),
            failures: webhook.health.failures,
            former_secret_until: webhook.former_secret_until.map(time),
            created_at: time(webhook.created_at),
        }
    }
}

/// A new webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct NewWebhookShown {
    /// What deliveries are signed with: shown here, and never again.
    secret: String,
    #[serde(flatten)]
    webhook: WebhookShown,
}

impl NewWebhookShown {
    pub(super) fn new(webhook: &Webhook, new: &NewSecret) -> Self {
        Self { secret: new.secret.expose().to_owned(), webhook: WebhookShown::new(webhook) }
    }
}

/// A secret that has replaced another.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SecretShown {
    /// What deliveries are signed with: shown here, and never again.
    secret: String,
    /// Until when deliveries are signed with the one before too.
    #[schema(format = DateTime)]
    former_secret_until: Option<String>,
}

impl SecretShown {
    pub(super) fn new(new: &NewSecret) -> Self {
        Self { secret: new.secret.expose().to_owned(), former_secret_until: new.former_until.map(time) }
    }
}

/// One event on its way to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(in crate::http) struct DeliveryShown {
    id: String,
    /// `webhook-id`: the same at each attempt, and at each replay.
    event_id: String,
    #[serde(rename = "type")]
    kind: String,
    url: String,
    /// `pending`, `delivered`, `failed` (tried as often as it may be) or `abandoned` (the webhook was disabled)
    state: &'static str,
    /// Attempts so far.
    attempt: u32,
    /// When the next attempt is due; null unless it is pending.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    /// Null before the first attempt has ended.
    last_attempt: Option<AttemptShown>,
}

/// How the latest attempt ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(in crate::http) struct AttemptShown {
    #[schema(format = DateTime)]
    at: String,
    duration_ms: u64,
    /// The HTTP status; null where there was no answer.
    status: Option<u16>,
    /// Why there was no answer, or what was wrong with it.
    error: Option<String>,
    /// The beginning of the answer's body, escaped.
    body: String,
}

impl DeliveryShown {
    pub(super) fn new(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event.to_string(),
            kind: delivery.kind.clone(),
            url: delivery.url.clone(),
            state: delivery.state.as_str(),
            attempt: delivery.attempt,
            next_attempt_at: delivery.due_at.map(time),
            created_at: time(delivery.created_at),
            delivered_at: delivery.delivered_at.map(time),
            last_attempt: delivery.last.as_ref().map(AttemptShown::new),
        }
    }
}

impl AttemptShown {
    fn new(last: &LastAttempt) -> Self {
        Self {
            at: time(last.at),
            duration_ms: last.duration_ms,
            status: last.status,
            error: last.error.clone(),
            body: last.snippet.clone(),
        }
    }
}
