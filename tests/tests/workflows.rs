//! The routes under `/v1/workflows` and `/v1/workflow-runs`: saving, versions, and what a run does by itself.
//! Line 36 of the list of bad inputs: a cycle, a self-edge, a fan-out of a million, another tenant's ids.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Company, Server, merge, node, node_of, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);
const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";

/// A rod: its area, its stress, and what is used of its strength.
fn rod() -> Value {
    json!({
        "name": "rod",
        "inputs": {"F": {"type": "Force", "unit": "N"}, "d": {"type": "Length", "unit": "mm"}},
        "nodes": [
            node("area", "def main(d):\n    return {'area': d * d * 0.75}", json!({"d": {"from": "inputs.d"}})),
            node("stress", "def main(F, A):\n    return {'stress': F / A}",
                 json!({"F": {"from": "inputs.F"}, "A": {"from": "area.area"}})),
        ],
        "outputs": {"stress": {"from": "stress.stress"}, "used": {"expr": "stress.stress / 400"}},
    })
}

#[tokio::test]
async fn a_workflow_is_saved_in_versions_started_and_gives_its_outputs() -> Result<()> {
    let server = Server::start().await?;
    let saved = server.post("/v1/workflows", &rod()).await?.expect(201)?;
    let id = saved.str_at("/id")?;
    ensure!(saved.at("/version")? == json!(1) && saved.at("/latest")? == json!(1), "{}", saved.text());
    ensure!(saved.header("location").is_some_and(|path| path.ends_with(&format!("/v1/workflows/{id}"))));
    ensure!(server.post("/v1/workflows", &rod()).await?.expect(200)?.at("/version")? == json!(1));

    let inputs = json!({"F": {"value": 30, "unit": "kN"}, "d": 20});
    let run = server.start_run("rod", inputs).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.str_at("/state")? == "completed", "{}", ended.text());
    ensure!(ended.at("/outputs")? == json!({"stress": 100.0, "used": 0.25}), "{}", ended.text());
    ensure!(ended.at("/inputs/F")? == json!(30000) || ended.at("/inputs/F")? == json!(30000.0), "{}", ended.text());
    for key in ["area", "stress"] {
        let node = node_of(&ended, key)?;
        ensure!(node.get("state") == Some(&json!("completed")), "{node}");
    }
    for (_, task) in server.run_tasks(&run).await? {
        ensure!(server.task(&task).await?.str_at("/run")? == run);
    }
    let listed = server.get(&format!("/v1/tasks?run={run}")).await?.expect(200)?.at("/tasks")?;
    ensure!(listed.as_array().map(Vec::len) == Some(2), "{listed}");

    let mut second = rod();
    merge(&mut second, json!({"outputs": {"stress": {"from": "stress.stress"}}}));
    ensure!(server.post("/v1/workflows", &second).await?.expect(201)?.at("/version")? == json!(2));
    let versions = server.get(&format!("/v1/workflows/{id}/versions")).await?.expect(200)?.at("/workflows")?;
    ensure!(versions.as_array().map(Vec::len) == Some(2), "{versions}");
    let first = server.get("/v1/workflows/rod/versions/1").await?.expect(200)?;
    ensure!(first.at("/definition/outputs/used/expr")? == json!("stress.stress / 400"), "{}", first.text());
    let old = server.post("/v1/workflows/rod/runs", &json!({"inputs": {"F": 300, "d": 20}, "version": 1})).await?;
    let old = server.run_ended(&old.expect(202)?.str_at("/id")?).await?;
    ensure!(old.at("/outputs/used")? == json!(0.0025), "{}", old.text());
    for path in ["/v1/workflows/rod/versions/3", "/v1/workflows/rot", "/v1/workflows/rod/versions/x"] {
        server.get(path).await?.expect_problem(404)?;
    }
    Ok(())
}

#[tokio::test]
async fn security_36_what_is_wrong_with_a_workflow_is_told_with_its_place() -> Result<()> {
    let server = Server::start().await?;
    let other = Company::on(&server, "other").await?;
    let foreign = other.upload(&server, b"x".to_vec()).await?.str_at("/upload_id")?;
    let module = "0".repeat(64);
    let one = |fields: Value| {
        let mut only = node("a", "result = 1", json!({}));
        merge(&mut only, fields);
        json!({"name": "w", "nodes": [only]})
    };
    let two = |first: Value, second: Value| {
        let nodes = [node("a", "result = 1", first), node("b", "result = 2", second)];
        json!({"name": "w", "nodes": nodes})
    };
    let wide: Vec<u32> = (0..10_001).collect();
    let rows = [
        (one(json!({"inputs": {"x": {"from": "a.result"}}})), "/nodes/0"),
        (two(json!({"x": {"from": "b.result"}}), json!({"x": {"from": "a.result"}})), "/nodes/"),
        (one(json!({"inputs": {"x": {"from": "nobody.result"}}})), "/nodes/0/inputs/x"),
        (one(json!({"inputs": {"x": {"from": "inputs.F"}}})), "/nodes/0/inputs/x"),
        (one(json!({"inputs": {"x": {"expr": "1 +"}}})), "/nodes/0/inputs/x"),
        (one(json!({"when": "1 + 'a'"})), "/nodes/0/when"),
        (one(json!({"map": {"over": wide, "as": "h"}})), "/nodes/0/map"),
        (one(json!({"map": {"over": [1], "as": "h", "width_max": 1_000_000}})), "/nodes/0/map"),
        (one(json!({"code": {"language": "python", "source": "def"}})), "/nodes/0/code/source"),
        (one(json!({"code": {"language": "wasm", "module": module}})), "/nodes/0/code/module"),
        (one(json!({"code": {"function": "a/b#c"}})), "/nodes/0/code/function"),
        (one(json!({"code": {"solver": "ansys"}})), "/nodes/0/code/solver"),
        (one(json!({"files": {"mesh.med": foreign}})), "/nodes/0/files/mesh.med"),
        (one(json!({"files": {"mesh.med": NOBODYS_ID}})), "/nodes/0/files/mesh.med"),
        (one(json!({"limits": {"timeout_ms": 0}})), "/nodes/0/limits/timeout_ms"),
        (one(json!({"tenant_id": "x"})), "/nodes/0/tenant_id"),
        (json!({"name": "w", "nodes": [{"key": "n", "workflow": NOBODYS_ID}]}), "/nodes/0/workflow"),
        (json!({"name": "w", "nodes": []}), "/nodes"),
        (json!({"nodes": [node("a", "result = 1", json!({}))]}), "/name"),
    ];
    for (definition, place) in rows {
        let answer = server.post("/v1/workflows", &definition).await?.expect_problem(422)?;
        let faults = answer.at("/errors")?.as_array().cloned().unwrap_or_default();
        let found = |fault: &Value| fault.pointer("/pointer").and_then(Value::as_str).unwrap_or("-").to_owned();
        ensure!(faults.iter().map(found).any(|pointer| pointer.starts_with(place)), "{place}: {}", answer.text());
    }
    ensure!(server.get("/v1/workflows").await?.at("/workflows")? == json!([]));
    server.post_text("/v1/workflows", "{\"name\":").await?.expect_problem(400)?;
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn a_run_is_refused_where_its_inputs_do_not_fit() -> Result<()> {
    let server = Server::start().await?;
    server.save_workflow(&rod()).await?;
    let rows = [
        (json!({"inputs": {"d": 20}}), "/inputs/F"),
        (json!({"inputs": {"F": {"value": 1, "unit": "kg"}, "d": 20}}), "/inputs/F/unit"),
        (json!({"inputs": {"F": "much", "d": 20}}), "/inputs/F"),
        (json!({"inputs": {"F": 1, "d": 2, "x": 3}}), "/inputs/x"),
        (json!({"inputs": [1]}), "/inputs"),
        (json!({"version": 7, "inputs": {"F": 1, "d": 2}}), "/version"),
        (json!({"study": NOBODYS_ID, "inputs": {"F": 1, "d": 2}}), "/study"),
        (json!({"tenant": "x"}), "/tenant"),
    ];
    for (body, pointer) in rows {
        server.post("/v1/workflows/rod/runs", &body).await?.expect_fault(pointer).with_context(|| body.to_string())?;
    }
    ensure!(server.get("/v1/workflow-runs").await?.expect(200)?.at("/runs")? == json!([]));
    server.post("/v1/workflows/nobody/runs", &json!({})).await?.expect_problem(404)?;
    Ok(())
}

#[tokio::test]
async fn a_key_starts_one_run() -> Result<()> {
    let server = Server::start().await?;
    server.save_workflow(&rod()).await?;
    let start = |body: Value| {
        let request = server.request(Method::POST, "/v1/workflows/rod/runs");
        server.send(request.header("idempotency-key", "k").json(&body))
    };
    let body = json!({"inputs": {"F": 300, "d": 20}});
    let first = start(body.clone()).await?.expect(202)?;
    let again = start(body).await?.expect(202)?;
    ensure!(first.str_at("/id")? == again.str_at("/id")?);
    ensure!(again.header("idempotency-replayed") == Some("true") && first.header("idempotency-replayed").is_none());
    start(json!({"inputs": {"F": 301, "d": 20}})).await?.expect_problem(422)?;
    Ok(())
}

#[tokio::test]
async fn another_tenant_sees_nothing_of_it() -> Result<()> {
    let server = Server::start().await?;
    let run = server.run_workflow(&rod(), json!({"F": 300, "d": 20})).await?;
    let id = server.get("/v1/workflows/rod").await?.str_at("/id")?;
    let other = Company::on(&server, "other").await?;
    let paths = [
        format!("/v1/workflows/{id}"),
        "/v1/workflows/rod".to_owned(),
        format!("/v1/workflows/{id}/versions/1"),
        format!("/v1/workflow-runs/{run}"),
        format!("/v1/workflow-runs/{run}/events"),
        format!("/v1/workflow-runs/{run}/events?format=json"),
        format!("/v1/workflow-runs/{run}/timeline"),
        format!("/v1/workflow-runs/{run}/artifacts"),
        format!("/v1/workflow-runs/{run}/nodes/area"),
    ];
    for path in &paths {
        other.get(&server, path).await?.expect_problem(404).with_context(|| path.clone())?;
    }
    for what in ["cancel", "restart"] {
        other.post(&server, &format!("/v1/workflow-runs/{run}/{what}"), &json!({})).await?.expect_problem(404)?;
    }
    let answer = json!({"approved": true});
    other.post(&server, &format!("/v1/workflow-runs/{run}/nodes/area/approve"), &answer).await?.expect_problem(404)?;
    other.send(&server, Method::DELETE, &format!("/v1/workflow-runs/{run}"), None).await?.expect_problem(404)?;
    other.send(&server, Method::DELETE, &format!("/v1/workflows/{id}"), None).await?.expect_problem(404)?;
    ensure!(other.get(&server, "/v1/workflow-runs").await?.at("/runs")? == json!([]));
    // Its own of the same name is its own.
    let own = other.post(&server, "/v1/workflows", &rod()).await?.expect(201)?;
    ensure!(own.str_at("/id")? != id && own.at("/version")? == json!(1));
    let nested = json!({"name": "outer", "nodes": [{"key": "n", "workflow": id}]});
    other.post(&server, "/v1/workflows", &nested).await?.expect_fault("/nodes/0/workflow")?;
    Ok(())
}

#[tokio::test]
async fn events_are_streamed_to_the_end_and_go_on_where_a_client_left_off() -> Result<()> {
    let server = Server::start().await?;
    let run = server.run_workflow(&rod(), json!({"F": 300, "d": 20})).await?;
    let events = server.run_events(&run, None).await?.collect_until("ended", DEADLINE).await?;
    let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
    ensure!(names.first() == Some(&"started") && names.last() == Some(&"ended"), "{names:?}");
    ensure!(names.iter().filter(|name| **name == "node_ended").count() == 2, "{names:?}");
    for (place, event) in events.iter().enumerate() {
        ensure!(event.id.as_deref() == Some(&*(place + 1).to_string()), "{event:?}");
        ensure!(event.json()?.pointer("/event") == Some(&json!(event.event)), "{event:?}");
    }
    let resumed = server.run_events(&run, Some("2")).await?.collect_until("ended", DEADLINE).await?;
    ensure!(resumed.as_slice() == events.get(2..).unwrap_or_default(), "{resumed:?}");
    // Nothing follows the last event of a run that has ended.
    let last = events.len().to_string();
    let rest = server.run_events(&run, Some(&last)).await?.next(DEADLINE).await?;
    ensure!(rest.is_none(), "{rest:?}");

    let page = server.get(&format!("/v1/workflow-runs/{run}/events?format=json&after=1")).await?.expect(200)?;
    ensure!(page.at("/done")? == json!(true) && page.at("/next_after")? == json!(events.len()), "{}", page.text());
    ensure!(page.at("/events/0/seq")? == json!(2), "{}", page.text());
    server.get(&format!("/v1/workflow-runs/{run}/events?format=xml")).await?.expect_fault("/format")?;
    let request = server.request(Method::GET, &format!("/v1/workflow-runs/{run}/events"));
    server.send(request.header("last-event-id", "x")).await?.expect_problem(400)?;
    Ok(())
}

#[tokio::test]
async fn runs_are_listed_by_what_they_are_and_deleted_with_care() -> Result<()> {
    let server = Server::start().await?;
    let id = server.save_workflow(&rod()).await?;
    let waits = json!({"name": "waits", "nodes": [{"key": "ask", "approval": {"message": "fine?"}}]});
    let done = server.start_run("rod", json!({"F": 300, "d": 20})).await?;
    server.run_ended(&done).await?;
    let open = server.run_workflow(&waits, json!({})).await?;
    for (query, expected) in [
        ("", vec![&open, &done]),
        ("?state=running", vec![&open]),
        ("?state=completed", vec![&done]),
        ("?workflow=rod", vec![&done]),
        ("?workflow=waits&state=failed", vec![]),
        ("?limit=1", vec![&open]),
    ] {
        let runs = server.get(&format!("/v1/workflow-runs{query}")).await?.expect(200)?.at("/runs")?;
        let ids: Vec<_> = runs.as_array().into_iter().flatten().filter_map(|run| run.get("id")?.as_str()).collect();
        ensure!(ids == expected, "{query}: {ids:?}");
    }
    server.get("/v1/workflow-runs?state=done").await?.expect_fault("/state")?;
    server.get("/v1/workflow-runs?workflow=nobody").await?.expect_fault("/workflow")?;
    server.delete(&format!("/v1/workflow-runs/{open}")).await?.expect_problem(409)?;
    server.delete("/v1/workflows/waits").await?.expect_problem(409)?;
    server.post(&format!("/v1/workflow-runs/{open}/cancel"), &json!({})).await?.expect(202)?;
    ensure!(server.run_ended(&open).await?.str_at("/state")? == "cancelled");
    server.delete("/v1/workflows/waits").await?.expect(204)?;
    // What is left of it is shown, without its nodes.
    ensure!(server.workflow_run(&open).await?.str_at("/state")? == "cancelled");
    server.delete(&format!("/v1/workflow-runs/{open}")).await?.expect(204)?;
    server.get(&format!("/v1/workflow-runs/{open}")).await?.expect_problem(404)?;
    ensure!(server.get(&format!("/v1/workflows/{id}")).await?.status == 200);
    Ok(())
}

#[tokio::test]
async fn a_thousand_elements_are_spread_and_gathered() -> Result<()> {
    let server = Server::start().await?;
    let mut square = node("square", "def main(x):\n    return {'y': x * x}", json!({"x": {"from": "x"}}));
    merge(&mut square, json!({"map": {"over": "spread.values", "as": "x"}}));
    let definition = json!({
        "name": "spread",
        "nodes": [
            node("spread", "def main():\n    return {'values': list(range(1000))}", json!({})),
            square,
            node("gather", "def main(ys):\n    return {'sum': sum(ys)}", json!({"ys": {"from": "square.y"}})),
        ],
        "outputs": {"sum": {"from": "gather.sum"}, "last": {"from": "square[999].y"}},
    });
    let run = server.run_workflow(&definition, json!({})).await?;
    let ended = server.run_ended(&run).await?;
    ensure!(ended.at("/outputs")? == json!({"sum": 332_833_500, "last": 998_001}), "{}", ended.text());
    ensure!(node_of(&ended, "square")?.get("width") == Some(&json!(1000)), "{}", ended.text());
    let page = server.get(&format!("/v1/workflow-runs/{run}/nodes/square?from=990&limit=5")).await?.expect(200)?;
    let indexes: Vec<_> = page
        .at("/instances")?
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one.get("index").cloned().unwrap_or_default())
        .collect();
    ensure!(indexes == [990, 991, 992, 993, 994].map(|index| json!(index)), "{}", page.text());
    server.get(&format!("/v1/workflow-runs/{run}/nodes/nobody")).await?.expect_problem(404)?;
    let tasks = server.run_tasks(&run).await?;
    ensure!(tasks.len() == 1002, "{} tasks", tasks.len());
    until("all tasks are counted out", DEADLINE, || async {
        let queued = server.get("/v1/tasks?state=queued").await?.at("/tasks")?;
        Ok((queued == json!([])).then_some(()))
    })
    .await
}
