//! What was answered 202 is finished, once, however often the server dies.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, in_days, merge, python};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

const KILLS: usize = 6;
const TASKS_PER_ROUND: usize = 25;

/// invariants I1 (one terminal state), I2 (the fence only rises) and I3 (one result) under `kill -9`.
#[tokio::test]
async fn every_accepted_task_ends_once_however_often_the_server_is_killed() -> Result<()> {
    let mut server = Server::start().await?;
    let mut expected = BTreeMap::new();
    for round in 0..KILLS {
        for index in 0..TASKS_PER_ROUND {
            let number = round * TASKS_PER_ROUND + index;
            // A mixture: most end at once, some are caught running, some raise.
            let body = match index % 5 {
                0 => python(&format!("import time\ntime.sleep(0.2)\nresult = {number}")),
                1 => python(&format!("raise ValueError('task {number}')")),
                _ => python(&format!("open('/work/out/n.txt', 'w').write('{number}')\nresult = {number}")),
            };
            expected.insert(server.submit(&body).await?, number);
        }
        // Killed at another moment of its work each time.
        tokio::time::sleep(Duration::from_millis(37 * round as u64)).await;
        server.kill_and_restart().await?;
    }
    let mut results = BTreeMap::new();
    for (id, number) in &expected {
        let result = server.result(id).await.with_context(|| format!("task {number}"))?;
        if number % TASKS_PER_ROUND % 5 == 1 {
            let result = result.expect_error_kind("exception")?;
            ensure!(result.str_at("/error/message")?.contains(&format!("task {number}")));
        } else {
            result.clone().expect_result(&json!({"result": number}))?;
        }
        results.insert(id.clone(), server.get(&format!("/v1/tasks/{id}/result")).await?.text());
    }
    // Terminal states are final: another death changes no result.
    server.kill_and_restart().await?;
    for (id, before) in &results {
        ensure!(&server.get(&format!("/v1/tasks/{id}/result")).await?.text() == before, "the result of {id} changed");
    }
    let running = server.get("/v1/tasks?state=running").await?.at("/tasks")?;
    ensure!(running == json!([]), "still running: {running}");
    Ok(())
}

#[tokio::test]
async fn a_task_caught_running_runs_again_and_says_so() -> Result<()> {
    let mut server = Server::start().await?;
    let id = server.submit(&python("import time\ntime.sleep(1)\nresult = 'done'")).await?;
    server.until_state(&id, "running").await?;
    server.kill_and_restart().await?;
    server.result(&id).await?.expect_result(&json!({"result": "done"}))?;
    let task = server.task(&id).await?;
    ensure!(task.f64_at("/attempt")? >= 2.0, "{}", task.text());
    Ok(())
}

/// invariant I5: nothing starts for a cancelled task.
#[tokio::test]
async fn a_cancelled_task_stays_cancelled_over_a_death() -> Result<()> {
    let mut server = Server::start().await?;
    let mut body = python("result = 1");
    merge(&mut body, json!({"run_at": in_days(30)?}));
    let waiting = server.submit(&body).await?;
    let running = server.submit(&python("while True:\n    pass")).await?;
    server.until_state(&running, "running").await?;
    for id in [&waiting, &running] {
        server.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    }
    server.kill_and_restart().await?;
    for id in [&waiting, &running] {
        server.result(id).await?.expect_error_kind("cancelled")?;
    }
    Ok(())
}

#[tokio::test]
async fn uploads_modules_keys_and_results_outlive_a_death() -> Result<()> {
    let mut server = Server::start().await?;
    let upload = server.upload("a.txt", b"mesh".to_vec()).await?;
    let module = server.module(&mecapy_tests::guest::answering("{\"n\": 7}")).await?;
    let mut body = python("open('/work/out/o.txt', 'w').write('out')\nresult = open('/work/in/a.txt').read()");
    merge(&mut body, json!({"files": {"a.txt": upload}}));
    let id = server.submit(&body).await?;
    server.result(&id).await?.expect_result(&json!({"result": "mesh"}))?;
    server.kill_and_restart().await?;
    server.preview(&body).await?.expect_result(&json!({"result": "mesh"}))?;
    server.preview(&mecapy_tests::wasm(&module)).await?.expect_result(&json!({"n": 7}))?;
    let artifacts = server.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?;
    let url = artifacts.str_at("/0/url")?;
    let path = url.strip_prefix(&server.base_url()).unwrap_or(&url);
    ensure!(server.send(server.anonymous(reqwest::Method::GET, path)).await?.expect(200)?.bytes == b"out");
    Ok(())
}

#[tokio::test]
async fn a_clean_stop_leaves_nothing_undone() -> Result<()> {
    let mut server = Server::start().await?;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(server.submit(&python(&format!("import time\ntime.sleep(0.05)\nresult = {number}"))).await?);
    }
    server.stop_and_restart().await?;
    for (number, id) in ids.iter().enumerate() {
        server.result(id).await?.expect_result(&json!({"result": number}))?;
    }
    Ok(())
}
