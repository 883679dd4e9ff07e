//! Schedules: each time fires once, whoever tries, and says what became of it.

use crate::fixture::{Fixture, finish_with, json, new_task};
use mecapy_model::{TaskState, WorkflowId};
use mecapy_store::{
    Access, FIRINGS_KEPT, Fire, FireWork, Fired, MissedPolicy, NewSchedule, OverlapPolicy, PageRequest, RunState,
    ScheduleChange, ScheduleRow, Store, SubmitError,
};
use std::time::Duration;

/// The fixture's clock begins here, Unix milliseconds.
const START_MS: i64 = 1_800_000_000_000;

impl Fixture {
    async fn schedule(&self, overlap: OverlapPolicy) -> ScheduleRow {
        let new = NewSchedule {
            tenant: self.tenant,
            name: Some("nightly".to_owned()),
            cron: "0 3 * * *".to_owned(),
            timezone: "Europe/Paris".to_owned(),
            work: json(r#"{"task": {"inputs": {"F": 1.10}}}"#),
            missed: MissedPolicy::RunOnce,
            overlap,
            paused: false,
            next_ms: Some(START_MS + 1_000),
        };
        self.store.create_schedule(new).await.unwrap()
    }

    fn fire(&self, schedule: &ScheduleRow, due_ms: i64) -> Fire {
        let work = FireWork::Task(Box::new(self.submission()));
        let (tenant, schedule) = (self.tenant, schedule.id);
        Fire { tenant, schedule, due_ms, next_ms: Some(due_ms + 1_000), work, note: None }
    }
}

async fn due(store: &Store) -> Vec<ScheduleRow> {
    store.due_schedules(store.now(), 10).await.unwrap()
}

#[tokio::test]
async fn a_schedule_reads_back_changes_pauses_and_goes() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let made = fixture.schedule(OverlapPolicy::Skip).await;
    assert_eq!(
        (made.cron.as_str(), made.timezone.as_str(), made.work.get()),
        ("0 3 * * *", "Europe/Paris", r#"{"task": {"inputs": {"F": 1.10}}}"#)
    );
    assert_eq!(
        (made.missed, made.overlap, made.next_ms),
        (MissedPolicy::RunOnce, OverlapPolicy::Skip, Some(START_MS + 1_000))
    );
    assert!(!made.paused && !made.is_busy && due(store).await.is_empty());
    assert_eq!(store.next_schedule_due().await.unwrap(), Some(store.now() + Duration::from_secs(1)));
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(due(store).await.len(), 1);

    let pause = ScheduleChange { paused: Some(true), ..ScheduleChange::default() };
    let paused = store.change_schedule(tenant, made.id, pause).await.unwrap().unwrap();
    assert_eq!((paused.paused, paused.next_ms), (true, made.next_ms));
    assert!(due(store).await.is_empty() && store.next_schedule_due().await.unwrap().is_none());
    let late = store.fire(fixture.fire(&made, START_MS + 1_000)).await.unwrap();
    assert!(matches!(late, Fired::Stale), "{late:?}");
    let resume = ScheduleChange { paused: Some(false), next_ms: Some(None), ..ScheduleChange::default() };
    let resumed = store.change_schedule(tenant, made.id, resume).await.unwrap().unwrap();
    assert_eq!((resumed.paused, resumed.next_ms, resumed.cron), (false, None, made.cron.clone()));
    assert!(due(store).await.is_empty());
    let again = ScheduleChange { next_ms: Some(Some(START_MS)), ..ScheduleChange::default() };
    store.change_schedule(tenant, made.id, again.clone()).await.unwrap();
    assert_eq!(due(store).await.len(), 1);
    store.set_tenant_access(tenant, Access::Disabled).await.unwrap();
    assert!(due(store).await.is_empty(), "a disabled tenant's schedules stand still");
    store.set_tenant_access(tenant, Access::Enabled).await.unwrap();

    let other = store.create_tenant("other").await.unwrap();
    assert!(store.schedule(other, made.id).await.unwrap().is_none());
    assert!(store.change_schedule(other, made.id, again).await.unwrap().is_none());
    assert!(!store.delete_schedule(other, made.id).await.unwrap());
    assert!(store.schedules(other, PageRequest::default()).await.unwrap().items.is_empty());
    let theirs = Fire { tenant: other, ..fixture.fire(&made, START_MS) };
    assert!(matches!(store.fire(theirs).await.unwrap(), Fired::Stale));
    assert_eq!(store.schedules(tenant, PageRequest::default()).await.unwrap().items.len(), 1);
    assert!(store.delete_schedule(tenant, made.id).await.unwrap());
    assert!(store.schedule(tenant, made.id).await.unwrap().is_none());
}

#[tokio::test]
async fn of_eight_who_fire_one_does() {
    let fixture = Fixture::new().await;
    let schedule = fixture.schedule(OverlapPolicy::Allow).await;
    fixture.clock.advance(Duration::from_secs(1));
    let fires = (0..8).map(|_| {
        let (store, fire) = (fixture.store.clone(), fixture.fire(&schedule, START_MS + 1_000));
        tokio::spawn(async move { store.fire(fire).await.unwrap() })
    });
    let mut started = Vec::new();
    for fire in fires.collect::<Vec<_>>() {
        match fire.await.unwrap() {
            Fired::Done { task, run: None } => started.push(task.unwrap()),
            Fired::Stale => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((started.len(), fixture.number("SELECT count(*) FROM tasks").await), (1, 1));
    let row = fixture.store.schedule(fixture.tenant, schedule.id).await.unwrap().unwrap();
    assert_eq!((row.next_ms, row.last_task, row.is_busy), (Some(START_MS + 2_000), Some(started[0]), true));
    let firings = fixture.store.firings(fixture.tenant, schedule.id).await.unwrap();
    assert_eq!(firings.len(), 1);
    assert_eq!((firings[0].task, firings[0].due_at), (Some(started[0]), fixture.store.now()));
    let claimed = fixture.claim_one().await;
    assert_eq!(claimed.task.id, started[0]);
}

#[tokio::test]
async fn of_eight_processes_that_fire_one_does() {
    let fixture = Fixture::shared().await;
    let schedule = fixture.schedule(OverlapPolicy::Allow).await;
    fixture.clock.advance(Duration::from_secs(1));
    let mut fires = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = fixture.another_process(&format!("node {number}")).await;
        let fire = fixture.fire(&schedule, START_MS + 1_000);
        fires.spawn(async move { matches!(store.fire(fire).await.unwrap(), Fired::Done { .. }) });
    }
    let fired = fires.join_all().await.into_iter().filter(|fired| *fired).count();
    assert_eq!((fired, fixture.number("SELECT count(*) FROM tasks").await), (1, 1));
    assert_eq!(fixture.number("SELECT count(*) FROM schedule_firings").await, 1);
}

#[tokio::test]
async fn one_that_is_to_wait_for_its_last_work_is_due_once_that_has_ended() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (waits, skips) = (fixture.schedule(OverlapPolicy::Queue).await, fixture.schedule(OverlapPolicy::Skip).await);
    fixture.clock.advance(Duration::from_secs(1));
    store.fire(fixture.fire(&waits, START_MS + 1_000)).await.unwrap();
    store.fire(fixture.fire(&skips, START_MS + 1_000)).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    let found = due(store).await;
    assert_eq!(found.iter().map(|row| (row.id, row.is_busy)).collect::<Vec<_>>(), [(skips.id, true)]);
    let skipped = Fire {
        work: FireWork::Nothing,
        note: Some("the task before has not ended".to_owned()),
        ..fixture.fire(&skips, START_MS + 2_000)
    };
    assert!(matches!(store.fire(skipped).await.unwrap(), Fired::Done { task: None, run: None }));
    let firings = store.firings(fixture.tenant, skips.id).await.unwrap();
    assert_eq!(firings[0].note.as_deref(), Some("the task before has not ended"));
    assert!(firings[1].task.is_some());
    // What was started last is remembered over a time that started nothing.
    assert!(store.schedule(fixture.tenant, skips.id).await.unwrap().unwrap().is_busy);
    for _ in 0..2 {
        store.finish(fixture.claim_one().await.claim, finish_with("1")).await.unwrap();
    }
    let found = due(store).await;
    assert_eq!(found.iter().map(|row| (row.id, row.is_busy)).collect::<Vec<_>>(), [(waits.id, false)]);
}

#[tokio::test]
async fn a_firing_starts_a_run_or_is_refused_and_left_for_later() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let schedule = fixture.schedule(OverlapPolicy::Allow).await;
    let mut full = fixture.fire(&schedule, START_MS + 1_000);
    fixture.submit().await;
    let submission = mecapy_store::Submission { task: new_task(tenant), queued_max: 1, idempotency: None };
    full.work = FireWork::Task(Box::new(submission));
    assert!(matches!(store.fire(full).await.unwrap(), Fired::Refused(SubmitError::QueueFull { queued_max: 1 })));
    assert_eq!(store.schedule(tenant, schedule.id).await.unwrap().unwrap().next_ms, Some(START_MS + 1_000));
    assert!(store.firings(tenant, schedule.id).await.unwrap().is_empty());

    let run = fixture.new_run(WorkflowId::from_parts(1, &[1; 10]));
    let id = run.id;
    let work = FireWork::Run(Box::new(run));
    let fired = store.fire(Fire { work, ..fixture.fire(&schedule, START_MS + 1_000) }).await.unwrap();
    assert!(matches!(fired, Fired::Done { task: None, run: Some(started) } if started == id), "{fired:?}");
    assert_eq!(store.run(tenant, id).await.unwrap().unwrap().state, RunState::Running);
    assert!(store.due_runs(10).await.unwrap().iter().any(|key| key.id == id));
    let row = store.schedule(tenant, schedule.id).await.unwrap().unwrap();
    assert_eq!((row.last_run, row.last_task, row.is_busy), (Some(id), None, true));
}

#[tokio::test]
async fn the_history_is_as_long_as_it_may_be() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let schedule = fixture.schedule(OverlapPolicy::Allow).await;
    for number in 1..=i64::from(FIRINGS_KEPT) + 5 {
        let work = FireWork::Nothing;
        let fire = Fire { work, note: Some(number.to_string()), ..fixture.fire(&schedule, START_MS + number * 1_000) };
        assert!(matches!(store.fire(fire).await.unwrap(), Fired::Done { .. }), "{number}");
    }
    let firings = store.firings(tenant, schedule.id).await.unwrap();
    let notes: Vec<_> = firings.iter().filter_map(|firing| firing.note.as_deref()).collect();
    assert_eq!((notes.len(), notes.first(), notes.last()), (50, Some(&"55"), Some(&"6")));
    assert_eq!(fixture.number("SELECT count(*) FROM schedule_firings").await, 50);
    let other = store.create_tenant("other").await.unwrap();
    assert!(store.firings(other, schedule.id).await.unwrap().is_empty());
    let queued = fixture.submit().await;
    assert_eq!(queued.state, TaskState::Queued);
    store.delete_schedule(tenant, schedule.id).await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM schedule_firings").await, 0);
}

#[tokio::test]
async fn who_asks_fires_at_once_and_leaves_the_times_as_they_are() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let schedule = fixture.schedule(OverlapPolicy::Skip).await;
    let pause = ScheduleChange { paused: Some(true), ..ScheduleChange::default() };
    store.change_schedule(tenant, schedule.id, pause).await.unwrap();
    let fire = |by| {
        let work = FireWork::Task(Box::new(fixture.submission()));
        store.fire_now(by, schedule.id, work, "asked for by A".to_owned())
    };
    for _ in 0..2 {
        assert!(matches!(fire(tenant).await.unwrap(), Fired::Done { task: Some(_), run: None }));
    }
    let other = store.create_tenant("other").await.unwrap();
    assert!(matches!(fire(other).await.unwrap(), Fired::Stale));
    let now = store.schedule(tenant, schedule.id).await.unwrap().unwrap();
    assert_eq!((now.next_ms, now.paused, now.is_busy), (schedule.next_ms, true, true));
    let firings = store.firings(tenant, schedule.id).await.unwrap();
    assert_eq!((firings.len(), firings[0].task), (2, now.last_task));
    assert!(firings.iter().all(|firing| firing.due_at == firing.fired_at && firing.note.is_some()), "{firings:?}");
    assert_eq!(store.count_schedules(tenant).await.unwrap(), 1);
    assert_eq!(store.count_schedules(other).await.unwrap(), 0);
}
