//! Requests that name solvers: no engine is needed to accept or refuse them.

use super::{Answer, Api};
use crate::config::RequestLimits;
use axum::{body::Body, http::Request};
use mecapy_model::{ArtifactName, Executor, Fault, Lane, Room, TaskError};
use mecapy_runtime::solver::{
    Adapter, AdapterKind, Catalogue, Conclusion, Ended, Folder, Prepared, Reader, Solvers, Study,
};
use mecapy_store::{ClaimRequest, Store, WorkerKind, WorkerRow};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};
use uuid::Uuid;

const IMAGE: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Wants a deck, and is asked nothing else.
#[derive(Debug)]
struct WantsDeck;

impl Adapter for WantsDeck {
    fn check(&self, study: &Study<'_>) -> Vec<Fault> {
        let is_deck =
            |(name, bytes): &(ArtifactName, Option<u64>)| name.as_str().ends_with(".inp") && *bytes == Some(3);
        let found = study.files.iter().any(is_deck) && study.command == ["/usr/bin/ccx"] && study.limits.cpus == 4;
        if found { Vec::new() } else { vec![Fault::new("/code/files", "required", "a deck is needed")] }
    }

    fn prepare(&self, _: &Study<'_>, _: &dyn Folder) -> Result<Prepared, TaskError> {
        unreachable!("nothing runs here")
    }

    fn reader(&self, _: &Study<'_>) -> Box<dyn Reader> {
        unreachable!("nothing runs here")
    }

    fn conclude(&self, _: &Study<'_>, _: &Ended, _: &dyn Reader, _: &dyn Folder) -> Conclusion {
        unreachable!("nothing runs here")
    }
}

fn solvers() -> Solvers {
    let version = |version: &str| {
        format!("[[solver.version]]\nversion = \"{version}\"\nimage = \"{IMAGE}\"\ncommand = [\"/usr/bin/ccx\"]\n")
    };
    let solver = |name: &str, adapter: &str| {
        format!(
            "[[solver]]\nname = \"{name}\"\ntitle = \"The {name}\"\nadapter = \"{adapter}\"\nlicence = \"GPL\"\n\
             default_version = \"2.20\"\n{}memory_bytes_default = 3221225472\n{}",
            version("2.20"),
            version("2.21")
        )
    };
    let text = [solver("calculix", "calculix"), solver("other", "plain")].concat();
    let adapter: Arc<dyn Adapter> = Arc::new(WantsDeck);
    Solvers::new(Catalogue::parse(&text, Path::new("solvers.toml")).unwrap(), [(AdapterKind::CalculiX, adapter)])
}

/// Of a worker that runs one version of one solver.
fn container_row(store: &Store) -> WorkerRow {
    WorkerRow {
        id: Uuid::from_u128(1),
        kind: WorkerKind::Alone,
        host: "node-7".to_owned(),
        pid: 1,
        version: "1.2.3".to_owned(),
        lanes: vec![Lane::LongRunning],
        executor: Executor::Container,
        total: Room { cpus: 8, memory_bytes: 16 << 30 },
        free: Room { cpus: 2, memory_bytes: 4 << 30 },
        solvers: vec!["calculix@2.21".to_owned()],
        concurrency: 8,
        running: 1,
        draining: false,
        started_at: store.now(),
    }
}

impl Api {
    async fn with_solvers() -> Self {
        let api = Api::new(RequestLimits::default()).await;
        api.app.set_solvers(Arc::new(solvers()));
        api
    }

    /// The id of an upload of three bytes.
    async fn upload(&self) -> String {
        let form = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc\r\n--x--\r\n";
        let request = Request::builder().method("POST").uri("/v1/uploads");
        let request = request.header("content-type", "multipart/form-data; boundary=x");
        let request = request.header("authorization", format!("Bearer {}", self.key));
        let answer = self.send(request.body(Body::from(form)).unwrap()).await;
        answer.json()["upload_id"].as_str().unwrap().to_owned()
    }

    async fn submit_solve(&self, code: Value, more: Value) -> Answer {
        let mut body = json!({"code": code});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post("/v1/tasks", &body).await
    }
}

#[tokio::test]
async fn a_solver_task_is_queued_for_containers_and_shown_as_the_contract_says() {
    let api = Api::with_solvers().await;
    let (deck, mesh) = (api.upload().await, api.upload().await);
    let code = json!({"solver": "calculix", "files": {"beam.inp": deck}});
    let more = json!({"files": {"beam.msh": mesh}, "limits": {"cpus": 4, "timeout_ms": 3_600_000}});
    let answer = api.submit_solve(code, more).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let task = answer.json();
    let expected = json!({"solver": "calculix", "version": "2.20", "files": {"beam.inp": deck, "beam.msh": mesh}});
    assert_eq!((&task["code"], &task["lane"]), (&expected, &json!("long_running")));
    assert_eq!(task["warnings"], json!([]), "its cores are used");
    let shown = api.get(&format!("/v1/tasks/{}", task["id"].as_str().unwrap())).await.json();
    assert_eq!((&shown["code"], &shown["queue_position"]), (&expected, &json!(0)));

    let store = &api.app.store;
    assert!(store.claim(ClaimRequest::new(Lane::LongRunning, 1)).await.unwrap().is_empty(), "a sandbox can't run it");
    let room = Room { cpus: 4, memory_bytes: 3 << 30 };
    let claimed = store.claim(ClaimRequest::containers(Lane::LongRunning, 1, room, room)).await.unwrap();
    let limits = claimed[0].task.limits;
    assert_eq!((limits.room(), limits.fuel, limits.timeout_ms), (room, 0, 3_600_000));
    assert_eq!(claimed[0].task.files.len(), 2);
}

#[tokio::test]
async fn every_fault_of_a_solver_task_is_pointed_at() {
    let api = Api::with_solvers().await;
    let upload = api.upload().await;
    let missing = "018bcfe5-6800-7707-8707-070707070707";
    let other = || json!({"solver": "other"});
    let rows = [
        (json!({"solver": "abaqus"}), json!({}), "/code/solver", "unknown_solver"),
        (json!({"solver": 7}), json!({}), "/code/solver", "wrong_type"),
        (json!({"solver": null}), json!({}), "/code/solver", "required"),
        (json!({"solver": "other", "version": "9"}), json!({}), "/code/version", "unknown_version"),
        (json!({"solver": "other", "language": "c"}), json!({}), "/code/language", "unknown_field"),
        (json!({"solver": "other", "image": "x"}), json!({}), "/code/image", "unknown_field"),
        (json!({"solver": "other", "files": {"a": "x"}}), json!({}), "/code/files/a", "unknown_upload"),
        (json!({"solver": "other", "files": {"a": missing}}), json!({}), "/code/files/a", "unknown_upload"),
        (other(), json!({"files": {"a": missing}}), "/files/a", "unknown_upload"),
        (
            json!({"solver": "other", "files": {"a": upload}}),
            json!({"files": {"a": upload}}),
            "/code/files/a",
            "duplicate",
        ),
        (json!({"solver": "calculix"}), json!({}), "/code/files", "required"),
        (other(), json!({"lane": "high_priority"}), "/lane", "not_applicable"),
        (other(), json!({"limits": {"fuel": 1}}), "/limits/fuel", "not_applicable"),
        (other(), json!({"limits": {"cpus": 65}}), "/limits/cpus", "out_of_range"),
        (other(), json!({"limits": {"memory_bytes": 1_u64 << 41}}), "/limits/memory_bytes", "out_of_range"),
        (other(), json!({"limits": {"timeout_ms": 86_400_001}}), "/limits/timeout_ms", "out_of_range"),
    ];
    for (code, more, pointer, kind) in rows {
        let answer = api.submit_solve(code.clone(), more.clone()).await;
        assert_eq!(answer.fault(), (422, pointer.to_owned(), kind.to_owned()), "{code} {more}: {}", answer.text);
        assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1, "{}", answer.text);
    }
    let unknown = api.submit_solve(json!({"solver": "abaqus"}), json!({})).await.text;
    assert!(unknown.contains("calculix") && unknown.contains("other"), "{unknown}");
    let unknown = api.submit_solve(json!({"solver": "other", "version": "9"}), json!({})).await.text;
    assert!(unknown.contains("2.20") && unknown.contains("2.21"), "{unknown}");
    assert_eq!(api.submit_solve(other(), json!({"limits": {"memory_bytes": 1_u64 << 40}})).await.status, 202);
}

#[tokio::test]
async fn security_24_what_looks_like_an_option_of_an_engine_is_refused() {
    let api = Api::with_solvers().await;
    let upload = api.upload().await;
    for text in ["--privileged", "-v/:/host", "calculix --privileged", "x/../y", "a:b", "a@sha256:0", "A\n", "a\0", ""]
    {
        let answer = api.submit_solve(json!({"solver": text}), json!({})).await;
        assert_eq!(answer.fault(), (422, "/code/solver".into(), "invalid".into()), "{text:?}: {}", answer.text);
        let answer = api.submit_solve(json!({"solver": "other", "version": text}), json!({})).await;
        assert_eq!(answer.fault(), (422, "/code/version".into(), "invalid".into()), "{text:?}: {}", answer.text);
    }
    for name in ["--privileged", "-v", "sub/--device", "../x", "/etc/passwd", "a\nb", "a\\b", "."] {
        for body in [(json!({name: upload}), json!({})), (json!({}), json!({"files": {name: upload}}))] {
            let answer = api.submit_solve(json!({"solver": "other", "files": body.0}), body.1).await;
            let (status, pointer, code) = answer.fault();
            assert_eq!((status, code.as_str()), (422, "invalid_name"), "{name:?}: {}", answer.text);
            assert!(pointer.contains("files/"), "{pointer}");
        }
    }
    for (more, pointer) in [
        (json!({"name": "--privileged"}), "/name"),
        (json!({"labels": {"--device": "x"}}), "/labels/--device"),
        (json!({"labels": {"a": "--network=host"}}), "/labels/a"),
    ] {
        let answer = api.submit_solve(json!({"solver": "other"}), more).await;
        assert_eq!(answer.fault(), (422, pointer.to_owned(), "invalid".to_owned()), "{}", answer.text);
    }
}

#[tokio::test]
async fn without_a_catalogue_and_in_a_preview_there_is_no_solver() {
    let api = Api::new(RequestLimits::default()).await;
    assert_eq!(api.get("/v1/solvers").await.json(), json!([]));
    let answer = api.submit_solve(json!({"solver": "calculix"}), json!({})).await;
    assert_eq!(answer.fault(), (422, "/code/solver".into(), "not_available".into()));
    assert!(answer.text.contains("MECAPY_SOLVERS"), "{}", answer.text);
    let api = Api::with_solvers().await;
    let answer = api.post("/v1/preview", &json!({"code": {"solver": "other"}})).await;
    assert_eq!(answer.fault(), (422, "/code/solver".into(), "not_available".into()));
    assert!(answer.text.contains("POST /v1/tasks"), "{}", answer.text);
}

#[tokio::test]
async fn solvers_are_shown_with_whether_a_worker_has_them() {
    let api = Api::with_solvers().await;
    let shown = api.get("/v1/solvers").await.json();
    let first = json!({
        "name": "calculix", "title": "The calculix", "adapter": "calculix", "licence": "GPL", "available": false,
        "versions": [
            {"version": "2.20", "default": true, "image": IMAGE, "note": null},
            {"version": "2.21", "default": false, "image": IMAGE, "note": null}
        ]
    });
    assert_eq!((&shown[0], &shown[1]["name"]), (&first, &json!("other")));
    let store = &api.app.store;
    let row = container_row(store);
    store.announce_worker(row.clone()).await.unwrap();
    let shown = api.get("/v1/solvers").await.json();
    assert_eq!((&shown[0]["available"], &shown[1]["available"]), (&json!(true), &json!(false)));
    let seen = &api.get("/v1/workers").await.json()["workers"][0];
    assert_eq!((&seen["executor"], &seen["solvers"]), (&json!("container"), &json!(["calculix@2.21"])));
    assert_eq!(seen["room_free"], json!({"cpus": 2, "memory_bytes": 4_u64 << 30}));
    let lanes = api.get("/v1/lanes").await.json();
    let counts = ["default", "long_running"].map(|name| {
        let lane = lanes["lanes"].as_array().unwrap().iter().find(|lane| lane["lane"] == name).unwrap().clone();
        (lane["container_workers"].clone(), lane["container_room_total"]["cpus"].clone())
    });
    assert_eq!(counts, [(json!(0), json!(0)), (json!(1), json!(8))]);
    store.announce_worker(WorkerRow { draining: true, ..row }).await.unwrap();
    assert_eq!(api.get("/v1/solvers").await.json()[0]["available"], json!(false));
}

#[tokio::test]
async fn a_queued_task_says_which_of_its_needs_no_worker_has() {
    let api = Api::with_solvers().await;
    let submit = async |version: &str, limits: Value| {
        let more = json!({"lane": "long_running", "limits": limits});
        let answer = api.submit_solve(json!({"solver": "other", "version": version}), more).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(answer.json()["warnings"], json!([]), "what may change is not part of an answer that is kept");
        id
    };
    let (known, unknown) = (submit("2.21", json!({})).await, submit("2.20", json!({})).await);
    let large = submit("2.21", json!({"cpus": 16})).await;
    let told = async |id: &str| {
        let task = api.get(&format!("/v1/tasks/{id}")).await.json();
        let listed = api.get("/v1/tasks").await.json()["tasks"].clone();
        let listed = listed.as_array().unwrap().iter().find(|it| it["id"] == id).unwrap().clone();
        assert_eq!(task["warnings"], listed["warnings"]);
        let warning = &task["warnings"][0];
        assert!(warning.is_null() || warning["code"] == "no_worker", "{task}");
        warning["pointer"].as_str().unwrap_or("none").to_owned()
    };
    for id in [&known, &unknown, &large] {
        assert_eq!(told(id).await, "/lane");
    }
    let store = &api.app.store;
    let row = WorkerRow { solvers: vec!["other@2.21".to_owned()], ..container_row(store) };
    store.announce_worker(row.clone()).await.unwrap();
    assert_eq!([told(&known).await, told(&unknown).await, told(&large).await], ["none", "/code/version", "/limits"]);
    store.announce_worker(WorkerRow { draining: true, ..row }).await.unwrap();
    assert_eq!(told(&known).await, "/lane");
}
