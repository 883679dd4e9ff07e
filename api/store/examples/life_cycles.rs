//! How many tasks a second go through submit, claim and finish, each step durable: `life_cycles [seconds] [clients]
//! [postgres-url] [redis-url]`. PostgreSQL's database must be migrated; the worker has a store of its own then, as a
//! process would, and without Redis hears of work late.

use anyhow::{Context, Result};
use mecapy_model::{Code, Kernels, Lane, LimitsRequest, NonFinite, Retry, TaskState, TenantId, Ties, Usage};
use mecapy_store::{BusAddress, ClaimRequest, Database, Finish, NewTask, Store, StoreOptions, Submission, SystemClock};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many tasks the worker holds at a time.
const SLOTS: u32 = 64;
const LOOK_AGAIN: Duration = Duration::from_millis(2);

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let clients: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let database = arguments.next().map_or(Database::Embedded, Database::Postgres);
    let bus = arguments.next().map(|url| BusAddress::parse(&url)).transpose()?;
    let folder = tempfile::tempdir_in(".")?;
    let open = async |name: &str| {
        let options = StoreOptions {
            database: database.clone(),
            bus: bus.clone(),
            ..StoreOptions::new(folder.path().join(name))
        };
        Ok::<_, anyhow::Error>(Store::open(options, Arc::new(SystemClock::new()?)).await?)
    };
    let store = open("data").await?;
    let tenant = store.create_tenant(&format!("bench {}", std::process::id())).await?;
    let workers = if store.is_shared() { open("worker").await? } else { store.clone() };
    let (cycles, waited_us) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let worker = tokio::spawn(work(workers));
    let (start, cpu) = (Instant::now(), processor_ticks()?);
    let until = start + Duration::from_secs(seconds);
    let mut running = Vec::new();
    for _ in 0..clients {
        let (store, cycles, waited_us) = (store.clone(), cycles.clone(), waited_us.clone());
        running.push(tokio::spawn(async move {
            while Instant::now() < until {
                let sent = Instant::now();
                let task = store.submit(submission(tenant)?).await?.task;
                let ended = store.wait(tenant, task.id, Duration::from_secs(30)).await?.context("the task is gone")?;
                anyhow::ensure!(ended.state == TaskState::Completed, "{:?} ended {}", task.id, ended.state);
                cycles.fetch_add(1, Ordering::Relaxed);
                waited_us.fetch_add(u64::try_from(sent.elapsed().as_micros())?, Ordering::Relaxed);
            }
            Ok(())
        }));
    }
    for client in running {
        client.await??;
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), (processor_ticks()? - cpu) as f64 / 100.0);
    worker.abort();
    store.close().await;
    let cycles = cycles.load(Ordering::Relaxed) as f64;
    println!(
        "{:.0} life cycles/s with {clients} clients; mean round trip {:.2} ms; {:.0} µs of processor time each",
        cycles / seconds,
        waited_us.load(Ordering::Relaxed) as f64 / cycles / 1_000.0,
        cpu * 1e6 / cycles,
    );
    Ok(())
}

async fn work(store: Store) -> Result<()> {
    let wakeup = store.lane_wakeup(Lane::Default);
    loop {
        let request = ClaimRequest::new(Lane::Default, SLOTS);
        let claimed = store.claim(request).await?;
        if claimed.is_empty() {
            // Without a bus nobody in another process is told.
            let _ = tokio::time::timeout(LOOK_AGAIN, wakeup.notified()).await;
            continue;
        }
        for task in claimed {
            let store = store.clone();
            tokio::spawn(async move {
                let finish = Finish {
                    result: Ok(RawValue::from_string(r#"{"deflection": 0.00123456789, "stress": 2.5e8}"#.to_owned())?),
                    warnings: Vec::new(),
                    logs: Vec::new(),
                    artifacts: Vec::new(),
                    usage: Usage { fuel: 123_456, memory_peak_bytes: 48 << 20, cpu_ms: 0.7, ..Usage::default() },
                };
                store.finish(task.claim, finish).await?;
                anyhow::Ok(())
            });
        }
    }
}

fn submission(tenant: TenantId) -> Result<Submission> {
    let source =
        "import numpy as np\n\ndef main(F, L, E, I):\n    return {'deflection': F * L**3 / (3 * E * I)}\n".repeat(8);
    let task = NewTask {
        tenant,
        name: Some("cantilever".to_owned()),
        lane: Lane::Default,
        priority: 5,
        code: Code::Python { source, entry: None },
        inputs: RawValue::from_string(r#"{"F": 1000.0, "L": 2.0, "E": 2.1e11, "I": 8.33e-6}"#.to_owned())?,
        files: BTreeMap::new(),
        limits: LimitsRequest::default().resolve(Lane::Default)?,
        retry: Retry::default(),
        seed: 42,
        non_finite: NonFinite::Reject,
        kernels: Kernels::default(),
        labels: BTreeMap::new(),
        run_at: None,
        retry_of: None,
        webhook_url: None,
        warnings: Vec::new(),
        ties: Ties::default(),
    };
    Ok(Submission { task, idempotency: None, queued_max: 100_000 })
}

/// Processor time of this process so far, in hundredths of a second.
fn processor_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("an unknown format of /proc/self/stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field =
        |at: usize| fields.get(at).context("/proc/self/stat is short").and_then(|text| Ok(text.parse::<u64>()?));
    Ok(field(11)? + field(12)?)
}
