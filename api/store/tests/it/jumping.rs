//! F13: processes whose wall clocks are an hour off, and jump. Those that share a database live by its clock.

use crate::database::TestDatabase;
use crate::fixture::{finish_with, new_task};
use mecapy_model::{Lane, TaskState, TenantId};
use mecapy_store::{
    Beat, ClaimRequest, Claimed, Clock, NewApiKey, NewTask, Role, Store, StoreOptions, Submission, SystemClock, Written,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use time::OffsetDateTime;

const HOUR_SECONDS: i64 = 3_600;
const LEASE: Duration = Duration::from_secs(30);
const SHORT_LEASE: Duration = Duration::from_secs(1);

/// The real clock, with a wall time that is so many seconds off.
#[derive(Debug)]
struct JumpingClock {
    real: SystemClock,
    off_seconds: AtomicI64,
}

impl JumpingClock {
    fn off(seconds: i64) -> Arc<Self> {
        Arc::new(Self { real: SystemClock::new().unwrap(), off_seconds: AtomicI64::new(seconds) })
    }

    fn jump_to(&self, seconds: i64) {
        self.off_seconds.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> OffsetDateTime {
        self.real.now() + time::Duration::seconds(self.off_seconds.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.real.fill_random(bytes);
    }
}

/// A process with a right clock, and one whose clock is off, on one database.
struct Two {
    right: Store,
    wrong: Store,
    clock: Arc<JumpingClock>,
    tenant: TenantId,
    _folder: TempDir,
    _database: TestDatabase,
}

impl Two {
    async fn off(seconds: i64, lease: Duration) -> Self {
        let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::shared().await);
        let options = |name: &str| StoreOptions { lease, ..database.options(&folder.path().join(name)) };
        let right = Store::open(options("right"), JumpingClock::off(0)).await.unwrap();
        let tenant = right.create_tenant("ours").await.unwrap();
        let clock = JumpingClock::off(seconds);
        let wrong = Store::open(options("wrong"), clock.clone()).await.unwrap();
        Self { right, wrong, clock, tenant, _folder: folder, _database: database }
    }

    /// Submits where the clock is wrong.
    async fn submit(&self, task: NewTask) -> mecapy_model::Task {
        self.wrong.submit(Submission { task, idempotency: None, queued_max: 100 }).await.unwrap().task
    }

    fn is_about_now(&self, time: OffsetDateTime) -> bool {
        (self.right.now() - time).abs() < time::Duration::minutes(1)
    }
}

async fn claim(store: &Store) -> Option<Claimed> {
    store.claim(ClaimRequest::new(Lane::Default, 1)).await.unwrap().pop()
}

/// Claims as soon as there is something.
async fn claim_soon(store: &Store) -> Claimed {
    for _ in 0..500 {
        store.requeue_expired().await.unwrap();
        if let Some(claimed) = claim(store).await {
            return claimed;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing to claim within 10 s");
}

#[tokio::test]
async fn times_come_from_the_database_whatever_a_process_takes_for_the_hour() {
    for off in [-HOUR_SECONDS, HOUR_SECONDS] {
        let two = Two::off(off, LEASE).await;
        let submitted = two.submit(new_task(two.tenant)).await;
        assert!(two.is_about_now(submitted.created_at), "created at {}", submitted.created_at);
        assert!(two.is_about_now(two.wrong.now()));
        // Due at once for everybody.
        let claimed = claim(&two.right).await.expect("it is due");
        // A jump in the middle of its life.
        two.clock.jump_to(-off);
        assert!(two.is_about_now(two.wrong.now()));
        assert_eq!(two.wrong.requeue_expired().await.unwrap().requeued, 0, "its lease holds");
        assert_eq!(two.right.finish(claimed.claim, finish_with("1")).await.unwrap(), Written::Done);
        let next = two.submit(new_task(two.tenant)).await;
        let claimed = claim(&two.wrong).await.expect("it is due");
        assert_eq!(two.right.requeue_expired().await.unwrap().requeued, 0, "its lease holds");
        two.clock.jump_to(off);
        assert_eq!(two.wrong.heartbeat(vec![claimed.claim.clone()]).await.unwrap()[0].1, Beat::Extended);
        assert_eq!(two.wrong.finish(claimed.claim, finish_with("2")).await.unwrap(), Written::Done);
        let task = two.right.task(two.tenant, next.id).await.unwrap().unwrap();
        assert_eq!(task.state, TaskState::Completed);
        let times = [Some(task.created_at), task.started_at, task.completed_at].map(Option::unwrap);
        assert!(times.iter().all(|time| two.is_about_now(*time)), "{times:?}");
        // The start is a transaction's time, the end was read a moment before its own.
        assert!(times[2] - times[1] > -time::Duration::milliseconds(100), "{times:?}");
    }
}

#[tokio::test]
async fn a_lease_of_a_process_an_hour_off_ends_when_the_database_says_so() {
    for off in [-HOUR_SECONDS, HOUR_SECONDS] {
        let two = Two::off(off, SHORT_LEASE).await;
        let submitted = two.submit(new_task(two.tenant)).await;
        let lost = claim(&two.wrong).await.unwrap();
        assert!(claim(&two.right).await.is_none(), "claimed twice");
        let again = claim_soon(&two.right).await;
        assert_eq!((again.task.id, again.claim.fence), (submitted.id, 2));
        assert_eq!(two.wrong.finish(lost.claim, finish_with("1")).await.unwrap(), Written::Stale);
        assert_eq!(two.right.finish(again.claim, finish_with("2")).await.unwrap(), Written::Done);
    }
}

#[tokio::test]
async fn what_is_due_at_a_time_starts_when_the_database_says_so() {
    for off in [-HOUR_SECONDS, HOUR_SECONDS] {
        let two = Two::off(off, LEASE).await;
        let due = two.right.now() + Duration::from_secs(1);
        let submitted = two.submit(NewTask { run_at: Some(due), ..new_task(two.tenant) }).await;
        assert!(claim(&two.wrong).await.is_none() && claim(&two.right).await.is_none(), "it started too early");
        let claimed = claim_soon(&two.wrong).await;
        assert_eq!(claimed.task.id, submitted.id);
        assert!(two.right.now() >= due);
    }
}

#[tokio::test]
async fn a_key_is_good_until_the_database_says_otherwise() {
    for off in [-HOUR_SECONDS, HOUR_SECONDS] {
        let two = Two::off(off, LEASE).await;
        let create = async |seconds| {
            let expires_at = Some(two.right.now() + Duration::from_secs(seconds));
            let (name, role) = ("k".to_owned(), Role::Engineer);
            let new = NewApiKey { tenant: two.tenant, name, role, scopes: None, expires_at };
            two.wrong.create_api_key(new).await.unwrap()
        };
        let (long, short) = (create(1_800).await, create(1).await);
        assert!(two.wrong.authenticate(long.secret.expose()).is_some(), "it is good for half an hour");
        assert!(two.wrong.key_in_force(two.tenant, long.key.id).is_some());
        let mut used = None;
        for _ in 0..500 {
            used = two.right.api_key(two.tenant, long.key.id).await.unwrap().unwrap().last_used_at;
            if used.is_some() && two.wrong.authenticate(short.secret.expose()).is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(two.is_about_now(used.expect("its use is written down")), "used at {used:?}");
        assert!(two.wrong.authenticate(short.secret.expose()).is_none(), "it was good for a second");
        // Making another forgets those that have expired, and no others.
        create(1_800).await;
        assert!(two.wrong.authenticate(long.secret.expose()).is_some());
    }
}
