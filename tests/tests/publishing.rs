//! Publishing packages: what is checked, what is told, and that nothing is kept of what is refused.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Company, Server, call, manifest, merge, zip_of};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longer than an import may take (20 s), on a machine that does other things too.
const IMPORT_DEADLINE: Duration = Duration::from_secs(60);
/// Far more than a preview needs, far less than a hostile import takes.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
/// Between two calls that must see another time each.
const CLOCK_STEP: Duration = Duration::from_millis(5);

const RODS: &str = "  rod:
    handler: calc:rod
    description: Mean stress in a round rod
    inputs:
      F: {type: Force, unit: N}
      d: {type: Length, unit: mm, default: 12}
    outputs:
      stress: {type: Stress, unit: MPa}
    testcases:
      - {name: a thin one, inputs: {F: 100, d: 2}, expected_outputs: {stress: 25}}
      - {name: none at all, inputs: {F: 1, d: 0}, expected_exception: ZeroDivisionError}
";
const SOURCE: &str = "def rod(F, d=12.0):\n    return {'stress': F / d**2}\n";

/// A package of the module `calc` and of whatever else.
fn package(manifest: &str, source: &str, more: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let own: [(&str, &[u8]); 2] = [("mecapy.yml", manifest.as_bytes()), ("calc.py", source.as_bytes())];
    zip_of(&[&own[..], more].concat())
}

/// Nothing of what was refused is there.
async fn check_nothing_kept(server: &Server) -> Result<()> {
    for (path, pointer) in [("/v1/packages", "/packages"), ("/v1/functions", "/functions")] {
        let listed = server.get(path).await?.expect(200)?.at(pointer)?;
        ensure!(listed == json!([]), "{path} has {listed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_version_is_published_once_and_never_changes() -> Result<()> {
    let server = Server::start().await?;
    let zip = package(&manifest("rods@1.0.0", RODS), SOURCE, &[])?;
    let checked = server.publish(zip.clone(), "?check=true").await?.expect(200)?;
    ensure!(checked.at("/tests/passed")? == json!(2), "{}", checked.text());
    check_nothing_kept(&server).await?;
    server
        .preview(&call("default/rods#rod", json!({"F": 1})))
        .await?
        .expect_fault_code("/code/function", "unknown_function")?;

    let published = server.publish(zip.clone(), "").await?.expect(201)?;
    ensure!(published.str_at("/digest")? == checked.str_at("/digest")?, "{}", published.text());
    ensure!(published.str_at("/visibility")? == "internal" && published.at("/yanked_at")?.is_null());
    let archive = server.get("/v1/packages/default/rods/versions/1.0.0/archive").await?.expect(200)?;
    ensure!(archive.bytes == zip && archive.header("content-type") == Some("application/zip"));
    let other = package(&manifest("rods@1.0.0", RODS), &SOURCE.replace("**2", "**3"), &[])?;
    for again in [zip.clone(), other] {
        let answer = server.publish(again, "").await?.expect_problem(409)?;
        ensure!(answer.text().contains(&published.str_at("/digest")?) && answer.text().contains("raise the version"));
    }
    // To look whether a package is fine is no publication.
    server.publish(zip, "?check=true").await?.expect(200)?;
    server
        .preview(&call("default/rods#rod", json!({"F": 100, "d": 2})))
        .await?
        .expect_result(&json!({"stress": 25.0}))?;
    let log = server.get("/v1/audit").await?.expect(200)?;
    let publisher = format!("api_key:{}", server.get("/v1/me").await?.str_at("/api_key/id")?);
    for (pointer, expected) in
        [("action", "package.published"), ("target", "default/rods@1.0.0"), ("principal", &publisher)]
    {
        ensure!(log.str_at(&format!("/entries/0/{pointer}"))? == expected, "{pointer}: {}", log.text());
    }
    Ok(())
}

#[tokio::test]
async fn an_owner_is_the_tenants_own_or_one_that_nobody_has() -> Result<()> {
    let server = Server::start().await?;
    let acme = Company::on(&server, "ACME Bolts & Co").await?;
    let zip = package(&manifest("rods@1.0.0", RODS), SOURCE, &[])?;
    let published = acme.publish(&server, zip.clone(), "").await?.expect(201)?;
    ensure!(published.str_at("/owner")? == "acme-bolts---co", "{}", published.text());
    let named = acme.publish(&server, zip.clone(), "?owner=bolts").await?.expect(201)?;
    ensure!(named.str_at("/reference")? == "bolts/rods@1.0.0", "{}", named.text());
    server.publish(zip.clone(), "?owner=bolts").await?.expect_fault_code("/owner", "owner_taken")?;
    for (query, pointer, code) in [
        ("?owner=Bolts", "/owner", "invalid"),
        ("?owner=", "/owner", "invalid"),
        ("?owner=a%2Fb", "/owner", "invalid"),
        ("?check=maybe", "/check", "invalid"),
        ("?visibility=public", "/visibility", "unknown_field"),
        ("?tenant_id=x", "/tenant_id", "unknown_field"),
    ] {
        server.publish(zip.clone(), query).await?.expect_fault_code(pointer, code).context(query)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_packages_own_test_cases_decide() -> Result<()> {
    let server = Server::start().await?;
    let good = manifest("rods@1.0.0", RODS);
    let wrong = good.replace("{stress: 25}", "{stress: 26}");
    let fault =
        server.publish(package(&wrong, SOURCE, &[])?, "").await?.expect_fault_code("/functions/rod", "test_failed")?;
    let message = fault["message"].to_string();
    ensure!(message.contains("a thin one (mecapy.yml:") && message.contains("/stress should be 26"), "{message}");
    for (from, to, words) in [
        ("ZeroDivisionError", "ValueError", "it should raise ValueError"),
        ("{F: 1, d: 0}, expected_exception", "{F: 1}, expected_exception", "it gave a result instead of raising"),
        ("{F: 100, d: 2}", "{F: 100, d: {value: 2, unit: kN}}", "its inputs are refused: /inputs/d/unit"),
    ] {
        let changed = good.replace(from, to);
        let answer = server.publish(package(&changed, SOURCE, &[])?, "").await?;
        let fault = answer.expect_fault_code("/functions/rod", "test_failed").context(to)?;
        ensure!(fault["message"].to_string().contains(words), "{fault} does not say {words:?}");
    }
    check_nothing_kept(&server).await?;

    let quality = |rules: &str| format!("{wrong}quality: {{validation_testcases: {{{rules}}}}}\n");
    let untested = quality("on_deployment: false").replace("1.0.0", "0.1.0");
    let untested = server.publish(package(&untested, SOURCE, &[])?, "").await?.expect(201)?;
    ensure!(untested.at("/tests/total")? == json!(0), "{}", untested.text());
    let lenient = quality("fail_on_error: false");
    let lenient = server.publish(package(&lenient, SOURCE, &[])?, "").await?.expect(201)?;
    ensure!(lenient.at("/tests/failed")? == json!(1) && lenient.at("/tests/passed")? == json!(1), "{}", lenient.text());
    ensure!(lenient.str_at("/warnings/0/code")? == "test_failed", "{}", lenient.text());
    ensure!(lenient.str_at("/warnings/0/pointer")? == "/functions/rod", "{}", lenient.text());
    server
        .preview(&call("default/rods#rod", json!({"F": 100, "d": 2})))
        .await?
        .expect_result(&json!({"stress": 25.0}))?;
    Ok(())
}

/// What an import does that must not be, and words of what its author is told.
const IMPORTS: [(&str, &str, &str); 11] = [
    ("import os\nos._exit(0)", "import_failed", "the package can't be imported"),
    ("import os\nos._exit(3)", "import_failed", "3"),
    ("raise SystemExit(2)", "import_failed", "SystemExit"),
    ("def f(): f()\nf()", "import_failed", "RecursionError"),
    ("x = []\nwhile True: x.append(bytearray(1 << 20))", "import_failed", "memory"),
    ("__import__('socket').create_connection(('127.0.0.1', 9), 1)", "import_failed", "calc.py"),
    ("open('/etc/passwd')", "import_failed", "FileNotFoundError"),
    ("import math\nmath.sqrt(-1)", "import_failed", "File \"calc.py\", line 2"),
    ("__import__('no_such_module')", "import_failed", "no_such_module"),
    ("BIG = bytes(range(256)) * (20 << 12)", "warm_up_failed", "16 MiB at most"),
    ("mine = open(__file__)", "warm_up_failed", "still open"),
];

#[tokio::test]
async fn an_import_that_goes_wrong_is_told_and_nothing_is_kept() -> Result<()> {
    let server = Server::start().await?;
    let good = manifest("rods@1.0.0", RODS);
    for (line, code, words) in IMPORTS {
        let started = Instant::now();
        let answer = server.publish(package(&good, &format!("{line}\n{SOURCE}"), &[])?, "").await?;
        ensure!(started.elapsed() < IMPORT_DEADLINE, "{line}: {:?}", started.elapsed());
        let fault = answer.expect_fault_code("/functions", code).context(line)?;
        let message = fault["message"].as_str().unwrap_or_default();
        ensure!(message.contains(words), "{line}: {message} does not say {words:?}");
        for platform in ["mecapy_runner", "task.py", "warm.rs"] {
            ensure!(!message.contains(platform), "{line}: {platform} is told: {message}");
        }
    }
    // What the source says by itself is found before anything runs.
    let socket = server.publish(package(&good, &format!("import socket\n{SOURCE}"), &[])?, "").await?;
    let fault = socket.expect_fault_code("/files/calc.py", "module_unavailable")?;
    ensure!(fault["message"].to_string().contains("socket can't be used"), "{fault}");
    let fault = server.publish(package(&good, "def rod(:\n", &[])?, "").await?.expect_fault("/files/calc.py")?;
    ensure!(fault["line"] == json!(1), "{fault}");
    check_nothing_kept(&server).await?;
    server.publish(package(&good, SOURCE, &[])?, "").await?.expect(201)?;
    Ok(())
}

#[tokio::test]
async fn an_import_without_end_is_ended_and_keeps_nobody_waiting() -> Result<()> {
    let server = Server::start().await?;
    let endless = package(&manifest("rods@1.0.0", RODS), &format!("while True: pass\n{SOURCE}"), &[])?;
    let started = Instant::now();
    let publishing = server.publish(endless, "");
    let probing = async {
        for _ in 0..20 {
            let took = server.probe().await?;
            ensure!(took < PROBE_DEADLINE, "a preview took {took:?} beside an import without end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let (answer, probed) = tokio::join!(publishing, probing);
    probed?;
    let fault = answer?.expect_fault_code("/functions", "import_failed")?;
    ensure!(started.elapsed() < IMPORT_DEADLINE, "{:?}", started.elapsed());
    ensure!(fault["message"].to_string().contains("can't be imported"), "{fault}");
    check_nothing_kept(&server).await?;
    Ok(())
}

#[tokio::test]
async fn what_an_import_draws_and_reads_is_each_calls_own() -> Result<()> {
    let server = Server::start().await?;
    let functions = "  drawn:\n    handler: calc:drawn\n";
    for (at, (line, code)) in [
        ("import uuid\nX = str(uuid.uuid4())", "import_draws_randomness"),
        ("import secrets\nX = secrets.token_hex()", "import_draws_randomness"),
        ("import random\nX = random.random()", "import_draws_randomness"),
        ("import numpy as np\nX = np.random.rand()", "import_draws_randomness"),
        ("import numpy as np\nX = np.random.default_rng().random()", "import_draws_randomness"),
        ("import time\nX = time.time()", "import_reads_clock"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("drawn-{at}");
        let source = format!("{line}\ndef drawn():\n    return X\n");
        let published = server.publish_calc(&format!("{name}@1.0.0"), functions, &source).await.context(line)?;
        let codes = published.at("/warnings")?;
        let codes: Vec<_> = codes.as_array().into_iter().flatten().map(|warning| warning["code"].clone()).collect();
        ensure!(codes == [json!(code)], "{line}: {codes:?}");
        let drawn = async |seed: u64| -> Result<Value> {
            let mut body = call(&format!("default/{name}#drawn"), json!({}));
            merge(&mut body, json!({"seed": seed}));
            server.preview(&body).await?.expect_completed()?.at("/result")
        };
        let first = drawn(1).await?;
        tokio::time::sleep(CLOCK_STEP).await;
        let other = drawn(2).await?;
        ensure!(first != other, "{line}: {first} in two calls");
        ensure!(code != "import_draws_randomness" || drawn(1).await? == first, "{line}: the seed is not followed");
    }
    // What only defines things has no such warning.
    let plain =
        server.publish_calc("plain@1.0.0", functions, "import random\ndef drawn():\n    return random.random()\n");
    ensure!(plain.await?.at("/warnings")? == json!([]));
    Ok(())
}

#[tokio::test]
async fn another_media_type_and_too_large_a_body_are_refused() -> Result<()> {
    let server = Server::start().await?;
    let zip = package(&manifest("rods@1.0.0", RODS), SOURCE, &[])?;
    for kind in ["application/json", "application/octet-stream", "multipart/form-data; boundary=x", "text/plain"] {
        let request = server.request(Method::POST, "/v1/packages").header("content-type", kind);
        server.send(request.body(zip.clone())).await?.expect_problem(415).context(kind)?;
    }
    server.send(server.request(Method::POST, "/v1/packages").body(zip.clone())).await?.expect_problem(415)?;
    let encoded = server.request(Method::POST, "/v1/packages").header("content-type", "application/zip");
    server.send(encoded.header("content-encoding", "gzip").body(zip.clone())).await?.expect_problem(415)?;
    let anonymous = server.anonymous(Method::POST, "/v1/packages").header("content-type", "application/zip");
    server.send(anonymous.body(zip.clone())).await?.expect_problem(401)?;
    server.publish(vec![b'P'; (32 << 20) + 1], "").await?.expect_problem(413)?;
    check_nothing_kept(&server).await?;
    // As browsers on Windows call it.
    let windows = server.request(Method::POST, "/v1/packages").header("content-type", "application/x-zip-compressed");
    server.send(windows.body(zip)).await?.expect(201)?;
    Ok(())
}

/// A wheel with one module of its name.
fn wheel(name: &str, tag: &str, more: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let about = format!("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    let names = ["__init__.py", "WHEEL", "METADATA"].map(|last| match last {
        "__init__.py" => format!("{name}/{last}"),
        last => format!("{name}-1.0.dist-info/{last}"),
    });
    let contents = [b"FACTOR = 3.0\n".as_slice(), about.as_bytes(), metadata.as_bytes()];
    let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents).collect();
    zip_of(&[&files[..], more].concat())
}

#[tokio::test]
async fn wheels_of_pure_python_come_along_and_native_code_is_named() -> Result<()> {
    let server = Server::start().await?;
    let with = manifest("rods@1.0.0", RODS).replace("kind: python", "kind: python\n  requirements: [steels, numpy]");
    let with = with.replace("{stress: 25}", "{stress: 75}");
    let source = "import steels\nimport numpy as np\n\ndef rod(F, d=12.0):\n    return {'stress': steels.FACTOR * F / np.float64(d)**2}\n";
    let source = source.replace("np.float64(d)**2", "(np.float64(d) if d else d)**2");
    let file = "wheels/steels-1.0-py3-none-any.whl";
    let pure = wheel("steels", "py3-none-any", &[])?;
    server.publish(package(&with, &source, &[(file, &pure)])?, "").await?.expect(201)?;
    let result = server.preview(&call("default/rods#rod", json!({"F": 100, "d": 2}))).await?;
    result.expect_result(&json!({"stress": 75.0}))?;

    let next = with.replace("1.0.0", "1.1.0");
    let native = "wheels/steels-1.0-cp315-cp315-manylinux_2_17_x86_64.whl";
    for (file, content, words) in [
        (native, pure.clone(), "steels needs native code"),
        (file, wheel("steels", "py3-none-any", &[("steels/_fast.so", b"\x7fELF")])?, "holds steels/_fast.so"),
        (file, wheel("steels", "cp315-cp315-linux_x86_64", &[])?, "cp315-cp315-linux_x86_64"),
    ] {
        let answer = server.publish(package(&next, &source, &[(file, &content)])?, "").await?;
        let pointer = format!("/files/{}", file.replace('/', "~1"));
        let fault = answer.expect_fault_code(&pointer, "native_code").context(words)?;
        ensure!(fault["message"].to_string().contains(words), "{fault}");
    }
    for (requirement, code, words) in [
        ("torch", "requirement_missing", "wheels"),
        ("nunpy", "requirement_missing", "did you mean numpy?"),
        ("numpy>=99", "requirement_version", "can't be replaced"),
        ("steels>=2", "requirement_version", "version 1.0"),
    ] {
        let asked = next.replace("[steels, numpy]", &format!("[\"{requirement}\"]"));
        let answer = server.publish(package(&asked, &source, &[(file, &pure)])?, "").await?;
        let fault = answer.expect_fault_code("/runtime/requirements/0", code).context(requirement)?;
        ensure!(fault["message"].to_string().contains(words), "{fault}");
    }
    Ok(())
}
