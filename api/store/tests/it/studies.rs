//! Studies: words, members of every kind, and what a deletion leaves.

use crate::batches::new_batch;
use crate::fixture::{Fixture, new_task};
use mecapy_model::{StudyId, WorkflowId};
use mecapy_store::{
    ListError, MemberCounts, MemberKind, NewBatch, NewRun, NewTask, PageRequest, ParentNode, RunQuery, StudyChange,
    Submission, TaskQuery,
};
use uuid::Uuid;

impl Fixture {
    async fn task_of(&self, study: StudyId) -> Uuid {
        let mut task = NewTask { name: Some("A".to_owned()), ..new_task(self.tenant) };
        task.ties.study = Some(study);
        self.store.submit(Submission { task, ..self.submission() }).await.unwrap().task.id.0
    }

    async fn run_of(&self, study: StudyId, parent: Option<ParentNode>) -> Uuid {
        let new = self.new_run(WorkflowId::from_parts(1, &[1; 10]));
        let run = NewRun { study: Some(study), parent, ..new };
        self.store.start_run(run, None).await.unwrap().run.id.0
    }
}

#[tokio::test]
async fn a_study_has_its_words_changed_and_belongs_to_its_tenant() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let other = store.create_tenant("other").await.unwrap();
    let study = store.create_study(tenant, "bolts".to_owned(), String::new()).await.unwrap();
    assert_eq!(store.study(tenant, study.id).await.unwrap().as_ref(), Some(&study));
    fixture.clock.advance(std::time::Duration::from_secs(1));
    let change = StudyChange { description: Some("which one holds".to_owned()), ..StudyChange::default() };
    let changed = store.change_study(tenant, study.id, change.clone()).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.description.as_str()), ("bolts", "which one holds"));
    assert!(changed.changed_at > changed.created_at);
    assert!(store.study(other, study.id).await.unwrap().is_none());
    assert!(store.change_study(other, study.id, change).await.unwrap().is_none());
    assert!(!store.delete_study(other, study.id).await.unwrap());
    let second = store.create_study(tenant, "beams".to_owned(), String::new()).await.unwrap();
    let page = store.studies(tenant, PageRequest { limit: 1, cursor: None }).await.unwrap();
    assert_eq!(page.items[0].id, second.id);
    let next = PageRequest { limit: 1, cursor: page.next_cursor };
    let page = store.studies(tenant, next.clone()).await.unwrap();
    assert_eq!((page.items[0].id, page.next_cursor), (study.id, None));
    assert!(matches!(store.studies(other, next).await, Err(ListError::BadCursor)));
    assert!(store.studies(other, PageRequest::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn members_of_all_kinds_are_listed_newest_first_and_stay_when_the_study_goes() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let study = store.create_study(tenant, "bolts".to_owned(), String::new()).await.unwrap().id;
    let elsewhere = store.create_study(tenant, "beams".to_owned(), String::new()).await.unwrap().id;
    fixture.task_of(elsewhere).await;
    fixture.submit().await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.insert(0, (MemberKind::Task, fixture.task_of(study).await));
        let run = fixture.run_of(study, None).await;
        expected.insert(0, (MemberKind::WorkflowRun, run));
        // What is the work of a member is none itself.
        let parent = ParentNode { run: mecapy_model::RunId(run), key: "inner".to_owned(), index: None };
        fixture.run_of(study, Some(parent)).await;
    }
    // Nor are the tasks of a batch.
    let batch = NewBatch { study: Some(study), ..new_batch(&fixture, 3) };
    let batch = store.submit_batch(batch).await.unwrap().batch.id.0;
    let counts = |tasks, batches, workflow_runs| MemberCounts { tasks, batches, workflow_runs };
    assert_eq!(store.count_members(tenant, study, 100).await.unwrap(), counts(3, 1, 3));
    assert_eq!(store.count_members(tenant, study, 2).await.unwrap(), counts(2, 1, 2));
    expected.insert(0, (MemberKind::Batch, batch));
    for limit in [1, 2, 6, 7, 8] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.study_members(tenant, study, PageRequest { limit, cursor }).await.unwrap();
            seen.extend(page.items.iter().map(|member| (member.kind, member.id)));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{limit}");
    }
    let page = store.study_members(tenant, study, PageRequest::default()).await.unwrap();
    let (run, task) = (&page.items[1], &page.items[2]);
    assert_eq!((run.name.as_deref(), run.state.as_str()), (Some("truss"), "running"));
    assert_eq!((task.name.as_deref(), task.state.as_str()), (Some("A"), "queued"));
    let other = store.create_tenant("other").await.unwrap();
    assert!(store.study_members(other, study, PageRequest::default()).await.unwrap().items.is_empty());

    let tasks = TaskQuery { study: Some(study), limit: 2, ..TaskQuery::default() };
    let first = store.tasks(tenant, tasks.clone()).await.unwrap();
    assert_eq!(first.tasks.len(), 2);
    let second = store.tasks(tenant, TaskQuery { cursor: first.next_cursor.clone(), ..tasks }).await.unwrap();
    assert_eq!((second.tasks.len(), second.next_cursor), (1, None));
    let other_filter = TaskQuery { study: Some(elsewhere), cursor: first.next_cursor, ..TaskQuery::default() };
    assert!(matches!(store.tasks(tenant, other_filter).await, Err(ListError::BadCursor)));
    let runs = RunQuery { study: Some(study), ..RunQuery::default() };
    assert_eq!(store.runs(tenant, runs, PageRequest::default()).await.unwrap().items.len(), 6);

    assert!(store.delete_study(tenant, study).await.unwrap());
    assert!(!store.delete_study(tenant, study).await.unwrap());
    let left = "SELECT count(*) FROM tasks WHERE study IS NULL AND batch IS NULL";
    assert_eq!(fixture.number(left).await, 4);
    assert_eq!(fixture.number("SELECT count(*) FROM tasks WHERE study IS NOT NULL").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM batches WHERE study IS NULL").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM workflow_runs WHERE study IS NULL").await, 6);
}
