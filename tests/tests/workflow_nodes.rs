//! What the nodes of a workflow can do: maps, conditions, retries, errors, approvals, files, nested workflows; and how a
//! run is stopped and goes on.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, merge, node, node_of};
use serde_json::{Value, json};

const SLOW: &str = "import time\nwhile True:\n    time.sleep(0.01)";

fn with(mut node: Value, more: Value) -> Value {
    merge(&mut node, more);
    node
}

/// A workflow of these nodes, whose outputs are named like the references that they are.
fn workflow(name: &str, nodes: Vec<Value>, outputs: Value) -> Value {
    json!({"name": name, "nodes": nodes, "outputs": outputs})
}

fn state_of(run: &mecapy_tests::Answer, key: &str) -> Result<Value> {
    Ok(node_of(run, key)?.get("state").cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_map_has_a_task_for_each_element_and_a_condition_leaves_nodes_out() -> Result<()> {
    let server = Server::start().await?;
    let double = node(
        "double",
        "def main(x, at):\n    return {'y': 2 * x, 'at': at}",
        json!({"x": {"from": "h"}, "at": {"from": "index"}}),
    );
    let definition = json!({
        "name": "sizes",
        "inputs": {"limit": {"type": "Integer"}},
        "nodes": [
            node("sizes", "def main():\n    return {'all': [1, 2, 3]}", json!({})),
            with(double, json!({"map": {"over": "sizes.all", "as": "h"}})),
            node("most", "def main(ys):\n    return {'y': max(ys)}", json!({"ys": {"from": "double.y"}})),
            with(node("warn", "result = {'said': True}", json!({})), json!({"when": "most.y > inputs.limit"})),
        ],
        "outputs": {"most": {"from": "most.y"}, "second": {"from": "double[1]"}},
    });
    for (limit, warned) in [(5, "completed"), (6, "skipped")] {
        let run = server.run_workflow(&definition, json!({ "limit": limit })).await?;
        let ended = server.run_ended(&run).await?;
        ensure!(ended.at("/outputs")? == json!({"most": 6, "second": {"y": 4, "at": 1}}), "{}", ended.text());
        ensure!(state_of(&ended, "warn")? == json!(warned), "{}", ended.text());
        ensure!(node_of(&ended, "double")?.get("width") == Some(&json!(3)), "{}", ended.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_map_over_no_list_fails_its_node_with_words() -> Result<()> {
    let server = Server::start().await?;
    let mapped = with(node("m", "result = 1", json!({})), json!({"map": {"over": "a.x", "as": "h"}}));
    let nodes = vec![node("a", "result = {'x': 7}", json!({})), mapped];
    let run = server.run_workflow(&workflow("nolist", nodes, json!({})), json!({})).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.str_at("/state")? == "failed" && ended.str_at("/error/key")? == "m", "{}", ended.text());
    ensure!(ended.str_at("/error/kind")? == "map", "{}", ended.text());
    Ok(())
}

#[tokio::test]
async fn a_node_is_tried_again_after_its_backoff() -> Result<()> {
    let server = Server::start().await?;
    let retry = json!({"retry": {"max_attempts": 3, "backoff_ms": 200, "backoff_factor": 2.0}});
    let nodes = vec![with(node("weak", "raise ValueError('too thin')", json!({})), retry)];
    let started = std::time::Instant::now();
    let run = server.run_workflow(&workflow("weak", nodes, json!({})), json!({})).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(started.elapsed().as_millis() >= 600, "it did not wait: {:?}", started.elapsed());
    ensure!(ended.str_at("/state")? == "failed" && ended.str_at("/error/kind")? == "exception", "{}", ended.text());
    ensure!(ended.str_at("/error/message")?.contains("too thin"), "{}", ended.text());
    let attempts: Vec<u64> = server.run_tasks(&run).await?.keys().map(|(_, _, attempt)| *attempt).collect();
    ensure!(attempts == [1, 2, 3], "{attempts:?}");
    Ok(())
}

#[tokio::test]
async fn an_error_fails_the_run_or_is_left_out_or_has_a_value() -> Result<()> {
    let server = Server::start().await?;
    let bad = |more: Value| with(node("bad", "raise ValueError('no')", json!({})), more);
    let after = || node("after", "def main(x):\n    return {'x': x}", json!({"x": {"from": "bad.x"}}));
    let rows = [
        (bad(json!({})), "failed", json!("failed")),
        (bad(json!({"on_error": "skip"})), "completed", json!("skipped")),
        (bad(json!({"on_error": "default", "default": {"x": 7}})), "completed", json!("completed")),
    ];
    for (number, (bad, state, of_after)) in rows.into_iter().enumerate() {
        let definition = workflow(&format!("errors{number}"), vec![bad, after()], json!({}));
        let run = server.run_workflow(&definition, json!({})).await?;
        let ended = server.run_ended(&run).await?;
        ensure!(ended.str_at("/state")? == state, "{number}: {}", ended.text());
        if state == "completed" {
            ensure!(state_of(&ended, "after")? == of_after, "{number}: {}", ended.text());
        }
        if number == 2 {
            let tasks = server.run_tasks(&run).await?;
            let task = tasks.get(&("after".to_owned(), None, 1)).context("no task")?;
            server.result(task).await?.expect_result(&json!({"x": 7}))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_was_not_left_fails_its_node() -> Result<()> {
    let server = Server::start().await?;
    let files = json!({"mesh.med": {"from": "a.artifacts/mesh.med"}});
    let nodes =
        vec![node("a", "result = 1", json!({})), with(node("b", "result = 1", json!({})), json!({"files": files}))];
    let run = server.run_workflow(&workflow("nofile", nodes, json!({})), json!({})).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.str_at("/error/kind")? == "missing_file" && ended.str_at("/error/key")? == "b", "{}", ended.text());
    Ok(())
}

#[tokio::test]
async fn inputs_that_do_not_fit_a_function_fail_its_node() -> Result<()> {
    let server = Server::start().await?;
    let functions = "  area:\n    handler: 'calc:area'\n    inputs: {d: {type: Length, unit: mm}}\n";
    server.publish_calc("areas@1.0.0", functions, "def area(d):\n    return {'a': d * d}\n").await?;
    let nodes = |given: &str| {
        let area = json!({"key": "area", "code": {"function": "default/areas#area"}, "inputs": {"d": {"from": "a.d"}}});
        vec![node("a", &format!("result = {{'d': {given}}}"), json!({})), area]
    };
    let rows = [("'wide'", "failed"), ("3", "completed")];
    for (number, (given, state)) in rows.into_iter().enumerate() {
        let definition = workflow(&format!("areas{number}"), nodes(given), json!({}));
        let run = server.run_workflow(&definition, json!({})).await?;
        let ended = server.run_ended(&run).await?;
        ensure!(ended.str_at("/state")? == state, "{given}: {}", ended.text());
        // The version is pinned, and shown.
        let pinned = ended.at("/pins")?;
        ensure!(pinned.to_string().contains("default/areas@1.0.0#area"), "{pinned}");
        if state == "failed" {
            ensure!(ended.str_at("/error/kind")? == "invalid_input", "{}", ended.text());
            ensure!(ended.str_at("/error/message")?.contains("/inputs/d"), "{}", ended.text());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_person_is_asked_and_the_answer_stands_in_the_log() -> Result<()> {
    let server = Server::start().await?;
    let nodes = vec![
        json!({"key": "ask", "approval": {"message": "is 0.8 enough?"}, "inputs": {"used": 0.8}}),
        with(node("go", "result = 1", json!({})), json!({"needs": ["ask"]})),
    ];
    let definition = workflow("asks", nodes, json!({}));
    for (approved, state) in [(true, "completed"), (false, "failed")] {
        let run = server.run_workflow(&definition, json!({})).await?;
        let waiting = server.until_node(&run, "ask", "approval").await?;
        let asked = node_of(&waiting, "ask")?;
        ensure!(asked.get("message") == Some(&json!("is 0.8 enough?")), "{asked}");
        ensure!(asked.get("about") == Some(&json!({"used": 0.8})), "{asked}");
        let path = format!("/v1/workflow-runs/{run}/nodes/ask/approve");
        answered(&server, &run, approved).await?;
        let ended = server.run_ended(&run).await?;
        ensure!(ended.str_at("/state")? == state, "{}", ended.text());
        let page = server.get(&format!("/v1/workflow-runs/{run}/events?format=json")).await?.expect(200)?;
        let name = if approved { "approved" } else { "rejected" };
        let events = page.at("/events")?.as_array().cloned().unwrap_or_default();
        let event = events.iter().find(|event| event.get("event") == Some(&json!(name))).context("no answer")?;
        let by = event.pointer("/data/by").and_then(Value::as_str).unwrap_or_default();
        ensure!(by.contains("api_key:") && event.pointer("/data/comment") == Some(&json!("by hand")), "{event}");
        server.post(&path, &json!({"approved": true})).await?.expect_problem(409)?;
        let nobody = format!("/v1/workflow-runs/{run}/nodes/nobody/approve");
        ensure!([404, 409].contains(&server.post(&nobody, &json!({"approved": true})).await?.status));
    }
    Ok(())
}

#[tokio::test]
async fn files_go_along_edges_and_are_shown_with_the_run() -> Result<()> {
    let server = Server::start().await?;
    let read = "from pathlib import Path\nresult = {'text': Path('/work/in/mesh.txt').read_text()}";
    let nodes = vec![
        node("mesh", "open('/work/out/mesh.txt', 'w').write('nodes: 3')\nresult = 1", json!({})),
        with(node("read", read, json!({})), json!({"files": {"mesh.txt": {"from": "mesh.artifacts/mesh.txt"}}})),
    ];
    let definition = workflow("files", nodes, json!({"text": {"from": "read.text"}}));
    let run = server.run_workflow(&definition, json!({})).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.at("/outputs")? == json!({"text": "nodes: 3"}), "{}", ended.text());
    let artifacts = server.get(&format!("/v1/workflow-runs/{run}/artifacts")).await?.expect(200)?;
    ensure!(artifacts.at("/artifacts")?.as_array().map(Vec::len) == Some(1), "{}", artifacts.text());
    ensure!(artifacts.str_at("/artifacts/0/key")? == "mesh" && artifacts.str_at("/artifacts/0/name")? == "mesh.txt");
    let url = artifacts.str_at("/artifacts/0/url")?;
    let path = url.strip_prefix(&server.base_url()).unwrap_or(&url).to_owned();
    let fetched = server.send(server.anonymous(reqwest::Method::GET, &path)).await?.expect(200)?;
    ensure!(fetched.bytes == b"nodes: 3");
    Ok(())
}

#[tokio::test]
async fn an_output_too_large_for_a_row_reaches_the_next_node() -> Result<()> {
    let server = Server::start().await?;
    let nodes = vec![
        node("large", "def main():\n    return {'xs': [1.5] * 100000, 'n': 100000}", json!({})),
        node(
            "count",
            "def main(xs, n):\n    return {'same': len(xs) == n, 'sum': sum(xs)}",
            json!({"xs": {"from": "large.xs"}, "n": {"from": "large.n"}}),
        ),
    ];
    let definition = workflow("large", nodes, json!({"sum": {"from": "count.sum"}, "n": {"from": "large.n"}}));
    let run = server.run_workflow(&definition, json!({})).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.at("/outputs")? == json!({"sum": 150000.0, "n": 100000}), "{}", ended.text());
    Ok(())
}

#[tokio::test]
async fn a_workflow_is_a_node_of_another() -> Result<()> {
    let server = Server::start().await?;
    let inner = json!({
        "name": "square", "inputs": {"x": {"type": "Integer"}},
        "nodes": [node("square", "def main(x):\n    return {'y': x * x}", json!({"x": {"from": "inputs.x"}}))],
        "outputs": {"y": {"from": "square.y"}},
    });
    server.save_workflow(&inner).await?;
    let nodes = vec![
        json!({"key": "first", "workflow": "square", "inputs": {"x": 3}}),
        json!({"key": "second", "workflow": "square", "inputs": {"x": {"from": "first.y"}}}),
    ];
    let run = server.run_workflow(&workflow("twice", nodes, json!({"y": {"from": "second.y"}})), json!({})).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.at("/outputs")? == json!({"y": 81}), "{}", ended.text());
    let inner = server.get(&format!("/v1/workflow-runs?parent={run}")).await?.expect(200)?.at("/runs")?;
    ensure!(inner.as_array().map(Vec::len) == Some(2), "{inner}");
    // One that contains itself is never begun.
    let own = workflow("own", vec![json!({"key": "n", "workflow": "twice"})], json!({}));
    server.save_workflow(&own).await?;
    let mut twice = workflow("twice", vec![json!({"key": "n", "workflow": "own"})], json!({}));
    merge(&mut twice, json!({"outputs": {}}));
    let saved = server.post("/v1/workflows", &twice).await?;
    if saved.status == 201 {
        server.post("/v1/workflows/own/runs", &json!({})).await?.expect_problem(422)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_cancelled_run_stops_what_runs_and_starts_nothing_more() -> Result<()> {
    let server = Server::start().await?;
    let nodes =
        vec![node("slow", SLOW, json!({})), with(node("next", "result = 1", json!({})), json!({"needs": ["slow"]}))];
    let run = server.run_workflow(&workflow("slow", nodes, json!({})), json!({})).await?;
    server.until_node(&run, "slow", "running").await?;
    server.post(&format!("/v1/workflow-runs/{run}/cancel"), &json!({})).await?.expect(202)?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.str_at("/state")? == "cancelled", "{}", ended.text());
    let tasks = server.run_tasks(&run).await?;
    ensure!(tasks.len() == 1, "{tasks:?}");
    for task in tasks.values() {
        server.result(task).await?.expect_error_kind("cancelled")?;
    }
    server.post(&format!("/v1/workflow-runs/{run}/cancel"), &json!({})).await?.expect(202)?;
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn a_run_goes_on_from_what_failed_and_keeps_what_was_done() -> Result<()> {
    let server = Server::start().await?;
    let nodes = vec![
        node("first", "result = {'x': 7}", json!({})),
        json!({"key": "ask", "approval": {"message": "fine?"}, "needs": ["first"]}),
        with(
            node("last", "def main(x):\n    return {'y': x + 1}", json!({"x": {"from": "first.x"}})),
            json!({"needs": ["ask"]}),
        ),
    ];
    let definition = workflow("goes-on", nodes, json!({"y": {"from": "last.y"}}));
    let run = server.run_workflow(&definition, json!({})).await?;
    answered(&server, &run, false).await?;
    let failed = server.run_ended(&run).await?;
    ensure!(failed.str_at("/state")? == "failed" && failed.str_at("/error/key")? == "ask", "{}", failed.text());
    let before = server.run_tasks(&run).await?;

    let restarted = server.post(&format!("/v1/workflow-runs/{run}/restart"), &json!({})).await?.expect(202)?;
    ensure!(restarted.at("/id")? == json!(run), "{}", restarted.text());
    answered(&server, &run, true).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.str_at("/state")? == "completed" && ended.at("/outputs/y")? == json!(8), "{}", ended.text());
    let after = server.run_tasks(&run).await?;
    let first = ("first".to_owned(), None, 1);
    ensure!(before.len() == 1 && after.len() == 2, "{before:?} {after:?}");
    ensure!(before.contains_key(&first) && before.get(&first) == after.get(&first), "{before:?} {after:?}");
    server.post(&format!("/v1/workflow-runs/{run}/restart"), &json!({})).await?.expect_problem(409)?;
    Ok(())
}

/// Answers the node `ask` once it waits for that.
async fn answered(server: &Server, run: &str, approved: bool) -> Result<()> {
    let path = format!("/v1/workflow-runs/{run}/nodes/ask/approve");
    mecapy_tests::until("the node waits", std::time::Duration::from_secs(20), || async {
        let answer = server.post(&path, &json!({"approved": approved, "comment": "by hand"})).await?;
        Ok((answer.status != 409).then_some(answer))
    })
    .await?
    .expect(202)?;
    Ok(())
}
