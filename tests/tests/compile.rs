//! Sources in C and Rust: compiled in containers by a worker that has an engine, run in sandboxes by others.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Fixture, Lane, in_days, run_binary, services::compilers, until};
use serde_json::{Value, json};
use std::{fs, time::Duration};

/// A compile waits for its worker, and for others on this machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// What no engine has.
const ABSENT_IMAGE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

const ROOT_C: &str = r#"#include <math.h>
#define MECAPY_IMPLEMENTATION
#include "mecapy.h"

int main(void) {
    int unused;
    mecapy_put_number("y", sqrt(mecapy_number("/x")));
    return mecapy_finish();
}
"#;
const ROOT_RUST: &str = r#"use mecapy_task::{Ports, Result};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Ports)]
struct Input {
    x: f64,
}

#[derive(Serialize, Ports)]
struct Output {
    y: f64,
}

#[mecapy_task::main]
fn root(input: Input) -> Result<Output> {
    let unused = 1;
    Ok(Output { y: input.x.sqrt() })
}
"#;

/// A program that takes a compiler some seconds.
fn slow(number: u32) -> String {
    format!(
        "#![allow(long_running_const_eval)]\n\
         const X: u64 = {{ let mut i = {number}_u64; while i < 1_500_000 {{ i += 1; }} i }};\n\
         fn main() {{ println!(\"{{{{\\\"x\\\": {{X}}}}}}\"); }}\n"
    )
}

fn code(language: &str, source: &str) -> Value {
    json!({"language": language, "source": source})
}

/// A lane with compilers, and a worker with sandboxes for what they make.
async fn lane() -> Result<Lane> {
    let mut lane = Lane::beside(&compilers()?, &[]).await?;
    lane.cluster.add_worker(&[]).await?;
    until("the compilers are offered", DEADLINE, || async {
        let shown = lane.node()?.get("/v1/compilers").await?.expect(200)?.json()?;
        let all = shown.as_array().context("no list")?;
        Ok((all.len() == 2 && all.iter().all(|it| it.get("available") == Some(&json!(true)))).then_some(()))
    })
    .await?;
    Ok(lane)
}

async fn submit(lane: &Lane, language: &str, source: &str, inputs: Value) -> Result<String> {
    lane.node()?.submit(&json!({"code": code(language, source), "inputs": inputs})).await
}

/// The task's end, which may take as long as a compiler may.
async fn ended(lane: &Lane, id: &str) -> Result<Answer> {
    until(&format!("the task {id} has ended"), DEADLINE, || async {
        let answer = lane.node()?.get(&format!("/v1/tasks/{id}/result?wait=30")).await?;
        Ok((answer.status == 200).then_some(answer))
    })
    .await
}

/// A preview's answer, asked for until its source is compiled.
async fn preview(lane: &Lane, body: &Value) -> Result<Answer> {
    until("the preview answers", DEADLINE, || async {
        let answer = lane.node()?.preview(body).await?;
        Ok((answer.status != 503).then_some(answer))
    })
    .await?
    .expect(200)
}

/// Warnings as line and message.
fn warnings(answer: &Answer) -> Result<Vec<(Option<u64>, String)>> {
    let all = answer.at("/warnings")?;
    let text = |it: &Value| it.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let pair = |it: &Value| (it.get("line").and_then(Value::as_u64), text(it));
    Ok(all.as_array().context("no list")?.iter().map(pair).collect())
}

#[tokio::test]
async fn a_source_is_compiled_once_and_the_same_task_runs_in_a_sandbox() -> Result<()> {
    let lane = lane().await?;
    for (language, source, line) in [("c", ROOT_C, 6), ("rust", ROOT_RUST, 16)] {
        let id = submit(&lane, language, source, json!({"x": 6.25})).await?;
        ended(&lane, &id).await?.expect_result(&json!({"y": 2.5}))?;
        let task = lane.node()?.task(&id).await?.expect(200)?;
        ensure!(task.f64_at("/usage/compile_ms")? > 0.0, "{language}: {}", task.text());
        ensure!(task.at("/attempt")? == json!(1), "{language}: compiling is no attempt");
        ensure!(task.at("/code")? == code(language, source), "{language}: {}", task.text());
        let told = warnings(&task)?;
        ensure!(told.iter().any(|(at, text)| *at == Some(line) && text.contains("unused")), "{language}: {told:?}");
        lane.until_cleared(&id).await?;
        // The module is one of the tenant's.
        let module = task.str_at("/module")?;
        let as_module = json!({"code": {"language": "wasm", "module": module}, "inputs": {"x": 2.25}});
        lane.node()?.preview(&as_module).await?.expect_result(&json!({"y": 1.5}))?;

        // The same once more: no compiler is asked.
        let again = submit(&lane, language, source, json!({"x": 12.25})).await?;
        ended(&lane, &again).await?.expect_result(&json!({"y": 3.5}))?;
        let task = lane.node()?.task(&again).await?.expect(200)?;
        ensure!(task.at("/usage")?.get("compile_ms").is_none(), "{language}: {}", task.text());
        ensure!(task.str_at("/module")? == module && warnings(&task)? == told, "{language}: {}", task.text());
        let body = json!({"code": code(language, source), "inputs": {"x": 20.25}});
        let shown = lane.node()?.preview(&body).await?.expect_result(&json!({"y": 4.5}))?;
        ensure!(shown.at("/usage")?.get("compile_ms").is_none() && warnings(&shown)? == told);
        // Without its module it is compiled anew.
        lane.node()?.delete(&format!("/v1/modules/{module}")).await?.expect(204)?;
        let anew = submit(&lane, language, source, json!({"x": 0.25})).await?;
        ended(&lane, &anew).await?.expect_result(&json!({"y": 0.5}))?;
        ensure!(lane.node()?.task(&anew).await?.f64_at("/usage/compile_ms")? > 0.0);
    }
    Ok(())
}

#[tokio::test]
async fn the_bolted_joint_is_the_same_from_its_source() -> Result<()> {
    let lane = lane().await?;
    let fixture = Fixture::named("bolted_joint")?;
    let read = |path: &str| fs::read_to_string(fixture.folder.join(path));
    let ports = format!("mod ports {{\n{}\n}}", read("rust/src/ports.rs")?);
    let rust = read("rust/src/main.rs")?.replacen("mod ports;", &ports, 1);
    for (language, source) in [("c", read("c/main.c")?), ("rust", rust)] {
        for case in &fixture.cases {
            let body = json!({"code": code(language, &source), "inputs": case.inputs});
            let answer = preview(&lane, &body).await?;
            case.check(&answer).with_context(|| format!("{language}, {}", case.name))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_compilers_errors_end_the_task_with_the_users_lines() -> Result<()> {
    let lane = lane().await?;
    let c = "#include <stdio.h>\nint main(void) {\n    double a = \"x\";\n    return undeclared;\n}\n";
    let rust = "fn main() {\n    let a: f64 = \"x\";\n    println!(\"{}\", undeclared);\n}\n";
    for (language, source, told) in [
        ("c", c, [(3, "incompatible type"), (4, "undeclared identifier 'undeclared'")]),
        ("rust", rust, [(2, "expected `f64`, found `&str` [E0308]"), (3, "cannot find value `undeclared`")]),
    ] {
        let id = submit(&lane, language, source, json!({})).await?;
        let error = ended(&lane, &id).await?.expect_error_kind("compile")?.at("/error")?;
        let message = error["message"].as_str().context("no message")?;
        for (line, what) in told {
            let found = message.lines().find(|text| text.contains(what));
            ensure!(found.is_some_and(|text| text.starts_with(&format!("line {line}, column "))), "{message}");
        }
        ensure!(told.iter().any(|(line, _)| error["line"] == json!(line)), "{error}");
        ensure!(error["traceback"].as_str().is_some_and(|text| text.contains("undeclared")), "{error}");
        lane.until_cleared(&id).await?;
        // A preview is an answer too, at once by now.
        let body = json!({"code": code(language, source)});
        let shown = lane.node()?.preview(&body).await?.expect_error_kind("compile")?;
        ensure!(shown.at("/error/message")? == error["message"]);
    }
    Ok(())
}

#[tokio::test]
async fn the_command_line_sends_sources_and_shows_where_they_are_wrong() -> Result<()> {
    let lane = lane().await?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("root.c"), ROOT_C)?;
    fs::write(at("bad.rs"), "fn main() {\n    undeclared();\n}\n")?;
    let variables = [
        ("MECAPY_API_URL".to_owned(), lane.node()?.base_url()),
        ("MECAPY_TOKEN".to_owned(), lane.node()?.key().to_owned()),
    ];
    let (exit, said, errors) = run_binary(&["submit", &at("root.c"), "-i", "x=6.25", "--wait"], &variables).await?;
    ensure!(exit == 0 && said.contains("2.5"), "{exit}: {said}{errors}");
    let (exit, said, errors) = run_binary(&["submit", &at("bad.rs"), "--wait"], &variables).await?;
    ensure!(exit == 1 && format!("{said}{errors}").contains("undeclared();"), "{exit}: {said}{errors}");
    let (exit, said, errors) = run_binary(&["run", &at("root.c"), "-i", "x=1"], &variables).await?;
    ensure!(exit == 2 && errors.contains("mecapy preview"), "{exit}: {said}{errors}");
    Ok(())
}

#[tokio::test]
async fn a_preview_waits_for_its_compile_which_nobody_else_sees() -> Result<()> {
    let lane = lane().await?;
    let body = json!({"code": code("rust", &slow(1))});
    let (first, second) = tokio::join!(preview(&lane, &body), preview(&lane, &body));
    let (first, second) = (first?, second?);
    for answer in [&first, &second] {
        answer.clone().expect_result(&json!({"x": 1_500_000}))?;
    }
    let node = lane.node()?;
    ensure!(node.get("/v1/tasks").await?.expect(200)?.at("/tasks")? == json!([]), "the compile is listed");
    let said = lane.cluster.rows("SELECT count(*) FROM task_usage WHERE compile_ms > 0").await?;
    ensure!(said.trim() == "1", "it was compiled {said} times");
    let told = lane.cluster.rows("SELECT count(*) FROM tenant_events").await?;
    ensure!(told.trim() == "0", "{told} events are told");
    node.preview(&body).await?.expect_result(&json!({"x": 1_500_000}))?;
    Ok(())
}

#[tokio::test]
async fn many_tasks_with_one_source_are_compiled_once() -> Result<()> {
    let lane = lane().await?;
    let source = slow(2);
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(submit(&lane, "rust", &source, json!({})).await?);
    }
    let mut compiled = 0;
    for id in &ids {
        ended(&lane, id).await?.expect_result(&json!({"x": 1_500_000}))?;
        compiled += usize::from(lane.node()?.task(id).await?.at("/usage")?.get("compile_ms").is_some());
    }
    ensure!(compiled == 1, "it was compiled {compiled} times");
    Ok(())
}

#[tokio::test]
async fn where_nobody_compiles_a_task_says_so_and_waits_and_a_preview_does_not() -> Result<()> {
    let catalogue = compilers()?;
    let image = catalogue.split('"').find(|text| text.starts_with("sha256:")).context("no image")?;
    let lane = Lane::beside(&catalogue.replace(image, ABSENT_IMAGE), &[]).await?;
    let node = lane.node()?;
    let shown = node.get("/v1/compilers").await?.expect(200)?;
    ensure!(shown.at("/0/language")? == json!("c") && shown.at("/0/available")? == json!(false), "{}", shown.text());
    let answer = node.preview(&json!({"code": code("c", ROOT_C)})).await?.expect_problem(503)?;
    ensure!(answer.header("retry-after").is_some() && answer.text().contains("no_worker"), "{}", answer.text());
    // Later: the worker that is there would end it, since nobody else has the image either.
    let id = node.submit(&json!({"code": code("c", ROOT_C), "run_at": in_days(1)?})).await?;
    let task = node.task(&id).await?.expect(200)?;
    ensure!(task.at("/warnings/0/code")? == json!("no_worker"), "{}", task.text());
    ensure!(task.str_at("/warnings/0/message")?.contains("the compiler for C"), "{}", task.text());
    Ok(())
}

#[tokio::test]
async fn f1_a_compile_goes_on_when_its_worker_is_killed() -> Result<()> {
    let mut lane = lane().await?;
    let id = submit(&lane, "rust", &slow(3), json!({})).await?;
    until("the compiler runs", DEADLINE, || async { Ok((!lane.containers(&id).await?.is_empty()).then_some(())) })
        .await?;
    lane.worker()?.kill()?;
    lane.worker()?.start_again().await?;
    ended(&lane, &id).await?.expect_result(&json!({"x": 1_500_000}))?;
    let task = lane.node()?.task(&id).await?;
    ensure!(task.at("/attempt")? == json!(1), "an attempt was lost: {}", task.text());
    lane.until_cleared(&id).await
}

#[tokio::test]
async fn a_cancel_stops_the_compiler() -> Result<()> {
    let lane = lane().await?;
    let id = submit(&lane, "rust", &slow(0).replace("1_500_000", "1_000_000_000"), json!({})).await?;
    until("the compiler runs", DEADLINE, || async { Ok((!lane.containers(&id).await?.is_empty()).then_some(())) })
        .await?;
    lane.node()?.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    ended(&lane, &id).await?.expect_error_kind("cancelled")?;
    lane.until_cleared(&id).await
}

/// Language, source, and what is said of it.
fn hostile() -> Vec<(&'static str, String, &'static str)> {
    let warnings = format!("{}int main(void) {{ return 0; }}\n", "#warning x\n".repeat(60_000));
    let words = |depth: usize| {
        let line = |at: usize| format!("#define M{} {}\n", at + 1, [format!("M{at}").as_str(); 10].join(","));
        let lines: String = (0..depth).map(line).collect();
        format!("#define M0 1\n{lines}int a[] = {{M{depth}}};\nint main(void) {{ return a[3]; }}\n")
    };
    vec![
        ("c", "#include \"/etc/passwd\"\nint main(void) { return 0; }\n".to_owned(), "line 1, column 10"),
        ("c", "#include \"main.c\"\nint main(void) { return 0; }\n".to_owned(), "nested too deeply"),
        ("c", "#include <stdlib.h>\nint main(void) { return system(\"id\"); }\n".to_owned(), "system"),
        (
            "c",
            "#line 9 \"../../x.c\"\n#pragma GCC error \"no\"\nint main(void) { return y; }\n".to_owned(),
            "x.c, line",
        ),
        ("c", warnings, "more than 4 MiB"),
        ("c", words(9), "the compiler"),
        ("c", "char a[1000000000] = {1};\nint main(void) { return a[5]; }\n".to_owned(), ""),
        ("c", "\u{feff}\u{202e}\u{1b}[31m int".to_owned(), "line 1"),
        ("rust", "fn main() { print!(\"{}\", include_str!(\"/etc/shadow\")); }\n".to_owned(), "line 1, column 26"),
        (
            "rust",
            "macro_rules! m { ($($x:tt)*) => { m!($($x)* $($x)* 1) } }\nfn main() { m!(1); }\n".to_owned(),
            "the compiler",
        ),
        (
            "rust",
            "const X: u64 = { let mut i = 0u64; while i < u64::MAX { i += 1; } i };\n\
             fn main() { println!(\"{X}\"); }\n"
                .to_owned(),
            "long",
        ),
        ("rust", slow(0).replace("1_500_000", "u64::MAX"), "for 60s"),
        (
            "rust",
            "unsafe extern \"C\" { fn nothing(x: i32) -> i32; }\n\
             fn main() { println!(\"{}\", unsafe { nothing(1) }); }\n"
                .to_owned(),
            "nothing",
        ),
        ("rust", "extern crate rustc_driver;\nfn main() {}\n".to_owned(), "line 1, column 1"),
        ("rust", String::new(), "`main` function not found"),
    ]
}

/// Each is contained and named, and nobody else waits for it.
#[tokio::test]
async fn security_23_hostile_sources_are_contained_and_named() -> Result<()> {
    let lane = lane().await?;
    let mut ids = Vec::new();
    for (language, source, expected) in hostile() {
        let id = submit(&lane, language, &source, json!({})).await?;
        ids.push((id, language, source, expected));
    }
    for (id, language, source, expected) in ids {
        let error = ended(&lane, &id).await?.expect_error_kind("compile")?.at("/error")?;
        let told = error["message"].as_str().unwrap_or("");
        let shown: String = source.chars().take(80).collect();
        ensure!(!told.is_empty() && told.contains(expected), "{language} {shown:?}: {error}");
        ensure!(!error.to_string().contains("\\u001b"), "{error}");
        lane.node()?.probe().await?;
    }
    // What a source reads is the container's own: nothing of the worker, whose variables have a password.
    let leak = "fn main() {\n    println!(\"{:?}\", include_str!(\"/proc/self/environ\"));\n}\n";
    let id = submit(&lane, "rust", leak, json!({})).await?;
    let answer = ended(&lane, &id).await?.text();
    ensure!(!answer.contains("MECAPY") && !answer.contains("postgres"), "{answer}");
    let long = " ".repeat((1 << 20) + 1);
    let body = json!({"code": code("c", &long)});
    lane.node()?.preview(&body).await?.expect_fault_code("/code/source", "too_long")?;
    Ok(())
}
