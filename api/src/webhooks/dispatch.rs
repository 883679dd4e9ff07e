//! The loop that carries out deliveries: claims what is due, sends, reports.
//!
//! Knows no table: the [`Outbox`] says what is due. Each delivery is a task of its own, and an endpoint or a tenant has
//! a few at once, so that a slow endpoint delays its own deliveries and no others.

use super::{
    outbox::{Due, Outbox, Report, Room},
    schedule,
    send::Sender,
};
use mecapy_store::{Clock, fail_point};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Deliveries under way in this process. One of a silent endpoint lasts 10 s; the others need places beside many such.
const DELIVERIES_MAX: usize = 256;
/// Of one tenant, and to one endpoint.
const PER_TENANT_MAX: usize = 32;
const PER_ENDPOINT_MAX: usize = 2;
/// Longer than a delivery and its report take.
const LEASE: Duration = Duration::from_secs(60);
/// The longest that the outbox is not looked at: a hint can be lost, and retries become due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Wait after the outbox failed.
const AFTER_FAULT: Duration = Duration::from_millis(500);
/// Tries to write a report; after that the lease ends, and the event is delivered once more.
const REPORT_TRIES_MAX: u32 = 10;

/// Carries out deliveries until it is drained.
pub struct Dispatcher {
    /// Nothing more is claimed.
    draining: CancellationToken,
    supervisor: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// What a delivery needs.
struct Shared<O> {
    outbox: O,
    sender: Sender,
    clock: Arc<dyn Clock>,
    draining: CancellationToken,
}

impl Dispatcher {
    /// Starts the loop. Must be called in a Tokio runtime.
    pub fn start<O: Outbox>(outbox: O, sender: Sender, clock: Arc<dyn Clock>) -> Self {
        let draining = CancellationToken::new();
        let shared = Arc::new(Shared { outbox, sender, clock, draining: draining.clone() });
        Self { draining, supervisor: tokio::sync::Mutex::new(Some(tokio::spawn(supervise(shared)))) }
    }

    /// Claims nothing more and waits for what is under way. What isn't done in time is dropped: its lease ends, and it
    /// is delivered by whoever claims it then.
    pub async fn drain(&self, at_most: Duration) {
        self.draining.cancel();
        if let Some(mut supervisor) = self.supervisor.lock().await.take()
            && timeout(at_most, &mut supervisor).await.is_err()
        {
            supervisor.abort();
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.draining.cancel();
    }
}

/// Keeps the loop going: one that fails is started again.
async fn supervise<O: Outbox>(shared: Arc<Shared<O>>) {
    loop {
        // A set of one, so that the loop ends with its supervisor.
        let mut one = JoinSet::new();
        one.spawn(dispatch(Arc::clone(&shared)));
        match one.join_next().await {
            Some(Err(error)) => tracing::error!(%error, "webhook.dispatch: failed, started again"),
            _ => return,
        }
        sleep(AFTER_FAULT).await;
    }
}

async fn dispatch<O: Outbox>(shared: Arc<Shared<O>>) {
    let wakeup = shared.outbox.wakeup();
    let mut under_way = JoinSet::new();
    while !shared.draining.is_cancelled() {
        // Before the claim, so that no hint falls between it and the wait.
        let told = wakeup.notified();
        let room = DELIVERIES_MAX.saturating_sub(under_way.len());
        if room > 0 {
            match shared.outbox.claim(room_of(room)).await {
                Ok(claimed) => claimed.into_iter().for_each(|due| {
                    under_way.spawn(carry_out(Arc::clone(&shared), due));
                }),
                Err(error) => {
                    tracing::warn!(%error, "webhook.claim: the outbox failed");
                    sleep(AFTER_FAULT).await;
                }
            }
        }
        tokio::select! {
            () = told => {}
            // Its endpoint has room again.
            Some(ended) = under_way.join_next() => note(ended),
            () = sleep(LOOK_EVERY) => {}
            () = shared.draining.cancelled() => {}
        }
        while let Some(ended) = under_way.try_join_next() {
            note(ended);
        }
    }
    while let Some(ended) = under_way.join_next().await {
        note(ended);
    }
}

fn room_of(max: usize) -> Room {
    Room { max, per_endpoint_max: PER_ENDPOINT_MAX, per_tenant_max: PER_TENANT_MAX, lease: LEASE }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "webhook.deliver: a delivery did not end, its lease will");
    }
}

async fn carry_out<O: Outbox>(shared: Arc<Shared<O>>, due: Due) {
    let outcome = shared.sender.send(&due, shared.clock.now()).await;
    fail_point("webhook.after_post");
    tracing::debug!(
        webhook.tenant = %due.tenant,
        webhook.delivery = %due.delivery,
        webhook.attempt = due.attempt,
        webhook.status = outcome.status,
        webhook.duration_ms = outcome.duration_ms,
        webhook.error = outcome.error,
        "webhook.deliver: an attempt ended"
    );
    let mut random = [0; 8];
    shared.clock.fill_random(&mut random);
    let report = Report {
        delivery: due.delivery,
        attempt: due.attempt,
        endpoint: due.endpoint,
        next: schedule::next(due.attempt, outcome.verdict, u64::from_le_bytes(random)),
        effect: schedule::effect(due.health, outcome.verdict, shared.clock.now()),
        outcome,
    };
    for _ in 0..REPORT_TRIES_MAX {
        match shared.outbox.report(&report).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, webhook.delivery = %report.delivery, "webhook.report: the outbox failed")
            }
        }
        sleep(AFTER_FAULT).await;
    }
}
