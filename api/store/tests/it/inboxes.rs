//! What runs have to take in: ended tasks, ended children, what they are sent; and what they tell.

use crate::fixture::{Fixture, finish_with, json};
use crate::workflows::{done, ended};
use mecapy_model::{Artifact, ArtifactName, ErrorKind, TaskError, TaskState};
use mecapy_store::{
    Advance, Advanced, Arrived, EventType, Finish, NewRun, NewWebhook, PageRequest, ParentNode, RunQuery, RunState,
    Written,
};
use std::time::Duration;

#[tokio::test]
async fn an_ended_task_is_in_the_inbox_once_however_often_its_end_is_told() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let run = fixture.run().await;
    let (advance, id) = fixture.start(run, 1);
    done(store, advance).await;
    let claimed = fixture.claim_one().await;
    let artifact = Artifact::new(ArtifactName::parse("out/mesh.med").unwrap(), b"mesh".to_vec());
    let artifacts = store.store_artifacts(&claimed.claim, &[artifact]).await.unwrap();
    let finish = Finish { artifacts, ..finish_with(r#"{"stress": 1.10}"#) };
    let wakeup = store.run_wakeup();
    let prepared = store.prepare_finish(claimed.claim, finish);
    assert_eq!(store.write_finish(&prepared).await.unwrap(), Written::Done);
    tokio::time::timeout(Duration::from_secs(5), wakeup.notified()).await.expect("the driver is told");
    for _ in 0..3 {
        assert_eq!(store.write_finish(&prepared).await.unwrap(), Written::Stale);
    }
    let inbox = fixture.inbox(run).await;
    let [(no, Arrived::Task(task))] = inbox.as_slice() else { panic!("{inbox:?}") };
    assert_eq!((task.id, task.state, task.by_reference), (id, TaskState::Completed, false));
    assert_eq!(task.result.as_ref().unwrap().get(), r#"{"stress": 1.10}"#);
    assert_eq!(task.artifacts.iter().map(ArtifactName::as_str).collect::<Vec<_>>(), ["out/mesh.med"]);
    assert_eq!(store.due_runs(10).await.unwrap(), [run]);

    let events = vec![json("{\"node_ended\": 1}")];
    let step = Advance { events, consumed: vec![*no], ..Advance::new(run, 2, 100) };
    // A step that was planned before takes nothing out.
    let late = Advance { consumed: vec![*no], ..Advance::new(run, 1, 100) };
    assert!(matches!(store.advance_run(late).await.unwrap(), Advanced::Stale));
    assert_eq!(fixture.inbox(run).await.len(), 1);
    assert_eq!(done(store, step).await, 3);
    assert!(fixture.inbox(run).await.is_empty() && store.due_runs(10).await.unwrap().is_empty());
    let loaded = store.load_run(run, 2).await.unwrap().unwrap();
    assert_eq!(loaded.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn failures_and_long_results_are_told_without_their_length() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let run = fixture.run().await;
    for (seq, bytes) in [(1, 70 << 10), (2, 300 << 10)] {
        let (advance, _) = fixture.start(run, seq);
        done(store, advance).await;
        let result = format!("\"{}\"", "x".repeat(bytes));
        store.finish(fixture.claim_one().await.claim, finish_with(&result)).await.unwrap();
    }
    let (advance, _) = fixture.start(run, 3);
    done(store, advance).await;
    let error = TaskError::new(ErrorKind::Exception, "no");
    let failed = Finish { result: Err(error.clone()), ..finish_with("{}") };
    store.finish(fixture.claim_one().await.claim, failed).await.unwrap();
    let told: Vec<_> = fixture
        .inbox(run)
        .await
        .into_iter()
        .map(|(_, what)| match what {
            Arrived::Task(task) => (task.state, task.result.is_some(), task.by_reference, task.error),
            other => panic!("{other:?}"),
        })
        .collect();
    let long = (TaskState::Completed, false, true, None);
    assert_eq!(told, [long.clone(), long, (TaskState::Failed, false, false, Some(error))]);
}

#[tokio::test]
async fn a_child_tells_its_parent_and_is_told_by_it() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let parent = fixture.run().await;
    let workflow = store.workflow(tenant, "truss", None).await.unwrap().unwrap().id;
    let node = ParentNode { run: parent.id, key: "inner".to_owned(), index: Some(3) };
    let child = NewRun { parent: Some(node.clone()), depth: 1, ..fixture.new_run(workflow) };
    let id = child.id;
    let step = Advance { children: vec![child], events: vec![json("1")], ..Advance::new(parent, 1, 100) };
    done(store, step).await;
    let child = fixture.key_of(id).await;
    let row = store.run(tenant, id).await.unwrap().unwrap();
    assert_eq!((row.parent, row.depth, row.seq), (Some(node), 1, 1));
    let listed = RunQuery { parent: Some(parent.id), ..RunQuery::default() };
    let page = store.runs(tenant, listed, PageRequest::default()).await.unwrap();
    assert_eq!(page.items.iter().map(|run| run.id).collect::<Vec<_>>(), [id]);

    let signals = vec![(id, json(r#"{"cancel": null}"#))];
    done(store, Advance { signals, events: vec![json("2")], ..Advance::new(parent, 2, 100) }).await;
    let inbox = fixture.inbox(child).await;
    assert!(matches!(inbox.as_slice(), [(_, Arrived::Sent(sent))] if sent.get() == r#"{"cancel": null}"#), "{inbox:?}");

    let end = Advance { ended: ended(RunState::Failed), events: vec![json("2")], ..Advance::new(child, 1, 100) };
    done(store, end.clone()).await;
    assert!(matches!(store.advance_run(end).await.unwrap(), Advanced::Stale));
    let inbox = fixture.inbox(parent).await;
    let [(_, Arrived::Run(told))] = inbox.as_slice() else { panic!("{inbox:?}") };
    assert_eq!((told.id, told.state.as_str(), told.by_reference), (id, "failed", false));
    assert_eq!(told.outputs.as_ref().unwrap().get(), r#"{"stress": 1.10}"#);
    assert_eq!(told.error.as_ref().unwrap().get(), r#"{"kind": "node_failed", "node": "solve"}"#);
}

#[tokio::test]
async fn an_end_is_told_to_the_tenant_and_can_be_taken_back() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let hook = NewWebhook {
        tenant,
        url: "https://hooks.example/a".to_owned(),
        events: vec![EventType::WorkflowRunFailed, EventType::WorkflowRunCompleted],
    };
    store.create_webhook(hook).await.unwrap();
    let run = fixture.run().await;
    let mut watch = store.follow_run(tenant, run.id);
    let end = |seq, state| Advance { ended: ended(state), events: vec![json("1")], ..Advance::new(run, seq, 100) };
    done(store, end(1, RunState::Failed)).await;
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect("followers are told");
    let row = store.run(tenant, run.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.completed_at), (RunState::Failed, Some(store.now())));
    assert!(row.error.unwrap().get().contains("node_failed"));

    // A run that has ended hears what it is sent.
    assert!(store.send_run(tenant, run.id, json(r#"{"restart": null}"#)).await.unwrap());
    let (no, _) = fixture.inbox(run).await.remove(0);
    let step = Advance { restarted: true, consumed: vec![no], events: vec![json("2")], ..Advance::new(run, 2, 100) };
    done(store, step).await;
    let row = store.run(tenant, run.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.completed_at, row.seq), (RunState::Running, None, 3));
    assert!(row.outputs.is_none() && row.error.is_none());
    done(store, end(3, RunState::Completed)).await;
    let told: Vec<_> =
        store.tenant_events(tenant, 0).await.unwrap().into_iter().map(|event| (event.kind, event.subject)).collect();
    let kinds = [EventType::WorkflowRunFailed, EventType::WorkflowRunCompleted].map(|kind| (kind, run.id.0));
    assert_eq!(told, kinds);
    assert_eq!(fixture.number("SELECT count(*) FROM webhook_deliveries").await, 2);
}

#[tokio::test]
async fn a_run_is_due_when_its_time_comes_and_not_while_it_is_held() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let run = fixture.run().await;
    let due = async || store.due_runs(10).await.unwrap();
    store.hold_run(run, store.now() + Duration::from_secs(10)).await.unwrap();
    assert!(due().await.is_empty());
    assert_eq!(store.next_run_wake().await.unwrap(), Some(store.now() + Duration::from_secs(10)));
    fixture.clock.advance(Duration::from_secs(10));
    assert_eq!(due().await, [run]);
    let at = store.now() + Duration::from_secs(60);
    let at_ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
    done(store, Advance { wake_ms: Some(at_ms), events: vec![json("1")], ..Advance::new(run, 1, 100) }).await;
    assert!(due().await.is_empty());
    assert_eq!(store.next_run_wake().await.unwrap(), Some(at));
    // What comes before its time is taken in at once.
    assert!(store.send_run(fixture.tenant, run.id, json("{}")).await.unwrap());
    assert_eq!(due().await, [run]);
    let (no, _) = fixture.inbox(run).await.remove(0);
    done(store, Advance { wake_ms: Some(at_ms), consumed: vec![no], ..Advance::new(run, 2, 100) }).await;
    assert!(due().await.is_empty());
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(due().await, [run]);
}

#[tokio::test]
async fn what_a_crash_leaves_is_a_run_before_or_after_its_step() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let (advance, id) = fixture.start(run, 1);
    done(&fixture.store, advance).await;
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.seq(run).await, 2);
    let claimed = fixture.claim_one().await;
    assert_eq!(claimed.task.id, id);
    fixture.store.finish(claimed.claim, finish_with("1")).await.unwrap();
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.store.due_runs(10).await.unwrap(), [run]);
    assert_eq!(fixture.inbox(run).await.len(), 1);
}
