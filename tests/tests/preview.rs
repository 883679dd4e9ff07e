//! `POST /v1/preview`: the calling conventions, exact numbers, seeds, output, files and artifacts.

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mecapy_tests::{Answer, Server, guest, merge, python, wasm};
use serde_json::{Value, json};

#[tokio::test]
async fn a_result_is_what_the_calling_convention_says() -> Result<()> {
    let server = Server::start().await?;
    let main = "def main(d, F=2.0):\n    return {'stress': F / d}";
    let rows = [
        ("result = 1 + 1", Value::Null, json!({"result": 2})),
        ("result = {'a': inputs['a'] * 2}", json!({"a": 21}), json!({"a": 42})),
        (main, json!({"d": 4}), json!({"stress": 0.5})),
        (main, json!({"d": 4, "F": 10}), json!({"stress": 2.5})),
        ("def main():\n    return [1, 'two', None, True]", json!({}), json!({"result": [1, "two", null, true]})),
        ("result = 'é\\u2028\\U0001F600'", Value::Null, json!({"result": "é\u{2028}😀"})),
        (
            "import numpy as np\nresult = np.arange(6).reshape(2, 3)",
            Value::Null,
            json!({"result": [[0, 1, 2], [3, 4, 5]]}),
        ),
        (
            "import numpy as np\nresult = {'x': np.float64(0.1), 'n': np.int64(7), 'b': np.bool_(True)}",
            Value::Null,
            json!({"x": 0.1, "n": 7, "b": true}),
        ),
    ];
    for (source, inputs, expected) in rows {
        let answer = server.preview(&with_inputs(source, inputs)).await?;
        answer.expect_result(&expected).with_context(|| source.to_owned())?;
    }
    let mut entry = python("def stress(F):\n    return {'f': F}\ndef main():\n    return 0");
    merge(&mut entry, json!({"inputs": {"F": 3}}));
    merge(entry.pointer_mut("/code").context("no code")?, json!({"entry": "stress"}));
    server.preview(&entry).await?.expect_result(&json!({"f": 3}))?;
    Ok(())
}

#[tokio::test]
async fn integers_are_those_of_an_engineers_laptop() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("np.array([60000, 60000]).prod()", json!(3_600_000_000_u64)),
        ("np.asarray([60000, 60000]).prod()", json!(3_600_000_000_u64)),
        ("np.full(2, 60000).prod()", json!(3_600_000_000_u64)),
        ("(np.arange(2) + 60000).prod()", json!(3_600_060_000_u64)),
        ("(np.zeros(1, dtype=int) + 3000000000)[0]", json!(3_000_000_000_u64)),
        ("np.array([100000]).dtype.name", json!("int64")),
    ];
    for (expression, expected) in rows {
        let answer = server.python(&format!("import numpy as np\nresult = {expression}")).await?;
        answer.expect_result(&json!({"result": expected})).with_context(|| expression.to_owned())?;
    }
    let source = "import numpy as np\ndef main(a):\n    return int(np.array(a).prod())";
    server
        .python_with(source, json!({"a": [60000, 60000]}))
        .await?
        .expect_result(&json!({"result": 3_600_000_000_u64}))?;
    Ok(())
}

#[tokio::test]
async fn numbers_cross_without_loss() -> Result<()> {
    let server = Server::start().await?;
    let numbers = [
        "123456789012345678901234567890",
        "-9007199254740993",
        "0.1",
        "1e-300",
        "1.7976931348623157e308",
        "5e-324",
        "3.141592653589793",
        "-0.0",
    ];
    for number in numbers {
        let body = format!(
            r#"{{"code": {{"language": "python", "source": "result = inputs['x']"}}, "inputs": {{"x": {number}}}}}"#
        );
        let answer = server.post_text("/v1/preview", body).await?.expect_completed()?;
        let text = answer.text();
        // Looked at as text: a JSON reader would round.
        let shown =
            text.rsplit("\"result\":").next().and_then(|rest| rest.split(['}', ',']).next()).unwrap_or_default().trim();
        let python =
            if number == "1e-300" || number == "5e-324" { number.to_owned() } else { number.replace("e308", "e+308") };
        ensure!(shown == python, "{number} came back as {shown} in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn draws_differ_between_previews_and_are_the_same_for_one_seed() -> Result<()> {
    let server = Server::start().await?;
    let sources = [
        "import random\nresult = random.random()",
        "import numpy as np\nresult = np.random.rand()",
        "import numpy as np\nresult = np.random.default_rng().random()",
        "import os\nresult = os.urandom(16).hex()",
        "import uuid\nresult = str(uuid.uuid4())",
        "import secrets\nresult = secrets.token_hex(16)",
    ];
    for source in sources {
        let first = server.python(source).await?.expect_completed()?;
        let second = server.python(source).await?.expect_completed()?;
        ensure!(first.at("/result")? != second.at("/result")?, "{source} drew {} twice", first.at("/result")?);
        let mut seeded = python(source);
        merge(&mut seeded, json!({"seed": first.at("/seed")?}));
        let again = server.preview(&seeded).await?.expect_completed()?;
        ensure!(again.at("/result")? == first.at("/result")?, "{source} is not repeated by its seed");
        ensure!(again.at("/seed")? == first.at("/seed")?, "the seed was not echoed");
    }
    Ok(())
}

#[tokio::test]
async fn output_warnings_and_usage_are_reported() -> Result<()> {
    let server = Server::start().await?;
    let source = "import sys\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\nresult = 1";
    let answer = server.python(source).await?.expect_completed()?;
    ensure!(
        answer.str_at("/stdout")? == "to stdout\n" && answer.str_at("/stderr")? == "to stderr\n",
        "{}",
        answer.text()
    );
    ensure!(answer.at("/stdout_truncated")? == json!(false));
    ensure!(answer.at("/error")?.is_null() && answer.at("/warnings")?.is_array());
    for field in ["fuel", "memory_peak_bytes", "execute_ms"] {
        ensure!(answer.f64_at(&format!("/usage/{field}"))? > 0.0, "{field} was not measured: {}", answer.text());
    }
    for field in ["cpu_ms", "queued_ms", "startup_ms"] {
        ensure!(answer.f64_at(&format!("/usage/{field}"))? >= 0.0, "{field} was not measured: {}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn the_same_seed_burns_the_same_fuel() -> Result<()> {
    let server = Server::start().await?;
    let mut body = python("import random\nresult = sorted(random.random() for _ in range(100))");
    merge(&mut body, json!({"seed": 7}));
    let first = server.preview(&body).await?.expect_completed()?.at("/usage/fuel")?;
    for _ in 0..3 {
        ensure!(server.preview(&body).await?.at("/usage/fuel")? == first, "fuel differs between equal runs");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_of_one_preview_is_left_for_the_next() -> Result<()> {
    let server = Server::start().await?;
    let plant = "import builtins, json, os, numpy\nbuiltins.canary = json.canary = numpy.canary = 'CANARY'\n\
        open('/tmp/canary', 'w').write('CANARY')\nhoard = ['CANARY' + str(i) for i in range(20000)]\nresult = 1";
    let look = "import builtins, json, os, numpy\n\
        result = [hasattr(m, 'canary') for m in (builtins, json, numpy)] + os.listdir('/tmp')";
    for _ in 0..20 {
        server.python(plant).await?.expect_result(&json!({"result": 1}))?;
        server.python(look).await?.expect_result(&json!({"result": [false, false, false]}))?;
    }
    Ok(())
}

#[tokio::test]
async fn non_finite_numbers_are_refused_or_become_null_as_asked() -> Result<()> {
    let server = Server::start().await?;
    for expression in ["float('nan')", "[1.0, float('inf')]", "{'a': {'b': float('-inf')}}"] {
        let source = format!("result = {expression}");
        server.python(&source).await?.expect_error_kind("invalid_output")?;
        let mut body = python(&source);
        merge(&mut body, json!({"non_finite": "null"}));
        let text = server.preview(&body).await?.expect_completed()?.at("/result")?.to_string();
        ensure!(text.contains("null") && !text.contains("NaN") && !text.contains("Infinity"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn what_an_author_gets_wrong_is_explained() -> Result<()> {
    let server = Server::start().await?;
    let raised = server.python("x = 1\n\ndef main():\n    return 1 / 0").await?.expect_error_kind("exception")?;
    ensure!(raised.f64_at("/error/line")? == 4.0 && raised.str_at("/error/traceback")?.contains("line 4"));
    ensure!(raised.str_at("/error/message")?.contains("division by zero"));

    let unserialisable = server.python("result = object()").await?.expect_error_kind("invalid_output")?;
    ensure!(unserialisable.str_at("/error/message")?.contains("object"));

    let main = "def main(diameter, force):\n    return diameter * force";
    let misnamed =
        server.python_with(main, json!({"diameter": 1, "forse": 2})).await?.expect_error_kind("invalid_input")?;
    ensure!(
        misnamed.str_at("/error/message")?.contains("forse") || misnamed.str_at("/error/message")?.contains("force")
    );

    let mut missing = python(main);
    merge(missing.pointer_mut("/code").context("no code")?, json!({"entry": "mane"}));
    let fault = server.preview(&missing).await?;
    let text = fault.text();
    ensure!(
        text.contains("mane") && text.contains("main"),
        "the entry that is missing, and the ones there are: {text}"
    );

    let nothing = server.python("x = 1").await?;
    ensure!(nothing.text().contains("result") && nothing.text().contains("main"), "{}", nothing.text());
    Ok(())
}

#[tokio::test]
async fn faults_in_the_source_are_found_before_it_runs() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("x = 1\ny = (\n", 2, None),
        ("def main(:\n    pass", 1, None),
        ("x = 1\nimport socket\nresult = 1", 2, Some("socket")),
        ("import subprocess\nresult = 1", 1, Some("subprocess")),
        ("result = 1\nimport no_such_package_anywhere", 2, Some("no_such_package_anywhere")),
        ("import os\n\nos.system('ls')\nresult = 1", 3, Some("os.system")),
    ];
    for (source, line, word) in rows {
        let fault = server.python(source).await?.expect_fault("/code/source").with_context(|| source.to_owned())?;
        let found = fault.get("line").and_then(Value::as_u64);
        ensure!(
            found.is_some_and(|found| found == line || word.is_none()),
            "line {found:?} instead of {line}: {fault}"
        );
        ensure!(fault.get("column").is_some_and(Value::is_u64), "no column: {fault}");
        let message = fault.get("message").and_then(Value::as_str).unwrap_or_default();
        ensure!(message.contains(word.unwrap_or_default()), "{word:?} is not named: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn files_are_read_under_work_in_and_written_ones_come_back() -> Result<()> {
    let server = Server::start().await?;
    let upload = server.upload("loads.csv", b"node,force\n1,10.5\n2,-3\n".to_vec()).await?;
    let source = "import csv, os\n\
        rows = list(csv.DictReader(open('/work/in/loads.csv')))\n\
        open('/work/out/sum.txt', 'w').write(str(sum(float(r['force']) for r in rows)))\n\
        os.makedirs('/work/out/sub')\n\
        open('/work/out/sub/data.bin', 'wb').write(bytes(range(256)))\n\
        result = len(rows)";
    let mut body = python(source);
    merge(&mut body, json!({"files": {"loads.csv": upload}}));
    let answer = server.preview(&body).await?.expect_result(&json!({"result": 2}))?;
    ensure!(artifact(&answer, "sum.txt")? == b"7.5");
    ensure!(artifact(&answer, "sub/data.bin")? == (0..=255).collect::<Vec<u8>>());

    let mut write = python("open('/work/in/loads.csv', 'w')");
    merge(&mut write, json!({"files": {"loads.csv": body.pointer("/files/loads.csv")}}));
    server.preview(&write).await?.expect_error_kind("exception")?;
    Ok(())
}

#[tokio::test]
async fn open_figures_become_png_artifacts() -> Result<()> {
    let server = Server::start().await?;
    let source = "import matplotlib.pyplot as plt\nplt.plot([0, 1, 2], [0, 1, 4])\nplt.title('test')\nresult = 1";
    let answer = server.python(source).await?.expect_completed()?;
    let artifacts = answer.at("/artifacts")?;
    let first = artifacts.get(0).context("no figure came back")?;
    ensure!(first.get("content_type").and_then(Value::as_str) == Some("image/png"), "{first}");
    let name = first.get("name").and_then(Value::as_str).unwrap_or_default();
    let png = artifact(&answer, name)?;
    ensure!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 1000, "{name} is no figure");
    Ok(())
}

#[tokio::test]
async fn modules_answer_json_for_json() -> Result<()> {
    let server = Server::start().await?;
    let constant = server.module(&guest::answering(r#"{"stress": 12.50}"#)).await?;
    server.preview(&wasm(&constant)).await?.expect_result(&json!({"stress": 12.5}))?;

    // Echoes stdin: what it is sent is the inputs as one JSON document, and then the end of the file.
    let echo = server
        .module(&guest::command(
            "(local $length i32)
             (loop $more
               (i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.const 4096))
               (drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
               (local.set $length (i32.load (i32.const 24)))
               (drop (call $write (i32.const 1) (i32.const 1024) (local.get $length)))
               (br_if $more (local.get $length)))",
        ))
        .await?;
    let mut body = wasm(&echo);
    let inputs = json!({"F": 1.5, "name": "é", "n": [1, 2, 3]});
    merge(&mut body, json!({"inputs": inputs}));
    server.preview(&body).await?.expect_result(&inputs)?;
    Ok(())
}

fn with_inputs(source: &str, inputs: Value) -> Value {
    let mut body = python(source);
    if !inputs.is_null() {
        merge(&mut body, json!({"inputs": inputs}));
    }
    body
}

/// The bytes of a preview's artifact.
fn artifact(answer: &Answer, name: &str) -> Result<Vec<u8>> {
    let artifacts = answer.at("/artifacts")?;
    let named = |artifact: &&Value| artifact.get("name").and_then(Value::as_str) == Some(name);
    let found = artifacts.as_array().into_iter().flatten().find(named);
    let encoded = found.and_then(|artifact| artifact.get("base64")).and_then(Value::as_str);
    Ok(STANDARD.decode(encoded.with_context(|| format!("no artifact {name} in {artifacts}"))?)?)
}
