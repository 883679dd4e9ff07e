//! Requests with sources in C and Rust: no engine is needed to accept or refuse them.

use super::{Answer, Api};
use crate::config::RequestLimits;
use mecapy_model::{COMPILE_ROOM, Code, Executor, Lane, Room};
use mecapy_runtime::solver::{Catalogue, Solvers};
use mecapy_store::{ClaimRequest, WorkerKind, WorkerRow};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};
use uuid::Uuid;

const IMAGE: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A server whose catalogue has a compiler for C alone.
async fn with_compiler() -> Api {
    let api = Api::new(RequestLimits::default()).await;
    let text = format!(
        "[[compiler]]\nlanguage = \"c\"\nversion = \"1\"\ntitle = \"C17\"\nlicence = \"MIT\"\nimage = \"{IMAGE}\"\n\
         command = [\"/usr/bin/clang\"]\n"
    );
    let catalogue = Catalogue::parse(&text, Path::new("solvers.toml")).unwrap();
    api.app.set_solvers(Arc::new(Solvers::new(catalogue, [])));
    api
}

impl Api {
    async fn submit_source(&self, code: Value) -> Answer {
        let body = json!({"code": code, "limits": {"memory_bytes": 4_u64 << 30, "timeout_ms": 200_000}});
        self.post("/v1/tasks", &body).await
    }

    async fn offer(&self, compiler: &str, total: Room) {
        let store = &self.app.store;
        let row = WorkerRow {
            id: Uuid::from_u128(1),
            kind: WorkerKind::Alone,
            host: "node".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            lanes: vec![Lane::Default],
            executor: Executor::Container,
            total,
            free: total,
            solvers: vec![compiler.to_owned()],
            concurrency: 1,
            running: 0,
            draining: false,
            started_at: store.now(),
        };
        store.announce_worker(row).await.unwrap();
    }
}

#[tokio::test]
async fn a_source_is_queued_for_a_compiler_and_shown_as_it_was_sent() {
    let api = with_compiler().await;
    let code = json!({"language": "c", "source": "int main(void) { return 0; }"});
    let answer = api.submit_source(code.clone()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let task = answer.json();
    assert_eq!((&task["code"], &task["lane"], task.get("module")), (&code, &json!("default"), None));
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let warned = async || api.get(&path).await.json()["warnings"].clone();
    assert_eq!(warned().await[0]["pointer"], json!("/lane"), "nobody runs containers");
    api.offer("c@1", Room { memory_bytes: 1 << 20, ..COMPILE_ROOM }).await;
    assert_eq!(warned().await[0]["code"], json!("no_worker"), "a compiler needs more room");
    api.offer("rust@1", COMPILE_ROOM).await;
    let warning = warned().await[0].clone();
    assert_eq!(warning["pointer"], json!("/code/language"));
    assert!(warning["message"].as_str().unwrap().contains("the compiler for C"), "{warning}");
    api.offer("c@1", COMPILE_ROOM).await;
    assert_eq!(warned().await, json!([]));
    let request = ClaimRequest::containers(Lane::Default, 9, COMPILE_ROOM, COMPILE_ROOM);
    let claimed = api.app.store.claim(request).await.unwrap().pop().unwrap();
    assert!(matches!(claimed.task.code, Code::C { module: None, .. }));
    assert_eq!(claimed.task.limits.memory_bytes, 4 << 30, "the limits are the run's");
}

#[tokio::test]
async fn what_no_compiler_takes_is_refused_with_what_to_do() {
    let api = with_compiler().await;
    let shown = api.get("/v1/compilers").await.json();
    let expected = json!([{"language": "c", "title": "C17", "version": "1", "licence": "MIT", "image": IMAGE,
        "note": null, "available": false}]);
    assert_eq!(shown, expected);
    let answer = api.submit_source(json!({"language": "rust", "source": "fn main() {}"})).await;
    assert_eq!(answer.fault(), (422, "/code/language".into(), "not_available".into()));
    assert!(answer.text.contains("--solvers") && answer.text.contains("/v1/modules"), "{}", answer.text);
    let answer = api.submit_source(json!({"language": "c", "source": " ".repeat((1 << 20) + 1)})).await;
    assert_eq!(answer.fault(), (422, "/code/source".into(), "too_long".into()));
    for answer in [
        api.submit_source(json!({"language": "c", "source": "", "module": "00"})).await,
        api.submit_source(json!({"language": "compile", "of": "c", "source": ""})).await,
    ] {
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
    let answer = api.post("/v1/preview", &json!({"code": {"language": "c", "source": ""}})).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.text.contains("no_worker"), "{}", answer.text);
    let none = Api::new(RequestLimits::default()).await;
    assert_eq!(none.get("/v1/compilers").await.json(), json!([]));
}
