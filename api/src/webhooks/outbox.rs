//! Where due deliveries come from and where their ends are written: what the store has to do.

use super::{send::Outcome, signature::Secret};
use mecapy_model::TenantId;
use std::{future::Future, sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

/// Deliveries that wait to be made, in the order in which they are due.
pub trait Outbox: Send + Sync + 'static {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes deliveries that are due for `room.lease`, and counts an attempt of each. What is not reported until the
    /// lease ends is due again. Never waits for deliveries to become due.
    ///
    /// An endpoint has at most `room.per_endpoint_max` under way and a tenant `room.per_tenant_max`, those counted that
    /// were claimed before and are neither reported nor expired; what is over is left for later, and what is due after
    /// it is taken. So a bad endpoint delays no other. URLs of single tasks count as one endpoint for each
    /// tenant and origin.
    fn claim(&self, room: Room) -> impl Future<Output = Result<Vec<Due>, Self::Error>> + Send;

    /// Writes down how an attempt ended: its row in the log, what becomes of the delivery, and what it says of the
    /// endpoint. Where another attempt was claimed meanwhile, or it was reported already, nothing changes.
    fn report(&self, report: &Report) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Told when something may be due. A hint: it may be lost.
    fn wakeup(&self) -> Arc<Notify>;
}

/// How much a claim may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Deliveries, at most.
    pub max: usize,
    pub per_endpoint_max: usize,
    pub per_tenant_max: usize,
    pub lease: Duration,
}

/// A delivery that was claimed.
#[derive(Debug, Clone)]
pub struct Due {
    pub delivery: Uuid,
    /// From 1; with `delivery` it names the claim.
    pub attempt: u32,
    pub tenant: TenantId,
    /// `None` where the URL was given with a single task.
    pub endpoint: Option<Uuid>,
    pub url: String,
    /// The endpoint's secret, and beside it the former one while it is being replaced; the tenant's for a single task.
    pub secrets: Vec<Secret>,
    /// `webhook-id`: the same at each attempt, and at each replay.
    pub event: Uuid,
    /// The JSON that is sent: the same bytes at each attempt.
    pub body: Vec<u8>,
    /// How the endpoint was when this was claimed.
    pub health: Health,
}

/// What is known of an endpoint. A delivery that works clears it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// Since when nothing has worked.
    pub failing_since: Option<OffsetDateTime>,
    /// Attempts that failed since.
    pub failures: u32,
}

/// How an attempt ended, and what follows.
#[derive(Debug, Clone)]
pub struct Report {
    pub delivery: Uuid,
    pub attempt: u32,
    pub endpoint: Option<Uuid>,
    pub outcome: Outcome,
    pub next: Next,
    pub effect: Effect,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// Due again after this time from now.
    Retry {
        after: Duration,
    },
    /// Not tried again, unless it is replayed.
    GivenUp,
}

/// What an attempt says of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Its health is cleared.
    Works,
    /// Failing since now, where it was not before; one failure more.
    Fails,
    /// No more deliveries, those that wait included.
    Disable(WhyDisabled),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyDisabled {
    /// It answered 410.
    Gone,
    /// Everything has failed for five days.
    Failing,
}
