//! The same short solve through the platform and by a bare `docker run`, in turns.

use super::{
    SECTION,
    lane::{Lane, MEMORY_BYTES},
};
use crate::{
    http::{Call, Connection},
    load::milliseconds,
    report::{Report, Row, figure},
    samples::Samples,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::fixture_path;
use serde_json::{Value, json};
use std::{collections::HashMap, fs, time::Instant};

pub(super) const OVERHEAD: &str = "containers.overhead";
pub(super) const OVERHEAD_LABEL: &str = "more than by docker run";
/// Pairs of solves, after one that finds cold caches.
const RUNS: usize = 20;
const DECK: &str = "solvers/calculix/cantilever/cantilever.inp";
const WAIT_SECONDS: u32 = 60;
const CORES: u32 = 1;

/// A solve through the platform.
struct Solved {
    id: String,
    ms: f64,
    /// As the task tells it.
    usage: Value,
}

pub(super) async fn measure(report: &mut Report, lane: &Lane) -> Result<()> {
    let deck = fs::read(fixture_path(DECK)?)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let upload = lane.upload(&client, deck.clone()).await?;
    let limits = json!({"cpus": CORES, "memory_bytes": MEMORY_BYTES, "timeout_ms": 60_000});
    let code = json!({"solver": "calculix", "files": {"cantilever.inp": upload}});
    let call = Call::post("/v1/tasks", &json!({"code": code, "limits": limits}));
    let mut connection = lane.endpoint().connect().await?;
    let (mut bare, mut ours) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
    for number in 0..=RUNS {
        let bare_ms = solve_bare(lane, &deck)?;
        let solved = solve(&mut connection, &call).await?;
        lane.until_cleared().await?;
        if number > 0 {
            bare.push(bare_ms);
            ours.push(solved);
        }
    }
    tell(report, &lane.times_of_runs()?, bare, &ours)
}

/// Milliseconds of `docker run` on a folder with the deck, which is made beforehand.
fn solve_bare(lane: &Lane, deck: &[u8]) -> Result<f64> {
    let folder = tempfile::Builder::new().prefix("mecapy-bench-bare-").tempdir()?;
    fs::write(folder.path().join("cantilever.inp"), deck)?;
    let (cores, memory) = (CORES.to_string(), MEMORY_BYTES.to_string());
    let (volume, threads) = (format!("{}:/work", folder.path().display()), format!("OMP_NUM_THREADS={CORES}"));
    let limits = ["--cpus", &cores, "--memory", &memory, "--memory-swap", &memory, "--network", "none"];
    let place = ["--volume", &volume, "--workdir", "/work", "--env", &threads];
    let solver = [lane.image(), "/usr/bin/ccx", "cantilever"];
    let arguments = [["run", "--rm"].as_slice(), &limits, &place, &solver].concat();
    let started = Instant::now();
    let said = lane.docker(&arguments)?;
    let ms = milliseconds(started.elapsed());
    ensure!(said.contains("Job finished"), "the bare solve did not finish: {said}");
    Ok(ms)
}

/// Submits, and waits until the result is there.
async fn solve(connection: &mut Connection, call: &Call) -> Result<Solved> {
    let sent = Instant::now();
    let accepted = connection.exchange(call).await?;
    ensure!(accepted.status.as_u16() == 202, "the solve was refused: {} {}", accepted.status, accepted.text());
    let id = accepted.task_id()?;
    let result = connection.exchange(&Call::get(format!("/v1/tasks/{id}/result?wait={WAIT_SECONDS}"))).await?;
    let ms = milliseconds(sent.elapsed());
    ensure!(result.completed(), "the solve failed: {}", result.text());
    let task = connection.json(&Call::get(format!("/v1/tasks/{id}"))).await?;
    let usage = task.get("usage").context("a task that ended has no usage")?.clone();
    Ok(Solved { id, ms, usage })
}

/// `times`: what the worker logged of each run.
fn tell(report: &mut Report, times: &[Value], bare: Vec<f64>, ours: &[Solved]) -> Result<()> {
    let id_of = |times: &Value| times.get("task.id").and_then(Value::as_str).map(str::to_owned);
    let times: HashMap<String, &Value> = times.iter().filter_map(|times| Some((id_of(times)?, times))).collect();
    let logged = |field: &str| -> Result<Vec<f64>> {
        let of = |solved: &Solved| times.get(&solved.id)?.get(field)?.as_f64();
        ours.iter().map(|solved| of(solved).with_context(|| format!("no {field} was logged"))).collect()
    };
    let used = |field: &str| ours.iter().filter_map(|solved| solved.usage.get(field)?.as_f64()).collect::<Vec<_>>();
    let median = |values: Vec<f64>| figure(Samples::new(values).median());
    let (inputs, kept) = (logged("inputs_ms")?, logged("kept_ms")?);
    let split = format!(
        "of which {} queued, {} to make the work folder, {} for inputs, {} to make and start the container, {} to solve, \
         {} to read and draw the results, {} to keep them (medians)",
        median(used("queued_ms")),
        median(logged("folder_ms")?),
        median(inputs.clone()),
        median(used("startup_ms")),
        median(used("execute_ms")),
        median(logged("results_ms")?),
        median(kept.clone()),
    );
    let over = bare.iter().zip(ours).map(|(bare, solved)| solved.ms - bare).collect();
    let copying = inputs.iter().zip(&kept).map(|(inputs, kept)| inputs + kept).collect();
    let limits = format!("CalculiX, a cantilever of C3D20R, {CORES} core, {} MiB for both", MEMORY_BYTES >> 20);
    let row = Row::new("containers.bare", SECTION, "docker run --rm, its folder bound");
    report.add(row.values(bare).note(limits));
    let row = Row::new("containers.solve", SECTION, "submitted until its client has the result");
    report.add(row.values(ours.iter().map(|solved| solved.ms).collect()).note(split));
    let row = Row::new("containers.copying", SECTION, "of which copying");
    report.add(row.values(copying).note("inputs from S3 to the work folder; results to S3, with the end's commit"));
    report.add(Row::new(OVERHEAD, SECTION, OVERHEAD_LABEL).values(over).note("each solve with the one before it"));
    Ok(())
}
