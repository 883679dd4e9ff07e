//! Published functions over HTTP: what a call costs beside the same source sent inline, what the first call of a package
//! that isn't in memory costs, how long publishing takes; and, in this process, what the checks of a call cost.

mod calls;
mod packages;
mod ports;

use crate::{
    http::{Call, Connection},
    report::{Report, Row},
    server::Server,
};
use anyhow::{Context, Result, ensure};
use packages::Package;
use serde_json::{Value, json};
use std::time::Instant;

/// Each with a version number of its own, so that nothing of it is known.
const PUBLICATIONS: u32 = 3;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    ports::measure(report)?;
    let mut server = Server::start(&[]).await?;
    let mut connection = server.endpoint().connect().await?;
    calls::python(report, server.endpoint(), &mut connection).await?;
    calls::wasi(report, server.endpoint(), &mut connection).await?;
    publications(report, &mut connection).await?;
    calls::evicted(report, &mut connection).await?;
    calls::restarted(report, &mut server).await
}

async fn publications(report: &mut Report, connection: &mut Connection) -> Result<()> {
    let mut times = Vec::new();
    for patch in 0..PUBLICATIONS {
        let package = Package::large(patch);
        let call = package.call()?;
        let sent = Instant::now();
        let answer = connection.json(&call).await?;
        times.push(sent.elapsed().as_secs_f64());
        let passed = answer.pointer("/tests/passed");
        ensure!(passed == Some(&json!(packages::LARGE_CASES)), "not all test cases passed: {answer}");
    }
    let label = format!("{} functions, {} test cases run", packages::LARGE_FUNCTIONS, packages::LARGE_CASES);
    report.add(Row::new("functions.publish", "publishing a package", &label).unit("s").values(times));
    Ok(())
}

/// Publishes a package; what its only function is called by.
async fn publish(connection: &mut Connection, package: &Package) -> Result<String> {
    let answer = connection.json(&package.call()?).await?;
    let reference = answer.pointer("/functions/0/reference").and_then(Value::as_str);
    Ok(reference.with_context(|| format!("no function was published: {answer}"))?.to_owned())
}

/// The preview of a published function.
fn call(reference: &str, inputs: &Value) -> Call {
    Call::post("/v1/preview", &json!({"code": {"function": reference}, "inputs": inputs}))
}
