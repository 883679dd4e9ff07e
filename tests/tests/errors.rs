//! Requests that are wrong, and the status, pointer and code that each gets.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, merge, python};
use reqwest::Method;
use serde_json::{Value, json};

/// A well-formed id that nothing has.
const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";

#[tokio::test]
async fn each_fault_is_named_by_its_pointer() -> Result<()> {
    let server = Server::start().await?;
    let code = json!({"language": "python", "source": "result = 1"});
    let rows = [
        ("/code", json!({})),
        ("/code", json!({"code": null})),
        ("/code", json!({"code": "print(1)"})),
        ("/code/source", json!({"code": {"language": "python"}})),
        ("/code/source", json!({"code": {"language": "python", "source": 7}})),
        ("/code/language", json!({"code": {"language": "cobol", "source": "x"}})),
        ("/code/sauce", json!({"code": {"language": "python", "source": "result = 1", "sauce": 1}})),
        ("/code/entry", json!({"code": {"language": "python", "source": "result = 1", "entry": 1}})),
        ("/code/entry", json!({"code": {"language": "python", "source": "result = 1", "entry": "not an identifier"}})),
        ("/code/module", json!({"code": {"language": "wasm"}})),
        ("/code/module", json!({"code": {"language": "wasm", "module": "abc"}})),
        ("/code/module", json!({"code": {"language": "wasm", "module": "0".repeat(64)}})),
        ("/inputs", json!({"code": code, "inputs": [1]})),
        ("/files", json!({"code": code, "files": []})),
        ("/files/a.txt", json!({"code": code, "files": {"a.txt": NOBODYS_ID}})),
        ("/files/a.txt", json!({"code": code, "files": {"a.txt": "nonsense"}})),
        ("/files/..~1..~1etc~1passwd", json!({"code": code, "files": {"../../etc/passwd": NOBODYS_ID}})),
        ("/limits", json!({"code": code, "limits": 5})),
        ("/limits/ram", json!({"code": code, "limits": {"ram": 5}})),
        ("/seed", json!({"code": code, "seed": -1})),
        ("/seed", json!({"code": code, "seed": 1.5})),
        ("/seed", json!({"code": code, "seed": "x"})),
        ("/non_finite", json!({"code": code, "non_finite": "keep"})),
        ("/kernels", json!({"code": code, "kernels": "gpu"})),
        ("/kernels", json!({"code": code, "kernels": 1})),
        ("/colour", json!({"code": code, "colour": "red"})),
    ];
    for (pointer, body) in &rows {
        for path in ["/v1/preview", "/v1/tasks"] {
            let answer = server.post(path, body).await?;
            answer.expect_fault(pointer).with_context(|| format!("{path} {body}"))?;
        }
    }
    let only_tasks = [
        ("/lane", json!({"lane": "express"})),
        ("/priority", json!({"priority": 10})),
        ("/priority", json!({"priority": -1})),
        ("/retry/max_attempts", json!({"retry": {"max_attempts": 0}})),
        ("/retry/backoff_ms", json!({"retry": {"backoff_ms": -5}})),
        ("/retry/more", json!({"retry": {"more": 1}})),
        ("/labels", json!({"labels": []})),
        ("/labels/a", json!({"labels": {"a": 1}})),
        ("/name", json!({"name": 5})),
        ("/run_at", json!({"run_at": "tomorrow"})),
    ];
    for (pointer, more) in only_tasks {
        let mut body = json!({"code": code});
        merge(&mut body, more.clone());
        server.post("/v1/tasks", &body).await?.expect_fault(pointer).with_context(|| more.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn all_faults_are_told_at_once() -> Result<()> {
    let server = Server::start().await?;
    let body = json!({"code": {"language": "python"}, "inputs": 1, "limits": {"timeout_ms": 0}, "colour": 1});
    let answer = server.preview(&body).await?.expect_problem(422)?;
    for pointer in ["/code/source", "/inputs", "/limits/timeout_ms", "/colour"] {
        answer.clone().expect_fault(pointer)?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_built_yet_is_not_available() -> Result<()> {
    let server = Server::start().await?;
    let kinds = [
        ("/code/language", json!({"language": "c", "source": "int main() {}"})),
        ("/code/language", json!({"language": "rust", "source": "fn main() {}"})),
        ("/code/solver", json!({"solver": "code_aster", "version": "17", "files": {}})),
    ];
    for (pointer, code) in kinds {
        for path in ["/v1/preview", "/v1/tasks"] {
            let answer = server.post(path, &json!({"code": code})).await?;
            answer.expect_fault_code(pointer, "not_available").with_context(|| code.to_string())?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_function_that_nobody_published_is_told_with_what_to_do() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("owner/package@1.2.0#name", "unknown_function", "GET /v1/packages"),
        ("owner/package#name", "unknown_function", "owner/package"),
        ("owner/package", "invalid", "owner/package@1.2.0#function"),
        ("package#name", "invalid", "names no owner"),
        ("owner/package@1.2#name", "invalid", "did you mean 1.2.0?"),
        ("", "invalid", "names no function"),
    ];
    for (function, code, words) in rows {
        for path in ["/v1/preview", "/v1/tasks"] {
            let answer = server.post(path, &json!({"code": {"function": function}})).await?;
            let fault = answer.expect_fault_code("/code/function", code).context(function)?;
            ensure!(fault["message"].to_string().contains(words), "{function}: {fault} does not say {words:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_absent_or_not_spoken_has_the_one_envelope() -> Result<()> {
    let server = Server::start().await?;
    for path in [
        "/nowhere",
        "/v1/nowhere",
        "/v1/tasks/not-an-id",
        &format!("/v1/tasks/{NOBODYS_ID}"),
        "/v1/tasks/../../etc/passwd",
    ] {
        server.get(path).await?.expect_problem(404).with_context(|| path.to_owned())?;
    }
    for path in ["result", "logs", "events", "artifacts"] {
        server.get(&format!("/v1/tasks/{NOBODYS_ID}/{path}")).await?.expect_problem(404)?;
    }
    for path in ["cancel", "retry"] {
        server.post(&format!("/v1/tasks/{NOBODYS_ID}/{path}"), &json!({})).await?.expect_problem(404)?;
    }
    server.delete(&format!("/v1/tasks/{NOBODYS_ID}")).await?.expect_problem(404)?;
    server.send(server.request(Method::PATCH, "/v1/tasks")).await?.expect_problem(405)?;
    for kind in ["text/plain", "application/xml", "application/x-www-form-urlencoded"] {
        let request = server.request(Method::POST, "/v1/preview").header("content-type", kind).body("{}");
        server.send(request).await?.expect_problem(415)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_failing_request_leaks_nothing_internal() -> Result<()> {
    let mut server = Server::start().await?;
    let data = server.data_directory().to_string_lossy().into_owned();
    let mut answers = vec![
        server.post_text("/v1/preview", "{").await?,
        server.preview(&json!({"code": {"language": "wasm", "module": "0".repeat(64)}})).await?,
        server.get("/v1/tasks?cursor=AAAA").await?,
        server.get(&format!("/v1/tasks/{NOBODYS_ID}")).await?,
        server.python("open('/no/such/file')").await?,
        server.post_module(b"\x7fELF".to_vec()).await?,
    ];
    answers.push(server.get("/v1/uploads/x").await?);
    for answer in answers {
        let text = answer.text();
        for internal in [data.as_str(), "/src/", ".rs:", "sqlx", "SELECT", "wasmtime", "panicked", "RUST_BACKTRACE"] {
            ensure!(!text.contains(internal), "{internal:?} leaks: {text}");
        }
        ensure!(answer.status < 500, "{}: {text}", answer.status);
    }
    let log = server.process().log()?;
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

#[tokio::test]
async fn times_ids_and_names_are_as_the_contract_says() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit(&python("result = 1")).await?;
    server.result(&id).await?;
    let task = server.task(&id).await?.json()?;
    let fields = [
        "id",
        "name",
        "state",
        "lane",
        "priority",
        "queue_position",
        "code",
        "created_at",
        "started_at",
        "completed_at",
        "attempt",
        "max_attempts",
        "progress",
        "seed",
        "kernels",
        "error",
        "warnings",
        "retry_of",
        "usage",
        "labels",
        "study",
        "links",
    ];
    let missing: Vec<_> = fields.iter().filter(|field| task.get(**field).is_none()).collect();
    ensure!(missing.is_empty(), "the task has no {missing:?}: {task}");
    let all_snake = |value: &Value| {
        value
            .as_object()
            .into_iter()
            .flatten()
            .all(|(key, _)| key.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || c == '_'))
    };
    ensure!(all_snake(&task), "{task}");
    let result = server.get(&format!("/v1/tasks/{id}/result")).await?.expect(200)?.json()?;
    let mut keys: Vec<_> = result.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    ensure!(
        keys.starts_with(&["error", "result", "state"])
            || ["error", "result", "state"].iter().all(|key| keys.contains(key)),
        "{keys:?}"
    );
    let preview = server.python("result = 1").await?.json()?;
    for field in
        ["state", "result", "error", "warnings", "seed", "stdout", "stderr", "stdout_truncated", "usage", "artifacts"]
    {
        ensure!(preview.get(field).is_some(), "the preview has no {field}: {preview}");
    }
    Ok(())
}
