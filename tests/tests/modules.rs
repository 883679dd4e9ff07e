//! `POST /v1/modules`: what is told of a module, and that one runs in every lane.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Fixture, Server, guest, guest_wasm, merge, wasm};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_module_is_described_and_kept_by_its_digest() -> Result<()> {
    let server = Server::start().await?;
    let bytes = wat::parse_str(guest::answering("{\"n\": 1}"))?;
    let answer = server.post_module(bytes.clone()).await?;
    ensure!([200, 201].contains(&answer.status), "{}: {}", answer.status, answer.text());
    use sha2::Digest as _;
    let digest: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(answer.str_at("/module")? == digest);
    ensure!(
        answer.at("/imports")?.to_string().contains("fd_write")
            && answer.at("/exports")?.to_string().contains("_start")
    );
    ensure!(answer.at("/warnings")?.is_array());
    ensure!(server.post_module(bytes).await?.str_at("/module")? == digest, "the same bytes are another module");
    Ok(())
}

#[tokio::test]
async fn a_module_runs_in_every_lane() -> Result<()> {
    let server = Server::start().await?;
    let module = server.module(&guest::answering("{\"n\": 1}")).await?;
    server.preview(&wasm(&module)).await?.expect_result(&json!({"n": 1}))?;
    for lane in ["high_priority", "default", "long_running"] {
        let mut body = wasm(&module);
        merge(&mut body, json!({"lane": lane}));
        let id = server.submit(&body).await?;
        server.result(&id).await?.expect_result(&json!({"n": 1})).with_context(|| lane.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn how_a_module_ends_is_told_by_kind() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("(call $proc_exit (i32.const 3))", "exit_code", "3"),
        ("(unreachable)", "trap", ""),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "trap", "zero"),
        ("(drop (i32.load (i32.const 2147483647)))", "trap", "memory"),
        ("", "invalid_output", ""),
        (
            "(i32.store8 (i32.const 1024) (i32.const 123)) (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 1)))",
            "invalid_output",
            "",
        ),
        (
            "(call $answer (i32.const 1)) (drop (call $write (i32.const 1) (i32.const 2000) (i32.const 4)))",
            "invalid_output",
            "",
        ),
    ];
    for (body, kind, word) in rows {
        let module = server.module(&guest::command(body)).await?;
        let answer = server.preview(&wasm(&module)).await?.expect_error_kind(kind).with_context(|| body.to_owned())?;
        let message = answer.str_at("/error/message")?;
        ensure!(message.contains(word) && !message.is_empty(), "{kind}: {message}");
    }
    let exits_well =
        server.module(&guest::command("(call $answer (i32.const 7)) (call $proc_exit (i32.const 0))")).await?;
    server.preview(&wasm(&exits_well)).await?.expect_completed()?;
    Ok(())
}

#[tokio::test]
async fn the_fixture_modules_give_their_expected_values() -> Result<()> {
    let server = Server::start().await?;
    let fixtures = Fixture::all("wasi")?;
    ensure!(fixtures.len() >= 2, "only {} fixture modules", fixtures.len());
    for fixture in fixtures {
        let answer = server.post_module(guest_wasm(&format!("{}.wasm", fixture.name))?).await?;
        ensure!([200, 201].contains(&answer.status), "{}: {}", fixture.name, answer.text());
        let mut body = wasm(&answer.str_at("/module")?);
        for case in &fixture.cases {
            merge(&mut body, json!({"inputs": case.inputs}));
            let answer = server.preview(&body).await?.expect(200)?;
            case.check(&answer).with_context(|| format!("{}, {}", fixture.name, case.name))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn another_media_type_is_no_module() -> Result<()> {
    let server = Server::start().await?;
    let request = server.request(Method::POST, "/v1/modules").header("content-type", "application/json").body("{}");
    server.send(request).await?.expect_problem(415)?;
    Ok(())
}
