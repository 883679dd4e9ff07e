//! What an attempt holds, given back however it ends: a panic loses no place and leaves no claim behind.

use super::{
    Shared,
    claims::Live,
    hold::{Hold, trusted_for},
    pace::Pace,
};
use mecapy_store::Claimed;
use std::{sync::Arc, time::Duration};

/// One of a lane's places.
pub(super) struct Place {
    shared: Arc<Shared>,
    pace: Arc<Pace>,
}

/// A claim that counts as this worker's: its lease is extended and its cancel is heard. Without it the lease ends and
/// the task is queued again.
pub(super) struct Registered {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Live,
}

impl Place {
    pub(super) fn take(shared: &Arc<Shared>, pace: &Arc<Pace>) -> Self {
        pace.enter();
        Self { shared: Arc::clone(shared), pace: Arc::clone(pace) }
    }

    /// The task took this long in its sandbox.
    pub(super) fn took(&self, duration: Duration) {
        self.pace.took(duration);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pace.leave();
        self.shared.room_made();
    }
}

impl Registered {
    /// `asked_at`: when the claim was asked for, on the monotonic clock.
    pub(super) fn new(shared: &Arc<Shared>, claimed: &Claimed, asked_at: Duration) -> Self {
        let hold = Hold::new(Arc::clone(shared.store.clock()), trusted_for(&shared.store), asked_at);
        let live = Live::new(claimed.claim.clone(), hold, shared.means.follow());
        shared.claims.insert(live.clone());
        if claimed.task.cancel_requested {
            live.cancel.cancel();
        }
        Self { shared: Arc::clone(shared), live }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.claims.remove(&self.live.claim);
        self.shared.room_made();
    }
}
