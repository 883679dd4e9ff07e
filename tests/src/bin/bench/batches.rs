//! Batches over HTTP: how fast a sweep is computed with either isolation, and what accepting a large one takes.

use crate::{
    http::{Call, Connection},
    report::{Report, Row},
    samples::Samples,
    server::Server,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::{merge, python, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SECTION: &str = "batches: a sweep of a formula in Python";
/// The stress in a bolt's thread by its preload and diameter, MPa.
const SOURCE: &str = "import math\n\ndef main(F, d):\n    return {'stress': F / (math.pi * d ** 2 / 4)}\n";
/// A hundred forces by a hundred diameters.
const SIDE: u32 = 100;
const ITEMS: u32 = SIDE * SIDE;
const MANY: u32 = 100_000;
const REPEATS: usize = 3;
const DONE_DEADLINE: Duration = Duration::from_secs(120);
const STARTED_DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let server = Server::start(&[]).await?;
    let mut connection = server.endpoint().connect().await?;
    for (key, isolation) in [("batches.item", "item"), ("batches.batch", "batch")] {
        let mut seconds = Vec::with_capacity(REPEATS);
        for _ in 0..REPEATS {
            seconds.push(sweep(&mut connection, isolation).await?);
        }
        let seconds = Samples::new(seconds);
        let rate = seconds.map(|seconds| f64::from(ITEMS) / seconds);
        let label = format!("{ITEMS} items, isolation {isolation}");
        report.add(Row::new(key, SECTION, &label).unit("s").samples(seconds));
        report.add(Row::new(&format!("{key}.rate"), SECTION, "  items a second").unit("/s").samples(rate));
    }
    accept(report, &server, &mut connection).await
}

/// Seconds from the request to the last item's end, as its client learns of it.
async fn sweep(connection: &mut Connection, isolation: &str) -> Result<f64> {
    let sent = Instant::now();
    let batch = submit(connection, &Call::post("/v1/batches", &grid(isolation, SIDE, SIDE))).await?;
    let state = Call::get(format!("/v1/batches/{batch}"));
    let connection = tokio::sync::Mutex::new(connection);
    let ended = until("the batch has ended", DONE_DEADLINE, || async {
        let batch = connection.lock().await.json(&state).await?;
        Ok((batch.get("completed_at").is_some_and(|at| !at.is_null())).then_some(batch))
    })
    .await?;
    let seconds = sent.elapsed().as_secs_f64();
    ensure!(ended.get("completed") == Some(&json!(ITEMS)), "not all items completed: {ended}");
    let summary = connection.lock().await.json(&Call::get(format!("/v1/batches/{batch}/summary"))).await?;
    let stress = summary.pointer("/fields/0/max").and_then(Value::as_f64).context("no stress is summed up")?;
    // The largest force on the thinnest bolt.
    let expected = 50_000.0 / (std::f64::consts::PI * 16.0);
    ensure!((stress / expected - 1.0).abs() < 1e-12, "wrong result: {summary}");
    Ok(seconds)
}

/// Accepting as many items as a batch may have, and what the server's memory grows by meanwhile. Each batch is cancelled.
async fn accept(report: &mut Report, server: &Server, connection: &mut Connection) -> Result<()> {
    let items: Vec<Value> =
        (0..MANY).map(|number| json!({"inputs": {"F": 5.0 * f64::from(number), "d": 12.5}})).collect();
    let mut explicit = python(SOURCE);
    merge(&mut explicit, json!({"items": items}));
    let kinds = [("sweep", grid("item", MANY / SIDE, SIDE)), ("explicit", explicit)];
    for (kind, body) in kinds {
        let call = Call::post("/v1/batches", &body);
        let (mut seconds, mut grown) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let before = server.memory()?.private;
            let sent = Instant::now();
            let batch = submit(connection, &call).await?;
            seconds.push(sent.elapsed().as_secs_f64());
            grown.push(server.memory()?.private.saturating_sub(before) as f64 / f64::from(1 << 20));
            cancel(connection, &batch).await?;
        }
        let label = format!("{MANY} items accepted, {kind}");
        report.add(Row::new(&format!("batches.accept.{kind}"), SECTION, &label).unit("s").values(seconds));
        let key = format!("batches.memory.{kind}");
        report.add(Row::new(&key, SECTION, "  the server's memory grows by").unit("MiB").values(grown));
    }
    Ok(())
}

async fn cancel(connection: &mut Connection, batch: &str) -> Result<()> {
    connection.json(&Call::post(format!("/v1/batches/{batch}/cancel"), &json!({}))).await?;
    let state = Call::get(format!("/v1/batches/{batch}"));
    let connection = tokio::sync::Mutex::new(connection);
    until("the batch is cancelled", STARTED_DEADLINE, || async {
        let batch = connection.lock().await.json(&state).await?;
        Ok((batch.get("state") == Some(&json!("cancelled"))).then_some(()))
    })
    .await
}

async fn submit(connection: &mut Connection, call: &Call) -> Result<String> {
    let answer = connection.json(call).await?;
    Ok(answer.get("id").and_then(Value::as_str).context("a batch has no id")?.to_owned())
}

/// So many forces up to 50 kN by so many diameters from 8 to 20 mm.
fn grid(isolation: &str, forces: u32, diameters: u32) -> Value {
    let mut body = python(SOURCE);
    let sweep = json!({
        "F": {"from": 0, "to": 50_000, "count": forces},
        "d": {"from": 8, "to": 20, "count": diameters},
    });
    merge(&mut body, json!({"sweep": sweep, "mode": "grid", "isolation": isolation}));
    body
}
