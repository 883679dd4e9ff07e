//! Several processes on one database.

use crate::fixture::{Fixture, finish_with, ids, new_task};
use mecapy_model::{Lane, TaskId, TaskState};
use mecapy_store::{
    Access, Beat, ClaimRequest, Deleted, EventType, NewWebhook, Quota, Store, Submission, SubmitError,
    WEBHOOKS_PER_TENANT_MAX,
};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use std::time::Duration;

impl Fixture {
    /// A store of another process on the same rows.
    pub(crate) async fn another_process(&self, name: &str) -> Store {
        let options = self.database.options(&self.folder.path().join(name));
        Store::open(options, self.clock.clone()).await.unwrap()
    }
}

#[tokio::test]
async fn two_processes_claim_every_task_once() {
    let fixture = Fixture::shared().await;
    for _ in 0..60 {
        fixture.submit().await;
    }
    let mut claimers = tokio::task::JoinSet::new();
    for number in 0..3 {
        let store = fixture.another_process(&format!("worker {number}")).await;
        claimers.spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let request = ClaimRequest::new(Lane::Default, 7);
                let more = store.claim(request).await.unwrap();
                if more.is_empty() {
                    return claimed;
                }
                for task in &more {
                    store.finish(task.claim.clone(), finish_with("1")).await.unwrap();
                }
                claimed.extend(ids(&more));
            }
        });
    }
    let mut all = claimers.join_all().await.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 60);
    assert_eq!(fixture.number("SELECT count(*) FROM tasks WHERE state = 'completed'").await, 60);
    assert_eq!(fixture.number("SELECT count(*) FROM task_usage").await, 60);
}

#[tokio::test]
async fn caps_hold_across_processes() {
    let fixture = Fixture::shared().await;
    let other = fixture.store.create_tenant("theirs").await.unwrap();
    for tenant in [fixture.tenant, other] {
        for _ in 0..10 {
            fixture.submit_for(tenant, Lane::LongRunning).await;
        }
    }
    let request = ClaimRequest {
        running_per_tenant_max: Some(2),
        running_max: Some(3),
        ..ClaimRequest::new(Lane::LongRunning, 3)
    };
    let mut claimers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let store = fixture.another_process(&format!("worker {number}")).await;
        claimers.spawn(async move { store.claim(request).await.unwrap().len() });
    }
    // A claim that would have to wait for the others takes nothing.
    let together: usize = claimers.join_all().await.iter().sum();
    let afterwards = fixture.store.claim(request).await.unwrap().len();
    assert!((1..=3).contains(&together) && together + afterwards == 3, "{together}, then {afterwards}");
    let most = "SELECT max(count) FROM (SELECT count(*) FROM tasks WHERE state = 'running' GROUP BY tenant) AS counts";
    assert_eq!(fixture.number(most).await, 2);
}

#[tokio::test]
async fn a_process_that_has_not_heard_of_a_tenants_change_starts_and_strands_none_of_its_tasks() {
    let fixture = Fixture::shared().await;
    let stale = fixture.another_process("stale").await;
    let read_again = async || {
        fixture.clock.advance(Duration::from_secs(6));
        stale.requeue_expired().await.unwrap();
    };
    let held = "SELECT count(*) FROM tasks WHERE state = 'queued' AND queue_group IS NULL";
    for lane in [Lane::Default, Lane::HighPriority] {
        let task = fixture.submit_for(fixture.tenant, lane).await;
        read_again().await;
        let [claimed] = stale.claim(ClaimRequest::new(lane, 1)).await.unwrap().try_into().unwrap();
        fixture.store.set_tenant_access(fixture.tenant, Access::Disabled).await.unwrap();
        stale.release(claimed.claim).await.unwrap();
        assert_eq!(fixture.number(held).await, 0, "{lane}: it was put back by what was known");
        assert!(fixture.claim(lane, 1).await.is_empty(), "{lane}: a disabled tenant's task does not start");
        read_again().await;
        assert_eq!(fixture.number(held).await, 1, "{lane}");

        fixture.store.set_tenant_access(fixture.tenant, Access::Enabled).await.unwrap();
        let [claimed] = stale.claim(ClaimRequest::new(lane, 1)).await.unwrap().try_into().unwrap();
        stale.release(claimed.claim).await.unwrap();
        assert_eq!(fixture.number(held).await, 1, "{lane}: it was put back by what was known");
        read_again().await;
        assert_eq!(ids(&fixture.claim(lane, 1).await), [task], "{lane}");
    }
}

#[tokio::test]
async fn a_process_that_stands_still_in_a_claim_holds_up_no_other_ones_heartbeats() {
    let fixture = Fixture::shared().await;
    fixture.submit().await;
    let claimed = fixture.claim_one().await;
    let waiting = fixture.submit().await.id;
    let mut still = PgConnection::connect(fixture.database.app_url()).await.unwrap();
    sqlx::query("BEGIN").execute(&mut still).await.unwrap();
    // What a claim from the default lane takes first.
    let lane_lock = 0x6d65_6361_7079_0001_i64;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lane_lock).execute(&mut still).await.unwrap();
    let asked = std::time::Instant::now();
    let (nothing, beats) =
        tokio::join!(fixture.claim(Lane::Default, 1), fixture.store.heartbeat(vec![claimed.claim.clone()]));
    assert!(nothing.is_empty());
    assert_eq!(beats.unwrap(), [(claimed.task.id, Beat::Extended)]);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    sqlx::query("ROLLBACK").execute(&mut still).await.unwrap();
    assert_eq!(ids(&fixture.claim(Lane::Default, 1).await), [waiting]);
}

#[tokio::test]
async fn security_37_the_queued_quota_is_never_passed_by_parallel_processes() {
    let fixture = Fixture::shared().await;
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..4 {
        let store = fixture.another_process(&format!("node {number}")).await;
        let task = new_task(fixture.tenant);
        senders.spawn(async move {
            let mut one = tokio::task::JoinSet::new();
            for _ in 0..50 {
                let (store, task) = (store.clone(), task.clone());
                one.spawn(async move { store.submit(Submission { task, idempotency: None, queued_max: 30 }).await });
            }
            one.join_all().await
        });
    }
    let answers: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
    let refused =
        answers.iter().filter(|answer| matches!(answer, Err(SubmitError::QueueFull { queued_max: 30 }))).count();
    assert_eq!((answers.iter().filter(|answer| answer.is_ok()).count(), refused), (30, 170));
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 30);
}

#[tokio::test]
async fn a_tenants_running_quota_holds_over_all_lanes_and_processes() {
    let fixture = Fixture::shared().await;
    let store = &fixture.store;
    for lane in Lane::ALL {
        for _ in 0..10 {
            fixture.submit_for(fixture.tenant, lane).await;
        }
    }
    store.set_quota(fixture.tenant, Quota { running_max: Some(4), ..Quota::default() }).await.unwrap();
    let mut claimers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let store = fixture.another_process(&format!("worker {number}")).await;
        for lane in Lane::ALL {
            let store = store.clone();
            claimers.spawn(async move { store.claim(ClaimRequest::new(lane, 3)).await.unwrap().len() });
        }
    }
    // A claim that would have to wait for the others takes nothing.
    let together: usize = claimers.join_all().await.iter().sum();
    assert!((1..=4).contains(&together), "{together}");
    for lane in Lane::ALL {
        store.claim(ClaimRequest::new(lane, 10)).await.unwrap();
    }
    assert_eq!(fixture.number("SELECT count(*) FROM tasks WHERE state = 'running'").await, 4);
}

#[tokio::test]
async fn a_task_in_the_line_of_all_tenants_counts_for_its_quota_too() {
    let fixture = Fixture::shared().await;
    let other = fixture.store.create_tenant("theirs").await.unwrap();
    fixture.store.set_quota(fixture.tenant, Quota { running_max: Some(1), ..Quota::default() }).await.unwrap();
    for tenant in [fixture.tenant, fixture.tenant, other] {
        fixture.submit_for(tenant, Lane::HighPriority).await;
    }
    // As a process does that has not heard of the quota.
    let mut connection = PgConnection::connect(fixture.database.owner_url().unwrap()).await.unwrap();
    sqlx::query("SET mecapy.tenant = '*'").execute(&mut connection).await.unwrap();
    let nobody = "UPDATE tasks SET queue_group = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(sqlx::query(nobody).execute(&mut connection).await.unwrap().rows_affected(), 3);
    let claimed = fixture.claim(Lane::HighPriority, 10).await;
    let tenants: Vec<_> = claimed.iter().map(|claimed| claimed.task.tenant).collect();
    assert_eq!(tenants, [fixture.tenant, other]);
}

#[tokio::test]
async fn a_quota_that_is_set_here_holds_there_within_a_second_or_two() {
    let fixture = Fixture::shared().await;
    let other = fixture.another_process("other").await;
    let quota = Quota { requests_per_second_max: Some(7), ..Quota::default() };
    fixture.store.set_quota(fixture.tenant, quota).await.unwrap();
    for _ in 0..500 {
        if other.quota(fixture.tenant) == quota {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after 5 s the other process still says {:?}", other.quota(fixture.tenant));
}

#[tokio::test]
async fn what_one_process_commits_another_hears_or_sees() {
    let fixture = Fixture::shared().await;
    let other = fixture.another_process("other").await;
    let task = fixture.submit().await;
    let waiting = other.clone();
    let tenant = fixture.tenant;
    let waiter = tokio::spawn(async move { waiting.wait(tenant, task.id, Duration::from_secs(10)).await });
    let claimed = fixture.claim_one().await;
    fixture.store.finish(claimed.claim, finish_with("3")).await.unwrap();
    let result = waiter.await.unwrap().unwrap().unwrap();
    assert_eq!((result.state, result.result.unwrap().get()), (TaskState::Completed, "3"));
}

#[tokio::test]
async fn a_stranger_who_follows_a_task_first_hides_nothing_from_its_tenant() {
    let fixture = Fixture::shared().await;
    let other = fixture.another_process("other").await;
    let stranger = fixture.store.create_tenant("theirs").await.unwrap();
    let task = fixture.submit().await.id;
    // More than one question asks for.
    let _more: Vec<_> = (0..100).map(|number| other.watch(stranger, TaskId::from_parts(number, &[1; 10]))).collect();
    let _stranger = other.watch(stranger, task);
    let mut watch = other.watch(fixture.tenant, task);
    let claimed = fixture.claim_one().await;
    fixture.store.finish(claimed.claim, finish_with("3")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), watch.ended()).await.expect("its end");
}

#[tokio::test]
async fn parallel_processes_never_make_more_webhooks_than_a_tenant_may_have() {
    let fixture = Fixture::shared().await;
    let new =
        NewWebhook { tenant: fixture.tenant, url: "https://a.example/".to_owned(), events: EventType::ALL.to_vec() };
    let mut makers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let store = fixture.another_process(&format!("node {number}")).await;
        let new = new.clone();
        makers.spawn(async move {
            let mut made = 0;
            // One at a time, so that each counts in a transaction of its own.
            for _ in 0..40 {
                made += u32::from(store.create_webhook(new.clone()).await.is_ok());
            }
            made
        });
    }
    assert_eq!(makers.join_all().await.iter().sum::<u32>(), WEBHOOKS_PER_TENANT_MAX);
    assert_eq!(fixture.number("SELECT count(*) FROM webhooks").await, i64::from(WEBHOOKS_PER_TENANT_MAX));
}

#[tokio::test]
async fn of_two_processes_that_delete_a_task_at_once_one_does() {
    let fixture = Fixture::shared().await;
    let other = fixture.another_process("other").await;
    let (tenant, task) = (fixture.tenant, fixture.submit().await.id);
    fixture.store.cancel(tenant, task).await.unwrap();
    let mut still = PgConnection::connect(fixture.database.owner_url().unwrap()).await.unwrap();
    sqlx::query("SET mecapy.tenant = '*'").execute(&mut still).await.unwrap();
    sqlx::query("BEGIN").execute(&mut still).await.unwrap();
    sqlx::query("SELECT no FROM tasks FOR UPDATE").execute(&mut still).await.unwrap();
    let mut deleting = tokio::task::JoinSet::new();
    for store in [fixture.store.clone(), other] {
        deleting.spawn(async move { store.delete_task(tenant, task).await.unwrap() });
    }
    // Until both wait for the row, as one of the same role can see.
    let mut looking = PgConnection::connect(fixture.database.app_url()).await.unwrap();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..500 {
        let count: i64 = sqlx::query(waiting).fetch_one(&mut looking).await.unwrap().get(0);
        if count == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sqlx::query("ROLLBACK").execute(&mut still).await.unwrap();
    let answers = deleting.join_all().await;
    assert!(answers.contains(&Deleted::Yes) && answers.contains(&Deleted::Missing), "{answers:?}");
    assert_eq!(fixture.number("SELECT count(*) FROM audit WHERE action = 'task.deleted'").await, 1);
}

#[tokio::test]
async fn keys_that_are_made_and_revoked_here_count_there_within_a_second_or_two() {
    let fixture = Fixture::shared().await;
    let other = fixture.another_process("other").await;
    let new = mecapy_store::NewApiKey {
        tenant: fixture.tenant,
        name: "k".to_owned(),
        role: mecapy_store::Role::Engineer,
        scopes: None,
        expires_at: None,
    };
    let made = fixture.store.create_api_key(new).await.unwrap();
    let until = async |there: bool| {
        for _ in 0..500 {
            if other.authenticate(made.secret.expose()).is_some() == there {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("after 5 s the other process still says {}", !there);
    };
    until(true).await;
    fixture.store.revoke_api_key(fixture.tenant, made.key.id).await.unwrap();
    until(false).await;
}

#[tokio::test]
async fn security_27_row_security_hides_other_tenants_even_from_a_query_that_forgets_them() {
    let fixture = Fixture::shared().await;
    let theirs = fixture.store.create_tenant("theirs").await.unwrap();
    fixture.submit().await;
    fixture.submit_for(theirs, Lane::Default).await;
    let mut connection = PgConnection::connect(fixture.database.app_url()).await.unwrap();
    for tenant in [fixture.tenant, theirs] {
        let new = NewWebhook { tenant, url: "https://a.example/".to_owned(), events: EventType::ALL.to_vec() };
        let (webhook, _) = fixture.store.create_webhook(new).await.unwrap();
        fixture.store.ping_webhook(tenant, webhook.id).await.unwrap();
        fixture.store.rotate_task_secret(tenant).await.unwrap();
    }
    let tables = ["tasks", "task_specs", "task_events", "webhooks", "webhook_deliveries", "task_webhook_secrets"];
    for (setting, expected) in [(String::new(), 0), (fixture.tenant.to_string(), 1), ("*".to_owned(), 2)] {
        sqlx::query("SELECT set_config('mecapy.tenant', $1, false)")
            .bind(&setting)
            .execute(&mut connection)
            .await
            .unwrap();
        for table in tables {
            let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            let seen: i64 = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
            assert_eq!(seen, expected, "{table} as {setting:?}");
        }
    }
    // Nor can a role that owns nothing switch it off.
    assert!(sqlx::query("ALTER TABLE tasks DISABLE ROW LEVEL SECURITY").execute(&mut connection).await.is_err());
    sqlx::query("SELECT set_config('mecapy.tenant', $1, false)")
        .bind(fixture.tenant.to_string())
        .execute(&mut connection)
        .await
        .unwrap();
    let stolen = sqlx::query("UPDATE tasks SET state = 'cancelled'").execute(&mut connection).await.unwrap();
    assert_eq!(stolen.rows_affected(), 1);
}
