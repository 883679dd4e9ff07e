//! Versions of packages and who may see, call and change them, and that no call leaves a trace for the next.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Company, Server, call, manifest, merge, zip_of};
use reqwest::Method;
use serde_json::{Value, json};

const WHICH: &str = "  which:\n    handler: calc:which\n    outputs: {result: Integer}\n";

/// Its only function answers `number`.
async fn publish_which(server: &Server, version: &str, number: u32) -> Result<()> {
    let source = format!("def which():\n    return {number}\n");
    server.publish_calc(&format!("rods@{version}"), WHICH, &source).await.map(drop)
}

async fn answers(server: &Server, reference: &str, number: u32) -> Result<()> {
    for answer in server.both(&call(reference, json!({}))).await.with_context(|| reference.to_owned())? {
        answer.expect_result(&json!({"result": number})).with_context(|| reference.to_owned())?;
    }
    Ok(())
}

/// What a call of it is told, as a preview and as a task.
async fn is_missing(server: &Server, reference: &str, words: &str) -> Result<()> {
    for path in ["/v1/preview", "/v1/tasks"] {
        let answer = server.post(path, &call(reference, json!({}))).await?;
        let fault = answer.expect_fault_code("/code/function", "unknown_function");
        let fault = fault.with_context(|| reference.to_owned())?;
        let message = fault.get("message").context("the fault has no message")?.to_string();
        ensure!(message.contains(words), "{reference}: {message} does not say {words:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_newest_version_is_meant_and_older_ones_stay() -> Result<()> {
    let server = Server::start().await?;
    for (version, number) in [("1.10.0", 110), ("1.9.0", 19), ("2.0.0-rc.1", 2)] {
        publish_which(&server, version, number).await?;
    }
    // By the numbers: neither the last that was published, nor the last by its letters, nor one before its release.
    for (reference, number) in [
        ("default/rods#which", 110),
        ("default/rods@1.9.0#which", 19),
        ("default/rods:1.9.0#which", 19),
        ("default/rods@2.0.0-rc.1#which", 2),
    ] {
        answers(&server, reference, number).await?;
    }
    let package = server.get("/v1/packages/default/rods").await?.expect(200)?;
    ensure!(package.str_at("/latest_version")? == "1.10.0", "{}", package.text());
    let versions = package.at("/versions")?;
    let versions: Vec<_> =
        versions.as_array().into_iter().flatten().map(|version| version["version"].clone()).collect();
    ensure!(versions == ["2.0.0-rc.1", "1.10.0", "1.9.0"].map(Value::from), "{versions:?}");
    publish_which(&server, "2.0.0", 200).await?;
    answers(&server, "default/rods#which", 200).await?;
    for (reference, words) in [
        ("default/rods@1.2.3#which", "has no version 1.2.3: it has "),
        ("default/rods#wich", "did you mean which?"),
        ("default/rods#other", "it has which"),
        ("default/ropes#which", "there is no package default/ropes"),
    ] {
        is_missing(&server, reference, words).await?;
    }
    for reference in
        ["default/rods", "rods#which", "default/rods@1.2#which", "default/rods@latest#which", "Default/rods#which"]
    {
        let answer = server.preview(&call(reference, json!({}))).await?;
        answer.expect_fault_code("/code/function", "invalid").context(reference)?;
    }
    let mut more = call("default/rods#which", json!({}));
    merge(&mut more, json!({"code": {"function": "default/rods#which", "entry": "which"}}));
    server.preview(&more).await?.expect_fault("/code/entry")?;
    Ok(())
}

#[tokio::test]
async fn a_yanked_version_is_called_by_its_exact_name_alone() -> Result<()> {
    let server = Server::start().await?;
    publish_which(&server, "1.0.0", 1).await?;
    publish_which(&server, "1.1.0", 2).await?;
    answers(&server, "default/rods#which", 2).await?;
    let version = |version: &str, what: &str| format!("/v1/packages/default/rods/versions/{version}{what}");
    let yanked = server.post(&version("1.1.0", "/yank"), &json!({"reason": "wrong table"})).await?.expect(200)?;
    ensure!(yanked.str_at("/yank_reason")? == "wrong table" && yanked.at("/yanked_at")?.is_string());
    answers(&server, "default/rods#which", 1).await?;
    answers(&server, "default/rods@1.1.0#which", 2).await?;
    ensure!(server.get("/v1/functions").await?.str_at("/functions/0/version")? == "1.0.0");
    // Once more changes nothing, not even the reason.
    let again = server.post(&version("1.1.0", "/yank"), &json!({"reason": "other"})).await?.expect(200)?;
    ensure!(again.at("/yanked_at")? == yanked.at("/yanked_at")? && again.str_at("/yank_reason")? == "wrong table");
    server.post(&version("1.0.0", "/yank"), &json!({})).await?.expect(200)?;
    is_missing(&server, "default/rods#which", "every version of default/rods is yanked").await?;
    ensure!(server.get("/v1/packages/default/rods").await?.at("/latest_version")?.is_null());
    ensure!(server.get("/v1/functions").await?.at("/functions")? == json!([]));
    server.get("/v1/functions/default/rods/which").await?.expect_problem(404)?;
    server.get("/v1/functions/default/rods/which?version=1.0.0").await?.expect(200)?;
    answers(&server, "default/rods@1.0.0#which", 1).await?;
    // A version that was taken back is no free one.
    server
        .publish(
            zip_of(&[
                ("mecapy.yml", manifest("rods@1.1.0", WHICH).as_bytes()),
                ("calc.py", b"def which():\n    return 3\n"),
            ])?,
            "",
        )
        .await?
        .expect_problem(409)?;
    server.send(server.request(Method::POST, &version("1.1.0", "/unyank"))).await?.expect(200)?;
    answers(&server, "default/rods#which", 2).await?;
    for (body, pointer) in [
        (json!({"reason": 5}), "/reason"),
        (json!({"reason": "x".repeat(501)}), "/reason"),
        (json!({"by": "me"}), "/by"),
    ] {
        server.post(&version("1.1.0", "/yank"), &body).await?.expect_fault(pointer)?;
    }
    server.post(&version("9.9.9", "/yank"), &json!({})).await?.expect_problem(404)?;
    let log = server.get("/v1/audit?limit=4").await?.expect(200)?.at("/entries")?;
    let actions: Vec<_> = log.as_array().into_iter().flatten().map(|entry| entry["action"].clone()).collect();
    let expected = ["package.unyanked", "package.yanked", "package.yanked", "package.published"].map(Value::from);
    ensure!(actions == expected, "{log}");
    Ok(())
}

#[tokio::test]
async fn a_task_keeps_its_version_and_is_found_by_its_function() -> Result<()> {
    let server = Server::start().await?;
    publish_which(&server, "1.0.0", 1).await?;
    let body = call("default/rods#which", json!({}));
    let accepted = server.post("/v1/tasks", &body).await?.expect(202)?;
    ensure!(accepted.str_at("/code/function")? == "default/rods@1.0.0#which", "{}", accepted.text());
    let first = accepted.str_at("/id")?;
    server.result(&first).await?.expect_result(&json!({"result": 1}))?;
    publish_which(&server, "2.0.0", 2).await?;
    let retried = server.post(&format!("/v1/tasks/{first}/retry"), &json!({})).await?.expect(202)?;
    ensure!(retried.str_at("/retry_of")? == first, "{}", retried.text());
    ensure!(retried.str_at("/code/function")? == "default/rods@1.0.0#which", "{}", retried.text());
    server.result(&retried.str_at("/id")?).await?.expect_result(&json!({"result": 1}))?;
    let second = server.submit(&body).await?;
    server.result(&second).await?.expect_result(&json!({"result": 2}))?;
    ensure!(server.task(&second).await?.str_at("/code/function")? == "default/rods@2.0.0#which");
    for (query, count) in [
        ("function=default/rods%23which", 3),
        ("function=default/rods@1.0.0%23which", 3),
        ("function=default/rods%23other", 0),
        ("function=default/rod%23which", 0),
        ("function=", 3),
        ("function=default/rods%23which&state=failed", 0),
    ] {
        let found = server.get(&format!("/v1/tasks?{query}")).await?.expect(200)?.at("/tasks")?;
        ensure!(found.as_array().map(Vec::len) == Some(count), "{query}: {found}");
    }
    for query in ["function=which", "function=default/rods", "function=%27%20OR%201=1"] {
        server.get(&format!("/v1/tasks?{query}")).await?.expect_fault("/function").context(query)?;
    }
    Ok(())
}

const COUNT: &str = "  count:\n    handler: calc:count\n";
const COUNT_SOURCE: &str = "\
import math
from pathlib import Path

calls = 0
kept = []

def count():
    global calls
    calls += 1
    kept.append(calls)
    seen = [Path('/tmp/seen').exists(), Path('/work/out/seen').exists(), math.e]
    Path('/tmp/seen').write_text('x')
    Path('/work/out/seen').write_text('x')
    math.e = 3.0
    return {'calls': calls, 'kept': len(kept), 'seen': seen}
";

#[tokio::test]
async fn no_call_leaves_anything_for_the_next() -> Result<()> {
    let server = Server::start().await?;
    server.publish_calc("counts@1.0.0", COUNT, COUNT_SOURCE).await?;
    // Another package with a module of the same name.
    server.publish_calc("others@1.0.0", COUNT, &COUNT_SOURCE.replace("calls = 0", "calls = 100")).await?;
    for round in 0..4 {
        for (package, calls) in [("counts", 1), ("others", 101)] {
            for answer in server.both(&call(&format!("default/{package}#count"), json!({}))).await? {
                let result = answer.expect_completed()?.at("/result")?;
                let expected = json!({"calls": calls, "kept": 1, "seen": [false, false, std::f64::consts::E]});
                ensure!(result == expected, "{package}, round {round}: {result}");
            }
        }
    }
    // Inline source sees none of it.
    let inline = server.python("import sys\nresult = ['calc' in sys.modules, __import__('math').e == 3.0]").await?;
    inline.expect_result(&json!({"result": [false, false]}))?;
    Ok(())
}

/// Answers the first argument that it is called with.
const ARGUMENT: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "{\"function\":\"")
  (data (i32.const 1040) "\"}")
  (func (export "_start")
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $args_get (i32.const 8) (i32.const 64)))
    (i32.store (i32.const 512) (i32.const 1024))
    (i32.store (i32.const 516) (i32.const 13))
    (i32.store (i32.const 520) (i32.load (i32.const 12)))
    (i32.store (i32.const 524)
      (i32.sub (i32.add (i32.load (i32.const 4)) (i32.const 63)) (i32.load (i32.const 12))))
    (i32.store (i32.const 528) (i32.const 1040))
    (i32.store (i32.const 532) (i32.const 2))
    (drop (call $fd_write (i32.const 1) (i32.const 512) (i32.const 3) (i32.const 540)))))"#;

#[tokio::test]
async fn a_module_is_told_which_of_its_functions_is_called() -> Result<()> {
    let server = Server::start().await?;
    let functions = "  first: {inputs: {}, outputs: {function: String}}\n  second:\n    handler: beam:other\n";
    let text = manifest("beams@1.0.0", functions).replace("kind: python", "kind: wasm\n  module: lib/beam.wasm");
    let module = wat::parse_str(ARGUMENT)?;
    server.publish(zip_of(&[("mecapy.yml", text.as_bytes()), ("lib/beam.wasm", &module)])?, "").await?.expect(201)?;
    for (function, told) in [("first", "first"), ("second", "other")] {
        for answer in server.both(&call(&format!("default/beams#{function}"), json!({}))).await? {
            answer.expect_result(&json!({"function": told}))?;
        }
    }
    server.preview(&call("default/beams#first", json!({"x": 1}))).await?.expect_fault("/inputs/x")?;
    Ok(())
}

/// A tenant whose author has published one package of each visibility, and those who look at them.
struct Onlookers {
    server: Server,
    author: Company,
    colleague: Company,
    admin: Company,
    stranger: Company,
}

const VISIBILITIES: [&str; 3] = ["private", "internal", "public"];

impl Onlookers {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let admin = Company::on(&server, "acme").await?;
        let stranger = Company::on(&server, "globex").await?;
        let (author, colleague) =
            (admin.colleague(&server, "ann", "author").await?, admin.colleague(&server, "bob", "author").await?);
        let all = Self { server, author, colleague, admin, stranger };
        for visibility in VISIBILITIES {
            all.author.publish(&all.server, all.zip(visibility, "1.0.0")?, "").await?.expect(201)?;
        }
        Ok(all)
    }

    fn zip(&self, visibility: &str, version: &str) -> Result<Vec<u8>> {
        let text = manifest(&format!("{visibility}-rods@{version}"), WHICH)
            .replace("visibility: internal", &format!("visibility: {visibility}"));
        zip_of(&[("mecapy.yml", text.as_bytes()), ("calc.py", b"def which():\n    return 1\n")])
    }

    /// Whether `who` sees the package, which must be the same wherever one can look.
    async fn check(&self, who: &Company, visibility: &str, sees: bool) -> Result<()> {
        let (server, name) = (&self.server, format!("{visibility}-rods"));
        let paths = [
            format!("/v1/packages/acme/{name}"),
            format!("/v1/packages/acme/{name}/versions/1.0.0"),
            format!("/v1/packages/acme/{name}/versions/1.0.0/archive"),
            format!("/v1/functions/acme/{name}/which"),
            format!("/v1/functions/acme/{name}/which?version=1.0.0"),
        ];
        for path in paths {
            let answer = who.get(server, &path).await?;
            match sees {
                true => drop(answer.expect(200).context(path)?),
                false => {
                    let absent = who.get(server, &path.replace(&name, "no-rods")).await?;
                    ensure!(answer.expect_problem(404).context(path)?.text() == absent.text());
                }
            }
        }
        for list in ["/v1/packages", "/v1/functions", "/v1/packages?q=rods", "/v1/functions?q=acme"] {
            let text = who.get(server, list).await?.expect(200)?.text();
            ensure!(text.contains(&name) == sees, "{list}: {text}");
        }
        for reference in [format!("acme/{name}#which"), format!("acme/{name}@1.0.0#which")] {
            let preview = who.post(server, "/v1/preview", &call(&reference, json!({}))).await?;
            let task = who.post(server, "/v1/tasks", &call(&reference, json!({}))).await?;
            match sees {
                true => {
                    preview.expect_result(&json!({"result": 1}))?;
                    let id = task.expect(202)?.str_at("/id")?;
                    who.result(server, &id).await?.expect_result(&json!({"result": 1}))?;
                }
                false => {
                    let absent = call(&reference.replace(&name, "no-rods"), json!({}));
                    let absent = who.post(server, "/v1/preview", &absent).await?.expect_problem(422)?.text();
                    for answer in [preview, task] {
                        let told = answer.expect_problem(422)?.text().replace(&name, "no-rods");
                        ensure!(told == absent, "{told} instead of {absent}");
                    }
                }
            }
        }
        Ok(())
    }
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[tokio::test]
async fn a_package_is_seen_by_those_whom_its_visibility_lets() -> Result<()> {
    let all = Onlookers::new().await?;
    for (visibility, [author, colleague, admin, stranger]) in [
        ("private", [true, false, true, false]),
        ("internal", [true, true, true, false]),
        ("public", [true, true, true, true]),
    ] {
        for (who, company, sees) in [
            ("author", &all.author, author),
            ("colleague", &all.colleague, colleague),
            ("admin", &all.admin, admin),
            ("stranger", &all.stranger, stranger),
        ] {
            all.check(company, visibility, sees).await.with_context(|| format!("{who}, {visibility}"))?;
        }
    }
    // The operators are a tenant like others here.
    let text = all.server.get("/v1/packages").await?.expect(200)?.text();
    ensure!(text.contains("public-rods") && !text.contains("internal-rods"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_package_is_changed_by_its_maintainers_and_administrators_alone() -> Result<()> {
    let all = Onlookers::new().await?;
    let server = &all.server;
    for (visibility, who, yank, publish) in [
        ("private", &all.colleague, 404, 403),
        ("internal", &all.colleague, 403, 403),
        ("public", &all.colleague, 403, 403),
        ("private", &all.stranger, 404, 422),
        ("internal", &all.stranger, 404, 422),
        ("public", &all.stranger, 403, 422),
    ] {
        let path = format!("/v1/packages/acme/{visibility}-rods");
        let maintainers = json!({"maintainers": [{"id": who.id, "name": "me"}]});
        let answers = [
            who.post(server, &format!("{path}/versions/1.0.0/yank"), &json!({})).await?,
            who.send(server, Method::POST, &format!("{path}/versions/1.0.0/unyank"), None).await?,
            who.send(server, Method::PUT, &format!("{path}/maintainers"), Some(&maintainers)).await?,
            who.publish(server, all.zip(visibility, "1.0.1")?, "?owner=acme").await?,
        ];
        ensure!(statuses(&answers) == [yank, yank, yank, publish], "{visibility}: {answers:?}");
    }
    all.admin.publish(server, all.zip("private", "1.1.0")?, "").await?.expect(201)?;
    all.author.post(server, "/v1/packages/acme/private-rods/versions/1.1.0/yank", &json!({})).await?.expect(200)?;
    // Whom the author names in its own place sees it, and the author no more.
    let path = "/v1/packages/acme/private-rods/maintainers";
    let bob = json!({"maintainers": [{"id": all.colleague.id, "name": "Bob"}]});
    let changed = all.author.send(server, Method::PUT, path, Some(&bob)).await?.expect(200)?;
    ensure!(changed.at("/maintainers")? == bob["maintainers"], "{}", changed.text());
    all.check(&all.colleague, "private", true).await?;
    all.check(&all.author, "private", false).await?;
    for (body, pointer) in [
        (json!({}), "/maintainers"),
        (json!({"maintainers": []}), "/maintainers"),
        (json!({"maintainers": [{"id": "x", "name": "x"}]}), "/maintainers/0/id"),
        (json!({"maintainers": [{"id": all.author.id}]}), "/maintainers/0"),
        (json!({"maintainers": "bob"}), "/maintainers"),
        (json!({"maintainers": bob["maintainers"], "tenant_id": "x"}), "/tenant_id"),
    ] {
        let answer = all.colleague.send(server, Method::PUT, path, Some(&body)).await?;
        answer.expect_fault(pointer).with_context(|| body.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn roles_say_who_publishes_and_who_calls() -> Result<()> {
    let all = Onlookers::new().await?;
    let (server, which) = (&all.server, call("acme/public-rods#which", json!({})));
    for (role, publishes, calls) in [("author", 200, 200), ("engineer", 403, 200), ("viewer", 403, 403)] {
        let who = all.admin.colleague(server, role, role).await?;
        // A package of its own: of another's it may not publish a version, whatever its role.
        let text = manifest(&format!("rods-of-{role}@1.0.0"), WHICH);
        let own = zip_of(&[("mecapy.yml", text.as_bytes()), ("calc.py", b"def which():\n    return 1\n")])?;
        let answers = [
            who.publish(server, own, "?check=true").await?,
            who.post(server, "/v1/preview", &which).await?,
            who.get(server, "/v1/functions/acme/public-rods/which").await?,
            who.get(server, "/v1/packages/acme/public-rods/versions/1.0.0/archive").await?,
            who.get(server, "/v1/types").await?,
        ];
        ensure!(statuses(&answers) == [publishes, calls, 200, 200, 200], "{role}: {answers:?}");
    }
    let engineer = all.admin.colleague(server, "eve", "engineer").await?;
    for what in ["yank", "unyank"] {
        let path = format!("/v1/packages/acme/public-rods/versions/1.0.0/{what}");
        engineer.send(server, Method::POST, &path, None).await?.expect_problem(403)?;
    }
    Ok(())
}
