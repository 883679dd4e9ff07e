//! Requests with sources in C and Rust: no engine is needed to accept or refuse them.

use super::{Answer, Api};
use crate::config::RequestLimits;
use mecapy_model::{COMPILE_ROOM, Code, Digest, ErrorKind, Executor, Lane, Room, SourceLanguage, TaskError, Warning};
use mecapy_runtime::{
    compiler::content_key,
    solver::{Catalogue, Solvers},
};
use mecapy_store::{AfterCompile, ClaimRequest, Compiled, NewModule, WorkerKind, WorkerRow, Written};
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

    /// A worker has compiled it, for a task that is queued for that.
    async fn compile(&self, source: &str, outcome: Result<Digest, TaskError>) {
        let (store, solvers) = (&self.app.store, self.app.solvers().unwrap());
        assert_eq!(self.submit_source(json!({"language": "c", "source": source})).await.status, 202);
        let request = ClaimRequest::containers(Lane::Default, 1, COMPILE_ROOM, COMPILE_ROOM);
        let claim = store.claim(request).await.unwrap().pop().unwrap().claim;
        if let Ok(digest) = outcome {
            let (imports, exports, warnings) = Default::default();
            let module = NewModule { digest, bytes: vec![0; 8], imports, exports, warnings };
            store.put_module(claim.tenant, module).await.unwrap();
        }
        let key = content_key(solvers.catalogue().compiler(SourceLanguage::C).unwrap(), source);
        let unused = Warning { code: "compiler".to_owned(), message: "x".to_owned(), line: Some(1), pointer: None };
        let compiled = Compiled { outcome, warnings: vec![unused], compile_ms: 12.5 };
        let written = store.record_compiled(&claim, (key, &compiled), AfterCompile::Ends).await.unwrap();
        assert_eq!(written, Written::Done);
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

#[tokio::test]
async fn a_batch_is_queued_once_its_source_is_compiled() {
    const MODULE: Digest = Digest([9; 32]);
    let api = with_compiler().await;
    let code = json!({"language": "c", "source": "int main(void) { return 0; }"});
    let batch = json!({"code": code, "items": [{"inputs": {"x": 1}}, {"inputs": {"x": 2}}]});
    let answer = api.post("/v1/batches", &batch).await;
    assert_eq!((answer.status, answer.text.contains("no_worker")), (503, true), "{}", answer.text);
    api.compile("int main(void) { return 0; }", Ok(MODULE)).await;
    let answer = api.post("/v1/batches", &batch).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let shown = answer.json();
    assert_eq!((&shown["code"], &shown["warnings"][0]["code"]), (&code, &json!("compiler")));
    let chunk = api.app.store.claim(ClaimRequest::new(Lane::Default, 1)).await.unwrap().pop().unwrap();
    let Code::Items { batch: id, .. } = &chunk.task.code else { panic!("{:?}", chunk.task.code) };
    let spec = api.app.store.batch_spec(*id).await.unwrap().unwrap();
    assert!(matches!(spec.code, Code::C { module: Some(MODULE), .. }), "{:?}", spec.code);
    // What carries out items is none of the caller's tasks.
    let answer = api.post(&format!("/v1/tasks/{}/retry", chunk.task.id), &json!({})).await;
    assert_eq!((answer.status, answer.text.contains("/v1/batches/")), (409, true), "{}", answer.text);

    let wrong = TaskError { line: Some(1), ..TaskError::new(ErrorKind::Compile, "expected '}'") };
    api.compile("int main(void) {", Err(wrong)).await;
    let batch = json!({"code": {"language": "c", "source": "int main(void) {"}, "items": [{"inputs": {}}]});
    let answer = api.post("/v1/batches", &batch).await;
    assert_eq!(answer.fault(), (422, "/code/source".into(), "compile".into()), "{}", answer.text);
    assert_eq!(answer.json()["errors"][0]["line"], json!(1));
}

#[tokio::test]
async fn a_kept_result_is_of_a_source_and_not_of_its_module() {
    let api = with_compiler().await;
    let source = "int main(void) { return 0; }";
    let body = json!({"code": {"language": "c", "source": source}, "cache": "use", "seed": 1});
    let mut keys = Vec::new();
    for _ in 0..2 {
        let id = api.post("/v1/tasks", &body).await.json()["id"].as_str().unwrap().parse().unwrap();
        let task = api.app.store.task(api.app.store.tenants().await.unwrap()[0].id, id).await.unwrap().unwrap();
        keys.push((task.code.executor(), task.ties.cache_key.unwrap()));
        if keys.len() == 1 {
            api.app.store.cancel(task.tenant, id).await.unwrap();
            api.compile(source, Ok(Digest([9; 32]))).await;
        }
    }
    assert_eq!((keys[0].0, keys[1].0), (Executor::Container, Executor::Sandbox));
    assert_eq!(keys[0].1, keys[1].1);
}
