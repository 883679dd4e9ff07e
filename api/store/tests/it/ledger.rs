//! Usage: added up by day, lane and kind, and compared with the tasks that it is of.

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{ErrorKind, Lane, TaskError, TenantId, Usage};
use mecapy_store::{
    ClaimRequest, Clock, Finish, NewTask, PreviewUsage, Reconciliation, Submission, UsageBy, UsageTotals,
    reconcile_usage,
};
use std::collections::BTreeMap;
use std::time::Duration;

async fn run(fixture: &Fixture, tenant: TenantId, lane: Lane, error: Option<ErrorKind>, usage: Usage) {
    let task = NewTask { lane, ..new_task(tenant) };
    fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap();
    let claimed = fixture.store.claim(ClaimRequest::new(lane, 1)).await.unwrap().pop().unwrap();
    let result = error.map_or(Ok(crate::fixture::json("{}")), |kind| Err(TaskError::new(kind, "no")));
    fixture.store.finish(claimed.claim, Finish { result, usage, ..finish_with("{}") }).await.unwrap();
}

fn usage(fuel: u64, memory_peak_bytes: u64) -> Usage {
    Usage { fuel, memory_peak_bytes, cpu_ms: 1.5, execute_ms: 2.0, queued_ms: 0.25, ..Usage::default() }
}

#[tokio::test]
async fn usage_is_added_up_by_day_lane_and_kind() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let other = store.create_tenant("other").await.unwrap();
    let start = fixture.clock.now();
    assert_eq!(start.date().to_string(), "2027-01-15");
    run(&fixture, tenant, Lane::Default, None, usage(1, 100)).await;
    run(&fixture, tenant, Lane::LongRunning, Some(ErrorKind::Timeout), usage(10, 300)).await;
    run(&fixture, other, Lane::Default, None, usage(7_000, 7_000)).await;
    store.record_preview_usage(PreviewUsage { tenant, error_kind: None, usage: usage(100, 200) });
    for _ in 0..1_000 {
        if fixture.number("SELECT count(*) FROM preview_usage").await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fixture.clock.advance(Duration::from_secs(24 * 3_600));
    run(&fixture, tenant, Lane::HighPriority, Some(ErrorKind::Cancelled), usage(1_000, 50)).await;
    let end = fixture.clock.now() + Duration::from_secs(1);

    let by = async |by| store.usage(tenant, start, end, by).await.unwrap();
    let counted = |totals: &BTreeMap<String, UsageTotals>| -> Vec<(String, [u64; 5])> {
        let of = |totals: &UsageTotals| {
            [totals.tasks, totals.previews, totals.failed, totals.fuel, totals.memory_peak_bytes]
        };
        totals.iter().map(|(bucket, totals)| (bucket.clone(), of(totals))).collect()
    };
    let rows =
        |rows: &[(&str, [u64; 5])]| rows.iter().map(|(name, row)| ((*name).to_owned(), *row)).collect::<Vec<_>>();
    let days = by(UsageBy::Day).await;
    assert_eq!(counted(&days), rows(&[("2027-01-15", [2, 1, 1, 111, 300]), ("2027-01-16", [1, 0, 0, 1_000, 50])]));
    let first = days["2027-01-15"];
    assert_eq!((first.cpu_ms, first.execute_ms, first.queued_ms), (4.5, 6.0, 0.75));
    let lanes = rows(&[
        ("default", [1, 0, 0, 1, 100]),
        ("high_priority", [1, 1, 0, 1_100, 200]),
        ("long_running", [1, 0, 1, 10, 300]),
    ]);
    assert_eq!(counted(&by(UsageBy::Lane).await), lanes);
    let kinds = rows(&[
        ("cancelled", [1, 0, 0, 1_000, 50]),
        ("completed", [1, 1, 0, 101, 200]),
        ("timeout", [1, 0, 1, 10, 300]),
    ]);
    assert_eq!(counted(&by(UsageBy::Kind).await), kinds);
    // The end is not part of the time, and the beginning is.
    assert_eq!(store.usage(tenant, start, start, UsageBy::Day).await.unwrap(), BTreeMap::new());
    let moment = store.usage(other, start, start + Duration::from_millis(1), UsageBy::Day).await.unwrap();
    assert_eq!(moment["2027-01-15"].fuel, 7_000);
}

#[tokio::test]
async fn every_task_that_has_ended_has_one_row_and_no_other_task_has_one() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    run(&fixture, fixture.tenant, Lane::Default, None, usage(1, 1)).await;
    run(&fixture, fixture.tenant, Lane::Default, Some(ErrorKind::Exception), usage(1, 1)).await;
    let cancelled = fixture.submit().await.id;
    store.cancel(fixture.tenant, cancelled).await.unwrap();
    let live = fixture.submit().await.id;
    let sound = Reconciliation { ended: 3, rows: 3, of_deleted: 0, missing: 0, early: 0, foreign: 0 };
    assert_eq!(store.reconcile_usage().await.unwrap(), sound);
    store.delete_task(fixture.tenant, cancelled).await.unwrap();
    let found = store.reconcile_usage().await.unwrap();
    assert_eq!(found, Reconciliation { ended: 2, of_deleted: 1, ..sound });
    assert!(found.holds());
    // Beside the store that is open.
    let options = fixture.database.options(&fixture.data());
    assert_eq!(reconcile_usage(&options).await.unwrap(), Some(found));

    // What nothing of ours does is found.
    fixture.tamper("UPDATE task_usage SET lane = 'long_running' WHERE no = (SELECT min(no) FROM tasks)").await;
    let found = store.reconcile_usage().await.unwrap();
    assert!(!found.holds() && found.foreign == 1, "{found:?}");
    fixture.tamper("DELETE FROM task_usage WHERE no = (SELECT min(no) FROM tasks)").await;
    let found = store.reconcile_usage().await.unwrap();
    assert!(!found.holds() && found.missing == 1, "{found:?}");
    fixture
        .tamper("UPDATE task_usage SET no = (SELECT max(no) FROM tasks) WHERE no = (SELECT max(no) FROM task_usage)")
        .await;
    let found = store.reconcile_usage().await.unwrap();
    assert!(!found.holds() && found.early == 1, "{found:?}");
    assert!(store.task(fixture.tenant, live).await.unwrap().is_some());
}

#[tokio::test]
async fn where_there_is_no_database_there_is_nothing_to_compare() {
    let folder = tempfile::tempdir().unwrap();
    let options = mecapy_store::StoreOptions::new(folder.path().join("none"));
    assert_eq!(reconcile_usage(&options).await.unwrap(), None);
}
