//! The routes of the public SDK, asked by a program that was written from their page (`tests/sdk/client.py`).

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Company, Server, fixture_path, merge, repository_root, until};
use reqwest::{Method, multipart};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::Command;

const COMPLETED: i32 = 0;
const REFUSED: i32 = 1;
/// Longer than the SDK waits for a job.
const CLIENT_DEADLINE: Duration = Duration::from_secs(150);
const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";
/// More than an answer holds.
const LARGE_MIB: u32 = 17;

const MANIFEST: &str = "\
version: \"1\"
package: {name: tables, version: 1.2.0, description: Tables of loads, visibility: internal}
runtime: {kind: python}
functions:
  scale:
    handler: tables:scale
    inputs:
      table: {type: 'File[csv]'}
      factor: {type: Float}
    outputs:
      scaled: {type: 'File[csv]'}
      name: String
      rows: Integer
  squares: {handler: tables:squares}
  fill:
    handler: tables:fill
    inputs: {mebibytes: Integer}
    outputs: {filled: File}
  fail: {handler: tables:fail}
  doze: {handler: tables:doze}
";
const SOURCE: &str = "\
import time
from pathlib import Path

OUT = Path('/work/out')


def scale(table, factor):
    rows = [line.split(',') for line in table.read_text().splitlines()]
    scaled = OUT / 'scaled.csv'
    scaled.write_text(''.join(f'{case},{float(value) * factor}\\n' for case, value in rows))
    return {'scaled': scaled, 'name': table.name, 'rows': len(rows)}


def squares(count):
    print('squaring')
    return [number**2 for number in range(count)]


def fill(mebibytes):
    filled = OUT / 'filled'
    filled.write_bytes(bytes(mebibytes << 20))
    return {'filled': filled}


def fail():
    raise ValueError('a rod has no diameter')


def doze(seconds):
    time.sleep(seconds)
    return 'awake'
";
const PINNED: &str = "def version():\n    return VERSION\n";

/// A server, and a folder for what is sent to it.
struct Bench {
    server: Server,
    folder: TempDir,
}

impl Bench {
    async fn new() -> Result<Self> {
        Ok(Self { server: Server::start().await?, folder: tempfile::tempdir()? })
    }

    /// One whose server has the package of tables.
    async fn with_tables() -> Result<Self> {
        let bench = Self::new().await?;
        let folder = bench.write("tables", &[("mecapy.yml", MANIFEST), ("tables.py", SOURCE)])?;
        let published = bench.client(&["publish", path_text(&folder)?], COMPLETED).await?;
        ensure!(published == json!({"package_id": "default~tables~1.2.0"}), "{published}");
        Ok(bench)
    }

    /// Writes a folder with files.
    fn write(&self, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        for (file, text) in files {
            fs::write(folder.join(file), text)?;
        }
        Ok(folder)
    }

    /// Runs the client; what it printed.
    async fn client(&self, arguments: &[&str], exit: i32) -> Result<Value> {
        self.client_of(self.server.key(), arguments, exit).await
    }

    async fn client_of(&self, key: &str, arguments: &[&str], exit: i32) -> Result<Value> {
        let mut command = Command::new("python3");
        command.arg("-B").arg(repository_root().join("tests/sdk/client.py")).args(arguments);
        command.env("MECAPY_API_URL", self.server.base_url()).env("MECAPY_TOKEN", key);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(CLIENT_DEADLINE, command.output()).await.context("the client hangs")??;
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.code() == Some(exit),
            "{arguments:?}: {} instead of {exit}: {said}{errors}",
            output.status
        );
        serde_json::from_str(&said).with_context(|| format!("{arguments:?}: {said}{errors}"))
    }

    /// Starts a call of a function of the tables by hand.
    async fn start(&self, function: &str, payload: Value) -> Result<String> {
        let path = format!("/packages/default~tables~1.2.0/functions/{function}/execute");
        self.server.post(&path, &json!({ "payload": payload })).await?.expect(200)?.str_at("/job_id")
    }
}

#[tokio::test]
async fn the_sdk_is_greeted_and_told_who_it_is() -> Result<()> {
    let bench = Bench::new().await?;
    let greeted = bench.client(&["greet"], COMPLETED).await?;
    ensure!(greeted.pointer("/roles") == Some(&json!(["admin"])), "{greeted}");
    ensure!(greeted.pointer("/status") == Some(&json!("ok")) && greeted.pointer("/health") == Some(&json!("ok")));
    ensure!(bench.client(&["admin"], COMPLETED).await? == json!({"admin_access": true}));
    let viewer = json!({"name": "reader", "role": "viewer"});
    let key = bench.server.post("/v1/api-keys", &viewer).await?.expect(201)?.str_at("/key")?;
    let greeted = bench.client_of(&key, &["greet"], COMPLETED).await?;
    ensure!(greeted.pointer("/user") == Some(&json!("reader")), "{greeted}");
    let refused = bench.client_of(&key, &["admin"], REFUSED).await?;
    ensure!(refused.pointer("/status") == Some(&json!(403)), "{refused}");
    let refused = bench.client_of("mecapy_nobody", &["greet"], REFUSED).await?;
    ensure!(refused.pointer("/status") == Some(&json!(401)), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_fixture_gives_the_same_by_the_sdk_and_by_a_preview() -> Result<()> {
    let bench = Bench::new().await?;
    let folder = fixture_path("packages/bolted-joint")?;
    let published = bench.client(&["publish", path_text(&folder)?], COMPLETED).await?;
    ensure!(published == json!({"package_id": "default~bolted-joint~1.2.0"}), "{published}");
    let rows = [
        ("preload", json!({"size": "M12", "strength_class": "8.8"})),
        ("torque", json!({"size": "M12", "preload": {"value": 43.0, "unit": "kN"}})),
        ("thread", json!({"size": "M16"})),
        (
            "verify",
            json!({"size": "M12", "strength_class": "10.9", "clamp_length": 40, "outer_diameter": 45,
                   "loads": {"axial_max": 15000, "axial_min": 2000, "transverse": 1000}, "pressure_limit": 630}),
        ),
    ];
    for reference in ["default/bolted-joint", "default/bolted-joint:1.2.0"] {
        for (function, inputs) in &rows {
            let called = bench.client(&["call", reference, function, &inputs.to_string()], COMPLETED).await?;
            let code = json!({"function": format!("default/bolted-joint@1.2.0#{function}")});
            let preview = bench.server.preview(&json!({"code": code, "inputs": inputs})).await?.expect_completed()?;
            ensure!(called == preview.at("/result")?, "{function}: {called} instead of {}", preview.text());
        }
    }
    let table = folder.join("tests/load_cases.csv");
    let file = format!("cases={}", path_text(&table)?);
    let called = bench.client(&["call", "default/bolted-joint", "envelope", "{}", "--file", &file], COMPLETED).await?;
    ensure!(called.pointer("/governing_case") == Some(&json!("gust")), "{called}");
    Ok(())
}

#[tokio::test]
async fn files_go_in_and_come_out() -> Result<()> {
    let bench = Bench::with_tables().await?;
    let folder = bench.write("sent", &[("Load cases v1.2.CSV", "gust,2\ncruise,3\n"), ("loads.txt", "gust,2\n")])?;
    let call = async |port: &str, name: &str, payload: &str, exit| {
        let file = format!("{port}={}", path_text(&folder.join(name))?);
        bench.client(&["call", "default/tables:1.2.0", "scale", payload, "--file", &file], exit).await
    };
    let called = call("table", "Load cases v1.2.CSV", r#"{"factor": 1.5}"#, COMPLETED).await?;
    let expected = json!({
        "scaled": "scaled.csv", "name": "table.csv", "rows": 2,
        "_output_files": {"scaled": "Z3VzdCwzLjAKY3J1aXNlLDQuNQo="},
    });
    ensure!(called == expected, "{called}");
    let rows = [
        ("table", "loads.txt", r#"{"factor": 1.5}"#, "/file_inputs/table: "),
        ("table", "Load cases v1.2.CSV", r#"{"factor": "x"}"#, "/payload/factor: "),
        ("table", "Load cases v1.2.CSV", "{}", "/payload/factor: "),
        ("factor", "loads.txt", "{}", "/var_name: "),
        ("tabel", "loads.txt", "{}", "files are taken by table"),
    ];
    for (port, name, payload, words) in rows {
        let refused = call(port, name, payload, REFUSED).await?;
        let detail = refused.pointer("/detail").and_then(Value::as_str).unwrap_or_default();
        ensure!(refused.pointer("/status") == Some(&json!(422)) && detail.contains(words), "{words}: {refused}");
    }
    let nobodys = json!({"payload": {"factor": 2}, "file_inputs": {"table": NOBODYS_ID}});
    let path = "/packages/default~tables~1.2.0/functions/scale/execute";
    bench.server.post(path, &nobodys).await?.expect_fault("/file_inputs/table")?;
    // Of a form that is refused nothing is kept.
    let uploads = bench.server.get("/v1/uploads").await?.expect(200)?.at("/uploads")?;
    ensure!(uploads.as_array().map(Vec::len) == Some(4), "{uploads}");
    Ok(())
}

#[tokio::test]
async fn files_that_are_too_large_for_an_answer_are_fetched_otherwise() -> Result<()> {
    let bench = Bench::with_tables().await?;
    let small = bench.client(&["call", "default/tables", "fill", r#"{"mebibytes": 1}"#], COMPLETED).await?;
    let filled = small.pointer("/_output_files/filled").and_then(Value::as_str).context("no file")?;
    ensure!(filled.len() == (1_usize << 20).div_ceil(3) * 4, "{}", filled.len());
    let id = bench.start("fill", json!({ "mebibytes": LARGE_MIB })).await?;
    let refused = bench.client(&["wait", &id], REFUSED).await?;
    let detail = refused.pointer("/detail").and_then(Value::as_str).unwrap_or_default();
    let advice = format!("GET /v1/tasks/{id}/artifacts");
    ensure!(refused.pointer("/status") == Some(&json!(422)) && detail.contains(&advice), "{refused}");
    let artifacts = bench.server.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?;
    ensure!(artifacts.at("/0/size_bytes")? == json!(LARGE_MIB << 20), "{}", artifacts.text());
    Ok(())
}

#[tokio::test]
async fn a_pin_is_kept_after_the_look_up() -> Result<()> {
    let bench = Bench::new().await?;
    for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
        let manifest = format!(
            "version: \"1\"\npackage: {{name: pinned, version: {version}}}\nruntime: {{kind: python}}\n\
             functions:\n  version: {{handler: pinned:version}}\n"
        );
        let source = format!("{PINNED}\n\nVERSION = '{version}'\n");
        let folder = bench.write("pinned", &[("mecapy.yml", &manifest), ("pinned.py", &source)])?;
        bench.client(&["publish", path_text(&folder)?], COMPLETED).await?;
        let refused = bench.client(&["publish", path_text(&folder)?], REFUSED).await?;
        ensure!(refused.pointer("/status") == Some(&json!(409)), "{refused}");
    }
    for (pin, version) in [("", "1.1.0"), (":1.0.0", "1.0.0"), (":1.1.0", "1.1.0"), (":2.0.0-rc.1", "2.0.0-rc.1")] {
        let called = bench.client(&["call", &format!("default/pinned{pin}"), "version", "{}"], COMPLETED).await?;
        ensure!(called == json!({"result": version}), "{pin}: {called}");
    }
    let rows = [
        ("default/pinned:3.0.0", 404, "1.0.0"),
        ("default/pinned:1.0", 422, "did you mean 1.0.0?"),
        ("default/pined", 404, "no such package"),
        ("nobody/pinned", 404, "no such package"),
        ("Default/pinned", 404, "no such package"),
    ];
    for (reference, status, words) in rows {
        let refused = bench.client(&["load", reference], REFUSED).await?;
        let detail = refused.pointer("/detail").and_then(Value::as_str).unwrap_or_default();
        ensure!(refused.pointer("/status") == Some(&json!(status)) && detail.contains(words), "{reference}: {refused}");
    }
    let refused = bench.client(&["call", "default/pinned", "versoin", "{}"], REFUSED).await?;
    let detail = refused.pointer("/detail").and_then(Value::as_str).unwrap_or_default();
    ensure!(refused.pointer("/status") == Some(&json!(404)) && detail.contains("did you mean version?"), "{refused}");
    let listed = bench.server.get("/packages?page=1&per_page=1").await?.expect(200)?;
    ensure!(listed.str_at("/packages/0/package_id")? == "default~pinned~1.1.0", "{}", listed.text());
    ensure!(listed.at("/has_next")? == json!(false));
    ensure!(bench.server.get("/packages?page=2&per_page=1").await?.expect(200)?.at("/packages")? == json!([]));
    bench.server.get("/packages?page=0").await?.expect_fault("/page")?;
    Ok(())
}

#[tokio::test]
async fn jobs_end_as_completed_or_failed_and_in_no_other_way() -> Result<()> {
    let bench = Bench::with_tables().await?;
    let squares = bench.client(&["call", "default/tables", "squares", r#"{"count": 4}"#], COMPLETED).await?;
    ensure!(squares == json!({"result": [0, 1, 4, 9]}), "{squares}");
    let failed = bench.client(&["call", "default/tables", "fail", "{}"], REFUSED).await?;
    ensure!(
        failed.pointer("/failed").and_then(Value::as_str).is_some_and(|said| said.contains("no diameter")),
        "{failed}"
    );

    let dozing = bench.start("doze", json!({"seconds": 600})).await?;
    let path = format!("/jobs/{dozing}/result");
    bench.server.until_state(&dozing, "running").await?;
    bench.server.get(&path).await?.expect_problem(409)?;
    bench.server.post(&format!("/v1/tasks/{dozing}/cancel"), &json!({})).await?.expect(202)?;
    let cancelled = bench.client(&["wait", &dozing], REFUSED).await?;
    ensure!(cancelled.pointer("/failed").is_some_and(Value::is_string), "{cancelled}");
    ensure!(bench.server.get(&path).await?.expect(200)?.str_at("/error_kind")? == "cancelled");

    let code = json!({"function": "default/tables#doze"});
    let late = json!({"code": code, "inputs": {"seconds": 600}, "limits": {"timeout_ms": 200}});
    let late = bench.server.submit(&late).await?;
    bench.client(&["wait", &late], REFUSED).await?;
    let mut long = json!({"code": code, "inputs": {"seconds": 3}});
    merge(&mut long, json!({"name": "a nap"}));
    let long = bench.server.submit(&long).await?;
    ensure!(bench.client(&["wait", &long], COMPLETED).await? == json!({"result": "awake"}));

    let jobs = bench.server.get("/jobs?limit=3").await?.expect(200)?;
    ensure!(jobs.at("/total")? == json!(5) && jobs.at("/jobs")?.as_array().map(Vec::len) == Some(3), "{}", jobs.text());
    ensure!(jobs.str_at("/jobs/0/name")? == "a nap" && jobs.str_at("/jobs/0/status")? == "completed");
    ensure!(jobs.str_at("/jobs/0/function")? == "default/tables@1.2.0#doze", "{}", jobs.text());
    for id in [&dozing, &late] {
        let job = bench.server.get(&format!("/jobs/{id}")).await?.expect(200)?;
        ensure!(job.str_at("/status")? == "failed" && job.at("/error")?.is_string(), "{}", job.text());
    }
    for path in ["/jobs", "/jobs/{}", "/jobs/{}/result", "/jobs/{}/logs"].map(|path| path.replace("{}", NOBODYS_ID)) {
        let status = if path == "/jobs" { 200 } else { 404 };
        ensure!(bench.server.get(&path).await?.status == status, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_jobs_log_is_read_piece_by_piece() -> Result<()> {
    let bench = Bench::with_tables().await?;
    let id = bench.start("squares", json!({"count": 2})).await?;
    bench.client(&["wait", &id], COMPLETED).await?;
    let logs = until("the log is whole", Duration::from_secs(20), || async {
        let logs = bench.server.get(&format!("/jobs/{id}/logs?since=0")).await?.expect(200)?;
        Ok((logs.at("/done")? == json!(true)).then_some(logs))
    })
    .await?;
    ensure!(logs.str_at("/job_id")? == id && logs.str_at("/entries/0/kind")? == "stdout", "{}", logs.text());
    ensure!(logs.str_at("/entries/0/chunk")? == "squaring\n", "{}", logs.text());
    let next = logs.at("/next_index")?;
    let rest = bench.server.get(&format!("/jobs/{id}/logs?since={next}")).await?.expect(200)?;
    ensure!(rest.at("/entries")? == json!([]) && rest.at("/done")? == json!(true), "{}", rest.text());
    Ok(())
}

#[tokio::test]
async fn an_archive_is_kept_as_an_upload() -> Result<()> {
    let bench = Bench::new().await?;
    let archive = bench.folder.path().join("joint.zip");
    // The end of a zip without entries.
    let bytes = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    fs::write(&archive, &bytes)?;
    let kept = bench.client(&["archive", path_text(&archive)?], COMPLETED).await?;
    let at = |pointer: &str| kept.pointer(pointer).cloned().unwrap_or_default();
    ensure!(at("/md5") == json!("76cdb2bad9582d23c1f6f4d868218d6c") && at("/size") == json!(22), "{kept}");
    ensure!(at("/original_filename") == json!("joint.zip"), "{kept}");
    let id = at("/upload_id").as_str().map(str::to_owned).context("no id")?;
    bench.server.get(&format!("/v1/uploads/{id}")).await?.expect(200)?;
    for (name, bytes) in [("joint.tar", bytes.as_slice()), ("joint.zip", b"no zip")] {
        let form =
            multipart::Form::new().part("file", multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned()));
        let request = bench.server.request(Method::POST, "/upload/archive").multipart(form);
        bench.server.send(request).await?.expect_fault("/file")?;
    }
    ensure!(bench.server.get("/v1/uploads").await?.at("/uploads")?.as_array().map(Vec::len) == Some(1));
    Ok(())
}

#[tokio::test]
async fn what_is_no_workflow_is_absent() -> Result<()> {
    let bench = Bench::new().await?;
    let refused = bench.client(&["workflow", NOBODYS_ID, r#"{"d": 12}"#], REFUSED).await?;
    ensure!(refused.pointer("/status") == Some(&json!(404)), "{refused}");
    let server = &bench.server;
    server.get(&format!("/workflow-runs/{NOBODYS_ID}")).await?.expect_problem(404)?;
    server
        .send(server.request(Method::POST, &format!("/workflow-runs/{NOBODYS_ID}/tick")))
        .await?
        .expect_problem(404)?;
    server.get("/registry/lookup/workflow?owner=a&slug=b").await?.expect_problem(404)?;
    Ok(())
}

#[tokio::test]
async fn types_are_listed_and_ports_compared() -> Result<()> {
    let bench = Bench::new().await?;
    let types = bench.server.get("/types/catalog").await?.expect(200)?.at("/types")?;
    ensure!(types.as_array().is_some_and(|types| types.len() > 30), "{types}");
    let rows = [
        (json!("Length"), json!("Length"), "exact"),
        (json!({"type": "Length", "unit": "mm"}), json!({"type": "Length", "unit": "in"}), "convertible"),
        (json!("list[Force]"), json!("Force"), "incompatible"),
    ];
    for (source, target, compatibility) in rows {
        let ports = json!({"source": source, "target": target});
        let answer = bench.server.post("/types/check-connection", &ports).await?.expect(200)?;
        ensure!(answer.str_at("/compatibility")? == compatibility && answer.at("/reason")?.is_string(), "{ports}");
    }
    bench.server.post("/types/check-connection", &json!({"source": "Force"})).await?.expect_fault("/target")?;
    Ok(())
}

/// The SDK's operations in the server's document, each with its path.
async fn operations(server: &Server) -> Result<Vec<(Method, String)>> {
    let document = server.send(server.anonymous(Method::GET, "/openapi.json")).await?.expect(200)?.json()?;
    let paths = document.pointer("/paths").and_then(Value::as_object).context("no paths")?;
    let mut found = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().context("no methods")? {
            if operation.get("tags") == Some(&json!(["Compatibility"])) {
                found.push((method.to_uppercase().parse()?, path.clone()));
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_route_of_the_contract_is_there_and_needs_a_token() -> Result<()> {
    let server = Server::start().await?;
    let found = operations(&server).await?;
    let function = "/packages/{package_id}/functions/{function}";
    let wanted = [
        (Method::GET, "/auth/me".to_owned()),
        (Method::GET, "/auth/protected".into()),
        (Method::GET, "/auth/admin".into()),
        (Method::GET, "/registry/lookup/workflow".into()),
        (Method::GET, "/registry/lookup/package".into()),
        (Method::POST, format!("{function}/uploads")),
        (Method::POST, format!("{function}/execute")),
        (Method::GET, "/jobs".into()),
        (Method::GET, "/jobs/{id}".into()),
        (Method::GET, "/jobs/{id}/result".into()),
        (Method::GET, "/jobs/{id}/logs".into()),
        (Method::POST, "/workflows/{id}/runs".into()),
        (Method::GET, "/workflow-runs/{id}".into()),
        (Method::POST, "/workflow-runs/{id}/tick".into()),
        (Method::POST, "/upload/archive".into()),
        (Method::GET, "/packages".into()),
        (Method::POST, "/packages/from-zip".into()),
        (Method::GET, "/types/catalog".into()),
        (Method::POST, "/types/check-connection".into()),
    ];
    for operation in &wanted {
        ensure!(found.contains(operation), "{operation:?} is missing in {found:?}");
    }
    ensure!(found.len() == wanted.len(), "{found:?}");
    for (method, path) in found {
        server.send(server.anonymous(method, &path)).await?.expect_problem(401).context(path)?;
    }
    Ok(())
}

#[tokio::test]
async fn security_27_anothers_packages_and_jobs_are_as_good_as_none() -> Result<()> {
    let bench = Bench::with_tables().await?;
    let server = &bench.server;
    let theirs = Company::on(server, "globex").await?;
    let id = bench.start("squares", json!({"count": 2})).await?;
    bench.client(&["wait", &id], COMPLETED).await?;
    let anothers = bench.client_of(&theirs.key, &["load", "default/tables"], REFUSED).await?;
    let nobodys = bench.client_of(&theirs.key, &["load", "default/nothing"], REFUSED).await?;
    ensure!(anothers == nobodys && anothers.pointer("/status") == Some(&json!(404)), "{anothers} {nobodys}");
    let mut asked = 0;
    for (method, pattern) in operations(server).await?.into_iter().filter(|(_, path)| path.contains('{')) {
        let of = |job: &str, package: &str| {
            pattern.replace("{id}", job).replace("{package_id}", package).replace("{function}", "squares")
        };
        // A tick takes no body; what a start takes is read once its workflow is found.
        let takes_body = method == Method::POST && !pattern.ends_with("/tick");
        let body = takes_body.then(|| json!({"payload": {}}));
        let anothers = of(&id, "default~tables~1.2.0");
        let anothers = theirs.send(server, method.clone(), &anothers, body.as_ref()).await?.expect_problem(404)?;
        for package in ["default~nothing~1.2.0", "nonsense"] {
            let nobodys = theirs.send(server, method.clone(), &of(NOBODYS_ID, package), body.as_ref()).await?;
            ensure!(anothers.text() == nobodys.text(), "{pattern}: {} {}", anothers.text(), nobodys.text());
        }
        asked += 1;
    }
    ensure!(asked == 8, "{asked} operations take an id");
    let listed = theirs.get(server, "/jobs").await?.expect(200)?;
    ensure!(listed.json()? == json!({"jobs": [], "total": 0}), "{}", listed.text());
    ensure!(theirs.get(server, "/packages").await?.expect(200)?.at("/packages")? == json!([]));
    Ok(())
}

#[tokio::test]
async fn who_may_only_read_starts_and_publishes_nothing() -> Result<()> {
    let bench = Bench::with_tables().await?;
    let viewer = json!({"name": "reader", "role": "viewer"});
    let key = bench.server.post("/v1/api-keys", &viewer).await?.expect(201)?.str_at("/key")?;
    let folder = bench.folder.path().join("tables");
    bench.client_of(&key, &["load", "default/tables"], COMPLETED).await?;
    for arguments in [&["call", "default/tables", "squares", "{}"][..], &["publish", path_text(&folder)?]] {
        let refused = bench.client_of(&key, arguments, REFUSED).await?;
        ensure!(refused.pointer("/status") == Some(&json!(403)), "{refused}");
    }
    Ok(())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("the temporary folder is not UTF-8")
}
