//! Tasks for sandboxes: each lane is claimed from for as long as it has room.

use super::{
    AFTER_FAULT, Asking, Shared, attempt,
    held::{Place, Registered},
    is_capped,
    items::Sweeps,
    pace::Pace,
};
use crate::programs::Programs;
use mecapy_model::Lane;
use mecapy_runtime::Sandboxes;
use mecapy_store::{ClaimRequest, Claimed, StoreError, fail_point};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until};

/// The longest a lane sleeps without looking at its queue: a hint can be lost.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(15);
/// Until a lane is looked at again that has a due task which a claim did not take: it came due just now, or its tenant
/// runs as many as its quota (or, in a lane with a cap for each tenant, that) allows.
const DUE_AGAIN: Duration = Duration::from_millis(1);
const DUE_AGAIN_CAPPED: Duration = Duration::from_millis(100);
/// The same where each look is a request to a server, whose clock may be another than ours.
const DUE_AGAIN_SHARED: Duration = Duration::from_millis(50);
const DUE_AGAIN_CAPPED_SHARED: Duration = Duration::from_millis(500);
/// How many tasks of one tenant may run in a capped lane where several workers share it, unless a setting says it.
const PER_TENANT_SHARED: u32 = 4;

/// What tasks run in, and what makes programs of them.
pub(super) struct Sandboxed {
    pub(super) sandboxes: Sandboxes,
    pub(super) programs: Arc<Programs>,
    pub(super) sweeps: Sweeps,
}

impl Sandboxed {
    /// Of these lanes together.
    pub(super) fn threads(&self, lanes: &[Lane]) -> usize {
        lanes.iter().map(|lane| self.sandboxes.lane_status(*lane).threads).sum()
    }

    async fn claim(&self, shared: &Shared, lane: Lane, room: usize) -> Result<Vec<Claimed>, StoreError> {
        let mut request = shared.throttled(ClaimRequest::new(lane, u32::try_from(room).unwrap_or(u32::MAX)));
        if is_capped(lane) {
            let usual = || match shared.store.is_shared() {
                true => PER_TENANT_SHARED,
                false => per_tenant_max(self.sandboxes.lane_status(lane).threads),
            };
            request.running_per_tenant_max = Some(request.running_per_tenant_max.unwrap_or_else(usual));
        }
        shared.store.claim(request).await
    }
}

/// Claims from one lane for as long as there is room.
pub(super) async fn serve(shared: Arc<Shared>, sandboxed: Arc<Sandboxed>, lane: Lane, pace: Arc<Pace>) {
    let wakeup = shared.store.lane_wakeup(lane);
    while !shared.draining.load(Ordering::Acquire) {
        let ended = shared.changed.notified();
        if pace.room() == 0 {
            ended.await;
            continue;
        }
        match claim_some(&shared, &sandboxed, lane, &pace).await {
            Ok(1..) => {}
            Ok(0) => {
                let until = next_look(&shared, lane).await;
                tokio::select! {
                    () = wakeup.notified() => {}
                    () = sleep_until(until) => {}
                    () = shared.drain_begins() => {}
                }
            }
            Err(error) => {
                tracing::error!(%lane, %error, "worker.claim: the store failed");
                sleep_until(Instant::now() + AFTER_FAULT).await;
            }
        }
    }
}

/// Claims and starts what may start; answers how many.
async fn claim_some(
    shared: &Arc<Shared>,
    sandboxed: &Arc<Sandboxed>,
    lane: Lane,
    pace: &Arc<Pace>,
) -> Result<usize, StoreError> {
    let _asking = Asking::begin(shared);
    // A drain that began before doesn't wait for this; one that begins now does, so that no claim is dropped unseen.
    if shared.draining.load(Ordering::SeqCst) {
        return Ok(0);
    }
    let asked_at = shared.store.clock().monotonic();
    let claimed = sandboxed.claim(shared, lane, pace.room()).await?;
    if !claimed.is_empty() {
        fail_point("worker.after_claim");
    }
    let count = claimed.len();
    for claimed in claimed {
        let place = Place::take(shared, pace);
        let registered = Registered::new(shared, &claimed, asked_at);
        tokio::spawn(attempt::carry_out(Arc::clone(sandboxed), claimed, registered, place));
    }
    Ok(count)
}

/// When the lane has to be looked at again although nobody calls: at the next task that is due.
async fn next_look(shared: &Shared, lane: Lane) -> Instant {
    look_again(shared, lane, shared.store.next_due(lane).await.ok().flatten())
}

/// When a lane has to be looked at again whose next task is due then.
pub(super) fn look_again(shared: &Shared, lane: Lane, due: Option<OffsetDateTime>) -> Instant {
    let soonest = match (is_capped(lane) || shared.store.has_running_quotas(), shared.store.is_shared()) {
        (false, false) => DUE_AGAIN,
        (true, false) => DUE_AGAIN_CAPPED,
        (false, true) => DUE_AGAIN_SHARED,
        (true, true) => DUE_AGAIN_CAPPED_SHARED,
    };
    let wait = due
        .map_or(IDLE_MAX, |at| Duration::try_from(at - shared.store.now()).unwrap_or(soonest).clamp(soonest, IDLE_MAX));
    Instant::now() + wait
}

/// How many tasks of one tenant may run at once in a capped lane with so many threads: half of them, rounded up.
fn per_tenant_max(threads: usize) -> u32 {
    u32::try_from(threads.div_ceil(2).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_takes_half_of_a_capped_lane_and_one_thread_at_least() {
        assert_eq!([0, 1, 2, 3, 4, 9].map(per_tenant_max), [1, 1, 1, 2, 2, 5]);
    }
}
