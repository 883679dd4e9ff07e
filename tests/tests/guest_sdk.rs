//! Tasks made with the SDKs for Rust and C, also as a component, in the sandbox: results, errors, progress, warnings and files.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Fixture, Server, call, guest_wasm, manifest, merge, python, run_binary, wasm, zip_of};
use serde_json::{Value, json};
use std::{fs, time::Duration};

/// The same tasks in both languages.
const SDKS: [&str; 2] = ["sdk_rust", "sdk_c"];

#[tokio::test]
async fn the_bolted_joint_is_the_same_in_three_languages_and_as_a_component() -> Result<()> {
    let server = Server::start().await?;
    let fixture = Fixture::named("bolted_joint")?;
    let source = fs::read_to_string(fixture.folder.join("python/task.py"))?;
    let mut bodies = vec![python(&source)];
    for module in ["bolted_joint_rust", "bolted_joint_c", "bolted_joint_component"] {
        bodies.push(code(&server, module).await?);
    }
    for case in &fixture.cases {
        let mut artifacts = Vec::new();
        for (language, body) in ["python", "rust", "c", "component"].into_iter().zip(&bodies) {
            let mut body = body.clone();
            merge(&mut body, json!({"inputs": case.inputs}));
            let answer = server.preview(&body).await?.expect(200)?;
            case.check(&answer).with_context(|| format!("{language}, {}", case.name))?;
            artifacts.push(answer.at("/artifacts")?);
        }
        ensure!(artifacts.iter().all(|left| *left == artifacts[0]), "{}: {artifacts:?}", case.name);
    }
    Ok(())
}

/// The joint's ports, for a Python function.
const JOINT: &str = "  joint:
    handler: joint:main
    inputs:
      bolt:
        type:
          diameter: {type: Length, unit: mm}
          pitch: {type: Length, unit: mm}
          shank_length: {type: Length, unit: mm, default: 0}
          bearing_diameter: {type: Length, unit: mm}
          elastic_modulus: {type: Stress, unit: MPa, default: 205000}
          strength_class: String
      members:
        type:
          clamp_length: {type: Length, unit: mm}
          hole_diameter: {type: Length, unit: mm}
          outer_diameter: {type: Length, unit: mm}
          elastic_modulus: {type: Stress, unit: MPa}
          pressure_limit: {type: Pressure, unit: MPa}
      friction: {type: {thread: Float, head: Float, interface: Float}}
      tightening:
        type:
          torque: {type: Moment, unit: N*m}
          scatter: Float
          embedding: {type: Length, unit: mm, default: 0}
      loads:
        type:
          axial_max: {type: Force, unit: N}
          axial_min: {type: Force, unit: N, default: 0}
          transverse: {type: Force, unit: N, default: 0}
          introduction_factor: {type: Float, default: 1}
      diagram: {type: Boolean, default: false}
";

#[tokio::test]
async fn the_published_joint_is_the_same_in_all_forms_by_http_and_command_line() -> Result<()> {
    let server = Server::start().await?;
    let fixture = Fixture::named("bolted_joint")?;
    let case = fixture.cases.first().context("no case")?;
    let source = fs::read(fixture.folder.join("python/task.py"))?;
    for language in ["python", "rust", "c", "component"] {
        let text = manifest(&format!("joint-{language}@1.0.0"), JOINT);
        let wasm =
            text.replace("kind: python", "kind: wasm\n  module: joint.wasm").replace("    handler: joint:main\n", "");
        let zip = match language {
            "python" => zip_of(&[("mecapy.yml", text.as_bytes()), ("joint.py", &source)])?,
            _ => {
                let module = guest_wasm(&format!("bolted_joint_{language}.wasm"))?;
                zip_of(&[("mecapy.yml", wasm.as_bytes()), ("joint.wasm", &module)])?
            }
        };
        server.publish(zip, "").await?.expect(201).context(language)?;
        let reference = format!("default/joint-{language}#joint");
        // The same in other units.
        let mut other = case.inputs.clone();
        merge(&mut other["bolt"], json!({"diameter": {"value": 1.2, "unit": "cm"}}));
        merge(&mut other["loads"], json!({"axial_max": {"value": 15, "unit": "kN"}}));
        let mut results = Vec::new();
        for inputs in [&case.inputs, &other] {
            let [preview, task] = server.both(&call(&reference, inputs.clone())).await?;
            case.check(&preview).context(language)?;
            results.extend([preview.at("/result")?, task.expect_completed()?.at("/result")?]);
            let inputs = inputs.to_string();
            for command in [&["preview", &reference][..], &["submit", &reference, "--wait"]] {
                let arguments = [&["--json"], command, &["--inputs", &inputs]].concat();
                let report = run_client(&server, &arguments).await.context(language)?;
                results.push(report.pointer("/result").cloned().context("no result")?);
            }
        }
        let first = results.first().context("no result")?;
        ensure!(results.len() == 8 && results.iter().all(|result| result == first), "{language}: {results:?}");
    }
    Ok(())
}

/// The report of a command that talks to the server, and succeeds.
async fn run_client(server: &Server, arguments: &[&str]) -> Result<Value> {
    let variables = [("MECAPY_API_URL", server.base_url()), ("MECAPY_TOKEN", server.key().to_owned())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let (code, out, said) = run_binary(arguments, &variables).await?;
    ensure!(code == 0, "{arguments:?}: {code}\n{out}{said}");
    serde_json::from_str(&out).with_context(|| out)
}

#[tokio::test]
async fn an_error_is_told_by_kind_with_its_place_and_not_in_the_log() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        (json!({}), "invalid_input", "/do is missing"),
        (json!({"do": "echo", "number": "1,75"}), "invalid_input", "/number must be a number, not "),
        (json!({"do": "require", "number": 0}), "invalid_input", "/number must be greater than "),
        (json!({"do": "fail", "text": "no\nroot"}), "exception", "it can't be computed: no root"),
        (json!({"do": "nan"}), "invalid_output", " of the result is NaN, which JSON can't hold"),
    ];
    for sdk in SDKS {
        let code = code(&server, sdk).await?;
        for (inputs, kind, words) in &rows {
            let answer = preview(&server, &code, inputs.clone()).await?.expect_error_kind(kind)?;
            let message = answer.str_at("/error/message")?;
            ensure!(message.contains(words) && !message.contains("exit code"), "{sdk}: {message}");
            ensure!(answer.str_at("/stderr")?.is_empty(), "{sdk}: {}", answer.text());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_panic_is_told_with_its_line() -> Result<()> {
    let server = Server::start().await?;
    let code = code(&server, "sdk_rust").await?;
    let answer = preview(&server, &code, json!({"do": "panic"})).await?.expect_error_kind("exception")?;
    let message = answer.str_at("/error/message")?;
    ensure!(message.starts_with("a digit (") && message.contains("every.rs, line "), "{message}");
    let kept = preview(&server, &code, json!({"do": "panic", "text": "x4"})).await?;
    ensure!(kept.f64_at("/result/number")? == 4.0, "{}", kept.text());
    Ok(())
}

#[tokio::test]
async fn numbers_cross_exactly() -> Result<()> {
    let server = Server::start().await?;
    let numbers = [
        0.1,
        1e23,
        8.41e21,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        -0.0,
        9_007_199_254_740_991.0,
        0.500_000_000_000_000_1,
    ];
    for sdk in SDKS {
        let code = code(&server, sdk).await?;
        for number in numbers {
            let answer = preview(&server, &code, json!({"do": "echo", "number": number})).await?;
            let found = number_of(&answer)?;
            ensure!(found.to_bits() == number.to_bits(), "{sdk}: {number:e} came back as {found:e}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn files_are_read_and_left() -> Result<()> {
    let server = Server::start().await?;
    for sdk in SDKS {
        let upload = server.upload("mesh.txt", b"nodes".to_vec()).await?;
        let mut body = code(&server, sdk).await?;
        merge(&mut body, json!({"inputs": {"do": "files", "text": "mesh.txt"}, "files": {"mesh.txt": upload}}));
        let answer = server.preview(&body).await?.expect_completed()?;
        ensure!(answer.str_at("/result/text")? == "nodes", "{sdk}: {}", answer.text());
        ensure!(answer.str_at("/artifacts/0/name")? == "figures/one.txt", "{sdk}: {}", answer.text());
        ensure!(answer.str_at("/artifacts/0/base64")? == "b25lCg==", "{sdk}: {}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn progress_and_warnings_are_told_apart_from_the_log() -> Result<()> {
    let server = Server::start().await?;
    let mut body = code(&server, "sdk_rust").await?;
    merge(&mut body, json!({"inputs": {"do": "progress"}}));
    let id = server.submit(&body).await?;
    let events = server.events(&id, None).await?.collect_until("done", Duration::from_secs(30)).await?;
    let log: String = events.iter().filter(|event| event.event == "log").map(|event| event.data.as_str()).collect();
    ensure!(log.contains("a line of the log") && !log.contains("mecapy: "), "{log}");
    let task = server.task(&id).await?;
    ensure!(task.f64_at("/progress/fraction")? == 1.0, "{}", task.text());
    ensure!(task.str_at("/warnings/0/code")? == "small", "{}", task.text());
    ensure!(task.str_at("/warnings/0/message")? == "the step is small", "{}", task.text());
    Ok(())
}

/// The module as a task's body.
async fn code(server: &Server, module: &str) -> Result<Value> {
    let answer = server.post_module(guest_wasm(&format!("{module}.wasm"))?).await?;
    ensure!([200, 201].contains(&answer.status), "{module}: {}", answer.text());
    Ok(wasm(&answer.str_at("/module")?))
}

async fn preview(server: &Server, code: &Value, inputs: Value) -> Result<Answer> {
    let mut body = code.clone();
    merge(&mut body, json!({"inputs": inputs}));
    server.preview(&body).await?.expect(200)
}

/// The result's number as it is written: a reader of JSON may round it.
fn number_of(answer: &Answer) -> Result<f64> {
    let text = answer.text();
    let rest = text.split_once("\"number\":").context("no number")?.1;
    Ok(rest.split([',', '}']).next().unwrap_or_default().trim().parse()?)
}
