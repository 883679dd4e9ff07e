//! The routes under `/v1/batches`: sweeps and explicit items, errors of items, formats, statistics, pictures, events.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Company, EventStream, Server, fixture_path, merge, python, until, zip_of_folder};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, time::Duration};

const EVENT_DEADLINE: Duration = Duration::from_secs(30);
/// Fails where `x` is 3, 13, 23, …
const SOME_FAIL: &str =
    "def main(x):\n    if x % 10 == 3:\n        raise ValueError(f'no {x}')\n    return {'y': x * 2}";
const SLOW: &str = "import time\ndef main(x):\n    time.sleep(0.3)\n    return {'y': x}";

fn batch(source: &str, more: Value) -> Value {
    let mut body = python(source);
    merge(&mut body, more);
    body
}

/// Explicit items `x` = 0, 1, 2, …
fn numbers(count: u32) -> Value {
    (0..count).map(|x| json!({"inputs": {"x": x}})).collect()
}

fn inputs_of(items: &[Value]) -> Vec<&Value> {
    items.iter().map(|item| &item["inputs"]).collect()
}

#[tokio::test]
async fn a_sweep_of_each_kind_makes_the_items_that_were_meant() -> Result<()> {
    let server = Server::start().await?;
    let echo = "def main(**inputs):\n    return inputs";
    let rows = [
        (
            // Names in their order, because a value of `json!` is written in it.
            json!({"sweep": {"d": [8, 10], "force": {"from": 0, "to": 1, "count": 3}}, "inputs": {"s": "8.8"}}),
            json!([
                {"d": 8, "force": 0.0, "s": "8.8"}, {"d": 8, "force": 0.5, "s": "8.8"}, {"d": 8, "force": 1.0, "s": "8.8"},
                {"d": 10, "force": 0.0, "s": "8.8"}, {"d": 10, "force": 0.5, "s": "8.8"}, {"d": 10, "force": 1.0, "s": "8.8"},
            ]),
        ),
        (
            json!({"mode": "zip", "sweep": {"a": ["x", {"y": [1]}], "n": {"from": 1, "to": 2, "step": 1}}}),
            json!([{"a": "x", "n": 1}, {"a": {"y": [1]}, "n": 2}]),
        ),
        (
            json!({"sweep": {"E": {"from": 1, "to": 1000, "count": 4, "scale": "log"}}}),
            json!([{"E": 1.0}, {"E": 10.0}, {"E": 100.0}, {"E": 1000.0}]),
        ),
        (
            json!({"sweep": {"h": {"from": 0, "to": 0.3, "step": 0.1}}}),
            json!([{"h": 0.0}, {"h": 0.1}, {"h": 0.2}, {"h": 0.3}]),
        ),
    ];
    for (sweep, expected) in rows {
        let items = server.batch_items(&batch(echo, sweep.clone())).await?;
        ensure!(json!(inputs_of(&items)) == expected, "{sweep}: {items:?}");
        for item in &items {
            ensure!(item["result"] == item["inputs"] && item["state"] == json!("completed"), "{item}");
            ensure!(item["error"].is_null() && item["usage"]["fuel"].as_u64() > Some(0), "{item}");
        }
    }
    for mode in ["random", "lhs"] {
        let sweep = json!({"mode": mode, "samples": 20, "seed": 11,
            "sweep": {"Rm": {"random": {"distribution": "normal", "mean": 235, "std": 10}}, "n": [1, 2]}});
        let first = server.batch_items(&batch(echo, sweep.clone())).await?;
        let again = server.batch_items(&batch(echo, sweep)).await?;
        ensure!(inputs_of(&first) == inputs_of(&again), "{mode}: other draws by the same seed");
        let different: BTreeSet<_> = first.iter().map(|item| item["inputs"]["Rm"].to_string()).collect();
        ensure!(first.len() == 20 && different.len() == 20, "{mode}: {different:?}");
        ensure!(first.iter().all(|item| item["inputs"]["Rm"].as_f64().is_some_and(|rm| (135.0..335.0).contains(&rm))));
    }
    Ok(())
}

#[tokio::test]
async fn explicit_items_run_in_either_isolation_and_errors_are_their_own() -> Result<()> {
    let server = Server::start().await?;
    for isolation in ["item", "batch"] {
        let mut body =
            batch(SOME_FAIL, json!({"items": numbers(150), "isolation": isolation, "seed": 5, "name": "mixed"}));
        merge(&mut body, json!({"labels": {"project": "A320"}, "priority": 7, "lane": "default"}));
        let accepted = server.post("/v1/batches", &body).await?.expect(202)?;
        let id = accepted.str_at("/id")?;
        ensure!(accepted.at("/total")? == json!(150), "{}", accepted.text());
        let location = accepted.header("location").unwrap_or_default();
        ensure!(location == format!("/v1/batches/{id}"), "Location: {location}");
        let ended = server.ended_batch(&id).await?;
        for (pointer, expected) in [
            ("/state", json!("completed")),
            ("/completed", json!(135)),
            ("/failed", json!(15)),
            ("/cancelled", json!(0)),
            ("/queued", json!(0)),
            ("/running", json!(0)),
            ("/progress/fraction", json!(1.0)),
            ("/isolation", json!(isolation)),
            ("/labels", json!({"project": "A320"})),
            ("/priority", json!(7)),
            ("/seed", json!(5)),
        ] {
            ensure!(ended.at(pointer)? == expected, "{pointer}: {}", ended.text());
        }
        let items = server.items(&id, 40, "").await?;
        ensure!(items.len() == 150, "{} items", items.len());
        for (index, item) in items.iter().enumerate() {
            ensure!(item["inputs"] == json!({"x": index}) && item["seed"] == json!(index + 5), "{item}");
            if index % 10 == 3 {
                ensure!(item["state"] == json!("failed") && item["result"].is_null(), "{item}");
                ensure!(item["error"]["kind"] == json!("exception"), "{item}");
                ensure!(item["error"]["message"].as_str().is_some_and(|text| text.contains(&format!("no {index}"))));
                ensure!(item["error"]["line"] == json!(3), "{item}");
            } else {
                ensure!(item["result"] == json!({"y": index * 2}), "{item}");
            }
        }
        let failed = server.items(&id, 4, "&only=failed").await?;
        let indexes: Vec<_> = failed.iter().filter_map(|item| item["index"].as_u64()).collect();
        ensure!(indexes == (0..15).map(|n| n * 10 + 3).collect::<Vec<_>>(), "{indexes:?}");
    }
    let tasks = server.get("/v1/tasks").await?.at("/tasks")?;
    ensure!(tasks == json!([]), "what carries a batch out is listed: {tasks}");
    Ok(())
}

/// security_36: one bad item, or a sweep without measure, is a 422 with its pointer, and nothing is accepted.
#[tokio::test]
async fn security_36_bad_batches_are_refused_where_they_are_bad() -> Result<()> {
    let server = Server::start().await?;
    let one = json!([{"inputs": {"x": 1}}]);
    let count = json!({"from": 0, "to": 1, "count": 1000});
    let rows = [
        (json!({"items": [{"inputs": {"x": 1}}, {"inputs": [1]}]}), "/items/1/inputs", "wrong_type"),
        (json!({"items": [{"inputs": {}}, {"input": {}}]}), "/items/1/input", "unknown_field"),
        (json!({"items": []}), "/items", "required"),
        (json!({}), "/items", "required"),
        (json!({"items": one, "sweep": {"x": [1]}}), "/sweep", "conflict"),
        (json!({"sweep": {"F": {"from": 0, "to": 1, "count": 1}}}), "/sweep/F/count", "out_of_range"),
        (json!({"sweep": {"F": {"from": 0, "to": 1, "step": -1}}}), "/sweep/F/step", "out_of_range"),
        (json!({"sweep": {"a": count, "b": count, "c": count}}), "/sweep", "too_many"),
        (json!({"mode": "zip", "sweep": {"a": [1, 2], "b": [1]}}), "/sweep/b", "unequal_lengths"),
        (json!({"sweep": {"a": [1]}, "inputs": {"a": 1}}), "/inputs/a", "conflict"),
        (json!({"items": one, "lane": "high_priority"}), "/lane", "not_applicable"),
        (json!({"items": one, "code": {"solver": "calculix"}}), "/code/solver", "not_available"),
        (json!({"items": one, "code": {"function": "default/none@1.0.0#f"}}), "/code/function", "unknown_function"),
        (
            json!({"items": one, "code": {"language": "wasm", "module": "0".repeat(64)}}),
            "/code/module",
            "unknown_module",
        ),
        (
            json!({"items": one, "files": {"a.csv": "01890a5d-ac96-774b-bcce-b302099a8057"}}),
            "/files/a.csv",
            "unknown_upload",
        ),
    ];
    for (more, pointer, code) in rows {
        let answer = server.post("/v1/batches", &batch(SOME_FAIL, more.clone())).await?;
        answer.expect_fault_code(pointer, code).with_context(|| more.to_string())?;
    }
    let huge =
        server.post("/v1/batches", &batch(SOME_FAIL, json!({"sweep": {"a": count, "b": count, "c": count}}))).await?;
    let message = huge.expect_fault("/sweep")?["message"].to_string();
    ensure!(message.contains("1000 × 1000 × 1000 = 1000000000"), "{message}");
    ensure!(server.get("/v1/batches").await?.at("/batches")? == json!([]), "a bad batch was accepted");
    let body = json!({"items": [{"inputs": {"x": 1}}, {"inputs": [1]}], "invalid_items": "record"});
    let items = server.batch_items(&batch(SOME_FAIL, body)).await?;
    ensure!(items[0]["state"] == json!("completed") && items[1]["state"] == json!("failed"), "{items:?}");
    Ok(())
}

#[tokio::test]
async fn a_hundred_thousand_items_are_accepted_in_one_request() -> Result<()> {
    let server = Server::start().await?;
    let item = r#"{"inputs":{"x":1.5}}"#;
    let text = |count: usize| {
        let items = vec![item; count].join(",");
        format!(r#"{{"code":{{"language":"python","source":"result = 1"}},"items":[{items}]}}"#)
    };
    let accepted = server.post_text("/v1/batches", text(100_000)).await?.expect(202)?;
    ensure!(accepted.at("/total")? == json!(100_000), "{}", accepted.text());
    let id = accepted.str_at("/id")?;
    server.post(&format!("/v1/batches/{id}/cancel"), &json!({})).await?.expect(202)?;
    let ended = server.ended_batch(&id).await?;
    ensure!(ended.str_at("/state")? == "cancelled", "{}", ended.text());
    server.post_text("/v1/batches", text(100_001)).await?.expect_fault_code("/items", "too_many")?;
    Ok(())
}

#[tokio::test]
async fn the_first_error_stops_a_batch_that_was_to_stop() -> Result<()> {
    let server = Server::start().await?;
    let body = batch(SOME_FAIL, json!({"items": numbers(2_000), "on_error": "stop"}));
    let id = server.submit_batch(&body).await?;
    let ended = server.ended_batch(&id).await?;
    ensure!(ended.str_at("/state")? == "failed", "{}", ended.text());
    let (failed, cancelled) = (ended.f64_at("/failed")?, ended.f64_at("/cancelled")?);
    ensure!(failed >= 1.0 && cancelled > 0.0, "{}", ended.text());
    ensure!(ended.f64_at("/completed")? + failed + cancelled == 2_000.0, "{}", ended.text());
    let items = server.items(&id, 1_000, "").await?;
    let undone = items.iter().filter(|item| item["state"] == json!("cancelled")).count();
    ensure!(undone as f64 == cancelled, "{undone} items are cancelled, and {cancelled} counted");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_batch_keeps_what_had_ended() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit_batch(&batch(SLOW, json!({"items": numbers(400)}))).await?;
    until("some items have ended", EVENT_DEADLINE, || async {
        Ok((server.batch(&id).await?.f64_at("/completed")? >= 2.0).then_some(()))
    })
    .await?;
    let running = server.items(&id, 1_000, "").await?;
    let states: BTreeSet<_> = running.iter().filter_map(|item| item["state"].as_str()).collect();
    ensure!(running.len() == 400 && states.contains("queued") && states.contains("running"), "{states:?}");
    server.delete(&format!("/v1/batches/{id}")).await?.expect_problem(409)?;
    server.post(&format!("/v1/batches/{id}/retry"), &json!({})).await?.expect_problem(409)?;
    server.post(&format!("/v1/batches/{id}/cancel"), &json!({})).await?.expect(202)?;
    let ended = server.ended_batch(&id).await?;
    ensure!(ended.str_at("/state")? == "cancelled" && ended.f64_at("/completed")? >= 2.0, "{}", ended.text());
    ensure!(ended.f64_at("/completed")? + ended.f64_at("/cancelled")? == 400.0, "{}", ended.text());
    server.post(&format!("/v1/batches/{id}/cancel"), &json!({})).await?.expect(202)?;
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn only_what_failed_runs_again_and_points_to_its_newest_task() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit_batch(&batch(SOME_FAIL, json!({"items": numbers(100)}))).await?;
    server.ended_batch(&id).await?;
    let before = server.items(&id, 1_000, "").await?;
    let again = server.post(&format!("/v1/batches/{id}/retry"), &json!({})).await?.expect(202)?;
    ensure!(again.at("/completed")? == json!(90), "{}", again.text());
    let ended = server.ended_batch(&id).await?;
    ensure!(ended.at("/completed")? == json!(90) && ended.at("/failed")? == json!(10), "{}", ended.text());
    let after = server.items(&id, 1_000, "").await?;
    for (before, after) in before.iter().zip(&after) {
        let has_failed = before["state"] == json!("failed");
        ensure!((before["task"] != after["task"]) == has_failed, "{before} and {after}");
        ensure!(before["state"] == after["state"] && before["seed"] == after["seed"], "{before} and {after}");
    }
    let fine = server.submit_batch(&batch("result = 1", json!({"sweep": {"x": [1]}}))).await?;
    server.ended_batch(&fine).await?;
    server.post(&format!("/v1/batches/{fine}/retry"), &json!({})).await?.expect_problem(409)?;
    Ok(())
}

#[tokio::test]
async fn a_summary_has_the_numbers_by_hand() -> Result<()> {
    let server = Server::start().await?;
    let source = "def main(x):\n    if x == 0:\n        raise ValueError('zero')\n    return {'s': x, 'text': 'a', 'deep': {'n': -x}}";
    let body = batch(source, json!({"sweep": {"x": [2, 4, 4, 4, 5, 5, 7, 9, 0]}}));
    let id = server.submit_batch(&body).await?;
    server.ended_batch(&id).await?;
    let summary = server.get(&format!("/v1/batches/{id}/summary")).await?.expect(200)?;
    for (pointer, expected) in [
        ("/count", json!(8)),
        ("/failed", json!(1)),
        ("/fields/0/field", json!("result.s")),
        ("/fields/0/count", json!(8)),
        ("/fields/0/min", json!(2.0)),
        ("/fields/0/max", json!(9.0)),
        ("/fields/0/mean", json!(5.0)),
        ("/fields/0/p50", json!(4.5)),
        ("/fields/0/min_index", json!(0)),
        ("/fields/0/max_index", json!(7)),
        ("/fields/1/field", json!("result.deep.n")),
        ("/fields/1/min_index", json!(7)),
        ("/left_out", json!([])),
    ] {
        ensure!(summary.at(pointer)? == expected, "{pointer}: {}", summary.text());
    }
    // The squared distances from 5 are 9, 1, 1, 1, 0, 0, 4 and 16.
    let near = |pointer: &str, expected: f64| -> Result<()> {
        let found = summary.f64_at(pointer)?;
        ensure!((found - expected).abs() < 1e-12, "{pointer}: {found} instead of {expected}");
        Ok(())
    };
    near("/fields/0/std", (32.0_f64 / 7.0).sqrt())?;
    near("/fields/0/p05", 2.7)?;
    near("/fields/0/p95", 8.3)?;
    Ok(())
}

#[tokio::test]
async fn progress_is_told_to_the_end() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit_batch(&batch(SLOW, json!({"items": numbers(20)}))).await?;
    let path = format!("/v1/batches/{id}/events");
    let mut stream = EventStream::of(server.request(Method::GET, &path).send().await?)?;
    let events = stream.collect_until("done", EVENT_DEADLINE).await?;
    let ended =
        events.iter().map(|event| Ok(event.json()?["completed"].as_u64().unwrap_or(0))).collect::<Result<Vec<_>>>()?;
    ensure!(ended.is_sorted() && ended.last() == Some(&20), "{ended:?}");
    let ids: Vec<u64> = events.iter().filter_map(|event| event.id.as_deref()?.parse().ok()).collect();
    ensure!(ids.len() == events.len() && ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let last = events.last().context("no event")?.json()?;
    ensure!(last["state"] == json!("completed") && last["fraction"] == json!(1.0), "{last}");
    ensure!(stream.next(EVENT_DEADLINE).await?.is_none(), "the stream goes on after its end");
    // Whoever comes later sees the end, and whoever saw it sees no more.
    let mut later = EventStream::of(server.request(Method::GET, &path).send().await?)?;
    ensure!(later.collect_until("done", EVENT_DEADLINE).await?.len() == 1);
    let seen = ids.last().context("no id")?.to_string();
    let request = server.request(Method::GET, &path).header("last-event-id", seen);
    ensure!(EventStream::of(request.send().await?)?.next(EVENT_DEADLINE).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn the_bolted_joint_is_swept_checked_by_its_ports_and_drawn() -> Result<()> {
    let server = Server::start().await?;
    server.publish(zip_of_folder(&fixture_path("packages/bolted-joint")?)?, "").await?.expect(201)?;
    let mut body: Value = serde_json::from_slice(&fs::read(fixture_path("batches/bolted_joint.json")?)?)?;
    let id = server.submit_batch(&body).await?;
    let ended = server.ended_batch(&id).await?;
    ensure!(ended.at("/completed")? == json!(33), "{}", ended.text());
    ensure!(ended.str_at("/code/function")? == "default/bolted-joint@1.2.0#verify", "{}", ended.text());
    let items = server.items(&id, 1_000, "").await?;
    let rows = [
        ("M10", 30, 1877.1923512697758),
        ("M12", 30, 9786.397062249476),
        ("M12", 80, 11144.665097820118),
        ("M16", 80, 33823.09714520472),
    ];
    for (size, length, expected) in rows {
        let of =
            |item: &&Value| item["inputs"]["size"] == json!(size) && item["inputs"]["clamp_length"] == json!(length);
        let item = items.iter().find(of).with_context(|| format!("no {size} of {length}"))?;
        let found = item["result"]["residual_clamp_load"].as_f64().unwrap_or(f64::NAN);
        ensure!((found - expected).abs() <= 1e-9 * expected, "{size} {length}: {found} instead of {expected}");
    }
    let safe: Vec<_> = items.iter().filter(|item| item["result"]["is_safe"] == json!(true)).collect();
    ensure!(safe.len() == 22 && safe.iter().all(|item| item["inputs"]["size"] != json!("M10")), "{}", safe.len());

    let plot = |query: &str| format!("/v1/batches/{id}/plot?{query}");
    let query = "x=inputs.clamp_length&y=result.residual_clamp_load&group=inputs.size";
    let png = server.get(&plot(query)).await?.expect(200)?;
    ensure!(png.header("content-type") == Some("image/png") && png.bytes.starts_with(b"\x89PNG\r\n"), "no PNG");
    let svg = server.get(&plot(&format!("{query}&format=svg"))).await?.expect(200)?;
    ensure!(svg.header("content-type") == Some("image/svg+xml") && svg.text().contains("<svg"), "no SVG");
    let fault =
        server.get(&plot("x=inputs.length&y=result.torque")).await?.expect_fault_code("/x", "unknown_column")?;
    ensure!(fault["message"].as_str().is_some_and(|text| text.contains("inputs.clamp_length")), "{fault}");
    server.get(&plot("x=inputs.size&y=result.torque")).await?.expect_fault_code("/x", "wrong_type")?;
    server.get(&plot("y=result.torque")).await?.expect_fault_code("/x", "required")?;

    // A value that no port takes is pointed at where it stands, and told once.
    merge(&mut body["sweep"], json!({"clamp_length": [30, -5]}));
    let refused = server.post("/v1/batches", &body).await?.expect_problem(422)?;
    ensure!(refused.str_at("/errors/0/pointer")? == "/sweep/clamp_length", "{}", refused.text());
    ensure!(refused.at("/errors")?.as_array().map(Vec::len) == Some(1), "{}", refused.text());
    merge(&mut body, json!({"invalid_items": "record"}));
    let items = server.batch_items(&body).await?;
    let kinds: Vec<_> = items.iter().map(|item| item["error"]["kind"].as_str()).collect();
    ensure!(
        kinds == [None, None, None, Some("invalid_input"), Some("invalid_input"), Some("invalid_input")],
        "{kinds:?}: the clamp length, whose name is first, varies slowest"
    );
    let code = json!({"function": "default/bolted-joint#preload"});
    let items = json!([{"inputs": {"size": "M12", "strength_class": "8.8"}}, {"inputs": {"size": "M11", "strength_class": "8.8"}}]);
    server.post("/v1/batches", &json!({"code": code, "items": items})).await?.expect_fault("/items/1/inputs/size")?;
    Ok(())
}

#[tokio::test]
async fn another_tenants_batch_is_as_absent() -> Result<()> {
    let server = Server::start().await?;
    let other = Company::on(&server, "other").await?;
    let id = server.submit_batch(&batch("result = 1", json!({"sweep": {"x": [1, 2]}}))).await?;
    server.ended_batch(&id).await?;
    for path in ["", "/results", "/results?format=csv", "/summary", "/plot?x=inputs.x&y=inputs.x", "/events"] {
        other.get(&server, &format!("/v1/batches/{id}{path}")).await?.expect_problem(404)?;
    }
    for path in ["/cancel", "/retry"] {
        other.post(&server, &format!("/v1/batches/{id}{path}"), &json!({})).await?.expect_problem(404)?;
    }
    other.send(&server, Method::DELETE, &format!("/v1/batches/{id}"), None).await?.expect_problem(404)?;
    ensure!(other.get(&server, "/v1/batches").await?.at("/batches")? == json!([]));
    Ok(())
}

#[tokio::test]
async fn batches_are_listed_paged_replayed_and_deleted() -> Result<()> {
    let server = Server::start().await?;
    let mut ids = BTreeSet::new();
    for index in 0..3 {
        let body = batch("result = 1", json!({"sweep": {"x": [1, 2]}, "name": format!("batch {index}")}));
        let key = format!("key-{index}");
        let send = || server.request(Method::POST, "/v1/batches").header("idempotency-key", &key);
        let first = server.send(send().json(&body)).await?.expect(202)?;
        let again = server.send(send().json(&body)).await?.expect(202)?;
        ensure!(again.str_at("/id")? == first.str_at("/id")?, "two batches under one key");
        ensure!(again.header("idempotency-replayed") == Some("true"));
        server.send(send().json(&batch("result = 2", json!({"sweep": {"x": [1]}})))).await?.expect_problem(422)?;
        ids.insert(first.str_at("/id")?);
    }
    for id in &ids {
        server.ended_batch(id).await?;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/v1/batches?limit=2&state=completed&cursor={cursor}")).await?.expect(200)?;
        let found = page.at("/batches")?.as_array().cloned().context("no list")?;
        seen.extend(found.iter().filter_map(|batch| batch["id"].as_str().map(str::to_owned)));
        match page.at("/next_cursor")?.as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    ensure!(seen.iter().cloned().collect::<BTreeSet<_>>() == ids && seen.len() == 3, "{seen:?}");
    let gone = seen.first().context("none")?;
    server.delete(&format!("/v1/batches/{gone}")).await?.expect(204)?;
    server.get(&format!("/v1/batches/{gone}")).await?.expect_problem(404)?;
    server.get(&format!("/v1/batches/{gone}/results")).await?.expect_problem(404)?;
    Ok(())
}

/// A dead server's items run again as far as they had not been written down, and none is lost or twice there.
#[tokio::test]
async fn a_death_in_the_middle_loses_nothing() -> Result<()> {
    let mut server = Server::start().await?;
    let source = "import time\ndef main(x):\n    time.sleep(0.02)\n    return {'y': x * x}";
    let id = server.submit_batch(&batch(source, json!({"items": numbers(300)}))).await?;
    for ended in [20.0, 120.0] {
        until("some items have ended", EVENT_DEADLINE, || async {
            Ok((server.batch(&id).await?.f64_at("/completed")? >= ended).then_some(()))
        })
        .await?;
        let before = server.items(&id, 1_000, "").await?;
        server.kill_and_restart().await?;
        let after = server.items(&id, 1_000, "").await?;
        for (before, after) in before.iter().zip(&after).filter(|(before, _)| before["state"] == json!("completed")) {
            ensure!(before == after, "{before} became {after}");
        }
    }
    let ended = server.ended_batch(&id).await?;
    ensure!(ended.at("/completed")? == json!(300) && ended.str_at("/state")? == "completed", "{}", ended.text());
    let items = server.items(&id, 1_000, "").await?;
    let results: Vec<_> = items.iter().map(|item| item["result"]["y"].as_u64()).collect();
    ensure!(results == (0..300).map(|x| Some(x * x)).collect::<Vec<_>>(), "{results:?}");
    Ok(())
}
