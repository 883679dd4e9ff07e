//! Results that are used again: remembered once they are there, copied for the task that gets one, forgotten with theirs.

use crate::fixture::{Fixture, finish_with, json, new_task};
use mecapy_model::{
    Artifact, ArtifactName, Code, Digest, ErrorKind, Task, TaskError, TaskId, TaskState, Ties, Usage, Warning,
};
use mecapy_store::{
    Advance, Advanced, Arrived, EventKind, EventType, Finish, Idempotency, NewTask, NodeTask, Replayed, Submission,
    SubmitError, TaskQuery,
};

const KEY: Digest = Digest([7; 32]);

impl Fixture {
    /// A task whose result may be used again under a key, with this code.
    async fn keyed(&self, key: Digest, code: Code) -> TaskId {
        let ties = Ties { cache_key: Some(key), ..Ties::default() };
        let task = NewTask { code, ties, ..new_task(self.tenant) };
        self.store.submit(Submission { task, ..self.submission() }).await.unwrap().task.id
    }

    /// The same that has completed, with an artifact and a result of so many bytes.
    async fn source(&self, bytes: usize) -> TaskId {
        let id = self.keyed(KEY, Code::Python { source: "def main(): pass".to_owned(), entry: None }).await;
        let claimed = self.claim_one().await;
        assert_eq!(claimed.task.id, id);
        let artifact = Artifact::new(ArtifactName::parse("figure.png").unwrap(), b"png".to_vec());
        let artifacts = self.store.store_artifacts(&claimed.claim, &[artifact]).await.unwrap();
        let warning = Warning { code: "w".to_owned(), message: "m".to_owned(), line: None, pointer: None };
        let result = format!("\"{}\"", "x".repeat(bytes));
        let finish = Finish { artifacts, warnings: vec![warning], ..finish_with(&result) };
        self.store.finish(claimed.claim, finish).await.unwrap();
        id
    }

    async fn repeated(&self, source: TaskId) -> Task {
        let mut submission = self.submission();
        submission.task.ties.cache_key = Some(KEY);
        self.store.submit_cached(submission, source).await.unwrap().unwrap().task
    }
}

fn function(version: &str) -> Code {
    Code::Function { function: format!("acme/bolts@{version}#check"), package: Digest([1; 32]) }
}

#[tokio::test]
async fn only_what_completed_is_used_again_and_the_newest_of_it() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    assert_eq!(store.cached(tenant, KEY).await.unwrap(), None);
    let code = || Code::Python { source: "def main(): pass".to_owned(), entry: None };
    fixture.keyed(KEY, code()).await;
    assert_eq!(store.cached(tenant, KEY).await.unwrap(), None, "it has not run");
    let failed = Finish { result: Err(TaskError::new(ErrorKind::Exception, "no")), ..finish_with("{}") };
    store.finish(fixture.claim_one().await.claim, failed).await.unwrap();
    let cancelled = fixture.keyed(KEY, code()).await;
    store.cancel(tenant, cancelled).await.unwrap();
    assert_eq!(store.cached(tenant, KEY).await.unwrap(), None);
    let first = fixture.source(1).await;
    assert_eq!(store.cached(tenant, KEY).await.unwrap(), Some(first));
    let second = fixture.source(2).await;
    assert_eq!(store.cached(tenant, KEY).await.unwrap(), Some(second));
    assert_eq!(store.cached(tenant, Digest([8; 32])).await.unwrap(), None);
    let other = store.create_tenant("other").await.unwrap();
    assert_eq!(store.cached(other, KEY).await.unwrap(), None);
    store.delete_task(tenant, second).await.unwrap();
    assert_eq!(store.cached(tenant, KEY).await.unwrap(), None);
    assert_eq!(fixture.number("SELECT count(*) FROM result_cache").await, 0);
}

#[tokio::test]
async fn a_task_born_with_a_result_has_all_of_it_as_its_own() {
    for bytes in [3, 300 << 10] {
        let fixture = Fixture::new().await;
        let (store, tenant) = (&fixture.store, fixture.tenant);
        let source = fixture.source(bytes).await;
        let task = fixture.repeated(source).await;
        assert_eq!((task.state, task.attempt, task.ties.cached_from), (TaskState::Completed, 0, Some(source)));
        assert_eq!((task.usage, task.warnings.len()), (Some(Usage::default()), 1));
        assert_eq!(task.completed_at, Some(store.now()));
        // It is not what is used again: that stays the task that ran.
        assert_eq!(store.cached(tenant, KEY).await.unwrap(), Some(source));
        let theirs = store.artifacts(tenant, source).await.unwrap().unwrap();
        let own = store.artifacts(tenant, task.id).await.unwrap().unwrap();
        assert_eq!((own[0].name.as_str(), own[0].sha256), ("figure.png", theirs[0].sha256));
        assert_ne!(own[0].key, theirs[0].key);
        store.delete_task(tenant, source).await.unwrap();
        let result = store.result(tenant, task.id).await.unwrap().unwrap();
        assert_eq!((result.state, result.result.unwrap().get().len()), (TaskState::Completed, bytes + 2));
        assert_eq!(store.objects().read(&own[0].key).await.unwrap().unwrap(), b"png");

        let events = store.events(tenant, task.id, 0).await.unwrap().unwrap();
        let kinds: Vec<_> = events.events.iter().map(|event| (event.id, event.kind.clone())).collect();
        let state = |state| EventKind::State { state, attempt: 0 };
        let done = EventKind::Done { state: TaskState::Completed };
        assert_eq!(kinds, [(1, state(TaskState::Queued)), (2, state(TaskState::Completed)), (3, done)]);
        assert!(events.done);
        let told = store.tenant_events(tenant, 1).await.unwrap();
        assert_eq!(
            told.iter().map(|event| (event.kind, event.subject)).collect::<Vec<_>>(),
            [(EventType::TaskCompleted, task.id.0)]
        );
        assert!(fixture.claim(task.lane, 5).await.is_empty(), "it waits in no queue");
        assert_eq!(store.tenant_counts(tenant).iter().map(|count| count.queued).sum::<u64>(), 0);
        assert_eq!(store.tasks(tenant, TaskQuery::default()).await.unwrap().tasks.len(), 1);
        store.delete_task(tenant, task.id).await.unwrap();
        assert!(store.objects().read(&own[0].key).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_copy_is_accepted_where_the_queue_is_full_and_its_key_stands_for_it() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let source = fixture.source(3).await;
    fixture.submit().await;
    let idempotency = Some(Idempotency { key: "k".to_owned(), body_digest: [1; 32] });
    let asked = || Submission { idempotency: idempotency.clone(), queued_max: 1, ..fixture.submission() };
    assert!(matches!(store.submit(asked()).await, Err(SubmitError::QueueFull { .. })));
    let first = store.submit_cached(asked(), source).await.unwrap().unwrap();
    let again = store.submit_cached(asked(), source).await.unwrap().unwrap();
    assert_eq!((again.task.id, again.task.state, again.replayed), (first.task.id, TaskState::Completed, Replayed::Yes));
    assert_eq!(fixture.number("SELECT count(*) FROM artifacts").await, 2);
    let other_body = Some(Idempotency { key: "k".to_owned(), body_digest: [2; 32] });
    let mismatch = store.submit_cached(Submission { idempotency: other_body, ..asked() }, source).await;
    assert!(matches!(mismatch, Err(SubmitError::IdempotencyMismatch)));
    // What was copied for requests that made nothing is gone.
    let stored = fixture.data().join("objects/artifacts").join(tenant.to_string());
    let files = walk(&stored);
    if !fixture.database.is_shared() {
        assert_eq!(files, 2, "one for each task");
    }
}

fn walk(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn there_is_no_copy_of_what_is_gone_failed_or_another_tenants() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let queued = fixture.submit().await.id;
    assert!(store.submit_cached(fixture.submission(), queued).await.unwrap().is_none());
    store.cancel(tenant, queued).await.unwrap();
    assert!(store.submit_cached(fixture.submission(), queued).await.unwrap().is_none());
    let source = fixture.source(3).await;
    let other = store.create_tenant("other").await.unwrap();
    let theirs = Submission { task: new_task(other), ..fixture.submission() };
    assert!(store.submit_cached(theirs, source).await.unwrap().is_none());
    store.delete_task(tenant, source).await.unwrap();
    assert!(store.submit_cached(fixture.submission(), source).await.unwrap().is_none());
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 1);
}

#[tokio::test]
async fn a_node_that_gets_a_result_starts_and_ends_in_one_step() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let source = fixture.source(3).await;
    let new = fixture.new_run(mecapy_model::WorkflowId::from_parts(1, &[1; 10]));
    let id = store.start_run(new, None).await.unwrap().run.id;
    let run = store.due_runs(10).await.unwrap().into_iter().find(|key| key.id == id).unwrap();
    let step = async |seq| {
        let id = store.new_task_id();
        let cached = store.copy_cached(tenant, source, id).await.unwrap();
        assert!(cached.is_some());
        let tasks = vec![NodeTask { id, task: new_task(tenant), cached }];
        let answer = store.advance_run(Advance { tasks, events: vec![json("1")], ..Advance::new(run, seq, 100) }).await;
        (answer.unwrap(), id)
    };
    let (Advanced::Done { seq: 2 }, task) = step(1).await else { panic!("the run was where it was") };
    let inbox = store.load_run(run, 0).await.unwrap().unwrap().inbox;
    let [told] = inbox.as_slice() else { panic!("{inbox:?}") };
    let Arrived::Task(told) = &told.what else { panic!("{told:?}") };
    assert_eq!((told.id, told.state, told.artifacts.len()), (task, TaskState::Completed, 1));
    assert_eq!(told.result.as_ref().unwrap().get(), "\"xxx\"");
    // A step that came late leaves none of what was copied for it.
    let (Advanced::Stale, late) = step(1).await else { panic!("the run has moved on") };
    assert!(store.task(tenant, late).await.unwrap().is_none());
    if !fixture.database.is_shared() {
        let stored = fixture.data().join("objects/artifacts").join(tenant.to_string());
        assert_eq!(walk(&stored), 2);
    }
}

#[tokio::test]
async fn results_are_forgotten_by_function_and_version() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let mut keys = Vec::new();
    for (number, version) in [(1, "1.0.0"), (2, "1.0.0"), (3, "1.1.0")] {
        let key = Digest([number; 32]);
        fixture.keyed(key, function(version)).await;
        store.finish(fixture.claim_one().await.claim, finish_with("1")).await.unwrap();
        keys.push(key);
    }
    let known = async || {
        let mut known = Vec::new();
        for key in &keys {
            known.push(store.cached(tenant, *key).await.unwrap().is_some());
        }
        known
    };
    assert_eq!(known().await, [true; 3]);
    let other = store.create_tenant("other").await.unwrap();
    for (who, name, version) in [
        (tenant, "acme/bolts#size", None),
        (tenant, "acme/bolts#check", Some("2.0.0")),
        (other, "acme/bolts#check", None),
    ] {
        assert_eq!(store.invalidate_cache(who, name, version).await.unwrap(), 0, "{name}");
    }
    assert_eq!(store.invalidate_cache(tenant, "acme/bolts#check", Some("1.0.0")).await.unwrap(), 2);
    assert_eq!(known().await, [false, false, true]);
    assert_eq!(store.invalidate_cache(tenant, "acme/bolts#check", None).await.unwrap(), 1);
    assert_eq!(known().await, [false; 3]);
    assert_eq!(fixture.number("SELECT count(*) FROM tasks").await, 3);
}
