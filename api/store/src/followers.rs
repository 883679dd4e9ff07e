//! Who follows things whose changes are numbered: a tenant's events, a batch's counts.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The newest number of each thing that somebody follows, as far as it is known.
#[derive(Debug)]
pub(crate) struct Followers<K>(Arc<Mutex<HashMap<K, watch::Sender<u64>>>>);

impl<K> Clone for Followers<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Followers<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> Followers<K> {
    pub(crate) fn watch(&self, of: K) -> Watch<K> {
        let newest = self.lock().entry(of).or_insert_with(|| watch::Sender::new(0)).subscribe();
        Watch { of, newest, followers: self.clone() }
    }

    /// There are changes up to `seq`.
    pub(crate) fn tell(&self, of: K, seq: u64) {
        if let Some(sender) = self.lock().get(&of) {
            sender.send_if_modified(|newest| {
                let more = seq > *newest;
                *newest = seq.max(*newest);
                more
            });
        }
    }

    pub(crate) fn followed(&self) -> Vec<K> {
        self.lock().keys().copied().collect()
    }
}

impl<K> Followers<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Sender<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// News of one thing. The last one for it frees what the store keeps.
#[derive(Debug)]
pub struct Watch<K: Copy + Eq + Hash> {
    of: K,
    newest: watch::Receiver<u64>,
    followers: Followers<K>,
}

impl<K: Copy + Eq + Hash> Watch<K> {
    /// Returns after a commit that changed the thing, or at once where one did since the last call (or since the watch
    /// was made). Several may count as one, and where processes share the database the first call may return without
    /// one.
    pub async fn changed(&mut self) {
        if self.newest.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Watch<K> {
    fn drop(&mut self) {
        let mut followers = self.followers.lock();
        // This one still counts.
        if followers.get(&self.of).is_some_and(|sender| sender.receiver_count() <= 1) {
            followers.remove(&self.of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn followers_hear_of_what_is_new_and_the_last_one_leaves_nothing_behind() {
        let followers = Followers::default();
        followers.tell(1, 5);
        let (mut first, second) = (followers.watch(1), followers.watch(1));
        let is_told = async |watch: &mut Watch<u8>| {
            tokio::time::timeout(Duration::from_millis(20), watch.changed()).await.is_ok()
        };
        assert!(!is_told(&mut first).await);
        followers.tell(1, 6);
        followers.tell(2, 7);
        assert!(is_told(&mut first).await);
        followers.tell(1, 6);
        followers.tell(1, 5);
        assert!(!is_told(&mut first).await);
        drop(first);
        assert_eq!(followers.followed(), [1]);
        drop(second);
        assert!(followers.followed().is_empty());
    }
}
