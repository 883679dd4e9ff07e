//! Runs survive whatever dies in their middle: a finished node is never run again, and the outputs are those of a run that
//! nobody disturbed.

use anyhow::{Result, ensure};
use mecapy_tests::{Server, merge, node, node_of, until};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const DEADLINE: Duration = Duration::from_secs(150);

/// A chain with a map in its middle; each element takes a moment.
fn chain() -> Value {
    let source = "import time\ndef main(x):\n    time.sleep(0.15)\n    return {'y': x * x}";
    let mut square = node("square", source, json!({"x": {"from": "x"}}));
    merge(&mut square, json!({"map": {"over": "spread.values", "as": "x"}}));
    json!({
        "name": "chain",
        "nodes": [
            node("spread", "def main():\n    return {'values': list(range(12))}", json!({})),
            square,
            node("gather", "def main(ys):\n    return {'sum': sum(ys)}", json!({"ys": {"from": "square.y"}})),
            node("last", "def main(s):\n    return {'text': f'sum {s}'}", json!({"s": {"from": "gather.sum"}})),
        ],
        "outputs": {"sum": {"from": "gather.sum"}, "text": {"from": "last.text"}},
    })
}

fn expected() -> Value {
    json!({"sum": 506, "text": "sum 506"})
}

/// How many elements of the map have completed.
async fn completed(server: &Server, run: &str) -> Result<u64> {
    let shown = server.workflow_run(run).await?;
    Ok(node_of(&shown, "square")?.pointer("/counts/completed").and_then(Value::as_u64).unwrap_or(0))
}

/// Once a run has gone so far.
async fn gone(server: &Server, run: &str, elements: u64) -> Result<()> {
    until(&format!("{elements} elements are done"), DEADLINE, || async {
        Ok((completed(server, run).await? >= elements).then_some(()))
    })
    .await
}

async fn ended(server: &Server, run: &str) -> Result<mecapy_tests::Answer> {
    until("the run has ended", DEADLINE, || async {
        let run = server.workflow_run(run).await?;
        Ok((run.str_at("/state")? != "running").then_some(run))
    })
    .await
}

/// No node has an end before its only completion, and each completed once.
async fn each_completed_once(server: &Server, run: &str) -> Result<()> {
    let page = server.get(&format!("/v1/workflow-runs/{run}/events?format=json")).await?.expect(200)?;
    let mut done: BTreeMap<String, u32> = BTreeMap::new();
    for event in page.at("/events")?.as_array().into_iter().flatten() {
        let is_done = event.pointer("/data/outcome/done").is_some();
        if event.get("event") == Some(&json!("node_ended")) && is_done {
            let at = |name: &str| event.pointer(&format!("/data/{name}")).cloned().unwrap_or_default();
            *done.entry(format!("{} {}", at("key"), at("index"))).or_default() += 1;
        }
    }
    ensure!(done.len() == 15 && done.values().all(|count| *count == 1), "{done:?}");
    let tasks = server.get(&format!("/v1/tasks?run={run}&limit=200")).await?.expect(200)?.at("/tasks")?;
    ensure!(tasks.as_array().map(Vec::len) == Some(15), "{tasks}");
    Ok(())
}

#[tokio::test]
async fn a_run_survives_a_kill_at_several_points() -> Result<()> {
    let mut server = Server::start().await?;
    let run = server.run_workflow(&chain(), json!({})).await?;
    let mut kept = BTreeMap::new();
    for elements in [0, 1, 5, 11] {
        gone(&server, &run, elements).await?;
        let before = server.run_tasks(&run).await?;
        ensure!(kept.iter().all(|(name, task)| before.get(name) == Some(task)), "{kept:?} {before:?}");
        server.kill_and_restart().await?;
        kept = before;
    }
    let ended = ended(&server, &run).await?;
    ensure!(ended.at("/outputs")? == expected(), "{}", ended.text());
    each_completed_once(&server, &run).await
}

#[tokio::test]
async fn a_stop_in_the_middle_loses_nothing() -> Result<()> {
    let mut server = Server::start().await?;
    let run = server.run_workflow(&chain(), json!({})).await?;
    gone(&server, &run, 3).await?;
    server.stop_and_restart().await?;
    let ended = ended(&server, &run).await?;
    ensure!(ended.at("/outputs")? == expected(), "{}", ended.text());
    each_completed_once(&server, &run).await
}

#[tokio::test]
async fn what_was_answered_before_a_kill_is_still_so_after_it() -> Result<()> {
    let mut server = Server::start().await?;
    let definition = json!({"name": "asks", "nodes": [
        {"key": "ask", "approval": {"message": "fine?"}},
        {"key": "wait", "approval": {"message": "really?"}, "needs": ["ask"]},
    ]});
    let run = server.run_workflow(&definition, json!({})).await?;
    for key in ["ask", "wait"] {
        let path = format!("/v1/workflow-runs/{run}/nodes/{key}/approve");
        until("the node waits", DEADLINE, || async {
            let answer = server.post(&path, &json!({"approved": true})).await?;
            Ok((answer.status == 202).then_some(()))
        })
        .await?;
        server.kill_and_restart().await?;
    }
    ensure!(ended(&server, &run).await?.str_at("/state")? == "completed");
    Ok(())
}
