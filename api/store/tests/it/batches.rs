//! Batches: acceptance, chunks, items, ends, running again what failed, and that nobody sees another's.

use crate::fixture::{Fixture, finish_with, json};
use mecapy_model::{
    BatchId, BatchState, Code, ErrorKind, Isolation, ItemOutcome, Kernels, Lane, LimitsRequest, NonFinite, OnItemError,
    Retry, StudyId, TaskError, TaskState, Usage, Warning,
};
use mecapy_store::{
    Access, BatchDeleted, BatchFilter, BatchRow, BatchSource, Beat, Claimed, EventType, Finish, Idempotency,
    ItemCounts, ItemRow, NewBatch, NewWebhook, Quota, SubmitError, TaskQuery, Written, chunk_items,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) fn new_batch(fixture: &Fixture, total: u32) -> NewBatch {
    NewBatch {
        tenant: fixture.tenant,
        name: Some("sweep".to_owned()),
        lane: Lane::Default,
        priority: 5,
        code: Code::Python { source: "def main(d): return d * 2".to_owned(), entry: None },
        files: BTreeMap::new(),
        limits: LimitsRequest::default().resolve(Lane::Default).unwrap(),
        retry: Retry::default(),
        seed: u64::MAX,
        non_finite: NonFinite::Reject,
        kernels: Kernels::default(),
        labels: BTreeMap::from([("project".to_owned(), "bridge".to_owned())]),
        study: None,
        isolation: Isolation::Item,
        on_error: OnItemError::Continue,
        source: BatchSource::Sweep(r#"{"sweep":{"d":[8,10]}}"#.to_owned()),
        total,
        warnings: Vec::new(),
        idempotency: None,
        queued_max: 10_000,
    }
}

/// Item `i` of a batch with the largest seed, which wraps around.
fn outcome(index: u32, result: Result<&str, ErrorKind>) -> ItemOutcome {
    ItemOutcome {
        index,
        seed: u64::MAX.wrapping_add(u64::from(index)),
        result: result.map(json).map_err(|kind| TaskError::new(kind, "no")),
        warnings: Vec::new(),
        usage: Usage { fuel: 10, memory_peak_bytes: 100 + u64::from(index), cpu_ms: 0.5, ..Usage::default() },
    }
}

/// The items that a claimed chunk is to run.
fn items_of(claimed: &Claimed) -> Vec<u32> {
    match &claimed.task.code {
        Code::Items { indexes: Some(indexes), .. } => indexes.clone(),
        Code::Items { first, count, .. } => (*first..first + count).collect(),
        other => panic!("{other:?} is no chunk"),
    }
}

impl Fixture {
    async fn accept(&self, new: NewBatch) -> BatchRow {
        self.store.submit_batch(new).await.unwrap().batch
    }

    async fn batch(&self, id: BatchId) -> BatchRow {
        self.store.batch(self.tenant, id).await.unwrap().unwrap()
    }

    /// Runs what is queued to its end; answers how many chunks that were.
    async fn run_chunks(&self, result: impl Fn(u32) -> Result<&'static str, ErrorKind>) -> usize {
        let mut chunks = 0;
        loop {
            let claimed = self.claim(Lane::Default, 256).await;
            if claimed.is_empty() {
                return chunks;
            }
            for chunk in claimed {
                chunks += 1;
                self.run_chunk(chunk, &result).await;
            }
        }
    }

    async fn run_chunk(&self, chunk: Claimed, result: impl Fn(u32) -> Result<&'static str, ErrorKind>) {
        let ended = self.store.ended_items(&chunk.claim).await.unwrap();
        let left = items_of(&chunk).into_iter().filter(|index| !ended.contains(index));
        let items = left.map(|index| outcome(index, result(index))).collect();
        assert_eq!(self.store.save_items(chunk.claim.clone(), items).await.unwrap(), Written::Done);
        assert_eq!(self.store.finish(chunk.claim, finish_with("{}")).await.unwrap(), Written::Done);
    }

    /// All items that have ended, page by page.
    async fn items(&self, id: BatchId) -> Vec<ItemRow> {
        let mut items: Vec<ItemRow> = Vec::new();
        loop {
            let from = items.last().map_or(0, |item| item.index + 1);
            let page = self.store.batch_items(self.tenant, id, from, 100).await.unwrap();
            if page.is_empty() {
                return items;
            }
            items.extend(page);
        }
    }

    async fn told(&self) -> Vec<(EventType, Option<ItemCounts>)> {
        let events = self.store.tenant_events(self.tenant, 0).await.unwrap();
        events.into_iter().map(|event| (event.kind, event.items)).collect()
    }
}

fn counts(batch: &BatchRow) -> [u32; 5] {
    [batch.queued, batch.running, batch.completed, batch.failed, batch.cancelled]
}

#[tokio::test]
async fn a_hundred_thousand_items_are_accepted_at_once_and_shown_as_no_tasks() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 100_000)).await;
    assert_eq!((batch.state, batch.total, counts(&batch)), (BatchState::Queued, 100_000, [100_000, 0, 0, 0, 0]));
    assert_eq!(batch.progress(), 0.0);
    let chunks = 100_000_u64.div_ceil(u64::from(chunk_items(100_000)));
    let queued: u64 = fixture.store.tenant_counts(fixture.tenant).iter().map(|count| count.queued).sum();
    assert_eq!((queued, chunks), (782, 782));
    let sums = "SELECT CAST(sum(items) AS BIGINT) FROM batch_chunks";
    assert_eq!(fixture.number(sums).await, 100_000);
    let page = fixture.store.tasks(fixture.tenant, TaskQuery::default()).await.unwrap();
    assert!(page.tasks.is_empty());
    assert_eq!(fixture.store.count_tasks(fixture.tenant, 1_000).await.unwrap(), 0);

    let claimed = fixture.claim(Lane::Default, 2).await;
    assert_eq!([items_of(&claimed[0]).len(), items_of(&claimed[1]).len()], [128, 128]);
    let again = fixture.batch(batch.id).await;
    assert_eq!((again.state, counts(&again)), (BatchState::Running, [99_744, 256, 0, 0, 0]));
    assert!(again.started_at.is_some() && again.seq > batch.seq);
    let spec = fixture.store.batch_spec(batch.id).await.unwrap().unwrap();
    assert_eq!((spec.tenant, &spec.code, spec.seed), (fixture.tenant, &batch.code, u64::MAX));
    assert_eq!((&spec.source, spec.total, spec.on_error), (&batch.source, 100_000, OnItemError::Continue));
    assert_eq!((batch.name.as_deref(), batch.labels["project"].as_str()), (Some("sweep"), "bridge"));
}

#[tokio::test]
async fn chunks_end_items_and_the_last_one_ends_the_batch_once() {
    let fixture = Fixture::new().await;
    let new = NewWebhook {
        tenant: fixture.tenant,
        url: "https://a.example/".to_owned(),
        events: vec![EventType::BatchCompleted, EventType::TaskCompleted],
    };
    fixture.store.create_webhook(new).await.unwrap();
    let batch = fixture.accept(new_batch(&fixture, 130)).await;
    let chunks = fixture.run_chunks(|index| if index == 7 { Err(ErrorKind::Exception) } else { Ok("1.10") }).await;
    assert_eq!(chunks, 44);
    let ended = fixture.batch(batch.id).await;
    assert_eq!((ended.state, counts(&ended), ended.progress()), (BatchState::Completed, [0, 0, 129, 1, 0], 1.0));
    assert!(ended.completed_at.is_some());

    let items = fixture.items(batch.id).await;
    assert_eq!(items.iter().map(|item| item.index).collect::<Vec<_>>(), (0..130).collect::<Vec<_>>());
    assert_eq!(items[8].result.as_ref().unwrap().get(), "1.10");
    assert_eq!((items[0].seed, items[1].seed, items[8].usage.fuel), (u64::MAX, 0, 10));
    let failed = fixture.store.failed_batch_items(fixture.tenant, batch.id, 0, 100).await.unwrap();
    assert_eq!(failed.iter().map(|item| (item.index, item.state)).collect::<Vec<_>>(), [(7, TaskState::Failed)]);
    assert_eq!(failed[0].error.as_ref().unwrap().kind, ErrorKind::Exception);
    assert!(fixture.store.failed_batch_items(fixture.tenant, batch.id, 8, 100).await.unwrap().is_empty());

    // One event, one delivery, and of the chunks nothing; what the finish says of fuel doesn't count beside the items'.
    let sums = ItemCounts { total: 130, completed: 129, failed: 1, cancelled: 0 };
    assert_eq!(fixture.told().await, [(EventType::BatchCompleted, Some(sums))]);
    assert_eq!(fixture.number("SELECT count(*) FROM webhook_deliveries").await, 1);
    assert_eq!(fixture.number("SELECT CAST(sum(fuel) AS BIGINT) FROM task_usage").await, 1_300);
    assert_eq!(fixture.number("SELECT max(memory_peak_bytes) FROM task_usage").await, 229);
    let reconciled = fixture.store.reconcile_usage().await.unwrap();
    assert!(reconciled.holds(), "{reconciled:?}");
    assert_eq!(fixture.batch(batch.id).await.seq, ended.seq);
}

#[tokio::test]
async fn an_older_fence_writes_no_item_and_what_it_wrote_in_time_stays() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 128)).await;
    let first = fixture.claim_one().await;
    let [kept, late] = items_of(&first)[..] else { panic!("two items in a chunk") };
    let store = &fixture.store;
    let saved = store.save_items(first.claim.clone(), vec![outcome(kept, Ok("1"))]).await.unwrap();
    assert_eq!(saved, Written::Done);
    fixture.clock.advance(Duration::from_secs(31));
    assert_eq!(store.requeue_expired().await.unwrap().requeued, 1);
    let stale = store.save_items(first.claim.clone(), vec![outcome(late, Ok("2"))]).await.unwrap();
    assert_eq!(stale, Written::Stale);
    assert_eq!(counts(&fixture.batch(batch.id).await), [127, 0, 1, 0, 0]);

    let mut claimed = fixture.claim(Lane::Default, 256).await;
    let at = claimed.iter().position(|chunk| chunk.task.id == first.task.id).unwrap();
    let second = claimed.swap_remove(at);
    assert_eq!(store.ended_items(&second.claim).await.unwrap(), BTreeSet::from([kept]));
    let stale = store.save_items(first.claim.clone(), vec![outcome(late, Ok("2"))]).await.unwrap();
    assert_eq!((stale, store.finish(first.claim, finish_with("{}")).await.unwrap()), (Written::Stale, Written::Stale));
    fixture.run_chunk(second, |_| Ok("3")).await;
    let items = fixture.items(batch.id).await;
    let results: Vec<_> = items.iter().map(|item| item.result.as_ref().unwrap().get()).collect();
    assert_eq!(results, ["1", "3"]);
    // Usage of both attempts.
    assert_eq!(fixture.number("SELECT CAST(sum(fuel) AS BIGINT) FROM task_usage").await, 20);
    for chunk in claimed {
        fixture.run_chunk(chunk, |_| Ok("4")).await;
    }
    assert_eq!(counts(&fixture.batch(batch.id).await), [0, 0, 128, 0, 0]);
}

#[tokio::test]
async fn an_item_counts_once_as_what_was_written_last() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 3)).await;
    let chunk = fixture.claim_one().await;
    let [index] = items_of(&chunk)[..] else { panic!("one item in a chunk") };
    let save = async |items| fixture.store.save_items(chunk.claim.clone(), items).await;
    save(vec![outcome(index, Err(ErrorKind::Timeout))]).await.unwrap();
    assert_eq!(counts(&fixture.batch(batch.id).await), [2, 0, 0, 1, 0]);
    save(vec![outcome(index, Err(ErrorKind::Trap)), outcome(index, Ok("1"))]).await.unwrap();
    save(vec![outcome(index, Ok("1"))]).await.unwrap();
    assert_eq!(counts(&fixture.batch(batch.id).await), [2, 0, 1, 0, 0]);
    assert!(save(vec![outcome(index + 1, Ok("1"))]).await.is_err(), "another chunk's item was written");
    assert_eq!(counts(&fixture.batch(batch.id).await), [2, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_cancelled_batch_shows_every_item() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 200)).await;
    let chunk = fixture.claim_one().await;
    let first = items_of(&chunk)[0];
    fixture.store.save_items(chunk.claim.clone(), vec![outcome(first, Ok("1"))]).await.unwrap();
    let cancelled = fixture.store.cancel_batch(fixture.tenant, batch.id).await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.cancel_requested), (BatchState::Running, true));
    assert_eq!(counts(&cancelled), [0, 3, 1, 0, 196]);
    assert!(fixture.claim(Lane::Default, 10).await.is_empty());
    assert!(fixture.told().await.is_empty());
    let beats = fixture.store.heartbeat(vec![chunk.claim.clone()]).await.unwrap();
    assert_eq!(beats[0].1, Beat::CancelRequested);
    let finish = Finish { result: Err(TaskError::new(ErrorKind::Cancelled, "stopped")), ..finish_with("{}") };
    assert_eq!(fixture.store.finish(chunk.claim, finish).await.unwrap(), Written::Done);

    let ended = fixture.batch(batch.id).await;
    assert_eq!((ended.state, counts(&ended)), (BatchState::Cancelled, [0, 0, 1, 0, 199]));
    let items = fixture.items(batch.id).await;
    assert_eq!(items.len(), 200);
    assert!(items[1..].iter().all(|item| item.state == TaskState::Cancelled && item.error.is_some()));
    assert_eq!((items[1].error.as_ref().unwrap().message.as_str(), items[199].seed), ("stopped", 198));
    let sums = ItemCounts { total: 200, completed: 1, failed: 0, cancelled: 199 };
    assert_eq!(fixture.told().await, [(EventType::BatchCancelled, Some(sums))]);
    // Once more changes nothing.
    let again = fixture.store.cancel_batch(fixture.tenant, batch.id).await.unwrap().unwrap();
    assert_eq!((again.state, again.seq), (BatchState::Cancelled, ended.seq));
    assert!(fixture.store.reconcile_usage().await.unwrap().holds());
    assert_eq!(fixture.number("SELECT count(*) FROM audit WHERE action = 'batch.cancelled'").await, 1);
}

#[tokio::test]
async fn a_failed_item_stops_a_batch_that_asked_for_it() {
    let fixture = Fixture::new().await;
    let new = NewBatch { on_error: OnItemError::Stop, ..new_batch(&fixture, 200) };
    let batch = fixture.accept(new).await;
    let mut claimed = fixture.claim(Lane::Default, 2).await;
    let (other, failing) = (claimed.pop().unwrap(), claimed.pop().unwrap());
    let index = items_of(&failing)[0];
    fixture.store.save_items(failing.claim.clone(), vec![outcome(index, Err(ErrorKind::Exception))]).await.unwrap();
    assert!(fixture.claim(Lane::Default, 10).await.is_empty());
    let beats = fixture.store.heartbeat(vec![other.claim.clone(), failing.claim.clone()]).await.unwrap();
    assert!(beats.iter().all(|(_, beat)| *beat == Beat::CancelRequested));
    fixture.store.stop_batch(batch.id).await.unwrap();
    for chunk in [other, failing] {
        let finish = Finish { result: Err(TaskError::new(ErrorKind::Cancelled, "stopped")), ..finish_with("{}") };
        fixture.store.finish(chunk.claim, finish).await.unwrap();
    }
    let ended = fixture.batch(batch.id).await;
    assert_eq!((ended.state, counts(&ended)), (BatchState::Failed, [0, 0, 0, 1, 199]));
    assert_eq!(fixture.told().await.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [EventType::BatchFailed]);
    fixture.store.stop_batch(batch.id).await.unwrap();
    assert_eq!(fixture.batch(batch.id).await.seq, ended.seq);
}

#[tokio::test]
async fn only_what_failed_runs_again_and_the_item_names_its_newest_task() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 200)).await;
    fixture.run_chunks(|index| if index % 50 == 1 { Err(ErrorKind::Exception) } else { Ok("1") }).await;
    let before = fixture.items(batch.id).await;
    let again = fixture.store.retry_batch(fixture.tenant, batch.id, 10_000).await.unwrap().unwrap();
    assert_eq!((again.state, counts(&again)), (BatchState::Queued, [4, 0, 196, 0, 0]));
    assert!(again.completed_at.is_none());
    assert_eq!(fixture.items(batch.id).await.len(), 196, "what is to run again has not ended");
    // While it runs there is nothing to run again.
    let same = fixture.store.retry_batch(fixture.tenant, batch.id, 10_000).await.unwrap().unwrap();
    assert_eq!(same.seq, again.seq);

    let mut claimed = fixture.claim(Lane::Default, 256).await;
    assert_eq!(claimed.iter().flat_map(items_of).collect::<Vec<_>>(), [1, 51, 101, 151]);
    let running = fixture.batch(batch.id).await;
    assert_eq!((running.state, counts(&running)), (BatchState::Running, [0, 4, 196, 0, 0]));
    let last = claimed.pop().unwrap();
    fixture.run_chunk(last, |_| Err(ErrorKind::Timeout)).await;
    for chunk in claimed {
        fixture.run_chunk(chunk, |_| Ok("2")).await;
    }
    let ended = fixture.batch(batch.id).await;
    assert_eq!((ended.state, counts(&ended)), (BatchState::Completed, [0, 0, 199, 1, 0]));
    let items = fixture.items(batch.id).await;
    assert_eq!((items.len(), items[51].result.as_ref().unwrap().get()), (200, "2"));
    assert_ne!(items[51].task, before[51].task);
    assert_eq!(items[50].task, before[50].task);
    assert_eq!(items[151].error.as_ref().unwrap().kind, ErrorKind::Timeout);
    assert_eq!(fixture.told().await.len(), 2);

    // What a cancelled re-run leaves is what it was; what a lost one leaves has failed anew.
    for (kind, expected) in [(ErrorKind::Cancelled, ErrorKind::Timeout), (ErrorKind::WorkerLost, ErrorKind::WorkerLost)]
    {
        fixture.store.retry_batch(fixture.tenant, batch.id, 10_000).await.unwrap();
        let chunk = fixture.claim_one().await;
        assert_eq!(items_of(&chunk), [151]);
        let finish = Finish { result: Err(TaskError::new(kind, "gone")), ..finish_with("{}") };
        fixture.store.finish(chunk.claim, finish).await.unwrap();
        let ended = fixture.batch(batch.id).await;
        assert_eq!((ended.state, counts(&ended)), (BatchState::Completed, [0, 0, 199, 1, 0]));
        assert_eq!(fixture.items(batch.id).await[151].error.as_ref().unwrap().kind, expected);
    }
    assert!(fixture.store.reconcile_usage().await.unwrap().holds());
}

#[tokio::test]
async fn what_a_chunk_leaves_fails_with_it() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 128)).await;
    let lost = fixture.claim_one().await;
    let [kept, left] = items_of(&lost)[..] else { panic!("two items in a chunk") };
    fixture.store.save_items(lost.claim.clone(), vec![outcome(kept, Ok("1"))]).await.unwrap();
    let finish = Finish { result: Err(TaskError::new(ErrorKind::WorkerLost, "lost")), ..finish_with("{}") };
    fixture.store.finish(lost.claim, finish).await.unwrap();
    // A worker that leaves an item out has not carried it out.
    let silent = fixture.claim_one().await;
    let unsaid = items_of(&silent);
    fixture.store.finish(silent.claim, finish_with("{}")).await.unwrap();
    fixture.run_chunks(|_| Ok("1")).await;
    let ended = fixture.batch(batch.id).await;
    assert_eq!((ended.state, counts(&ended)), (BatchState::Completed, [0, 0, 125, 3, 0]));
    let items = fixture.items(batch.id).await;
    let kind =
        |index: u32| items.iter().find(|item| item.index == index).unwrap().error.as_ref().map(|error| error.kind);
    assert_eq!((kind(kept), kind(left)), (None, Some(ErrorKind::WorkerLost)));
    assert!(unsaid.into_iter().all(|index| kind(index) == Some(ErrorKind::Executor)));
}

#[tokio::test]
async fn a_key_makes_one_batch() {
    let fixture = Fixture::new().await;
    let key = |digest| Some(Idempotency { key: "k".to_owned(), body_digest: [digest; 32] });
    let with = |digest| NewBatch { idempotency: key(digest), ..new_batch(&fixture, 10) };
    let (first, same) = tokio::join!(fixture.store.submit_batch(with(1)), fixture.store.submit_batch(with(1)));
    let (first, same) = (first.unwrap(), same.unwrap());
    assert_eq!(first.batch.id, same.batch.id);
    assert!(first.replayed != same.replayed);
    let other = fixture.store.submit_batch(with(2)).await;
    assert!(matches!(other, Err(SubmitError::IdempotencyMismatch)));
    assert_eq!(fixture.number("SELECT count(*) FROM batches").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 10);
}

#[tokio::test]
async fn a_quota_has_room_for_all_chunks_or_for_none() {
    let fixture = Fixture::new().await;
    let refused = fixture.store.submit_batch(NewBatch { queued_max: 9, ..new_batch(&fixture, 10) }).await;
    assert!(matches!(refused, Err(SubmitError::QueueFull { queued_max: 9 })));
    let quota = Quota { queued_max: Some(10), ..Quota::default() };
    fixture.store.set_quota(fixture.tenant, quota).await.unwrap();
    fixture.accept(new_batch(&fixture, 9)).await;
    let refused = fixture.store.submit_batch(new_batch(&fixture, 2)).await;
    assert!(matches!(refused, Err(SubmitError::QueueFull { queued_max: 10 })));
    fixture.accept(new_batch(&fixture, 1)).await;
    assert_eq!(fixture.number("SELECT count(*) FROM batches").await, 2);
    fixture.store.set_tenant_access(fixture.tenant, Access::Disabled).await.unwrap();
    let refused = fixture.store.submit_batch(new_batch(&fixture, 1)).await;
    assert!(matches!(refused, Err(SubmitError::TenantDisabled)));
    assert!(fixture.store.submit_batch(new_batch(&fixture, 0)).await.is_err());
}

#[tokio::test]
async fn another_tenants_batch_is_as_absent_as_one_that_is_not_there() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let source = BatchSource::Items(vec![r#"[{"d":1}]"#.into(), r#"[{"d":2}]"#.into()]);
    let batch = fixture.accept(NewBatch { source, ..new_batch(&fixture, 2) }).await;
    fixture.run_chunks(|_| Ok("1")).await;
    let (store, id) = (&fixture.store, batch.id);
    assert!(store.batch(other, id).await.unwrap().is_none());
    assert!(store.batches(other, BatchFilter::default()).await.unwrap().batches.is_empty());
    assert!(store.batch_items(other, id, 0, 10).await.unwrap().is_empty());
    assert!(store.batch_inputs(other, id, 0, 10).await.unwrap().is_empty());
    assert!(store.cancel_batch(other, id).await.unwrap().is_none());
    assert!(store.retry_batch(other, id, 10).await.unwrap().is_none());
    assert!(store.follow_batch(other, id).await.unwrap().is_none());
    assert_eq!(store.delete_batch(other, id).await.unwrap(), BatchDeleted::Missing);
    let items = store.batch_inputs(fixture.tenant, id, 1, 10).await.unwrap();
    assert_eq!(items.iter().map(|item| (item.index, item.inputs.get())).collect::<Vec<_>>(), [(1, r#"{"d":2}"#)]);
    assert_eq!(store.batch_chunk_inputs(id, 1).await.unwrap().as_deref(), Some(r#"[{"d":2}]"#));
    assert_eq!(store.batch_chunk_inputs(id, 2).await.unwrap(), None);
}

#[tokio::test]
async fn a_deleted_batch_leaves_its_usage_and_nothing_else() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 2)).await;
    let deleted = async || fixture.store.delete_batch(fixture.tenant, batch.id).await.unwrap();
    assert_eq!(deleted().await, BatchDeleted::NotEnded(BatchState::Queued));
    let long = format!("\"{}\"", "x".repeat(300 << 10));
    let mut tasks = Vec::new();
    for chunk in fixture.claim(Lane::Default, 2).await {
        tasks.push(chunk.task.id);
        let warning = Warning { code: "w".to_owned(), message: "m".to_owned(), line: None, pointer: None };
        let item = ItemOutcome { warnings: vec![warning], ..outcome(items_of(&chunk)[0], Ok(&long)) };
        fixture.store.save_items(chunk.claim.clone(), vec![item]).await.unwrap();
        fixture.store.finish(chunk.claim, finish_with("{}")).await.unwrap();
    }
    let items = fixture.items(batch.id).await;
    assert!(items.iter().all(|item| item.result.as_ref().unwrap().get() == long && item.warnings[0].code == "w"));
    assert_eq!(fixture.number("SELECT count(*) FROM batch_items WHERE object_key IS NOT NULL").await, 2);
    // A row names the objects, however old they are.
    fixture.clock.advance(Duration::from_secs(2 * 24 * 3_600));
    fixture.store.sweep_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(fixture.items(batch.id).await.len(), 2);
    assert_eq!(fixture.store.delete_task(fixture.tenant, tasks[0]).await.unwrap(), mecapy_store::Deleted::Missing);

    assert_eq!(deleted().await, BatchDeleted::Yes);
    assert_eq!(deleted().await, BatchDeleted::Missing);
    assert!(fixture.store.task(fixture.tenant, tasks[0]).await.unwrap().is_none());
    for table in [
        "SELECT count(*) FROM batches",
        "SELECT count(*) FROM batch_items",
        "SELECT count(*) FROM batch_chunks",
        "SELECT count(*) FROM tasks",
        "SELECT count(*) FROM doomed_objects",
    ] {
        assert_eq!(fixture.number(table).await, 0, "{table}");
    }
    let reconciled = fixture.store.reconcile_usage().await.unwrap();
    assert!(reconciled.holds() && reconciled.of_deleted == 2, "{reconciled:?}");
}

#[tokio::test]
async fn followers_are_told_and_pages_go_by_state_and_study() {
    let fixture = Fixture::new().await;
    let study = StudyId::from_parts(1, &[1; 10]);
    let mine = fixture.accept(NewBatch { study: Some(study), ..new_batch(&fixture, 2) }).await;
    let mut watch = fixture.store.follow_batch(fixture.tenant, mine.id).await.unwrap().unwrap();
    fixture.run_chunks(|_| Ok("1")).await;
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
    let plain = fixture.accept(new_batch(&fixture, 2)).await;
    let page = async |filter: BatchFilter| {
        let page = fixture.store.batches(fixture.tenant, filter).await.unwrap();
        (page.batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), page.next_cursor)
    };
    let (first, cursor) = page(BatchFilter { limit: 1, ..BatchFilter::default() }).await;
    assert_eq!(first, [plain.id]);
    let (second, end) = page(BatchFilter { limit: 1, cursor, ..BatchFilter::default() }).await;
    assert_eq!((second, end), (vec![mine.id], None));
    let of_study = BatchFilter { study: Some(study), ..BatchFilter::default() };
    assert_eq!(page(of_study).await.0, [mine.id]);
    let queued = BatchFilter { state: Some(BatchState::Queued), ..BatchFilter::default() };
    assert_eq!(page(queued).await.0, [plain.id]);
}

#[tokio::test]
async fn a_batch_goes_on_after_its_server_died() {
    let fixture = Fixture::new().await;
    let batch = fixture.accept(new_batch(&fixture, 128)).await;
    let chunk = fixture.claim_one().await;
    let kept = items_of(&chunk)[0];
    fixture.store.save_items(chunk.claim, vec![outcome(kept, Ok("1"))]).await.unwrap();
    let fixture = fixture.reopen().await;
    assert_eq!(counts(&fixture.batch(batch.id).await), [127, 0, 1, 0, 0]);
    assert_eq!(fixture.run_chunks(|_| Ok("2")).await, 64);
    let items = fixture.items(batch.id).await;
    assert_eq!(items.iter().filter(|item| item.result.as_ref().unwrap().get() == "1").count(), 1);
    assert_eq!((items.len(), fixture.told().await.len()), (128, 1));
}
