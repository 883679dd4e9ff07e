//! What is claimed, and in which order.

use crate::fixture::{Fixture, finish_with, ids, new_task};
use mecapy_model::{Lane, TaskState, TenantId};
use mecapy_store::{Access, Cancelled, ClaimRequest, Clock, NewTask, Quota, Submission, Written};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test]
async fn high_priority_is_strictly_first_come_first_served() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let mut expected = Vec::new();
    for number in 0..9_u8 {
        let tenant = if number % 3 == 0 { other } else { fixture.tenant };
        let task = NewTask { lane: Lane::HighPriority, priority: number, ..new_task(tenant) };
        expected.push(fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task.id);
    }
    let mut claimed = ids(&fixture.claim(Lane::HighPriority, 4).await);
    claimed.extend(ids(&fixture.claim(Lane::HighPriority, 100).await));
    assert_eq!(claimed, expected);
    assert!(fixture.claim(Lane::HighPriority, 100).await.is_empty());
}

#[tokio::test]
async fn default_goes_by_priority_then_by_turns_between_tenants_then_by_age() {
    let fixture = Fixture::new().await;
    let second = fixture.store.create_tenant("second").await.unwrap();
    let third = fixture.store.create_tenant("third").await.unwrap();
    let mut submitted = BTreeMap::new();
    for (tenant, count) in [(fixture.tenant, 6), (second, 2), (third, 1)] {
        for _ in 0..count {
            let id = fixture.submit_for(tenant, Lane::Default).await;
            submitted.entry(tenant).or_insert_with(Vec::new).push(id);
        }
    }
    let urgent = NewTask { priority: 9, ..new_task(fixture.tenant) };
    let urgent = fixture.store.submit(Submission { task: urgent, ..fixture.submission() }).await.unwrap().task.id;
    let claimed = fixture.claim(Lane::Default, 100).await;
    assert_eq!(claimed[0].task.id, urgent);
    // Ours runs one already, so the others have their turn before it.
    let tenants: Vec<TenantId> = claimed.iter().map(|claimed| claimed.task.tenant).collect();
    let running = |upto: usize, tenant| tenants[..upto].iter().filter(|of| **of == tenant).count();
    for upto in 1..=5 {
        let counts = [fixture.tenant, second, third].map(|tenant| running(upto, tenant));
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{upto}: {counts:?}");
    }
    for (tenant, expected) in submitted {
        let of_tenant: Vec<_> = ids(&claimed)
            .into_iter()
            .zip(&tenants)
            .filter(|(id, of)| **of == tenant && *id != urgent)
            .map(|(id, _)| id)
            .collect();
        assert_eq!(of_tenant, expected);
    }
}

#[tokio::test]
async fn with_one_slot_tenants_still_take_turns() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    for _ in 0..6 {
        fixture.submit_for(fixture.tenant, Lane::Default).await;
    }
    for _ in 0..3 {
        fixture.submit_for(other, Lane::Default).await;
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        let claimed = fixture.claim_one().await;
        order.push(claimed.task.tenant == other);
        assert_eq!(fixture.store.finish(claimed.claim, finish_with("{}")).await.unwrap(), Written::Done);
    }
    assert_eq!(order.iter().filter(|theirs| **theirs).count(), 3, "{order:?}");
    assert!(order.windows(2).all(|pair| pair[0] != pair[1]), "{order:?}");
}

#[tokio::test]
async fn a_tenants_running_cap_holds_and_lets_others_pass() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    for lane in [Lane::LongRunning, Lane::Default] {
        for _ in 0..5 {
            fixture.submit_for(fixture.tenant, lane).await;
        }
        let theirs = fixture.submit_for(other, lane).await;
        let request = ClaimRequest { running_per_tenant_max: Some(2), ..ClaimRequest::new(lane, 10) };
        let claimed = fixture.store.claim(request).await.unwrap();
        assert_eq!(claimed.len(), 3, "{lane}");
        assert!(ids(&claimed).contains(&theirs));
        assert!(fixture.store.claim(request).await.unwrap().is_empty());
        let done = claimed.into_iter().find(|claimed| claimed.task.tenant == fixture.tenant).unwrap();
        fixture.store.finish(done.claim, finish_with("{}")).await.unwrap();
        assert_eq!(fixture.store.claim(request).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_tenant_starts_no_more_long_tasks_within_a_minute_than_it_may() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    for _ in 0..6 {
        fixture.submit_for(fixture.tenant, Lane::LongRunning).await;
    }
    let theirs = fixture.submit_for(other, Lane::LongRunning).await;
    let request = ClaimRequest { starts_per_minute_max: Some(2), ..ClaimRequest::new(Lane::LongRunning, 10) };
    let claim = async || fixture.store.claim(request).await.unwrap();
    let mut claimed = claim().await;
    assert_eq!(claimed.len(), 3);
    assert!(ids(&claimed).contains(&theirs));
    // What was given back did not start; what ended did.
    let ours = claimed.iter().position(|claimed| claimed.task.tenant == fixture.tenant).unwrap();
    fixture.store.release(claimed.swap_remove(ours).claim).await.unwrap();
    let again = claim().await;
    assert_eq!(again.len(), 1);
    for claimed in claimed.into_iter().chain(again) {
        fixture.store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    }
    assert!(claim().await.is_empty());
    fixture.clock.advance(Duration::from_secs(59));
    assert!(claim().await.is_empty());
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(claim().await.len(), 2);
    // The other lanes know no such limit.
    for _ in 0..3 {
        fixture.submit().await;
    }
    let elsewhere = ClaimRequest { starts_per_minute_max: Some(1), ..ClaimRequest::new(Lane::Default, 10) };
    assert_eq!(fixture.store.claim(elsewhere).await.unwrap().len(), 3);
}

#[tokio::test]
async fn the_cap_counts_over_all_priorities_of_one_claim() {
    let fixture = Fixture::new().await;
    for priority in 0..10 {
        let task = NewTask { priority, ..new_task(fixture.tenant) };
        fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap();
    }
    let request = ClaimRequest { running_per_tenant_max: Some(3), ..ClaimRequest::new(Lane::Default, 10) };
    let priorities: Vec<u8> = fixture.store.claim(request).await.unwrap().iter().map(|it| it.task.priority).collect();
    assert_eq!(priorities, [9, 8, 7]);
}

#[tokio::test]
async fn a_task_starts_no_earlier_than_asked() {
    let fixture = Fixture::new().await;
    let run_at = fixture.clock.now() + Duration::from_secs(60);
    let task = NewTask { run_at: Some(run_at), ..new_task(fixture.tenant) };
    let later = fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task.id;
    assert!(fixture.claim(Lane::Default, 10).await.is_empty());
    assert_eq!(fixture.store.next_due(Lane::Default).await.unwrap(), Some(run_at));
    let now = fixture.submit().await.id;
    assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), [now]);
    fixture.clock.advance(Duration::from_secs(59));
    assert!(fixture.claim(Lane::Default, 10).await.is_empty());
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), [later]);
    assert_eq!(fixture.store.next_due(Lane::Default).await.unwrap(), None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_hides_nothing() {
    let fixture = Fixture::new().await;
    let before = fixture.submit().await.id;
    fixture.clock.set(fixture.clock.now() - Duration::from_secs(3_600));
    let after = fixture.submit().await.id;
    let fixture = fixture.reopen().await;
    let afterwards = fixture.submit().await.id;
    assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), [before, after, afterwards]);
}

#[tokio::test]
async fn a_cancelled_task_never_starts() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.submit().await.id, fixture.submit().await.id);
    assert_eq!(fixture.store.cancel(fixture.tenant, first).await.unwrap(), Cancelled::Now);
    assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), [second]);
    let task = fixture.store.task(fixture.tenant, first).await.unwrap().unwrap();
    assert_eq!((task.state, task.attempt), (TaskState::Cancelled, 0));
    assert!(task.completed_at.is_some() && task.usage.is_some());
    let again = fixture.store.cancel(fixture.tenant, first).await.unwrap();
    assert_eq!(again, Cancelled::AlreadyEnded(TaskState::Cancelled));
}

#[tokio::test]
async fn nothing_starts_for_a_disabled_tenant_until_it_is_enabled_again() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let mut theirs = Vec::new();
    for lane in Lane::ALL {
        theirs.push(fixture.submit_for(other, lane).await);
        fixture.submit_for(fixture.tenant, lane).await;
    }
    fixture.store.set_tenant_access(other, Access::Disabled).await.unwrap();
    for lane in Lane::ALL {
        let claimed = fixture.claim(lane, 10).await;
        assert!(claimed.iter().all(|claimed| claimed.task.tenant == fixture.tenant), "{lane}");
        assert_eq!(claimed.len(), 1, "{lane}");
    }
    fixture.store.set_tenant_access(other, Access::Enabled).await.unwrap();
    for (lane, expected) in Lane::ALL.into_iter().zip(theirs) {
        assert_eq!(ids(&fixture.claim(lane, 10).await), [expected]);
    }
}

#[tokio::test]
async fn many_tenants_and_more_tasks_than_one_claim_takes_are_all_served() {
    let fixture = Fixture::new().await;
    let mut tenants = Vec::new();
    for number in 0..40 {
        tenants.push(fixture.store.create_tenant(&format!("tenant {number}")).await.unwrap());
    }
    for lane in Lane::ALL {
        for tenant in &tenants {
            for _ in 0..3 {
                fixture.submit_for(*tenant, lane).await;
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let claimed = fixture.claim(lane, 25).await;
            if claimed.is_empty() {
                break;
            }
            for claimed in claimed {
                assert!(seen.insert(claimed.task.id), "claimed twice");
            }
        }
        assert_eq!(seen.len(), 120, "{lane}");
    }
}

#[tokio::test]
async fn concurrent_claims_share_without_overlap() {
    let fixture = Fixture::new().await;
    for _ in 0..100 {
        fixture.submit().await;
    }
    let workers: Vec<_> = (0..20)
        .map(|_| {
            let store = fixture.store.clone();
            let request = ClaimRequest::new(Lane::Default, 7);
            tokio::spawn(async move { store.claim(request).await.unwrap() })
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    for worker in workers {
        for claimed in worker.await.unwrap() {
            assert!(seen.insert(claimed.task.id), "claimed twice");
            assert_eq!((claimed.task.attempt, claimed.task.fence), (1, 1));
        }
    }
    assert_eq!(seen.len(), 100);
    let counts = fixture.store.lane_counts();
    assert_eq!((counts[1].queued, counts[1].running), (0, 100));
}

#[tokio::test]
async fn a_lane_is_woken_after_a_commit() {
    let fixture = Fixture::new().await;
    let wakeup = fixture.store.lane_wakeup(Lane::LongRunning);
    let waiting = tokio::spawn(async move { wakeup.notified().await });
    fixture.submit_for(fixture.tenant, Lane::LongRunning).await;
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_claimed_for_nobody_goes_back() {
    let fixture = Fixture::new().await;
    for _ in 0..50 {
        fixture.submit().await;
    }
    // Claims whose caller goes away before the answer.
    for _ in 0..20 {
        let request = ClaimRequest::new(Lane::Default, 10);
        let store = fixture.store.clone();
        let claim = tokio::spawn(async move { store.claim(request).await });
        tokio::task::yield_now().await;
        claim.abort();
        // One that was answered in time is given back by hand.
        if let Ok(Ok(claimed)) = claim.await {
            for claimed in claimed {
                fixture.store.release(claimed.claim).await.unwrap();
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    let all = async {
        while seen.len() < 50 {
            seen.extend(ids(&fixture.claim(Lane::Default, 100).await));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("everything can be claimed again");
    let counts = fixture.store.lane_counts();
    assert_eq!((counts[1].queued, counts[1].running), (0, 50));
}

#[tokio::test]
async fn the_expected_wait_follows_from_what_starts() {
    let fixture = Fixture::new().await;
    for _ in 0..50 {
        fixture.submit().await;
    }
    let last = fixture.submit().await;
    assert_eq!(fixture.store.expected_wait(&last, 9), None, "nothing has started yet");
    for round in 1.. {
        assert_eq!(fixture.claim(Lane::Default, 2).await.len(), 2, "round {round}: no estimate");
        fixture.clock.advance(Duration::from_secs(1));
        // Where processes share the rows, they look at them every second.
        let looked = if fixture.database.is_shared() { Duration::from_millis(1_100) } else { Duration::ZERO };
        tokio::time::sleep(looked).await;
        if let Some(wait) = fixture.store.expected_wait(&last, 9) {
            assert!((Duration::from_secs(2)..=Duration::from_secs(10)).contains(&wait), "{wait:?}");
            break;
        }
    }
    let later = NewTask { run_at: Some(fixture.clock.now() + Duration::from_secs(3_600)), ..new_task(fixture.tenant) };
    let later = fixture.store.submit(Submission { task: later, ..fixture.submission() }).await.unwrap().task;
    assert_eq!(fixture.store.expected_wait(&later, 0), Some(Duration::from_secs(3_600)));
}

#[tokio::test]
async fn the_next_time_is_the_earliest_of_all_ranks_and_tenants_that_may_start() {
    let fixture = Fixture::new().await;
    let (store, start) = (&fixture.store, fixture.clock.now());
    let other = store.create_tenant("other").await.unwrap();
    let held = store.create_tenant("held").await.unwrap();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let submit = async |tenant, lane, priority, seconds| {
        let task = NewTask { lane, priority, run_at: Some(at(seconds)), ..new_task(tenant) };
        store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task
    };
    assert_eq!(store.next_due(Lane::Default).await.unwrap(), None);
    for (tenant, priority, seconds, earliest) in [
        (fixture.tenant, 5, 500, 500),
        (fixture.tenant, 5, 600, 500),
        (other, 5, 400, 400),
        (held, 9, 1, 1),
        (other, 0, 300, 1),
        (fixture.tenant, 0, 350, 1),
    ] {
        submit(tenant, Lane::Default, priority, seconds).await;
        assert_eq!(store.next_due(Lane::Default).await.unwrap(), Some(at(earliest)));
    }
    store.set_tenant_access(held, Access::Disabled).await.unwrap();
    assert_eq!(store.next_due(Lane::Default).await.unwrap(), Some(at(300)));
    assert_eq!(store.next_due(Lane::LongRunning).await.unwrap(), None);
}

#[tokio::test]
async fn a_place_in_a_lane_of_all_counts_the_older_tasks_of_every_tenant_that_may_start() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let other = store.create_tenant("other").await.unwrap();
    let held = store.create_tenant("held").await.unwrap();
    store.set_quota(other, Quota { running_max: Some(1), ..Quota::default() }).await.unwrap();
    for lane in [Lane::HighPriority, Lane::LongRunning] {
        let mut line = Vec::new();
        for tenant in [fixture.tenant, other, held, other, fixture.tenant, fixture.tenant] {
            line.push((tenant, fixture.submit_for(tenant, lane).await));
        }
        store.set_tenant_access(held, Access::Disabled).await.unwrap();
        for ((tenant, id), expected) in line.iter().zip([Some(0), Some(1), None, Some(2), Some(3), Some(4)]) {
            let (_, position) = store.task_with_position(*tenant, *id).await.unwrap().unwrap();
            assert_eq!(position, expected, "{lane}");
        }
        store.set_tenant_access(held, Access::Enabled).await.unwrap();
    }
}
