//! Workflows and their runs: versions, steps of which one counts, inboxes that miss and repeat nothing.

use crate::fixture::{Fixture, finish_with, json, new_task};
use mecapy_model::{Artifact, ArtifactName, Lane, RunId, StudyId, TaskId, TaskState, TenantId, UploadId, WorkflowId};
use mecapy_store::{
    Advance, Advanced, Arrived, Finish, Idempotency, NewRun, NewUpload, NewWorkflow, NodeTask, PageRequest, Quota,
    RunDeleted, RunEnd, RunKey, RunQuery, RunState, StartRunError, Store, SubmitError, TaskQuery,
};
use std::collections::BTreeMap;
use std::time::Duration;

impl Fixture {
    pub(crate) async fn workflow(&self) -> WorkflowId {
        let new = NewWorkflow { tenant: self.tenant, name: "truss".to_owned(), definition: "{}".to_owned() };
        self.store.save_workflow(new).await.unwrap().workflow.id
    }

    pub(crate) fn new_run(&self, workflow: WorkflowId) -> NewRun {
        NewRun {
            id: self.store.new_run_id(),
            tenant: self.tenant,
            workflow,
            version: 1,
            name: Some("truss".to_owned()),
            inputs: json(r#"{"F": 1.10}"#),
            pins: json(r#"{"f": "a/b@1.0.0#f"}"#),
            parent: None,
            depth: 0,
            study: None,
            labels: BTreeMap::from([("project".to_owned(), "A320".to_owned())]),
            events: vec![json(r#"{"started": {}}"#)],
        }
    }

    /// A run that has started, as it is due.
    pub(crate) async fn run(&self) -> RunKey {
        let workflow = self.workflow().await;
        let id = self.store.start_run(self.new_run(workflow), None).await.unwrap().run.id;
        self.key_of(id).await
    }

    pub(crate) async fn key_of(&self, id: RunId) -> RunKey {
        self.store.due_runs(1_000).await.unwrap().into_iter().find(|key| key.id == id).expect("the run is due")
    }

    /// A step that starts a task.
    pub(crate) fn start(&self, run: RunKey, seq: u64) -> (Advance, TaskId) {
        let id = self.store.new_task_id();
        let tasks = vec![NodeTask { id, task: new_task(self.tenant), cached: None }];
        let events = vec![json(&format!(r#"{{"node_started": "{id}"}}"#))];
        (Advance { tasks, events, ..Advance::new(run, seq, 10_000) }, id)
    }

    pub(crate) async fn seq(&self, run: RunKey) -> u64 {
        self.store.run(run.tenant, run.id).await.unwrap().unwrap().seq
    }

    pub(crate) async fn inbox(&self, run: RunKey) -> Vec<(i64, Arrived)> {
        let loaded = self.store.load_run(run, 0).await.unwrap().unwrap();
        loaded.inbox.into_iter().map(|item| (item.no, item.what)).collect()
    }
}

pub(crate) fn ended(state: RunState) -> Option<RunEnd> {
    let error = (state == RunState::Failed).then(|| json(r#"{"kind": "node_failed", "node": "solve"}"#));
    let error_kind = error.as_ref().map(|_| "node_failed".to_owned());
    Some(RunEnd { state, outputs: Some(json(r#"{"stress": 1.10}"#)), error, error_kind })
}

pub(crate) async fn done(store: &Store, advance: Advance) -> u64 {
    match store.advance_run(advance).await.unwrap() {
        Advanced::Done { seq } => seq,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_workflow_gets_a_version_for_each_definition_and_none_for_the_same_again() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let save = async |tenant, name: &str, definition: &str| {
        let new = NewWorkflow { tenant, name: name.to_owned(), definition: definition.to_owned() };
        let saved = store.save_workflow(new).await.unwrap();
        (saved.workflow.id, saved.workflow.version, saved.is_new_version)
    };
    let (id, ..) = save(tenant, "truss", "{\"a\":1}").await;
    assert_eq!(save(tenant, "truss", "{\"a\":1}").await, (id, 1, false));
    assert_eq!(save(tenant, "truss", "{\"a\":2}").await, (id, 2, true));
    assert_eq!(save(tenant, "truss", "{\"a\":1}").await, (id, 3, true));
    let other = store.create_tenant("other").await.unwrap();
    let (theirs, ..) = save(other, "truss", "{}").await;
    assert_ne!(theirs, id);

    let by_name = store.workflow(tenant, "truss", None).await.unwrap().unwrap();
    assert_eq!((by_name.id, by_name.version, by_name.latest, by_name.definition.as_str()), (id, 3, 3, "{\"a\":1}"));
    let second = store.workflow(tenant, &id.to_string(), Some(2)).await.unwrap().unwrap();
    assert_eq!((second.version, second.latest, second.definition.as_str()), (2, 3, "{\"a\":2}"));
    for (who, what, version) in [(tenant, "truss", Some(4)), (tenant, "beam", None), (other, &*id.to_string(), None)] {
        assert!(store.workflow(who, what, version).await.unwrap().is_none(), "{what}");
    }
    let versions: Vec<u32> =
        store.workflow_versions(tenant, id, None, 10).await.unwrap().iter().map(|version| version.version).collect();
    assert_eq!(versions, [3, 2, 1]);
    assert!(store.workflow_versions(other, id, None, 10).await.unwrap().is_empty());
    save(tenant, "beam", "{}").await;
    let first = PageRequest { limit: 1, cursor: None };
    let page = store.workflows(tenant, first).await.unwrap();
    assert_eq!(page.items[0].name, "beam");
    let page = store.workflows(tenant, PageRequest { limit: 1, cursor: page.next_cursor }).await.unwrap();
    assert_eq!((page.items[0].id, page.items[0].version, page.next_cursor), (id, 3, None));
}

#[tokio::test]
async fn many_who_save_one_definition_make_one_version() {
    let fixture = Fixture::new().await;
    let saves = (0..20).map(|number| {
        let (store, tenant) = (fixture.store.clone(), fixture.tenant);
        tokio::spawn(async move {
            let definition = format!("{{\"a\":{}}}", number % 2);
            store.save_workflow(NewWorkflow { tenant, name: "truss".to_owned(), definition }).await.unwrap()
        })
    });
    let mut made = 0;
    for save in saves.collect::<Vec<_>>() {
        made += i64::from(save.await.unwrap().is_new_version);
    }
    assert_eq!(fixture.number("SELECT count(*) FROM workflows").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM workflow_versions").await, made);
    assert_eq!(fixture.number("SELECT version FROM workflows").await, made);
}

#[tokio::test]
async fn a_run_reads_back_as_it_was_started_and_is_due_at_once() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let wakeup = store.run_wakeup();
    let workflow = fixture.workflow().await;
    let new = NewRun { study: Some(StudyId::from_parts(1, &[1; 10])), ..fixture.new_run(workflow) };
    let key = Idempotency { key: "k".to_owned(), body_digest: [1; 32] };
    let started = store.start_run(new.clone(), Some(key.clone())).await.unwrap();
    assert!(!started.replayed);
    tokio::time::timeout(Duration::from_secs(5), wakeup.notified()).await.expect("the driver is told");
    let run = store.run(tenant, new.id).await.unwrap().unwrap();
    assert_eq!(format!("{run:?}"), format!("{:?}", started.run));
    assert_eq!((run.state, run.seq, run.study, run.workflow), (RunState::Running, 1, new.study, workflow));
    assert_eq!((run.inputs.get(), run.pins.get()), (r#"{"F": 1.10}"#, r#"{"f": "a/b@1.0.0#f"}"#));
    assert_eq!(run.labels, new.labels);
    let events = store.run_events(tenant, new.id, 0).await.unwrap();
    assert_eq!((events.len(), events[0].seq, events[0].body.get()), (1, 1, r#"{"started": {}}"#));
    fixture.key_of(new.id).await;

    // Its key stands for it, and for no other request.
    let again = NewRun { id: store.new_run_id(), ..new.clone() };
    let replayed = store.start_run(again.clone(), Some(key.clone())).await.unwrap();
    assert_eq!((replayed.run.id, replayed.replayed), (new.id, true));
    let other_body = Some(Idempotency { body_digest: [2; 32], ..key });
    assert!(matches!(store.start_run(again, other_body).await, Err(StartRunError::IdempotencyMismatch)));
    assert_eq!(fixture.number("SELECT count(*) FROM workflow_runs").await, 1);
    let stranger = NewRun { id: store.new_run_id(), tenant: TenantId::from_parts(1, &[3; 10]), ..new };
    assert!(matches!(store.start_run(stranger, None).await, Err(StartRunError::TenantDisabled)));
}

#[tokio::test]
async fn of_many_who_take_the_same_step_one_does() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let steps = (0..8).map(|_| {
        let (advance, id) = fixture.start(run, 1);
        let store = fixture.store.clone();
        tokio::spawn(async move { (store.advance_run(advance).await.unwrap(), id) })
    });
    let mut started = Vec::new();
    for step in steps.collect::<Vec<_>>() {
        match step.await.unwrap() {
            (Advanced::Done { seq: 2 }, id) => started.push(id),
            (Advanced::Stale, _) => {}
            (other, _) => panic!("{other:?}"),
        }
    }
    assert_eq!(started.len(), 1);
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 1);
    let task = fixture.store.task(fixture.tenant, started[0]).await.unwrap().unwrap();
    assert_eq!((task.ties.run, task.state), (Some(run.id), TaskState::Queued));
    assert_eq!(fixture.store.run_events(fixture.tenant, run.id, 0).await.unwrap().len(), 2);
    assert!(fixture.store.due_runs(10).await.unwrap().is_empty(), "nothing came, and no time was set");
}

#[tokio::test]
async fn of_two_processes_that_take_the_same_step_one_does() {
    let fixture = Fixture::shared().await;
    let run = fixture.run().await;
    let mut steps = tokio::task::JoinSet::new();
    for number in 0..3 {
        let store = fixture.another_process(&format!("driver {number}")).await;
        let (advance, _) = fixture.start(run, 1);
        steps.spawn(async move { matches!(store.advance_run(advance).await.unwrap(), Advanced::Done { .. }) });
    }
    let taken = steps.join_all().await.into_iter().filter(|taken| *taken).count();
    assert_eq!((taken, fixture.number("SELECT count(*) FROM tasks").await), (1, 1));
}

#[tokio::test]
async fn a_step_that_starts_something_unsaid_is_refused() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let (advance, _) = fixture.start(run, 1);
    assert!(fixture.store.advance_run(Advance { events: Vec::new(), ..advance }).await.is_err());
    assert_eq!((fixture.seq(run).await, fixture.number("SELECT count(*) FROM tasks").await), (1, 0));
}

#[tokio::test]
async fn a_run_that_waits_for_room_loses_nothing_and_learns_how_much_there_is() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let run = fixture.run().await;
    let task = || NodeTask { id: store.new_task_id(), task: new_task(tenant), cached: None };
    let step = |tasks| Advance { tasks, events: vec![json("{}")], ..Advance::new(run, 1, 5) };
    fixture.submit().await;
    let asked = step((0..6).map(|_| task()).collect());
    let refused = store.advance_run(asked).await.unwrap();
    assert!(
        matches!(refused, Advanced::Refused { at: 4, why: SubmitError::QueueFull { queued_max: 5 } }),
        "{refused:?}"
    );
    assert_eq!((fixture.seq(run).await, fixture.number("SELECT count(*) FROM tasks").await), (1, 1));
    assert_eq!(done(store, step((0..4).map(|_| task()).collect())).await, 2);
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 5);

    // A tenant's own quota goes before, and a file that is not there is no matter of room.
    store.set_quota(tenant, Quota { queued_max: Some(5), ..Quota::default() }).await.unwrap();
    let full = Advance { seq: 2, queued_max: 100, ..step(vec![task()]) };
    assert!(matches!(
        store.advance_run(full).await.unwrap(),
        Advanced::Refused { at: 0, why: SubmitError::QueueFull { queued_max: 5 } }
    ));
    store.set_quota(tenant, Quota::default()).await.unwrap();
    let mut unknown = task();
    unknown.task.files.insert("mesh.med".to_owned(), UploadId::from_parts(1, &[1; 10]));
    let missing = Advance { seq: 2, queued_max: 100, ..step(vec![task(), unknown]) };
    assert!(matches!(
        store.advance_run(missing).await.unwrap(),
        Advanced::Refused { at: 1, why: SubmitError::UnknownUpload { file } } if file == "mesh.med"
    ));
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 5);
}

#[tokio::test]
async fn a_thousand_tasks_start_in_one_step_and_stop_in_another() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let run = fixture.run().await;
    let upload = {
        let new = NewUpload { name: None, content_type: None, bytes_max: 10 };
        let mut upload = store.begin_upload(tenant, new).await.unwrap();
        upload.write(b"mesh").await.unwrap();
        upload.finish().await.unwrap().id
    };
    let files = BTreeMap::from([("mesh.med".to_owned(), upload)]);
    let ids: Vec<TaskId> = (0..1_000).map(|_| store.new_task_id()).collect();
    let tasks = ids.iter().map(|id| {
        let mut task = new_task(tenant);
        task.files = files.clone();
        NodeTask { id: *id, task, cached: None }
    });
    let events: Vec<_> = ids.iter().map(|id| json(&format!("\"{id}\""))).collect();
    let step = Advance { tasks: tasks.collect(), events: events.clone(), ..Advance::new(run, 1, 10_000) };
    assert_eq!(done(store, step).await, 1_001);
    assert_eq!(fixture.number("SELECT count(*) FROM tasks WHERE state = 'queued'").await, 1_000);
    assert_eq!(fixture.number("SELECT count(*) FROM task_files").await, 1_000);
    let listed = TaskQuery { run: Some(run.id), limit: 200, ..TaskQuery::default() };
    assert_eq!(store.tasks(tenant, listed).await.unwrap().tasks.len(), 200);

    let claimed = fixture.claim(Lane::Default, 3).await;
    let mut cancels = store.cancels();
    let step = Advance { cancels: ids.clone(), events: vec![json("1")], ..Advance::new(run, 1_001, 100) };
    done(store, step).await;
    assert_eq!(fixture.number("SELECT count(*) FROM tasks WHERE state = 'cancelled'").await, 997);
    assert_eq!(fixture.number("SELECT count(*) FROM run_inbox").await, 997);
    let mut asked: Vec<TaskId> = Vec::new();
    while asked.len() < 3 {
        asked.push(tokio::time::timeout(Duration::from_secs(5), cancels.recv()).await.unwrap().unwrap());
    }
    asked.sort();
    let mut running: Vec<TaskId> = claimed.iter().map(|claimed| claimed.task.id).collect();
    running.sort();
    assert_eq!(asked, running);
    let shown = store.task_shown(tenant, running[0]).await.unwrap().unwrap();
    assert!(shown.cancel_requested);
    // Once more changes nothing.
    let again = Advance { cancels: ids, events: vec![json("2")], ..Advance::new(run, 1_002, 100) };
    done(store, again).await;
    assert_eq!(fixture.number("SELECT count(*) FROM run_inbox").await, 997);
    assert_eq!(store.tenant_counts(tenant).iter().map(|count| count.queued).sum::<u64>(), 0);
}

#[tokio::test]
async fn another_tenant_finds_no_run_and_an_ended_one_can_be_deleted() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let run = fixture.run().await;
    let (advance, task) = fixture.start(run, 1);
    done(store, advance).await;
    let other = store.create_tenant("other").await.unwrap();
    assert!(store.run(other, run.id).await.unwrap().is_none());
    assert!(store.run_events(other, run.id, 0).await.unwrap().is_empty());
    assert!(!store.send_run(other, run.id, json("{}")).await.unwrap());
    assert_eq!(store.delete_run(other, run.id).await.unwrap(), RunDeleted::Missing);
    let page = store.runs(other, RunQuery::default(), PageRequest::default()).await.unwrap();
    assert!(page.items.is_empty());

    assert_eq!(store.delete_run(tenant, run.id).await.unwrap(), RunDeleted::NotEnded);
    let end = Advance { ended: ended(RunState::Cancelled), events: vec![json("1")], ..Advance::new(run, 2, 100) };
    done(store, end).await;
    assert_eq!(store.delete_run(tenant, run.id).await.unwrap(), RunDeleted::Yes);
    assert_eq!(store.delete_run(tenant, run.id).await.unwrap(), RunDeleted::Missing);
    assert!(store.load_run(run, 0).await.unwrap().is_none());
    assert!(matches!(store.advance_run(Advance::new(run, 3, 100)).await.unwrap(), Advanced::Stale));
    for table in ["run_events", "run_inbox", "workflow_run_texts"] {
        let rows = match table {
            "run_events" => fixture.number("SELECT count(*) FROM run_events").await,
            "run_inbox" => fixture.number("SELECT count(*) FROM run_inbox").await,
            _ => fixture.number("SELECT count(*) FROM workflow_run_texts").await,
        };
        assert_eq!(rows, 0, "{table}");
    }
    // The task stays, ends as any, and tells nobody.
    store.finish(fixture.claim_one().await.claim, finish_with("1")).await.unwrap();
    let kept = store.task(tenant, task).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.ties.run), (TaskState::Completed, Some(run.id)));
    assert_eq!(fixture.number("SELECT count(*) FROM run_inbox").await, 0);
}

#[tokio::test]
async fn an_artifact_becomes_one_upload_that_outlives_its_task() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    fixture.submit().await;
    let claimed = fixture.claim_one().await;
    let (task, name) = (claimed.task.id, ArtifactName::parse("out/mesh.med").unwrap());
    let artifact = Artifact::new(name.clone(), b"mesh".to_vec());
    let artifacts = store.store_artifacts(&claimed.claim, &[artifact]).await.unwrap();
    store.finish(claimed.claim, Finish { artifacts, ..finish_with("1") }).await.unwrap();
    let id = store.upload_of_artifact(tenant, task, &name).await.unwrap().unwrap();
    assert_eq!(store.upload_of_artifact(tenant, task, &name).await.unwrap(), Some(id));
    let upload = store.upload(tenant, id).await.unwrap().unwrap();
    assert_eq!((upload.name.as_deref(), upload.size_bytes), (Some("mesh.med"), 4));
    let other = store.create_tenant("other").await.unwrap();
    assert!(store.upload_of_artifact(other, task, &name).await.unwrap().is_none());
    let unknown = ArtifactName::parse("mesh.med").unwrap();
    assert!(store.upload_of_artifact(tenant, task, &unknown).await.unwrap().is_none());
    store.delete_task(tenant, task).await.unwrap();
    assert_eq!(store.objects().read(&upload.key).await.unwrap().unwrap(), b"mesh");
}
