//! The store as an outbox: its words for what is due and what became of it.

use super::{
    outbox::{Due, Effect, Health, Next, Outbox, Report, Room, WhyDisabled},
    signature::Secret,
};
use mecapy_model::DeliveryId;
use mecapy_store::{
    DeliveryReport, DeliveryRoom, DisabledReason, DueDelivery, EndpointEffect, NextAttempt, Store, StoreError,
};
use std::sync::Arc;
use tokio::sync::Notify;

/// What every process that shares the store may dispatch.
#[derive(Debug, Clone)]
pub struct StoredOutbox(Store);

impl StoredOutbox {
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

impl Outbox for StoredOutbox {
    type Error = StoreError;

    async fn claim(&self, room: Room) -> Result<Vec<Due>, StoreError> {
        let Room { max, per_endpoint_max, per_tenant_max, lease } = room;
        let claimed = self.0.claim_deliveries(DeliveryRoom { max, per_endpoint_max, per_tenant_max, lease }).await?;
        Ok(claimed.into_iter().map(due).collect())
    }

    async fn report(&self, report: &Report) -> Result<(), StoreError> {
        let Report { delivery, attempt, outcome, next, effect, .. } = report;
        let report = DeliveryReport {
            id: DeliveryId(*delivery),
            attempt: *attempt,
            duration_ms: outcome.duration_ms,
            status: outcome.status,
            error: outcome.error.clone(),
            snippet: outcome.snippet.clone(),
            next: match *next {
                Next::Delivered => NextAttempt::Delivered,
                Next::Retry { after } => NextAttempt::After(after),
                Next::GivenUp => NextAttempt::Never,
            },
            effect: match *effect {
                Effect::Works => EndpointEffect::Works,
                Effect::Fails => EndpointEffect::Fails,
                Effect::Disable(WhyDisabled::Gone) => EndpointEffect::Disable(DisabledReason::Gone),
                Effect::Disable(WhyDisabled::Failing) => EndpointEffect::Disable(DisabledReason::Failing),
            },
        };
        self.0.report_delivery(report).await.map(drop)
    }

    fn wakeup(&self) -> Arc<Notify> {
        self.0.deliveries_wakeup()
    }
}

fn due(claimed: DueDelivery) -> Due {
    Due {
        delivery: claimed.id.0,
        attempt: claimed.attempt,
        tenant: claimed.tenant,
        endpoint: claimed.webhook.map(|webhook| webhook.0),
        url: claimed.url,
        // The store writes them as they are read here.
        secrets: claimed.secrets.iter().filter_map(|secret| Secret::parse(secret.expose()).ok()).collect(),
        event: claimed.event.0,
        body: claimed.payload.into_bytes(),
        health: Health { failing_since: claimed.health.failing_since, failures: claimed.health.failures },
    }
}
