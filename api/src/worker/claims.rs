//! What this worker has claimed and not finished.

use super::follow::Follow;
use mecapy_model::TaskId;
use mecapy_runtime::Cancel;
use mecapy_store::ClaimRef;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// One claim under way.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) claim: ClaimRef,
    pub(super) cancel: Cancel,
    pub(super) follow: Arc<Follow>,
    /// Stopped by the platform, not by its user: goes back to the queue.
    pub(super) give_back: Arc<AtomicBool>,
}

#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<TaskId, Live>>);

impl Live {
    pub(super) fn new(claim: ClaimRef) -> Self {
        let follow = Arc::new(Follow::default());
        Self { claim, cancel: Cancel::new(), follow, give_back: Arc::default() }
    }

    pub(super) fn is_given_back(&self) -> bool {
        self.give_back.load(Ordering::Acquire)
    }
}

impl Claims {
    pub(super) fn insert(&self, live: Live) {
        self.lock().insert(live.claim.task, live);
    }

    pub(super) fn remove(&self, task: TaskId) {
        self.lock().remove(&task);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn all(&self) -> Vec<Live> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn cancel(&self, task: TaskId) {
        if let Some(live) = self.lock().get(&task) {
            live.cancel.cancel();
        }
    }

    /// Stops everything so that another worker can run it.
    pub(super) fn give_back_all(&self) {
        for live in self.lock().values() {
            live.give_back.store(true, Ordering::Release);
            live.cancel.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
