//! How long a task stands still whose worker was killed, until another worker runs it.

use super::{Backends, Deployment};
use crate::{
    http::{Call, Connection},
    report::{Report, Row},
    tasks,
    workload::module_body,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::{merge, python};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Tasks behind the one that runs.
const SHORT_TASKS: usize = 50;
/// The killed task runs longer than its worker is missed.
const BUSY_TIMEOUT_MS: u64 = 120_000;
const RUNNING_DEADLINE: Duration = Duration::from_secs(10);
const RECOVERY_DEADLINE: Duration = Duration::from_secs(90);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

pub(super) async fn measure(report: &mut Report, backends: &Backends) -> Result<()> {
    const SECTION: &str = "shared mode: recovery, leases of 30 s as by default";
    let mut deployment = Deployment::start(backends).await?;
    // One thread, so that what is submitted later waits behind.
    let killed = deployment.add_worker(&["--concurrency", "1"]).await?;
    let endpoint = deployment.endpoint().clone();
    let mut connection = endpoint.connect().await?;
    let mut busy = python("while True:\n    pass\n");
    merge(&mut busy, json!({"lane": "default", "limits": {"timeout_ms": BUSY_TIMEOUT_MS}}));
    let busy = connection.exchange(&Call::post("/v1/tasks", &busy)).await?.task_id()?;
    until_attempt(&mut connection, &busy, 1, RUNNING_DEADLINE).await?;
    let short = Call::post("/v1/tasks", &module_body(&mut connection).await?);
    let short = tasks::submit(&endpoint, &short, 1, SHORT_TASKS).await?;
    deployment.add_worker(&["--concurrency", "2"]).await?;

    let killed_at = Instant::now();
    deployment.kill_worker(killed)?;
    until_attempt(&mut connection, &busy, 2, RECOVERY_DEADLINE).await?;
    let recovered = killed_at.elapsed().as_secs_f64();
    let [completed] = deployment.numbers("SELECT count(*) FROM tasks WHERE state = 'completed'").await?;
    for task in &short {
        let path = format!("/v1/tasks/{}/result?wait=30", task.task_id()?);
        let answer = connection.exchange(&Call::get(path)).await?;
        ensure!(answer.completed(), "a short task did not complete: {} {}", answer.status, answer.text());
    }
    connection.json(&Call::post(format!("/v1/tasks/{busy}/cancel"), &json!({}))).await?;
    let row = Row::new("shared.recovery", SECTION, "kill -9 of a worker until another runs its task").unit("s");
    let note =
        format!("{completed} of {SHORT_TASKS} short tasks behind it had completed by then, and all did in the end");
    report.add(row.values(vec![recovered]).note(note));
    Ok(())
}

/// Waits until the task runs for at least the so-many-th time.
async fn until_attempt(connection: &mut Connection, task: &str, attempt: u64, deadline: Duration) -> Result<()> {
    let call = Call::get(format!("/v1/tasks/{task}"));
    let started = Instant::now();
    loop {
        let shown = connection.json(&call).await?;
        let state = shown.get("state").and_then(Value::as_str).context("a task has no state")?;
        let attempts = shown.get("attempt").and_then(Value::as_u64).context("a task has no attempt")?;
        if state == "running" && attempts >= attempt {
            return Ok(());
        }
        ensure!(started.elapsed() < deadline, "attempt {attempt} did not run within {deadline:?}: {shown}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
