//! Claims tasks for containers, for as long as there is room for the next and the engine answers.

use super::{Containers, attempt::Begin, start};
use crate::worker::{
    AFTER_FAULT, Asking, Shared,
    lanes::{IDLE_MAX, look_again},
};
use mecapy_model::Lane;
use mecapy_store::{ClaimRequest, Claims, StoreError, fail_point};
use std::sync::{Arc, atomic::Ordering};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// Tasks that one request takes at most.
const CLAIMED_AT_ONCE_MAX: u32 = 64;

/// Claims for as long as the worker does not drain.
pub(in crate::worker) async fn serve(shared: Arc<Shared>, containers: Arc<Containers>) {
    let wakeups =
        Lane::ALL.map(|lane| shared.config.lanes.contains(&lane).then(|| shared.store.container_wakeup(lane)));
    while !shared.draining.load(Ordering::Acquire) {
        if !containers.link.answers().await {
            tokio::select! {
                _ = containers.link.until_there() => {}
                () = shared.drain_begins() => {}
            }
            continue;
        }
        // Room that is made from here on is noticed.
        let changed = shared.changed.notified();
        match claim_some(&shared, &containers).await {
            Ok(1..) => {}
            Ok(0) => {
                let until = next_look(&shared, &containers).await;
                tokio::select! {
                    () = any(&wakeups) => {}
                    () = changed => {}
                    () = sleep_until(until) => {}
                    () = shared.drain_begins() => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "worker.claim: the store failed");
                sleep(AFTER_FAULT).await;
            }
        }
    }
}

/// Claims and starts what may start; answers how many.
async fn claim_some(shared: &Arc<Shared>, containers: &Arc<Containers>) -> Result<usize, StoreError> {
    let _asking = Asking::begin(shared);
    // A drain that began before doesn't wait for this; one that begins now does, so that no claim is dropped unseen.
    if shared.draining.load(Ordering::SeqCst) {
        return Ok(0);
    }
    let mut count = 0;
    for lane in lanes(shared, containers) {
        let asked_at = shared.store.clock().monotonic();
        let request = ClaimRequest::containers(lane, CLAIMED_AT_ONCE_MAX, containers.total(), containers.free());
        let Claims { claimed, waits_for } = shared.store.claim_or_wait(shared.throttled(request)).await?;
        if !claimed.is_empty() {
            fail_point("worker.after_claim");
        }
        count += claimed.len();
        for claimed in claimed {
            start(shared, containers, claimed, asked_at, Begin::Anew);
        }
        containers.held().waiting = waits_for.map(|_| lane);
        if waits_for.is_some() {
            break;
        }
    }
    Ok(count)
}

/// The lanes to ask, in their order. Where a task waits for room, its lane is asked first, and those after it only once
/// that task has gone.
fn lanes(shared: &Shared, containers: &Containers) -> Vec<Lane> {
    let mut lanes = shared.config.lanes.clone();
    let waiting = containers.held().waiting;
    lanes.sort_by_key(|lane| Some(*lane) != waiting);
    lanes
}

/// When to look again although nobody calls: at the next task that is due. One that waits for room is looked at when some
/// is made.
async fn next_look(shared: &Shared, containers: &Containers) -> Instant {
    let mut soonest = Instant::now() + IDLE_MAX;
    if containers.held().waiting.is_some() {
        return soonest;
    }
    for lane in shared.config.lanes.iter().copied() {
        let due = shared.store.next_container_due(lane, containers.total()).await.ok().flatten();
        soonest = soonest.min(look_again(shared, lane, due));
    }
    soonest
}

/// Answers when one of the lanes that are served holds something new.
async fn any([first, second, third]: &[Option<Arc<Notify>>; 3]) {
    async fn one(wakeup: Option<&Arc<Notify>>) {
        match wakeup {
            Some(wakeup) => wakeup.notified().await,
            None => std::future::pending().await,
        }
    }
    tokio::select! {
        () = one(first.as_ref()) => {}
        () = one(second.as_ref()) => {}
        () = one(third.as_ref()) => {}
    }
}
