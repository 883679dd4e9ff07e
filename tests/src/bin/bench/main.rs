//! `make bench`: measures the platform over HTTP against its peers in one run, prints one table and keeps it as JSON.
//!
//! Knows the binary, the HTTP contract and the peers that `tests/bench/peers.sh` prepared. Nothing runs in parallel
//! that isn't meant to: the machine is the server's and the load generator's.

mod batches;
mod containers;
mod functions;
mod http;
mod kernels;
mod load;
mod machine;
mod memory;
mod overhead;
mod peers;
mod platform;
mod report;
mod samples;
mod server;
mod service;
mod shared;
mod targets;
mod tasks;
mod workflows;
mod workload;

use anyhow::{Context, Result, bail, ensure};
use machine::Machine;
use report::{Report, Row, figure};
use std::{fs, path::PathBuf, time::Instant};
use tokio::signal::unix::{SignalKind, signal};
use workload::Workload;

const USAGE: &str = "usage: bench [--out FILE.json] [--only GROUP,…] [--no-peers] [--strict]\n\
                     groups: platform, functions, batches, workflows, shared, containers, inside, kernels, peers, celery";

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// The embedded server over HTTP.
    Platform,
    /// Published functions over HTTP, and publishing.
    Functions,
    /// Sweeps over HTTP.
    Batches,
    /// Runs of workflows over HTTP.
    Workflows,
    /// Servers and workers over PostgreSQL, Redis and S3.
    Shared,
    /// Solvers in containers, through a server and a worker.
    Containers,
    /// What HTTP can't show.
    Inside,
    /// Linear algebra beside native NumPy and SciPy.
    Kernels,
    Peers,
    Celery,
}

#[derive(Debug)]
struct Options {
    out: Option<PathBuf>,
    groups: Vec<Group>,
    /// A missed target is a failure.
    strict: bool,
}

impl Group {
    const ALL: [Group; 10] = [
        Group::Platform,
        Group::Functions,
        Group::Batches,
        Group::Workflows,
        Group::Shared,
        Group::Containers,
        Group::Inside,
        Group::Kernels,
        Group::Peers,
        Group::Celery,
    ];

    fn name(self) -> &'static str {
        match self {
            Group::Platform => "platform",
            Group::Functions => "functions",
            Group::Batches => "batches",
            Group::Workflows => "workflows",
            Group::Shared => "shared",
            Group::Containers => "containers",
            Group::Inside => "inside",
            Group::Kernels => "kernels",
            Group::Peers => "peers",
            Group::Celery => "celery",
        }
    }
}

fn main() -> Result<()> {
    let (options, started) = (options()?, Instant::now());
    let mut report = Report::new(Machine::here());
    // One thread for all clients: the load generator must not compete with the server for more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            measured = measure(&mut report, &options.groups) => measured,
            // Whatever was started is dropped, and so stopped.
            told = told_to_end() => told.and_then(|()| bail!("told to end")),
        }
    })?;
    targets::judge(&mut report);
    println!("\n{}", report.table());
    if let Some(path) = &options.out {
        fs::write(path, serde_json::to_vec_pretty(&report.json())?)?;
        println!("kept in {}", path.display());
    }
    eprintln!("   {} s in all", figure(started.elapsed().as_secs_f64()));
    let (met, all) = report.score();
    ensure!(!options.strict || met == all, "{} targets were missed", all - met);
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options { out: None, groups: Group::ALL.to_vec(), strict: false };
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--out") => options.out = Some(arguments.next().map(PathBuf::from).context(USAGE)?),
            Some("--only") => {
                let names = arguments.next().context(USAGE)?;
                let names: Vec<_> = names.to_str().context(USAGE)?.split(',').collect();
                let known = |name: &&str| Group::ALL.iter().any(|group| group.name() == *name);
                ensure!(names.iter().all(known), USAGE);
                options.groups.retain(|group| names.contains(&group.name()));
            }
            Some("--no-peers") => options.groups.retain(|group| !matches!(group, Group::Peers | Group::Celery)),
            Some("--strict") => options.strict = true,
            _ => bail!(USAGE),
        }
    }
    Ok(options)
}

/// Measures these groups, one after the other.
async fn measure(report: &mut Report, groups: &[Group]) -> Result<()> {
    for group in groups {
        match group {
            Group::Platform => platform::measure(report).await?,
            Group::Functions => functions::measure(report).await?,
            Group::Batches => batches::measure(report).await?,
            Group::Workflows => workflows::measure(report).await?,
            Group::Shared => shared::measure(report).await?,
            Group::Containers => containers::measure(report).await?,
            Group::Inside => overhead::measure(report)?,
            Group::Kernels => kernels::measure(report).await?,
            Group::Peers => measure_peers(report)?,
            Group::Celery => measure_celery(report),
        }
    }
    Ok(())
}

async fn told_to_end() -> Result<()> {
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    }
}

fn measure_peers(report: &mut Report) -> Result<()> {
    const NATIVE: &str = "peer: native python3, a new process";
    for workload in [Workload::expression(), Workload::solve(), Workload::truss()?] {
        if let Some(program) = &workload.native {
            let row = Row::new(&format!("native.{}", workload.name), NATIVE, workload.label);
            report.add_if_had(row, peers::native(program));
        }
    }
    let row = Row::new("runner", "peer: the interpreter's own runner, a new process", "expression");
    report.add_if_had(row, peers::own_runner());
    let row = Row::new("docker", "peer: docker run --rm, local image", "true");
    report.add_if_had(row, peers::docker());
    Ok(())
}

fn measure_celery(report: &mut Report) {
    const CELERY: &str = "peer: Celery + Redis, warm prefork worker, no isolation";
    let expression = Row::new("celery.expression", CELERY, "round trip of x + y");
    match peers::celery(report.cores()) {
        Ok(celery) => {
            report.add(expression.samples(celery.expression_ms));
            report.add(Row::new("celery.solve", CELERY, "round trip of a 3x3 solve").samples(celery.solve_ms));
            let throughput = Row::new("celery.throughput", CELERY, "tasks of x + y, 500 at a time");
            report.add(throughput.unit("/s").samples(celery.per_second));
        }
        Err(reason) => report.add(expression.note(format!("{reason:#}"))),
    }
}
