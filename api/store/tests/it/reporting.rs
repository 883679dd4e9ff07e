//! What a worker reports, and what a stale one can't.

use crate::fixture::{Fixture, finish_with, ids, json, new_task};
use mecapy_model::{
    Artifact, ArtifactName, ErrorKind, Lane, LogStream, Outcome, Progress, Retry, TaskError, TaskState, Usage, Warning,
};
use mecapy_store::{
    Beat, Cancelled, Clock, Deleted, Finish, NewLog, NewTask, RESULT_INLINE_BYTES_MAX, Submission, Written,
};
use std::time::Duration;

#[tokio::test]
async fn a_finish_writes_everything_at_once_and_once() {
    let fixture = Fixture::new().await;
    let warned = |code: &str| Warning { code: code.to_owned(), message: "m".to_owned(), line: Some(3), pointer: None };
    let (of_the_source, of_the_run) = (warned("source"), warned("run"));
    let task = NewTask { warnings: vec![of_the_source.clone()], ..new_task(fixture.tenant) };
    let id = fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task.id;
    let claimed = fixture.claim_one().await;
    let name = ArtifactName::parse("out/figure é.png").unwrap();
    let artifacts = vec![Artifact::new(name.clone(), b"png".to_vec())];
    let stored = fixture.store.store_artifacts(&claimed.claim, &artifacts).await.unwrap();
    assert_eq!(fixture.store.artifacts(fixture.tenant, id).await.unwrap(), Some(vec![]));
    let finish = Finish {
        warnings: vec![of_the_run.clone()],
        logs: vec![NewLog { stream: LogStream::Stderr, text: "careful\n".to_owned() }],
        artifacts: stored.clone(),
        ..finish_with(r#"{"F":2.20}"#)
    };
    assert_eq!(fixture.store.finish(claimed.claim.clone(), finish.clone()).await.unwrap(), Written::Done);
    assert_eq!(fixture.store.finish(claimed.claim, finish).await.unwrap(), Written::Stale);

    let task = fixture.store.task(fixture.tenant, id).await.unwrap().unwrap();
    assert_eq!((task.state, task.attempt), (TaskState::Completed, 1));
    assert_eq!(task.warnings, [of_the_source, of_the_run]);
    assert_eq!(task.usage.unwrap().fuel, 7);
    let fixture = fixture.reopen().await;
    let result = fixture.store.result(fixture.tenant, id).await.unwrap().unwrap();
    assert_eq!(result.result.unwrap().get(), r#"{"F":2.20}"#);
    assert_eq!(fixture.store.artifacts(fixture.tenant, id).await.unwrap().as_deref(), Some(stored.as_slice()));
    assert!(fixture.store.objects().read(&stored[0].key).await.unwrap().is_some());
    assert_eq!(fixture.number("SELECT count(*) FROM results").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM task_usage").await, 1);
}

#[tokio::test]
async fn errors_end_a_task_failed_or_cancelled_with_their_reason() {
    let fixture = Fixture::new().await;
    let error = TaskError {
        kind: ErrorKind::Exception,
        message: "division by zero".to_owned(),
        traceback: Some("line 2".to_owned()),
        line: Some(2),
    };
    let cancelled = TaskError::new(ErrorKind::Cancelled, "stopped");
    for (error, state) in [(error, TaskState::Failed), (cancelled, TaskState::Cancelled)] {
        let id = fixture.submit().await.id;
        let claimed = fixture.claim_one().await;
        let finish = Finish { result: Err(error.clone()), ..finish_with("{}") };
        fixture.store.finish(claimed.claim, finish).await.unwrap();
        let result = fixture.store.result(fixture.tenant, id).await.unwrap().unwrap();
        assert_eq!((result.state, result.error.as_ref()), (state, Some(&error)));
        assert!(result.result.is_none());
        assert_eq!(fixture.store.task(fixture.tenant, id).await.unwrap().unwrap().error, Some(error));
    }
}

#[tokio::test]
async fn a_result_over_the_limit_fails_with_what_to_do() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let claimed = fixture.claim_one().await;
    let large = format!("\"{}\"", "x".repeat(16 << 20));
    fixture.store.finish(claimed.claim, Finish { result: Ok(json(&large)), ..finish_with("{}") }).await.unwrap();
    let result = fixture.store.result(fixture.tenant, id).await.unwrap().unwrap();
    let error = result.error.unwrap();
    assert_eq!((result.state, error.kind), (TaskState::Failed, ErrorKind::InvalidOutput));
    assert!(error.message.contains("file"), "{}", error.message);
}

#[tokio::test]
async fn nothing_under_an_older_fence_has_effect() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let old = fixture.claim_one().await.claim;
    fixture.clock.advance(Duration::from_secs(31));
    assert_eq!(fixture.store.requeue_expired().await.unwrap().requeued, 1);
    let new = fixture.claim_one().await;
    assert_eq!((new.claim.fence, new.task.attempt, new.lost_attempts), (2, 2, 1));

    let progress = Progress { fraction: 0.5, message: None };
    let log = || vec![NewLog { stream: LogStream::Stdout, text: "late".to_owned() }];
    assert_eq!(fixture.store.note(old.clone(), Vec::new(), Some(progress)).await.unwrap(), Written::Stale);
    assert_eq!(fixture.store.note(old.clone(), log(), None).await.unwrap(), Written::Stale);
    assert_eq!(fixture.store.heartbeat(vec![old.clone()]).await.unwrap(), [(id, Beat::Stale)]);
    assert_eq!(fixture.store.release(old.clone()).await.unwrap(), Written::Stale);
    assert_eq!(fixture.store.retry_later(old.clone(), fixture.clock.now()).await.unwrap(), Written::Stale);
    assert_eq!(fixture.store.lose(old.clone(), fixture.clock.now()).await.unwrap(), Written::Stale);
    let artifact = Artifact::new(ArtifactName::parse("a.txt").unwrap(), b"late".to_vec());
    let artifacts = fixture.store.store_artifacts(&old, &[artifact]).await.unwrap();
    let key = artifacts[0].key.clone();
    let finish = Finish { artifacts, logs: log(), ..finish_with("\"late\"") };
    // In one batch with the new attempt's finish.
    let (late, good) =
        tokio::join!(fixture.store.finish(old, finish), fixture.store.finish(new.claim, finish_with("\"good\"")));
    assert_eq!((late.unwrap(), good.unwrap()), (Written::Stale, Written::Done));

    let result = fixture.store.result(fixture.tenant, id).await.unwrap().unwrap();
    assert_eq!(result.result.unwrap().get(), "\"good\"");
    assert!(fixture.store.objects().read(&key).await.unwrap().is_none(), "the late attempt's object is still there");
    assert_eq!(fixture.number("SELECT count(*) FROM task_logs").await, 0);
    let task = fixture.store.task(fixture.tenant, id).await.unwrap().unwrap();
    assert!(task.progress.is_none());
}

#[tokio::test]
async fn heartbeats_hold_a_lease_and_pass_on_a_cancel() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let claim = fixture.claim_one().await.claim;
    for _ in 0..5 {
        fixture.clock.advance(Duration::from_secs(20));
        assert_eq!(fixture.store.heartbeat(vec![claim.clone()]).await.unwrap(), [(id, Beat::Extended)]);
        assert_eq!(fixture.store.requeue_expired().await.unwrap().requeued, 0);
    }
    if !fixture.database.is_shared() {
        // The wall clock has no say in leases; those that processes share run on the database's.
        fixture.clock.set(fixture.clock.now() + Duration::from_secs(36_000));
        assert_eq!(fixture.store.requeue_expired().await.unwrap().requeued, 0);
    }
    assert_eq!(fixture.store.cancel(fixture.tenant, id).await.unwrap(), Cancelled::Requested);
    assert_eq!(fixture.store.heartbeat(vec![claim.clone()]).await.unwrap(), [(id, Beat::CancelRequested)]);
    assert!(fixture.store.task(fixture.tenant, id).await.unwrap().unwrap().cancel_requested);
    // The worker is lost before it obeys: the task is not run again.
    fixture.clock.advance(Duration::from_secs(31));
    assert_eq!(fixture.store.requeue_expired().await.unwrap().cancelled, 1);
    let task = fixture.store.task(fixture.tenant, id).await.unwrap().unwrap();
    assert_eq!(task.state, TaskState::Cancelled);
}

#[tokio::test]
async fn a_task_that_is_lost_again_and_again_ends_worker_lost() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    for loss in 1..=10 {
        fixture.clock.advance(Duration::from_secs(10));
        let claimed = fixture.claim_one().await;
        assert_eq!((claimed.task.attempt, claimed.lost_attempts), (loss, loss - 1));
        fixture.clock.advance(Duration::from_secs(31));
        fixture.store.requeue_expired().await.unwrap();
    }
    let task = fixture.store.task(fixture.tenant, id).await.unwrap().unwrap();
    assert_eq!((task.state, task.error.unwrap().kind), (TaskState::Failed, ErrorKind::WorkerLost));
    assert!(fixture.claim(Lane::Default, 1).await.is_empty());
}

#[tokio::test]
async fn a_released_task_keeps_its_place_and_its_attempts() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.submit().await.id, fixture.submit().await.id);
    let claimed = fixture.claim_one().await;
    assert_eq!(fixture.store.release(claimed.claim).await.unwrap(), Written::Done);
    let claimed = fixture.claim(Lane::Default, 2).await;
    assert_eq!(ids(&claimed), [first, second]);
    assert_eq!((claimed[0].task.attempt, claimed[0].task.fence, claimed[0].lost_attempts), (1, 2, 0));
}

#[tokio::test]
async fn a_task_without_room_waits_as_long_as_it_takes_and_spends_no_attempt() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let wait = Duration::from_secs(30);
    for fence in 1..=20 {
        let claimed = fixture.claim_one().await;
        assert_eq!((claimed.task.attempt, claimed.claim.fence, claimed.lost_attempts), (1, fence, 0));
        let not_before = fixture.clock.now() + wait;
        assert_eq!(fixture.store.retry_later(claimed.claim, not_before).await.unwrap(), Written::Done);
        assert!(fixture.claim(Lane::Default, 1).await.is_empty());
        fixture.clock.advance(wait);
    }
    let claimed = fixture.claim_one().await;
    assert_eq!(fixture.store.finish(claimed.claim, finish_with("1")).await.unwrap(), Written::Done);
    let task = fixture.store.task(fixture.tenant, id).await.unwrap().unwrap();
    assert_eq!((task.state, task.attempt), (TaskState::Completed, 1));
}

#[tokio::test]
async fn what_a_failed_attempt_stored_goes_with_it() {
    let fixture = Fixture::new().await;
    fixture.submit().await;
    let claim = fixture.claim_one().await.claim;
    let artifact = Artifact::new(ArtifactName::parse("a.txt").unwrap(), b"a".to_vec());
    let key = fixture.store.store_artifacts(&claim, &[artifact]).await.unwrap()[0].key.clone();
    assert!(fixture.store.objects().read(&key).await.unwrap().is_some());
    assert_eq!(fixture.store.lose(claim, fixture.clock.now()).await.unwrap(), Written::Done);
    assert!(fixture.store.objects().read(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn what_the_platform_fails_has_a_budget_of_its_own_and_ends_with_its_fault() {
    let fixture = Fixture::new().await;
    let retry = Retry { max_attempts: 1, ..Retry::default() };
    let task = NewTask { retry, ..new_task(fixture.tenant) };
    let id = fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task.id;
    for (attempt, seconds) in (1..).zip([1, 2, 4, 8, 16, 30, 30, 30, 30]) {
        let claimed = fixture.claim_one().await;
        assert_eq!((claimed.task.attempt, claimed.lost_attempts), (attempt, attempt - 1));
        let wait = fixture.store.fault_backoff(&claimed);
        assert_eq!(wait, Some(Duration::from_secs(seconds)));
        let not_before = fixture.clock.now() + Duration::from_secs(seconds);
        assert_eq!(fixture.store.lose(claimed.claim, not_before).await.unwrap(), Written::Done);
        assert!(fixture.claim(Lane::Default, 1).await.is_empty());
        fixture.clock.advance(Duration::from_secs(seconds));
    }
    let last = fixture.claim_one().await;
    assert_eq!(fixture.store.fault_backoff(&last), None);
    let error = TaskError::new(ErrorKind::Executor, "no sandbox could be made");
    let finish = Finish { result: Err(error.clone()), ..finish_with("{}") };
    assert_eq!(fixture.store.finish(last.claim, finish).await.unwrap(), Written::Done);
    let result = fixture.store.result(fixture.tenant, id).await.unwrap().unwrap();
    assert_eq!((result.state, result.error), (TaskState::Failed, Some(error)));
}

#[tokio::test]
async fn log_and_progress_are_written_in_one_go_and_a_prepared_finish_more_than_once() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let claim = fixture.claim_one().await.claim;
    let progress = Progress { fraction: 0.25, message: Some("meshing".to_owned()) };
    let log = |text: &str| NewLog { stream: LogStream::Stdout, text: text.to_owned() };
    let written = fixture.store.note(claim.clone(), vec![log("a"), log("b")], Some(progress.clone())).await.unwrap();
    assert_eq!(written, Written::Done);
    let prepared = fixture.store.prepare_finish(claim, finish_with("1"));
    assert_eq!(fixture.store.write_finish(&prepared).await.unwrap(), Written::Done);
    assert_eq!(fixture.store.write_finish(&prepared).await.unwrap(), Written::Stale);
    assert_eq!(fixture.store.task(fixture.tenant, id).await.unwrap().unwrap().progress, Some(progress));
    let page = fixture.store.logs(fixture.tenant, id, 0).await.unwrap().unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.text.as_str()).collect::<String>(), "ab");
}

#[tokio::test]
async fn a_log_is_cut_once_at_its_limit() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    let claim = fixture.claim_one().await.claim;
    let piece = "é".repeat(512 << 10);
    for _ in 0..6 {
        let logs = vec![NewLog { stream: LogStream::Stdout, text: piece.clone() }];
        assert_eq!(fixture.store.note(claim.clone(), logs, None).await.unwrap(), Written::Done);
    }
    let logs = vec![NewLog { stream: LogStream::Stdout, text: "the end".to_owned() }];
    fixture.store.finish(claim, Finish { logs, ..finish_with("{}") }).await.unwrap();
    let page = fixture.store.logs(fixture.tenant, id, 0).await.unwrap().unwrap();
    let text: String = page.entries.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(text.len(), (4 << 20) + "\n[log truncated]\n".len());
    assert_eq!(text.matches("[log truncated]").count(), 1);
    assert!(text.ends_with("[log truncated]\n") && page.done);
}

#[tokio::test]
async fn a_result_too_large_for_its_row_is_an_object_and_reads_the_same() {
    let fixture = Fixture::new().await;
    let large = format!("\"{}\"", "x".repeat(RESULT_INLINE_BYTES_MAX));
    let stored = fixture.data().join("objects/results");
    for (result, objects) in [("\"small\"", 0), (large.as_str(), 1)] {
        let id = fixture.submit().await.id;
        let finish = fixture.store.prepare_finish(fixture.claim_one().await.claim, finish_with(result));
        assert_eq!(fixture.store.write_finish(&finish).await.unwrap(), Written::Done);
        // A finish that is written again (its answer was lost) takes nothing away.
        assert_eq!(fixture.store.write_finish(&finish).await.unwrap(), Written::Stale);
        let read = fixture.store.result(fixture.tenant, id).await.unwrap().unwrap();
        assert_eq!(read.result.unwrap().get(), result);
        let by_reference = "SELECT count(*) FROM results WHERE object_key IS NOT NULL AND result IS NULL";
        assert_eq!((fixture.number(by_reference).await, stored.exists()), (objects, objects == 1));
        assert_eq!(fixture.store.delete_task(fixture.tenant, id).await.unwrap(), Deleted::Yes);
    }
    assert!(!stored.exists(), "the object outlives its task");
}

#[tokio::test]
async fn only_an_ended_task_can_be_deleted_and_its_objects_go_too() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    assert_eq!(fixture.store.delete_task(fixture.tenant, id).await.unwrap(), Deleted::NotEnded(TaskState::Queued));
    let claimed = fixture.claim_one().await;
    assert_eq!(fixture.store.delete_task(fixture.tenant, id).await.unwrap(), Deleted::NotEnded(TaskState::Running));
    let artifact = Artifact::new(ArtifactName::parse("a/b.csv").unwrap(), b"1,2".to_vec());
    let artifacts = fixture.store.store_artifacts(&claimed.claim, &[artifact]).await.unwrap();
    let key = artifacts[0].key.clone();
    fixture.store.finish(claimed.claim, Finish { artifacts, ..finish_with("{}") }).await.unwrap();
    assert_eq!(fixture.store.objects().read(&key).await.unwrap().as_deref(), Some(b"1,2".as_slice()));
    assert_eq!(fixture.store.delete_task(fixture.tenant, id).await.unwrap(), Deleted::Yes);
    assert!(fixture.store.objects().read(&key).await.unwrap().is_none());
    assert!(fixture.store.task(fixture.tenant, id).await.unwrap().is_none());
    assert!(fixture.store.result(fixture.tenant, id).await.unwrap().is_none());
    assert_eq!(fixture.store.delete_task(fixture.tenant, id).await.unwrap(), Deleted::Missing);
    for table in
        ["SELECT count(*) FROM task_specs", "SELECT count(*) FROM task_events", "SELECT count(*) FROM artifacts"]
    {
        assert_eq!(fixture.number(table).await, 0, "{table}");
    }
    assert_eq!(fixture.number("SELECT count(*) FROM task_usage").await, 1);
    let artifacts = fixture.data().join("objects/artifacts");
    assert!(!artifacts.exists(), "empty folders stay behind");
}

#[test]
fn an_outcomes_output_becomes_its_log() {
    let outcome = Outcome {
        stdout: "a".to_owned(),
        stdout_truncated: true,
        usage: Usage::default(),
        ..Outcome::failed(TaskError::new(ErrorKind::Timeout, "5 s are over"))
    };
    let finish = Finish::new(outcome, Vec::new());
    let logs: Vec<_> = finish.logs.iter().map(|log| (log.stream, log.text.as_str())).collect();
    assert_eq!(logs, [(LogStream::Stdout, "a"), (LogStream::Stdout, "[output truncated]\n")]);
    assert_eq!(finish.result.unwrap_err().kind, ErrorKind::Timeout);
}
