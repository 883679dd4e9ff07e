//! One delivery at a time, to sinks that behave and sinks that don't.

use super::{
    BODY, clock, due, scripted,
    sink::{Manner, Sink, http},
};
use crate::webhooks::{
    guard::Guard,
    lookup::{Lookup, LookupError},
    send::{Outcome, Patience, SNIPPET_BYTES_MAX, Sender, Verdict},
    signature::{sign, verify},
};
use mecapy_store::Clock as _;
use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;

const FAILED: Verdict = Verdict::Failed { retry_after: None };
const SHORT: Patience = Patience { connect: Duration::from_millis(300), whole: Duration::from_millis(600) };
/// More than `SHORT`, for a machine that does other things too.
const CUT_MAX: Duration = Duration::from_secs(5);

fn guard(lookup: Lookup) -> Guard {
    Guard::with_lookup("127.0.0.1/32".parse().unwrap(), true, lookup)
}

fn sender(lookup: Lookup) -> Sender {
    Sender::with_patience(guard(lookup), SHORT).unwrap()
}

async fn send(url: &str) -> Outcome {
    sender(scripted(&[&["127.0.0.1"]]).0).send(&due(url), clock().now()).await
}

#[tokio::test]
async fn a_delivery_is_a_signed_post_of_the_same_bytes() {
    let sink = Sink::start(http("200 OK", "", "thanks\n")).await;
    let due = due(&sink.url());
    let outcome = sender(scripted(&[&[]]).0).send(&due, clock().now()).await;
    assert_eq!((outcome.verdict, outcome.status, outcome.error), (Verdict::Delivered, Some(200), None));
    assert_eq!(outcome.snippet, "thanks\\n");
    let hit = sink.hits().pop().unwrap();
    assert!(hit.head.starts_with("post /hook http/1.1\r\n"), "{}", hit.head);
    assert_eq!(hit.body, BODY);
    assert_eq!(hit.header("content-type"), "application/json");
    assert_eq!(hit.header("user-agent"), format!("mecapy-webhooks/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(hit.header("webhook-id"), due.event.to_string());
    assert_eq!(hit.header("webhook-timestamp"), "1700000000");
    assert!(!hit.head.contains("accept-encoding") && !hit.head.contains("referer"), "{}", hit.head);
}

#[tokio::test]
async fn both_secrets_of_a_rotation_sign_a_delivery() {
    let sink = Sink::start(http("204 No Content", "", "")).await;
    // The header of the sink is in lower case, and base64 is not: the request is looked at as it is signed.
    let due = due(&sink.url());
    let signatures = sign(&due.secrets, &due.event.to_string(), 1_700_000_000, BODY);
    sender(scripted(&[&[]]).0).send(&due, clock().now()).await;
    assert_eq!(sink.hits().pop().unwrap().header("webhook-signature"), signatures.to_lowercase());
    for secret in &due.secrets {
        assert!(verify(secret, &due.event.to_string(), 1_700_000_000, BODY, &signatures));
    }
}

#[tokio::test]
async fn the_status_decides() {
    let seconds = |seconds| Verdict::Failed { retry_after: Some(Duration::from_secs(seconds)) };
    let rows = [
        ("200 OK", "", Verdict::Delivered),
        ("202 Accepted", "", Verdict::Delivered),
        ("299 Fine", "", Verdict::Delivered),
        ("400 Bad Request", "retry-after: 9\r\n", FAILED),
        ("404 Not Found", "", FAILED),
        ("410 Gone", "", Verdict::Gone),
        ("429 Too Many Requests", "retry-after: 120\r\n", seconds(120)),
        ("429 Too Many Requests", "", FAILED),
        ("500 Internal Server Error", "", FAILED),
        ("503 Service Unavailable", "retry-after: 99999\r\n", seconds(3600)),
        ("503 Service Unavailable", "retry-after: Tue, 14 Nov 2023 22:14:20 GMT\r\n", seconds(60)),
        ("503 Service Unavailable", "retry-after: soon\r\n", FAILED),
    ];
    for (status, headers, verdict) in rows {
        let sink = Sink::start(http(status, headers, "")).await;
        let outcome = send(&sink.url()).await;
        assert_eq!(outcome.verdict, verdict, "{status} {headers}");
        assert_eq!(outcome.status, status.split(' ').next().unwrap().parse().ok());
    }
}

#[tokio::test]
async fn security_30_a_redirect_is_not_followed() {
    let inside = Sink::start(http("200 OK", "", "secret")).await;
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let sink = Sink::start(http(status, &format!("location: {}\r\n", inside.url()), "")).await;
        let outcome = send(&sink.url()).await;
        assert_eq!(outcome.verdict, FAILED, "{status}");
        assert_eq!(outcome.error.as_deref(), Some("the answer is a redirect, which is not followed"));
        assert_eq!(sink.hits().len(), 1);
    }
    assert!(inside.hits().is_empty());
}

#[tokio::test]
async fn security_30_the_address_that_was_judged_is_the_one_that_is_called() {
    let sink = Sink::start(http("200 OK", "", "")).await;
    // What the name leads to a moment later listens at the same port, and is not allowed.
    let inside = Sink::start_at(([127, 0, 0, 2], sink.address.port()).into(), http("200 OK", "", "secret")).await;
    assert_ne!(sink.ip(), inside.ip());
    let (lookup, asked) = scripted(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let sender = sender(lookup);
    let url = sink.url_of("rebinding.example");
    let first = sender.send(&due(&url), clock().now()).await;
    assert_eq!((first.verdict, asked.load(Ordering::SeqCst)), (Verdict::Delivered, 1));
    assert_eq!(sink.hits().len(), 1);
    assert_eq!(sink.hits()[0].header("host"), format!("rebinding.example:{}", sink.address.port()));
    // The next delivery asks again, keeps no connection, and is refused.
    let second = sender.send(&due(&url), clock().now()).await;
    assert_eq!((second.verdict, asked.load(Ordering::SeqCst)), (FAILED, 2));
    assert_eq!(second.error.as_deref(), Some("the URL's host has no public address"));
    assert_eq!((sink.hits().len(), inside.hits().len()), (1, 0));
}

#[tokio::test]
async fn security_30_a_name_that_leads_inside_is_refused_when_it_is_delivered() {
    let sink = Sink::start(http("200 OK", "", "")).await;
    let inside: [&[&str]; 4] = [&["127.0.0.2"], &["127.0.0.1", "127.0.0.2"], &["::1", "127.0.0.1"], &[]];
    for answer in inside {
        let outcome = sender(scripted(&[answer]).0).send(&due(&sink.url_of("inside.example")), clock().now()).await;
        assert_eq!(outcome.error.as_deref(), Some("the URL's host has no public address"), "{answer:?}");
        assert_eq!((outcome.verdict, outcome.status), (FAILED, None));
    }
    // Addresses in the URL itself are not looked up, and are judged all the same.
    let port = sink.address.port();
    for host in ["127.0.0.2", "0x7f000002", "[::1]", "[::ffff:127.0.0.2]", "0"] {
        let outcome = send(&format!("http://{host}:{port}/")).await;
        assert_eq!(outcome.error.as_deref(), Some("the URL's host has no public address"), "{host}");
    }
    assert!(sink.hits().is_empty());
    assert_eq!(send(&format!("http://0x7f000001:{port}/")).await.verdict, Verdict::Delivered);
}

#[tokio::test]
async fn security_30_a_slow_or_endless_answer_is_cut() {
    let every = Duration::from_millis(20);
    let ok = "HTTP/1.1 200 OK\r\n\r\n";
    let rows = [
        // No answer; a head that never ends, slowly and quickly; informational answers for ever.
        (Manner::Silent, FAILED, None),
        (Manner::Endless { head: "HTTP/1.1 200 OK\r\n", chunk: "x: y\r\n", every }, FAILED, None),
        (Manner::Endless { head: "HTTP/1.1 200 OK\r\n", chunk: "x: y\r\n", every: Duration::ZERO }, FAILED, None),
        (Manner::Endless { head: "", chunk: "HTTP/1.1 103 Early Hints\r\n\r\n", every }, FAILED, None),
        (Manner::Endless { head: "", chunk: "x", every: Duration::ZERO }, FAILED, None),
        // The status is there; the body drips, or floods.
        (Manner::Endless { head: ok, chunk: "x", every }, Verdict::Delivered, Some(200)),
        (Manner::Endless { head: ok, chunk: "xxxxxxxxxxxxxxxx", every: Duration::ZERO }, Verdict::Delivered, Some(200)),
        (Manner::Endless { head: "HTTP/1.1 500 No\r\n\r\n", chunk: "x", every }, FAILED, Some(500)),
    ];
    for (manner, verdict, status) in rows {
        let sink = Sink::start(manner.clone()).await;
        let started = Instant::now();
        let outcome = send(&sink.url()).await;
        assert!(started.elapsed() < CUT_MAX, "{manner:?} took {:?}", started.elapsed());
        assert_eq!((outcome.verdict, outcome.status), (verdict, status), "{manner:?}");
        assert!(outcome.snippet.len() <= SNIPPET_BYTES_MAX, "{manner:?}");
        assert_eq!(sink.hits().len(), 1, "{manner:?}");
    }
}

#[tokio::test]
async fn what_fails_is_told_without_addresses() {
    // Closed at once: nothing listens there any more.
    let down = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let plain = Sink::start(Manner::Greets("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let closes = Sink::start(Manner::Says(String::new())).await;
    let babbles = Sink::start(Manner::Says("220 mail.inside.example ESMTP\r\n".to_owned())).await;
    let ended = "the connection ended before an answer, or the answer was no HTTP";
    let rows = [
        (format!("http://{down}/"), "the connection was refused"),
        (plain.url().replace("http:", "https:"), "the TLS handshake failed: is the certificate right?"),
        (closes.url(), ended),
        (babbles.url(), ended),
    ];
    for (url, error) in rows {
        let outcome = send(&url).await;
        assert_eq!((outcome.verdict, outcome.status, outcome.error.as_deref()), (FAILED, None, Some(error)), "{url}");
    }
}

#[tokio::test]
async fn a_look_up_that_takes_too_long_is_cut_with_the_delivery() {
    let lookup: Lookup = Arc::new(|_, _| Box::pin(std::future::pending()));
    let started = Instant::now();
    let outcome = sender(lookup).send(&due("http://silent.example/"), clock().now()).await;
    assert_eq!((outcome.verdict, outcome.status), (FAILED, None));
    assert!(started.elapsed() < CUT_MAX && outcome.duration_ms >= 300, "{outcome:?}");
}

#[tokio::test]
async fn a_name_is_looked_up_for_the_deliverys_tenant_and_later_where_there_is_no_room() {
    let (sink, seen) = (Sink::start(http("200 OK", "", "")).await, Arc::new(Mutex::new(Vec::new())));
    let tenants = Arc::clone(&seen);
    let lookup: Lookup = Arc::new(move |tenant, _| {
        let mut tenants = tenants.lock().unwrap();
        tenants.push(tenant);
        let is_first = tenants.len() == 1;
        let answer = if is_first { Err(LookupError::Busy) } else { Ok(vec!["127.0.0.1".parse().unwrap()]) };
        Box::pin(async move { answer })
    });
    let (sender, due) = (sender(lookup), due(&sink.url_of("busy.example")));
    let busy = sender.send(&due, clock().now()).await;
    assert_eq!(
        (busy.verdict, busy.error.as_deref()),
        (FAILED, Some("too many host names are being looked up just now"))
    );
    assert_eq!(sender.send(&due, clock().now()).await.verdict, Verdict::Delivered);
    assert_eq!(*seen.lock().unwrap(), [due.tenant, due.tenant]);
}
