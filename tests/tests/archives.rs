//! Archives and manifests as nobody should send them: each is refused with what is wrong and where, and nothing grows.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Server, archive_with, guest, manifest, patched, zip_of};
use serde_json::json;
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;

/// What the server may hold more than before, once it has refused an archive.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
const REFUSED_WITHIN: Duration = Duration::from_secs(10);

const FUNCTIONS: &str = "  deflection:
    handler: calc:deflection
    inputs:
      length: {type: Length, unit: mm}
      force: {type: Force, default: 1.50}
    outputs:
      result: {type: Length}
";
const SOURCE: &str = "def deflection(length, force=1.0):\n    return length * force\n";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[tokio::test]
async fn security_39_archives_that_would_escape_or_deceive_are_refused() -> Result<()> {
    let server = Server::start().await?;
    let manifest = manifest("beams@1.0.0", FUNCTIONS);
    let own: [(&str, &[u8]); 2] = [("mecapy.yml", manifest.as_bytes()), ("calc.py", SOURCE.as_bytes())];
    let with = |name: &str| zip_of(&[&own[..], &[(name, b"x".as_slice())]].concat());
    let good = with("aa.py")?;
    let mode = |kind: u32| (kind << 16).to_le_bytes();
    let linked =
        archive_with(&own, |writer| Ok(writer.add_symlink("a.py", "/etc/passwd", SimpleFileOptions::default())?))?;
    let mut rows = vec![
        (with("A.py").and_then(|zip| patched(&zip, b"A.py", b"a\0py"))?, "invalid_file_name"),
        (patched(&good, b"aa.py", b"a\xff.py")?, "invalid_file_name"),
        (patched(&with("calx.py")?, b"calx.py", b"calc.py")?, "duplicate_file_name"),
        (with("Calc.py")?, "duplicate_file_name"),
        (with("calc.py/x")?, "duplicate_file_name"),
        (linked, "not_a_file"),
        (patched(&good, &mode(0o100_644), &mode(0o010_644))?, "not_a_file"),
        (patched(&good, &mode(0o100_644), &mode(0o020_644))?, "not_a_file"),
        ([b"PK\x03\x04 something before".as_slice(), &good].concat(), "archive_damaged"),
        (good.get(..good.len() / 2).unwrap_or_default().to_vec(), "archive_damaged"),
        (b"PK".to_vec(), "archive_damaged"),
        (Vec::new(), "not_a_zip"),
        (manifest.clone().into_bytes(), "not_a_zip"),
        (b"\x1f\x8b\x08\0".to_vec(), "not_a_zip"),
    ];
    for name in ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "C:/x", "a\\b", "..\\x", "a\u{202e}b", "a\nb", "a*"]
    {
        rows.push((with(name)?, "invalid_file_name"));
    }
    for (zip, code) in rows {
        let shown = String::from_utf8_lossy(zip.get(..zip.len().min(60)).unwrap_or_default()).into_owned();
        server.publish(zip, "").await?.expect_fault_code("", code).with_context(|| format!("{code}: {shown:?}"))?;
    }
    ensure!(server.get("/v1/packages").await?.at("/packages")? == json!([]));
    server.publish(good, "").await?.expect(201)?;
    Ok(())
}

#[tokio::test]
async fn security_39_bombs_are_refused_soon_with_memory_flat() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    let names: Vec<String> = (0..150_000).map(|number| format!("f{number}")).collect();
    let all: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let zeros = vec![0; 15 << 20];
    let bomb = zip_of(&[("zeros", &zeros)])?;
    let nested = zip_of(&[("mecapy.yml", b"x"), ("wheels/x-1.0-py3-none-any.whl", &bomb)])?;
    let rows = [
        (bomb, "", "archive_bomb"),
        (zip_of(&[("a", &zeros), ("b", &zeros), ("c", &zeros), ("d", &zeros), ("e", &zeros)])?, "", "archive_bomb"),
        (zip_of(all.get(..5_000).unwrap_or_default())?, "", "too_many_files"),
        (zip_of(&all)?, "", "too_many_files"),
        // Fine as a file of the package; what is no manifest is told first.
        (nested, "", "wrong_type"),
    ];
    for (zip, pointer, code) in rows {
        let started = Instant::now();
        server.publish(zip, "").await?.expect_fault_code(pointer, code).context(code)?;
        ensure!(started.elapsed() < REFUSED_WITHIN, "{code} after {:?}", started.elapsed());
        server.probe().await?;
    }
    server.process().gives_back(before, GROWTH_BYTES_MAX).await
}

/// The answer to a check of the package whose manifest has `from` replaced by `to`.
async fn check(server: &Server, from: &str, to: &str) -> Result<Answer> {
    let manifest = manifest("beams@0.1.0", FUNCTIONS);
    ensure!(manifest.contains(from), "{from:?} is not in the manifest");
    let changed = manifest.replacen(from, to, 1);
    let files: [(&str, &[u8]); 3] =
        [("mecapy.yml", changed.as_bytes()), ("calc.py", SOURCE.as_bytes()), ("a.wasm", MODULE)];
    server.publish(zip_of(&files)?, "?check=true").await
}

async fn check_rows(rows: &[(&str, &str, &str, &str)]) -> Result<()> {
    let server = Server::start().await?;
    check(&server, "beams", "beams").await?.expect(200)?;
    for (from, to, pointer, code) in rows {
        let answer = check(&server, from, to).await?;
        answer.expect_fault_code(pointer, code).with_context(|| format!("{from:?} → {to:?}"))?;
    }
    Ok(())
}

const F: &str = "/functions/deflection";

#[tokio::test]
async fn each_field_of_a_manifest_wrong_in_turn_is_told_at_its_place() -> Result<()> {
    let handler = format!("{F}/handler");
    let of = |field: &str| format!("{F}/{field}");
    let (description, testcases, validity, resources) =
        (of("description"), of("testcases"), of("validity/0"), of("resources"));
    check_rows(&[
        ("version: \"1\"\n", "", "/version", "required"),
        ("version: \"1\"", "version: 2", "/version", "invalid_value"),
        ("version: \"1\"", "version: [1]", "/version", "wrong_type"),
        ("version: \"1\"", "version: \"1\"\nversion: \"1\"", "", "malformed"),
        ("version: \"1\"", "version: [1", "", "malformed"),
        ("package:\n  name", "packages:\n  name", "/package", "required"),
        ("  name: beams\n", "", "/package/name", "required"),
        ("name: beams", "name: Beams", "/package/name", "invalid_value"),
        ("name: beams", "name: ../beams", "/package/name", "invalid_value"),
        ("name: beams", "name: [beams]", "/package/name", "wrong_type"),
        ("name: beams", "name: beams\n  autor: me", "/package/autor", "unknown_field"),
        ("version: 0.1.0", "version: 1.2", "/package/version", "invalid_value"),
        ("version: 0.1.0", "version: latest", "/package/version", "invalid_value"),
        ("version: 0.1.0", "version: 1.2.0+5", "/package/version", "invalid_value"),
        ("visibility: internal", "visibility: secret", "/package/visibility", "invalid_value"),
        ("visibility: internal", "visibility: [public]", "/package/visibility", "wrong_type"),
        ("visibility: internal", "description: [x]", "/package/description", "wrong_type"),
        ("visibility: internal", "author: {name: me}", "/package/author", "wrong_type"),
        ("visibility: internal", "author: \"a\\eb\"", "/package/author", "invalid_value"),
        ("visibility: internal", "license: [MIT]", "/package/license", "wrong_type"),
        ("visibility: internal", "tags: beams", "/package/tags", "wrong_type"),
        ("visibility: internal", "tags: [a, \"\"]", "/package/tags/1", "invalid_value"),
        ("visibility: internal", "resources: huge", "/package/resources", "invalid_value"),
        ("visibility: internal", "resources: {cpu: 0}", "/package/resources/cpu", "invalid_value"),
        ("visibility: internal", "resources: {memory_mb: -1}", "/package/resources/memory_mb", "invalid_value"),
        ("visibility: internal", "resources: {timeout: 1e9}", "/package/resources/timeout", "invalid_value"),
        ("runtime:\n  kind: python\n", "runtime: python\n", "/runtime", "wrong_type"),
        ("kind: python", "kind: perl", "/runtime/kind", "invalid_value"),
        ("kind: python", "kind: image\n  image: x", "/runtime/kind", "unsupported"),
        ("kind: python", "kind: image\n  image: --privileged", "/runtime/image", "invalid_value"),
        ("kind: python", "kind: dockerfile\n  dockerfile: /etc/passwd", "/runtime/dockerfile", "invalid_value"),
        ("kind: python", "kind: python\n  version: 2.7", "/runtime/version", "invalid_value"),
        ("kind: python", "kind: python\n  version: 3.99", "/runtime/version", "python_version"),
        ("kind: python", "kind: python\n  flavour: x", "/runtime/flavour", "unknown_field"),
        ("kind: python", "kind: python\n  requirements: more.txt", "/runtime/requirements", "file_missing"),
        ("kind: python", "kind: python\n  requirements: {a: b}", "/runtime/requirements", "wrong_type"),
        ("kind: python", "kind: python\n  requirements: [1]", "/runtime/requirements/0", "wrong_type"),
        ("kind: python", "kind: python\n  requirements: [\"a b\"]", "/runtime/requirements/0", "invalid_requirement"),
        ("kind: python", "kind: python\n  requirements: [torch]", "/runtime/requirements/0", "requirement_missing"),
        ("kind: python", "kind: wasm", "/runtime/module", "required"),
        ("kind: python", "kind: wasm\n  module: b.wasm", "/runtime/module", "module_invalid"),
        ("kind: python", "kind: wasm\n  module: ../a.wasm", "/runtime/module", "invalid_value"),
        ("  deflection:\n", "  1st:\n", "/functions/1st", "invalid_name"),
        ("    handler: calc:deflection\n", "", &handler, "required"),
        ("calc:deflection", "calc", &handler, "invalid_value"),
        ("calc:deflection", "calc.py:deflection", &handler, "invalid_value"),
        ("calc:deflection", "[a]", &handler, "wrong_type"),
        ("calc:deflection", "cals:deflection", &handler, "handler_missing"),
        ("calc:deflection", "calc:deflektion", &handler, "handler_missing"),
        ("    inputs:\n", "    description: [x]\n    inputs:\n", &description, "wrong_type"),
        ("    inputs:\n", "    resources: [x]\n    inputs:\n", &resources, "wrong_type"),
        ("    inputs:\n", "    testcases: more.json\n    inputs:\n", &testcases, "file_missing"),
        ("    inputs:\n", "    validity: [x]\n    inputs:\n", &validity, "invalid_validity"),
        ("version: \"1\"", "version: \"1\"\nquality: [x]", "/quality", "wrong_type"),
        ("version: \"1\"", "version: \"1\"\nquality: {coverage: 80}", "/quality/coverage", "unknown_field"),
    ])
    .await
}

#[tokio::test]
async fn each_field_of_a_port_wrong_in_turn_is_told_at_its_place() -> Result<()> {
    let server = Server::start().await?;
    let length = "length: {type: Length, unit: mm}";
    for (to, place, code) in [
        ("length: 3", "length", "wrong_type"),
        ("length: {unit: mm}", "length/type", "required"),
        ("length: {type: Lenght}", "length/type", "unknown_type"),
        ("length: {type: 3}", "length/type", "wrong_type"),
        ("length: {type: {a: Length, b: [Force]}}", "length/type/b", "wrong_type"),
        ("length: {type: {}}", "length/type", "required"),
        ("length: {type: Length, unit: mn}", "length/unit", "unknown_unit"),
        ("length: {type: Length, unit: kN}", "length/unit", "wrong_dimension"),
        ("length: {type: String, unit: mm}", "length/unit", "unit_not_allowed"),
        ("length: {type: Length, units: mm}", "length/units", "unknown_field"),
        ("length: {type: Length, description: [x]}", "length/description", "wrong_type"),
        ("length: {type: Length, required: 1}", "length/required", "wrong_type"),
        ("length: {type: Length, required: true, default: 1}", "length/required", "contradiction"),
        ("length: {type: Length, required: false}", "length", "default_missing"),
        ("length: {type: Length, default: long}", "length/default", "wrong_type"),
        ("length: {type: Length, default: {value: 1, unit: N}}", "length/default/unit", "wrong_dimension"),
        ("length: {type: Length, validity: \"length <\"}", "length/validity", "invalid_validity"),
        ("length: {type: Length, validity: width > 1}", "length/validity", "invalid_validity"),
        ("\"1 x\": {type: Length}", "1 x", "invalid_name"),
        ("lenght: {type: Length}", "lenght", "unknown_input"),
    ] {
        let answer = check(&server, length, to).await?;
        answer.expect_fault_code(&format!("{F}/inputs/{place}"), code).context(to)?;
    }
    let answer = check(&server, "result: {type: Length}", "result: {type: Object}").await?;
    answer.expect_fault_code(&format!("{F}/outputs/result/type"), "unknown_type")?;
    // All that is wrong is told together, with the lines.
    let answer = check(&server, "name: beams", "name: Beams").await?;
    ensure!(answer.expect_fault("/package/name")?["line"] == json!(3));
    let both = check(&server, "  name: beams\n  version: 0.1.0\n", "  name: Beams\n  version: 1\n").await?;
    both.clone().expect_fault("/package/name")?;
    both.expect_fault("/package/version")?;
    Ok(())
}

#[tokio::test]
async fn a_package_needs_its_manifest_at_its_root() -> Result<()> {
    let server = Server::start().await?;
    let manifest = manifest("beams@0.1.0", FUNCTIONS);
    for (name, words) in [
        ("beams/mecapy.yml", "it is in beams"),
        ("mecapy.yaml", "rename mecapy.yaml"),
        ("x.yml", "has one at its root"),
    ] {
        let fault = server.publish(zip_of(&[(name, manifest.as_bytes())])?, "").await?;
        let fault = fault.expect_fault_code("", "manifest_missing").context(name)?;
        ensure!(fault["message"].to_string().contains(words), "{fault}");
    }
    let deep = format!("version: \"1\"\na: {}1{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let laughs: String = (1..20).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)).collect();
    for text in [
        deep,
        format!("a0: &a0 [x]\n{laughs}"),
        "\u{0}".to_owned(),
        "\u{feff}".to_owned(),
        "%YAML 9.9\n---\n".to_owned(),
    ] {
        let answer = server.publish(zip_of(&[("mecapy.yml", text.as_bytes())])?, "").await?;
        answer.expect_problem(422).with_context(|| text.chars().take(40).collect::<String>())?;
    }
    server.probe().await?;
    Ok(())
}

/// A manifest for a module; its functions have no handlers.
fn of_module(file: &str) -> String {
    let python = manifest("beams@0.1.0", FUNCTIONS);
    python
        .replace("kind: python", &format!("kind: wasm\n  module: {file}"))
        .replace("    handler: calc:deflection\n", "")
}

#[tokio::test]
async fn security_14_modules_of_packages_are_judged_as_uploaded_ones_are() -> Result<()> {
    let server = Server::start().await?;
    let manifest = of_module("beam.wasm");
    let publish = async |bytes: &[u8]| {
        server.publish(zip_of(&[("mecapy.yml", manifest.as_bytes()), ("beam.wasm", bytes)])?, "").await
    };
    let whole = wat::parse_str(guest::answering("{\"result\": 0.5}"))?;
    let wat = |text: &str| wat::parse_str(text).map_err(anyhow::Error::from);
    let import = |module: &str, name: &str| {
        wat(&format!(
            r#"(module (import "{module}" "{name}" (func)) (memory (export "memory") 1) (func (export "_start")))"#
        ))
    };
    let rows = [
        (b"\x7fELF\x02\x01\x01\0".to_vec(), "not a WebAssembly module"),
        (b"(module)".to_vec(), "not a WebAssembly module"),
        (Vec::new(), "not a WebAssembly module"),
        (vec![0; 64 << 10], "not a WebAssembly module"),
        (whole.get(..whole.len() / 2).unwrap_or_default().to_vec(), "beam.wasm can't run here"),
        (MODULE.to_vec(), "_start"),
        (wat(r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#)?, "_start"),
        (wat(r#"(module (func (export "_start")))"#)?, "memory"),
        (import("wasi_unstable", "fd_write")?, "wasi_unstable.fd_write"),
        (import("env", "system")?, "env.system"),
        (import("wasi_snapshot_preview1", "sock_open")?, "sock_open"),
    ];
    for (bytes, words) in rows {
        let fault = publish(&bytes).await?.expect_fault_code("/runtime/module", "module_invalid").context(words)?;
        ensure!(fault["message"].to_string().contains(words), "{fault} does not say {words:?}");
    }
    ensure!(server.get("/v1/packages").await?.at("/packages")? == json!([]));
    publish(&whole).await?.expect(201)?;
    Ok(())
}
