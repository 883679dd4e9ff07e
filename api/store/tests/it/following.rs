//! Events, logs and waiting.

use crate::fixture::{Fixture, finish_with};
use mecapy_model::{LogStream, Progress, TaskId, TaskState};
use mecapy_store::{Deleted, EVENTS_PAGE_MAX, EventKind, Finish, LOG_INLINE_BYTES_MAX, NewLog, ObjectKey, Written};
use std::time::Duration;
use time::OffsetDateTime;

fn log(text: &str) -> NewLog {
    NewLog { stream: LogStream::Stdout, text: text.to_owned() }
}

#[tokio::test]
async fn events_come_in_order_and_resume_anywhere() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let claim = fixture.claim_one().await.claim;
    for fraction in [0.25, 0.5] {
        let progress = Progress { fraction, message: Some("half way".to_owned()) };
        fixture.store.note(claim.clone(), Vec::new(), Some(progress)).await.unwrap();
    }
    fixture.store.note(claim.clone(), vec![log("one"), log("two")], None).await.unwrap();
    let running = fixture.store.events(fixture.tenant, id, 0).await.unwrap().unwrap();
    assert!(!running.done);
    fixture.store.finish(claim, Finish { logs: vec![log("three")], ..finish_with("{}") }).await.unwrap();

    let page = fixture.store.events(fixture.tenant, id, 0).await.unwrap().unwrap();
    assert!(page.done);
    assert_eq!(page.events[..running.events.len()], running.events[..]);
    let kinds: Vec<_> = page.events.iter().map(|event| event.kind.clone()).collect();
    let text = |text: &str| EventKind::Log { stream: LogStream::Stdout, text: text.to_owned() };
    let state = |state, attempt| EventKind::State { state, attempt };
    let expected = [
        state(TaskState::Queued, 0),
        state(TaskState::Running, 1),
        EventKind::Progress(Progress { fraction: 0.5, message: Some("half way".to_owned()) }),
        text("one"),
        text("two"),
        text("three"),
        state(TaskState::Completed, 1),
        EventKind::Done { state: TaskState::Completed },
    ];
    assert_eq!(kinds, expected);
    assert!(page.events.windows(2).all(|pair| pair[0].id < pair[1].id));
    for (at, event) in page.events.iter().enumerate() {
        let rest = fixture.store.events(fixture.tenant, id, event.id).await.unwrap().unwrap();
        assert_eq!(rest.events, page.events[at + 1..]);
        assert!(rest.done);
    }
    for beyond in [10_000, u64::MAX] {
        assert!(fixture.store.events(fixture.tenant, id, beyond).await.unwrap().unwrap().events.is_empty());
    }
}

#[tokio::test]
async fn long_logs_come_in_pages_without_a_gap() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let claim = fixture.claim_one().await.claim;
    let lines = usize::try_from(EVENTS_PAGE_MAX).unwrap() * 2 + 5;
    let entries = (0..lines).map(|line| log(&format!("{line}\n"))).collect();
    fixture.store.note(claim.clone(), entries, None).await.unwrap();
    fixture.store.finish(claim, finish_with("{}")).await.unwrap();
    let expected: Vec<String> = (0..lines).map(|line| format!("{line}\n")).collect();

    let (mut texts, mut since) = (Vec::new(), 0);
    loop {
        let page = fixture.store.logs(fixture.tenant, id, since).await.unwrap().unwrap();
        texts.extend(page.entries.into_iter().map(|entry| entry.text));
        since = page.next_index;
        if page.done {
            break;
        }
    }
    assert_eq!(texts, expected);

    let (mut texts, mut after, mut last) = (Vec::new(), 0, None);
    loop {
        let page = fixture.store.events(fixture.tenant, id, after).await.unwrap().unwrap();
        for event in page.events {
            after = event.id;
            last = Some(event.kind.clone());
            if let EventKind::Log { text, .. } = event.kind {
                texts.push(text);
            }
        }
        if page.done {
            break;
        }
    }
    assert_eq!(texts, expected);
    assert_eq!(last, Some(EventKind::Done { state: TaskState::Completed }));
}

#[tokio::test]
async fn a_waiter_is_told_at_the_end_and_not_before() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let early = fixture.store.wait(fixture.tenant, id, Duration::from_millis(20)).await.unwrap().unwrap();
    assert_eq!(early.state, TaskState::Queued);
    let store = fixture.store.clone();
    let tenant = fixture.tenant;
    let waiters: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.wait(tenant, id, Duration::from_secs(30)).await.unwrap().unwrap() })
        })
        .collect();
    let claim = fixture.claim_one().await.claim;
    fixture.store.finish(claim, finish_with("[1.50]")).await.unwrap();
    for waiter in waiters {
        let result = tokio::time::timeout(Duration::from_secs(5), waiter).await.unwrap().unwrap();
        assert_eq!((result.state, result.result.unwrap().get()), (TaskState::Completed, "[1.50]"));
    }
    let late = store.wait(tenant, id, Duration::from_secs(30)).await.unwrap().unwrap();
    assert_eq!(late.state, TaskState::Completed);
    let fixture = fixture.reopen_after(store).await;
    let read = fixture.store.wait(tenant, id, Duration::from_secs(30)).await.unwrap().unwrap();
    assert_eq!(read.result.unwrap().get(), "[1.50]");
}

#[tokio::test]
async fn a_watch_sees_each_kind_of_change_and_only_of_its_task() {
    let fixture = Fixture::new().await;
    let (id, other) = (fixture.submit().await.id, fixture.submit().await.id);
    let tenant = fixture.tenant;
    let (mut watch, mut unmoved) = (fixture.store.watch(tenant, id), fixture.store.watch(tenant, other));
    let claim = fixture.claim_one().await.claim;
    assert_eq!(claim.task, id);
    let told = async |watch: &mut mecapy_store::TaskWatch| {
        tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect("news");
    };
    told(&mut watch).await;
    let progress = Progress { fraction: 0.1, message: None };
    fixture.store.note(claim.clone(), Vec::new(), Some(progress)).await.unwrap();
    told(&mut watch).await;
    fixture.store.note(claim.clone(), vec![log("x")], None).await.unwrap();
    told(&mut watch).await;
    fixture.store.cancel(fixture.tenant, id).await.unwrap();
    told(&mut watch).await;
    fixture.store.finish(claim, finish_with("{}")).await.unwrap();
    told(&mut watch).await;
    tokio::time::timeout(Duration::from_secs(5), watch.ended()).await.expect("its end");
    // What processes share is looked at once more than it changes, so that no change is missed.
    if !fixture.database.is_shared() {
        assert!(tokio::time::timeout(Duration::from_millis(20), unmoved.changed()).await.is_err());
    }
}

#[tokio::test]
async fn what_is_absent_has_no_events_logs_or_result() {
    let fixture = Fixture::new().await;
    let absent = TaskId::from_parts(1, &[1; 10]);
    let (store, tenant) = (&fixture.store, fixture.tenant);
    assert!(store.events(tenant, absent, 0).await.unwrap().is_none());
    assert!(store.logs(tenant, absent, 0).await.unwrap().is_none());
    assert!(store.result(tenant, absent).await.unwrap().is_none());
    assert!(store.wait(tenant, absent, Duration::from_secs(30)).await.unwrap().is_none());
    assert!(store.artifacts(tenant, absent).await.unwrap().is_none());
}

impl Fixture {
    /// Reopens the folder after dropping one more handle on its store.
    async fn reopen_after(self, handle: mecapy_store::Store) -> Self {
        drop(handle);
        self.reopen().await
    }
}

#[tokio::test]
async fn pieces_of_a_log_that_are_too_large_for_their_rows_are_objects_and_read_as_they_were() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let id = fixture.submit().await.id;
    let long = |letter: &str| format!("é{}\n", letter.repeat(LOG_INLINE_BYTES_MAX));
    let at_limit = "x".repeat(LOG_INLINE_BYTES_MAX);
    let lost = fixture.claim_one().await.claim;
    store.note(lost.clone(), vec![log(&long("a")), log(&at_limit)], None).await.unwrap();
    // The log of an attempt that is lost stays, unlike what it stored else.
    store.lose(lost, OffsetDateTime::UNIX_EPOCH).await.unwrap();
    let claim = fixture.claim_one().await.claim;
    let finish = Finish { logs: vec![log("b"), log(&long("c"))], ..finish_with("{}") };
    store.finish(claim, finish).await.unwrap();

    let expected = [long("a"), at_limit, "b".to_owned(), long("c")];
    let page = store.logs(fixture.tenant, id, 0).await.unwrap().unwrap();
    assert!(page.entries.iter().map(|entry| &entry.text).eq(&expected), "{} entries", page.entries.len());
    let events = store.events(fixture.tenant, id, 0).await.unwrap().unwrap().events;
    let texts = events.iter().filter_map(|event| match &event.kind {
        EventKind::Log { text, .. } => Some(text),
        _ => None,
    });
    assert!(texts.eq(&expected));
    assert_eq!(fixture.number("SELECT count(*) FROM task_logs WHERE text = '' AND object_bytes > 262144").await, 2);
    assert_eq!(fixture.number("SELECT count(*) FROM task_logs WHERE length(text) > 262144").await, 0);

    let folder = ObjectKey::parse(&format!("logs/{}/{id}", fixture.tenant)).unwrap();
    let kept = async || store.objects().list_under(&folder).next(9).await.unwrap().len();
    fixture.clock.advance(Duration::from_secs(100 * 365 * 24 * 3_600));
    store.sweep_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(kept().await, 2);
    let first = store.objects().list_under(&folder).next(1).await.unwrap().pop().unwrap();
    store.objects().delete(&first.key).await.unwrap();
    let damaged = store.logs(fixture.tenant, id, 0).await.unwrap().unwrap();
    let lost = damaged.entries.iter().filter(|entry| entry.text == "[this piece of the log is lost]\n").count();
    assert_eq!((damaged.entries.len(), lost, damaged.done), (4, 1, true));
    assert_eq!(store.delete_task(fixture.tenant, id).await.unwrap(), Deleted::Yes);
    assert_eq!(kept().await, 0);
}

#[tokio::test]
async fn what_a_late_worker_said_at_length_is_swept() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let id = fixture.submit().await.id;
    let late = fixture.claim_one().await.claim;
    store.lose(late.clone(), OffsetDateTime::UNIX_EPOCH).await.unwrap();
    let said = vec![log(&"x".repeat(LOG_INLINE_BYTES_MAX + 1))];
    assert_eq!(store.note(late, said, None).await.unwrap(), Written::Stale);
    fixture.clock.advance(Duration::from_secs(100 * 365 * 24 * 3_600));
    assert_eq!(store.sweep_orphans(Duration::from_secs(24 * 3_600)).await.unwrap().objects, 1);
    assert!(store.logs(fixture.tenant, id, 0).await.unwrap().unwrap().entries.is_empty());
}
