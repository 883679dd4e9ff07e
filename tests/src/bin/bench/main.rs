//! `make bench`: measures the platform over HTTP against its peers in one run, prints one table and keeps it as JSON.
//!
//! Knows the binary, the HTTP contract and the peers that `tests/bench/peers.sh` prepared. Nothing runs in parallel
//! that isn't meant to: the machine is the server's and the load generator's.

mod http;
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
mod targets;
mod tasks;
mod workload;

use anyhow::{Context, Result, bail, ensure};
use machine::Machine;
use report::{Report, Row, figure};
use std::{fs, path::PathBuf, time::Instant};
use workload::Workload;

const USAGE: &str = "usage: bench [--out FILE.json] [--no-peers] [--strict]";

#[derive(Debug, Default)]
struct Options {
    out: Option<PathBuf>,
    no_peers: bool,
    /// A missed target is a failure.
    strict: bool,
}

fn main() -> Result<()> {
    let (options, started) = (options()?, Instant::now());
    let machine = Machine::here();
    let cores = machine.cores;
    let mut report = Report::new(machine);
    // One thread for all clients: the load generator must not compete with the server for more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(platform::measure(&mut report))?;
    overhead::measure(&mut report)?;
    if !options.no_peers {
        measure_peers(&mut report, cores)?;
    }
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
    let mut options = Options::default();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--out") => options.out = Some(arguments.next().map(PathBuf::from).context(USAGE)?),
            Some("--no-peers") => options.no_peers = true,
            Some("--strict") => options.strict = true,
            _ => bail!(USAGE),
        }
    }
    Ok(options)
}

fn measure_peers(report: &mut Report, cores: usize) -> Result<()> {
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

    const CELERY: &str = "peer: Celery + Redis, warm prefork worker, no isolation";
    let expression = Row::new("celery.expression", CELERY, "round trip of x + y");
    match peers::celery(cores) {
        Ok(celery) => {
            report.add(expression.samples(celery.expression_ms));
            report.add(Row::new("celery.solve", CELERY, "round trip of a 3x3 solve").samples(celery.solve_ms));
            let throughput = Row::new("celery.throughput", CELERY, "tasks of x + y, 500 at a time");
            report.add(throughput.unit("/s").samples(celery.per_second));
        }
        Err(reason) => report.add(expression.note(format!("{reason:#}"))),
    }
    Ok(())
}
