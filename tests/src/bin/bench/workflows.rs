//! Workflows over HTTP: what a node costs beside a task by itself, and a wide fan-out with what gathers it.

use crate::{
    http::{Call, Connection},
    report::{Report, Row},
    samples::Samples,
    server::Server,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::until;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SECTION: &str = "workflows: nodes of a formula in Python";
const CHAIN: usize = 20;
const WIDTH: usize = 1_000;
const TASKS: usize = 60;
const REPEATS: usize = 5;
const FAN_OUTS: usize = 3;
const DONE_DEADLINE: Duration = Duration::from_secs(60);
const ADD: &str = "def main(x):\n    return {'x': x + 1}\n";
const SUM: &str = "def main(xs):\n    return {'sum': sum(xs), 'count': len(xs)}\n";

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let server = Server::start(&[]).await?;
    let mut connection = server.endpoint().connect().await?;
    let bare = tasks(&mut connection).await?;
    let chain = save(&mut connection, &chain()).await?;
    let mut nodes = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let (seconds, run) = complete(&mut connection, &chain, json!({"x": 0})).await?;
        ensure!(run.pointer("/outputs/x") == Some(&json!(CHAIN)), "wrong output: {run}");
        nodes.push(1e3 * seconds / CHAIN as f64);
    }
    let (nodes, median) = (Samples::new(nodes), bare.median());
    let overhead = nodes.map(|node| node - median);
    report.add(Row::new("workflows.task", SECTION, "a task, from its submission to its end").samples(bare));
    let label = format!("a node, {CHAIN} in a chain");
    report.add(Row::new("workflows.node", SECTION, &label).samples(nodes));
    report.add(Row::new("workflows.overhead", SECTION, "  more than the task").samples(overhead));
    let fan = save(&mut connection, &fan_out()).await?;
    let mut seconds = Vec::with_capacity(FAN_OUTS);
    for _ in 0..FAN_OUTS {
        let xs: Vec<usize> = (0..WIDTH).collect();
        let (took, run) = complete(&mut connection, &fan, json!({"xs": xs})).await?;
        let expected = json!({"sum": WIDTH * (WIDTH + 1) / 2, "count": WIDTH});
        ensure!(run.pointer("/outputs/all") == Some(&expected), "wrong output: {run}");
        seconds.push(took);
    }
    let label = format!("{WIDTH} nodes side by side, and one that adds them up");
    report.add(Row::new("workflows.fan_out", SECTION, &label).unit("s").values(seconds));
    Ok(())
}

/// Milliseconds of tasks one at a time, as their client sees them.
async fn tasks(connection: &mut Connection) -> Result<Samples> {
    let body = json!({"code": {"language": "python", "source": ADD}, "inputs": {"x": 1}});
    let call = Call::post("/v1/tasks", &body);
    let mut times = Vec::with_capacity(TASKS);
    for _ in 0..TASKS {
        let sent = Instant::now();
        let id = id_of(&connection.json(&call).await?)?;
        let answer = connection.json(&Call::get(format!("/v1/tasks/{id}/result?wait=30"))).await?;
        times.push(1e3 * sent.elapsed().as_secs_f64());
        ensure!(answer.pointer("/result/x") == Some(&json!(2)), "wrong result: {answer}");
    }
    Ok(Samples::new(times))
}

async fn save(connection: &mut Connection, definition: &Value) -> Result<String> {
    id_of(&connection.json(&Call::post("/v1/workflows", definition)).await?)
}

/// Seconds from the request to the run's end, and the run.
async fn complete(connection: &mut Connection, workflow: &str, inputs: Value) -> Result<(f64, Value)> {
    let call = Call::post(format!("/v1/workflows/{workflow}/runs"), &json!({"inputs": inputs}));
    let sent = Instant::now();
    let run = id_of(&connection.json(&call).await?)?;
    let state = Call::get(format!("/v1/workflow-runs/{run}"));
    let connection = tokio::sync::Mutex::new(connection);
    let run = until("the run has ended", DONE_DEADLINE, || async {
        let run = connection.lock().await.json(&state).await?;
        Ok(run.get("completed_at").is_some_and(|at| !at.is_null()).then_some(run))
    })
    .await?;
    let seconds = sent.elapsed().as_secs_f64();
    ensure!(run.get("state") == Some(&json!("completed")), "the run did not complete: {run}");
    Ok((seconds, run))
}

fn id_of(answer: &Value) -> Result<String> {
    Ok(answer.get("id").and_then(Value::as_str).with_context(|| format!("no id: {answer}"))?.to_owned())
}

fn python(source: &str) -> Value {
    json!({"language": "python", "source": source})
}

/// Each node adds one.
fn chain() -> Value {
    let node = |number: usize| {
        let from = if number == 0 { "inputs.x".to_owned() } else { format!("n{}.x", number - 1) };
        json!({"key": format!("n{number}"), "code": python(ADD), "inputs": {"x": {"from": from}}})
    };
    json!({
        "name": "chain",
        "inputs": {"x": {"type": "Integer"}},
        "nodes": (0..CHAIN).map(node).collect::<Vec<_>>(),
        "outputs": {"x": {"from": format!("n{}.x", CHAIN - 1)}},
    })
}

fn fan_out() -> Value {
    json!({
        "name": "fan-out",
        "inputs": {"xs": {"type": "list[Integer]"}},
        "nodes": [
            {"key": "add", "code": python(ADD), "map": {"over": "inputs.xs", "as": "x"}, "inputs": {"x": {"from": "x"}}},
            {"key": "all", "code": python(SUM), "inputs": {"xs": {"from": "add.x"}}},
        ],
        "outputs": {"all": {"from": "all"}},
    })
}
