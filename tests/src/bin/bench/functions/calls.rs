//! Calls of published functions: warm ones beside the same source sent inline, and first ones.

use super::{
    call,
    packages::{self, PLAIN, Package},
    publish,
};
use crate::{
    http::{Call, Connection, Endpoint},
    load::{self, Amount, Latency, milliseconds},
    report::{Report, Row, figure},
    samples::Samples,
    server::Server,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::{fixture_path, guest_wasm, merge, python as inline, wasm};
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, Instant},
};

const SECTION: &str = "a published function over HTTP, 1 client, in turn with the same code not published";
const FIRST: &str = "a published function over HTTP, its first call";
const AMOUNT: Amount = Amount { warm_up: 60, samples: 300, time_max: Duration::from_secs(20) };
/// More than a server keeps in memory (40), so that each of them is gone when its turn comes.
const PACKAGES: usize = 44;
const RESTARTS: usize = 7;

/// Python without and with NumPy.
pub(super) async fn python(report: &mut Report, endpoint: &Endpoint, connection: &mut Connection) -> Result<()> {
    let numpy = packages::with_numpy();
    for (key, label, module) in
        [("functions.python", "Python", PLAIN), ("functions.numpy", "Python with NumPy", numpy.as_str())]
    {
        let name = key.replace('.', "-");
        let published = publish(connection, &Package::bolt(&name, module)).await?;
        let mut body = inline(module);
        merge(&mut body, json!({"inputs": packages::bolt_inputs()}));
        let not_published = Call::post("/v1/preview", &body);
        let calls = [&call(&published, &packages::bolt_inputs()), &not_published];
        in_turn(report, endpoint, connection, (key, "inline", label), calls).await?;
    }
    Ok(())
}

/// The joint of the Rust SDK, with its ports checked and without.
pub(super) async fn wasi(report: &mut Report, endpoint: &Endpoint, connection: &mut Connection) -> Result<()> {
    let inputs: Value = serde_json::from_str(&fs::read_to_string(fixture_path("bolted_joint/inputs.json")?)?)?;
    let published = publish(connection, &Package::joint()?).await?;
    let upload = Call::post_bytes("/v1/modules", "application/wasm", guest_wasm("bolted_joint_rust.wasm")?);
    let uploaded = connection.json(&upload).await?;
    let mut body = wasm(uploaded.get("module").and_then(Value::as_str).context("the upload has no digest")?);
    merge(&mut body, json!({"inputs": inputs}));
    let not_published = Call::post("/v1/preview", &body);
    let label = "Rust, the SDK's bolted joint";
    let calls = [&call(&published, &inputs), &not_published];
    in_turn(report, endpoint, connection, ("functions.wasi", "module", label), calls).await
}

/// Measures a call and the same code not published, which must give the same result.
async fn in_turn(
    report: &mut Report,
    endpoint: &Endpoint,
    connection: &mut Connection,
    (key, other, label): (&str, &str, &str),
    calls: [&Call; 2],
) -> Result<()> {
    let mut results = Vec::new();
    for call in calls {
        let answer = connection.json(call).await?;
        results.push(
            answer.get("result").filter(|result| result.is_object()).with_context(|| answer.to_string())?.clone(),
        );
    }
    ensure!(results.first() == results.last(), "{label}: the results differ: {results:?}");
    let [published, not_published] = load::in_turn(endpoint, calls, AMOUNT).await?;
    add(report, key, label, published);
    add(report, &format!("{key}.{other}"), &format!("{label}, {other}"), not_published);
    Ok(())
}

fn add(report: &mut Report, key: &str, label: &str, seen: Latency) {
    let median = |field| figure(Samples::new(seen.usage(field)).median());
    let note =
        format!("of which the sandbox: {} to make it, {} to run (medians)", median("startup_ms"), median("execute_ms"));
    report.add(Row::new(key, SECTION, label).values(seen.milliseconds).note(note));
}

/// The package's image had to make room for others.
pub(super) async fn evicted(report: &mut Report, connection: &mut Connection) -> Result<()> {
    let numpy = packages::with_numpy();
    let mut published = Vec::with_capacity(PACKAGES);
    for number in 0..PACKAGES {
        published.push(publish(connection, &Package::bolt(&format!("evicted-{number}"), &numpy)).await?);
    }
    let mut times = Vec::with_capacity(PACKAGES);
    for reference in &published {
        times.push(first(connection, reference).await?);
    }
    let label = "Python with NumPy, image evicted";
    report.add(Row::new("functions.evicted", FIRST, label).values(times));
    Ok(())
}

/// The server is another process than the one that the package was published to.
pub(super) async fn restarted(report: &mut Report, server: &mut Server) -> Result<()> {
    let package = Package::bolt("restarted", &packages::with_numpy());
    let reference = publish(&mut server.endpoint().connect().await?, &package).await?;
    let mut times = Vec::with_capacity(RESTARTS);
    for _ in 0..RESTARTS {
        server.restart().await?;
        times.push(first(&mut server.endpoint().connect().await?, &reference).await?);
    }
    let label = "Python with NumPy, server restarted";
    report.add(Row::new("functions.restarted", FIRST, label).values(times));
    Ok(())
}

/// One call, milliseconds.
async fn first(connection: &mut Connection, reference: &str) -> Result<f64> {
    let call = call(reference, &packages::bolt_inputs());
    let sent = Instant::now();
    let reply = connection.exchange(&call).await?;
    let time = milliseconds(sent.elapsed());
    ensure!(reply.completed(), "a first call failed: {} {}", reply.status, reply.text());
    Ok(time)
}
