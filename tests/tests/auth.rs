//! Credentials: who may ask, and that the answer tells nothing else.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{EventStream, Server, python};
use reqwest::Method;
use serde_json::json;
use std::{os::unix::fs::PermissionsExt as _, time::Duration};

/// A well-formed id that nothing has.
const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";

#[tokio::test]
async fn what_needs_no_credentials_is_open_and_the_rest_is_not() -> Result<()> {
    let server = Server::start().await?;
    for path in ["/", "/health", "/ready", "/openapi.json", "/docs"] {
        let answer = server.send(server.anonymous(Method::GET, path)).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
    }
    let id = NOBODYS_ID;
    let closed = [
        (Method::POST, "/v1/preview".to_owned()),
        (Method::POST, "/v1/tasks".into()),
        (Method::GET, "/v1/tasks".into()),
        (Method::GET, format!("/v1/tasks/{id}")),
        (Method::GET, format!("/v1/tasks/{id}/result")),
        (Method::GET, format!("/v1/tasks/{id}/logs")),
        (Method::GET, format!("/v1/tasks/{id}/events")),
        (Method::GET, format!("/v1/tasks/{id}/artifacts")),
        (Method::POST, format!("/v1/tasks/{id}/cancel")),
        (Method::POST, format!("/v1/tasks/{id}/retry")),
        (Method::DELETE, format!("/v1/tasks/{id}")),
        (Method::POST, "/v1/uploads".into()),
        (Method::POST, "/v1/modules".into()),
        (Method::GET, "/v1/me".into()),
        (Method::GET, "/v1/lanes".into()),
        (Method::GET, "/v1/workers".into()),
        (Method::GET, "/v1/solvers".into()),
        (Method::GET, "/v1/compilers".into()),
        (Method::POST, "/v1/packages".into()),
        (Method::GET, "/v1/packages".into()),
        (Method::GET, "/v1/packages/a/b/versions/1.0.0/archive".into()),
        (Method::POST, "/v1/packages/a/b/versions/1.0.0/yank".into()),
        (Method::PUT, "/v1/packages/a/b/maintainers".into()),
        (Method::GET, "/v1/functions".into()),
        (Method::GET, "/v1/functions/a/b/c".into()),
        (Method::GET, "/v1/types".into()),
        (Method::POST, "/v1/api-keys".into()),
    ];
    for (method, path) in closed {
        let answer = server.send(server.anonymous(method.clone(), &path)).await?;
        answer.expect_problem(401).with_context(|| format!("{method} {path}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn every_bad_credential_gets_the_same_answer() -> Result<()> {
    let server = Server::start().await?;
    let key = server.key().to_owned();
    let shorter: String = key.chars().take(key.chars().count() - 1).collect();
    let values = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Basic {key}"),
        key.clone(),
        format!("Bearer {shorter}"),
        format!("Bearer {key}x"),
        format!("Bearer {}", key.to_uppercase()),
        "Bearer null".into(),
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".into(),
        format!("Bearer {}", "a".repeat(30_000)),
        "Bearer ' OR 1=1 --".into(),
        "Bearer ../../admin.key".into(),
    ];
    let mut bodies = std::collections::BTreeSet::new();
    for value in values {
        let request = server.anonymous(Method::GET, "/v1/tasks").header("authorization", &value);
        let answer = server
            .send(request)
            .await?
            .expect_problem(401)
            .with_context(|| value.chars().take(60).collect::<String>())?;
        ensure!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));
        bodies.insert(answer.text());
    }
    ensure!(bodies.len() == 1, "the answers differ: {bodies:?}");
    Ok(())
}

#[tokio::test]
async fn the_admin_key_is_a_private_file_made_once() -> Result<()> {
    let mut server = Server::start().await?;
    let path = server.data_directory().join("admin.key");
    let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "mode {mode:o}");
    let before = std::fs::read_to_string(&path)?;
    server.stop_and_restart().await?;
    ensure!(std::fs::read_to_string(&path)? == before, "a second start made another key");
    server.get("/v1/me").await?.expect(200)?;
    let log = server.process().log()?;
    ensure!(
        log.contains("admin.key") && !log.contains(before.trim()),
        "the log says where the key is, not the key:\n{log}"
    );
    Ok(())
}

#[tokio::test]
async fn a_new_key_works_and_is_shown_once() -> Result<()> {
    let server = Server::start().await?;
    let made = server.post("/v1/api-keys", &json!({"name": "ci"})).await?;
    ensure!([200, 201].contains(&made.status), "{}: {}", made.status, made.text());
    let key = made.str_at("/key")?;
    let preview = server.anonymous(Method::POST, "/v1/preview").bearer_auth(&key).json(&python("result = 1"));
    server.send(preview).await?.expect_result(&json!({"result": 1}))?;
    let me = server.send(server.anonymous(Method::GET, "/v1/me").bearer_auth(&key)).await?.expect(200)?;
    ensure!(!me.text().contains(&key), "{}", me.text());
    Ok(())
}

#[tokio::test]
async fn an_event_stream_ends_soon_after_its_key_was_revoked() -> Result<()> {
    let server = Server::start().await?;
    let made = server.post("/v1/api-keys", &json!({"name": "browser"})).await?.expect(201)?;
    let request = server.anonymous(Method::GET, "/v1/events").bearer_auth(made.str_at("/key")?);
    let mut stream = EventStream::of(request.send().await?)?;
    ensure!(stream.next(Duration::from_secs(5)).await?.is_some(), "the stream begins with an id");
    server.delete(&format!("/v1/api-keys/{}", made.str_at("/id")?)).await?.expect(204)?;
    // Nothing happens that would wake it: it is asked when it would say that it lives.
    ensure!(stream.next(Duration::from_secs(20)).await?.is_none(), "the stream goes on");
    Ok(())
}
