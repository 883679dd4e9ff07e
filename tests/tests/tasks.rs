//! The routes under `/v1/tasks`: submit, list, get, result, logs, events, artifacts, cancel, retry, delete.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, in_days, merge, python, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const EVENT_DEADLINE: Duration = Duration::from_secs(30);
const SLOW: &str = "import time\nwhile True:\n    time.sleep(0.01)";

#[tokio::test]
async fn a_task_is_accepted_shown_run_and_answered() -> Result<()> {
    let server = Server::start().await?;
    let mut body = python("def main(F):\n    return {'F': F * 2}");
    merge(
        &mut body,
        json!({
            "name": "M12 joint", "inputs": {"F": 2.5}, "priority": 7, "lane": "default", "labels": {"project": "A320"},
            "limits": {"timeout_ms": 20000, "memory_bytes": 536870912, "fuel": 60000000000_u64},
            "retry": {"max_attempts": 3, "backoff_ms": 1000, "backoff_factor": 2.0}, "seed": 42, "non_finite": "reject",
            "kernels": "wasm",
        }),
    );
    let accepted = server.post("/v1/tasks", &body).await?.expect(202)?;
    let id = accepted.str_at("/id")?;
    ensure!(uuid::Uuid::parse_str(&id)?.get_version_num() == 7, "{id} is not a UUIDv7");
    let location = accepted.header("location").unwrap_or_default().to_owned();
    ensure!(location.ends_with(&format!("/v1/tasks/{id}")), "Location: {location}");
    for (pointer, expected) in [
        ("/name", json!("M12 joint")),
        ("/lane", json!("default")),
        ("/priority", json!(7)),
        ("/seed", json!(42)),
        ("/kernels", json!("wasm")),
        ("/labels", json!({"project": "A320"})),
        ("/error", Value::Null),
        ("/retry_of", Value::Null),
        ("/code/language", json!("python")),
    ] {
        ensure!(accepted.at(pointer)? == expected, "{pointer}: {}", accepted.text());
    }

    server.result(&id).await?.expect_result(&json!({"F": 5.0}))?;
    let task = server.task(&id).await?;
    ensure!(task.str_at("/state")? == "completed" && task.at("/attempt")? == json!(1), "{}", task.text());
    let times: Vec<_> =
        ["created_at", "started_at", "completed_at"].iter().map(|name| task.str_at(&format!("/{name}"))).collect();
    for time in times.into_iter().collect::<Result<Vec<_>>>()? {
        ensure!(time.contains('T') && time.ends_with('Z'), "{time} is not RFC 3339 in UTC");
    }
    ensure!(task.f64_at("/usage/fuel")? > 0.0 && task.f64_at("/usage/execute_ms")? > 0.0);
    ensure!(task.at("/usage/kernels")?.is_null(), "{}", task.text());
    ensure!(task.at("/links")?.is_object() && task.at("/warnings")?.is_array() && task.at("/max_attempts")?.is_u64());
    Ok(())
}

#[tokio::test]
async fn a_seed_is_chosen_and_echoed_and_gives_the_same_numbers_again() -> Result<()> {
    let server = Server::start().await?;
    let mut body = python("import random\nresult = random.random()");
    let first = server.submit(&body).await?;
    let drawn = server.result(&first).await?.at("/result")?;
    let seed = server.task(&first).await?.at("/seed")?;
    merge(&mut body, json!({"seed": seed}));
    let again = server.submit(&body).await?;
    ensure!(server.result(&again).await?.at("/result")? == drawn);
    ensure!(server.preview(&body).await?.at("/result")? == drawn, "a preview draws other numbers than a task");
    Ok(())
}

#[tokio::test]
async fn failures_are_told_with_kind_message_traceback_and_line() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit(&python("def main():\n    raise ValueError('too thin')")).await?;
    let result = server.result(&id).await?.expect_error_kind("exception")?;
    ensure!(result.at("/result")?.is_null() && result.str_at("/error/message")?.contains("too thin"));
    let task = server.task(&id).await?;
    ensure!(task.at("/error")? == result.at("/error")? && task.at("/error/line")? == json!(2), "{}", task.text());
    ensure!(task.at("/attempt")? == json!(1), "a user's own error is never retried");
    Ok(())
}

#[tokio::test]
async fn a_result_is_waited_for_or_a_conflict() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit(&python(SLOW)).await?;
    server.get(&format!("/v1/tasks/{id}/result")).await?.expect_problem(409)?;
    let started = std::time::Instant::now();
    server.get(&format!("/v1/tasks/{id}/result?wait=1")).await?.expect_problem(409)?;
    ensure!(started.elapsed() >= Duration::from_millis(900), "it did not wait");
    for wait in ["61", "-1", "x", "1e3"] {
        let answer = server.get(&format!("/v1/tasks/{id}/result?wait={wait}")).await?;
        ensure!([400, 422].contains(&answer.status), "wait={wait}: {}", answer.status);
    }
    server.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    server.result(&id).await?.expect_error_kind("cancelled")?;
    Ok(())
}

#[tokio::test]
async fn tasks_are_listed_filtered_and_paged() -> Result<()> {
    let server = Server::start().await?;
    let mut ids = BTreeSet::new();
    for index in 0..7 {
        let mut body = python(if index % 2 == 0 { "result = 1" } else { "raise ValueError('no')" });
        merge(
            &mut body,
            json!({"name": format!("beam {index}"), "labels": {"a b": format!("{}=é", index % 3)}, "lane": if index == 6 { "long_running" } else { "default" }}),
        );
        ids.insert(server.submit(&body).await?);
    }
    for id in &ids {
        server.result(id).await?;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/tasks?limit=3".to_owned());
    loop {
        let page = server.get(&path).await?.expect(200)?;
        let tasks = page.at("/tasks")?.as_array().cloned().context("no list")?;
        ensure!(tasks.len() <= 3);
        seen.extend(tasks.iter().filter_map(|task| task.get("id")?.as_str().map(str::to_owned)));
        match page.at("/next_cursor")?.as_str() {
            Some(cursor) => path = format!("/v1/tasks?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    ensure!(seen.len() == 7 && seen.iter().cloned().collect::<BTreeSet<_>>() == ids, "{seen:?} instead of {ids:?}");
    for (query, count) in [
        ("state=completed", 4),
        ("state=failed", 3),
        ("lane=long_running", 1),
        ("q=beam%205", 1),
        ("state=queued", 0),
        ("label=a%20b=0=%C3%A9", 3),
        ("label=a%20b%3D2%3D%C3%A9&state=failed", 1),
        ("label=a%20b=0", 0),
        ("label=", 7),
    ] {
        let found = server.get(&format!("/v1/tasks?{query}")).await?.expect(200)?.at("/tasks")?;
        ensure!(found.as_array().map(Vec::len) == Some(count), "{query}: {found}");
    }
    for query in ["label=a", "label==a"] {
        server.get(&format!("/v1/tasks?{query}")).await?.expect_fault("/label")?;
    }
    Ok(())
}

#[tokio::test]
async fn logs_come_in_order_and_from_an_index() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit(&python("import sys\nfor i in range(5):\n    print('line', i, flush=True)\nprint('bad', file=sys.stderr)\nresult = 1")).await?;
    server.result(&id).await?;
    let logs = server.get(&format!("/v1/tasks/{id}/logs")).await?.expect(200)?;
    let entries = logs.at("/entries")?.as_array().cloned().unwrap_or_default();
    let text_of = |stream: &str| -> String {
        let of = entries.iter().filter(|entry| entry.get("stream").and_then(Value::as_str) == Some(stream));
        of.filter_map(|entry| entry.get("text")?.as_str()).collect()
    };
    ensure!(
        text_of("stdout") == "line 0\nline 1\nline 2\nline 3\nline 4\n" && text_of("stderr") == "bad\n",
        "{entries:?}"
    );
    let indexes: Vec<_> = entries.iter().filter_map(|entry| entry.get("index")?.as_u64()).collect();
    ensure!(indexes.windows(2).all(|pair| pair.first() < pair.last()), "{indexes:?}");
    ensure!(
        entries.iter().all(|entry| entry.get("at").is_some_and(Value::is_string)) && logs.at("/done")? == json!(true)
    );
    let next = logs.f64_at("/next_index")?;
    let rest = server.get(&format!("/v1/tasks/{id}/logs?since={next}")).await?.expect(200)?;
    ensure!(rest.at("/entries")? == json!([]) && rest.f64_at("/next_index")? == next);
    Ok(())
}

#[tokio::test]
async fn events_follow_a_task_to_its_end_and_resume() -> Result<()> {
    let server = Server::start().await?;
    let source = "import time\nfrom mecapy import progress\nfor i in range(3):\n    print('step', i, flush=True)\n    progress((i + 1) / 4, f'step {i}')\n    time.sleep(0.15)\nresult = 1";
    let id = server.submit(&python(source)).await?;
    let events = server.events(&id, None).await?.collect_until("done", EVENT_DEADLINE).await?;
    let kinds: BTreeSet<_> = events.iter().map(|event| event.event.as_str()).collect();
    for kind in ["state", "progress", "log", "done"] {
        ensure!(kinds.contains(kind), "no {kind} among {events:?}");
    }
    let log: String = events.iter().filter(|event| event.event == "log").map(|event| event.data.as_str()).collect();
    ensure!(log.contains("step 0") && log.contains("step 2"), "{log}");
    ensure!(events.iter().any(|event| event.event == "progress" && event.data.contains("0.75")), "{events:?}");

    // A stream that is resumed after an event gives what came after it, and nothing twice.
    let with_id: Vec<_> = events.iter().filter(|event| event.id.is_some()).collect();
    let (middle, rest) = with_id.split_at(with_id.len() / 2);
    let last = middle.last().and_then(|event| event.id.as_deref());
    let resumed = server.events(&id, last).await?.collect_until("done", EVENT_DEADLINE).await?;
    ensure!(
        resumed.iter().all(|event| middle.iter().all(|before| before.id != event.id)),
        "{resumed:?} repeats {middle:?}"
    );
    let logs_after =
        |events: &[_]| events.iter().filter(|event: &&mecapy_tests::SseEvent| event.event == "log").count();
    let expected = rest.iter().filter(|event| event.event == "log").count();
    ensure!(logs_after(&resumed) == expected, "{resumed:?} instead of {rest:?}");
    Ok(())
}

#[tokio::test]
async fn artifacts_have_signed_urls_that_hold_for_nothing_else() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit(&python("open('/work/out/mesh.txt', 'w').write('nodes: 3')\nopen('/work/out/b.bin', 'wb').write(b'\\0' * 3000000)\nresult = 1")).await?;
    server.result(&id).await?.expect_completed()?;
    let artifacts = server.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?.json()?;
    let list = artifacts.as_array().cloned().with_context(|| format!("no list but {artifacts}"))?;
    ensure!(list.len() == 2, "{artifacts}");
    let mesh = list.iter().find(|item| item.get("name") == Some(&json!("mesh.txt"))).context("mesh.txt is missing")?;
    ensure!(
        mesh.get("size_bytes") == Some(&json!(8)) && mesh.get("expires_at").is_some_and(Value::is_string),
        "{mesh}"
    );
    let digest = mesh.get("sha256").and_then(Value::as_str).unwrap_or_default();
    ensure!(digest == sha256(b"nodes: 3"), "{mesh}");
    let url = mesh.get("url").and_then(Value::as_str).context("no url")?;
    let path = url.strip_prefix(&server.base_url()).unwrap_or(url).to_owned();
    let fetched = server.send(server.anonymous(Method::GET, &path)).await?.expect(200)?;
    ensure!(
        fetched.bytes == b"nodes: 3"
            && fetched.header("content-type").is_some_and(|kind| kind.starts_with("text/plain"))
    );

    let tampered = match path.strip_suffix(|_: char| true) {
        Some(short) if path.ends_with('0') => format!("{short}1"),
        Some(short) => format!("{short}0"),
        None => path.clone(),
    };
    for (method, path) in
        [(Method::GET, tampered), (Method::PUT, path.clone()), (Method::GET, path.replace("mesh", "mash"))]
    {
        let answer = server.send(server.anonymous(method.clone(), &path)).await?;
        ensure!([401, 403, 404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
    }
    Ok(())
}

#[tokio::test]
async fn cancel_stops_a_queued_and_a_running_task() -> Result<()> {
    let server = Server::start().await?;
    let mut running = Vec::new();
    for _ in 0..12 {
        running.push(server.submit(&python(SLOW)).await?);
    }
    let first = running.first().context("nothing submitted")?;
    server.until_state(first, "running").await?;
    let last = running.last().context("nothing submitted")?;
    if server.state(last).await? == "queued" {
        ensure!(server.task(last).await?.f64_at("/queue_position")? >= 0.0);
    }
    for id in &running {
        server.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    }
    for id in &running {
        server.result(id).await?.expect_error_kind("cancelled")?;
        ensure!(server.state(id).await? == "cancelled");
    }
    let again = server.post(&format!("/v1/tasks/{first}/cancel"), &json!({})).await?;
    ensure!([202, 409].contains(&again.status), "a cancelled task answers {}", again.status);
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn a_retry_is_a_new_task_and_terminal_states_are_final() -> Result<()> {
    let server = Server::start().await?;
    let mut body = python("import random\nraise ValueError(random.random())");
    merge(&mut body, json!({"name": "flaky", "inputs": {}, "seed": 9, "labels": {"a": "b"}}));
    let id = server.submit(&body).await?;
    let first = server.result(&id).await?.expect_error_kind("exception")?;
    let retry = server.post(&format!("/v1/tasks/{id}/retry"), &json!({})).await?.expect(202)?;
    let new = retry.str_at("/id")?;
    ensure!(new != id && retry.str_at("/retry_of")? == id && retry.at("/labels/a")? == json!("b"));
    let second = server.result(&new).await?.expect_error_kind("exception")?;
    ensure!(second.at("/error/message")? == first.at("/error/message")?, "the retry has another seed");
    ensure!(server.state(&id).await? == "failed");

    let running = server.submit(&python(SLOW)).await?;
    server.post(&format!("/v1/tasks/{running}/retry"), &json!({})).await?.expect_problem(409)?;
    server.delete(&format!("/v1/tasks/{running}")).await?.expect_problem(409)?;
    server.post(&format!("/v1/tasks/{running}/cancel"), &json!({})).await?.expect(202)?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_task_is_gone_with_its_objects() -> Result<()> {
    let mut server = Server::start().await?;
    let id = server.submit(&python("open('/work/out/a.txt', 'w').write('x' * 100000)\nresult = 'r' * 100000")).await?;
    server.result(&id).await?.expect_completed()?;
    let artifacts = server.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?;
    let url = artifacts.str_at("/0/url")?;
    server.delete(&format!("/v1/tasks/{id}")).await?.expect(204)?;
    for path in ["", "/result", "/logs", "/artifacts", "/events"] {
        server.get(&format!("/v1/tasks/{id}{path}")).await?.expect_problem(404)?;
    }
    server.delete(&format!("/v1/tasks/{id}")).await?.expect_problem(404)?;
    let path = url.strip_prefix(&server.base_url()).unwrap_or(&url).to_owned();
    until("the artifact is gone", EVENT_DEADLINE, || async {
        Ok((server.send(server.anonymous(Method::GET, &path)).await?.status != 200).then_some(()))
    })
    .await?;
    server.stop_and_restart().await?;
    server.get(&format!("/v1/tasks/{id}")).await?.expect_problem(404)?;
    Ok(())
}

#[tokio::test]
async fn one_idempotency_key_is_one_task() -> Result<()> {
    let server = Server::start().await?;
    let submit = |key: &str, body: &Value| {
        server.send(server.request(Method::POST, "/v1/tasks").header("idempotency-key", key).json(body))
    };
    let body = python("result = 1");
    let mut submissions = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let request = server.request(Method::POST, "/v1/tasks").header("idempotency-key", "k-1").json(&body);
        submissions
            .spawn(async move { mecapy_tests::Answer::of(request.send().await?).await?.expect(202)?.str_at("/id") });
    }
    let ids: BTreeSet<String> = submissions.join_all().await.into_iter().collect::<Result<_>>()?;
    ensure!(ids.len() == 1, "{} tasks for one key", ids.len());
    submit("k-1", &python("result = 2")).await?.expect_problem(422)?;
    ensure!(!ids.contains(&submit("k-2", &body).await?.expect(202)?.str_at("/id")?));
    let listed = server.get("/v1/tasks").await?.at("/tasks")?;
    ensure!(listed.as_array().map(Vec::len) == Some(2), "{listed}");
    Ok(())
}

#[tokio::test]
async fn a_task_waits_for_its_time() -> Result<()> {
    let server = Server::start().await?;
    let mut body = python("result = 1");
    merge(&mut body, json!({"run_at": in_days(30)?}));
    let later = server.submit(&body).await?;
    let now = server.submit(&python("result = 2")).await?;
    server.result(&now).await?.expect_completed()?;
    ensure!(server.state(&later).await? == "queued", "a task of next month has run");
    server.post(&format!("/v1/tasks/{later}/cancel"), &json!({})).await?.expect(202)?;
    server.result(&later).await?.expect_error_kind("cancelled")?;
    Ok(())
}

#[tokio::test]
async fn what_the_analysis_warns_of_is_told_of_tasks_too_and_of_retries() -> Result<()> {
    let server = Server::start().await?;
    let body = python("import os\ntoken = os.getenv('TOKEN')\nresult = 1");
    let warned = server.preview(&body).await?.expect_completed()?.at("/warnings")?;
    ensure!(warned.pointer("/0/line") == Some(&json!(2)), "{warned}");
    let accepted = server.post("/v1/tasks", &body).await?.expect(202)?;
    ensure!(accepted.at("/warnings")? == warned, "{}", accepted.text());
    let id = accepted.str_at("/id")?;
    server.result(&id).await?.expect_result(&json!({"result": 1}))?;
    ensure!(server.task(&id).await?.at("/warnings")? == warned);
    let again = server.post(&format!("/v1/tasks/{id}/retry"), &json!({})).await?.expect(202)?;
    ensure!(again.at("/warnings")? == warned, "{}", again.text());
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
