//! What goes on beside the runs: heartbeats, live logs and progress, and the sweeper.

use super::{Shared, claims::Live};
use mecapy_store::{Beat, ClaimRef};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// A third of the lease.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// How often live logs and progress are written.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// Sweeps between two collections of what nobody refers to any more: an hour.
const SWEEPS_PER_COLLECTION: u32 = 240;

/// Extends the leases of what runs; stops what was cancelled or lost.
pub(super) async fn heartbeats(shared: Arc<Shared>) {
    let mut ticks = every(HEARTBEAT_EVERY);
    loop {
        ticks.tick().await;
        extend_leases(&shared).await;
    }
}

async fn extend_leases(shared: &Shared) {
    let claims: Vec<ClaimRef> = shared.claims.all().into_iter().map(|live| live.claim).collect();
    if claims.is_empty() {
        return;
    }
    match shared.store.heartbeat(claims.clone()).await {
        Ok(beats) => {
            for (claim, (_, beat)) in claims.iter().zip(beats) {
                if !matches!(beat, Beat::Extended) {
                    shared.claims.stop(claim);
                }
            }
        }
        Err(error) => tracing::warn!(%error, "worker.heartbeat: the store failed"),
    }
}

/// Writes what running guests said since the last time.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut ticks = every(FOLLOW_EVERY);
    loop {
        ticks.tick().await;
        // All at once, so that they share a commit.
        let mut writes = JoinSet::new();
        for live in shared.claims.all().into_iter().filter(|live| live.follow.has_news()) {
            writes.spawn(write_news(Arc::clone(&shared), live));
        }
        while let Some(written) = writes.join_next().await {
            if let Err(error) = written {
                tracing::error!(%error, "worker.follow: a write did not end");
            }
        }
    }
}

async fn write_news(shared: Arc<Shared>, live: Live) {
    let _writing = live.follow.writing().await;
    let pending = live.follow.drain();
    // The task's end may have written it meanwhile.
    if pending.logs.is_empty() && pending.progress.is_none() {
        return;
    }
    if let Err(error) = shared.store.note(live.claim.clone(), pending.logs, pending.progress).await {
        tracing::warn!(%error, "worker.follow: the store failed");
    }
}

/// Puts back what has lost its lease, and now and then removes what nobody refers to.
pub(super) async fn sweep(shared: Arc<Shared>) {
    let mut ticks = every(SWEEP_EVERY);
    let mut sweeps: u32 = 0;
    loop {
        ticks.tick().await;
        // Leases may have run out while this process stood still: what it still runs is not lost.
        extend_leases(&shared).await;
        if let Err(error) = shared.store.requeue_expired().await {
            tracing::warn!(%error, "worker.sweep: the store failed");
        }
        if sweeps.is_multiple_of(SWEEPS_PER_COLLECTION)
            && let Err(error) = shared.store.collect_garbage().await
        {
            tracing::warn!(%error, "worker.collect: the store failed");
        }
        sweeps = sweeps.wrapping_add(1);
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
