//! Accepting tasks: what is read back, idempotency, quotas, refusals.

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{BatchId, Code, Digest, Lane, Reuse, RunId, StudyId, TaskState, TenantId, Ties, UploadId, Warning};
use mecapy_store::{Idempotency, NewTask, NewUpload, Replayed, Submission, SubmitError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[tokio::test]
async fn a_task_reads_back_as_it_was_submitted() {
    let fixture = Fixture::new().await;
    // Without U+0000, which is refused before it comes here: PostgreSQL has no room for it.
    let naughty = "é\u{202e}\u{1}'\";-- \u{1f600}";
    let task = NewTask {
        name: Some(naughty.to_owned()),
        labels: BTreeMap::from([(naughty.to_owned(), "A320".to_owned())]),
        code: Code::Wasm { module: Digest([9; 32]) },
        inputs: crate::fixture::json(r#"{"F":1.10, "n":123456789012345678901234567890}"#),
        run_at: Some(mecapy_store::Clock::now(&*fixture.clock) + Duration::from_secs(5)),
        warnings: vec![Warning { code: "w".to_owned(), message: naughty.to_owned(), line: Some(3), pointer: None }],
        ties: Ties {
            batch: Some(BatchId::from_parts(1, &[1; 10])),
            run: Some(RunId::from_parts(2, &[2; 10])),
            study: Some(StudyId::from_parts(3, &[3; 10])),
            cached_from: None,
            cache_key: Some(Digest([4; 32])),
            reuse: Reuse::Miss,
        },
        ..new_task(fixture.tenant)
    };
    let submitted = fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap();
    assert_eq!((submitted.replayed, submitted.queue_position), (Replayed::No, Some(0)));
    let read = fixture.store.task(fixture.tenant, submitted.task.id).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", submitted.task));
    assert_eq!(read.inputs.get(), r#"{"F":1.10, "n":123456789012345678901234567890}"#);
    assert_eq!((read.name.as_deref(), read.seed, read.state), (Some(naughty), u64::MAX, TaskState::Queued));
}

#[tokio::test]
async fn a_hundred_concurrent_submissions_with_one_key_make_one_task() {
    let fixture = Fixture::new().await;
    let key = Idempotency { key: "k".to_owned(), body_digest: [1; 32] };
    let submissions = (0..100).map(|_| {
        let submission = Submission { idempotency: Some(key.clone()), ..fixture.submission() };
        let store = fixture.store.clone();
        tokio::spawn(async move { store.submit(submission).await.unwrap() })
    });
    let (mut made, mut new) = (BTreeSet::new(), 0);
    for submission in submissions.collect::<Vec<_>>() {
        let submitted = submission.await.unwrap();
        new += u32::from(submitted.replayed == Replayed::No);
        made.insert(submitted.task.id);
    }
    assert_eq!((made.len(), new), (1, 1));
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_body_and_one_tenant_and_outlives_no_task() {
    let fixture = Fixture::new().await;
    let with = |body, tenant| Submission {
        task: new_task(tenant),
        idempotency: Some(Idempotency { key: "k".to_owned(), body_digest: [body; 32] }),
        queued_max: 100,
    };
    let before = |body| {
        let (store, tenant) = (fixture.store.clone(), fixture.tenant);
        async move { store.submitted_before(tenant, &Idempotency { key: "k".to_owned(), body_digest: [body; 32] }).await }
    };
    assert!(before(1).await.unwrap().is_none());
    let first = fixture.store.submit(with(1, fixture.tenant)).await.unwrap().task.id;
    let again = fixture.store.submit(with(1, fixture.tenant)).await.unwrap();
    assert_eq!((again.task.id, again.replayed, again.queue_position), (first, Replayed::Yes, Some(0)));
    assert!(matches!(fixture.store.submit(with(2, fixture.tenant)).await, Err(SubmitError::IdempotencyMismatch)));
    // What was submitted before is told as a submission would tell it.
    let told = before(1).await.unwrap().unwrap();
    assert_eq!(format!("{told:?}"), format!("{again:?}"));
    assert!(matches!(before(2).await, Err(SubmitError::IdempotencyMismatch)));
    let other = fixture.store.create_tenant("other").await.unwrap();
    assert_ne!(fixture.store.submit(with(2, other)).await.unwrap().task.id, first);

    fixture.store.cancel(fixture.tenant, first).await.unwrap();
    fixture.store.delete_task(fixture.tenant, first).await.unwrap();
    assert!(before(1).await.unwrap().is_none() && before(2).await.unwrap().is_none());
    let anew = fixture.store.submit(with(2, fixture.tenant)).await.unwrap();
    assert_eq!(anew.replayed, Replayed::No);
}

#[tokio::test]
async fn old_keys_are_forgotten_after_a_day() {
    let fixture = Fixture::new().await;
    let idempotency = Some(Idempotency { key: "k".to_owned(), body_digest: [1; 32] });
    let submission = || Submission { idempotency: idempotency.clone(), ..fixture.submission() };
    let first = fixture.store.submit(submission()).await.unwrap().task.id;
    fixture.clock.advance(Duration::from_secs(23 * 3_600));
    assert_eq!(fixture.store.collect_garbage().await.unwrap().idempotency_keys, 0);
    fixture.clock.advance(Duration::from_secs(2 * 3_600));
    assert_eq!(fixture.store.collect_garbage().await.unwrap().idempotency_keys, 1);
    assert_ne!(fixture.store.submit(submission()).await.unwrap().task.id, first);
}

#[tokio::test]
async fn two_hundred_submissions_at_the_quotas_edge_are_never_over() {
    let fixture = Fixture::new().await;
    let submissions: Vec<_> = (0..200)
        .map(|number| {
            let mut submission = Submission { queued_max: 50, ..fixture.submission() };
            submission.task.lane = Lane::ALL[number % 3];
            let store = fixture.store.clone();
            tokio::spawn(async move { store.submit(submission).await })
        })
        .collect();
    let (mut accepted, mut full) = (0, 0);
    for submission in submissions {
        match submission.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(SubmitError::QueueFull { queued_max: 50 }) => full += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((accepted, full), (50, 150));
    let other = fixture.store.create_tenant("other").await.unwrap();
    fixture.submit_for(other, Lane::Default).await;
    let claimed = fixture.claim_one().await;
    fixture.store.finish(claimed.claim, finish_with("{}")).await.unwrap();
}

#[tokio::test]
async fn unknown_tenants_and_foreign_or_unfinished_uploads_are_refused_alone() {
    let fixture = Fixture::new().await;
    let stranger = TenantId::from_parts(1, &[3; 10]);
    let foreign = fixture.store.create_tenant("other").await.unwrap();
    let theirs = {
        let new = NewUpload { name: None, content_type: None, bytes_max: 10 };
        let mut upload = fixture.store.begin_upload(foreign, new).await.unwrap();
        upload.write(b"mesh").await.unwrap();
        upload.finish().await.unwrap().id
    };
    let awaited = NewUpload { name: None, content_type: None, bytes_max: 10 };
    let awaited = fixture.store.reserve_upload(fixture.tenant, awaited).await.unwrap().id;
    let with = |upload: UploadId| {
        let files = BTreeMap::from([("mesh.med".to_owned(), upload)]);
        Submission { task: NewTask { files, ..new_task(fixture.tenant) }, ..fixture.submission() }
    };
    let (good, unknown, theirs, awaited) = tokio::join!(
        fixture.store.submit(fixture.submission()),
        fixture.store.submit(Submission { task: new_task(stranger), ..fixture.submission() }),
        fixture.store.submit(with(theirs)),
        fixture.store.submit(with(awaited)),
    );
    good.unwrap();
    assert!(matches!(unknown, Err(SubmitError::TenantDisabled)));
    for refused in [theirs, awaited] {
        assert!(matches!(refused, Err(SubmitError::UnknownUpload { file }) if file == "mesh.med"));
    }
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 1);
}

#[tokio::test]
async fn positions_count_what_runs_first() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    for lane in [Lane::HighPriority, Lane::LongRunning] {
        for expected in 0..3 {
            let mut submission = fixture.submission();
            submission.task.lane = lane;
            let submitted = fixture.store.submit(submission).await.unwrap();
            let (_, position) =
                fixture.store.task_with_position(fixture.tenant, submitted.task.id).await.unwrap().unwrap();
            assert_eq!((submitted.queue_position, position), (Some(expected), Some(expected)), "{lane}");
        }
    }
    for _ in 0..10 {
        fixture.submit().await;
    }
    // The other tenant's first task has its turn after ours, not after all ten of ours.
    let task = NewTask { priority: 5, ..new_task(other) };
    let theirs = fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap();
    let position = theirs.queue_position.unwrap();
    assert!(position <= 1, "{position}");
    let claimed = fixture.claim(Lane::Default, 11).await;
    assert_eq!(
        claimed.iter().position(|claimed| claimed.task.id == theirs.task.id),
        Some(usize::try_from(position).unwrap())
    );
    let (task, position) = fixture.store.task_with_position(other, theirs.task.id).await.unwrap().unwrap();
    assert_eq!((task.state, position), (TaskState::Running, None));
}
