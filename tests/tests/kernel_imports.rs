//! WASI modules that import linear algebra from `mecapy_linalg`: by the SDKs, with hostile arguments, and at a structure.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Fixture, Server, guest, guest_wasm, merge, python, wasm};
use serde_json::{Value, json};
use std::fs;

const IMPORTS: &str = r#"
  (import "mecapy_linalg" "dgemm" (func $dgemm
    (param i32 i32 i32 f64 i32 i32 i32 i32 i32 i32 f64 i32 i32) (result i32)))
  (import "mecapy_linalg" "dgesv" (func $dgesv (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "mecapy_linalg" "dposv" (func $dposv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "mecapy_linalg" "sparse_solve" (func $sparse (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
"#;

/// Arguments of `dgemm` that are refused: m, n, k, a, lda, trans_a, b, ldb, trans_b, c, ldc. The memory ends at 131072.
const PRODUCTS: [&str; 16] = [
    "1 1 1 131072 1 0 2048 1 0 4096 1",
    "1 1 1 1024 1 0 4294967288 1 0 4096 1",
    "1 1 1 1024 1 0 2048 1 0 131068 1",
    "1 1 1 1025 1 0 2048 1 0 4096 1",
    "1 1 1 1024 1 0 2048 1 0 4100 1",
    "-1 1 1 1024 1 0 2048 1 0 4096 1",
    "1 1 -2147483648 1024 1 0 2048 1 0 4096 1",
    "1 1 1 1024 0 0 2048 1 0 4096 1",
    "4 1 1 1024 3 0 2048 1 0 4096 4",
    "1 1 1 1024 1 2 2048 1 0 4096 1",
    "1 1 1 1024 1 0 2048 1 -1 4096 1",
    "2147483647 2147483647 2147483647 0 2147483647 0 0 2147483647 0 0 2147483647",
    "65536 65536 1 1024 65536 0 2048 1 0 4096 65536",
    "2 2 2 1024 2 0 2048 2 0 1024 2",
    "2 2 2 1024 2 0 2048 2 0 2072 2",
    "2 2 2 1024 2 0 2048 2 0 4096 2147483647",
];

/// Of `dgesv`: n, nrhs, a, lda, pivots, b, ldb; of `dposv` without the pivots.
const SYSTEMS: [&str; 6] = [
    "2 1 1024 2 1040 4096 2",
    "2 1 1024 2 2048 1024 2",
    "2 1 1024 2 2048 2052 2",
    "2 1 1024 2 131068 4096 2",
    "46341 1 0 46341 2048 4096 46341",
    "2 -1 1024 2 2048 4096 2",
];

/// Of `sparse_solve`: n, nnz, starts, rows, values, nrhs, b, x. The memory holds zeros, so starts are wrong as well.
const SPARSE: [&str; 7] = [
    "1 1 1024 2048 3072 1 4096 5120",
    "-1 0 1024 2048 3072 1 4096 5120",
    "2147483647 0 1024 2048 3072 2147483647 4096 5120",
    "1 2147483647 1024 2048 3072 1 4096 5120",
    "4 0 1024 2048 3072 1 4096 4104",
    "4 0 1024 2048 3072 1 4096 1028",
    "4 0 131064 2048 3072 1 4096 5120",
];

/// The call with the arguments in words; doubles go where the function has them.
fn call(function: &str, arguments: &str, doubles: &[usize]) -> String {
    let words = arguments.split(' ').enumerate().map(|(place, word)| {
        let double = if doubles.contains(&place) { "(f64.const 1) " } else { "" };
        format!("{double}(i32.const {word}) ")
    });
    format!("(call ${function} {})", words.collect::<String>())
}

#[tokio::test]
async fn hostile_arguments_are_refused_and_the_module_goes_on() -> Result<()> {
    let server = Server::start().await?;
    let mut calls: Vec<String> = PRODUCTS.iter().map(|row| call("dgemm", row, &[3, 9])).collect();
    calls.extend(SYSTEMS.iter().map(|row| call("dgesv", row, &[])));
    calls.extend(SPARSE.iter().map(|row| call("sparse", row, &[])));
    calls.push(call("dposv", "2 1 1024 2 1032 2", &[]));
    calls.push(call("dposv", "46341 1 0 46341 4096 46341", &[]));
    let refused: String = calls
        .iter()
        .map(|call| format!("(local.set $count (i32.add (local.get $count) (i32.eq {call} (i32.const -1))))"))
        .collect();
    // After all of them 3 times 4 is still 12, and 1/4 of it 3.
    let body = format!(
        "(local $count i32) {refused}
         (f64.store (i32.const 1024) (f64.const 3)) (f64.store (i32.const 2048) (f64.const 4))
         (if {} (then (unreachable)))
         (if {} (then (unreachable)))
         (if (f64.ne (f64.load (i32.const 4096)) (f64.const 3)) (then (unreachable)))
         (call $answer (local.get $count))",
        call("dgemm", "1 1 1 1024 1 0 2048 1 0 4096 1", &[3, 9]),
        call("dposv", "1 1 2048 1 4096 1", &[]),
    );
    let module = server.module(&guest::command_with(&with_memory(2), &body)).await?;
    let answer = server.preview(&wasm(&module)).await?.expect_completed()?;
    ensure!(answer.at("/result/result")? == json!(calls.len()), "of {}: {}", calls.len(), answer.text());
    ensure!(answer.f64_at("/usage/kernels/calls")? > 0.0, "{}", answer.text());
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn without_kernels_each_function_says_so() -> Result<()> {
    let server = Server::start().await?;
    let calls = [
        call("dgemm", "1 1 1 1024 1 0 2048 1 0 4096 1", &[3, 9]),
        call("dgesv", "1 1 1024 1 2048 4096 1", &[]),
        call("dposv", "1 1 1024 1 4096 1", &[]),
        call("sparse", "1 1 1024 2048 3072 1 4096 5120", &[]),
    ];
    let sum = calls.iter().fold("(i32.const 16)".to_owned(), |sum, call| format!("(i32.add {sum} {call})"));
    let module = server.module(&guest::command_with(&with_memory(2), &format!("(call $answer {sum})"))).await?;
    let mut body = wasm(&module);
    merge(&mut body, json!({"kernels": "wasm"}));
    let answer = server.preview(&body).await?.expect_completed()?;
    ensure!(answer.at("/result/result")? == json!(4) && answer.at("/usage/kernels")?.is_null(), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("(import \"mecapy_linalg\" \"nope\" (func))", "mecapy_linalg.nope"),
        (
            "(import \"mecapy_linalg\" \"dposv\" (func (param i64) (result i32)))",
            "mecapy_linalg.dposv as (i64) -> (i32)",
        ),
        ("(import \"mecapy_linalg\" \"memory\" (memory 1))", "mecapy_linalg.memory"),
    ];
    for (import, words) in rows {
        let memory = if import.contains("(memory") {
            "(export \"memory\" (memory 0))"
        } else {
            "(memory (export \"memory\") 1)"
        };
        let text = format!("(module {import} {memory} (func (export \"_start\")))");
        let answer = server.post_module(wat::parse_str(&text)?).await?;
        ensure!(answer.status == 422, "{import}: {}", answer.text());
        ensure!(answer.text().contains("import_not_available") && answer.text().contains(words), "{}", answer.text());
    }
    Ok(())
}

/// A product of 4000 by 4000 matrices takes seconds, and is one call.
#[tokio::test]
async fn a_long_call_ends_with_the_task_s_time_and_fuel() -> Result<()> {
    let server = Server::start().await?;
    let product = call("dgemm", "4000 4000 4000 8 4000 0 8 4000 0 134217728 4000", &[3, 9]);
    let module = server.module(&guest::command_with(&with_memory(4096), &format!("(call $answer {product})"))).await?;
    for (limits, kind) in [(json!({"timeout_ms": 300}), "timeout"), (json!({"fuel": 50_000_000}), "out_of_fuel")] {
        let mut body = wasm(&module);
        merge(&mut body, json!({"limits": limits}));
        server.preview(&body).await?.expect_error_kind(kind)?;
    }
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn the_sdks_solve_with_kernels_and_without() -> Result<()> {
    let server = Server::start().await?;
    for sdk in ["linalg_rust", "linalg_c"] {
        for (n, kernels) in [(1, "native"), (150, "native"), (400, "native"), (150, "wasm")] {
            let mut body = code(&server, sdk).await?;
            merge(&mut body, json!({"inputs": {"n": n}, "kernels": kernels}));
            let answer =
                server.preview(&body).await?.expect_completed().with_context(|| format!("{sdk}, {n}, {kernels}"))?;
            for name in ["product", "general", "positive_definite"] {
                let error = answer.f64_at(&format!("/result/{name}"))?;
                ensure!((0.0..1e-9 * f64::from(n)).contains(&error), "{sdk}, {n}, {kernels}: {}", answer.text());
            }
            ensure!(answer.f64_at("/result/singular")? == 2.0, "{}", answer.text());
            let sparse = answer.at("/result/sparse")?;
            if kernels == "wasm" {
                ensure!(sparse.is_null() && answer.at("/usage/kernels")?.is_null(), "{}", answer.text());
            } else {
                ensure!(sparse.as_f64().is_some_and(|error| error < 1e-8), "{sdk}, {n}: {}", answer.text());
                ensure!(answer.f64_at("/usage/kernels/calls")? > 4.0, "{}", answer.text());
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_space_frame_is_the_same_in_python_and_rust() -> Result<()> {
    let server = Server::start().await?;
    let fixture = Fixture::named("space_frame")?;
    let source = fs::read_to_string(fixture.folder.join("python/task.py"))?;
    let bodies = [("python", python(&source)), ("rust", code(&server, "space_frame_rust").await?)];
    for (language, body) in &bodies {
        for (number, case) in fixture.cases.iter().enumerate() {
            let mut body = body.clone();
            merge(&mut body, json!({"inputs": case.inputs, "limits": {"memory_bytes": 1 << 30}}));
            // The first one is the large one: seconds, where the machine is busy.
            let answer = match number {
                0 => server.result(&server.submit(&body).await?).await?,
                _ => server.preview(&body).await?.expect(200)?,
            };
            case.check(&answer).with_context(|| format!("{language}, {}", case.name))?;
        }
    }
    let small = fixture.cases.get(1).context("no small case")?;
    let [in_python, in_rust] = bodies.map(|(_, mut body)| {
        merge(&mut body, json!({"inputs": small.inputs, "kernels": "wasm"}));
        body
    });
    small.check(&server.preview(&in_python).await?)?;
    let answer = server.preview(&in_rust).await?.expect_error_kind("exception")?;
    ensure!(answer.str_at("/error/message")?.contains("native kernels"), "{}", answer.text());
    Ok(())
}

fn with_memory(pages: u32) -> String {
    format!("{IMPORTS} (memory (export \"memory\") {pages})")
}

/// The module as a task's body.
async fn code(server: &Server, module: &str) -> Result<Value> {
    let answer = server.post_module(guest_wasm(&format!("{module}.wasm"))?).await?;
    ensure!([200, 201].contains(&answer.status), "{module}: {}", answer.text());
    Ok(wasm(&answer.str_at("/module")?))
}
