//! The platform's own figures, all over HTTP: start, latency, throughput, durable tasks, a busy machine, memory.

use crate::{
    http::Endpoint,
    load::{self, Amount, Turn, milliseconds},
    memory,
    report::{Report, Row, figure},
    samples::Samples,
    server::Server,
    tasks::{self, Busy},
    workload::Workload,
};
use anyhow::Result;
use std::time::{Duration, Instant};

const STARTS: usize = 9;
const LATENCY: Amount = Amount { warm_up: 500, samples: 4000, time_max: Duration::from_secs(20) };
const CLIENTS: [usize; 3] = [1, 8, 64];
/// Half seconds of each throughput measurement.
const WINDOWS: usize = 8;
const DURABLE_CLIENTS: usize = 32;
const DURABLE_ROUNDS: usize = 5;
const DURABLE_TASKS: usize = 3000;
const MEMORY_ROUNDS: usize = 3;
const MIB: f64 = (1 << 20) as f64;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    starts(report).await?;
    let server = Server::start(&[]).await?;
    let endpoint = server.endpoint();
    previews(report, endpoint).await?;
    busy_previews(report, endpoint).await?;
    throughput(report, endpoint).await?;
    durable(report, endpoint).await?;
    drop(server);
    private_memory(report).await
}

async fn starts(report: &mut Report) -> Result<()> {
    let workload = Workload::expression();
    let mut times = Vec::new();
    for number in 0..=STARTS {
        let started = Instant::now();
        let server = Server::start(&[]).await?;
        workload.verify(&mut server.endpoint().connect().await?).await?;
        // The first one brings images and binary into the page cache.
        if number > 0 {
            times.push(milliseconds(started.elapsed()));
        }
    }
    report.add(Row::new("start", "server", "start, caches warm, to the first result").values(times));
    Ok(())
}

async fn previews(report: &mut Report, endpoint: &Endpoint) -> Result<()> {
    let mut connection = endpoint.connect().await?;
    let module = Workload::module(&mut connection).await?;
    for workload in [Workload::expression(), Workload::solve(), Workload::truss()?, module] {
        workload.verify(&mut connection).await?;
        let seen = load::latency(endpoint, &workload.preview, LATENCY).await?;
        let median = |field| figure(Samples::new(seen.usage(field)).median());
        let (startup, execute) = (median("startup_ms"), median("execute_ms"));
        let note = format!("of which the sandbox: {startup} to make it, {execute} to run (medians)");
        let row = Row::new(&format!("preview.{}", workload.name), "preview over HTTP, 1 client", workload.label);
        report.add(row.values(seen.milliseconds).note(note));
    }
    Ok(())
}

async fn busy_previews(report: &mut Report, endpoint: &Endpoint) -> Result<()> {
    let workload = Workload::expression();
    let mut connection = endpoint.connect().await?;
    let busy = Busy::start(&mut connection).await?;
    let seen = load::latency(endpoint, &workload.preview, LATENCY).await;
    busy.end(&mut connection).await?;
    const SECTION: &str = "preview over HTTP, 1 client, while endless default tasks fill every core";
    report.add(Row::new("busy.expression", SECTION, workload.label).values(seen?.milliseconds));
    Ok(())
}

async fn throughput(report: &mut Report, endpoint: &Endpoint) -> Result<()> {
    const SECTION: &str = "previews at once, expression";
    let turn = Turn::Preview(Workload::expression().preview);
    for clients in CLIENTS {
        let seen = load::throughput(endpoint, &turn, clients, WINDOWS).await?;
        let label = format!("{clients} clients, previews a second");
        report.add(Row::new(&format!("throughput.{clients}"), SECTION, &label).unit("/s").values(seen.per_second));
        let label = format!("{clients} clients, each preview");
        report.add(Row::new(&format!("latency.{clients}"), SECTION, &label).values(seen.milliseconds));
        let mut errors = Row::new(&format!("errors.{clients}"), SECTION, &format!("{clients} clients, errors"));
        errors.notes.extend(seen.error);
        report.add(errors.unit("").values(vec![seen.errors as f64]));
    }
    Ok(())
}

async fn durable(report: &mut Report, endpoint: &Endpoint) -> Result<()> {
    let mut rates = Vec::new();
    for _ in 0..DURABLE_ROUNDS {
        rates.push(tasks::durable(endpoint, DURABLE_CLIENTS, DURABLE_TASKS).await?);
    }
    let label = format!("{DURABLE_TASKS} tasks by {DURABLE_CLIENTS} clients, tasks a second");
    let row = Row::new("durable", "durable tasks, accepted to completed, embedded", &label);
    report.add(row.unit("/s").values(rates));
    Ok(())
}

async fn private_memory(report: &mut Report) -> Result<()> {
    let (mut private, mut tables) = (Vec::new(), Vec::new());
    for _ in 0..MEMORY_ROUNDS {
        let memory = memory::per_sandbox().await?;
        private.push(memory.private as f64 / MIB);
        tables.push(memory.page_tables as f64 / MIB);
    }
    const SECTION: &str = "memory of one more live numpy sandbox";
    report.add(Row::new("memory", SECTION, "private").unit("MiB").values(private));
    report.add(Row::new("memory.page_tables", SECTION, "page tables").unit("MiB").values(tables));
    Ok(())
}
