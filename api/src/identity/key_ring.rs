//! The issuer's keys in memory. One task fetches them: at its start, every so often, and when a token names a key that
//! is not there. However many such tokens come, at most one fetch begins in each window.

use super::{
    discovery::{FETCH_TIMEOUT, Source},
    keys::{Key, KeySet},
};
use mecapy_store::Clock;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};

/// At most one fetch begins in so long.
const WINDOW: Duration = Duration::from_secs(10);
/// While the issuer is down, its keys go on being used for so many times what lies between two fetches, and for no
/// longer than this beyond the fetch that did not work.
const AGE_MAX_REFRESHES: u32 = 6;
const OUTAGE_MAX: Duration = Duration::from_secs(3600);

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has no key of that name.
    Unknown,
    /// The issuer has not told its keys for too long.
    Unavailable,
}

/// The keys, and the means to have new ones.
#[derive(Debug)]
pub(super) struct KeyRing {
    held: watch::Sender<Held>,
    wanted: Notify,
    refresh_every: Duration,
    clock: Arc<dyn Clock>,
}

/// What is known now. Times are the clock's monotonic ones.
#[derive(Debug, Default)]
struct Held {
    keys: KeySet,
    /// When the fetch began that brought `keys`.
    fetched_at: Option<Duration>,
    attempted_at: Option<Duration>,
    under_way: bool,
    attempts_ended: u64,
}

impl KeyRing {
    pub(super) fn new(refresh_every: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { held: watch::Sender::new(Held::default()), wanted: Notify::new(), refresh_every, clock }
    }

    /// The key of that name. One that is there is answered at once, whatever else goes on; one that is not waits for
    /// the next fetch, unless the last one is too recent.
    pub(super) async fn find(&self, kid: &str) -> Result<Arc<Key>, NoKey> {
        let attempts_seen = {
            let held = self.held.borrow();
            let now = self.clock.monotonic();
            match held.find(kid, now, self.age_max()) {
                Err(_) if held.under_way || held.may_attempt(now) => held.attempts_ended,
                found => return found,
            }
        };
        let mut watched = self.held.subscribe();
        self.wanted.notify_one();
        let fetched = watched.wait_for(|held| held.attempts_ended > attempts_seen);
        // Longer than a fetch may take: the fetching task answers, or is gone with the server.
        let _ = tokio::time::timeout(FETCH_TIMEOUT * 2, fetched).await;
        self.held.borrow().find(kid, self.clock.monotonic(), self.age_max())
    }

    /// How long a caller should wait for keys that are not available.
    pub(super) const fn retry_after() -> Duration {
        WINDOW
    }

    /// Keeps the keys fresh for as long as it runs.
    pub(super) async fn keep_fresh(&self, source: &Source) {
        loop {
            let pause = if self.refresh(source).await { self.refresh_every } else { WINDOW };
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                () = self.wanted_and_allowed() => (),
            }
        }
    }

    async fn wanted_and_allowed(&self) {
        loop {
            self.wanted.notified().await;
            if self.held.borrow().may_attempt(self.clock.monotonic()) {
                return;
            }
        }
    }

    /// One fetch; whether it worked.
    async fn refresh(&self, source: &Source) -> bool {
        let began = self.clock.monotonic();
        self.held.send_modify(|held| held.begin(began));
        let fetched = source.fetch().await;
        let worked = fetched.is_ok();
        match &fetched {
            Ok(keys) => tracing::debug!(keys.count = keys.len(), "identity: the issuer's keys were fetched"),
            Err(error) => {
                tracing::warn!(error = error as &dyn std::error::Error, "identity: the issuer's keys can't be fetched");
            }
        }
        self.held.send_modify(|held| held.end(began, fetched.ok()));
        worked
    }

    /// What a fetch now would do that had this outcome.
    #[cfg(test)]
    pub(super) fn put(&self, fetched: Option<KeySet>) {
        let now = self.clock.monotonic();
        self.held.send_modify(|held| {
            held.begin(now);
            held.end(now, fetched);
        });
    }

    fn age_max(&self) -> Duration {
        (self.refresh_every * AGE_MAX_REFRESHES).min(self.refresh_every + OUTAGE_MAX)
    }
}

impl Held {
    fn find(&self, kid: &str, now: Duration, age_max: Duration) -> Result<Arc<Key>, NoKey> {
        match self.fetched_at {
            Some(at) if now.saturating_sub(at) <= age_max => self.keys.get(kid).cloned().ok_or(NoKey::Unknown),
            _ => Err(NoKey::Unavailable),
        }
    }

    fn may_attempt(&self, now: Duration) -> bool {
        !self.under_way && self.attempted_at.is_none_or(|at| now.saturating_sub(at) >= WINDOW)
    }

    fn begin(&mut self, now: Duration) {
        self.under_way = true;
        self.attempted_at = Some(now);
    }

    fn end(&mut self, began: Duration, keys: Option<KeySet>) {
        self.under_way = false;
        self.attempts_ended += 1;
        if let Some(keys) = keys {
            self.keys = keys;
            self.fetched_at = Some(began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use mecapy_store::ManualClock;
    use time::OffsetDateTime;

    const AGE_MAX: Duration = Duration::from_secs(3600);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn keys() -> KeySet {
        KeySet::parse(samples::keys().as_object().unwrap()).unwrap()
    }

    fn missing(held: &Held, kid: &str, now: Duration) -> Option<NoKey> {
        held.find(kid, now, AGE_MAX).err()
    }

    #[test]
    fn security_26_one_fetch_begins_in_each_window() {
        let mut held = Held::default();
        assert!(held.may_attempt(seconds(0)));
        held.begin(seconds(0));
        assert!(!held.may_attempt(seconds(4)), "one is under way");
        held.end(seconds(0), Some(keys()));
        for (now, allowed) in [(4, false), (9, false), (10, true), (1000, true)] {
            assert_eq!(held.may_attempt(seconds(now)), allowed, "{now}");
        }
        held.begin(seconds(20));
        held.end(seconds(20), None);
        assert!(!held.may_attempt(seconds(29)), "a failed one counts too");
    }

    #[test]
    fn fault_12_however_seldom_keys_are_fetched_they_outlive_an_hour_at_most() {
        for (refresh, age_max) in [(10, 60), (600, 3600), (3600, 7200), (86_400, 90_000)] {
            let clock = Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH, 1));
            assert_eq!(KeyRing::new(seconds(refresh), clock).age_max(), seconds(age_max), "{refresh}");
        }
    }

    #[test]
    fn fault_12_keys_outlive_an_outage_for_a_while() {
        let mut held = Held::default();
        assert_eq!(missing(&held, "rs", seconds(0)), Some(NoKey::Unavailable));
        held.begin(seconds(0));
        held.end(seconds(0), Some(keys()));
        held.begin(seconds(600));
        held.end(seconds(600), None);
        assert_eq!(missing(&held, "rs", seconds(3600)), None);
        assert_eq!(missing(&held, "other", seconds(3600)), Some(NoKey::Unknown));
        assert_eq!(missing(&held, "rs", seconds(3601)), Some(NoKey::Unavailable));
        held.begin(seconds(4000));
        held.end(seconds(4000), Some(keys()));
        assert_eq!(missing(&held, "rs", seconds(4001)), None);
    }

    #[test]
    fn fault_12_a_key_that_the_issuer_no_longer_names_is_gone() {
        let mut held = Held::default();
        held.begin(seconds(0));
        held.end(seconds(0), Some(keys()));
        held.begin(seconds(600));
        held.end(seconds(600), Some(KeySet::default()));
        assert_eq!(missing(&held, "rs", seconds(601)), Some(NoKey::Unknown));
    }

    #[tokio::test]
    async fn security_26_within_the_window_nobody_waits_and_nobody_asks() {
        let clock = Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH, 1));
        let ring = KeyRing::new(seconds(600), clock.clone());
        ring.put(Some(keys()));
        // No task fetches here: whoever waited would wait for long.
        assert_eq!(ring.find("nobody").await.err(), Some(NoKey::Unknown));
        clock.advance(seconds(60));
        assert!(ring.find("rs").await.is_ok());
        let (found, ()) = tokio::join!(ring.find("new"), async {
            ring.wanted.notified().await;
            let more = samples::keys().to_string().replace("\"rs\"", "\"new\"");
            let more: serde_json::Value = serde_json::from_str(&more).unwrap();
            ring.held.send_modify(|held| held.end(seconds(60), KeySet::parse(more.as_object().unwrap())));
        });
        assert!(found.is_ok());
    }
}
