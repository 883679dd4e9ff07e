//! Servers and workers that share PostgreSQL, Redis and a bucket: what one does the others see, and what one leaves
//! undone another does.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{
    Cluster, ClusterOptions, Server, merge, python,
    services::{Proxy, Redis},
    until,
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(30);
const ENDLESS: &str = "import time\nwhile True:\n    time.sleep(0.01)";
/// Leases of the processes under test.
const LEASE: Duration = Duration::from_secs(3);

fn sleeping(seconds: f64) -> Value {
    python(&format!("import time\ntime.sleep({seconds})\nresult = 'done'"))
}

async fn cancel(node: &Server, id: &str) -> Result<()> {
    node.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    Ok(())
}

/// The workers that a node shows, as kind and state.
async fn workers(node: &Server) -> Result<Vec<(String, String)>> {
    let shown = node.get("/v1/workers").await?.expect(200)?.at("/workers")?;
    let text = |worker: &Value, name: &str| worker.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(shown.as_array().into_iter().flatten().map(|worker| (text(worker, "kind"), text(worker, "state"))).collect())
}

async fn until_attempt(node: &Server, id: &str, attempt: u64) -> Result<()> {
    until(&format!("task {id} runs for the {attempt}th time"), DEADLINE, || async move {
        let task = node.task(id).await?;
        let there = task.at("/attempt")? == json!(attempt) && task.str_at("/state")? == "running";
        Ok(there.then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_one_node_accepts_a_worker_runs_and_every_node_shows() -> Result<()> {
    let cluster = Cluster::start(2, 1).await?;
    let (a, b) = (cluster.node(0)?, cluster.node(1)?);
    let upload = a.upload("n.txt", b"21".to_vec()).await?;
    let mut body = python(
        "print('hello')\nopen('/work/out/o.txt', 'w').write('out')\nresult = int(open('/work/in/n.txt').read()) * 2",
    );
    merge(&mut body, json!({"files": {"n.txt": upload}}));
    let id = a.submit(&body).await?;
    b.result(&id).await?.expect_result(&json!({"result": 42}))?;
    for node in [a, b] {
        ensure!(node.get(&format!("/v1/tasks/{id}/logs")).await?.expect(200)?.text().contains("hello"));
        let url = node.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?.str_at("/0/url")?;
        ensure!(node.send(node.anonymous(reqwest::Method::GET, &url)).await?.expect(200)?.bytes == b"out");
        ensure!(workers(node).await? == [("worker".to_owned(), "running".to_owned())]);
        // Previews run on the node itself.
        node.preview(&body).await?.expect_result(&json!({"result": 42}))?;
    }
    let worker = b.get("/v1/workers").await?.at("/workers/0")?;
    for (field, expected) in [("concurrency", json!(6)), ("lanes", json!(["high_priority", "default", "long_running"]))]
    {
        ensure!(worker.get(field) == Some(&expected), "{field}: {worker}");
    }
    ensure!(
        ["host", "version", "started_at", "last_seen_at"].iter().all(|field| worker.get(field).is_some()),
        "{worker}"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_running_task_says_is_heard_live_at_every_node() -> Result<()> {
    let cluster = Cluster::start(2, 1).await?;
    let source = "import time\nfrom mecapy import progress\nprint('begun', flush=True)\nprogress(0.5, 'half')\ntime.sleep(2)\nresult = 1";
    let id = cluster.node(0)?.submit(&python(source)).await?;
    let mut streams = Vec::new();
    for number in 0..2 {
        streams.push(cluster.node(number)?.events(&id, None).await?);
    }
    for events in &mut streams {
        let mut heard = String::new();
        while !(heard.contains("begun") && heard.contains("half")) {
            heard += &events.next(DEADLINE).await?.with_context(|| format!("the stream ended: {heard}"))?.data;
        }
    }
    ensure!(cluster.node(0)?.state(&id).await? == "running", "it was told when it was over");
    for events in &mut streams {
        events.collect_until("done", DEADLINE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_cancel_at_another_node_stops_a_task_within_a_second() -> Result<()> {
    let cluster = Cluster::start(2, 1).await?;
    let (a, b) = (cluster.node(0)?, cluster.node(1)?);
    let id = a.submit(&python(ENDLESS)).await?;
    a.until_state(&id, "running").await?;
    let asked = Instant::now();
    cancel(b, &id).await?;
    a.until_state(&id, "cancelled").await?;
    ensure!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    Ok(())
}

#[tokio::test]
async fn without_redis_everything_works_a_little_later() -> Result<()> {
    let mut redis = Redis::start().await?;
    let queue_url = Some(redis.address().url().to_owned());
    let cluster =
        Cluster::with(ClusterOptions { api_nodes: 2, workers: 1, queue_url, ..ClusterOptions::default() }).await?;
    let (a, b) = (cluster.node(0)?, cluster.node(1)?);
    let id = a.submit(&python(ENDLESS)).await?;
    a.until_state(&id, "running").await?;
    redis.kill().await?;
    let asked = Instant::now();
    cancel(b, &id).await?;
    a.until_state(&id, "cancelled").await?;
    ensure!(asked.elapsed() < Duration::from_secs(4), "it took {:?}", asked.elapsed());
    for _ in 0..3 {
        let submitted = Instant::now();
        let id = a.submit(&python("result = 1")).await?;
        b.result(&id).await?.expect_result(&json!({"result": 1}))?;
        ensure!(submitted.elapsed() < Duration::from_secs(5), "it took {:?}", submitted.elapsed());
    }
    redis.start_again().await?;
    let id = b.submit(&python("result = 2")).await?;
    a.result(&id).await?.expect_result(&json!({"result": 2}))?;
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_or_gives_back_and_no_attempt_is_lost() -> Result<()> {
    let variables = vec![("MECAPY_WORKER_DRAIN_SECONDS".to_owned(), "2".to_owned())];
    let mut cluster =
        Cluster::with(ClusterOptions { api_nodes: 1, workers: 1, variables, ..ClusterOptions::default() }).await?;
    let long = cluster.node(0)?.submit(&sleeping(6.0)).await?;
    let short = cluster.node(0)?.submit(&sleeping(1.0)).await?;
    for id in [&long, &short] {
        cluster.node(0)?.until_state(id, "running").await?;
    }
    let waiting = cluster.node(0)?.submit(&sleeping(0.1)).await?;
    cluster.worker(0)?.stop()?;
    let node = cluster.node(0)?;
    ensure!(node.state(&short).await? == "completed");
    ensure!(node.state(&long).await? == "queued" && node.state(&waiting).await? == "queued");
    ensure!(workers(node).await?.is_empty(), "a worker that has ended is shown");
    cluster.worker(0)?.start_again().await?;
    for id in [&long, &waiting] {
        cluster.node(0)?.result(id).await?.expect_result(&json!({"result": "done"}))?;
        ensure!(cluster.node(0)?.task(id).await?.at("/attempt")? == json!(1));
    }
    let counts = cluster.rows(&format!("SELECT lost_attempts, fence FROM tasks WHERE id = '{long}'")).await?;
    ensure!(counts == "0|2", "lost attempts and fence: {counts}");
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_a_worker_at_once() -> Result<()> {
    let variables = vec![("MECAPY_WORKER_DRAIN_SECONDS".to_owned(), "600".to_owned())];
    let mut cluster =
        Cluster::with(ClusterOptions { api_nodes: 1, workers: 1, variables, ..ClusterOptions::default() }).await?;
    let id = cluster.node(0)?.submit(&python(ENDLESS)).await?;
    cluster.node(0)?.until_state(&id, "running").await?;
    cluster.worker(0)?.process().signal(libc::SIGTERM)?;
    let node = cluster.node(0)?;
    until("the worker drains", DEADLINE, || async move {
        Ok((workers(node).await? == [("worker".to_owned(), "draining".to_owned())]).then_some(()))
    })
    .await?;
    let process = cluster.worker(0)?.process();
    ensure!(process.exited()?.is_none(), "it did not wait for what runs");
    process.signal(libc::SIGTERM)?;
    ensure!(process.ended().await?.code() == Some(143));
    Ok(())
}

/// invariants I2 (the fence only rises) and I3 (one result, one usage row).
#[tokio::test]
async fn the_task_of_a_killed_worker_is_completed_by_another_with_a_higher_fence() -> Result<()> {
    let mut cluster = Cluster::start(1, 1).await?;
    let id = cluster.node(0)?.submit(&sleeping(1.0)).await?;
    cluster.node(0)?.until_state(&id, "running").await?;
    cluster.add_worker(&[]).await?;
    cluster.worker(0)?.kill()?;
    cluster.node(0)?.result(&id).await?.expect_result(&json!({"result": "done"}))?;
    ensure!(cluster.node(0)?.task(&id).await?.at("/attempt")? == json!(2));
    let sql =
        "SELECT fence, lost_attempts, (SELECT count(*) FROM results), (SELECT count(*) FROM task_usage) FROM tasks";
    let counts = cluster.rows(sql).await?;
    ensure!(counts == "2|1|1|1", "fence, lost attempts, results, usage rows: {counts}");
    Ok(())
}

/// F2: a worker that stood still past its lease finds its task done by another, and changes nothing of it.
#[tokio::test]
async fn a_worker_that_stood_still_past_its_lease_writes_nothing() -> Result<()> {
    let mut cluster = Cluster::start(1, 1).await?;
    // The wall clock tells the attempts apart.
    let source = "import time\nopen('/work/out/t.txt', 'w').write(str(time.time()))\nprint(time.time(), flush=True)\ntime.sleep(1.5)\nresult = time.time()";
    let id = cluster.node(0)?.submit(&python(source)).await?;
    cluster.node(0)?.until_state(&id, "running").await?;
    cluster.worker(0)?.process().pause()?;
    cluster.add_worker(&[]).await?;
    cluster.node(0)?.result(&id).await?.expect_completed()?;
    let before = everything_of(&cluster, &id).await?;
    ensure!(before.contains("|2|2|"), "not the second attempt: {before}");
    let worker = cluster.worker(0)?.process();
    worker.resume()?;
    until("the worker has noticed", DEADLINE, || {
        let noticed = worker.log().map(|log| log.contains("worker.fence"));
        async move { Ok(noticed?.then_some(())) }
    })
    .await?;
    // What it would write it would write now: it works for others meanwhile, alone.
    cluster.worker(1)?.stop()?;
    for _ in 0..5 {
        let next = cluster.node(0)?.submit(&sleeping(0.2)).await?;
        cluster.node(0)?.result(&next).await?.expect_result(&json!({"result": "done"}))?;
    }
    let after = everything_of(&cluster, &id).await?;
    ensure!(after == before, "before:\n{before}\nafter:\n{after}");
    Ok(())
}

/// A task's rows, and the keys and bytes of its objects.
async fn everything_of(cluster: &Cluster, id: &str) -> Result<String> {
    let rows = format!(
        "SELECT t.state, t.fence, t.attempt, t.event_seq, t.log_bytes, r.result, r.object_key, a.object_key, a.sha256 \
         FROM tasks t JOIN results r ON r.no = t.no LEFT JOIN artifacts a ON a.no = t.no WHERE t.id = '{id}'"
    );
    let events = format!("SELECT e.* FROM task_events e JOIN tasks t ON t.no = e.no WHERE t.id = '{id}' ORDER BY seq");
    let logs = format!("SELECT l.* FROM task_logs l JOIN tasks t ON t.no = l.no WHERE t.id = '{id}' ORDER BY seq");
    let mut all =
        format!("{}\n{}\n{}\n", cluster.rows(&rows).await?, cluster.rows(&events).await?, cluster.rows(&logs).await?);
    let bucket = &cluster.backends()?.bucket;
    for key in bucket.keys("").await?.into_iter().filter(|key| key.contains(id)) {
        all.push_str(&format!("{key}: {:?}\n", bucket.get(&key).await?));
    }
    Ok(all)
}

#[tokio::test]
async fn a_worker_that_is_cut_off_from_the_database_stops_before_its_lease_ends() -> Result<()> {
    let mut cluster = Cluster::start(1, 0).await?;
    let url = cluster.backends()?.database.app_url.clone();
    let proxy = Proxy::before(address_of(&url)?)?;
    cluster.add_worker(&[("MECAPY_DATABASE_URL".to_owned(), proxy.url(&url)?)]).await?;
    let id = cluster.node(0)?.submit(&python(ENDLESS)).await?;
    cluster.node(0)?.until_state(&id, "running").await?;
    // A moment for a heartbeat after the claim.
    tokio::time::sleep(LEASE / 2).await;
    proxy.hold();
    let worker = cluster.worker(0)?.process();
    until("the worker stops the task", LEASE, || {
        let stopped = worker.log().map(|log| log.contains("worker.fence"));
        async move { Ok(stopped?.then_some(())) }
    })
    .await?;
    let sql = "SELECT state, lease_until_ms > extract(epoch FROM clock_timestamp()) * 1000 FROM tasks";
    let found = cluster.rows(sql).await?;
    ensure!(found == "running|t", "the lease had ended before the task was stopped: {found}");
    cluster.add_worker(&[]).await?;
    until_attempt(cluster.node(0)?, &id, 2).await?;
    proxy.release();
    // The first worker is back, and leaves the second one's attempt alone.
    cluster.worker(1)?.process().pause()?;
    let next = cluster.node(0)?.submit(&sleeping(0.1)).await?;
    cluster.node(0)?.result(&next).await?.expect_result(&json!({"result": "done"}))?;
    let found = cluster.rows(&format!("SELECT state, fence, attempt FROM tasks WHERE id = '{id}'")).await?;
    ensure!(["running|2|2", "queued|2|2", "running|3|3"].contains(&found.as_str()), "{found}");
    cluster.worker(1)?.process().resume()?;
    cancel(cluster.node(0)?, &id).await?;
    cluster.node(0)?.result(&id).await?.expect_error_kind("cancelled")?;
    Ok(())
}

fn address_of(url: &str) -> Result<SocketAddr> {
    let url = reqwest::Url::parse(url)?;
    Ok(format!("{}:{}", url.host_str().context("no host")?, url.port().context("no port")?).parse()?)
}

#[tokio::test]
async fn no_more_long_tasks_run_on_all_workers_than_one_setting_says() -> Result<()> {
    let variables = vec![("MECAPY_LONG_RUNNING_MAX".to_owned(), "1".to_owned())];
    let cluster =
        Cluster::with(ClusterOptions { api_nodes: 1, workers: 2, variables, ..ClusterOptions::default() }).await?;
    let node = cluster.node(0)?;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let mut body = sleeping(0.3);
        merge(&mut body, json!({"lane": "long_running"}));
        ids.push(node.submit(&body).await?);
    }
    let running = "SELECT count(*) FROM tasks WHERE state = 'running'";
    let ended = "SELECT count(*) FROM tasks WHERE state = 'completed'";
    let started = Instant::now();
    while cluster.rows(ended).await? != "4" {
        let running: u32 = cluster.rows(running).await?.parse()?;
        ensure!(running <= 1, "{running} run at a time");
        ensure!(started.elapsed() < DEADLINE, "they take too long");
    }
    Ok(())
}
