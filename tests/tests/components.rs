//! Components of the world `mecapy:task` beside core modules: how they run, and what contains those that attack.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Server, guest_component as guest, guest_component::Component, guest_wasm, merge, wasm};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Runs a component as a preview of at most 500 ms.
async fn run(server: &Server, component: Component<'_>) -> Result<Answer> {
    let module = server.module(&component.text()).await.with_context(|| component.body.to_owned())?;
    let mut body = wasm(&module);
    merge(&mut body, json!({"limits": {"timeout_ms": 500, "memory_bytes": 67_108_864}}));
    server.preview(&body).await
}

/// The component of `fixtures/component` as a task's body.
async fn conformance(server: &Server, inputs: Value) -> Result<Value> {
    let answer = server.post_module(guest_wasm("component_conformance.wasm")?).await?;
    ensure!([200, 201].contains(&answer.status), "{}", answer.text());
    let mut body = wasm(&answer.str_at("/module")?);
    merge(&mut body, json!({"inputs": inputs}));
    Ok(body)
}

#[tokio::test]
async fn a_component_is_described_by_its_interfaces() -> Result<()> {
    let server = Server::start().await?;
    let bytes = wat::parse_str(guest::LOG.text())?;
    let answer = server.post_module(bytes.clone()).await?;
    ensure!([200, 201].contains(&answer.status), "{}: {}", answer.status, answer.text());
    ensure!(answer.at("/imports")? == json!(["mecapy:task/log@0.1.0.write"]), "{}", answer.text());
    ensure!(answer.at("/exports")? == json!(["run"]) && answer.at("/warnings")? == json!([]), "{}", answer.text());
    let module = answer.str_at("/module")?;
    ensure!(server.post_module(bytes).await?.str_at("/module")? == module, "the same bytes are another module");
    server.get(&format!("/v1/modules/{module}")).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn a_component_runs_in_every_lane_and_after_a_restart() -> Result<()> {
    let mut server = Server::start().await?;
    let module = server.module(&guest::PLAIN.text()).await?;
    server.preview(&wasm(&module)).await?.expect_result(&json!({"n": 1}))?;
    for lane in ["high_priority", "default", "long_running"] {
        let mut body = wasm(&module);
        merge(&mut body, json!({"lane": lane}));
        let id = server.submit(&body).await?;
        server.result(&id).await?.expect_result(&json!({"n": 1})).with_context(|| lane.to_owned())?;
    }
    server.stop_and_restart().await?;
    server.preview(&wasm(&module)).await?.expect_result(&json!({"n": 1}))?;
    Ok(())
}

#[tokio::test]
async fn any_json_value_is_a_result_and_anything_else_is_none() -> Result<()> {
    let server = Server::start().await?;
    for (answer, expected) in
        [("{}", json!({})), ("[1, 2]", json!({"result": [1, 2]})), ("0.5", json!({"result": 0.5}))]
    {
        run(&server, Component { answer, ..guest::PLAIN }).await?.expect_result(&expected)?;
    }
    for answer in ["", "a", "{\"n\": NaN}", "{} {}"] {
        run(&server, Component { answer, ..guest::PLAIN }).await?.expect_error_kind("invalid_output")?;
    }
    let grown =
        |bytes: u32| format!("(drop (memory.grow (i32.const 800))) (i32.store (i32.const 24) (i32.const {bytes}))");
    for (bytes, words) in [(18_000_000, "18 MiB as JSON"), (41_943_040, "32 MiB in one call")] {
        let answer = run(&server, Component { body: &grown(bytes), ..guest::PLAIN }).await?;
        let answer = answer.expect_error_kind("invalid_output")?;
        ensure!(answer.str_at("/error/message")?.contains(words), "{}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn an_error_keeps_its_kind_and_its_pointer() -> Result<()> {
    let server = Server::start().await?;
    // The case `err`; then kind, message and pointer, which is the message's first two bytes.
    let body = "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const 1))
        (i32.store (i32.const 24) (i32.const 1024)) (i32.store (i32.const 28) (i32.const 23))
        (i32.store8 (i32.const 32) (i32.const 1))
        (i32.store (i32.const 36) (i32.const 1024)) (i32.store (i32.const 40) (i32.const 2))";
    let component = Component { body, answer: "/x must be positive: é", ..guest::PLAIN };
    let answer = run(&server, component).await?.expect_error_kind("invalid_input")?;
    ensure!(answer.str_at("/error/message")? == "/x /x must be positive: \u{e9}", "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn progress_log_warnings_and_files_are_told() -> Result<()> {
    let server = Server::start().await?;
    let id = server.submit(&conformance(&server, json!({"do": "tell"})).await?).await?;
    let events = server.events(&id, None).await?.collect_until("done", Duration::from_secs(30)).await?;
    let log: String = events.iter().filter(|event| event.event == "log").map(|event| event.data.as_str()).collect();
    ensure!(log.contains("to stdout") && log.contains("WARN three"), "{log}");
    let task = server.task(&id).await?;
    ensure!(task.f64_at("/progress/fraction")? == 1.0, "{}", task.text());
    ensure!(task.str_at("/progress/message")? == "é".repeat(200), "{}", task.text());
    ensure!(task.str_at("/warnings/0/code")? == "two_words", "{}", task.text());

    let canary = server.upload("canary.txt", b"canary".to_vec()).await?;
    let mut body = conformance(&server, json!({"do": "artifacts"})).await?;
    merge(&mut body, json!({"files": {"canary.txt": canary}}));
    let answer = server.preview(&body).await?.expect_completed()?;
    ensure!(answer.str_at("/artifacts/0/name")? == "figures/two.txt", "{}", answer.text());
    ensure!(answer.str_at("/artifacts/0/base64")? == "dHdvCg==", "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn a_waiting_component_is_cancelled_at_once() -> Result<()> {
    let server = Server::start().await?;
    let sleeping = Component { body: "(call $block (call $subscribe (i64.const -1)))", ..guest::TIMER };
    let id = server.submit(&wasm(&server.module(&sleeping.text()).await?)).await?;
    server.until_state(&id, "running").await?;
    let asked = Instant::now();
    server.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    server.result(&id).await?.expect_error_kind("cancelled")?;
    ensure!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    Ok(())
}

#[tokio::test]
async fn security_01_endless_loops_and_sleeps_of_components_end_at_the_deadline() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        Component { body: "(loop $l (br $l))", ..guest::PLAIN },
        Component { fields: "(func $s (loop $l (br $l))) (start $s)", ..guest::PLAIN },
        Component { realloc: "(loop $l (br $l)) (unreachable)", ..guest::PLAIN },
        Component { body: "(call $block (call $subscribe (i64.const -1)))", ..guest::TIMER },
        Component { body: "(loop $l (drop (call $subscribe (i64.const 0))) (br $l))", ..guest::TIMER },
        Component { body: "(loop $l (call $drop (call $get)) (br $l))", ..guest::STDOUT },
        Component {
            body: "(loop $l (call $write (i32.const 1) (i32.const 0) (i32.const 65536)) (br $l))",
            ..guest::LOG
        },
    ];
    for component in rows {
        let started = Instant::now();
        let answer = run(&server, component).await?.expect(200)?;
        let kind = answer.str_at("/error/kind")?;
        // Timers that are never dropped end at the number of handles before.
        ensure!(["timeout", "trap"].contains(&kind.as_str()), "{}: {}", component.body, answer.text());
        ensure!(started.elapsed() < Duration::from_secs(3), "{}: {:?}", component.body, started.elapsed());
        ensure!(answer.bytes.len() < 8 << 20, "an answer of {} bytes", answer.bytes.len());
    }
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_03_memory_and_stack_of_components_end_at_their_limits() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    let recursion = "(func $f (param i64) (result i64) (i64.add (i64.const 1) (call $f (local.get 0))))";
    let rows = [
        (
            "out_of_memory",
            Component {
                body: "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
                ..guest::PLAIN
            },
        ),
        ("stack_overflow", Component { fields: recursion, body: "(drop (call $f (i64.const 0)))", ..guest::PLAIN }),
    ];
    for (kind, component) in rows {
        for _ in 0..3 {
            run(&server, component).await?.expect_error_kind(kind)?;
        }
    }
    server.process().gives_back(before, 100 << 20).await?;
    Ok(())
}

#[tokio::test]
async fn security_09_handles_of_components_are_counted() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    let million = |call: &str| {
        format!(
            "(loop $l {call} (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000000))))"
        )
    };
    let (get, new) = (million("(drop (call $get))"), million("(drop (call $new (i32.const 7)))"));
    for component in [Component { body: &get, ..guest::STDOUT }, Component { body: &new, ..guest::RESOURCE }] {
        let answer = run(&server, component).await?.expect_error_kind("trap")?;
        ensure!(answer.str_at("/error/message")?.contains("handle"), "{}", answer.text());
    }
    let unknown = Component { body: "(call $drop (i32.const 77))", ..guest::STDOUT };
    run(&server, unknown).await?.expect_error_kind("trap")?;
    server.process().gives_back(before, 50 << 20).await?;
    Ok(())
}

/// What the canonical ABI forbids is the component's own fault: never the platform's, and never a crash.
#[tokio::test]
async fn what_breaks_the_interfaces_is_a_trap() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        Component { body: "(unreachable)", ..guest::PLAIN },
        Component { realloc: "(i32.const -16)", ..guest::PLAIN },
        Component { realloc: "(i32.const 3)", body: "(call $random (i64.const 9) (i32.const -4))", ..guest::RANDOM },
        Component { body: "(i32.store8 (i32.const 16) (i32.const 7))", ..guest::PLAIN },
        Component { body: "(i32.store (i32.const 20) (i32.const -16))", ..guest::PLAIN },
        Component { body: "(i32.store (i32.const 24) (i32.const -1))", ..guest::PLAIN },
        Component { body: "(i32.store8 (i32.const 1024) (i32.const 255))", ..guest::PLAIN },
        Component { body: "(call $write (i32.const 9) (i32.const 1024) (i32.const 4))", ..guest::LOG },
        Component { body: "(call $write (i32.const 1) (i32.const 1024) (i32.const -1))", ..guest::LOG },
        Component {
            body: "(i32.store8 (i32.const 1024) (i32.const 255)) (call $write (i32.const 1) (i32.const 1024) (i32.const 4))",
            ..guest::LOG
        },
        Component {
            body: "(call $write (i32.const 1024) (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 64))",
            ..guest::ARTIFACT
        },
        Component {
            body: "(call $write (call $get) (i32.const 0) (i32.const 100000) (i32.const 64))",
            ..guest::STDOUT
        },
        Component { body: "(call $random (i64.const -1) (i32.const 64))", ..guest::RANDOM },
        Component { body: "(call $random (i64.const 1000000) (i32.const 64))", ..guest::RANDOM },
    ];
    for component in rows {
        let shown = format!("{} {}", component.realloc, component.body);
        let answer = run(&server, component).await?.expect_error_kind("trap").context(shown)?;
        ensure!(!answer.str_at("/error/message")?.contains("platform"), "{}", answer.text());
    }
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_16_imports_that_are_not_granted_are_refused_by_name() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("wasi:sockets/tcp-create-socket@0.2.0", "create-tcp-socket", "no network"),
        ("wasi:http/outgoing-handler@0.2.0", "handle", "no network"),
        ("wasi:keyvalue/store@0.2.0", "open", "may import"),
        ("wasi:cli/stdout@0.3.0", "get-stdout", "WASI 0.2"),
        ("mecapy:task/log@2.0.0", "write", "version 0.1"),
        // Offered, but not with this type; and no such function.
        ("wasi:cli/stdout@0.2.0", "get-stdout", "get-stdout"),
        ("mecapy:task/progress@0.1.0", "fork", "fork"),
    ];
    for (interface, function, words) in rows {
        let imports = format!("(import \"{interface}\" (instance (export \"{function}\" (func))))");
        let text = Component { imports: &imports, ..guest::PLAIN }.text();
        let answer = server.post_module(wat::parse_str(&text)?).await?.expect_problem(422)?;
        ensure!(answer.text().contains(interface) && answer.text().contains(words), "{}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn security_17_components_without_run_are_refused() -> Result<()> {
    let server = Server::start().await?;
    let whole = wat::parse_str(guest::PLAIN.text())?;
    let half: Vec<u8> = whole.iter().copied().take(whole.len() / 2).collect();
    let other_type = guest::PLAIN.text().replace("\"invalid-output\"", "\"other\"");
    let rows = [
        (b"\0asm\x0d\0\x01\0".to_vec(), "exports no function run"),
        (half, "not valid"),
        (wat::parse_str(other_type)?, "run: func(inputs: string)"),
        ([whole, vec![0; 1 << 20]].concat(), "not valid"),
    ];
    for (bytes, words) in rows {
        let answer = server.post_module(bytes).await?.expect_problem(422)?;
        ensure!(answer.text().contains(words), "{}", answer.text());
    }
    Ok(())
}
