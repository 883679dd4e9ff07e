//! Random histories, and what holds after every one of them: I1 (one terminal state), I2 (the fence only rises and an
//! older one writes nothing), I3 (one result and one usage row), I4 (one event), I5 (nothing starts that was cancelled), I6
//! (no more of a tenant's tasks run than its quota allows).

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{ErrorKind, Lane, TaskError, TaskId, TaskState, TenantId};
use mecapy_store::{
    Beat, Cancelled, ClaimRef, Claimed, Clock, EventKind, Finish, Found, NewTask, Quota, Submission, Written,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
enum Step {
    Submit { lane: usize, tenant: usize, priority: u8 },
    Claim { lane: usize, max: u32 },
    Finish { claim: usize, fails: bool },
    Release { claim: usize },
    RetryLater { claim: usize },
    Lose { claim: usize },
    Beat { claim: usize },
    Cancel { task: usize },
    Advance { seconds: u64 },
    Expire,
    Restart,
    Quota { tenant: usize, running_max: Option<u32> },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..2_usize, 0..10_u8).prop_map(|(lane, tenant, priority)| Step::Submit { lane, tenant, priority }),
        5 => (0..3_usize, 1..5_u32).prop_map(|(lane, max)| Step::Claim { lane, max }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(claim, fails)| Step::Finish { claim, fails }),
        1 => any::<usize>().prop_map(|claim| Step::Release { claim }),
        1 => any::<usize>().prop_map(|claim| Step::RetryLater { claim }),
        1 => any::<usize>().prop_map(|claim| Step::Lose { claim }),
        1 => any::<usize>().prop_map(|claim| Step::Beat { claim }),
        2 => any::<usize>().prop_map(|task| Step::Cancel { task }),
        2 => (1..40_u64).prop_map(|seconds| Step::Advance { seconds }),
        2 => Just(Step::Expire),
        1 => Just(Step::Restart),
        1 => (0..2_usize, proptest::option::of(0..4_u32))
            .prop_map(|(tenant, running_max)| Step::Quota { tenant, running_max }),
    ]
}

/// What the test knows of the history.
#[derive(Default)]
struct History {
    tasks: Vec<(TenantId, TaskId)>,
    /// Every claim ever made, the stale ones too.
    claims: Vec<ClaimRef>,
    fences: BTreeMap<TaskId, u64>,
    cancelled_while_queued: BTreeSet<TaskId>,
    finished: BTreeMap<TaskId, u64>,
    running_max: BTreeMap<TenantId, u32>,
}

impl History {
    fn claimed(&mut self, claimed: Vec<Claimed>) {
        for claimed in claimed {
            let id = claimed.task.id;
            assert!(!self.cancelled_while_queued.contains(&id), "a cancelled task started");
            assert!(!self.finished.contains_key(&id), "an ended task started");
            let before = self.fences.insert(id, claimed.claim.fence).unwrap_or(0);
            assert!(claimed.claim.fence > before, "the fence does not rise");
            self.claims.push(claimed.claim);
        }
    }

    fn pick<T>(of: &[T], at: usize) -> Option<&T> {
        if of.is_empty() { None } else { of.get(at % of.len()) }
    }
}

async fn run(fixture: &mut Fixture, other: TenantId, history: &mut History, step: Step) {
    match step {
        Step::Submit { lane, tenant, priority } => {
            let tenant = [fixture.tenant, other][tenant];
            let task = NewTask { lane: Lane::ALL[lane], priority, ..new_task(tenant) };
            let submitted = fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap();
            history.tasks.push((tenant, submitted.task.id));
        }
        Step::Claim { lane, max } => {
            let claimed = fixture.claim(Lane::ALL[lane], max).await;
            // What ran before a quota was lowered may go on.
            for (tenant, max) in &history.running_max {
                let running: u64 = fixture.store.tenant_counts(*tenant).iter().map(|count| count.running).sum();
                let started = claimed.iter().any(|claimed| claimed.task.tenant == *tenant);
                assert!(!started || running <= u64::from(*max), "{running} run where {max} may");
            }
            history.claimed(claimed);
        }
        Step::Finish { claim, fails } => {
            let Some(claim) = History::pick(&history.claims, claim).cloned() else { return };
            finish(fixture, history, claim, fails).await;
        }
        Step::Release { claim } => {
            let Some(claim) = History::pick(&history.claims, claim).cloned() else { return };
            fixture.store.release(claim).await.unwrap();
        }
        Step::RetryLater { claim } => {
            let Some(claim) = History::pick(&history.claims, claim).cloned() else { return };
            fixture.store.retry_later(claim, fixture.clock.now() + Duration::from_secs(3)).await.unwrap();
        }
        Step::Lose { claim } => {
            let Some(claim) = History::pick(&history.claims, claim).cloned() else { return };
            fixture.store.lose(claim, fixture.clock.now() + Duration::from_secs(3)).await.unwrap();
        }
        Step::Beat { claim } => {
            let Some(claim) = History::pick(&history.claims, claim).cloned() else { return };
            let newest = history.fences[&claim.task] == claim.fence;
            let beats = fixture.store.heartbeat(vec![claim]).await.unwrap();
            assert!(newest || beats[0].1 == Beat::Stale, "an older fence extends a lease");
        }
        Step::Cancel { task } => {
            let Some((tenant, id)) = History::pick(&history.tasks, task).copied() else { return };
            if fixture.store.cancel(tenant, id).await.unwrap() == Cancelled::Now {
                history.cancelled_while_queued.insert(id);
            }
        }
        Step::Quota { tenant, running_max } => {
            let tenant = [fixture.tenant, other][tenant];
            let quota = Quota { running_max, ..Quota::default() };
            assert_eq!(fixture.store.set_quota(tenant, quota).await.unwrap(), Found::Yes);
            match running_max {
                Some(max) => history.running_max.insert(tenant, max),
                None => history.running_max.remove(&tenant),
            };
        }
        Step::Advance { seconds } => fixture.clock.advance(Duration::from_secs(seconds)),
        Step::Expire => drop(fixture.store.requeue_expired().await.unwrap()),
        Step::Restart => {
            fixture.store.close().await;
            fixture.store =
                crate::fixture::open_when_free(fixture.database.options(&fixture.data()), fixture.clock.clone()).await;
        }
    }
}

async fn finish(fixture: &Fixture, history: &mut History, claim: ClaimRef, fails: bool) {
    let error = TaskError::new(ErrorKind::Exception, "no");
    let finish = match fails {
        true => Finish { result: Err(error), ..finish_with("{}") },
        false => finish_with(&claim.fence.to_string()),
    };
    let (id, fence) = (claim.task, claim.fence);
    if fixture.store.finish(claim, finish).await.unwrap() == Written::Done {
        assert_eq!(history.fences[&id], fence, "an older fence finished");
        assert!(history.finished.insert(id, fence).is_none(), "finished twice");
    }
}

/// Lets everything that is still alive come to its end.
async fn settle(fixture: &mut Fixture, history: &mut History) {
    for tenant in history.running_max.keys() {
        fixture.store.set_quota(*tenant, Quota::default()).await.unwrap();
    }
    for _ in 0..200 {
        fixture.clock.advance(Duration::from_secs(40));
        fixture.store.requeue_expired().await.unwrap();
        for lane in Lane::ALL {
            for claimed in fixture.claim(lane, 100).await {
                history.claimed(vec![claimed.clone()]);
                let (id, fence) = (claimed.task.id, claimed.claim.fence);
                let written = fixture.store.finish(claimed.claim, finish_with(&fence.to_string())).await.unwrap();
                assert_eq!(written, Written::Done);
                assert!(history.finished.insert(id, fence).is_none());
            }
        }
        if fixture.store.lane_counts().iter().all(|count| count.queued + count.running == 0) {
            return;
        }
    }
    panic!("tasks are left over: {:?}", fixture.store.lane_counts());
}

async fn check(fixture: &Fixture, history: &History) {
    for (tenant, id) in &history.tasks {
        let task = fixture.store.task(*tenant, *id).await.unwrap().unwrap();
        assert!(task.state.is_terminal());
        assert!(task.usage.is_some() && task.completed_at.is_some());
        let page = fixture.store.events(*tenant, *id, 0).await.unwrap().unwrap();
        let ends = |kind: &EventKind| matches!(kind, EventKind::State { state, .. } if state.is_terminal());
        assert_eq!(page.events.iter().filter(|event| ends(&event.kind)).count(), 1, "{:?}", page.events);
        assert_eq!(page.events.iter().filter(|event| matches!(event.kind, EventKind::Done { .. })).count(), 1);
        assert!(page.done);
        let result = fixture.store.result(*tenant, *id).await.unwrap().unwrap();
        assert_eq!(result.result.is_some(), task.state == TaskState::Completed);
        assert_eq!(result.error.is_some(), task.state != TaskState::Completed);
        if let Some(result) = result.result {
            assert_eq!(result.get(), history.finished[id].to_string(), "the result is not of the fence that finished");
        }
        if history.cancelled_while_queued.contains(id) {
            assert_eq!(task.state, TaskState::Cancelled);
        }
    }
    let tasks = i64::try_from(history.tasks.len()).unwrap();
    for sql in [
        "SELECT count(*) FROM tasks",
        "SELECT count(*) FROM results",
        "SELECT count(*) FROM task_usage",
        "SELECT count(DISTINCT task) FROM tenant_events",
        "SELECT count(*) FROM tenant_events",
        "SELECT CAST(coalesce(sum(last), 0) AS BIGINT) FROM tenant_event_numbers",
    ] {
        assert_eq!(fixture.number(sql).await, tasks, "{sql}");
    }
    let reconciled = fixture.store.reconcile_usage().await.unwrap();
    assert!(reconciled.holds() && i64::try_from(reconciled.ended).unwrap() == tasks, "{reconciled:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_invariants(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut fixture = Fixture::new().await;
            let other = fixture.store.create_tenant("other").await.unwrap();
            let mut history = History::default();
            for step in steps {
                run(&mut fixture, other, &mut history, step).await;
            }
            settle(&mut fixture, &mut history).await;
            check(&fixture, &history).await;
        });
    }
}
