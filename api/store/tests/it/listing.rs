//! Pages of tasks.

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{Code, Lane, TaskId, TaskState};
use mecapy_store::{ListError, NewTask, Submission, TaskQuery};
use std::collections::BTreeMap;

async fn all_pages(fixture: &Fixture, query: TaskQuery) -> Vec<TaskId> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let query = TaskQuery { cursor, ..query.clone() };
        let page = fixture.store.tasks(fixture.tenant, query).await.unwrap();
        seen.extend(page.tasks.iter().map(|task| task.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

#[tokio::test]
async fn pages_are_newest_first_without_gaps_or_repeats() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..25 {
        expected.insert(0, fixture.submit().await.id);
        fixture.submit_for(other, Lane::Default).await;
    }
    for limit in [1, 7, 24, 25, 26, 200] {
        let query = TaskQuery { limit, ..TaskQuery::default() };
        assert_eq!(all_pages(&fixture, query).await, expected, "{limit}");
    }
    // What arrives between two pages doesn't shift them.
    let first = TaskQuery { limit: 10, ..TaskQuery::default() };
    let page = fixture.store.tasks(fixture.tenant, first.clone()).await.unwrap();
    fixture.submit().await;
    let next = TaskQuery { cursor: page.next_cursor, ..first };
    let page = fixture.store.tasks(fixture.tenant, next).await.unwrap();
    assert_eq!(page.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), expected[10..20]);
}

#[tokio::test]
async fn a_page_leaves_inputs_out_and_ends_early_where_code_is_long() {
    let fixture = Fixture::new().await;
    let mut expected = Vec::new();
    for _ in 0..4 {
        let code = Code::Python { source: "#".repeat(3 << 20), entry: None };
        let task = NewTask { code, ..new_task(fixture.tenant) };
        expected.insert(0, fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task.id);
    }
    let page = fixture.store.tasks(fixture.tenant, TaskQuery::default()).await.unwrap();
    assert_eq!(page.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), expected[..3]);
    assert!(page.tasks.iter().all(|task| task.inputs.get() == "null"));
    assert_eq!(all_pages(&fixture, TaskQuery::default()).await, expected);
    let shown = fixture.store.task_shown(fixture.tenant, expected[0]).await.unwrap().unwrap();
    let whole = fixture.store.task(fixture.tenant, expected[0]).await.unwrap().unwrap();
    assert_eq!((shown.inputs.get(), whole.inputs.get()), ("null", new_task(fixture.tenant).inputs.get()));
    assert_eq!(shown.code, whole.code);
}

#[tokio::test]
async fn filters_select_by_state_lane_name_and_label() {
    let fixture = Fixture::new().await;
    let submit = async |name: Option<&str>, lane, label: Option<(&str, &str)>| {
        let labels: BTreeMap<_, _> = label.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let task = NewTask { name: name.map(str::to_owned), lane, labels, ..new_task(fixture.tenant) };
        fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task.id
    };
    let bolt = submit(Some("M12 Joint 100%"), Lane::HighPriority, Some(("project", "A320"))).await;
    let beam = submit(Some("beam_1"), Lane::Default, Some(("project", "A350"))).await;
    let unnamed = submit(None, Lane::LongRunning, Some(("a\"b", "c'd"))).await;
    let done = fixture.claim(Lane::HighPriority, 1).await.pop().unwrap();
    fixture.store.finish(done.claim, finish_with("{}")).await.unwrap();
    fixture.tamper("UPDATE tasks SET function = 'acme/joint#preload' WHERE name = 'beam_1'").await;

    let base = TaskQuery::default;
    let label = |name: &str, value: &str| TaskQuery { label: Some((name.to_owned(), value.to_owned())), ..base() };
    let named = |part: &str| TaskQuery { name_contains: Some(part.to_owned()), ..base() };
    let calling = |function: &str| TaskQuery { function: Some(function.to_owned()), ..base() };
    let rows = [
        (base(), vec![unnamed, beam, bolt]),
        (TaskQuery { state: Some(TaskState::Completed), ..base() }, vec![bolt]),
        (TaskQuery { state: Some(TaskState::Queued), ..base() }, vec![unnamed, beam]),
        (TaskQuery { lane: Some(Lane::Default), ..base() }, vec![beam]),
        (TaskQuery { lane: Some(Lane::Default), ..named("joint") }, vec![]),
        (named("joint"), vec![bolt]),
        (named("100%"), vec![bolt]),
        (named("%"), vec![bolt]),
        (named("m_1"), vec![beam]),
        (named("'; DROP TABLE tasks; --"), vec![]),
        (label("project", "A320"), vec![bolt]),
        (label("project", "A3"), vec![]),
        (label("a\"b", "c'd"), vec![unnamed]),
        (calling("acme/joint#preload"), vec![beam]),
        (calling("acme/joint"), vec![]),
    ];
    for (query, expected) in rows {
        assert_eq!(all_pages(&fixture, TaskQuery { limit: 2, ..query.clone() }).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_tenant_and_filters_alone() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    for _ in 0..3 {
        fixture.submit().await;
    }
    let query = TaskQuery { limit: 1, ..TaskQuery::default() };
    let page = fixture.store.tasks(fixture.tenant, query.clone()).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    let with = |cursor: &str| TaskQuery { cursor: Some(cursor.to_owned()), ..query.clone() };
    fixture.store.tasks(fixture.tenant, with(&cursor)).await.unwrap();
    let tampered = cursor.replace(|c: char| c.is_ascii_uppercase(), "z");
    for bad in ["", "x", "AAAA", &tampered, &cursor[1..], &"A".repeat(10_000)] {
        let answer = fixture.store.tasks(fixture.tenant, with(bad)).await;
        assert!(matches!(answer, Err(ListError::BadCursor)), "{bad:?}");
    }
    assert!(matches!(fixture.store.tasks(other, with(&cursor)).await, Err(ListError::BadCursor)));
    let filtered = TaskQuery { lane: Some(Lane::Default), ..with(&cursor) };
    assert!(matches!(fixture.store.tasks(fixture.tenant, filtered).await, Err(ListError::BadCursor)));
    for limit in [0, 201, u32::MAX] {
        let answer = fixture.store.tasks(fixture.tenant, TaskQuery { limit, ..query.clone() }).await;
        assert!(matches!(answer, Err(ListError::BadLimit { max: 200 })));
    }
}
