//! The processes that run tasks, as they are written down and shown.

use crate::fixture::Fixture;
use mecapy_model::{Executor, Lane, Room};
use mecapy_store::{Clock, SeenWorker, Store, WorkerKind, WorkerRow};
use std::time::Duration;
use uuid::Uuid;

fn row(fixture: &Fixture, number: u128) -> WorkerRow {
    WorkerRow {
        id: Uuid::from_u128(number),
        kind: WorkerKind::Alone,
        host: "node-7".to_owned(),
        pid: 4_000_000_000,
        version: "1.2.3".to_owned(),
        lanes: vec![Lane::Default, Lane::LongRunning],
        executor: Executor::Container,
        total: Room { cpus: 16, memory_bytes: 1 << 40 },
        free: Room { cpus: 16, memory_bytes: 1 << 40 },
        solvers: vec!["calculix@2.20".to_owned()],
        concurrency: 8,
        running: 0,
        draining: false,
        started_at: fixture.clock.now(),
    }
}

async fn numbers(store: &Store) -> Vec<u128> {
    store.workers().await.unwrap().iter().map(|seen| seen.row.id.as_u128()).collect()
}

#[tokio::test]
async fn a_worker_is_shown_as_it_last_said() {
    let fixture = Fixture::new().await;
    let first = row(&fixture, 1);
    fixture.store.announce_worker(first.clone()).await.unwrap();
    fixture.clock.advance(Duration::from_secs(5));
    let second = WorkerRow { kind: WorkerKind::Embedded, ..row(&fixture, 2) };
    fixture.store.announce_worker(second.clone()).await.unwrap();
    let busy = WorkerRow { running: 3, draining: true, free: Room { cpus: 1, memory_bytes: 1 << 30 }, ..first };
    fixture.store.announce_worker(busy.clone()).await.unwrap();
    let seen_at = fixture.clock.now();
    let expected = [busy, second].map(|row| SeenWorker { row, seen_at, is_lost: false });
    assert_eq!(fixture.store.workers().await.unwrap(), expected);
}

#[tokio::test]
async fn a_silent_worker_is_lost_then_not_shown_then_forgotten() {
    let fixture = Fixture::new().await;
    fixture.store.announce_worker(row(&fixture, 1)).await.unwrap();
    let is_lost = async || fixture.store.workers().await.unwrap().iter().map(|seen| seen.is_lost).collect::<Vec<_>>();
    for (seconds, expected) in [(15, vec![false]), (1, vec![true]), (13, vec![true]), (1, vec![])] {
        fixture.clock.advance(Duration::from_secs(seconds));
        assert_eq!(is_lost().await, expected);
    }
    fixture.store.collect_garbage().await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM workers").await, 1);
    fixture.clock.advance(Duration::from_secs(3_600));
    fixture.store.collect_garbage().await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM workers").await, 0);
}

#[tokio::test]
async fn a_worker_that_ends_is_shown_no_more() {
    let fixture = Fixture::new().await;
    for number in [1, 2] {
        fixture.store.announce_worker(row(&fixture, number)).await.unwrap();
    }
    fixture.store.withdraw_worker(Uuid::from_u128(1)).await.unwrap();
    assert_eq!(numbers(&fixture.store).await, [2]);
}

#[tokio::test]
async fn an_embedded_worker_does_not_outlive_its_server() {
    let fixture = Fixture::new().await;
    fixture.store.announce_worker(row(&fixture, 1)).await.unwrap();
    let fixture = fixture.reopen().await;
    // Where processes share a database the row is another's, who may be alive: it goes when it is silent for long.
    assert_eq!(numbers(&fixture.store).await, []);
}
