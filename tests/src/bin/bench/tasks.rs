//! Durable tasks: how many a second are accepted, stored, computed and kept, and what previews feel while tasks keep
//! every core busy.

use crate::{
    http::{Call, Connection, Endpoint, Reply},
    workload::expression_body,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::{merge, python, until};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const DONE_DEADLINE: Duration = Duration::from_secs(60);
const BUSY_DEADLINE: Duration = Duration::from_secs(10);
/// Bounds a busy task that nobody could cancel, milliseconds.
const BUSY_TIMEOUT_MS: u64 = 30_000;
/// Every so many tasks one has its result looked at.
const CHECKED_EVERY: usize = 50;

/// Tasks that keep every thread of the default lane busy until they are cancelled.
pub(crate) struct Busy {
    tasks: Vec<String>,
}

/// Submits so many tasks by so many clients and waits until all are completed; answers tasks a second, end to end.
pub(crate) async fn durable(endpoint: &Endpoint, clients: usize, tasks: usize) -> Result<f64> {
    let started = Instant::now();
    let accepted = submit(endpoint, &Call::post("/v1/tasks", &expression_body()), clients, tasks).await?;
    let mut connection = endpoint.connect().await?;
    wait_until_idle(&mut connection).await?;
    let rate = tasks as f64 / started.elapsed().as_secs_f64();
    let failed = connection.json(&Call::get("/v1/tasks?state=failed&limit=1")).await?;
    ensure!(failed.pointer("/tasks/0").is_none(), "a task failed: {failed}");
    for reply in accepted.iter().step_by(CHECKED_EVERY) {
        let path = format!("/v1/tasks/{}/result", reply.task_id()?);
        let answer = connection.json(&Call::get(path)).await?;
        ensure!(answer.pointer("/result/result") == Some(&json!(42.5)), "wrong result: {answer}");
    }
    Ok(rate)
}

/// Submits so many tasks by so many clients, each as fast as it is answered; all are accepted when this answers.
pub(crate) async fn submit(endpoint: &Endpoint, call: &Call, clients: usize, tasks: usize) -> Result<Vec<Reply>> {
    let left = Arc::new(AtomicUsize::new(tasks));
    let mut running = Vec::new();
    for connection in endpoint.connect_many(clients).await? {
        running.push(tokio::spawn(submit_while(connection, call.clone(), Arc::clone(&left))));
    }
    let mut accepted = Vec::with_capacity(tasks);
    for client in running {
        accepted.extend(client.await??);
    }
    ensure!(accepted.len() == tasks, "{} of {tasks} tasks were accepted", accepted.len());
    Ok(accepted)
}

async fn submit_while(mut connection: Connection, call: Call, left: Arc<AtomicUsize>) -> Result<Vec<Reply>> {
    let mut accepted = Vec::new();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let reply = connection.exchange(&call).await?;
        ensure!(reply.status.as_u16() == 202, "a task was refused: {} {}", reply.status, reply.text());
        accepted.push(reply);
    }
    Ok(accepted)
}

impl Busy {
    /// Submits more endless loops than the lane has threads, and waits until all threads run one.
    pub(crate) async fn start(connection: &mut Connection) -> Result<Self> {
        let threads = default_lane(connection).await?.0;
        let mut body = python("while True:\n    pass\n");
        merge(&mut body, json!({"lane": "default", "limits": {"timeout_ms": BUSY_TIMEOUT_MS}}));
        let call = Call::post("/v1/tasks", &body);
        let mut tasks = Vec::new();
        for _ in 0..threads + 2 {
            let answer = connection.json(&call).await?;
            tasks.push(answer.get("id").and_then(Value::as_str).context("a task has no id")?.to_owned());
        }
        let started = Instant::now();
        while default_lane(connection).await?.1 < threads {
            ensure!(started.elapsed() < BUSY_DEADLINE, "the default lane did not fill up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { tasks })
    }

    /// Cancels them and waits until the lane is empty.
    pub(crate) async fn end(self, connection: &mut Connection) -> Result<()> {
        for task in &self.tasks {
            connection.json(&Call::post(format!("/v1/tasks/{task}/cancel"), &json!({}))).await?;
        }
        wait_until_idle(connection).await
    }
}

/// Threads of the default lane, and how many of them run something.
async fn default_lane(connection: &mut Connection) -> Result<(usize, usize)> {
    let lanes = connection.json(&Call::get("/v1/lanes")).await?;
    let lanes = lanes.get("lanes").and_then(Value::as_array).context("no lanes")?;
    let lane = lanes.iter().find(|lane| lane.get("lane") == Some(&json!("default"))).context("no default lane")?;
    let count = |field: &str| lane.get(field).and_then(Value::as_u64).with_context(|| format!("no {field}"));
    Ok((usize::try_from(count("threads")?)?, usize::try_from(count("running")?)?))
}

async fn wait_until_idle(connection: &mut Connection) -> Result<()> {
    let lanes = Call::get("/v1/lanes");
    let connection = tokio::sync::Mutex::new(connection);
    until("no task is queued or running", DONE_DEADLINE, || async {
        let answer = connection.lock().await.json(&lanes).await?;
        let lanes = answer.get("lanes").and_then(Value::as_array).context("no lanes")?;
        let open = |lane: &Value| {
            let count = |field: &str| lane.get(field).and_then(Value::as_u64).unwrap_or(u64::MAX);
            count("tasks_queued") > 0 || count("tasks_running") > 0
        };
        Ok((!lanes.iter().any(open)).then_some(()))
    })
    .await
}
