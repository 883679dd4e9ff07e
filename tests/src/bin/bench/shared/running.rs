//! How soon a submitted task runs where nothing else is going on.
//!
//! A row's own times are milliseconds; PostgreSQL's stamp of the commit that inserted the row of a state is not. The
//! client's clock is the server's: they are on one machine. A stamp is taken before its commit's flush, so the flush's
//! usual time is added to that of the claim's commit.

use super::{Backends, Deployment, FLUSH};
use crate::{
    http::{Call, Connection, Endpoint},
    load::{milliseconds, unix_us},
    report::{Report, Row, figure},
    samples::Samples,
    workload::module_body,
};
use anyhow::{Context, Result, bail, ensure};
use hyper::header::AUTHORIZATION;
use mecapy_tests::EventStream;
use serde_json::Value;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

const WARM_UP: usize = 30;
const TASKS: usize = 200;
const EVENT_DEADLINE: Duration = Duration::from_secs(10);
/// Between two tasks, so that nothing of the one before is left to do.
const REST: Duration = Duration::from_millis(20);

/// One task and when it was sent.
struct Submitted {
    id: String,
    sent: Instant,
    /// Unix microseconds.
    sent_us: i64,
}

pub(super) async fn measure(report: &mut Report, backends: &Backends) -> Result<()> {
    const SECTION: &str = "shared mode: submit to running, idle system, WASI module";
    let mut deployment = Deployment::start(backends).await?;
    deployment.add_worker(&[]).await?;
    let endpoint = deployment.endpoint();
    let mut connection = endpoint.connect().await?;
    let call = Call::post("/v1/tasks", &module_body(&mut connection).await?);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (mut submitted, mut seen) = (Vec::with_capacity(TASKS), Vec::with_capacity(TASKS));
    // A client that follows its task is work of its own: the system is idle where it only submits.
    for number in 0..WARM_UP + TASKS {
        let task = submit(&mut connection, &call).await?;
        if number >= WARM_UP {
            submitted.push(task);
        }
        tokio::time::sleep(REST).await;
    }
    for _ in 0..TASKS {
        let task = submit(&mut connection, &call).await?;
        seen.push(follow(&task, &client, endpoint).await?);
        tokio::time::sleep(REST).await;
    }
    let flush = report.samples(FLUSH).context("the disk was not measured")?.median();
    let stamps = commit_stamps(&deployment).await?;
    let (mut accepted, mut running) = (Vec::with_capacity(TASKS), Vec::with_capacity(TASKS));
    for task in &submitted {
        let (queued_us, running_us) = stamps.get(&task.id).context("a task has no rows")?;
        let since_sent = |stamp_us: i64| (stamp_us - task.sent_us) as f64 / 1e3 + flush;
        accepted.push(since_sent(*queued_us));
        running.push(since_sent(*running_us));
    }
    let note = format!(
        "of which {} to the commit that accepts it; PostgreSQL's stamps of both commits, with the flush after each",
        figure(Samples::new(accepted).median())
    );
    report.add(Row::new("shared.running", SECTION, "sent until the claim is committed").values(running).note(note));
    let label = "sent until the client's event stream says so";
    report.add(Row::new("shared.running.seen", SECTION, label).values(seen));
    Ok(())
}

async fn submit(connection: &mut Connection, call: &Call) -> Result<Submitted> {
    let (sent, sent_us) = (Instant::now(), unix_us()?);
    let reply = connection.exchange(call).await?;
    ensure!(reply.status.as_u16() == 202, "a task was refused: {} {}", reply.status, reply.text());
    Ok(Submitted { id: reply.task_id()?, sent, sent_us })
}

/// Follows a task to its end; milliseconds from its submission to the event that says that it runs.
async fn follow(task: &Submitted, client: &reqwest::Client, endpoint: &Endpoint) -> Result<f64> {
    let request = client.get(format!("http://{}/v1/tasks/{}/events", endpoint.address, task.id));
    let mut events = EventStream::of(request.header(AUTHORIZATION, endpoint.authorization.clone()).send().await?)?;
    let mut seen_running_ms = None;
    while let Some(event) = events.next(EVENT_DEADLINE).await? {
        let state = event.json()?.get("state").and_then(Value::as_str).map(str::to_owned);
        match (event.event.as_str(), state.as_deref()) {
            ("state", Some("running")) => seen_running_ms = Some(milliseconds(task.sent.elapsed())),
            ("done", Some("completed")) => {}
            ("done", state) => bail!("a task ended {state:?}"),
            _ => {}
        }
    }
    seen_running_ms.context("no event said that the task runs")
}

/// Task → when the commits were stamped that accepted and claimed it, Unix microseconds.
async fn commit_stamps(deployment: &Deployment) -> Result<HashMap<String, (i64, i64)>> {
    const STAMP: &str = "CAST(extract(epoch FROM pg_xact_commit_timestamp(e.xmin)) * 1e6 AS BIGINT)";
    let of = |state: &str| format!("(SELECT {STAMP} FROM task_events e WHERE e.no = t.no AND e.state = '{state}')");
    let rows = deployment.rows(&format!("SELECT t.id, {}, {} FROM tasks t", of("queued"), of("running"))).await?;
    let mut stamps = HashMap::with_capacity(rows.len());
    for row in rows {
        let [id, queued, running] = <[String; 3]>::try_from(row).ok().context("not three fields")?;
        stamps.insert(id, (queued.parse()?, running.parse()?));
    }
    Ok(stamps)
}
