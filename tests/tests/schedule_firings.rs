//! Times of schedules that come: with several processes that look, after a downtime, and while work goes on. The database is
//! told when a schedule is due, so that nobody waits for a full minute.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Cluster, merge, python, until};
use serde_json::{Value, json};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);
/// Longer than the time between two looks.
const SEVERAL_LOOKS: Duration = Duration::from_secs(4);
const QUICK: &str = "result = 1";

async fn made(cluster: &Cluster, source: &str, more: Value) -> Result<String> {
    let mut body = json!({"cron": "0 12 1 1 *", "task": python(source)});
    merge(&mut body, more);
    cluster.node(0)?.post("/v1/schedules", &body).await?.expect(201)?.str_at("/id")
}

/// The schedule's time came so many seconds ago.
async fn due(cluster: &Cluster, id: &str, seconds: u32) -> Result<()> {
    let sql = format!(
        "UPDATE schedules SET next_ms = CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - {seconds}000 \
         WHERE id = '{id}'"
    );
    cluster.rows(&sql).await.map(drop)
}

async fn firings(cluster: &Cluster, id: &str) -> Result<Vec<Value>> {
    let shown = cluster.node(0)?.get(&format!("/v1/schedules/{id}/firings")).await?.expect(200)?.at("/firings")?;
    shown.as_array().cloned().context("no list")
}

/// The firings once there are so many.
async fn fired(cluster: &Cluster, id: &str, count: usize) -> Result<Vec<Value>> {
    until(&format!("schedule {id} has fired {count} times"), DEADLINE, || async move {
        let firings = firings(cluster, id).await?;
        Ok((firings.len() >= count).then_some(firings))
    })
    .await
}

async fn tasks(cluster: &Cluster, id: &str) -> Result<usize> {
    let tasks = cluster.node(0)?.get(&format!("/v1/tasks?label=schedule={id}")).await?.expect(200)?.at("/tasks")?;
    Ok(tasks.as_array().map_or(0, Vec::len))
}

fn note(firing: &Value) -> &str {
    firing["note"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_time_fires_once_however_many_processes_look() -> Result<()> {
    let cluster = Cluster::start(2, 2).await?;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(made(&cluster, QUICK, json!({})).await?);
    }
    for id in &ids {
        due(&cluster, id, 1).await?;
    }
    for id in &ids {
        let firings = fired(&cluster, id, 1).await?;
        let task = firings[0]["task"].as_str().context("no task")?;
        cluster.node(1)?.result(task).await?.expect_completed()?;
    }
    tokio::time::sleep(SEVERAL_LOOKS).await;
    for id in &ids {
        ensure!(firings(&cluster, id).await?.len() == 1 && tasks(&cluster, id).await? == 1, "{id} fired twice");
        let next = cluster.node(1)?.get(&format!("/v1/schedules/{id}")).await?.str_at("/next/0")?;
        ensure!(next.ends_with("-01-01T12:00:00.000Z"), "{next}");
    }
    Ok(())
}

#[tokio::test]
async fn times_that_nobody_was_there_for_are_skipped_or_made_up_for_once() -> Result<()> {
    let mut cluster = Cluster::start(1, 1).await?;
    let skipping = made(&cluster, QUICK, json!({})).await?;
    let making_up = made(&cluster, QUICK, json!({"missed": "run_once"})).await?;
    let paused = made(&cluster, QUICK, json!({"missed": "run_once", "paused": true})).await?;
    cluster.worker(0)?.stop()?;
    for id in [&skipping, &making_up, &paused] {
        due(&cluster, id, 7_200).await?;
    }
    tokio::time::sleep(SEVERAL_LOOKS).await;
    ensure!(firings(&cluster, &making_up).await?.is_empty(), "a process without a worker fires");
    cluster.worker(0)?.start_again().await?;
    let skipped = fired(&cluster, &skipping, 1).await?;
    ensure!(skipped[0]["task"].is_null() && note(&skipped[0]).contains("missed"), "{skipped:?}");
    let made_up = fired(&cluster, &making_up, 1).await?;
    ensure!(made_up[0]["task"].is_string() && note(&made_up[0]).contains("makes up"), "{made_up:?}");
    tokio::time::sleep(SEVERAL_LOOKS).await;
    ensure!(tasks(&cluster, &skipping).await? == 0 && tasks(&cluster, &making_up).await? == 1);
    ensure!(firings(&cluster, &paused).await?.is_empty(), "a paused schedule fires");
    Ok(())
}

#[tokio::test]
async fn while_work_goes_on_a_time_fires_is_skipped_or_waits() -> Result<()> {
    let cluster = Cluster::start(1, 1).await?;
    let slow = "import time\nwhile True:\n    time.sleep(0.01)";
    let allowing = made(&cluster, slow, json!({"overlap": "allow"})).await?;
    let skipping = made(&cluster, slow, json!({"overlap": "skip"})).await?;
    let queueing = made(&cluster, slow, json!({"overlap": "queue"})).await?;
    for id in [&allowing, &skipping, &queueing] {
        due(&cluster, id, 1).await?;
        fired(&cluster, id, 1).await?;
        due(&cluster, id, 1).await?;
    }
    let allowed = fired(&cluster, &allowing, 2).await?;
    ensure!(allowed.iter().all(|firing| firing["task"].is_string()), "{allowed:?}");
    let skipped = fired(&cluster, &skipping, 2).await?;
    ensure!(skipped[0]["task"].is_null() && note(&skipped[0]).contains("skipped"), "{skipped:?}");
    tokio::time::sleep(SEVERAL_LOOKS).await;
    let waiting = firings(&cluster, &queueing).await?;
    ensure!(waiting.len() == 1, "{waiting:?}");
    let first = waiting[0]["task"].as_str().context("no task")?;
    cluster.node(0)?.post(&format!("/v1/tasks/{first}/cancel"), &json!({})).await?.expect(202)?;
    let both = fired(&cluster, &queueing, 2).await?;
    ensure!(both[0]["task"].is_string() && note(&both[0]).contains("waited"), "{both:?}");
    for id in [&allowing, &skipping, &queueing] {
        for firing in firings(&cluster, id).await? {
            if let Some(task) = firing["task"].as_str() {
                // Some have ended.
                cluster.node(0)?.post(&format!("/v1/tasks/{task}/cancel"), &json!({})).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_not_accepted_any_more_is_noted_and_the_schedule_stays() -> Result<()> {
    let cluster = Cluster::start(1, 1).await?;
    let node = cluster.node(0)?;
    let upload = node.upload("a.csv", b"1".to_vec()).await?;
    let mut task = python("result = open('/work/in/a.csv').read()");
    merge(&mut task, json!({"files": {"a.csv": upload}}));
    let id = made(&cluster, QUICK, json!({"task": task})).await?;
    node.delete(&format!("/v1/uploads/{upload}")).await?.expect(204)?;
    due(&cluster, &id, 1).await?;
    let noted = fired(&cluster, &id, 1).await?;
    ensure!(noted[0]["task"].is_null() && note(&noted[0]).contains("/task/files/a.csv"), "{noted:?}");
    let shown = node.get(&format!("/v1/schedules/{id}")).await?.expect(200)?;
    ensure!(shown.at("/paused")? == json!(false) && shown.str_at("/next/0").is_ok(), "{}", shown.text());
    Ok(())
}
