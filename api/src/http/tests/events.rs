//! Events, tickets and webhooks of several tenants and roles.

use super::{Answer, Api, NOBODYS_ID};
use crate::config::RequestLimits;
use axum::{body::Body, http::Request};
use http_body_util::BodyExt as _;
use mecapy_model::{Code, Kernels, Lane, LimitsRequest, NonFinite, Retry, TenantId, Ties, Usage};
use mecapy_store::{
    Access, ClaimRequest, CreatedApiKey, Finish, NewApiKey, NewTask, Role, Submission, Ticket, TicketHolder,
};
use serde_json::{Value, json, value::RawValue};
use std::{collections::BTreeMap, time::Duration};
use tower::ServiceExt as _;
use uuid::Uuid;

impl Api {
    async fn another_tenant(&self, name: &str) -> (TenantId, String) {
        let tenant = self.app.store.create_tenant(name).await.unwrap();
        (tenant, self.key_of(tenant, Role::Admin).await.secret.expose().to_owned())
    }

    async fn key_of(&self, tenant: TenantId, role: Role) -> CreatedApiKey {
        let new = NewApiKey { tenant, name: "x".to_owned(), role, scopes: None, expires_at: None };
        self.app.store.create_api_key(new).await.unwrap()
    }

    async fn own_tenant(&self) -> TenantId {
        self.get("/v1/me").await.json()["tenant_id"].as_str().unwrap().parse().unwrap()
    }

    /// A task of the tenant, queued.
    async fn submit(&self, tenant: TenantId, name: &str) {
        let task = NewTask {
            tenant,
            name: Some(name.to_owned()),
            lane: Lane::Default,
            priority: 5,
            code: Code::Python { source: "result = 1".to_owned(), entry: None },
            inputs: RawValue::from_string("{}".to_owned()).unwrap(),
            files: BTreeMap::new(),
            limits: LimitsRequest::default().resolve(Lane::Default).unwrap(),
            retry: Retry::default(),
            seed: 1,
            non_finite: NonFinite::Reject,
            kernels: Kernels::default(),
            labels: BTreeMap::new(),
            run_at: None,
            retry_of: None,
            webhook_url: None,
            warnings: Vec::new(),
            ties: Ties::default(),
        };
        self.app.store.submit(Submission { task, idempotency: None, queued_max: 100 }).await.unwrap();
    }

    /// A task of the tenant that has ended.
    async fn end_one(&self, tenant: TenantId, name: &str) {
        self.submit(tenant, name).await;
        let store = &self.app.store;
        let text = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let claimed = store.claim(ClaimRequest::new(Lane::Default, 1)).await.unwrap().pop().unwrap();
        let finish = Finish {
            result: Ok(text("{}")),
            warnings: Vec::new(),
            logs: Vec::new(),
            artifacts: Vec::new(),
            usage: Usage::default(),
        };
        store.finish(claimed.claim, finish).await.unwrap();
    }

    /// What a stream says until it has said `last`; nothing where it is refused.
    async fn heard(&self, path: &str, key: Option<&str>, last: &str) -> (u16, String) {
        let request = Request::builder().uri(path);
        let request = match key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        };
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let (mut body, mut text) = (response.into_body(), String::new());
        while status == 200 && !text.contains(last) {
            let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("more of the stream");
            let bytes = frame.expect("the stream goes on").unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        (status, text)
    }

    /// An open stream.
    async fn open(&self, path: &str, key: Option<&str>) -> Body {
        let request = Request::builder().uri(path);
        let request = match key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        };
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.into_body()
    }

    async fn ticket(&self, key: &str) -> String {
        let made = self.call("POST", "/v1/tickets", key, None).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["ticket"].as_str().unwrap().to_owned()
    }

    async fn webhook(&self, key: &str) -> Answer {
        let body = json!({"url": "https://1.1.1.1/hook", "events": ["task.failed", "task.completed"]});
        self.call("POST", "/v1/webhooks", key, Some(&body)).await
    }
}

#[tokio::test]
async fn security_27_a_stream_tells_of_its_own_tenant_alone() {
    let api = Api::new(RequestLimits::default()).await;
    let own = api.own_tenant().await;
    let (theirs, their_key) = api.another_tenant("theirs").await;
    api.end_one(own, "ours 1").await;
    api.end_one(theirs, "theirs 1").await;
    api.end_one(theirs, "theirs 2").await;
    api.end_one(own, "ours 2").await;
    let (_, ours) = api.heard("/v1/events?last_event_id=0", Some(&api.key), "ours 2").await;
    assert!(ours.starts_with("id: 0\n\nid: 1\nevent: task\ndata: {\"id\":"), "{ours}");
    assert!(ours.contains("ours 1") && ours.contains("\nid: 2\n") && !ours.contains("theirs"), "{ours}");
    let (_, heard) = api.heard("/v1/events?last_event_id=1", Some(&their_key), "theirs 2").await;
    assert!(heard.starts_with("id: 1\n\nid: 2\n") && !heard.contains("ours 1"), "{heard}");
    // Without an id, and with one that was never given, it is what comes from now on.
    for path in ["/v1/events", "/v1/events?last_event_id=900"] {
        assert_eq!(api.heard(path, Some(&their_key), "\n\n").await.1, "id: 2\n\n", "{path}");
    }
}

#[tokio::test]
async fn security_27_a_webhook_of_another_tenant_is_the_same_as_none() {
    let api = Api::new(RequestLimits::default()).await;
    let (_, their_key) = api.another_tenant("theirs").await;
    let made = api.webhook(&api.key).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let patch = json!({"state": "disabled"});
    for (method, under, body) in [
        ("GET", String::new(), None),
        ("PATCH", String::new(), Some(&patch)),
        ("DELETE", String::new(), None),
        ("POST", "/rotate-secret".to_owned(), None),
        ("POST", "/test".to_owned(), None),
        ("GET", "/deliveries".to_owned(), None),
        ("POST", format!("/deliveries/{NOBODYS_ID}/replay"), None),
    ] {
        let theirs = api.call(method, &format!("/v1/webhooks/{id}{under}"), &their_key, body).await;
        let nobodys = api.call(method, &format!("/v1/webhooks/{NOBODYS_ID}{under}"), &their_key, body).await;
        assert_eq!((theirs.status, &theirs.text), (404, &nobodys.text), "{method} {under}");
    }
    let list = |key: String| {
        let api = &api;
        async move { api.call("GET", "/v1/webhooks", &key, None).await.json()["webhooks"].clone() }
    };
    assert_eq!(list(their_key.clone()).await, json!([]));
    let ours = list(api.key.clone()).await;
    assert_eq!((&ours[0]["id"], &ours[0]["state"]), (&json!(id), &json!("enabled")));
}

#[tokio::test]
async fn webhooks_are_for_administrators_and_their_secret_is_shown_once() {
    let api = Api::new(RequestLimits::default()).await;
    let tenant = api.own_tenant().await;
    for role in [Role::Viewer, Role::Engineer] {
        let key = api.key_of(tenant, role).await.secret.expose().to_owned();
        assert_eq!(api.webhook(&key).await.status, 403, "{}", role.as_str());
        assert_eq!(api.call("GET", "/v1/webhooks", &key, None).await.status, 403, "{}", role.as_str());
    }
    let made = api.webhook(&api.key).await;
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && made.headers["cache-control"] == "no-store", "{}", made.text);
    let path = format!("/v1/webhooks/{}", made.json()["id"].as_str().unwrap());
    let shown = api.get(&path).await;
    let expected = json!({
        "id": made.json()["id"], "url": "https://1.1.1.1/hook", "events": ["task.completed", "task.failed"],
        "state": "enabled", "disabled_reason": null, "failing_since": null, "failures": 0,
        "former_secret_until": null, "created_at": made.json()["created_at"],
    });
    assert_eq!(shown.json(), expected);
    let rotated = api.post(&format!("{path}/rotate-secret"), &json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_ne!(rotated.json()["secret"], json!(secret));
    let rows = [
        (json!({}), "/url", "required"),
        (json!({"url": "https://1.1.1.1/"}), "/events", "required"),
        (json!({"url": "https://1.1.1.1/", "events": ["task.failed"], "state": "enabled"}), "/state", "unknown_field"),
    ];
    for (body, pointer, code) in rows {
        assert_eq!(api.post("/v1/webhooks", &body).await.fault(), (422, pointer.into(), code.into()), "{body}");
    }
}

#[tokio::test]
async fn a_ticket_is_as_good_as_its_holder() {
    let api = Api::new(RequestLimits::default()).await;
    let tenant = api.own_tenant().await;
    api.end_one(tenant, "ours").await;
    let viewer = api.key_of(tenant, Role::Viewer).await;
    let path = |ticket: &str| format!("/v1/events?last_event_id=0&ticket={ticket}");
    let ticket = api.ticket(viewer.secret.expose()).await;
    assert_eq!(api.heard(&path(&ticket), None, "ours").await.0, 200);
    assert_eq!(api.heard(&path("nonsense"), None, "ours").await.0, 401);
    api.app.store.revoke_api_key(tenant, viewer.key.id).await.unwrap();
    assert_eq!(api.heard(&path(&ticket), None, "ours").await.0, 401);
    // One of who is no key ends with its minute, or with its tenant.
    let signed = |seconds: i64| {
        let expires_at = api.app.store.clock().now() + time::Duration::seconds(seconds);
        let holder = TicketHolder::Identity(Uuid::from_u128(7));
        let holder_until = Some(expires_at);
        api.app.store.signer().ticket(&Ticket { tenant, holder, expires_at, holder_until })
    };
    assert_eq!(api.heard(&path(&signed(30)), None, "ours").await.0, 200);
    assert_eq!(api.heard(&path(&signed(-1)), None, "ours").await.0, 401);
    api.app.store.set_tenant_access(tenant, Access::Disabled).await.unwrap();
    assert_eq!(api.heard(&path(&signed(30)), None, "ours").await.0, 401);
}

#[tokio::test]
async fn security_27_a_stream_ends_with_what_opened_it() {
    let api = Api::new(RequestLimits::default()).await;
    let tenant = api.own_tenant().await;
    let (by_key, by_ticket) = (api.key_of(tenant, Role::Viewer).await, api.key_of(tenant, Role::Viewer).await);
    let ticket = api.ticket(by_ticket.secret.expose()).await;
    let holder_until = Some(api.app.store.clock().now() + Duration::from_secs(2));
    let token = Ticket {
        tenant,
        holder: TicketHolder::Identity(Uuid::from_u128(7)),
        expires_at: api.app.store.clock().now() + Duration::from_secs(30),
        holder_until,
    };
    let token = api.app.store.signer().ticket(&token);
    let mut streams = vec![
        api.open("/v1/events", Some(by_key.secret.expose())).await,
        api.open(&format!("/v1/events?ticket={ticket}"), None).await,
        api.open(&format!("/v1/events?ticket={token}"), None).await,
    ];
    let mut other = api.open("/v1/events", Some(&api.key)).await;
    for key in [by_key, by_ticket] {
        api.app.store.revoke_api_key(tenant, key.key.id).await.unwrap();
    }
    // Not asked twice in a second.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    api.end_one(tenant, "wakes them").await;
    for body in &mut streams {
        let mut text = String::new();
        while let Some(frame) = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.expect("an end") {
            text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
        assert!(!text.contains("wakes them"), "{text}");
    }
    let mut text = String::new();
    while !text.contains("wakes them") {
        let frame = tokio::time::timeout(Duration::from_secs(5), other.frame()).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn security_35_requests_that_wait_for_results_are_counted() {
    let limits = RequestLimits { streams_per_key_max: 2, streams_per_tenant_max: 3, ..RequestLimits::default() };
    let api = Api::new(limits).await;
    let tenant = api.own_tenant().await;
    let key = api.key_of(tenant, Role::Viewer).await.secret.expose().to_owned();
    api.submit(tenant, "goes on").await;
    let id = api.get("/v1/tasks").await.json()["tasks"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/tasks/{id}/result");
    let (wait, mut waiting) = (format!("{path}?wait=60"), Vec::new());
    for key in [&api.key, &api.key, &key] {
        let mut one = Box::pin(api.call("GET", &wait, key, None));
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut one).await.is_err(), "it waits");
        waiting.push(one);
    }
    assert_eq!(api.call("GET", &wait, &key, None).await.status, 429, "of the tenant");
    let refused = api.get(&format!("{path}?wait=1")).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"5".parse().unwrap()), "{}", refused.text);
    // Whoever does not wait takes no place, and event streams have their own.
    assert_eq!(api.get(&path).await.status, 409);
    drop(api.open("/v1/events", Some(&api.key)).await);
    api.app.stopping.cancel();
    for one in waiting {
        assert_eq!(one.await.status, 409);
    }
    assert_eq!(api.get(&format!("{path}?wait=1")).await.status, 409);
}

#[tokio::test]
async fn events_that_are_kept_no_more_are_told_of() {
    let api = Api::new(RequestLimits::default()).await;
    let tenant = api.own_tenant().await;
    // Numbers without rows, as the sweeper leaves them.
    for name in ["a", "b", "c"] {
        api.end_one(tenant, name).await;
    }
    let events = api.app.store.tenant_events(tenant, 0).await.unwrap();
    let last = events.last().unwrap();
    let mut written = Vec::new();
    crate::http::routes::events::write_after(&mut written, 0, last).unwrap();
    let written = String::from_utf8(written).unwrap();
    let missed = "id: 2\nevent: missed\ndata: {\"from\":1,\"to\":2}\n\nid: 3\nevent: task\ndata: ";
    assert!(written.starts_with(missed), "{written}");
    let data: Value = serde_json::from_str(written.strip_prefix(missed).unwrap().trim()).unwrap();
    assert_eq!(data["data"]["name"], json!("c"));
}
