//! What this worker has claimed and not finished.

use super::{follow::Follow, hold::Hold};
use mecapy_model::TaskId;
use mecapy_runtime::Cancel;
use mecapy_store::ClaimRef;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Cancels that came before their claim was known here: so many are remembered, the oldest are forgotten (a heartbeat
/// says it too).
const EARLY_CANCELS_MAX: usize = 1024;

/// One claim under way.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) claim: ClaimRef,
    pub(super) cancel: Cancel,
    /// Whether the claim may still be ours.
    pub(super) hold: Arc<Hold>,
    pub(super) follow: Arc<Follow>,
    /// Stopped by the platform, not by its user: goes back to the queue.
    pub(super) give_back: Arc<AtomicBool>,
}

/// By task and fence: a worker that lost a lease may claim the same task again while its older attempt still runs.
#[derive(Default)]
pub(super) struct Claims(Mutex<Held>);

#[derive(Default)]
struct Held {
    live: BTreeMap<(TaskId, u64), Live>,
    early_cancels: VecDeque<TaskId>,
    /// Whether all is given back, what comes late too.
    gives_back: bool,
}

impl Live {
    pub(super) fn new(claim: ClaimRef, hold: Hold, follow: Follow) -> Self {
        let (hold, follow) = (Arc::new(hold), Arc::new(follow));
        Self { claim, cancel: Cancel::new(), hold, follow, give_back: Arc::default() }
    }

    pub(super) fn is_given_back(&self) -> bool {
        self.give_back.load(Ordering::Acquire)
    }

    fn stop_and_give_back(&self) {
        self.give_back.store(true, Ordering::Release);
        self.cancel.cancel();
    }
}

impl Claims {
    /// Older attempts at the same task are stopped: nothing that they write would count.
    pub(super) fn insert(&self, live: Live) {
        let mut held = self.lock();
        let (task, fence) = (live.claim.task, live.claim.fence);
        held.live.range((task, 0)..(task, fence)).for_each(|(_, older)| older.cancel.cancel());
        if let Some(at) = held.early_cancels.iter().position(|early| *early == task) {
            held.early_cancels.remove(at);
            live.cancel.cancel();
        }
        if held.gives_back {
            live.stop_and_give_back();
        }
        held.live.insert((task, fence), live);
    }

    pub(super) fn remove(&self, claim: &ClaimRef) {
        self.lock().live.remove(&(claim.task, claim.fence));
    }

    pub(super) fn len(&self) -> usize {
        self.lock().live.len()
    }

    /// This process's attempts at one task.
    pub(super) fn of(&self, task: TaskId) -> Vec<Live> {
        self.lock().live.range((task, 0)..=(task, u64::MAX)).map(|(_, live)| live.clone()).collect()
    }

    pub(super) fn all(&self) -> Vec<Live> {
        self.lock().live.values().cloned().collect()
    }

    /// Stops a task that its user cancelled, now or as soon as it is known here.
    pub(super) fn cancel(&self, task: TaskId) {
        let mut held = self.lock();
        let mut known = false;
        for live in held.live.range((task, 0)..=(task, u64::MAX)).map(|(_, live)| live) {
            live.cancel.cancel();
            known = true;
        }
        if known {
            return;
        }
        if held.early_cancels.len() >= EARLY_CANCELS_MAX {
            held.early_cancels.pop_front();
        }
        held.early_cancels.push_back(task);
    }

    /// Stops everything so that another worker can run it; a claim that was asked for before and comes now, too.
    pub(super) fn give_back_all(&self) {
        let mut held = self.lock();
        held.gives_back = true;
        held.live.values().for_each(Live::stop_and_give_back);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::{Code, Kernels, Lane, LimitsRequest, NonFinite, Retry, Ties};
    use mecapy_store::{ClaimRequest, NewTask, Store, StoreOptions, Submission, SystemClock};
    use serde_json::value::RawValue;
    use std::time::Duration;

    /// A real claim: nothing else can make one.
    async fn claim() -> ClaimRef {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new().unwrap());
        let store = Store::open(StoreOptions::new(folder.path().join("data")), clock).await.unwrap();
        let task = NewTask {
            tenant: store.create_tenant("ours").await.unwrap(),
            name: None,
            lane: Lane::Default,
            priority: 5,
            code: Code::Python { source: "result = 1".to_owned(), entry: None },
            inputs: RawValue::from_string("{}".to_owned()).unwrap(),
            files: BTreeMap::new(),
            limits: LimitsRequest::default().resolve(Lane::Default).unwrap(),
            retry: Retry::default(),
            seed: 1,
            non_finite: NonFinite::Reject,
            kernels: Kernels::default(),
            labels: BTreeMap::new(),
            run_at: None,
            retry_of: None,
            webhook_url: None,
            warnings: Vec::new(),
            ties: Ties::default(),
        };
        store.submit(Submission { task, idempotency: None, queued_max: 1 }).await.unwrap();
        let request = ClaimRequest::new(Lane::Default, 1);
        store.claim(request).await.unwrap().pop().unwrap().claim
    }

    fn live(claim: ClaimRef) -> Live {
        let clock = Arc::new(SystemClock::new().unwrap());
        Live::new(claim, Hold::new(clock, None, Duration::ZERO), Follow::default())
    }

    #[tokio::test]
    async fn a_newer_claim_stops_the_older_attempt_and_outlives_its_end() {
        let older = live(claim().await);
        let mut claim = older.claim.clone();
        claim.fence += 1;
        let newer = live(claim);
        let claims = Claims::default();
        claims.insert(older.clone());
        assert!(!older.cancel.is_cancelled());
        claims.insert(newer.clone());
        assert!(older.cancel.is_cancelled() && !newer.cancel.is_cancelled());
        claims.remove(&older.claim);
        assert_eq!(claims.len(), 1);
        assert!(claims.of(older.claim.task).iter().all(|live| live.claim == newer.claim));
        assert!(!newer.cancel.is_cancelled());
        claims.cancel(newer.claim.task);
        assert!(newer.cancel.is_cancelled());
    }

    #[tokio::test]
    async fn what_is_claimed_while_all_is_given_back_goes_too() {
        let (early, late) = (live(claim().await), live(claim().await));
        let claims = Claims::default();
        claims.insert(early.clone());
        claims.give_back_all();
        claims.insert(late.clone());
        assert!([early, late].iter().all(|live| live.is_given_back() && live.cancel.is_cancelled()));
    }

    #[tokio::test]
    async fn a_cancel_that_comes_before_its_claim_is_heard_once() {
        let claim = claim().await;
        let claims = Claims::default();
        claims.cancel(claim.task);
        let first = live(claim.clone());
        claims.insert(first.clone());
        assert!(first.cancel.is_cancelled());
        claims.remove(&claim);
        let second = live(claim);
        claims.insert(second.clone());
        assert!(!second.cancel.is_cancelled());
        for number in 0..3 * EARLY_CANCELS_MAX {
            claims.cancel(TaskId::from_parts(number as u64, &[1; 10]));
        }
        assert_eq!(claims.lock().early_cancels.len(), EARLY_CANCELS_MAX);
    }
}
