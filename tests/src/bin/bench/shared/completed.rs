//! How many small tasks a second go through PostgreSQL and Redis: accepted by a server, run by a worker process, each in
//! a fresh sandbox, and kept with one result row.
//!
//! The rate that is judged counts from the first task's acceptance to the last one's end, so that it holds both sides'
//! work, as the Celery client's batches do. Clients that wait for each result are measured beside it: their rate pays
//! for reading every answer too.

use super::{Backends, Deployment};
use crate::{
    http::Call,
    load::{self, Turn},
    report::{Report, Row, figure},
    tasks,
    workload::{expression_body, module_body},
};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

const CLIENTS: usize = 32;
const ROUNDS: usize = 3;
const WARM_UP_TASKS: usize = 300;
const WAITING_CLIENTS: usize = 64;
/// Half seconds, after one of warm-up.
const WAITING_WINDOWS: usize = 8;
const DONE_DEADLINE: Duration = Duration::from_secs(60);
/// Seldom, so that looking costs nothing that counts: the times are the rows' own.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Small tasks of one kind.
struct Kind {
    key: &'static str,
    name: &'static str,
    tasks: usize,
    call: Call,
    /// Whether the result `r` is right, as the database is asked.
    is_right: &'static str,
}

/// What one round of tasks came to, tasks a second.
struct Round {
    /// From the first acceptance to the last end.
    whole: f64,
    /// From the first end to the last.
    steady: f64,
}

pub(super) async fn measure(report: &mut Report, backends: &Backends) -> Result<()> {
    let mut deployment = Deployment::start(backends).await?;
    deployment.add_worker(&[]).await?;
    let module = module_body(&mut deployment.endpoint().connect().await?).await?;
    let call = |body| Call::post("/v1/tasks", body);
    let kinds = [
        Kind {
            key: "shared.wasi",
            name: "WASI",
            tasks: 6000,
            call: call(&module),
            is_right: "CAST(CAST(r.result AS JSON) ->> 'sum' AS FLOAT) = 1003",
        },
        Kind {
            key: "shared.python",
            name: "Python",
            tasks: 4000,
            call: call(&expression_body()),
            is_right: "CAST(CAST(r.result AS JSON) ->> 'result' AS FLOAT) = 42.5",
        },
    ];
    for kind in &kinds {
        rounds(report, backends, &deployment, kind).await?;
    }
    for kind in &kinds {
        waited_for(report, &deployment, kind).await?;
    }
    Ok(())
}

async fn rounds(report: &mut Report, backends: &Backends, deployment: &Deployment, kind: &Kind) -> Result<()> {
    const SECTION: &str = "shared mode: small tasks, accepted to completed, one server, one worker process";
    round(deployment, kind, WARM_UP_TASKS).await?;
    let (mut whole, mut steady) = (Vec::new(), 0.0_f64);
    for _ in 0..ROUNDS {
        backends.write_out().await?;
        let seen = round(deployment, kind, kind.tasks).await?;
        whole.push(seen.whole);
        steady = steady.max(seen.steady);
    }
    let label = format!("{} {} tasks by {CLIENTS} clients, a second", kind.tasks, kind.name);
    let row = Row::new(kind.key, SECTION, &label).unit("/s").values(whole);
    report.add(row.note(format!("up to {} a second from the first end to the last", figure(steady))));
    Ok(())
}

/// Submits so many tasks while the worker runs them, and checks every one when all have ended.
async fn round(deployment: &Deployment, kind: &Kind, tasks: usize) -> Result<Round> {
    let [before] = deployment.numbers("SELECT coalesce(max(no), 0) FROM tasks").await?;
    tasks::submit(deployment.endpoint(), &kind.call, CLIENTS, tasks).await?;
    wait_until_all_ended(deployment).await?;
    let is_right = kind.is_right;
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE t.state = 'completed' AND {is_right}), count(u.no), \
         min(t.created_ms), min(t.completed_ms), max(t.completed_ms) \
         FROM tasks t LEFT JOIN results r ON r.no = t.no LEFT JOIN task_usage u ON u.no = t.no WHERE t.no > {before}"
    );
    let [all, right, used, accepted_ms, first_ms, last_ms] = deployment.numbers(&sql).await?;
    let submitted = i64::try_from(tasks)?;
    ensure!(
        (all, right, used) == (submitted, submitted, submitted),
        "of {tasks} {} tasks there are {all}, {right} with their result, {used} with their usage",
        kind.name
    );
    let rate = |from_ms: i64| tasks as f64 * 1e3 / (last_ms - from_ms).max(1) as f64;
    Ok(Round { whole: rate(accepted_ms), steady: rate(first_ms) })
}

async fn wait_until_all_ended(deployment: &Deployment) -> Result<()> {
    // Each half by its own index.
    const LIVE: &str = "SELECT (SELECT count(*) FROM tasks WHERE state = 'queued'), \
                        (SELECT count(*) FROM tasks WHERE state = 'running')";
    let started = Instant::now();
    loop {
        let [queued, running] = deployment.numbers(LIVE).await?;
        if queued + running == 0 {
            return Ok(());
        }
        ensure!(started.elapsed() < DONE_DEADLINE, "after {DONE_DEADLINE:?} {queued} wait and {running} run");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Clients that wait for each result before they submit again.
async fn waited_for(report: &mut Report, deployment: &Deployment, kind: &Kind) -> Result<()> {
    const SECTION: &str = "shared mode: small tasks, each submitted and its result waited for by its client";
    let turn = Turn::SubmitAndWait(kind.call.clone());
    let seen = load::throughput(deployment.endpoint(), &turn, WAITING_CLIENTS, WAITING_WINDOWS).await?;
    ensure!(seen.errors == 0, "{} tasks failed, one so: {:?}", seen.errors, seen.error);
    let label = format!("{WAITING_CLIENTS} clients, {} tasks a second", kind.name);
    report.add(Row::new(&format!("{}.waited", kind.key), SECTION, &label).unit("/s").values(seen.per_second));
    let label = format!("{WAITING_CLIENTS} clients, each {} task", kind.name);
    report.add(Row::new(&format!("{}.round_trip", kind.key), SECTION, &label).values(seen.milliseconds));
    Ok(())
}
