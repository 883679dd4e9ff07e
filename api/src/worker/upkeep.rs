//! What goes on beside the runs: heartbeats, cancels, live logs and progress, the sweeper, and the worker's own row.

use super::{AFTER_FAULT, Shared, claims::Live, hold::trusted_for};
use mecapy_store::Beat;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::broadcast::error::RecvError,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

/// Heartbeats in one lease.
const HEARTBEATS_PER_LEASE: u32 = 3;
/// Where others may cancel a task, heartbeats are how a cancel is heard for sure.
const HEARTBEAT_SHARED_MAX: Duration = Duration::from_secs(2);
/// Looks at whether claims are still trusted, in the time that they are.
const LOOKS_PER_HOLD: u32 = 100;
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// How often live logs and progress are written.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// Sweeps in one lease, for tasks whose lease has ended.
const SWEEPS_PER_LEASE: u32 = 2;
/// Between two collections of what nobody refers to any more.
const COLLECT_EVERY: Duration = Duration::from_secs(3_600);
/// Between two looks at all objects by any worker, and how old one is that no row will name any more: that takes minutes
/// at most.
const ORPHANS_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How often a worker asks whether it is time for that: soon enough for servers that are restarted each day.
const ORPHANS_ASKED_EVERY: Duration = Duration::from_secs(3_600);
const ORPHANS_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Extends the leases of what runs; stops what was cancelled or lost.
pub(super) async fn heartbeats(shared: Arc<Shared>) {
    let period = shared.store.lease() / HEARTBEATS_PER_LEASE;
    let period = if shared.store.is_shared() { period.min(HEARTBEAT_SHARED_MAX) } else { period };
    let mut ticks = every(period);
    loop {
        ticks.tick().await;
        extend_leases(&shared, shared.claims.all()).await;
    }
}

/// Looks at the claims whose cancel another process was asked for. A hint stops nothing by itself: anybody may have
/// sent it.
pub(super) async fn cancels(shared: Arc<Shared>) {
    let mut asked = shared.store.cancels();
    loop {
        let claims = match asked.recv().await {
            Ok(task) => shared.claims.of(task),
            Err(RecvError::Lagged(_)) => shared.claims.all(),
            Err(RecvError::Closed) => return,
        };
        extend_leases(&shared, claims).await;
    }
}

/// Stops what may be another worker's: the database was not reached for most of the lease. A request that hangs doesn't
/// hold this up.
pub(super) async fn fence(shared: Arc<Shared>) {
    let Some(trusted_for) = trusted_for(&shared.store) else { return std::future::pending().await };
    let mut ticks = every(trusted_for / LOOKS_PER_HOLD);
    loop {
        ticks.tick().await;
        let mut stopped = 0_u32;
        for live in shared.claims.all() {
            if !live.hold.is_trusted() && !live.cancel.is_cancelled() {
                live.cancel.cancel();
                stopped += 1;
            }
        }
        if stopped > 0 {
            tracing::error!(
                tasks.stopped = stopped,
                "worker.fence: the database was not reached for most of the lease, others may run these tasks now"
            );
        }
    }
}

async fn extend_leases(shared: &Shared, claims: Vec<Live>) {
    let claims: Vec<Live> = claims.into_iter().filter(|live| live.hold.is_trusted()).collect();
    if claims.is_empty() {
        return;
    }
    let asked_at = shared.store.clock().monotonic();
    match shared.store.heartbeat(claims.iter().map(|live| live.claim.clone()).collect()).await {
        Ok(beats) => {
            for (live, (_, beat)) in claims.iter().zip(beats) {
                match beat {
                    Beat::Extended => live.hold.extended(asked_at),
                    Beat::CancelRequested => {
                        live.hold.extended(asked_at);
                        live.cancel.cancel();
                    }
                    Beat::Stale => {
                        live.hold.lose();
                        live.cancel.cancel();
                    }
                }
            }
        }
        Err(error) => tracing::warn!(%error, "worker.heartbeat: the store failed"),
    }
}

/// Says that this worker is there.
pub(super) async fn announce(shared: Arc<Shared>) {
    let mut ticks = every(ANNOUNCE_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = shared.store.announce_worker(shared.row()).await {
            tracing::warn!(%error, "worker.announce: the store failed");
        }
    }
}

/// Writes what running guests said since the last time.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut ticks = every(FOLLOW_EVERY);
    loop {
        ticks.tick().await;
        // All at once, so that they share a commit.
        let mut writes = JoinSet::new();
        for live in shared.claims.all().into_iter().filter(|live| live.follow.has_news() && live.hold.is_trusted()) {
            writes.spawn(write_news(Arc::clone(&shared), live));
        }
        let mut failed = false;
        while let Some(written) = writes.join_next().await {
            failed |= written.unwrap_or_else(|error| {
                tracing::error!(%error, "worker.follow: a write did not end");
                true
            });
        }
        if failed {
            sleep(AFTER_FAULT).await;
        }
    }
}

/// Answers whether that failed; what it was kept for is kept, unless the store will never take it. A text whose commit
/// nobody knows of may come twice.
async fn write_news(shared: Arc<Shared>, live: Live) -> bool {
    let _writing = live.follow.writing().await;
    let pending = live.follow.drain();
    // The task's end may have written it meanwhile.
    if pending.logs.is_empty() && pending.progress.is_none() {
        return false;
    }
    let (logs, progress) = (pending.logs.clone(), pending.progress.clone());
    let Err(error) = shared.store.note(live.claim.clone(), logs, progress).await else { return false };
    tracing::warn!(%error, "worker.follow: the store failed");
    if error.is_retryable() {
        live.follow.put_back(pending);
    }
    true
}

/// Puts back what has lost its lease, and now and then removes what nobody refers to.
pub(super) async fn sweep(shared: Arc<Shared>) {
    let mut ticks = every(shared.store.lease() / SWEEPS_PER_LEASE);
    let mut collected: Option<Instant> = None;
    loop {
        ticks.tick().await;
        // Leases may have run out while this process stood still: what it still runs is not lost.
        extend_leases(&shared, shared.claims.all()).await;
        if let Err(error) = shared.store.requeue_expired().await {
            tracing::warn!(%error, "worker.sweep: the store failed");
        }
        if collected.is_none_or(|at| at.elapsed() >= COLLECT_EVERY) {
            collected = Some(Instant::now());
            if let Err(error) = shared.store.collect_garbage().await {
                tracing::warn!(%error, "worker.collect: the store failed");
            }
        }
    }
}

/// Removes, once a day, objects that no row needs: it lists them all, so not right after the start.
pub(super) async fn sweep_orphans(shared: Arc<Shared>) {
    loop {
        sleep(ORPHANS_ASKED_EVERY).await;
        match shared.store.sweep_orphans_every(ORPHANS_EVERY, ORPHANS_AGE).await {
            Ok(None) => {}
            Ok(Some(swept)) => tracing::info!(objects = swept.objects, bytes = swept.bytes, "worker.orphans: swept"),
            Err(error) => tracing::warn!(%error, "worker.orphans: the store failed"),
        }
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
