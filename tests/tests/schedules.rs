//! The routes under `/v1/schedules`. That times fire by themselves is tested in `schedule_firings.rs`.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Company, Server, merge, node, python};
use reqwest::Method;
use serde_json::{Value, json};

const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";

fn yearly(task: Value) -> Value {
    json!({"name": "yearly", "cron": "0 12 1 1 *", "task": task})
}

async fn made(server: &Server, body: &Value) -> Result<String> {
    server.post("/v1/schedules", body).await?.expect(201)?.str_at("/id")
}

async fn change(server: &Server, id: &str, body: Value) -> Result<Answer> {
    server.send(server.request(Method::PATCH, &format!("/v1/schedules/{id}")).json(&body)).await
}

/// The firings of a schedule, newest first.
async fn firings(server: &Server, id: &str) -> Result<Vec<Value>> {
    let shown = server.get(&format!("/v1/schedules/{id}/firings")).await?.expect(200)?.at("/firings")?;
    shown.as_array().cloned().context("no list")
}

#[tokio::test]
async fn a_schedule_is_shown_with_its_next_times_paused_and_deleted() -> Result<()> {
    let server = Server::start().await?;
    let mut body = yearly(python("result = 1"));
    merge(&mut body, json!({"timezone": "Europe/Paris", "missed": "run_once", "overlap": "queue"}));
    let made = server.post("/v1/schedules", &body).await?.expect(201)?;
    let id = made.str_at("/id")?;
    ensure!(made.header("location") == Some(&*format!("/v1/schedules/{id}")), "{:?}", made.header("location"));
    for field in ["name", "cron", "timezone", "task", "missed", "overlap"] {
        ensure!(made.at(&format!("/{field}"))? == body[field], "{field}: {}", made.text());
    }
    let next = made.at("/next")?;
    let next: Vec<_> = next.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(
        next.len() == 5 && next.is_sorted() && next.iter().all(|time| time.ends_with("-01-01T11:00:00.000Z")),
        "{next:?}"
    );
    let listed = server.get("/v1/schedules").await?.expect(200)?.at("/schedules/0")?;
    ensure!(
        listed["id"] == json!(id) && listed.get("task").is_none() && listed["next"] == made.at("/next")?,
        "{listed}"
    );

    let paused = change(&server, &id, json!({"paused": true, "cron": "@hourly"})).await?.expect(200)?;
    ensure!(paused.at("/next")? == json!([]) && paused.at("/paused")? == json!(true), "{}", paused.text());
    let goes_on = change(&server, &id, json!({"paused": false, "timezone": "Asia/Kolkata"})).await?.expect(200)?;
    let first = goes_on.str_at("/next/0")?;
    ensure!(first.ends_with(":30:00.000Z"), "{first}");
    ensure!(goes_on.str_at("/name")? == "yearly" && goes_on.str_at("/overlap")? == "queue", "{}", goes_on.text());

    server.delete(&format!("/v1/schedules/{id}")).await?.expect(204)?;
    for path in ["", "/firings"] {
        server.get(&format!("/v1/schedules/{id}{path}")).await?.expect_problem(404)?;
    }
    server.post(&format!("/v1/schedules/{id}/run"), &json!({})).await?.expect_problem(404)?;
    Ok(())
}

#[tokio::test]
async fn a_schedule_fires_when_somebody_asks_with_the_request_as_it_was_written() -> Result<()> {
    let server = Server::start().await?;
    let mut task = python("def main(F):\n    return {'F': F}");
    merge(&mut task, json!({"inputs": {"F": 1.10}, "labels": {"project": "A320"}, "name": "nightly"}));
    let mut body = yearly(task);
    merge(&mut body, json!({"paused": true}));
    let id = made(&server, &body).await?;
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let started = server.post(&format!("/v1/schedules/{id}/run"), &json!({})).await?.expect(202)?;
        ensure!(started.at("/workflow_run")?.is_null(), "{}", started.text());
        tasks.push(started.str_at("/task")?);
    }
    for task in &tasks {
        server.result(task).await?.expect_result(&json!({"F": 1.10}))?;
        let labels = server.task(task).await?.at("/labels")?;
        ensure!(labels == json!({"project": "A320", "schedule": id}), "{labels}");
    }
    tasks.reverse();
    let firings = firings(&server, &id).await?;
    let fired: Vec<_> = firings.iter().filter_map(|firing| firing["task"].as_str()).collect();
    ensure!(fired == tasks, "{firings:?}");
    ensure!(firings.iter().all(|firing| firing["note"].as_str().is_some_and(|note| note.contains("asked for by"))));
    let shown = server.get(&format!("/v1/schedules/{id}")).await?.expect(200)?;
    ensure!(shown.at("/last_task")? == json!(tasks[0]) && shown.at("/busy")? == json!(false), "{}", shown.text());
    Ok(())
}

#[tokio::test]
async fn a_workflow_is_started_in_the_version_of_the_moment_or_the_one_that_is_named() -> Result<()> {
    let server = Server::start().await?;
    let workflow = |factor: u32| {
        json!({
            "name": "rod", "inputs": {"F": {"type": "Force", "unit": "N"}},
            "nodes": [node("a", &format!("def main(F):\n    return {{'y': F * {factor}}}"), json!({"F": {"from": "inputs.F"}}))],
            "outputs": {"y": {"from": "a.y"}},
        })
    };
    server.save_workflow(&workflow(2)).await?;
    let inputs = json!({"F": {"value": 1, "unit": "kN"}});
    let newest = made(&server, &json!({"cron": "@yearly", "workflow": {"id": "rod", "inputs": inputs}})).await?;
    let first = json!({"id": "rod", "inputs": inputs, "version": 1, "labels": {"case": "A"}});
    let first = made(&server, &json!({"cron": "@yearly", "workflow": first})).await?;
    server.save_workflow(&workflow(3)).await?;
    for (id, expected) in [(&newest, 3000.0), (&first, 2000.0)] {
        let run =
            server.post(&format!("/v1/schedules/{id}/run"), &json!({})).await?.expect(202)?.str_at("/workflow_run")?;
        let ended = server.run_ended(&run).await?;
        ensure!(ended.at("/outputs/y")?.as_f64() == Some(expected), "{}", ended.text());
        ensure!(ended.at("/labels/schedule")? == json!(id), "{}", ended.text());
    }
    let workflow = |more: Value| {
        let mut workflow = json!({"id": "rod", "inputs": inputs});
        merge(&mut workflow, more);
        json!({"cron": "@yearly", "workflow": workflow})
    };
    for (more, pointer, code) in [
        (json!({"id": "rot"}), "/workflow/id", "unknown_workflow"),
        (json!({"id": 7}), "/workflow/id", "wrong_type"),
        (json!({"version": 3}), "/workflow/version", "unknown_version"),
        (json!({"study": NOBODYS_ID}), "/workflow/study", "unknown_study"),
        (json!({"key": 1}), "/workflow/key", "unknown_field"),
    ] {
        server.post("/v1/schedules", &workflow(more)).await?.expect_fault_code(pointer, code)?;
    }
    server.post("/v1/schedules", &workflow(json!({"inputs": {"F": "x"}}))).await?.expect_fault("/workflow/inputs/F")?;
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_schedule_is_told_with_its_place() -> Result<()> {
    let server = Server::start().await?;
    let good = yearly(python("result = 1"));
    let rows = [
        (json!({"cron": "0 0 30 2 *"}), "/cron", "never"),
        (json!({"cron": "*/10 * * * * *"}), "/cron", "invalid_cron"),
        (json!({"cron": "every day"}), "/cron", "invalid_cron"),
        (json!({"cron": "61 * * * *"}), "/cron", "invalid_cron"),
        (json!({"timezone": "Europe/Atlantis"}), "/timezone", "unknown_timezone"),
        (json!({"missed": "all"}), "/missed", "unknown_value"),
        (json!({"overlap": "kill"}), "/overlap", "unknown_value"),
        (json!({"paused": 1}), "/paused", "wrong_type"),
        (json!({"next_ms": 0}), "/next_ms", "unknown_field"),
        (json!({"task": "x"}), "/task", "wrong_type"),
        (json!({"task": {}}), "/task/code", "required"),
        (json!({"workflow": {"id": "x"}}), "/workflow", "conflict"),
    ];
    for (more, pointer, code) in rows {
        let mut body = good.clone();
        merge(&mut body, more.clone());
        server
            .post("/v1/schedules", &body)
            .await?
            .expect_fault_code(pointer, code)
            .with_context(|| more.to_string())?;
    }
    let tasks = [
        (json!({"code": {"language": "python", "source": "def main(:"}}), "/task/code/source"),
        (json!({"run_at": "2030-01-01T00:00:00Z"}), "/task/run_at"),
        (json!({"files": {"a.csv": NOBODYS_ID}}), "/task/files/a.csv"),
        (json!({"limits": {"timeout_ms": 0}}), "/task/limits/timeout_ms"),
        (json!({"name": "x".repeat(300_000)}), "/task"),
    ];
    for (more, pointer) in tasks {
        let mut task = python("result = 1");
        merge(&mut task, more);
        server.post("/v1/schedules", &yearly(task)).await?.expect_fault(pointer).context(pointer)?;
    }
    server.post("/v1/schedules", &json!({})).await?.expect_fault_code("/cron", "required")?;
    server.post("/v1/schedules", &json!({"cron": "@daily"})).await?.expect_fault_code("/task", "required")?;
    let id = made(&server, &good).await?;
    change(&server, &id, json!({"cron": "0 0 31 4 *"})).await?.expect_fault_code("/cron", "never")?;
    change(&server, &id, json!({"task": {"inputs": {}}})).await?.expect_fault("/task/code")?;
    ensure!(server.get(&format!("/v1/schedules/{id}")).await?.str_at("/cron")? == "0 12 1 1 *");
    ensure!(firings(&server, &id).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_not_accepted_any_more_starts_nothing() -> Result<()> {
    let server = Server::start().await?;
    let upload = server.upload("a.csv", b"1".to_vec()).await?;
    let mut task = python("result = open('/work/in/a.csv').read()");
    merge(&mut task, json!({"files": {"a.csv": upload}}));
    let id = made(&server, &yearly(task)).await?;
    let run = format!("/v1/schedules/{id}/run");
    let fired = server.post(&run, &json!({})).await?.expect(202)?.str_at("/task")?;
    server.result(&fired).await?.expect_result(&json!({"result": "1"}))?;
    server.delete(&format!("/v1/tasks/{fired}")).await?.expect(204)?;
    server.delete(&format!("/v1/uploads/{upload}")).await?.expect(204)?;
    server.post(&run, &json!({})).await?.expect_fault_code("/task/files/a.csv", "unknown_upload")?;
    ensure!(firings(&server, &id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn another_tenants_schedules_and_workflows_are_as_absent() -> Result<()> {
    let server = Server::start().await?;
    let other = Company::on(&server, "other").await?;
    let id = made(&server, &yearly(python("result = 1"))).await?;
    for path in ["", "/firings"] {
        other.get(&server, &format!("/v1/schedules/{id}{path}")).await?.expect_problem(404)?;
    }
    other.post(&server, &format!("/v1/schedules/{id}/run"), &json!({})).await?.expect_problem(404)?;
    for method in [Method::PATCH, Method::DELETE] {
        let body = (method == Method::PATCH).then(|| json!({"paused": true}));
        other.send(&server, method, &format!("/v1/schedules/{id}"), body.as_ref()).await?.expect_problem(404)?;
    }
    ensure!(other.get(&server, "/v1/schedules").await?.at("/schedules")? == json!([]));
    server.save_workflow(&json!({"name": "ours", "nodes": [node("a", "result = 1", json!({}))]})).await?;
    let theirs = json!({"cron": "@daily", "workflow": {"id": "ours"}});
    other.post(&server, "/v1/schedules", &theirs).await?.expect_fault_code("/workflow/id", "unknown_workflow")?;
    ensure!(server.get(&format!("/v1/schedules/{id}")).await?.at("/paused")? == json!(false));
    Ok(())
}
