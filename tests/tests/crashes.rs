//! Processes that crash between two steps (F7), and a task that takes its worker with it (F8).

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Cluster, ClusterOptions, Process, Server, invariants, merge, python, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::{os::unix::process::ExitStatusExt, time::Duration};

const DEADLINE: Duration = Duration::from_secs(60);

fn armed(points: &str) -> Vec<(String, String)> {
    vec![("MECAPY_FAIL_POINTS".to_owned(), points.to_owned())]
}

/// The process has ended as a crash does, not by itself.
async fn crashed(process: &mut Process) -> Result<()> {
    let status = process.ended().await?;
    ensure!(status.signal() == Some(libc::SIGABRT), "it ended with {status}:\n{}", process.log_tail());
    Ok(())
}

/// Leaves a file and a result that is too large for its row.
fn body(name: &str) -> Value {
    let mut body = python("open('/work/out/n.txt', 'w').write('7')\nresult = 'x' * 300000");
    merge(&mut body, json!({"name": name}));
    body
}

async fn submit(node: &Server, key: &str, body: &Value) -> Result<Answer> {
    node.send(node.request(Method::POST, "/v1/tasks").header("idempotency-key", key).json(body)).await
}

/// F7: whoever sends again with the same key finds one task, whether or not the first node came to its commit.
#[tokio::test]
async fn f7_a_node_crashes_at_each_step_of_a_submission() -> Result<()> {
    let mut cluster = Cluster::start(1, 1).await?;
    let points = ["store.after_insert", "store.after_commit", "store.after_hint"];
    for (row, point) in points.into_iter().enumerate() {
        cluster.add_node(&armed(&format!("{point}=1*return"))).await?;
        let (key, body) = (format!("row-{row}"), body(point));
        let first = submit(cluster.node(row + 1)?, &key, &body).await;
        let told = first.ok().map(|answer| answer.expect(202)?.str_at("/id")).transpose()?;
        // Hints go out while the answer does.
        ensure!(told.is_none() || point == "store.after_hint", "{point}: it was answered");
        crashed(cluster.node_mut(row + 1)?.process()).await.context(point)?;
        let before: usize = cluster.rows("SELECT count(*) FROM tasks").await?.parse()?;
        ensure!(before == if point == "store.after_insert" { row } else { row + 1 }, "{point}: {before} tasks");
        let id = submit(cluster.node(0)?, &key, &body).await?.expect(202)?.str_at("/id")?;
        ensure!(told.is_none_or(|told| told == id), "{point}: two tasks");
        cluster.node(0)?.result(&id).await.context(point)?.expect_completed()?;
        let after: usize = cluster.rows("SELECT count(*) FROM tasks").await?.parse()?;
        ensure!(after == row + 1, "{point}: {after} tasks");
    }
    invariants(&cluster).await
}

/// F7: another worker does what is left to do, once.
#[tokio::test]
async fn f7_a_worker_crashes_at_each_step_of_an_attempt() -> Result<()> {
    let mut cluster = Cluster::start(1, 1).await?;
    let rows = [
        // Point, attempts that it takes.
        ("worker.after_claim", 2),
        ("worker.run:worker.run", 2),
        ("worker.after_objects", 2),
        ("store.after_finish", 1),
    ];
    for (row, (point, attempts)) in rows.into_iter().enumerate() {
        cluster.worker(0)?.stop()?;
        cluster.add_worker(&armed(&format!("{point}=1*return"))).await?;
        let name = point.split(':').next().unwrap_or(point);
        let id = cluster.node(0)?.submit(&body(name)).await?;
        crashed(cluster.worker(row + 1)?.process()).await.context(point)?;
        cluster.worker(0)?.start_again().await?;
        let node = cluster.node(0)?;
        node.result(&id).await.context(point)?.expect_completed()?;
        let sql = format!("SELECT attempt, fence, lost_attempts FROM tasks WHERE id = '{id}'");
        let counts = cluster.rows(&sql).await?;
        ensure!(counts == format!("{attempts}|{attempts}|{}", attempts - 1), "{point}: {counts}");
        let artifacts = node.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?;
        ensure!(artifacts.json()?.as_array().is_some_and(|list| list.len() == 1), "{point}: {}", artifacts.text());
        until("what the crash left behind is gone", DEADLINE, || async {
            let bucket = &cluster.backends()?.bucket;
            let left: Vec<_> = bucket.keys("").await?.into_iter().filter(|key| key.contains(&id)).collect();
            let newest = left.iter().all(|key| key.split('/').nth(3) == Some(&attempts.to_string()));
            Ok((newest && left.len() == 2).then_some(()))
        })
        .await
        .context(point)?;
    }
    invariants(&cluster).await
}

/// F8: the one ends after its attempts, and whoever was caught with it is run again.
#[tokio::test]
async fn f8_a_task_that_kills_its_worker_ends_and_others_are_unharmed() -> Result<()> {
    const WORKERS: usize = 3;
    const LOST_MAX: usize = 4;
    let mut variables = armed("worker.run:poison=return");
    variables.push(("MECAPY_LOST_ATTEMPTS_MAX".to_owned(), LOST_MAX.to_string()));
    let options = ClusterOptions { api_nodes: 1, workers: WORKERS, variables, ..ClusterOptions::default() };
    let mut cluster = Cluster::with(options).await?;
    let poison = cluster.node(0)?.submit(&body("poison")).await?;
    let mut others = Vec::new();
    for number in 0..40 {
        let other = python(&format!("import time\ntime.sleep(0.05)\nresult = {number}"));
        others.push(cluster.node(0)?.submit(&other).await?);
    }
    let started = std::time::Instant::now();
    while cluster.node(0)?.state(&poison).await? != "failed" {
        ensure!(started.elapsed() < DEADLINE, "the task goes on killing workers");
        for number in 0..WORKERS {
            let worker = cluster.worker(number)?;
            if worker.process().exited()?.is_some() {
                // One that dies of the task at once is started in the next round.
                let _ = worker.start_again().await;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let starts = cluster.rows(&format!("SELECT fence FROM tasks WHERE id = '{poison}'")).await?;
    ensure!(starts == LOST_MAX.to_string(), "it was started {starts} times, not {LOST_MAX}");
    let node = cluster.node(0)?;
    node.result(&poison).await?.expect_error_kind("worker_lost")?;
    for (number, id) in others.iter().enumerate() {
        node.result(id).await?.expect_result(&json!({"result": number}))?;
    }
    invariants(&cluster).await
}
