//! Tenants, their keys and what they must not know of one another.

use anyhow::{Context, Result, bail, ensure};
use mecapy_tests::{
    Answer, Company, Server, ServerOptions, call, guest, in_days, manifest, merge, python, until, wasm, zip_of,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// A well-formed id that nothing has.
const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";
const NOBODYS_MODULE: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
/// A package of the tenant `acme`, which it alone sees, and one that nobody has.
const PACKAGE: &str = "acme/rods-of-acme";
const NOBODYS_PACKAGE: &str = "acme/rods-of-nobody";
const MODULE: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// A server that sends no webhook anywhere, but takes their URLs.
async fn server() -> Result<Server> {
    let variables = [("MECAPY_WEBHOOK_ALLOW", "127.0.0.1"), ("MECAPY_WEBHOOK_ALLOW_HTTP", "true")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Server::with(ServerOptions { variables, ..ServerOptions::default() }).await
}

/// What a tenant has, by the path of its noun.
struct Things {
    /// The noun's path, its ids, and one that nobody has.
    nouns: Vec<(&'static str, Vec<String>, &'static str)>,
    /// A delivery of its webhook.
    delivery: String,
}

impl Things {
    async fn of(company: &Company, server: &Server) -> Result<Self> {
        let ended = company.submit(server, &python("result = 1")).await?;
        company.result(server, &ended).await?.expect_completed()?;
        let mut later = python("result = 2");
        merge(&mut later, json!({"run_at": in_days(30)?}));
        let queued = company.submit(server, &later).await?;
        let complete = company.upload(server, b"mesh".to_vec()).await?.expect(201)?.str_at("/upload_id")?;
        let awaited = company.post(server, "/v1/uploads", &json!({})).await?.expect(201)?.str_at("/upload_id")?;
        let module = company.module(server, MODULE).await?.expect(201)?.str_at("/module")?;
        let key = company.post(server, "/v1/api-keys", &json!({"name": "ci"})).await?.expect(201)?.str_at("/id")?;
        // Nothing listens there.
        let webhook = json!({"url": "http://127.0.0.1:49151/hook", "events": ["task.completed"]});
        let webhook = company.post(server, "/v1/webhooks", &webhook).await?.expect(201)?.str_at("/id")?;
        let sent = company.post(server, &format!("/v1/webhooks/{webhook}/test"), &json!({})).await?.expect(202)?;
        let package = manifest("rods-of-acme@1.0.0", "  rod:\n    handler: calc:rod\n");
        let package = zip_of(&[("mecapy.yml", package.as_bytes()), ("calc.py", b"def rod():\n    return 1\n")])?;
        company.publish(server, package, "?owner=acme").await?.expect(201)?;
        let code = json!({"language": "python", "source": "result = 1"});
        let batch = json!({"code": code, "sweep": {"x": [1]}});
        let batch = company.post(server, "/v1/batches", &batch).await?.expect(202)?.str_at("/id")?;
        let workflow = json!({"name": "rods-of-acme", "nodes": [{"key": "a", "code": code}]});
        let workflow = company.post(server, "/v1/workflows", &workflow).await?.expect(201)?.str_at("/id")?;
        let run = format!("/v1/workflows/{workflow}/runs");
        let run = company.post(server, &run, &json!({})).await?.expect(202)?.str_at("/id")?;
        let study = company.post(server, "/v1/studies", &json!({"name": "rods-of-acme"})).await?;
        let study = study.expect(201)?.str_at("/id")?;
        let schedule = json!({"name": "rods-of-acme", "cron": "@yearly", "task": python("result = 1")});
        let schedule = company.post(server, "/v1/schedules", &schedule).await?.expect(201)?.str_at("/id")?;
        let nouns = vec![
            ("/v1/batches/", vec![batch], NOBODYS_ID),
            ("/v1/workflows/", vec![workflow], NOBODYS_ID),
            ("/v1/workflow-runs/", vec![run], NOBODYS_ID),
            ("/v1/studies/", vec![study], NOBODYS_ID),
            ("/v1/schedules/", vec![schedule], NOBODYS_ID),
            ("/v1/webhooks/", vec![webhook], NOBODYS_ID),
            ("/v1/tasks/", vec![ended, queued], NOBODYS_ID),
            ("/v1/uploads/", vec![complete, awaited], NOBODYS_ID),
            ("/v1/modules/", vec![module], NOBODYS_MODULE),
            ("/v1/api-keys/", vec![key], NOBODYS_ID),
            ("/v1/tenants/", vec![company.id.clone()], NOBODYS_ID),
            ("/v1/packages/", vec![PACKAGE.to_owned()], NOBODYS_PACKAGE),
            ("/v1/functions/", vec![format!("{PACKAGE}/rod")], "acme/rods-of-nobody/rod"),
        ];
        Ok(Self { nouns, delivery: sent.str_at("/id")? })
    }

    fn of_noun(&self, noun: &str) -> Result<&[String]> {
        let found = self.nouns.iter().find(|(path, ..)| *path == noun);
        found.map(|(_, ids, _)| ids.as_slice()).with_context(|| format!("nothing of {noun}"))
    }

    /// Every path with an id of ours in the place of `pattern`'s, each with the same path and nobody's id.
    fn paths(&self, pattern: &str) -> Result<Vec<(String, String)>> {
        // A package is named by two parts of a path, a function by three.
        let pattern = pattern
            .replace("/v1/packages/{owner}/{name}", "/v1/packages/{package}")
            .replace("/v1/functions/{owner}/{package}/{name}", "/v1/functions/{function}")
            .replace("{version}", "1.0.0")
            .replace("{key}", "a");
        let Some((before, rest)) = pattern.split_once('{') else { return Ok(Vec::new()) };
        let (_, after) = rest.split_once('}').context("a brace that is not closed")?;
        let Some((_, ids, nobodys)) = self.nouns.iter().find(|(noun, ..)| *noun == before) else {
            bail!("this test does not know what {pattern} names: give it one of another tenant's");
        };
        let anothers = |id: &str| format!("{before}{id}{}", after.replace("{delivery}", &self.delivery));
        let absent = format!("{before}{nobodys}{}", after.replace("{delivery}", NOBODYS_ID));
        ensure!(!absent.contains('{'), "this test does not know what the rest of {pattern} names");
        Ok(ids.iter().map(|id| (anothers(id), absent.clone())).collect())
    }
}

/// The operations of the document that need credentials.
async fn operations(server: &Server) -> Result<Vec<(Method, String)>> {
    let document = server.send(server.anonymous(Method::GET, "/openapi.json")).await?.expect(200)?.json()?;
    let paths = document.pointer("/paths").and_then(Value::as_object).context("no paths")?;
    let mut found = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().context("no methods")? {
            let open = operation.get("security").is_some();
            if let (false, Ok(method)) = (open || !path.starts_with("/v1/"), method.to_uppercase().parse()) {
                found.push((method, path.clone()));
            }
        }
    }
    ensure!(found.len() > 30, "{} operations", found.len());
    Ok(found)
}

fn body_of(method: &Method, path: &str) -> Option<Value> {
    let body = match path.rsplit('/').next() {
        Some("maintainers") => json!({"maintainers": [{"id": NOBODYS_ID, "name": "nobody"}]}),
        Some("approve") => json!({"approved": true}),
        _ => json!({}),
    };
    [Method::POST, Method::PUT, Method::PATCH].contains(method).then_some(body)
}

/// The answer, without the id that was asked for.
fn told(answer: &Answer, id: &str) -> (u16, String, String) {
    let kind = answer.header("content-type").unwrap_or_default().to_owned();
    (answer.status, kind, answer.text().replace(id, "<id>"))
}

#[tokio::test]
async fn security_27_anothers_id_is_as_good_as_nobodys_in_every_operation() -> Result<()> {
    let server = server().await?;
    let (ours, theirs) = (Company::on(&server, "acme").await?, Company::on(&server, "globex").await?);
    let things = Things::of(&ours, &server).await?;
    let mut asked = 0;
    for (method, pattern) in operations(&server).await? {
        for (anothers, nobodys) in things.paths(&pattern)? {
            let body = body_of(&method, &pattern);
            let answer = theirs.send(&server, method.clone(), &anothers, body.as_ref()).await?;
            let absent = theirs.send(&server, method.clone(), &nobodys, body.as_ref()).await?;
            let answer = answer.expect_problem(404).with_context(|| format!("{method} {anothers}"))?;
            ensure!(
                told(&answer, &anothers) == told(&absent, &nobodys),
                "{method} {anothers}: {} {}",
                answer.text(),
                absent.text()
            );
            asked += 1;
        }
    }
    ensure!(asked > 25, "only {asked} operations take an id");
    // And nothing has happened to any of them.
    for (noun, ids, _) in &things.nouns {
        for id in ids {
            ours.get(&server, &format!("{noun}{id}")).await?.expect(200)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn security_27_anothers_id_is_as_good_as_nobodys_in_queries_and_bodies() -> Result<()> {
    let server = server().await?;
    let (ours, theirs) = (Company::on(&server, "acme").await?, Company::on(&server, "globex").await?);
    let things = Things::of(&ours, &server).await?;
    for path in ["/v1/usage", "/v1/audit"] {
        let anothers = theirs.get(&server, &format!("{path}?tenant={}", ours.id)).await?.expect_problem(404)?;
        let absent = theirs.get(&server, &format!("{path}?tenant={NOBODYS_ID}")).await?;
        ensure!(told(&anothers, &ours.id) == told(&absent, NOBODYS_ID), "{path}: {}", anothers.text());
    }
    theirs.get(&server, "/v1/audit?tenant=*").await?.expect_problem(403)?;
    for path in ["/v1/preview", "/v1/tasks"] {
        for upload in things.of_noun("/v1/uploads/")? {
            let body = |id: &str| {
                let mut body = python("result = 1");
                merge(&mut body, json!({"files": {"a.txt": id}}));
                body
            };
            let anothers = theirs.post(&server, path, &body(upload)).await?.expect_problem(422)?;
            let absent = theirs.post(&server, path, &body(NOBODYS_ID)).await?;
            ensure!(told(&anothers, upload) == told(&absent, NOBODYS_ID), "{path}: {}", anothers.text());
        }
        for module in things.of_noun("/v1/modules/")? {
            let anothers = theirs.post(&server, path, &wasm(module)).await?.expect_problem(422)?;
            let absent = theirs.post(&server, path, &wasm(NOBODYS_MODULE)).await?;
            ensure!(told(&anothers, module) == told(&absent, NOBODYS_MODULE), "{path}: {}", anothers.text());
        }
    }
    for path in ["/v1/preview", "/v1/tasks"] {
        let body = |package: &str| call(&format!("{package}#rod"), json!({}));
        let anothers = theirs.post(&server, path, &body(PACKAGE)).await?.expect_problem(422)?;
        let absent = theirs.post(&server, path, &body(NOBODYS_PACKAGE)).await?;
        ensure!(told(&anothers, PACKAGE) == told(&absent, NOBODYS_PACKAGE), "{path}: {}", anothers.text());
    }
    for list in ["tasks", "audit"] {
        let page = ours.get(&server, &format!("/v1/{list}?limit=1")).await?.expect(200)?;
        let cursor = page.str_at("/next_cursor")?;
        theirs.get(&server, &format!("/v1/{list}?cursor={cursor}")).await?.expect_problem(400)?;
    }
    Ok(())
}

#[tokio::test]
async fn security_27_no_list_tells_of_another_tenants_things() -> Result<()> {
    let server = server().await?;
    let (ours, theirs) = (Company::on(&server, "acme").await?, Company::on(&server, "globex").await?);
    let things = Things::of(&ours, &server).await?;
    let mut lists = 0;
    for (method, path) in operations(&server).await? {
        // The stream of events has no end.
        if method != Method::GET || path.contains('{') || path == "/v1/events" {
            continue;
        }
        let text = theirs.get(&server, &path).await?.text();
        let leaked = things.nouns.iter().flat_map(|(_, ids, _)| ids).find(|id| text.contains(id.as_str()));
        let leaked = leaked.map(String::as_str).or(text.contains("rods-of-acme").then_some(PACKAGE));
        ensure!(leaked.is_none(), "{path} tells of {leaked:?}: {text}");
        lists += 1;
    }
    ensure!(lists > 8, "only {lists} lists");
    Ok(())
}

#[tokio::test]
async fn only_operators_make_and_change_tenants() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    let own = format!("/v1/tenants/{}", ours.id);
    server.post("/v1/tenants", &json!({"name": "acme"})).await?.expect_problem(409)?;
    ensure!(ours.get(&server, &own).await?.expect(200)?.str_at("/name")? == "acme");
    ours.get(&server, &format!("{own}/quota")).await?.expect(200)?;
    ours.get(&server, "/v1/tenants").await?.expect_problem(403)?;
    ours.post(&server, "/v1/tenants", &json!({"name": "x"})).await?.expect_problem(403)?;
    ours.post(&server, &format!("{own}/api-keys"), &json!({"name": "x"})).await?.expect_problem(403)?;
    let quota = json!({"queued_max": 1_000_000});
    ours.send(&server, Method::PUT, &format!("{own}/quota"), Some(&quota)).await?.expect_problem(403)?;
    let disabled = json!({"access": "disabled"});
    ours.send(&server, Method::PATCH, &own, Some(&disabled)).await?.expect_problem(403)?;

    let change = |path: String, body: Value| server.send(server.request(Method::PATCH, &path).json(&body));
    ensure!(change(own.clone(), disabled.clone()).await?.expect(200)?.str_at("/access")? == "disabled");
    ours.get(&server, "/v1/me").await?.expect_problem(401)?;
    change(own, json!({"access": "enabled"})).await?.expect(200)?;
    ours.get(&server, "/v1/me").await?.expect(200)?;
    let operators = server.get("/v1/me").await?.str_at("/tenant_id")?;
    change(format!("/v1/tenants/{operators}"), disabled).await?.expect_problem(409)?;
    let names = server.get("/v1/tenants").await?.expect(200)?.at("/tenants")?;
    let names: Vec<_> = names.as_array().into_iter().flatten().filter_map(|tenant| tenant.get("name")).collect();
    ensure!(names == ["default", "acme"], "{names:?}");
    Ok(())
}

#[tokio::test]
async fn security_28_no_request_says_whose_or_what_a_thing_is() -> Result<()> {
    let server = Server::start().await?;
    let tenant = server.get("/v1/me").await?.str_at("/tenant_id")?;
    let rows = [
        (Method::POST, "/v1/api-keys".to_owned(), json!({"name": "x"})),
        (Method::POST, "/v1/tenants".to_owned(), json!({"name": "x"})),
        (Method::PATCH, format!("/v1/tenants/{tenant}"), json!({"access": "enabled"})),
        (Method::PUT, format!("/v1/tenants/{tenant}/quota"), json!({"queued_max": 7})),
    ];
    for (method, path, body) in rows {
        for field in ["tenant_id", "tenant", "id", "state", "fence", "created_at", "used", "secret_sha256"] {
            let mut body = body.clone();
            merge(&mut body, json!({field: "x"}));
            let answer = server.send(server.request(method.clone(), &path).json(&body)).await?;
            answer.expect_fault(&format!("/{field}")).with_context(|| format!("{method} {path} {field}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_key_is_no_more_than_its_scopes_and_its_maker() -> Result<()> {
    let server = Server::start().await?;
    let reader = json!({"name": "reader", "role": "admin", "scopes": ["read", "admin"]});
    let made = server.post("/v1/api-keys", &reader).await?.expect(201)?;
    ensure!(made.at("/scopes")? == json!(["read", "admin"]), "{}", made.text());
    let narrow = Company { id: String::new(), key: made.str_at("/key")? };
    ensure!(narrow.get(&server, "/v1/me").await?.at("/scopes")? == json!(["read", "admin"]));
    narrow.get(&server, "/v1/tasks").await?.expect(200)?;
    narrow.post(&server, "/v1/tasks", &python("result = 1")).await?.expect_problem(403)?;
    narrow.publish(&server, zip_of(&[])?, "").await?.expect_problem(403)?;
    let more = json!({"name": "more", "role": "admin", "scopes": ["compute"]});
    narrow.post(&server, "/v1/api-keys", &more).await?.expect_problem(403)?;
    let less = narrow.post(&server, "/v1/api-keys", &json!({"name": "less", "role": "engineer"})).await?.expect(201)?;
    ensure!(less.at("/scopes")? == json!(["read"]), "{}", less.text());

    let soon = json!({"name": "soon", "role": "admin", "expires_at": in_days(1)?});
    let soon = server.post("/v1/api-keys", &soon).await?.expect(201)?;
    let short = Company { id: String::new(), key: soon.str_at("/key")? };
    let late = json!({"name": "late", "expires_at": in_days(2)?});
    short.post(&server, "/v1/api-keys", &late).await?.expect_problem(403)?;
    let heir = short.post(&server, "/v1/api-keys", &json!({"name": "heir"})).await?.expect(201)?;
    ensure!(heir.at("/expires_at")? == soon.at("/expires_at")?, "{}", heir.text());

    let path = format!("/v1/api-keys/{}", made.str_at("/id")?);
    until("the key's use is written down", Duration::from_secs(10), || async {
        Ok(server.get(&path).await?.expect(200)?.at("/last_used_at")?.is_string().then_some(()))
    })
    .await?;
    ensure!(!server.get(&path).await?.text().contains(&narrow.key));
    Ok(())
}

#[tokio::test]
async fn security_31_a_hundred_submissions_with_one_key_are_one_task_and_one_answer() -> Result<()> {
    let server = Server::start().await?;
    let other = Company::on(&server, "acme").await?;
    let body = python("result = 1");
    let submit = |key: &str, body: &Value| {
        server.send(server.request(Method::POST, "/v1/tasks").header("idempotency-key", key).json(body))
    };
    let mut submissions = tokio::task::JoinSet::new();
    for number in 0..100 {
        // With its quotes and without, a key is the same.
        let key = if number % 2 == 0 { "\"k-1\"" } else { "k-1" };
        let request = server.request(Method::POST, "/v1/tasks").header("idempotency-key", key).json(&body);
        submissions.spawn(async move { Answer::of(request.send().await?).await?.expect(202) });
    }
    let answers = submissions.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let texts: BTreeSet<String> = answers.iter().map(Answer::text).collect();
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed") == Some("true")).count();
    ensure!((texts.len(), replayed) == (1, 99), "{replayed} replays: {texts:?}");
    let first = answers.first().context("no answer")?;
    let id = first.str_at("/id")?;
    server.result(&id).await?.expect_completed()?;
    // What has become of the task meanwhile doesn't change the answer.
    ensure!(submit("k-1", &body).await?.expect(202)?.text() == first.text());
    submit("\"k-1\"", &python("result = 2")).await?.expect_problem(422)?;
    let request = server.anonymous(Method::POST, "/v1/tasks").bearer_auth(&other.key).header("idempotency-key", "k-1");
    let independent = server.send(request.json(&python("result = 3"))).await?.expect(202)?;
    ensure!(independent.header("idempotency-replayed").is_none() && independent.str_at("/id")? != id);
    ensure!(server.get("/v1/tasks").await?.at("/tasks")?.as_array().map(Vec::len) == Some(1));
    for key in ["", "\"\"", "\"k", "k 1", "k\"1", &"x".repeat(256)] {
        submit(key, &body).await?.expect_problem(400).with_context(|| key.to_owned())?;
    }
    let retry = |id: &str| {
        server.send(server.request(Method::POST, &format!("/v1/tasks/{id}/retry")).header("idempotency-key", "r-1"))
    };
    let (again, once_more) = (retry(&id).await?.expect(202)?, retry(&id).await?.expect(202)?);
    ensure!(again.text() == once_more.text() && once_more.header("idempotency-replayed") == Some("true"));
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_is_answered_when_what_it_refers_to_is_gone() -> Result<()> {
    let server = Server::start().await?;
    let module = server.module(&guest::answering("{\"n\": 1}")).await?;
    let keyed = |path: &str, key: &str, body: &Value| {
        server.send(server.request(Method::POST, path).header("idempotency-key", key).json(body))
    };
    let first = keyed("/v1/tasks", "k-1", &wasm(&module)).await?.expect(202)?;
    let id = first.str_at("/id")?;
    server.result(&id).await?.expect_completed()?;
    let path = format!("/v1/tasks/{id}/retry");
    let retried =
        server.send(server.request(Method::POST, &path).header("idempotency-key", "r-1")).await?.expect(202)?;
    server.result(&retried.str_at("/id")?).await?.expect_completed()?;
    server.delete(&format!("/v1/modules/{module}")).await?.expect(204)?;
    server.post("/v1/tasks", &wasm(&module)).await?.expect_fault("/code/module")?;
    keyed("/v1/tasks", "k-2", &wasm(&module)).await?.expect_fault("/code/module")?;
    let again = keyed("/v1/tasks", "k-1", &wasm(&module)).await?.expect(202)?;
    ensure!(again.text() == first.text() && again.header("idempotency-replayed") == Some("true"), "{}", again.text());
    let again = server.send(server.request(Method::POST, &path).header("idempotency-key", "r-1")).await?.expect(202)?;
    ensure!(again.text() == retried.text() && again.header("idempotency-replayed") == Some("true"), "{}", again.text());
    // Another request under the key is what the key refuses, whatever else is wrong with it.
    let mut other = wasm(&module);
    merge(&mut other, json!({"seed": 1}));
    keyed("/v1/tasks", "k-1", &other).await?.expect_fault_code("", "idempotency_mismatch")?;
    Ok(())
}

#[tokio::test]
async fn the_audit_log_tells_who_changed_what_and_no_secret() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    ours.set_quota(&server, &json!({"running_max": 3})).await?;
    let mut later = python("result = 1");
    merge(&mut later, json!({"run_at": in_days(30)?}));
    let task = ours.submit(&server, &later).await?;
    let request = server.anonymous(Method::POST, &format!("/v1/tasks/{task}/cancel")).bearer_auth(&ours.key);
    server.send(request.header("x-request-id", "r-7")).await?.expect(202)?;
    ours.send(&server, Method::DELETE, &format!("/v1/tasks/{task}"), None).await?.expect(204)?;
    let key = ours.post(&server, "/v1/api-keys", &json!({"name": "ci"})).await?.expect(201)?;
    let key_path = format!("/v1/api-keys/{}", key.str_at("/id")?);
    ours.send(&server, Method::DELETE, &key_path, None).await?.expect(204)?;

    let log = ours.get(&server, "/v1/audit").await?.expect(200)?;
    let entries = log.at("/entries")?;
    let entries = entries.as_array().context("no list")?;
    let actions: Vec<_> = entries.iter().filter_map(|entry| entry.get("action")?.as_str()).collect();
    let expected = [
        "api_key.revoked",
        "api_key.created",
        "task.deleted",
        "task.cancelled",
        "quota.changed",
        "api_key.created",
        "tenant.created",
    ];
    ensure!(actions == expected, "{actions:?}");
    let me = ours.get(&server, "/v1/me").await?;
    let own = format!("api_key:{}", me.str_at("/api_key/id")?);
    let operator = format!("api_key:{}", server.get("/v1/me").await?.str_at("/api_key/id")?);
    ensure!(log.str_at("/entries/3/principal")? == own && log.str_at("/entries/3/target")? == task);
    ensure!(log.str_at("/entries/3/request_id")? == "r-7" && log.at("/entries/2/request_id")?.is_null());
    ensure!(log.str_at("/entries/4/principal")? == operator && log.at("/entries/4/detail/running_max")? == json!(3));
    for secret in [ours.key.as_str(), &key.str_at("/key")?, server.key()] {
        ensure!(!log.text().contains(secret), "a secret is in the log");
    }
    let all = server.get("/v1/audit?tenant=*").await?.expect(200)?;
    ensure!(all.at("/entries")?.as_array().map_or(0, Vec::len) > expected.len(), "{}", all.text());
    server.get(&format!("/v1/audit?tenant={}", ours.id)).await?.expect(200)?;
    let page = ours.get(&server, "/v1/audit?limit=3").await?.expect(200)?;
    let rest = ours.get(&server, &format!("/v1/audit?cursor={}", page.str_at("/next_cursor")?)).await?.expect(200)?;
    ensure!(rest.at("/entries")?.as_array().map(Vec::len) == Some(4), "{}", rest.text());
    Ok(())
}

#[tokio::test]
async fn security_38_impossible_pages_and_cursors_of_the_audit_log_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for limit in ["0", "-1", "201", "1000000000", "1.5", "NaN"] {
        server.get(&format!("/v1/audit?limit={limit}")).await?.expect_fault("/limit")?;
    }
    let cursor = server.get("/v1/audit?limit=1").await?.str_at("/next_cursor")?;
    let shorter: String = cursor.chars().skip(1).collect();
    for cursor in ["AAAA", "1", "%00", &shorter, &format!("{cursor}A")] {
        server.get(&format!("/v1/audit?cursor={cursor}")).await?.expect_problem(400)?;
    }
    Ok(())
}
