//! Crashes: what was answered is there afterwards, whatever moment the power went.

use crate::fixture::{Fixture, finish_with, ids, open_when_free};
use mecapy_model::{Artifact, ArtifactName, ErrorKind, Lane, TaskId, TaskState};
use mecapy_store::{Clock, Recovered, Store, StoreError, StoreOptions, SubmitError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The database and its log as they are on the disk right now.
fn copy_database(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["mecapy.db", "mecapy.db-wal"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[tokio::test]
async fn one_process_at_a_time() {
    let fixture = Fixture::embedded().await;
    let error = Store::open(StoreOptions::new(fixture.data()), fixture.clock.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(!error.is_retryable());
    fixture.store.close().await;
    drop(open_when_free(fixture.database.options(&fixture.data()), fixture.clock.clone()).await);
}

#[tokio::test]
async fn a_successor_takes_back_what_was_running_at_once() {
    let fixture = Fixture::embedded().await;
    let (first, second, third) = (fixture.submit().await.id, fixture.submit().await.id, fixture.submit().await.id);
    let claimed = fixture.claim(Lane::Default, 2).await;
    assert_eq!(ids(&claimed), [first, second]);
    let artifact = Artifact::new(ArtifactName::parse("a.txt").unwrap(), b"half".to_vec());
    let stored = fixture.store.store_artifacts(&claimed[0].claim, &[artifact]).await.unwrap();
    fixture.store.cancel(fixture.tenant, second).await.unwrap();
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.store.recovered(), Recovered { requeued: 1, failed: 0, cancelled: 1 });
    let late = fixture.store.finish(claimed[0].claim.clone(), finish_with("\"late\"")).await.unwrap();
    assert_eq!(late, mecapy_store::Written::Stale);
    assert!(fixture.store.objects().read(&stored[0].key).await.unwrap().is_none());
    let again = fixture.claim(Lane::Default, 10).await;
    assert_eq!(ids(&again), [first, third]);
    assert_eq!((again[0].lost_attempts, again[0].task.attempt, again[0].claim.fence), (1, 2, 2));
    assert_eq!(fixture.store.result(fixture.tenant, second).await.unwrap().unwrap().state, TaskState::Cancelled);
}

#[tokio::test]
async fn a_task_that_kills_every_process_ends_and_its_neighbours_complete() {
    let mut fixture = Fixture::embedded().await;
    let poison = fixture.submit().await.id;
    for _ in 0..10 {
        fixture.clock.advance(std::time::Duration::from_secs(10));
        let neighbour = fixture.submit().await.id;
        let mut claimed = fixture.claim(Lane::Default, 10).await;
        let at = claimed.iter().position(|claimed| claimed.task.id == neighbour).unwrap();
        fixture.store.finish(claimed.swap_remove(at).claim, finish_with("{}")).await.unwrap();
        assert_eq!(ids(&claimed), [poison]);
        fixture = fixture.reopen().await;
    }
    assert_eq!(fixture.store.recovered().failed, 1);
    let result = fixture.store.result(fixture.tenant, poison).await.unwrap().unwrap();
    assert_eq!((result.state, result.error.unwrap().kind), (TaskState::Failed, ErrorKind::WorkerLost));
    assert_eq!(fixture.number("SELECT count(*) FROM tasks WHERE state = 'completed'").await, 10);
}

#[tokio::test]
async fn tasks_that_are_lost_together_again_start_apart_and_the_most_often_lost_last() {
    let ms = std::time::Duration::from_millis;
    let mut fixture = Fixture::embedded().await;
    let poison = fixture.submit().await.id;
    for _ in 0..2 {
        assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), [poison]);
        fixture = fixture.reopen().await;
        fixture.clock.advance(ms(1_000));
    }
    let neighbours = [fixture.submit().await.id, fixture.submit().await.id];
    assert_eq!(fixture.claim(Lane::Default, 10).await.len(), 3);
    fixture = fixture.reopen().await;
    assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), neighbours);
    fixture.clock.advance(ms(250));
    assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), [poison]);
    fixture = fixture.reopen().await;
    // The poison has lost four attempts: it waits a second on top.
    let [first, second] = neighbours;
    for (wait_ms, expected) in [(0, None), (250, Some(first)), (250, Some(second)), (1_249, None), (1, Some(poison))] {
        fixture.clock.advance(ms(wait_ms));
        assert_eq!(ids(&fixture.claim(Lane::Default, 10).await), Vec::from_iter(expected));
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_meanwhile_hides_no_lost_task() {
    let fixture = Fixture::embedded().await;
    let id = fixture.submit().await.id;
    fixture.claim_one().await;
    fixture.clock.set(fixture.clock.now() - std::time::Duration::from_secs(3_600));
    let fixture = fixture.reopen().await;
    let again = fixture.claim_one().await;
    assert_eq!(again.task.id, id);
    fixture.store.release(again.claim).await.unwrap();
    assert_eq!(fixture.claim_one().await.task.id, id);
}

#[tokio::test]
async fn an_object_that_cant_be_deleted_keeps_no_server_from_starting() {
    let fixture = Fixture::embedded().await;
    let id = fixture.submit().await.id;
    let claim = fixture.claim_one().await.claim;
    let artifact = Artifact::new(ArtifactName::parse("a.txt").unwrap(), b"half".to_vec());
    let stored = fixture.store.store_artifacts(&claim, &[artifact]).await.unwrap();
    let object = fixture.data().join("objects").join(stored[0].key.as_str());
    // A file where the attempt's folder is expected.
    let folder = object.parent().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::write(folder, b"").unwrap();
    let fixture = fixture.reopen().await;
    assert!(folder.exists());
    assert_eq!(fixture.claim_one().await.task.id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_any_moment_of_a_busy_run_the_disk_holds_what_was_answered() {
    let fixture = Fixture::embedded().await;
    let (accepted, finished) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(Mutex::new(BTreeSet::new())));
    let stop = Arc::new(AtomicBool::new(false));
    let mut busy = Vec::new();
    for _ in 0..8 {
        let (store, submission) = (fixture.store.clone(), fixture.submission());
        let (accepted, stop) = (accepted.clone(), stop.clone());
        busy.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match store.submit(submission.clone()).await {
                    Ok(submitted) => drop(accepted.lock().unwrap().insert(submitted.task.id)),
                    // The worker is slower: a quick machine fills the queue.
                    Err(SubmitError::QueueFull { .. }) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    let (store, worker_stop, worker_finished) = (fixture.store.clone(), stop.clone(), finished.clone());
    busy.push(tokio::spawn(async move {
        let request = mecapy_store::ClaimRequest::new(Lane::Default, 4);
        while !worker_stop.load(Ordering::Relaxed) {
            for claimed in store.claim(request).await.unwrap() {
                store.finish(claimed.claim, finish_with("[1]")).await.unwrap();
                worker_finished.lock().unwrap().insert(claimed.task.id);
            }
        }
    }));
    for round in 0..6 {
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        let answered: (BTreeSet<TaskId>, BTreeSet<TaskId>) =
            (accepted.lock().unwrap().clone(), finished.lock().unwrap().clone());
        let copy = fixture.folder.path().join(format!("copy {round}"));
        copy_database(&fixture.data(), &copy);
        let store = open_when_free(fixture.database.options(&copy), fixture.clock.clone()).await;
        for id in &answered.0 {
            assert!(store.task(fixture.tenant, *id).await.unwrap().is_some(), "an accepted task is lost");
        }
        for id in &answered.1 {
            let result = store.result(fixture.tenant, *id).await.unwrap().unwrap();
            assert_eq!(result.result.unwrap().get(), "[1]", "a finished task is not");
        }
        store.close().await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in busy {
        task.await.unwrap();
    }
    assert!(accepted.lock().unwrap().len() > 20 && !finished.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_log_that_was_torn_anywhere_opens_with_a_prefix_of_what_was_written() {
    let fixture = Fixture::embedded().await;
    let mut order = Vec::new();
    for _ in 0..40 {
        order.push(fixture.submit().await.id);
    }
    let bytes = std::fs::read(fixture.data().join("mecapy.db-wal")).unwrap();
    let mut most = 0;
    for cut in 1..=16 {
        let copy = fixture.folder.path().join(format!("torn {cut}"));
        copy_database(&fixture.data(), &copy);
        // Not at a frame's edge.
        let length = bytes.len() * cut / 16 - if cut == 16 { 0 } else { 100 };
        std::fs::write(copy.join("mecapy.db-wal"), &bytes[..length]).unwrap();
        let store = open_when_free(fixture.database.options(&copy), fixture.clock.clone()).await;
        let mut there = Vec::new();
        for id in &order {
            there.push(store.task(fixture.tenant, *id).await.unwrap().is_some());
        }
        let count = there.iter().filter(|there| **there).count();
        assert!(there[..count].iter().all(|there| *there), "not a prefix: {there:?}");
        assert!(count >= most);
        most = count;
        store.close().await;
    }
    assert_eq!(most, order.len());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_not_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mecapy.db"), vec![7; 8_192]).unwrap();
    let clock = Arc::new(mecapy_store::SystemClock::new().unwrap());
    let error = Store::open(StoreOptions::new(folder.path()), clock).await.unwrap_err();
    assert!(matches!(error, StoreError::Database(_) | StoreError::Migrate(_)), "{error:?}");
    assert_eq!(std::fs::read(folder.path().join("mecapy.db")).unwrap(), vec![7; 8_192]);
}
