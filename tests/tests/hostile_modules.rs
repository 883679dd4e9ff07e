//! Modules that attack: refused when uploaded where that can be seen, contained when they run where it can't.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Server, guest, merge, wasm};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MEMORY: &str = "(memory (export \"memory\") 2)";

/// Runs `body` as a preview of at most 500 ms.
async fn run(server: &Server, text: &str) -> Result<Answer> {
    let module = server.module(text).await.with_context(|| text.chars().take(300).collect::<String>())?;
    let mut body = wasm(&module);
    merge(&mut body, json!({"limits": {"timeout_ms": 500, "memory_bytes": 67_108_864}}));
    server.preview(&body).await
}

/// The number that a module of `guest::command` answers.
async fn answered(server: &Server, text: &str) -> Result<u64> {
    let answer = run(server, text).await?.expect_completed()?;
    let result = answer.at("/result")?;
    let number = result.as_u64().or_else(|| result.get("result").and_then(Value::as_u64));
    number.with_context(|| format!("no number but {result}"))
}

#[tokio::test]
async fn security_01_endless_loops_end_in_start_functions_too() -> Result<()> {
    let server = Server::start().await?;
    let in_start = format!("(module {MEMORY} (func $s (loop $l (br $l))) (start $s) (func (export \"_start\")))");
    for text in [guest::command("(loop $l (br $l))"), in_start] {
        let started = Instant::now();
        match server.module(&text).await {
            Ok(_) => {
                run(&server, &text).await?.expect_error_kind("timeout")?;
            }
            Err(refusal) => ensure!(refusal.to_string().contains("422"), "{refusal}"),
        }
        ensure!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn security_02_poll_oneoff_never_outlives_the_deadline() -> Result<()> {
    let server = Server::start().await?;
    // One clock subscription (48 bytes at 1024): id monotonic, timeout of 2^63 ns, relative or absolute.
    let sleep = |flags: u32| {
        format!(
            "(i32.store8 (i32.const 1032) (i32.const 0)) (i32.store (i32.const 1040) (i32.const 1))
             (i64.store (i32.const 1048) (i64.const 0x7fffffffffffffff)) (i32.store16 (i32.const 1064) (i32.const {flags}))
             (call $answer (call $poll_oneoff (i32.const 1024) (i32.const 8192) (i32.const 1) (i32.const 16)))"
        )
    };
    for body in [sleep(0), sleep(1)] {
        let started = Instant::now();
        run(&server, &guest::command(&body)).await?.expect_error_kind("timeout")?;
        ensure!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    }
    let many = "(call $answer (call $poll_oneoff (i32.const 0) (i32.const 600000) (i32.const 10000) (i32.const 16)))";
    let text = guest::command_with("(memory (export \"memory\") 32)", many);
    let answer = run(&server, &text).await?.expect(200)?;
    ensure!(["completed", "failed"].contains(&answer.str_at("/state")?.as_str()));
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_03_memory_stops_growing_at_the_limit() -> Result<()> {
    let server = Server::start().await?;
    let grow = |pages: u32| {
        guest::command(&format!("(call $answer (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)))"))
    };
    ensure!(answered(&server, &grow(65_000)).await? == 1, "it grew to 4 GiB");
    ensure!(answered(&server, &grow(16)).await? == 0, "it could not grow at all");
    let needs = guest::command_with("(memory (export \"memory\") 65536)", "(call $answer (i32.const 1))");
    match server.module(&needs).await {
        Ok(_) => {
            run(&server, &needs).await?.expect_error_kind("out_of_memory")?;
        }
        Err(refusal) => ensure!(refusal.to_string().contains("422"), "{refusal}"),
    }
    let hoard = "(loop $l (drop (memory.grow (i32.const 1))) (br $l))";
    run(&server, &guest::command(hoard)).await?.expect_error_kind("timeout")?;
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_04_what_needs_too_much_is_refused_when_uploaded() -> Result<()> {
    let server = Server::start().await?;
    let memories = "(memory 1)".repeat(100);
    for text in [
        format!("(module {memories} (memory (export \"memory\") 1) (func (export \"_start\")))"),
        format!("(module {MEMORY} (table 4000000000 funcref) (func (export \"_start\")))"),
        "(module (memory (export \"memory\") i64 1) (func (export \"_start\")))".to_owned(),
        format!("(module {MEMORY} {} (func (export \"_start\")))", "(table 10 funcref)".repeat(200)),
    ] {
        server
            .post_module(wat::parse_str(&text)?)
            .await?
            .expect_problem(422)
            .with_context(|| text.chars().take(80).collect::<String>())?;
    }
    Ok(())
}

#[tokio::test]
async fn security_05_recursion_is_a_stack_overflow() -> Result<()> {
    let server = Server::start().await?;
    let fields = format!("{MEMORY} (func $f (param i64) (result i64) (i64.add (i64.const 1) (call $f (local.get 0))))");
    let text = guest::command_with(&fields, "(drop (call $f (i64.const 0)))");
    for _ in 0..3 {
        run(&server, &text).await?.expect_error_kind("stack_overflow")?;
    }
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_06_floods_of_output_are_cut() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    for (fd, length) in [(1, 65_000), (2, 65_000), (1, 1), (2, 1), (1, 0), (2, 0)] {
        let body =
            format!("(loop $l (drop (call $write (i32.const {fd}) (i32.const 1024) (i32.const {length}))) (br $l))");
        let answer = run(&server, &guest::command(&body)).await?.expect(200)?;
        let kind = answer.str_at("/error/kind")?;
        ensure!(["timeout", "invalid_output"].contains(&kind.as_str()), "fd {fd}, {length} bytes: {kind}");
        ensure!(answer.bytes.len() < 8 << 20, "an answer of {} bytes", answer.bytes.len());
    }
    server.process().gives_back(before, 100 << 20).await?;
    Ok(())
}

#[tokio::test]
async fn security_08_random_get_is_bounded() -> Result<()> {
    let server = Server::start().await?;
    let huge = "(call $answer (call $random_get (i32.const 0) (i32.const -1)))";
    ensure!(answered(&server, &guest::command(huge)).await? != 0, "4 GiB of randomness were given");
    let endless = "(loop $l (drop (call $random_get (i32.const 1024) (i32.const 60000))) (br $l))";
    run(&server, &guest::command(endless)).await?.expect_error_kind("timeout")?;
    Ok(())
}

#[tokio::test]
async fn security_09_descriptors_out_of_range_are_errors() -> Result<()> {
    let mut server = Server::start().await?;
    for body in [
        "(call $answer (call $fd_close (i32.const 99)))",
        "(call $answer (call $fd_close (i32.const -1)))",
        "(call $answer (call $fd_renumber (i32.const 1) (i32.const 100000)))",
        "(call $answer (call $write (i32.const 2147483647) (i32.const 1024) (i32.const 1)))",
    ] {
        ensure!(answered(&server, &guest::command(body)).await? != 0, "{body}");
    }
    let before = server.process().open_files()?;
    let closing = "(local $fd i32) (loop $l (drop (call $fd_close (local.get $fd)))
        (local.set $fd (i32.add (local.get $fd) (i32.const 1))) (br_if $l (i32.lt_u (local.get $fd) (i32.const 5000))))";
    run(&server, &guest::command(closing)).await?.expect(200)?;
    ensure!(server.process().open_files()? + 4 >= before, "a guest closed descriptors of the server");
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_10_paths_out_of_the_tree_are_errors() -> Result<()> {
    let server = Server::start().await?;
    for path in ["../../etc/passwd", "/etc/passwd", "work/in/../../../etc/passwd", "\\00", "etc/passwd/", "."] {
        let bytes = path.replace("\\00", "\0").len();
        let fields = format!("{MEMORY} (data (i32.const 1024) \"{path}\")");
        let open = format!(
            "(call $answer (call $path_open (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const {bytes}) (i32.const 8)
               (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))"
        );
        ensure!(
            answered(&server, &guest::command_with(&fields, &open)).await? != 0,
            "{path:?} was opened for truncation"
        );
    }
    Ok(())
}

#[tokio::test]
async fn security_14_what_is_no_module_is_refused_before_anything_is_loaded() -> Result<()> {
    let server = Server::start().await?;
    let module = wat::parse_str(guest::answering("{}"))?;
    let half: Vec<u8> = module.iter().copied().take(module.len() / 2).collect();
    let rows: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("ELF", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0".repeat(100), &[415]),
        ("text", guest::answering("{}").into_bytes(), &[415]),
        ("empty", vec![], &[415, 422, 400]),
        ("short", b"\0asm".to_vec(), &[415]),
        ("version", b"\0asm\x02\0\0\0".to_vec(), &[415]),
        ("magic alone", b"\0asm\x01\0\0\0".to_vec(), &[422]),
        ("truncated", half, &[422]),
        ("zeros", vec![0; 32 << 20], &[413, 415]),
        ("module, then zeros", [module.clone(), vec![0; 1 << 20]].concat(), &[422]),
        ("script", b"#!/bin/sh\nid\n".to_vec(), &[415]),
    ];
    for (name, bytes, statuses) in rows {
        let answer = server.post_module(bytes).await?;
        ensure!(statuses.contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        let status = answer.status;
        answer.expect_problem(status)?;
    }
    Ok(())
}

#[tokio::test]
async fn security_15_compile_bombs_are_refused_or_killed() -> Result<()> {
    let mut server = Server::start().await?;
    let parameters = format!("(module {MEMORY} (func (param {})) (func (export \"_start\")))", "i32 ".repeat(1001));
    let bodies = format!("(module {MEMORY} (func (export \"_start\") {}))", "(drop (i32.const 1))".repeat(2_400_000));
    let functions = format!("(module {MEMORY} {} (func (export \"_start\")))", "(func)".repeat(1_000_001));
    let branches = format!(
        "(module {MEMORY} (func (export \"_start\") (block (br_table {} (i32.const 0)))))",
        "0 ".repeat(1_000_000)
    );
    let nested =
        format!("(module {MEMORY} (func (export \"_start\") {}{}))", "block ".repeat(200_000), "end ".repeat(200_000));
    let locals = format!("(module {MEMORY} (func (export \"_start\") (local {})))", "i64 ".repeat(60_000));
    for (name, text) in [
        ("parameters", parameters),
        ("bodies", bodies),
        ("functions", functions),
        ("branches", branches),
        ("nested", nested),
        ("locals", locals),
    ] {
        let Ok(bytes) = wat::parse_str(&text) else {
            println!("{name}: refused by the assembler");
            continue;
        };
        let started = Instant::now();
        let answer = server.post_module(bytes).await?;
        println!("{name}: {} after {:?}", answer.status, started.elapsed());
        ensure!([413, 422, 200, 201].contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        ensure!(started.elapsed() < Duration::from_secs(60), "{name}: {:?}", started.elapsed());
        server.probe().await?;
    }
    ensure!(server.process().children()?.is_empty(), "a compile process is left");
    Ok(())
}

#[tokio::test]
async fn security_16_imports_that_are_not_granted_are_named() -> Result<()> {
    let server = Server::start().await?;
    for (module, name, kind) in [
        ("env", "system", "(func)"),
        ("wasi_unstable", "fd_write", "(func (param i32 i32 i32 i32) (result i32))"),
        ("wasi_snapshot_preview1", "sock_open", "(func (param i32 i32) (result i32))"),
        ("wasi_snapshot_preview1", "fd_write", "(func)"),
        ("host", "call", "(func (param i32 i32 i32 i32) (result i32))"),
        ("env", "memory", "(memory 1)"),
        ("env", "table", "(table 1 funcref)"),
    ] {
        let text = format!(
            "(module (import \"{module}\" \"{name}\" {kind}) {} (func (export \"_start\")))",
            if name == "memory" { "" } else { MEMORY }
        );
        let answer =
            server.post_module(wat::parse_str(&text)?).await?.expect_problem(422).with_context(|| text.clone())?;
        ensure!(answer.text().contains(name), "{name} is not named: {}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn security_17_modules_that_are_no_commands_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for text in [
        format!("(module {MEMORY})"),
        format!("(module {MEMORY} (func (export \"_start\") (param i32)))"),
        format!("(module {MEMORY} (func (export \"_start\") (result i32) (i32.const 0)))"),
        format!("(module {MEMORY} (global (export \"_start\") i32 (i32.const 0)))"),
        "(module (func (export \"_start\")))".to_owned(),
        "(module (memory 1) (func (export \"_start\")))".to_owned(),
        "(module (func (export \"memory\")) (func (export \"_start\")))".to_owned(),
    ] {
        server.post_module(wat::parse_str(&text)?).await?.expect_problem(422).with_context(|| text.clone())?;
    }
    Ok(())
}

#[tokio::test]
async fn security_18_custom_sections_are_ignored() -> Result<()> {
    let server = Server::start().await?;
    let module = wat::parse_str(guest::answering("{\"n\": 5}"))?;
    let name = custom_section("name", &[0xff; 1000]);
    let dwarf = custom_section(".debug_info", &vec![0xab; 1 << 20]);
    let producers = custom_section("producers", b"\xff\xff\xff\xff\x0f");
    for section in [name, dwarf, producers, custom_section("", &[])] {
        let answer = server.post_module([module.clone(), section].concat()).await?;
        ensure!([200, 201].contains(&answer.status), "{}: {}", answer.status, answer.text());
        server.preview(&wasm(&answer.str_at("/module")?)).await?.expect_result(&json!({"n": 5}))?;
    }
    Ok(())
}

#[tokio::test]
async fn security_19_atomics_and_shared_memory_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for text in [
        "(module (memory (export \"memory\") 1 1 shared) (func (export \"_start\") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))",
        "(module (memory (export \"memory\") 1 1 shared) (func (export \"_start\")))",
        "(module (memory (export \"memory\") 1) (func (export \"_start\") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))",
    ] {
        server.post_module(wat::parse_str(text)?).await?.expect_problem(422).with_context(|| text.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn security_20_damaged_modules_are_never_a_fault_of_the_server() -> Result<()> {
    let mut server = Server::start().await?;
    let seeds = [
        wat::parse_str(guest::answering("{\"n\": 1}"))?,
        wat::parse_str(guest::command("(loop $l (br_if $l (i32.const 0)))"))?,
    ];
    // A small linear congruential generator: the same damage in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let mut accepted = 0;
    for round in 0..150 {
        let mut bytes = seeds.get(round % seeds.len()).cloned().unwrap_or_default();
        for _ in 0..=draw(3) {
            let at = 8 + draw(bytes.len() - 8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = draw(256) as u8;
            }
        }
        let answer = server.post_module(bytes).await?;
        ensure!([200, 201, 422].contains(&answer.status), "round {round}: {} {}", answer.status, answer.text());
        if answer.status < 300 {
            accepted += 1;
            let mut body = wasm(&answer.str_at("/module")?);
            merge(&mut body, json!({"limits": {"timeout_ms": 200}}));
            server.preview(&body).await?.expect(200)?;
        }
    }
    println!("{accepted} of 150 damaged modules were still valid");
    ensure!(!server.process().log()?.contains("panicked"));
    server.probe().await?;
    Ok(())
}

/// A custom section with this name and content.
fn custom_section(name: &str, content: &[u8]) -> Vec<u8> {
    let body = [leb128(name.len()), name.as_bytes().to_vec(), content.to_vec()].concat();
    [vec![0], leb128(body.len()), body].concat()
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}
