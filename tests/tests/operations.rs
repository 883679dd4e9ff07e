//! The routes for those who run the platform: name, health, metrics, documents, who am I, lanes, workers.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, merge, python};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn name_health_and_readiness_answer() -> Result<()> {
    let server = Server::start().await?;
    let root = server.send(server.anonymous(Method::GET, "/")).await?.expect(200)?;
    for field in ["name", "status", "version"] {
        ensure!(!root.str_at(&format!("/{field}"))?.is_empty());
    }
    let health = server.send(server.anonymous(Method::GET, "/health")).await?.expect(200)?;
    ensure!(health.json()? == json!({"status": "ok"}));
    server.send(server.anonymous(Method::GET, "/ready")).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn metrics_count_what_was_done() -> Result<()> {
    let server = Server::start().await?;
    server.probe().await?;
    let id = server.submit(&python("result = 1")).await?;
    server.result(&id).await?;
    let metrics = server.get("/metrics").await?.expect(200)?;
    ensure!(
        metrics.header("content-type").is_some_and(|kind| kind.contains("text/plain") || kind.contains("openmetrics"))
    );
    let text = metrics.text();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, value) = line.rsplit_once(' ').with_context(|| format!("not a sample: {line}"))?;
        ensure!(name.starts_with("mecapy_") || name.starts_with("process_"), "{line}");
        ensure!(value.parse::<f64>().is_ok(), "{line}");
    }
    ensure!(text.lines().any(|line| line.starts_with("mecapy_") && line.contains("high_priority")), "{text}");
    Ok(())
}

#[tokio::test]
async fn the_openapi_document_names_every_route() -> Result<()> {
    let server = Server::start().await?;
    let document = server.send(server.anonymous(Method::GET, "/openapi.json")).await?.expect(200)?;
    ensure!(document.str_at("/openapi")?.starts_with("3."));
    let paths = document.at("/paths")?;
    let routes = [
        ("/v1/preview", "post"),
        ("/v1/tasks", "post"),
        ("/v1/tasks", "get"),
        ("/v1/tasks/{id}", "get"),
        ("/v1/tasks/{id}", "delete"),
        ("/v1/tasks/{id}/result", "get"),
        ("/v1/tasks/{id}/logs", "get"),
        ("/v1/tasks/{id}/events", "get"),
        ("/v1/tasks/{id}/artifacts", "get"),
        ("/v1/tasks/{id}/cancel", "post"),
        ("/v1/tasks/{id}/retry", "post"),
        ("/v1/uploads", "post"),
        ("/v1/uploads/{id}/complete", "post"),
        ("/v1/modules", "post"),
        ("/v1/events", "get"),
        ("/v1/tickets", "post"),
        ("/v1/webhooks", "post"),
        ("/v1/webhooks", "get"),
        ("/v1/webhooks/{id}", "get"),
        ("/v1/webhooks/{id}", "patch"),
        ("/v1/webhooks/{id}", "delete"),
        ("/v1/webhooks/{id}/rotate-secret", "post"),
        ("/v1/webhooks/{id}/test", "post"),
        ("/v1/webhooks/{id}/deliveries", "get"),
        ("/v1/webhooks/{id}/deliveries/{delivery}/replay", "post"),
        ("/v1/me", "get"),
        ("/v1/lanes", "get"),
        ("/v1/workers", "get"),
        ("/v1/solvers", "get"),
        ("/v1/compilers", "get"),
        ("/v1/api-keys", "post"),
        ("/health", "get"),
        ("/ready", "get"),
    ];
    for (path, method) in routes {
        let operation =
            paths.get(path).and_then(|path| path.get(method)).with_context(|| format!("{method} {path} is missing"))?;
        ensure!(operation.get("responses").is_some_and(Value::is_object), "{method} {path} has no responses");
    }
    let page = server.send(server.anonymous(Method::GET, "/docs")).await?.expect(200)?;
    ensure!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    Ok(())
}

/// Every reference in the document leads somewhere, or clients generated from it don't compile.
#[tokio::test]
async fn the_openapi_document_has_no_dangling_reference() -> Result<()> {
    let server = Server::start().await?;
    let document = server.send(server.anonymous(Method::GET, "/openapi.json")).await?.expect(200)?.json()?;
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    ensure!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').with_context(|| format!("{reference} leads outside"))?;
        ensure!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    Ok(())
}

#[tokio::test]
async fn lanes_workers_and_the_caller_are_shown() -> Result<()> {
    let server = Server::start().await?;
    let lanes = server.get("/v1/lanes").await?.expect(200)?.text();
    for lane in ["high_priority", "default", "long_running"] {
        ensure!(lanes.contains(lane), "{lanes}");
    }
    let workers = server.get("/v1/workers").await?.expect(200)?;
    ensure!(workers.text().contains("default"), "{}", workers.text());
    let me = server.get("/v1/me").await?.expect(200)?;
    ensure!(me.json()?.as_object().is_some_and(|me| me.keys().any(|key| key.contains("tenant"))), "{}", me.text());
    Ok(())
}

#[tokio::test]
async fn a_full_queue_shows_positions_and_depth() -> Result<()> {
    let server = Server::start().await?;
    let mut ids = Vec::new();
    for index in 0..10 {
        let mut body = python("import time\nwhile True:\n    time.sleep(0.01)");
        merge(&mut body, json!({"name": format!("slow {index}")}));
        ids.push(server.submit(&body).await?);
    }
    server.until_state(ids.first().context("none")?, "running").await?;
    let mut positions = Vec::new();
    for id in &ids {
        let task = server.task(id).await?;
        if task.str_at("/state")? == "queued" {
            positions.push(task.at("/queue_position")?.as_u64().context("a queued task has no position")?);
        }
    }
    ensure!(!positions.is_empty() && positions.windows(2).all(|pair| pair.first() < pair.last()), "{positions:?}");
    for id in &ids {
        server.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    }
    Ok(())
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect_references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, into)),
        _ => {}
    }
}
