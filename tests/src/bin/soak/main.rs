//! `make soak`: thousands of mixed tasks on a cluster whose workers are killed, whose Redis is wiped and whose PostgreSQL
//! crashes meanwhile. Counts what was accepted and what became of it; fails unless nothing was lost and nothing doubled.
//!
//! All services are its own. What was accepted is what a client was answered 202 for, and nothing else.

mod disturb;
mod options;
mod report;
mod watch;

use anyhow::{Context, Result};
use disturb::Disturber;
use mecapy_tests::{
    CapWatch, Cluster, ClusterOptions, SharedBackends, broken_invariants,
    services::{Postgres, Redis, S3, shared::folder_in_memory},
    traffic::Traffic,
};
use options::Options;
use report::Report;
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use watch::Watch;

const TENANTS: usize = 3;
/// Long tasks of one tenant that may run at once, on all workers.
const LONG_RUNNING_MAX: u32 = 4;
/// Each worker's sandboxes together, bytes: eight of them and the services fit a small machine.
const MEMORY_BUDGET_BYTES: u64 = 1 << 30;
/// How long the last tasks may take.
const SETTLED: Duration = Duration::from_secs(180);

/// What the cluster runs on. Dropped after it.
struct Services {
    postgres: Postgres,
    redis: Redis,
    s3: S3,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let options = Options::parse(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(soak(&options))?;
    println!("\n{}", report.table());
    Ok(report.is_good())
}

async fn soak(options: &Options) -> Result<Report> {
    let started = Instant::now();
    eprintln!("   starting PostgreSQL, Redis, S3, {} nodes and {} workers", options.nodes, options.workers);
    let parent = folder_in_memory().map_or_else(std::env::temp_dir, PathBuf::from);
    let mut services =
        Services { postgres: Postgres::start_in(&parent).await?, redis: Redis::start().await?, s3: S3::start().await? };
    let mut cluster = cluster(&services, options).await?;
    let traffic = Traffic::new(&cluster, TENANTS).await?;
    let caps = CapWatch::start(&cluster)?;
    let watch = Watch::start(&cluster, Arc::clone(&traffic), options.tasks)?;
    let sending = tokio::spawn(send_all(Arc::clone(&traffic), watch.clone(), options.tasks));
    let disturber = Disturber { services: &mut services, cluster: &mut cluster, watch: &watch, options };
    let faults = disturber.disturb().await?;
    sending.await??;
    let account = traffic.settle(&cluster, SETTLED).await?;
    watch.stop();
    let broken = broken_invariants(&cluster).await?.into_iter();
    let broken = broken.chain(caps.was_never_above(LONG_RUNNING_MAX).err().map(|error| error.to_string())).collect();
    let (losses, latency) = report::of_rows(&cluster).await?;
    // The cluster ends before its services do.
    drop(cluster);
    drop(services);
    Ok(Report { account, broken, faults, losses, latency, took: started.elapsed() })
}

async fn cluster(services: &Services, options: &Options) -> Result<Cluster> {
    let backends = SharedBackends {
        database: services.postgres.databases().database().await?,
        bucket: services.s3.buckets().bucket().await?,
        queue_url: services.redis.address().url().to_owned(),
    };
    let variables = [
        ("MECAPY_MEMORY_BUDGET_BYTES", MEMORY_BUDGET_BYTES.to_string()),
        ("MECAPY_LONG_RUNNING_PER_TENANT_MAX", LONG_RUNNING_MAX.to_string()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let cluster =
        ClusterOptions { api_nodes: options.nodes, workers: options.workers, variables, ..ClusterOptions::default() };
    Cluster::on(backends, cluster).await.context("the cluster can't be started")
}

/// Sends all tasks, and never so many ahead of their ends that the faults would strike an idle sender.
async fn send_all(traffic: Arc<Traffic>, watch: Watch, tasks: usize) -> Result<()> {
    const AT_ONCE: usize = 16;
    const BLOCK: usize = 64;
    const AHEAD_MAX: usize = 512;
    for start in (0..tasks).step_by(BLOCK) {
        while start.saturating_sub(watch.ended()) > AHEAD_MAX {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        traffic.send_all(start..tasks.min(start + BLOCK), AT_ONCE).await?;
    }
    Ok(())
}
