//! What a tenant may have and use altogether.

use crate::fixture::{Fixture, finish_with, ids, new_task, open_when_free};
use mecapy_model::{Artifact, ArtifactName, Digest, ErrorKind, Lane, Usage};
use mecapy_store::{
    Finish, Found, Idempotency, NewModule, NewTask, NewUpload, PreviewUsage, Quota, QuotaKind, Replayed, StoreError,
    StoreOptions, Submission, SubmitError, UploadError, Written,
};
use std::time::Duration;

fn running(max: u32) -> Quota {
    Quota { running_max: Some(max), ..Quota::default() }
}

#[tokio::test]
async fn a_tenants_own_limits_are_kept_and_hold_over_the_servers() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let quota = Quota { queued_max: Some(3), fuel_per_day_max: Some(1 << 60), ..Quota::default() };
    assert_eq!(fixture.store.set_quota(fixture.tenant, quota).await.unwrap(), Found::Yes);
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.store.quota(fixture.tenant), quota);
    assert_eq!(fixture.store.tenant(fixture.tenant).await.unwrap().unwrap().quota, quota);
    assert_eq!(fixture.store.quota(other), Quota::default());
    let stranger = mecapy_model::TenantId::from_parts(1, &[1; 10]);
    assert_eq!(fixture.store.set_quota(stranger, quota).await.unwrap(), Found::No);
    assert!(fixture.store.tenant(stranger).await.unwrap().is_none());
}

#[tokio::test]
async fn security_37_two_hundred_submissions_never_pass_the_tenants_own_queue_limit() {
    let fixture = Fixture::new().await;
    let quota = Quota { queued_max: Some(40), ..Quota::default() };
    fixture.store.set_quota(fixture.tenant, quota).await.unwrap();
    let submissions: Vec<_> = (0..200)
        .map(|number| {
            let mut submission = fixture.submission();
            submission.task.lane = Lane::ALL[number % 3];
            let store = fixture.store.clone();
            tokio::spawn(async move { store.submit(submission).await })
        })
        .collect();
    let (mut accepted, mut full) = (0, 0);
    for submission in submissions {
        match submission.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(SubmitError::QueueFull { queued_max: 40 }) => full += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((accepted, full), (40, 160));
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 40);
    // Also more than what the caller takes for the limit.
    fixture.store.set_quota(fixture.tenant, Quota { queued_max: Some(41), ..quota }).await.unwrap();
    fixture.store.submit(Submission { queued_max: 1, ..fixture.submission() }).await.unwrap();
    assert!(fixture.store.submit(fixture.submission()).await.is_err());
}

#[tokio::test]
async fn a_running_quota_counts_all_lanes_and_holds_up_nobody_else() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let other = store.create_tenant("other").await.unwrap();
    for lane in Lane::ALL {
        for tenant in [fixture.tenant, fixture.tenant, fixture.tenant, other] {
            fixture.submit_for(tenant, lane).await;
        }
    }
    // Also for what was queued before.
    store.set_quota(fixture.tenant, running(2)).await.unwrap();
    let mut ours = Vec::new();
    for lane in Lane::ALL {
        let claimed = fixture.claim(lane, 10).await;
        assert_eq!(claimed.iter().filter(|claimed| claimed.task.tenant == other).count(), 1, "{lane}");
        ours.extend(claimed.into_iter().filter(|claimed| claimed.task.tenant == fixture.tenant));
    }
    assert_eq!(ours.len(), 2);
    for lane in Lane::ALL {
        assert!(fixture.claim(lane, 10).await.is_empty(), "{lane}");
    }
    // The end of one makes room for one, in whichever lane is asked first.
    let ended = ours.pop().unwrap();
    store.finish(ended.claim, finish_with("{}")).await.unwrap();
    assert_eq!(fixture.claim(Lane::LongRunning, 10).await.len(), 1);
    assert!(fixture.claim(Lane::Default, 10).await.is_empty());
    // What is given back makes room too.
    let given_back = ours.pop().unwrap();
    store.release(given_back.claim).await.unwrap();
    assert_eq!(fixture.claim(Lane::Default, 10).await.len(), 1);
    store.set_quota(fixture.tenant, Quota::default()).await.unwrap();
    let rest: usize = {
        let mut rest = 0;
        for lane in Lane::ALL {
            rest += fixture.claim(lane, 10).await.len();
        }
        rest
    };
    assert_eq!(rest, 9 - 3);
}

#[tokio::test]
async fn with_a_quota_high_priority_is_still_first_come_first_served() {
    let fixture = Fixture::new().await;
    let (other, third) =
        (fixture.store.create_tenant("other").await.unwrap(), fixture.store.create_tenant("third").await.unwrap());
    fixture.store.set_quota(fixture.tenant, running(2)).await.unwrap();
    let mut expected = Vec::new();
    for tenant in [other, fixture.tenant, third, fixture.tenant, other] {
        expected.push(fixture.submit_for(tenant, Lane::HighPriority).await);
    }
    let full = fixture.submit_for(fixture.tenant, Lane::HighPriority).await;
    expected.push(fixture.submit_for(third, Lane::HighPriority).await);
    assert_eq!(ids(&fixture.claim(Lane::HighPriority, 100).await), expected);
    let (task, position) = fixture.store.task_with_position(fixture.tenant, full).await.unwrap().unwrap();
    assert_eq!((task.state, position), (mecapy_model::TaskState::Queued, Some(0)));
    fixture.store.set_quota(fixture.tenant, running(0)).await.unwrap();
    assert!(fixture.claim(Lane::HighPriority, 1).await.is_empty());
    fixture.store.set_quota(fixture.tenant, running(3)).await.unwrap();
    assert_eq!(ids(&fixture.claim(Lane::HighPriority, 1).await), [full]);
}

#[tokio::test]
async fn a_servers_running_quota_holds_for_what_was_queued_without_one() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    for tenant in [fixture.tenant, fixture.tenant, other, other] {
        fixture.submit_for(tenant, Lane::HighPriority).await;
    }
    let options = fixture.database.options(&fixture.data());
    let clock = fixture.clock.clone();
    fixture.store.close().await;
    let with = |quota| StoreOptions { quota, ..options.clone() };
    let store = open_when_free(with(running(1)), clock.clone()).await;
    let request = mecapy_store::ClaimRequest::new(Lane::HighPriority, 10);
    let claimed = store.claim(request).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert_ne!(claimed[0].task.tenant, claimed[1].task.tenant);
    // A tenant's own holds over the server's.
    store.set_quota(other, running(2)).await.unwrap();
    assert_eq!(store.claim(request).await.unwrap().len(), 1);
    assert!(store.has_running_quotas());
    for claimed in claimed {
        store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    }
    store.close().await;
    let store = open_when_free(with(Quota::default()), clock).await;
    let position = store.task_with_position(fixture.tenant, fixture_last(&store, fixture.tenant).await).await.unwrap();
    assert_eq!(position.unwrap().1, Some(0));
    assert!(!store.claim(request).await.unwrap().is_empty());
}

/// The tenant's task that is still queued.
async fn fixture_last(store: &mecapy_store::Store, tenant: mecapy_model::TenantId) -> mecapy_model::TaskId {
    let queued = mecapy_store::TaskQuery { state: Some(mecapy_model::TaskState::Queued), ..Default::default() };
    store.tasks(tenant, queued).await.unwrap().tasks[0].id
}

#[tokio::test]
async fn a_days_fuel_ends_at_midnight_and_a_repeated_request_costs_none() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let quota = Quota { fuel_per_day_max: Some(20), ..Quota::default() };
    store.set_quota(fixture.tenant, quota).await.unwrap();
    let key = Idempotency { key: "k".to_owned(), body_digest: [1; 32] };
    let keyed = || Submission { idempotency: Some(key.clone()), ..fixture.submission() };
    let first = store.submit(keyed()).await.unwrap().task.id;
    let spend = async |fuel: u64| {
        let claimed = fixture.claim_one().await;
        let usage = Usage { fuel, ..Usage::default() };
        store.finish(claimed.claim, Finish { usage, ..finish_with("{}") }).await.unwrap();
    };
    spend(7).await;
    // Long ago, as far as the sum is concerned.
    fixture.clock.advance(Duration::from_secs(900));
    assert_eq!(store.fuel_today(fixture.tenant).await.unwrap(), 7);
    store.submit(fixture.submission()).await.unwrap();
    spend(12).await;
    fixture.clock.advance(Duration::from_secs(3));
    assert_eq!(store.fuel_today(fixture.tenant).await.unwrap(), 19);
    assert_eq!(store.over_fuel(fixture.tenant).await.unwrap(), None);
    let usage = Usage { fuel: 3, ..Usage::default() };
    let failed = PreviewUsage { tenant: fixture.tenant, error_kind: Some(ErrorKind::Timeout), usage };
    store.record_preview_usage(failed);
    // Written behind within a second.
    for _ in 0..1_000 {
        if fixture.number("SELECT count(*) FROM preview_usage").await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fixture.clock.advance(Duration::from_secs(3));
    let over = store.over_fuel(fixture.tenant).await.unwrap().unwrap();
    assert_eq!((over.kind, over.used, over.limit), (QuotaKind::FuelPerDay, 22, 20));
    match store.submit(fixture.submission()).await {
        Err(SubmitError::OverFuel(refused)) => assert_eq!((refused.used, refused.limit), (22, 20)),
        other => panic!("{other:?}"),
    }
    let again = store.submit(keyed()).await.unwrap();
    assert_eq!((again.task.id, again.replayed), (first, Replayed::Yes));
    let other = store.create_tenant("other").await.unwrap();
    store.submit(Submission { task: new_task(other), ..fixture.submission() }).await.unwrap();
    fixture.clock.advance(over.retry_after);
    assert_eq!(store.over_fuel(fixture.tenant).await.unwrap(), None);
    store.submit(fixture.submission()).await.unwrap();
}

#[tokio::test]
async fn fuel_that_is_written_down_minutes_late_counts() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.submit().await;
    let usage = Usage { fuel: 7, ..Usage::default() };
    let finish = store.prepare_finish(fixture.claim_one().await.claim, Finish { usage, ..finish_with("{}") });
    for _ in 0..5 {
        fixture.clock.advance(Duration::from_secs(60));
        assert_eq!(store.fuel_today(fixture.tenant).await.unwrap(), 0);
    }
    assert_eq!(store.write_finish(&finish).await.unwrap(), Written::Done);
    for _ in 0..30 {
        fixture.clock.advance(Duration::from_secs(60));
        assert_eq!(store.fuel_today(fixture.tenant).await.unwrap(), 7);
    }
}

fn upload(bytes_max: u64) -> NewUpload {
    NewUpload { name: None, content_type: None, bytes_max }
}

fn module(size: u8) -> NewModule {
    let bytes = vec![0; usize::from(size)];
    NewModule { digest: Digest([size; 32]), bytes, imports: vec![], exports: vec![], warnings: vec![] }
}

#[tokio::test]
async fn uploads_modules_and_artifacts_share_the_storage_quota() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    store.set_quota(tenant, Quota { storage_bytes_max: Some(10), ..Quota::default() }).await.unwrap();
    let mut large = store.begin_upload(tenant, upload(1 << 20)).await.unwrap();
    let refused = large.write(&[0; 11]).await;
    assert!(matches!(refused, Err(UploadError::Store(StoreError::OverQuota(_)))), "{refused:?}");
    drop(large);
    let mut first = store.begin_upload(tenant, upload(1 << 20)).await.unwrap();
    first.write(b"123456").await.unwrap();
    let first = first.finish().await.unwrap();
    // Who has to say first how much comes is told what there is room for.
    assert_eq!(store.reserve_upload(tenant, upload(1 << 20)).await.unwrap().bytes_max, 4);
    assert!(matches!(store.put_module(tenant, module(5)).await, Err(StoreError::OverQuota(_))));
    // Two that fit by themselves and not together.
    let mut pending = Vec::new();
    for _ in 0..2 {
        let mut upload = store.begin_upload(tenant, upload(1 << 20)).await.unwrap();
        upload.write(b"123").await.unwrap();
        pending.push(upload);
    }
    let refused = pending.pop().unwrap();
    let refused_id = refused.upload().id;
    pending.pop().unwrap().finish().await.unwrap();
    match refused.finish().await {
        Err(UploadError::Store(StoreError::OverQuota(over))) => {
            assert_eq!((over.kind, over.used, over.limit), (QuotaKind::StorageBytes, 9, 10));
        }
        other => panic!("{other:?}"),
    }
    assert!(store.upload(tenant, refused_id).await.unwrap().is_none());
    store.put_module(tenant, module(1)).await.unwrap();
    assert_eq!(store.stored_bytes(tenant).await.unwrap(), 10);
    assert!(matches!(store.begin_upload(tenant, upload(5)).await, Err(StoreError::OverQuota(_))));
    // The same module again takes no room.
    store.put_module(tenant, module(1)).await.unwrap();

    fixture.submit().await;
    let claimed = fixture.claim_one().await;
    let artifact = |bytes: usize| Artifact::new(ArtifactName::parse("out.bin").unwrap(), vec![0; bytes]);
    assert!(matches!(store.store_artifacts(&claimed.claim, &[artifact(1)]).await, Err(StoreError::OverQuota(_))));
    assert!(store.store_artifacts(&claimed.claim, &[]).await.unwrap().is_empty());
    store.delete_upload(tenant, first.id).await.unwrap();
    let stored = store.store_artifacts(&claimed.claim, &[artifact(6)]).await.unwrap();
    let task = claimed.task.id;
    store.finish(claimed.claim, Finish { artifacts: stored, ..finish_with("{}") }).await.unwrap();
    assert_eq!(store.stored_bytes(tenant).await.unwrap(), 10);
    store.delete_task(tenant, task).await.unwrap();
    assert_eq!(store.stored_bytes(tenant).await.unwrap(), 4);
    let other = store.create_tenant("other").await.unwrap();
    assert_eq!(store.stored_bytes(other).await.unwrap(), 0);
    store.put_module(other, module(200)).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_is_enabled_again_keeps_its_lines() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    store.set_quota(fixture.tenant, running(1)).await.unwrap();
    for _ in 0..3 {
        let task = NewTask { lane: Lane::HighPriority, ..new_task(fixture.tenant) };
        store.submit(Submission { task, ..fixture.submission() }).await.unwrap();
    }
    store.set_tenant_access(fixture.tenant, mecapy_store::Access::Disabled).await.unwrap();
    assert!(fixture.claim(Lane::HighPriority, 10).await.is_empty());
    store.set_tenant_access(fixture.tenant, mecapy_store::Access::Enabled).await.unwrap();
    assert_eq!(fixture.claim(Lane::HighPriority, 10).await.len(), 1);
    assert_eq!(store.quota(fixture.tenant), running(1));
}
