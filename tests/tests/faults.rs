//! What breaks around the processes, and that nothing which was accepted is lost or done twice by it: the lines F1 to
//! F6, F9 and F14 of the project's list of faults. (F7 and F8 are in `crashes.rs`, F13 is in the store's tests.)

use anyhow::{Context, Result, ensure};
use mecapy_tests::{
    CapWatch, Cluster, ClusterOptions, EventStream, SharedBackends, SseEvent, invariants, merge, python,
    services::{Postgres, Proxy, Redis, S3, Shutdown, shared},
    traffic::{Account, Traffic},
    until,
};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use std::{ops::Range, sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::sleep};

/// Leases of the processes under test.
const LEASE: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_secs(30);
/// How long everything may take to come to its end after the last fault.
const SETTLED: Duration = Duration::from_secs(90);
/// Requests that the traffic has under way at once.
const AT_ONCE: usize = 8;
const TENANTS: usize = 3;
/// Long tasks of one tenant that may run at once.
const CAP: u32 = 2;

fn options(api_nodes: usize, workers: usize) -> ClusterOptions {
    let variables = vec![
        variable("MECAPY_LONG_RUNNING_PER_TENANT_MAX", &CAP.to_string()),
        variable("MECAPY_MEMORY_BUDGET_BYTES", &(1_u64 << 30).to_string()),
    ];
    ClusterOptions { api_nodes, workers, variables, ..ClusterOptions::default() }
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn send(traffic: &Arc<Traffic>, numbers: Range<usize>) -> JoinHandle<Result<()>> {
    let traffic = Arc::clone(traffic);
    tokio::spawn(async move { traffic.send_all(numbers, AT_ONCE).await })
}

/// Every promise is kept, and the invariants hold.
async fn all_is_well(cluster: &Cluster, traffic: &Arc<Traffic>) -> Result<Account> {
    let account = traffic.settle(cluster, SETTLED).await?;
    account.must_be_settled()?;
    invariants(cluster).await?;
    Ok(account)
}

fn random(below: u32) -> Result<u32> {
    Ok(getrandom::u32()? % below)
}

async fn count(cluster: &Cluster, condition: &str) -> Result<u32> {
    Ok(cluster.rows(&format!("SELECT count(*) FROM tasks WHERE {condition}")).await?.parse()?)
}

async fn until_running(cluster: &Cluster, tasks: u32) -> Result<()> {
    until("the tasks run", DEADLINE, || async {
        Ok((count(cluster, "state = 'running'").await? == tasks).then_some(()))
    })
    .await
}

fn sleeping(seconds: f64) -> Value {
    python(&format!("import time\ntime.sleep({seconds})\nresult = 'done'"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f1_workers_are_killed_at_random() -> Result<()> {
    const KILLS: usize = 20;
    const TASKS_BETWEEN: usize = 25;
    const WORKERS: u32 = 4;
    let mut cluster = Cluster::with(options(2, WORKERS as usize)).await?;
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    let watch = CapWatch::start(&cluster)?;
    for kill in 0..KILLS {
        let sending = send(&traffic, kill * TASKS_BETWEEN..(kill + 1) * TASKS_BETWEEN);
        sleep(Duration::from_millis(u64::from(random(200)?))).await;
        let worker = cluster.worker(random(WORKERS)? as usize)?;
        worker.kill()?;
        worker.start_again().await?;
        sending.await??;
    }
    let account = all_is_well(&cluster, &traffic).await?;
    ensure!(account.accepted == KILLS * TASKS_BETWEEN);
    watch.was_never_above(CAP)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f2_workers_stand_still_past_their_leases() -> Result<()> {
    let mut cluster = Cluster::with(options(1, 3)).await?;
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    // Two for each worker, so that those that are paused have some.
    for _ in 0..6 {
        cluster.node(0)?.submit(&sleeping(2.0)).await?;
    }
    until_running(&cluster, 6).await?;
    for number in 0..2 {
        cluster.worker(number)?.process().pause()?;
    }
    let sending = send(&traffic, 0..80);
    until("others have what they held", DEADLINE, || async {
        Ok((count(&cluster, "lost_attempts > 0").await? >= 4).then_some(()))
    })
    .await?;
    for number in 0..2 {
        let worker = cluster.worker(number)?.process();
        worker.resume()?;
        until("the worker has noticed", DEADLINE, || {
            let noticed = worker.log().map(|log| log.contains("worker.fence"));
            async move { Ok(noticed?.then_some(())) }
        })
        .await?;
    }
    sending.await??;
    until("what was lost is done", DEADLINE, || async {
        Ok((count(&cluster, "state = 'completed' AND lost_attempts > 0").await? >= 4).then_some(()))
    })
    .await?;
    all_is_well(&cluster, &traffic).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f3_redis_is_wiped_and_restarted() -> Result<()> {
    const ROUNDS: usize = 4;
    const TASKS: usize = 48;
    let mut redis = Redis::start().await?;
    let queue_url = Some(redis.address().url().to_owned());
    let cluster = Cluster::with(ClusterOptions { queue_url, ..options(2, 2) }).await?;
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    for round in 0..ROUNDS {
        let sending = send(&traffic, round * TASKS..(round + 1) * TASKS);
        sleep(Duration::from_millis(u64::from(random(100)?))).await;
        redis.address().wipe().await?;
        if round % 2 == 0 {
            redis.kill().await?;
        } else {
            redis.stop().await?;
        }
        redis.start_again().await?;
        sending.await??;
    }
    all_is_well(&cluster, &traffic).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f4_redis_is_gone() -> Result<()> {
    let mut redis = Redis::start().await?;
    let queue_url = Some(redis.address().url().to_owned());
    let mut cluster = Cluster::with(ClusterOptions { queue_url, ..options(2, 1) }).await?;
    redis.kill().await?;
    // What starts without it works as well.
    cluster.add_worker(&[]).await?;
    cluster.add_node(&[]).await?;
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    traffic.send_all(0..160, AT_ONCE).await?;
    for node in cluster.nodes() {
        ensure!(node.get("/ready").await?.status == 200, "a node is not ready without its hints");
    }
    all_is_well(&cluster, &traffic).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f5_the_connection_breaks_at_a_commit() -> Result<()> {
    const ROUNDS: usize = 12;
    let mut cluster = Cluster::with(options(0, 1)).await?;
    let url = cluster.backends()?.database.app_url.clone();
    let proxy = Proxy::before_port(Url::parse(&url)?.port().context("no port")?)?;
    cluster.add_node(&[variable("MECAPY_DATABASE_URL", &proxy.url(&url)?)]).await?;
    let node = cluster.node(0)?;
    let mut broken = 0;
    for round in 0..ROUNDS {
        let body = python(&format!("result = {round}"));
        let submit = || {
            let request = node.request(Method::POST, "/v1/tasks").header("idempotency-key", format!("round-{round}"));
            node.send(request.json(&body))
        };
        proxy.cut_after_bytes_matching(b"COMMIT");
        let first = submit().await?;
        if first.status != 202 {
            broken += 1;
            ensure!(first.header("retry-after").is_some(), "no Retry-After: {}", first.text());
            first.expect_problem(503)?;
        }
        let again = async || {
            until("the node is back", DEADLINE, || async {
                let answer = submit().await?;
                Ok((answer.status != 503).then_some(answer))
            })
            .await?
            .expect(202)?
            .str_at("/id")
        };
        let id = again().await?;
        ensure!(again().await? == id, "a key made two tasks");
        node.result(&id).await?.expect_result(&json!({"result": round}))?;
    }
    ensure!(broken >= ROUNDS / 2, "{broken} of {ROUNDS} submissions met the fault");
    ensure!(count(&cluster, "true").await? == ROUNDS as u32, "a task too many");
    invariants(&cluster).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f6_postgresql_is_down_and_comes_back() -> Result<()> {
    let mut postgres = Postgres::start().await?;
    let backends = SharedBackends {
        database: postgres.databases().database().await?,
        bucket: shared::s3().await?.bucket().await?,
        queue_url: shared::redis().await?.prefixed_url()?,
    };
    let mut cluster = Cluster::on(backends, options(2, 2)).await?;
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    for (round, shutdown) in [Shutdown::Immediate, Shutdown::Fast].into_iter().enumerate() {
        let sending = send(&traffic, round * 96..(round + 1) * 96);
        sleep(Duration::from_millis(100)).await;
        postgres.stop(shutdown).await?;
        for node in cluster.nodes() {
            let refused = node.post("/v1/tasks", &python("result = 1")).await?.expect_problem(503)?;
            ensure!(refused.header("retry-after").is_some(), "no Retry-After: {}", refused.text());
            node.get("/health").await?.expect(200)?;
            let unready = node.get("/ready").await?.expect_problem(503)?;
            ensure!(unready.header("retry-after").is_some(), "no Retry-After: {}", unready.text());
        }
        // Workers give up what they hold: they must be able to take it again.
        sleep(LEASE * 4 / 3).await;
        postgres.start_again().await?;
        for node in cluster.nodes() {
            until("the node is ready again", DEADLINE, || async {
                Ok((node.get("/ready").await?.status == 200).then_some(()))
            })
            .await?;
        }
        sending.await??;
        all_is_well(&cluster, &traffic).await?;
    }
    for number in 0..2 {
        ensure!(cluster.node_mut(number)?.process().exited()?.is_none(), "a node ended");
        ensure!(cluster.worker(number)?.process().exited()?.is_none(), "a worker ended");
    }
    Ok(())
}

/// How the object store goes and comes back.
#[derive(Debug, Clone, Copy)]
enum Away {
    Refusing,
    Silent,
    Stopped,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f9_the_object_store_fails_or_is_slow() -> Result<()> {
    let mut s3 = S3::start().await?;
    let proxy = Proxy::before_port(s3.port())?;
    let backends = SharedBackends {
        database: shared::postgres().await?.database().await?,
        bucket: s3.buckets().bucket().await?,
        queue_url: shared::redis().await?.prefixed_url()?,
    };
    let mut options = options(1, 2);
    options.variables.push(variable("MECAPY_OBJECTS_URL", &backends.bucket.url_through(proxy.address())));
    let cluster = Cluster::on(backends, options).await?;
    let node = cluster.node(0)?;
    for away in [Away::Refusing, Away::Silent, Away::Stopped] {
        let source = "import time\ntime.sleep(1)\nopen('/work/out/n.txt', 'w').write('7')\nresult = 'x' * 300000";
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(node.submit(&python(source)).await?);
        }
        until_running(&cluster, 4).await?;
        match away {
            Away::Refusing => {
                proxy.refuse(true).await?;
                proxy.cut().await?;
            }
            Away::Silent => proxy.hold(),
            Away::Stopped => s3.stop().await?,
        }
        // They end, and can't be written down.
        sleep(Duration::from_secs(5)).await;
        ensure!(count(&cluster, "state = 'running'").await? == 4, "{away:?}: a task ended without its file");
        match away {
            Away::Refusing => proxy.refuse(false).await?,
            Away::Silent => proxy.release(),
            Away::Stopped => s3.start_again().await?,
        }
        for id in &ids {
            node.result(id).await.with_context(|| format!("{away:?}"))?.expect_completed()?;
            let url = node.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?.str_at("/0/url")?;
            ensure!(node.send(node.anonymous(Method::GET, &url)).await?.expect(200)?.bytes == b"7");
        }
        ensure!(count(&cluster, "fence <> 1").await? == 0, "{away:?}: a task was run again");
    }
    proxy.delay(Duration::from_millis(30));
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    traffic.send_all(0..64, AT_ONCE).await?;
    all_is_well(&cluster, &traffic).await?;
    // What can't be kept is not accepted.
    proxy.refuse(true).await?;
    proxy.cut().await?;
    let part = reqwest::multipart::Part::bytes(b"mesh".to_vec()).file_name("a.txt");
    let form = reqwest::multipart::Form::new().part("file", part);
    node.send(node.request(Method::POST, "/v1/uploads").multipart(form)).await?.expect_problem(503)?;
    Ok(())
}

/// Follows a task's events over the deaths of nodes, from where it left off.
async fn follow(nodes: Vec<String>, key: String, id: String) -> Result<Vec<SseEvent>> {
    let client = Client::builder().no_proxy().connect_timeout(Duration::from_secs(2)).build()?;
    let mut events: Vec<SseEvent> = Vec::new();
    for node in nodes.iter().cycle().take(500) {
        let mut request = client.get(format!("{node}/v1/tasks/{id}/events")).bearer_auth(&key);
        if let Some(last) = events.last().and_then(|event| event.id.clone()) {
            request = request.header("last-event-id", last);
        }
        if let Ok(response) = request.send().await
            && let Ok(mut stream) = EventStream::of(response)
        {
            while let Ok(Some(event)) = stream.next(DEADLINE).await {
                let is_last = event.event == "done";
                events.push(event);
                if is_last {
                    return Ok(events);
                }
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the stream never came to its end: {events:?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f14_everything_is_restarted_one_after_the_other() -> Result<()> {
    const NODES: usize = 2;
    const WORKERS: usize = 3;
    let mut options = options(NODES, WORKERS);
    // Less than the followed tasks take, so that some are given back.
    options.variables.push(variable("MECAPY_WORKER_DRAIN_SECONDS", "1"));
    let mut cluster = Cluster::with(options).await?;
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    let urls: Vec<String> = cluster.nodes().iter().map(|node| node.base_url()).collect();
    let key = cluster.node(0)?.key().to_owned();
    let source = "import time\nfor n in range(12):\n    print(n, flush=True)\n    time.sleep(0.25)\nresult = 'done'";
    let mut followed = Vec::new();
    for _ in 0..4 {
        let mut body = python(source);
        merge(&mut body, json!({"priority": 9}));
        let id = cluster.node(0)?.submit(&body).await?;
        let following = tokio::spawn(follow(urls.clone(), key.clone(), id.clone()));
        followed.push((id, following));
    }
    until_running(&cluster, 4).await?;
    let sending = send(&traffic, 0..400);
    for number in 0..WORKERS {
        cluster.worker(number)?.stop()?;
        cluster.worker(number)?.start_again().await?;
    }
    for number in 0..NODES {
        cluster.node_mut(number)?.stop_and_restart().await?;
    }
    sending.await??;
    for (id, following) in followed {
        let heard = following.await??;
        let node = cluster.node(0)?;
        node.result(&id).await?.expect_result(&json!({"result": "done"}))?;
        let all = node.events(&id, None).await?.collect_until("done", DEADLINE).await?;
        ensure!(heard == all, "{id} was heard with a gap:\n{heard:?}\n{all:?}");
    }
    all_is_well(&cluster, &traffic).await?;
    ensure!(count(&cluster, "lost_attempts > 0 OR attempt > 1").await? == 0, "an attempt was lost");
    ensure!(count(&cluster, "fence > 1").await? > 0, "nothing was given back");
    Ok(())
}
