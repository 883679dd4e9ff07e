//! Webhooks, the tenant's event stream and its tickets, through the binary.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Delivery, EventStream, Server, ServerOptions, SinkAnswer, WebhookSink, merge, python, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const EVENT_DEADLINE: Duration = Duration::from_secs(30);
/// Longer than a lease, after which another server sends what a dead one was sending.
const LEASE_DEADLINE: Duration = Duration::from_secs(100);
const URL_REFUSED: &str = "url_refused";

/// A server that may call the sinks of this machine.
async fn server() -> Result<Server> {
    let variables = [("MECAPY_WEBHOOK_ALLOW", "127.0.0.1"), ("MECAPY_WEBHOOK_ALLOW_HTTP", "true")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Server::with(ServerOptions { variables, ..ServerOptions::default() }).await
}

/// Makes a webhook for every event; answers its path and its secret.
async fn webhook(server: &Server, url: &str) -> Result<(String, String)> {
    let events = ["task.completed", "task.failed", "task.cancelled"];
    let made = server.post("/v1/webhooks", &json!({"url": url, "events": events})).await?.expect(201)?;
    ensure!(made.header("cache-control") == Some("no-store"));
    Ok((format!("/v1/webhooks/{}", made.str_at("/id")?), made.str_at("/secret")?))
}

async fn run(server: &Server, source: &str) -> Result<String> {
    let id = server.submit(&python(source)).await?;
    server.result(&id).await?;
    Ok(id)
}

fn task_of(delivery: &Delivery) -> Result<String> {
    let body = delivery.json()?;
    body.pointer("/data/id").and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no task in {body}"))
}

/// Waits until the newest delivery of the webhook at `path` is in `state`.
async fn until_logged(server: &Server, path: &str, state: &str) -> Result<Value> {
    until(&format!("a delivery is {state}"), EVENT_DEADLINE, || async move {
        let entry = server.get(&format!("{path}/deliveries?limit=1")).await?.expect(200)?.at("/deliveries/0").ok();
        Ok(entry.filter(|entry| entry.get("state").and_then(Value::as_str) == Some(state)))
    })
    .await
}

#[tokio::test]
async fn an_end_is_delivered_once_signed_and_in_few_words() -> Result<()> {
    let (server, sink) = (server().await?, WebhookSink::start().await?);
    let (path, secret) = webhook(&server, &sink.url("/hook")).await?;
    let mut body = python("result = 1");
    merge(&mut body, json!({"name": "M12 joint"}));
    let id = server.submit(&body).await?;
    let task = server.result(&id).await.and(server.task(&id).await)?;
    let delivery = sink.until_received("/hook", 1).await?.remove(0);
    delivery.verify(&secret)?;
    ensure!(delivery.method == "POST" && delivery.header("content-type")? == "application/json");
    let told = delivery.json()?;
    let expected = json!({
        "id": delivery.header("webhook-id")?, "type": "task.completed", "timestamp": task.at("/completed_at")?,
        "data": {
            "id": id, "name": "M12 joint", "state": "completed", "lane": "default", "error": null,
            "completed_at": task.at("/completed_at")?,
            "links": {"self": format!("/v1/tasks/{id}"), "result": format!("/v1/tasks/{id}/result")},
        },
    });
    ensure!(told == expected, "{told}");
    let entry = until_logged(&server, &path, "delivered").await?;
    ensure!(entry.pointer("/last_attempt/status") == Some(&json!(200)), "{entry}");
    ensure!(entry.get("attempt") == Some(&json!(1)) && entry.get("event_id") == told.get("id"), "{entry}");
    // By the time that two more ends have been delivered a second copy of the first would be here.
    let failed = run(&server, "raise ValueError('no')").await?;
    let deliveries = sink.until_received("/hook", 2).await?;
    ensure!(deliveries.iter().filter(|delivery| task_of(delivery).ok() == Some(id.clone())).count() == 1);
    let second = deliveries.get(1).context("one")?.json()?;
    ensure!(second.pointer("/data/id") == Some(&json!(failed)), "{second}");
    ensure!(second.pointer("/data/error/kind") == Some(&json!("exception")), "{second}");
    ensure!(!second.to_string().contains("ValueError"), "{second}");
    // The secret is shown once.
    for path in ["/v1/webhooks", &path] {
        ensure!(!server.get(path).await?.expect(200)?.text().contains("whsec_"));
    }
    Ok(())
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id() -> Result<()> {
    let (server, sink) = (server().await?, WebhookSink::start().await?);
    let (path, secret) = webhook(&server, &sink.url("/hook")).await?;
    sink.answer("/hook", SinkAnswer::Status(500));
    run(&server, "result = 1").await?;
    sink.until_received("/hook", 1).await?;
    sink.answer("/hook", SinkAnswer::Status(200));
    let deliveries = sink.until_received("/hook", 2).await?;
    let [first, second] = deliveries.as_slice() else { anyhow::bail!("{} deliveries", deliveries.len()) };
    ensure!(first.header("webhook-id")? == second.header("webhook-id")? && first.body == second.body);
    ensure!(second.at - first.at >= Duration::from_secs(4), "{:?}", second.at - first.at);
    second.verify(&secret)?;
    let entry = until_logged(&server, &path, "delivered").await?;
    ensure!(entry.get("attempt") == Some(&json!(2)), "{entry}");
    let webhook = server.get(&path).await?.expect(200)?;
    ensure!(webhook.at("/failing_since")? == Value::Null && webhook.at("/failures")? == json!(0));
    Ok(())
}

#[tokio::test]
async fn both_secrets_sign_after_a_rotation() -> Result<()> {
    let (server, sink) = (server().await?, WebhookSink::start().await?);
    let (path, first) = webhook(&server, &sink.url("/hook")).await?;
    let rotated = server.post(&format!("{path}/rotate-secret"), &json!({})).await?.expect(200)?;
    let second = rotated.str_at("/secret")?;
    ensure!(first != second && rotated.str_at("/former_secret_until")?.ends_with('Z'));
    run(&server, "result = 1").await?;
    let delivery = sink.until_received("/hook", 1).await?.remove(0);
    delivery.verify(&first)?;
    delivery.verify(&second)?;
    // A URL that a task brings along is signed with the tenant's own secret.
    let of_tasks = server.post("/v1/webhooks/task-secret/rotate", &json!({})).await?.expect(200)?.str_at("/secret")?;
    let mut body = python("result = 2");
    merge(&mut body, json!({"webhook": {"url": sink.url("/own")}}));
    let id = server.submit(&body).await?;
    let delivery = sink.until_received("/own", 1).await?.remove(0);
    delivery.verify(&of_tasks)?;
    ensure!(delivery.verify(&second).is_err() && task_of(&delivery)? == id);
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_answers_410_is_disabled_until_it_is_enabled() -> Result<()> {
    let (server, sink) = (server().await?, WebhookSink::start().await?);
    let (path, _) = webhook(&server, &sink.url("/hook")).await?;
    sink.answer("/hook", SinkAnswer::Status(410));
    run(&server, "result = 1").await?;
    let disabled = until("the webhook is disabled", EVENT_DEADLINE, || async {
        let webhook = server.get(&path).await?.expect(200)?;
        Ok((webhook.str_at("/state")? == "disabled").then_some(webhook))
    })
    .await?;
    ensure!(disabled.str_at("/disabled_reason")? == "gone", "{}", disabled.text());
    server.post(&format!("{path}/test"), &json!({})).await?.expect_problem(409)?;
    sink.answer("/hook", SinkAnswer::Status(200));
    run(&server, "result = 2").await?;
    let enabled = server.send(server.request(Method::PATCH, &path).json(&json!({"state": "enabled"}))).await?;
    ensure!(enabled.expect(200)?.str_at("/state")? == "enabled");
    server.post(&format!("{path}/test"), &json!({})).await?.expect(202)?;
    let deliveries = sink.until_received("/hook", 2).await?;
    let types: Vec<_> = deliveries.iter().map(|delivery| delivery.json().map(|body| body["type"].clone())).collect();
    let types = types.into_iter().collect::<Result<Vec<_>>>()?;
    ensure!(types == [json!("task.completed"), json!("ping")], "what ended meanwhile is not sent: {types:?}");
    server.delete(&path).await?.expect(204)?;
    server.get(&path).await?.expect_problem(404)?;
    Ok(())
}

#[tokio::test]
async fn a_replay_is_the_same_event_again() -> Result<()> {
    let (server, sink) = (server().await?, WebhookSink::start().await?);
    let (path, _) = webhook(&server, &sink.url("/hook")).await?;
    run(&server, "result = 1").await?;
    sink.until_received("/hook", 1).await?;
    let entry = until_logged(&server, &path, "delivered").await?;
    let id = entry.get("id").and_then(Value::as_str).context("no id")?;
    let replay = format!("{path}/deliveries/{id}/replay");
    let made = server.post(&replay, &json!({})).await?.expect(202)?;
    ensure!(made.str_at("/state")? == "pending" && made.str_at("/id")? != id);
    let deliveries = sink.until_received("/hook", 2).await?;
    let [first, second] = deliveries.as_slice() else { anyhow::bail!("{} deliveries", deliveries.len()) };
    ensure!(first.header("webhook-id")? == second.header("webhook-id")? && first.body == second.body);
    let log = server.get(&format!("{path}/deliveries")).await?.expect(200)?;
    ensure!(log.at("/deliveries")?.as_array().is_some_and(|entries| entries.len() == 2), "{}", log.text());
    server.post(&format!("{path}/deliveries/{}/replay", uuid::Uuid::nil()), &json!({})).await?.expect_problem(404)?;
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_delays_no_other() -> Result<()> {
    const TASKS: usize = 12;
    let (server, sink) = (server().await?, WebhookSink::start().await?);
    sink.answer("/silent", SinkAnswer::Silent);
    webhook(&server, &sink.url("/silent")).await?;
    webhook(&server, &sink.url("/good")).await?;
    let started = Instant::now();
    for number in 0..TASKS {
        run(&server, &format!("result = {number}")).await?;
    }
    sink.until_received("/good", TASKS).await?;
    // One silence lasts 10 s, and twelve in a row, two at a time, a minute.
    ensure!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    ensure!(sink.received("/silent").len() == 2);
    Ok(())
}

/// invariant I4: whoever asked to be told is told, although the server dies between the end and the delivery.
#[tokio::test]
async fn a_server_that_is_killed_before_it_delivers_delivers_after_all() -> Result<()> {
    let (mut server, mut sink) = (server().await?, WebhookSink::start().await?);
    let (path, secret) = webhook(&server, &sink.url("/hook")).await?;
    sink.stop().await;
    let unheard = run(&server, "result = 1").await?;
    until("the first attempt has failed", EVENT_DEADLINE, || async {
        let entry = server.get(&format!("{path}/deliveries")).await?.expect(200)?.at("/deliveries/0")?;
        Ok(entry.pointer("/last_attempt/error").filter(|error| error.is_string()).cloned())
    })
    .await?;
    server.kill_and_restart().await?;
    sink.start_again().await?;
    let delivery = sink.until_received("/hook", 1).await?.remove(0);
    delivery.verify(&secret)?;
    ensure!(task_of(&delivery)? == unheard);
    // Killed at the moment of the end, whatever the dispatcher was at.
    let mut expected = BTreeSet::from([unheard]);
    for _ in 0..3 {
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(server.submit(&python(&format!("result = {number}"))).await?);
        }
        server.result(ids.last().context("none")?).await?;
        server.kill_and_restart().await?;
        expected.extend(ids);
    }
    until("all ends are delivered", LEASE_DEADLINE, || async {
        let heard: Result<BTreeSet<String>> = sink.received("/hook").iter().map(task_of).collect();
        Ok((heard? == expected).then_some(()))
    })
    .await
}

#[tokio::test]
async fn security_30_urls_that_lead_inside_are_refused_wherever_they_are_given() -> Result<()> {
    // Nothing inside is allowed here.
    let server = Server::start().await?;
    let urls = [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://10.0.0.1/hook",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://name-that-does-not-exist.invalid/",
        "http://1.1.1.1/",
        "https://user:password@1.1.1.1/",
        "https://1.1.1.1:25/",
        "ftp://1.1.1.1/",
        "file:///etc/passwd",
    ];
    for url in urls {
        let body = json!({"url": url, "events": ["task.completed"]});
        let refused = server.post("/v1/webhooks", &body).await?;
        refused.expect_fault_code("/url", URL_REFUSED).with_context(|| url.to_owned())?;
        let mut body = python("result = 1");
        merge(&mut body, json!({"webhook": {"url": url}}));
        let refused = server.post("/v1/tasks", &body).await?;
        refused.expect_fault_code("/webhook/url", URL_REFUSED).with_context(|| url.to_owned())?;
    }
    ensure!(server.get("/v1/webhooks").await?.expect(200)?.at("/webhooks")? == json!([]));
    Ok(())
}

#[tokio::test]
async fn security_30_a_redirect_is_not_followed_and_an_endless_answer_is_cut() -> Result<()> {
    let (server, sink) = (server().await?, WebhookSink::start().await?);
    let inside = WebhookSink::start().await?;
    sink.answer("/away", SinkAnswer::Redirect(inside.url("/secret")));
    sink.answer("/endless", SinkAnswer::Endless);
    let (away, _) = webhook(&server, &sink.url("/away")).await?;
    let (endless, _) = webhook(&server, &sink.url("/endless")).await?;
    run(&server, "result = 1").await?;
    let entry = until("the redirect is told of", EVENT_DEADLINE, || async {
        let entry = server.get(&format!("{away}/deliveries")).await?.expect(200)?.at("/deliveries/0")?;
        Ok(entry.get("last_attempt").filter(|last| last.is_object()).cloned())
    })
    .await?;
    ensure!(entry.get("status") == Some(&json!(307)), "{entry}");
    ensure!(entry.get("error").and_then(Value::as_str).is_some_and(|error| error.contains("redirect")), "{entry}");
    ensure!(inside.received("/secret").is_empty());
    let entry = until_logged(&server, &endless, "delivered").await?;
    let kept = entry.pointer("/last_attempt/body").and_then(Value::as_str).context("no body")?;
    ensure!(kept.len() <= 1024, "{} bytes", kept.len());
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn the_tenants_stream_has_no_gap_across_reconnections() -> Result<()> {
    const TASKS: usize = 200;
    let server = Server::start().await?;
    let mut stream = EventStream::of(server.request(Method::GET, "/v1/events").send().await?)?;
    let first = stream.next(EVENT_DEADLINE).await?.context("the stream ended")?;
    ensure!(first.id.as_deref() == Some("0") && first.data.is_empty(), "{first:?}");
    let submitting = async {
        let mut ids = BTreeSet::new();
        for number in 0..TASKS {
            ids.insert(server.submit(&python(&format!("result = {number}"))).await?);
        }
        anyhow::Ok(ids)
    };
    let reading = async {
        let (mut told, mut last) = (BTreeSet::new(), 0);
        while last < TASKS as u64 {
            let event = stream.next(EVENT_DEADLINE).await?.context("the stream ended")?;
            if event.data.is_empty() {
                ensure!(event.id == Some(last.to_string()), "{event:?} after {last}");
                continue;
            }
            last += 1;
            ensure!(event.event == "task" && event.id == Some(last.to_string()), "{event:?} is not number {last}");
            told.insert(event.json()?["data"]["id"].as_str().unwrap_or_default().to_owned());
            if last.is_multiple_of(17) {
                let again = server.request(Method::GET, "/v1/events").header("last-event-id", last.to_string());
                stream = EventStream::of(again.send().await?)?;
            }
        }
        anyhow::Ok(told)
    };
    let (ids, told) = tokio::try_join!(submitting, reading)?;
    ensure!(ids == told);
    Ok(())
}

#[tokio::test]
async fn a_ticket_opens_streams_and_nothing_else() -> Result<()> {
    let server = Server::start().await?;
    let id = run(&server, "result = 1").await?;
    let made = server.post("/v1/tickets", &json!({})).await?.expect(201)?;
    ensure!(made.header("cache-control") == Some("no-store"));
    let ticket = made.str_at("/ticket")?;
    let open = async |path: &str| server.anonymous(Method::GET, path).send().await;
    let mut events = EventStream::of(open(&format!("/v1/events?ticket={ticket}&last_event_id=0")).await?)?;
    let told = events.collect_until("task", EVENT_DEADLINE).await?;
    ensure!(told.last().is_some_and(|event| event.data.contains(&id)), "{told:?}");
    let mut events = EventStream::of(open(&format!("/v1/tasks/{id}/events?ticket={ticket}")).await?)?;
    events.collect_until("done", EVENT_DEADLINE).await?;
    let forged = format!("{}A", ticket.get(..ticket.len() - 1).unwrap_or_default());
    let other = format!("{}B", ticket.get(..ticket.len() - 1).unwrap_or_default());
    for path in [
        format!("/v1/events?ticket={}", if forged == ticket { other } else { forged }),
        "/v1/events?ticket=".to_owned(),
        "/v1/events".to_owned(),
        format!("/v1/tasks/{id}?ticket={ticket}"),
        format!("/v1/tasks?ticket={ticket}"),
        format!("/v1/webhooks?ticket={ticket}"),
    ] {
        ensure!(open(&path).await?.status() == 401, "{path}");
    }
    let post = server.anonymous(Method::POST, &format!("/v1/tickets?ticket={ticket}")).send().await?;
    ensure!(post.status() == 401);
    let bearer = server.anonymous(Method::GET, "/v1/events").bearer_auth(&ticket).send().await?;
    ensure!(bearer.status() == 401);
    Ok(())
}
