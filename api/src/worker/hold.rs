//! How long a worker may trust a claim without a word from the database.
//!
//! Other processes may take a task over once its lease has ended. A worker that can't reach the database, or stood
//! still, doesn't hear of that: so it stops trusting the claim itself, before the lease ends, and then writes nothing.

use mecapy_store::{Clock, Store};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The part of the lease, in sixths, after which nothing is trusted: the rest is for stopping.
const TRUSTED_SIXTHS: u32 = 5;

/// One claim's lease, as this process knows it.
#[derive(Debug)]
pub(super) struct Hold {
    clock: Arc<dyn Clock>,
    /// `None`: no other process could take the task over.
    trusted_for: Option<Duration>,
    /// When the last extension was asked for, milliseconds on the monotonic clock: the lease ends no earlier than a
    /// lease's length after that.
    asked_ms: AtomicU64,
    lost: AtomicBool,
}

/// How long a claim of this store is trusted after it was extended; `None` where one process has them all.
pub(super) fn trusted_for(store: &Store) -> Option<Duration> {
    store.is_shared().then(|| store.lease() * TRUSTED_SIXTHS / 6)
}

impl Hold {
    /// A claim that was asked for at a time of the monotonic clock.
    pub(super) fn new(clock: Arc<dyn Clock>, trusted_for: Option<Duration>, asked_at: Duration) -> Self {
        Self { clock, trusted_for, asked_ms: AtomicU64::new(millis(asked_at)), lost: AtomicBool::new(false) }
    }

    /// The lease was extended, by a request that was sent at this time of the monotonic clock.
    pub(super) fn extended(&self, asked_at: Duration) {
        self.asked_ms.fetch_max(millis(asked_at), Ordering::AcqRel);
    }

    /// The claim is somebody else's or nobody's.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Whether what is written for the claim may still count. Once it may not, it never does again.
    pub(super) fn is_trusted(&self) -> bool {
        if self.lost.load(Ordering::Acquire) {
            return false;
        }
        let Some(trusted_for) = self.trusted_for else { return true };
        let age = self.clock.monotonic().saturating_sub(Duration::from_millis(self.asked_ms.load(Ordering::Acquire)));
        if age >= trusted_for {
            self.lose();
            return false;
        }
        true
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_store::ManualClock;
    use time::OffsetDateTime;

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH, 1))
    }

    #[test]
    fn a_claim_is_trusted_until_shortly_before_its_lease_may_have_ended() {
        let clock = clock();
        let hold = Hold::new(clock.clone(), Some(Duration::from_secs(25)), clock.monotonic());
        clock.advance(Duration::from_secs(24));
        assert!(hold.is_trusted());
        hold.extended(clock.monotonic());
        clock.advance(Duration::from_secs(24));
        assert!(hold.is_trusted());
        clock.advance(Duration::from_secs(1));
        assert!(!hold.is_trusted());
    }

    /// F2: a process that stood still past its lease trusts nothing, whatever arrives afterwards.
    #[test]
    fn an_answer_that_comes_too_late_revives_nothing() {
        let clock = clock();
        let hold = Hold::new(clock.clone(), Some(Duration::from_secs(25)), clock.monotonic());
        let asked_at = clock.monotonic();
        clock.advance(Duration::from_secs(60));
        hold.extended(asked_at);
        assert!(!hold.is_trusted());
        hold.extended(clock.monotonic());
        assert!(!hold.is_trusted());
    }

    #[test]
    fn where_one_process_has_all_claims_only_the_database_takes_one_away() {
        let clock = clock();
        let hold = Hold::new(clock.clone(), None, clock.monotonic());
        clock.advance(Duration::from_secs(1_000_000));
        assert!(hold.is_trusted());
        hold.lose();
        assert!(!hold.is_trusted());
    }
}
