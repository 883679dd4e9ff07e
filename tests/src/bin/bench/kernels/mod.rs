//! Linear algebra: native NumPy and SciPy on their own OpenBLAS, one thread, beside a sandbox with the host's kernels
//! and one with the interpreter's own WebAssembly. `tests/bench/kernels.py` computes and takes the time in all three,
//! in turns, large ones also on all cores; and what the host's kernels cost in fuel.

mod cases;
mod fuel;
mod run;

use crate::{
    http::{Call, Endpoint},
    load::{self, Amount},
    report::{Report, Row, figure},
    samples::Samples,
    server::Server,
};
use anyhow::{Context, Result, ensure};
use cases::{CASES, Case};
use mecapy_tests::{merge, python};
use run::{By, Run};
use serde_json::{Value, json};
use std::time::Duration;

const SECTION: &str = "linear algebra: native NumPy and SciPy, a sandbox with native kernels, one without, in turns";
const PREVIEW_SECTION: &str = "linear algebra: preview over HTTP, 1 client, native kernels and none in turn";
/// Three equations: below every size from which the host is asked.
const SMALL: &str = "import numpy as np\nresult = np.linalg.solve(inputs['a'], inputs['b'])";
const SMALL_AMOUNT: Amount = Amount { warm_up: 200, samples: 2000, time_max: Duration::from_secs(20) };

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let server = Server::start(&[]).await?;
    let endpoint = server.endpoint();
    small(report, endpoint).await?;
    for case in &CASES {
        in_turn(report, endpoint, case).await?;
    }
    fuel::measure(report, endpoint).await
}

/// One computation by each of them, round by round: a busy moment of the machine meets them all.
async fn in_turn(report: &mut Report, endpoint: &Endpoint, case: &Case) -> Result<()> {
    let mut seen: [Result<Vec<f64>>; 4] = std::array::from_fn(|_| Ok(Vec::new()));
    for round in 0..case.rounds {
        for (by, seen) in By::ALL.into_iter().zip(&mut seen) {
            if let Ok(times) = seen
                && round < by.rounds(case)
            {
                // One that stood still while native Python computed would have been closed.
                let mut connection = endpoint.connect().await?;
                match Run::of(case).by(by, &mut connection).await {
                    Ok(done) => times.extend(done.milliseconds),
                    // What native kernels can't do is the platform's own fault.
                    Err(reason) if matches!(by, By::Native | By::Cores) => return Err(reason).context(case.label),
                    Err(reason) => *seen = Err(reason),
                }
            }
        }
    }
    for (by, seen) in By::ALL.into_iter().zip(seen).filter(|(by, _)| by.rounds(case) > 0) {
        let row = Row::new(&by.key(case.key), SECTION, &format!("{}, {}", case.label, by.label()));
        report.add_if_had(row, seen.map(Samples::new));
    }
    tell_ratios(report, case);
    Ok(())
}

/// What the medians come to, in the row of the native kernels.
fn tell_ratios(report: &mut Report, case: &Case) {
    let median = |report: &Report, by: By| Some(report.samples(&by.key(case.key))?.median());
    let [peer, ours, cores, wasm] = By::ALL.map(|by| median(report, by));
    let Some(row) = report.row_mut(&By::Native.key(case.key)) else { return };
    if let (Some(peer), Some(ours)) = (peer, ours) {
        row.notes.push(format!("{} times the time of native Python", figure(ours / peer)));
    }
    if let (Some(cores), Some(ours)) = (cores, ours) {
        row.notes.push(format!("{} times as fast on all cores", figure(ours / cores)));
    }
    if let (Some(wasm), Some(ours)) = (wasm, ours) {
        row.notes.push(format!("{} times as fast as without native kernels", figure(wasm / ours)));
    }
}

/// What is too small for the host must not be slower for having been asked about.
async fn small(report: &mut Report, endpoint: &Endpoint) -> Result<()> {
    let mut connection = endpoint.connect().await?;
    let mut calls = Vec::new();
    for kernels in ["native", "wasm"] {
        let mut body = python(SMALL);
        let inputs = json!({"a": [[4, 1, 0], [1, 3, 1], [0, 1, 2]], "b": [9, 10, 7]});
        merge(&mut body, json!({"inputs": inputs, "kernels": kernels}));
        let call = Call::post("/v1/preview", &body);
        let answer = connection.json(&call).await?;
        ensure!(answer.pointer("/usage/kernels").is_none_or(Value::is_null), "a small solve used a kernel: {answer}");
        calls.push(call);
    }
    let [native, wasm] = &calls[..] else { anyhow::bail!("two calls") };
    let [native, wasm] = load::in_turn(endpoint, [native, wasm], SMALL_AMOUNT).await?;
    for (by, seen) in [(By::Native, native), (By::Wasm, wasm)] {
        let row = Row::new(&by.key("kernels.preview"), PREVIEW_SECTION, &format!("3x3 solve, {}", by.label()));
        report.add(row.values(seen.milliseconds));
    }
    Ok(())
}
