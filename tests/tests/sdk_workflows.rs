//! Workflows by the routes of the public SDK, asked by `tests/sdk/client.py`.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, merge, node, repository_root};
use serde_json::{Value, json};
use std::{process::Stdio, time::Duration};
use tokio::process::Command;

const COMPLETED: i32 = 0;
const REFUSED: i32 = 1;
/// Longer than the SDK waits for a workflow.
const CLIENT_DEADLINE: Duration = Duration::from_secs(90);

/// Runs the client; what it printed.
async fn client(server: &Server, arguments: &[&str], exit: i32) -> Result<Value> {
    let mut command = Command::new("python3");
    command.arg("-B").arg(repository_root().join("tests/sdk/client.py")).args(arguments);
    command.env("MECAPY_API_URL", server.base_url()).env("MECAPY_TOKEN", server.key());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(CLIENT_DEADLINE, command.output()).await.context("the client hangs")??;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(exit), "{arguments:?}: {} instead of {exit}: {said}{errors}", output.status);
    serde_json::from_str(&said).with_context(|| format!("{arguments:?}: {said}{errors}"))
}

fn double() -> Value {
    json!({
        "name": "double", "inputs": {"d": {"type": "Integer"}},
        "nodes": [node("twice", "def main(d):\n    return {'d': 2 * d}", json!({"d": {"from": "inputs.d"}}))],
        "outputs": {"d": {"from": "twice.d"}},
    })
}

#[tokio::test]
async fn a_workflow_is_looked_up_started_and_ticked_to_its_end() -> Result<()> {
    let server = Server::start().await?;
    server.save_workflow(&double()).await?;
    for reference in ["default/double", "default/double:1"] {
        let outputs = client(&server, &["workflow", reference, r#"{"d": 12}"#], COMPLETED).await?;
        ensure!(outputs == json!({"d": 24}), "{reference}: {outputs}");
    }
    let mut second = double();
    merge(&mut second, json!({"outputs": {"d": {"expr": "twice.d + 1"}}}));
    server.save_workflow(&second).await?;
    // A version stays what it was, after the look-up too.
    for (reference, expected) in [("default/double", 25), ("default/double:2", 25), ("default/double:1", 24)] {
        let outputs = client(&server, &["workflow", reference, r#"{"d": 12}"#], COMPLETED).await?;
        ensure!(outputs == json!({ "d": expected }), "{reference}: {outputs}");
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_failed_or_was_cancelled_has_failed_with_its_node() -> Result<()> {
    let server = Server::start().await?;
    let bad = json!({"name": "bad", "nodes": [node("thin", "raise ValueError('too thin')", json!({}))]});
    server.save_workflow(&bad).await?;
    let failed = client(&server, &["workflow", "default/bad", "{}"], REFUSED).await?;
    let told = failed.pointer("/failed").and_then(Value::as_str).unwrap_or_default();
    ensure!(told.starts_with("thin: ") && told.contains("too thin"), "{failed}");

    let asks = json!({"name": "asks", "nodes": [{"key": "ask", "approval": {"message": "fine?"}}]});
    server.save_workflow(&asks).await?;
    let id =
        server.get("/registry/lookup/workflow?owner=default&slug=asks").await?.expect(200)?.str_at("/workflow_id")?;
    let run =
        server.post(&format!("/workflows/{id}/runs"), &json!({"inputs": {}})).await?.expect(201)?.str_at("/id")?;
    let tick = async || server.post(&format!("/workflow-runs/{run}/tick"), &json!({})).await?.expect(200);
    ensure!(tick().await?.str_at("/status")? == "running");
    server.post(&format!("/v1/workflow-runs/{run}/cancel"), &json!({})).await?.expect(202)?;
    server.run_ended(&run).await?;
    let ended = tick().await?;
    ensure!(ended.str_at("/status")? == "failed" && ended.at("/error_message")?.is_string(), "{}", ended.text());
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_looked_for_among_the_packages() -> Result<()> {
    let server = Server::start().await?;
    server.save_workflow(&double()).await?;
    for query in [
        "owner=nobody&slug=double",
        "owner=default&slug=triple",
        "owner=default&slug=double&version=1.2.0",
        "owner=default&slug=double&version=7",
    ] {
        server.get(&format!("/registry/lookup/workflow?{query}")).await?.expect_problem(404)?;
    }
    let refused = client(&server, &["workflow", "default/double", r#"{"d": "x"}"#], REFUSED).await?;
    ensure!(refused.pointer("/status") == Some(&json!(422)), "{refused}");
    let refused = client(&server, &["load", "default/triple"], REFUSED).await?;
    ensure!(refused.pointer("/status") == Some(&json!(404)), "{refused}");
    Ok(())
}
