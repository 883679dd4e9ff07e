//! What a tenant may have and use altogether, and the ledger of what it used.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Company, Server, in_days, merge, python, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Until the usage of a preview is written and counted.
const COUNTED: Duration = Duration::from_secs(20);

/// A 429 that names the quota and its limit, and says when to come back.
fn refused_for(answer: Answer, quota: &str, limit: u64) -> Result<u64> {
    let answer = answer.expect_problem(429)?;
    let detail = answer.str_at("/detail")?;
    ensure!(detail.contains(quota) && detail.contains(&limit.to_string()), "{detail}");
    let wait = answer.header("retry-after").context("no Retry-After")?.parse()?;
    ensure!(wait > 0, "Retry-After: {wait}");
    Ok(wait)
}

#[tokio::test]
async fn security_37_two_hundred_submissions_at_the_quotas_edge_are_never_over() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    ours.set_quota(&server, &json!({"queued_max": 20})).await?;
    let mut later = python("result = 1");
    merge(&mut later, json!({"run_at": in_days(30)?}));
    let mut submissions = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let request = server.anonymous(Method::POST, "/v1/tasks").bearer_auth(&ours.key).json(&later);
        submissions.spawn(async move { Answer::of(request.send().await?).await });
    }
    let answers = submissions.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    ensure!(accepted.len() == 20, "{} were accepted", accepted.len());
    for answer in refused {
        refused_for(answer, "queued_max", 20)?;
    }
    let listed = ours.get(&server, "/v1/tasks?limit=200").await?.at("/tasks")?;
    ensure!(listed.as_array().map(Vec::len) == Some(20), "{listed}");
    // Others are not held up, and neither is the tenant once it has room.
    server.submit(&later).await?;
    let id = accepted.first().context("none")?.str_at("/id")?;
    ours.post(&server, &format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    ours.submit(&server, &later).await?;
    Ok(())
}

#[tokio::test]
async fn no_more_tasks_run_than_the_quota_says_over_all_lanes() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    ours.set_quota(&server, &json!({"running_max": 1})).await?;
    let mut ids = Vec::new();
    for lane in ["high_priority", "default", "long_running"] {
        for _ in 0..2 {
            let mut body = python("import time\ntime.sleep(0.15)\nresult = 1");
            merge(&mut body, json!({"lane": lane}));
            ids.push(ours.submit(&server, &body).await?);
        }
    }
    let free = server.submit(&python("result = 1")).await?;
    let seen_running = AtomicBool::new(false);
    until("all have run", Duration::from_secs(60), || async {
        let tasks = ours.get(&server, "/v1/tasks").await?.expect(200)?.at("/tasks")?;
        let states: Vec<_> = tasks.as_array().into_iter().flatten().filter_map(|task| task.get("state")).collect();
        let of = |state: &str| states.iter().filter(|other| **other == state).count();
        ensure!(of("running") <= 1, "{states:?}");
        seen_running.fetch_or(of("running") == 1, Ordering::Relaxed);
        Ok((of("completed") == ids.len()).then_some(()))
    })
    .await?;
    ensure!(seen_running.into_inner(), "none was ever seen running");
    server.result(&free).await?.expect_completed()?;
    Ok(())
}

#[tokio::test]
async fn a_days_fuel_ends_and_says_when_there_is_more() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    ours.set_quota(&server, &json!({"fuel_per_day_max": 1})).await?;
    ours.post(&server, "/v1/preview", &python("result = 1")).await?.expect_completed()?;
    let refused = until("the preview's fuel counts", COUNTED, || async {
        let answer = ours.post(&server, "/v1/preview", &python("result = 1")).await?;
        Ok((answer.status != 200).then_some(answer))
    })
    .await?;
    ensure!(refused_for(refused, "fuel_per_day_max", 1)? <= 24 * 3_600);
    let task = ours.post(&server, "/v1/tasks", &python("result = 1")).await?;
    refused_for(task, "fuel_per_day_max", 1)?;
    let quota = ours.get(&server, &format!("/v1/tenants/{}/quota", ours.id)).await?.expect(200)?;
    ensure!(quota.f64_at("/used/fuel_today")? >= 1.0 && quota.at("/fuel_per_day_max")? == json!(1));
    ours.set_quota(&server, &json!({})).await?;
    ours.post(&server, "/v1/preview", &python("result = 1")).await?.expect_completed()?;
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_stored_is_told_where_it_is_sent_and_where_it_is_made() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    ours.set_quota(&server, &json!({"storage_bytes_max": 100})).await?;
    ours.upload(&server, vec![0; 60]).await?.expect(201)?;
    refused_for(ours.upload(&server, vec![0; 41]).await?, "storage_bytes_max", 100)?;
    let declared = ours.post(&server, "/v1/uploads", &json!({"size_bytes": 41})).await?;
    refused_for(declared, "storage_bytes_max", 100)?;
    let open = ours.post(&server, "/v1/uploads", &json!({})).await?.expect(201)?;
    ensure!(open.at("/bytes_max")? == json!(40), "{}", open.text());
    let module = r#"(module (memory (export "memory") 1) (data (i32.const 0) "0123456789012345678901234567890123456789")
        (func (export "_start")))"#;
    refused_for(ours.module(&server, module).await?, "storage_bytes_max", 100)?;

    let write = |bytes: usize| python(&format!("open('/work/out/a.bin', 'wb').write(b'x' * {bytes})\nresult = 1"));
    let id = ours.submit(&server, &write(41)).await?;
    let failed = ours.result(&server, &id).await?.expect_error_kind("invalid_artifact")?;
    ensure!(failed.str_at("/error/message")?.contains("storage_bytes_max"), "{}", failed.text());
    let id = ours.submit(&server, &write(40)).await?;
    ours.result(&server, &id).await?.expect_completed()?;
    let path = format!("/v1/tenants/{}/quota", ours.id);
    ensure!(ours.get(&server, &path).await?.at("/used/storage_bytes")? == json!(100));
    refused_for(ours.upload(&server, vec![0]).await?, "storage_bytes_max", 100)?;
    ours.send(&server, Method::DELETE, &format!("/v1/tasks/{id}"), None).await?.expect(204)?;
    ours.upload(&server, vec![0; 40]).await?.expect(201)?;
    Ok(())
}

#[tokio::test]
async fn a_tenants_requests_have_a_rate_whichever_key_they_come_with() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    let second = ours.post(&server, "/v1/api-keys", &json!({"name": "second"})).await?.expect(201)?.str_at("/key")?;
    ours.set_quota(&server, &json!({"requests_per_second_max": 2})).await?;
    let second = Company { id: ours.id.clone(), key: second };
    let mut refused = None;
    for number in 0..20 {
        let who = if number % 2 == 0 { &ours } else { &second };
        let answer = who.get(&server, "/v1/me").await?;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    refused_for(refused.context("all twenty passed")?, "requests_per_second_max", 2)?;
    // Others have rates of their own.
    for _ in 0..20 {
        server.get("/v1/me").await?.expect(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn usage_is_what_the_tasks_say_and_stays_when_they_go() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    let mut fuel = 0;
    let mut ids = Vec::new();
    for source in ["result = sum(range(1000))", "raise ValueError('no')", "result = 2"] {
        let id = ours.submit(&server, &python(source)).await?;
        ours.result(&server, &id).await?;
        let task = ours.get(&server, &format!("/v1/tasks/{id}")).await?.expect(200)?;
        fuel += task.at("/usage/fuel")?.as_u64().context("no fuel")?;
        ids.push(id);
    }
    ours.post(&server, "/v1/preview", &python("result = 3")).await?.expect_completed()?;
    let usage = until("the preview's usage is written", COUNTED, || async {
        let usage = ours.get(&server, "/v1/usage?by=kind").await?.expect(200)?;
        Ok((usage.at("/total/previews")? == json!(1)).then_some(usage))
    })
    .await?;
    ensure!(usage.at("/total/tasks")? == json!(3) && usage.at("/total/failed")? == json!(1), "{}", usage.text());
    ensure!(usage.at("/total/fuel")?.as_u64() > Some(fuel), "{} of {fuel}", usage.text());
    ensure!(usage.str_at("/buckets/0/bucket")? == "completed" && usage.str_at("/buckets/1/bucket")? == "exception");
    for id in &ids {
        ours.send(&server, Method::DELETE, &format!("/v1/tasks/{id}"), None).await?.expect(204)?;
    }
    let after = ours.get(&server, "/v1/usage?by=kind").await?.expect(200)?;
    ensure!(after.at("/total")? == usage.at("/total")?, "{}", after.text());
    let lanes = ours.get(&server, "/v1/usage?by=lane").await?.expect(200)?;
    let names: Vec<Value> =
        ["/buckets/0/bucket", "/buckets/1/bucket"].map(|at| lanes.at(at)).into_iter().collect::<Result<_>>()?;
    ensure!(names == ["default", "high_priority"], "{}", lanes.text());

    let request =
        server.anonymous(Method::GET, "/v1/usage?by=lane").bearer_auth(&ours.key).header("accept", "text/csv");
    let table = server.send(request).await?.expect(200)?;
    ensure!(table.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")));
    let text = table.text();
    let lines: Vec<_> = text.lines().collect();
    ensure!(lines.len() == 3 && lines.iter().all(|line| line.split(',').count() == 9), "{text}");
    ensure!(lines.first().is_some_and(|head| head.starts_with("lane,tasks,previews,failed,fuel,")), "{text}");
    // The operator sees any tenant's, and its own alone when it names none.
    let seen = server.get(&format!("/v1/usage?by=kind&tenant={}", ours.id)).await?.expect(200)?;
    ensure!(seen.at("/total")? == usage.at("/total")?);
    ensure!(server.get("/v1/usage").await?.expect(200)?.at("/total/tasks")? == json!(0));
    Ok(())
}

#[tokio::test]
async fn security_38_impossible_quotas_and_periods_are_refused() -> Result<()> {
    let server = Server::start().await?;
    let ours = Company::on(&server, "acme").await?;
    let path = format!("/v1/tenants/{}/quota", ours.id);
    for (field, value) in [
        ("running_max", "-1"),
        ("queued_max", "4294967296"),
        ("fuel_per_day_max", "1e400"),
        ("storage_bytes_max", "9223372036854775808"),
        ("requests_per_second_max", "0"),
        ("running_max", "\"7\""),
        ("bytes_max", "1"),
    ] {
        let request = server.request(Method::PUT, &path).header("content-type", "application/json");
        let answer = server.send(request.body(format!(r#"{{"{field}": {value}}}"#))).await?;
        answer.expect_fault(&format!("/{field}")).with_context(|| format!("{field}: {value}"))?;
    }
    for value in ["NaN", "-Infinity", "01"] {
        let request = server.request(Method::PUT, &path).header("content-type", "application/json");
        server.send(request.body(format!(r#"{{"running_max": {value}}}"#))).await?.expect_problem(400)?;
    }
    for (query, pointer) in [
        ("from=NaN", "/from"),
        ("to=9999999999999", "/to"),
        ("from=0001-01-01", "/from"),
        ("from=2026-02-01&to=2026-01-01", "/from"),
        ("by=month", "/by"),
        ("since=1", "/since"),
    ] {
        server.get(&format!("/v1/usage?{query}")).await?.expect_fault(pointer).with_context(|| query.to_owned())?;
    }
    Ok(())
}
