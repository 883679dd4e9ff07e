//! What a tenant is told of: every end once, numbered in the order of the commits.

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{ErrorKind, Lane, TaskError, TenantId};
use mecapy_store::{
    ClaimRequest, EventType, Finish, Store, Submission, TENANT_EVENTS_KEPT_FOR, TENANT_EVENTS_PAGE_MAX, TenantEvent,
};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row};
use std::time::Duration;

fn failing() -> Finish {
    Finish { result: Err(TaskError::new(ErrorKind::Exception, "no")), ..finish_with("{}") }
}

/// Kind and error of each event, whose numbers go on from `after`.
fn told(events: &[TenantEvent], after: u64) -> Vec<(EventType, Option<&str>)> {
    for (event, seq) in events.iter().zip(after + 1..) {
        assert_eq!(event.seq, seq, "{events:?}");
    }
    events.iter().map(|event| (event.kind, event.error_kind.as_deref())).collect()
}

#[tokio::test]
async fn every_end_is_told_once_in_order_and_to_its_tenant_alone() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let other = store.create_tenant("other").await.unwrap();
    assert_eq!(store.last_tenant_event(tenant).await.unwrap(), 0);
    let completed = fixture.submit().await;
    let claim = fixture.claim_one().await.claim;
    let finish = store.prepare_finish(claim.clone(), finish_with("{}"));
    // A finish whose answer was lost is tried again.
    store.write_finish(&finish).await.unwrap();
    store.write_finish(&finish).await.unwrap();
    store.finish(claim, failing()).await.unwrap();
    fixture.submit().await;
    store.finish(fixture.claim_one().await.claim, failing()).await.unwrap();
    let queued = fixture.submit().await.id;
    store.cancel(tenant, queued).await.unwrap();
    let running = fixture.submit().await.id;
    let claim = fixture.claim_one().await.claim;
    store.cancel(tenant, running).await.unwrap();
    store.release(claim).await.unwrap();

    let events = store.tenant_events(tenant, 0).await.unwrap();
    let expected = [
        (EventType::TaskCompleted, None),
        (EventType::TaskFailed, Some("exception")),
        (EventType::TaskCancelled, Some("cancelled")),
        (EventType::TaskCancelled, Some("cancelled")),
    ];
    assert_eq!(told(&events, 0), expected);
    let first = &events[0];
    assert_eq!((first.subject, first.name.as_deref(), first.lane), (completed.id.0, Some("beam"), Lane::Default));
    assert_eq!(Some(first.at), store.task(tenant, completed.id).await.unwrap().unwrap().completed_at);
    assert_eq!(store.tenant_events(tenant, 2).await.unwrap(), events[2..]);
    assert_eq!(store.last_tenant_event(tenant).await.unwrap(), 4);
    for beyond in [4, u64::MAX] {
        assert_eq!(store.tenant_events(tenant, beyond).await.unwrap(), []);
    }
    // security_27
    assert_eq!(store.tenant_events(other, 0).await.unwrap(), []);
    assert_eq!(store.last_tenant_event(other).await.unwrap(), 0);
    // What was told stays, whatever becomes of the task.
    store.delete_task(tenant, completed.id).await.unwrap();
    assert_eq!(store.tenant_events(tenant, 0).await.unwrap(), events);
}

#[tokio::test]
async fn a_task_that_kills_its_workers_is_told_of_at_its_end() {
    let fixture = Fixture::new().await;
    fixture.submit().await;
    for _ in 0..10 {
        fixture.claim_one().await;
        fixture.clock.advance(Duration::from_secs(31));
        fixture.store.requeue_expired().await.unwrap();
        // Its wait grows with each loss.
        fixture.clock.advance(Duration::from_secs(60));
    }
    let events = fixture.store.tenant_events(fixture.tenant, 0).await.unwrap();
    assert_eq!(told(&events, 0), [(EventType::TaskFailed, Some("worker_lost"))]);
}

#[tokio::test]
async fn a_follower_is_told_of_its_own_tenants_events_and_misses_none() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let mut watch = fixture.store.watch_tenant(fixture.tenant);
    let mut unmoved = fixture.store.watch_tenant(other);
    for seq in 1..=3 {
        fixture.submit().await;
        fixture.store.finish(fixture.claim_one().await.claim, finish_with("{}")).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect("news");
        assert_eq!(fixture.store.last_tenant_event(fixture.tenant).await.unwrap(), seq);
    }
    assert!(tokio::time::timeout(Duration::from_millis(50), unmoved.changed()).await.is_err());
}

#[tokio::test]
async fn old_events_go_and_numbers_are_never_given_again() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let end_one = async || {
        fixture.submit().await;
        store.finish(fixture.claim_one().await.claim, finish_with("{}")).await.unwrap();
    };
    end_one().await;
    end_one().await;
    fixture.clock.advance(TENANT_EVENTS_KEPT_FOR);
    end_one().await;
    assert_eq!(store.collect_garbage().await.unwrap().events, 0);
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(store.collect_garbage().await.unwrap().events, 2);
    assert_eq!(told(&store.tenant_events(tenant, 0).await.unwrap(), 2), [(EventType::TaskCompleted, None)]);
    fixture.clock.advance(TENANT_EVENTS_KEPT_FOR + Duration::from_secs(1));
    assert_eq!(store.collect_garbage().await.unwrap().events, 1);
    end_one().await;
    assert_eq!(told(&store.tenant_events(tenant, 3).await.unwrap(), 3), [(EventType::TaskCompleted, None)]);
}

#[tokio::test]
async fn events_outlive_the_process_that_wrote_them() {
    let fixture = Fixture::new().await;
    fixture.submit().await;
    fixture.store.finish(fixture.claim_one().await.claim, finish_with("{}")).await.unwrap();
    let before = fixture.store.tenant_events(fixture.tenant, 0).await.unwrap();
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.store.tenant_events(fixture.tenant, 0).await.unwrap(), before);
    assert_eq!(before.len(), 1);
}

/// Reads on until `count` events were seen, as a stream does; fails at a gap.
async fn follow(store: &Store, tenant: TenantId, count: u64) {
    let mut watch = store.watch_tenant(tenant);
    let mut after = 0;
    while after < count {
        let events = store.tenant_events(tenant, after).await.unwrap();
        assert!(events.len() <= TENANT_EVENTS_PAGE_MAX as usize);
        if events.is_empty() {
            tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.expect("more events");
        }
        for event in events {
            assert_eq!(event.seq, after + 1, "a gap");
            after = event.seq;
        }
    }
}

async fn submit_and_finish(store: Store, tenant: TenantId, tasks: usize) {
    for _ in 0..tasks {
        let task = new_task(tenant);
        store.submit(Submission { task, idempotency: None, queued_max: 10_000 }).await.unwrap();
    }
    loop {
        let request = ClaimRequest::new(Lane::Default, 3);
        let claimed = store.claim(request).await.unwrap();
        if claimed.is_empty() {
            return;
        }
        let finishes = claimed.into_iter().map(|claimed| store.finish(claimed.claim, finish_with("{}")));
        for finish in finishes {
            finish.await.unwrap();
        }
    }
}

#[tokio::test]
async fn readers_of_other_processes_see_no_gap_while_several_write() {
    let fixture = Fixture::shared().await;
    let tenant = fixture.tenant;
    let mut all = tokio::task::JoinSet::new();
    for number in 0..3 {
        let store = fixture.another_process(&format!("worker {number}")).await;
        all.spawn(submit_and_finish(store, tenant, 40));
    }
    for number in 0..2 {
        let store = fixture.another_process(&format!("reader {number}")).await;
        all.spawn(async move { follow(&store, tenant, 120).await });
    }
    all.join_all().await;
    assert_eq!(fixture.store.last_tenant_event(tenant).await.unwrap(), 120);
    assert_eq!(fixture.number("SELECT count(*) FROM tenant_events").await, 120);
}

/// What a transaction that is slow to commit has numbered: whoever numbers after it commits after it.
#[tokio::test]
async fn an_event_with_a_lower_number_is_never_committed_later() {
    let fixture = Fixture::shared().await;
    let (store, tenant) = (fixture.store.clone(), fixture.tenant);
    let mut slow = PgConnection::connect(fixture.database.app_url()).await.unwrap();
    slow.execute("SET mecapy.tenant = '*'; BEGIN").await.unwrap();
    let sql = "INSERT INTO tenant_event_numbers (tenant, last) VALUES ($1, 1) \
               ON CONFLICT (tenant) DO UPDATE SET last = tenant_event_numbers.last + 1 RETURNING last";
    let seq: i64 = sqlx::query(sql).bind(tenant.0).fetch_one(&mut slow).await.unwrap().get(0);
    fixture.submit().await;
    let claim = fixture.claim_one().await.claim;
    let finishing = tokio::spawn({
        let store = store.clone();
        async move { store.finish(claim, finish_with("{}")).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!finishing.is_finished());
    assert_eq!(store.tenant_events(tenant, 0).await.unwrap(), []);
    let sql = "INSERT INTO tenant_events (tenant, seq, id, at_ms, kind, task, lane) \
               VALUES ($1, $2, $3, 0, 'task.completed', $3, 'default')";
    sqlx::query(sql).bind(tenant.0).bind(seq).bind(uuid::Uuid::from_u128(1)).execute(&mut slow).await.unwrap();
    slow.execute("COMMIT").await.unwrap();
    finishing.await.unwrap().unwrap();
    let seen: Vec<u64> = store.tenant_events(tenant, 0).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(seen, [1, 2]);
}
