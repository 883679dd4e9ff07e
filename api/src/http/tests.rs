//! The router with a real store and sandboxes, without an interpreter: what needs none.

mod events;
mod solvers;
mod sources;

use super::{router, schema};
use crate::{
    app::App,
    config::RequestLimits,
    webhooks::{AllowList, Guard},
};
use axum::{Router, body::Body, http::Request};
use mecapy_runtime::{Engine, NanPayloads, Sandboxes, SandboxesConfig};
use mecapy_store::{Clock, NewApiKey, Role, Store, StoreOptions, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt as _;

const NOBODYS_ID: &str = "018bcfe5-6800-7707-8707-070707070707";

struct Api {
    router: Router,
    app: Arc<App>,
    key: String,
    _data: TempDir,
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// Status, and the pointer and code of the first fault.
    fn fault(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |name: &str| body["errors"][0][name].as_str().unwrap_or_default().to_owned();
        (self.status, text("pointer"), text("code"))
    }
}

impl Api {
    async fn new(limits: RequestLimits) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
        let store = Store::open(StoreOptions::new(data.path()), clock).await.unwrap();
        let key = store.ensure_admin().await.unwrap().unwrap().secret.expose().to_owned();
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let config = SandboxesConfig {
            preview_threads: 1,
            default_threads: 1,
            long_running_threads: 1,
            ..SandboxesConfig::for_machine(1, 1 << 30)
        };
        let sandboxes = Sandboxes::new(&engine, &config).unwrap();
        let guard = Guard::new(AllowList::default(), false);
        let app = App::new(store, sandboxes, limits, None, guard);
        Self { router: router(Arc::clone(&app)), app, key, _data: data }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn call(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        let request = request.header("host", "api.example:8000").header("content-type", "application/json");
        self.send(request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &self.key, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &self.key, Some(body)).await
    }

    async fn bare(&self, method: &str, path: &str, body: &'static str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Body::from(body)).unwrap()).await
    }
}

#[tokio::test]
async fn every_failure_has_the_one_envelope() {
    let api = Api::new(RequestLimits::default()).await;
    let rows = [
        ("GET", "/nowhere", 404),
        ("PATCH", "/v1/tasks", 405),
        ("GET", "/v1/tasks/x", 404),
        ("GET", &format!("/v1/tasks/{NOBODYS_ID}/events"), 404),
        ("DELETE", &format!("/v1/api-keys/{NOBODYS_ID}"), 404),
        ("GET", "/v1/modules/abc", 404),
        ("GET", "/v1/tasks?cursor=AAAA", 400),
        ("GET", "/v1/tasks?limit=1000000000", 422),
        ("GET", "/v1/tasks?study=x", 422),
        ("GET", "/console", 422),
        ("POST", "/v1/studies", 400),
        ("GET", &format!("/v1/studies/{NOBODYS_ID}/compare?a=x"), 404),
        ("GET", "/v1/schedules?cursor=AAAA", 400),
        ("POST", &format!("/v1/schedules/{NOBODYS_ID}/run"), 404),
        ("POST", "/v1/webhooks", 400),
        ("GET", &format!("/v1/webhooks/{NOBODYS_ID}"), 404),
        ("GET", &format!("/v1/webhooks/{NOBODYS_ID}/deliveries"), 404),
        ("POST", &format!("/v1/webhooks/{NOBODYS_ID}/deliveries/{NOBODYS_ID}/replay"), 404),
        ("GET", "/v1/events?after=5", 422),
        ("GET", "/v1/usage?from=x", 422),
        ("GET", &format!("/v1/api-keys/{NOBODYS_ID}"), 404),
        ("DELETE", &format!("/v1/modules/{}", "0".repeat(64)), 404),
        ("GET", &format!("/v1/tasks/{NOBODYS_ID}?wait=5"), 422),
        ("GET", &format!("/v1/tasks/{NOBODYS_ID}/events?after=5"), 422),
        ("GET", &format!("/v1/tasks/{NOBODYS_ID}/artifacts?x"), 422),
        ("POST", &format!("/v1/tasks/{NOBODYS_ID}/cancel?now=1"), 422),
        ("POST", "/v1/tasks?dry_run=1", 422),
        ("POST", "/v1/preview?timeout=1", 422),
        ("GET", "/ready", 503),
    ];
    for (method, path, status) in rows {
        let answer = api.call(method, path, &api.key, None).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(answer.json()["status"], json!(status));
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
    }
}

#[tokio::test]
async fn nothing_under_v1_answers_without_a_key_but_signed_urls() {
    let api = Api::new(RequestLimits::default()).await;
    let document = api.bare("GET", "/openapi.json", "").await.json();
    let mut guarded = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in
            ["get", "post", "put", "patch", "delete"].into_iter().filter(|method| methods.get(method).is_some())
        {
            let path = path
                .replace("{id}", NOBODYS_ID)
                .replace("{delivery}", NOBODYS_ID)
                .replace("{module}", "0")
                .replace("{*key}", "uploads/a/b");
            let answer = api.bare(&method.to_uppercase(), &path, "").await;
            let expected = match path.as_str() {
                "/" | "/health" | "/metrics" => 200,
                "/ready" => 503,
                path if path.starts_with("/v1/objects/") => 403,
                _ => 401,
            };
            guarded += usize::from(expected == 401);
            assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
        }
    }
    assert!(guarded > 20, "{guarded}");
}

#[tokio::test]
async fn roles_limit_what_a_key_may_do() {
    let api = Api::new(RequestLimits::default()).await;
    let me = api.get("/v1/me").await.json();
    let tenant = me["tenant_id"].as_str().unwrap().parse().unwrap();
    for (role, submit, keys) in [(Role::Viewer, 403, 403), (Role::Engineer, 422, 403), (Role::Admin, 422, 200)] {
        let new = NewApiKey { tenant, name: "x".to_owned(), role, scopes: None, expires_at: None };
        let key = api.app.store.create_api_key(new).await.unwrap().secret.expose().to_owned();
        let answered = (
            api.call("GET", "/v1/tasks", &key, None).await.status,
            api.call("POST", "/v1/tasks", &key, Some(&json!({}))).await.status,
            api.call("GET", "/v1/api-keys", &key, None).await.status,
        );
        assert_eq!(answered, (200, submit, keys), "{}", role.as_str());
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_is_gone_at_once() {
    let api = Api::new(RequestLimits::default()).await;
    let made = api.post("/v1/api-keys", &json!({"name": "ci", "role": "viewer"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let (key, id) = (made.json()["key"].as_str().unwrap().to_owned(), made.json()["id"].as_str().unwrap().to_owned());
    assert_eq!(api.call("GET", "/v1/me", &key, None).await.status, 200);
    let shown = api.get(&format!("/v1/api-keys/{id}")).await;
    assert_eq!((shown.status, &shown.json()["name"]), (200, &json!("ci")), "{}", shown.text);
    assert!(!api.get("/v1/api-keys").await.text.contains(&key) && !shown.text.contains(&key));
    assert_eq!(api.call("DELETE", &format!("/v1/api-keys/{id}"), &api.key, None).await.status, 204);
    assert_eq!(api.call("GET", "/v1/me", &key, None).await.status, 401);
}

#[tokio::test]
async fn python_waits_for_its_interpreter_and_modules_for_their_upload() {
    let api = Api::new(RequestLimits::default()).await;
    let python = json!({"code": {"language": "python", "source": "result = 1"}});
    for path in ["/v1/preview", "/v1/tasks"] {
        let answer = api.post(path, &python).await;
        assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{path}");
        let wasm = json!({"code": {"language": "wasm", "module": "0".repeat(64)}});
        assert_eq!(api.post(path, &wasm).await.fault(), (422, "/code/module".into(), "unknown_module".into()));
        let file = json!({"code": {"language": "wasm", "module": "0".repeat(64)}, "files": {"a": NOBODYS_ID}});
        assert!(api.post(path, &file).await.text.contains("/files/a"));
    }
}

#[tokio::test]
async fn malformed_bodies_never_reach_a_handler() {
    let api = Api::new(RequestLimits { json_bytes_max: 1000, batch_bytes_max: 1000, ..RequestLimits::default() }).await;
    let deep = format!("{{\"inputs\":{}", "[".repeat(500));
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(1000));
    let rows = [
        ("", 400),
        ("{", 400),
        ("{\"a\":1,\"a\":2}", 400),
        ("\"\\ud800\"", 400),
        (&deep, 400),
        (&long, 413),
        ("[]", 422),
    ];
    for (body, status) in rows {
        for path in ["/v1/preview", "/v1/tasks", "/v1/uploads", "/v1/api-keys", "/v1/webhooks", "/v1/batches"] {
            let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
            let request = request.header("authorization", format!("Bearer {}", api.key));
            let answer = api.send(request.body(Body::from(body.to_owned())).unwrap()).await;
            assert_eq!(answer.status, status, "{path} {body:.40}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn an_upload_goes_through_its_signed_url_once() {
    let api = Api::new(RequestLimits::default()).await;
    let asked = api.post("/v1/uploads", &json!({"name": "a.csv", "size_bytes": 3})).await;
    assert_eq!(asked.status, 201, "{}", asked.text);
    let (url, id) =
        (asked.json()["url"].as_str().unwrap().to_owned(), asked.json()["upload_id"].as_str().unwrap().to_owned());
    let path = url.strip_prefix("http://api.example:8000").unwrap();
    let complete = format!("/v1/uploads/{id}/complete");
    assert_eq!(api.post(&complete, &json!({})).await.status, 409);
    assert_eq!(api.bare("PUT", &path.replace("bytes_max=3", "bytes_max=9"), "abc").await.status, 403);
    assert_eq!(api.bare("GET", path, "").await.status, 403);
    assert_eq!(api.bare("PUT", path, "abcd").await.status, 413);
    let put = api.bare("PUT", path, "abc").await;
    assert_eq!(put.status, 204, "{}", put.text);
    assert_eq!(api.bare("PUT", path, "xyz").await.status, 409);
    let done = api.post(&complete, &json!({})).await;
    assert_eq!((done.status, &done.json()["size_bytes"]), (200, &json!(3)), "{}", done.text);
}

#[tokio::test]
async fn a_form_is_an_upload_at_once() {
    let api = Api::new(RequestLimits { upload_bytes_max: 100, ..RequestLimits::default() }).await;
    let form = |content: &str| {
        format!(
            "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{content}\r\n--x--\r\n"
        )
    };
    let large = "y".repeat(101);
    let rows = [
        (form("abc"), 201),
        (form(&large), 413),
        (form(&"y".repeat(200_000)), 413),
        ("--x--\r\n".to_owned(), 422),
        ("nonsense".to_owned(), 400),
    ];
    for (body, status) in rows {
        let request = Request::builder().method("POST").uri("/v1/uploads");
        let request = request.header("content-type", "multipart/form-data; boundary=x");
        let request = request.header("authorization", format!("Bearer {}", api.key));
        let answer = api.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        if status == 201 {
            assert_eq!((&answer.json()["size_bytes"], &answer.json()["name"]), (&json!(3), &json!("a.txt")));
        }
    }
    let list = api.get("/v1/uploads").await.json();
    assert_eq!(list["uploads"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test]
async fn of_a_form_with_two_files_none_is_kept() {
    let api = Api::new(RequestLimits::default()).await;
    let part = |name: &str| {
        format!("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\nabc\r\n")
    };
    let request = Request::builder().method("POST").uri("/v1/uploads");
    let request = request.header("content-type", "multipart/form-data; boundary=x");
    let request = request.header("authorization", format!("Bearer {}", api.key));
    let body = format!("{}{}--x--\r\n", part("a.txt"), part("b.txt"));
    let answer = api.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let list = api.get("/v1/uploads").await.json();
    assert_eq!(list["uploads"].as_array().unwrap().len(), 0, "{list}");
}

#[tokio::test]
async fn uploads_come_in_pages() {
    let api = Api::new(RequestLimits::default()).await;
    for name in ["a", "b", "c"] {
        assert_eq!(api.post("/v1/uploads", &json!({"name": name})).await.status, 201);
    }
    let first = api.get("/v1/uploads?limit=2").await.json();
    assert_eq!((&first["uploads"][0]["name"], &first["uploads"][1]["name"]), (&json!("c"), &json!("b")));
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = api.get(&format!("/v1/uploads?limit=2&cursor={cursor}")).await.json();
    assert_eq!((&last["uploads"][0]["name"], &last["next_cursor"]), (&json!("a"), &Value::Null));
    for list in ["uploads", "modules"] {
        assert_eq!(api.get(&format!("/v1/{list}?cursor=x")).await.status, 400, "{list}");
    }
}

#[tokio::test]
async fn fields_that_no_route_reads_are_named() {
    let api = Api::new(RequestLimits::default()).await;
    for route in ["tasks/{}/cancel", "tasks/{}/retry", "uploads/{}/complete"] {
        let path = format!("/v1/{}", route.replace("{}", NOBODYS_ID));
        let answer = api.post(&path, &json!({"seed": 5})).await;
        assert_eq!(answer.fault(), (422, "/seed".into(), "unknown_field".into()), "{path}");
        assert_eq!(api.post(&path, &json!({})).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_query_that_no_route_reads_is_named() {
    let api = Api::new(RequestLimits::default()).await;
    let digest = "0".repeat(64);
    let one = |list: &str| format!("{list}/{NOBODYS_ID}");
    let module = format!("modules/{digest}");
    let rows = [
        ("GET", vec!["me".into(), "lanes".into(), "workers".into(), "api-keys".into()]),
        ("GET", vec![one("tasks"), one("uploads"), module.clone(), one("api-keys")]),
        ("DELETE", vec![one("tasks"), one("uploads"), module, one("api-keys")]),
        ("POST", vec!["preview".into(), "tasks".into(), "uploads".into(), "modules".into(), "api-keys".into()]),
    ];
    for (method, routes) in rows {
        for route in routes {
            let request = Request::builder().method(method).uri(format!("/v1/{route}?force=1"));
            let request = request.header("authorization", format!("Bearer {}", api.key));
            let answer = api.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.fault(), (422, "/force".into(), "unknown_field".into()), "{method} {route}");
        }
    }
}

#[tokio::test]
async fn more_files_than_a_task_may_have_are_one_fault() {
    let api = Api::new(RequestLimits::default()).await;
    let files: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("f{n}"), json!(NOBODYS_ID))).collect();
    let body = json!({"code": {"language": "wasm", "module": "0".repeat(64)}, "files": files});
    for path in ["/v1/preview", "/v1/tasks"] {
        let answer = api.post(path, &body).await;
        assert_eq!(answer.fault(), (422, "/files".into(), "too_many".into()), "{path}");
        assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let api = Api::new(RequestLimits { requests_per_second_max: 2, ..RequestLimits::default() }).await;
    let statuses = [api.get("/v1/me").await.status, api.get("/v1/me").await.status];
    let third = api.get("/v1/me").await;
    assert_eq!((statuses, third.status), ([200, 200], 429));
    assert_eq!(third.headers["retry-after"], "1");
}

/// The document says what `intake` reads: a field that only one of them knows would mislead clients.
#[tokio::test]
async fn documented_fields_are_understood() {
    let api = Api::new(RequestLimits::default()).await;
    let document = api.bare("GET", "/openapi.json", "").await.json();
    for (path, name) in [
        ("/v1/preview", "PreviewRequest"),
        ("/v1/tasks", "TaskRequest"),
        ("/v1/batches", "BatchRequest"),
        ("/v1/api-keys", "ApiKeyRequest"),
        ("/v1/webhooks", "WebhookRequest"),
        ("/v1/uploads", "UploadRequest"),
        ("/v1/tenants", "TenantRequest"),
        ("/types/check-connection", "ConnectionRequest"),
    ] {
        let fields = document["components"]["schemas"][name]["properties"].as_object().unwrap();
        assert!(!fields.is_empty(), "{name}");
        // No field takes this, so each is a fault of its own where it is known.
        let wrong: serde_json::Map<_, _> = fields.keys().map(|field| (field.clone(), json!([[]]))).collect();
        let answer = api.post(path, &Value::Object(wrong)).await;
        let faults = answer.json()["errors"].as_array().cloned().unwrap_or_default();
        for field in fields.keys() {
            let pointer = format!("/{field}");
            let inside = format!("{pointer}/");
            let is_at = |fault: &&Value| {
                let at = fault["pointer"].as_str().unwrap_or_default();
                at == pointer || at.starts_with(&inside)
            };
            let code = faults.iter().find(is_at).map(|fault| fault["code"].clone());
            assert!(code.as_ref().is_some_and(|code| code != "unknown_field"), "{name}.{field}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn the_documents_examples_are_what_requests_look_like() {
    let api = Api::new(RequestLimits::default()).await;
    let document = api.bare("GET", "/openapi.json", "").await.json();
    for (path, name) in
        [("/v1/preview", "PreviewRequest"), ("/v1/tasks", "TaskRequest"), ("/v1/batches", "BatchRequest")]
    {
        let example = &document["components"]["schemas"][name]["example"];
        assert!(example.is_object(), "{name}");
        // 503: all of it was understood, and only the interpreter is missing.
        assert_eq!(api.post(path, example).await.status, 503, "{name}");
    }
    assert_eq!(
        api.post("/v1/uploads", &document["components"]["schemas"]["UploadRequest"]["example"]).await.status,
        201
    );
}

/// Of two schemas with one name the document would hold one.
#[tokio::test]
async fn what_a_task_used_and_what_a_tenant_used_are_documented() {
    let api = Api::new(RequestLimits::default()).await;
    let document = api.bare("GET", "/openapi.json", "").await.json();
    for (schema, field) in [("Usage", "startup_ms"), ("UsageReport", "buckets"), ("QuotaLimits", "running_max")] {
        let properties = &document["components"]["schemas"][schema]["properties"];
        assert!(properties.get(field).is_some(), "{schema}: {properties}");
    }
}

#[test]
fn both_kinds_of_code_are_documented() {
    let kinds = [
        schema::LanguageRequest::Python { source: "result = 1".to_owned(), entry: None },
        schema::LanguageRequest::Wasm { module: "0".repeat(64) },
    ];
    for (kind, language) in kinds.into_iter().zip(["python", "wasm"]) {
        assert_eq!(serde_json::to_value(schema::CodeRequest::Language(kind)).unwrap()["language"], language);
    }
}
