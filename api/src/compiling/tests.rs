//! Who waits for a compile, beside a worker that is played by the test.

use super::*;
use mecapy_model::{ErrorKind, Executor, Room as Machine};
use mecapy_store::{
    AfterCompile, ClaimRequest, Claimed, Finish, NewModule, StoreOptions, SystemClock, TaskQuery, WorkerKind, WorkerRow,
};
use std::collections::BTreeMap as Variables;
use tempfile::TempDir;
use tokio::time::sleep;
use uuid::Uuid;

const SOURCE: &str = "int main(void) { return 0; }";
const MACHINE: Machine = Machine { cpus: 4, memory_bytes: 8 << 30 };
const MODULE: Digest = Digest([9; 32]);

/// A server's part, and a store that a worker shares with it.
struct Place {
    store: Store,
    compiling: Compiling,
    tenant: TenantId,
    toolchain: Toolchain,
    _folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new().unwrap());
        let store = Store::open(StoreOptions::new(folder.path().join("data")), clock).await.unwrap();
        let tenant = store.create_tenant("ours").await.unwrap();
        let toolchain = Toolchain {
            language: SourceLanguage::C,
            version: "1".to_owned(),
            title: "C".to_owned(),
            licence: "MIT".to_owned(),
            image: format!("sha256:{}", "ab".repeat(32)),
            command: vec!["/usr/bin/clang".to_owned()],
            env: Variables::new(),
            note: None,
        };
        let compiling = Compiling::new(100, CancellationToken::new());
        Self { store, compiling, tenant, toolchain, _folder: folder }
    }

    fn asked(&self) -> Asked<'_> {
        Asked { tenant: self.tenant, toolchain: &self.toolchain, source: SOURCE }
    }

    async fn soon(&self) -> Soon {
        self.compiling.soon(&self.store, self.asked()).await.unwrap()
    }

    /// A worker is there that has these.
    async fn offer(&self, compilers: &[&str]) {
        let row = WorkerRow {
            id: Uuid::from_u128(1),
            kind: WorkerKind::Alone,
            host: "node".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            lanes: Lane::ALL.to_vec(),
            executor: Executor::Container,
            total: MACHINE,
            free: MACHINE,
            solvers: compilers.iter().map(|name| (*name).to_owned()).collect(),
            concurrency: 4,
            running: 0,
            draining: false,
            started_at: self.store.now(),
        };
        self.store.announce_worker(row).await.unwrap();
    }

    /// What the worker is asked to compile next.
    async fn claim(&self) -> Claimed {
        loop {
            let request = ClaimRequest::containers(Lane::HighPriority, 1, MACHINE, MACHINE);
            if let Some(claimed) = self.store.claim(request).await.unwrap().pop() {
                return claimed;
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// What the worker finds of a source.
    async fn end(&self, claimed: Claimed, outcome: Result<Digest, TaskError>) {
        let key = content_key(&self.toolchain, SOURCE);
        let unused = Warning { code: "compiler".to_owned(), message: "x".to_owned(), line: Some(1), pointer: None };
        let compiled = Compiled { outcome: outcome.clone(), warnings: vec![unused], compile_ms: 12.5 };
        if outcome.as_ref().err().is_none_or(|error| error.kind == ErrorKind::Compile) {
            if outcome.is_ok() {
                let (imports, exports, warnings) = Default::default();
                let module = NewModule { digest: MODULE, bytes: vec![0; 8], imports, exports, warnings };
                self.store.put_module(self.tenant, module).await.unwrap();
            }
            let written = self.store.record_compiled(&claimed.claim, (key, &compiled), AfterCompile::Ends).await;
            written.unwrap();
        }
        let result = outcome.map(|_| RawValue::from_string("{}".to_owned()).unwrap());
        let usage = Default::default();
        let finish = Finish { result, warnings: Vec::new(), logs: Vec::new(), artifacts: Vec::new(), usage };
        self.store.finish(claimed.claim, finish).await.unwrap();
    }
}

/// The module, whether it is new, and for how long it was compiled.
fn done(soon: Soon) -> (Result<Digest, TaskError>, bool, f64) {
    match soon {
        Soon::Done { compiled, is_new } => (compiled.outcome, is_new, compiled.compile_ms),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn all_who_wait_for_a_source_wait_for_one_compile() {
    let place = Place::new().await;
    place.offer(&["c@1"]).await;
    let work = async {
        let claimed = place.claim().await;
        assert_eq!(claimed.task.code.source().map(|source| source.text), Some(SOURCE));
        assert_eq!((claimed.task.lane, claimed.task.priority), (Lane::HighPriority, PRIORITY));
        place.end(claimed, Ok(MODULE)).await;
    };
    let (first, second, ()) = tokio::join!(place.soon(), place.soon(), work);
    for soon in [first, second] {
        assert_eq!(done(soon), (Ok(MODULE), true, 12.5));
    }
    let (outcome, is_new, _) = done(place.soon().await);
    assert_eq!((outcome, is_new), (Ok(MODULE), false));
    let known = place.compiling.known(&place.store, place.asked()).await.unwrap().unwrap();
    assert_eq!((known.outcome, known.warnings.len()), (Ok(MODULE), 1));
    // Nothing is left but what it used.
    assert!(place.store.tasks(place.tenant, TaskQuery::default()).await.unwrap().tasks.is_empty());
    // Once its module is deleted, it is compiled again.
    place.store.delete_module(place.tenant, MODULE).await.unwrap();
    assert!(place.compiling.known(&place.store, place.asked()).await.unwrap().is_none());
    let work = async {
        let claimed = place.claim().await;
        place.end(claimed, Ok(MODULE)).await;
    };
    assert_eq!(done(tokio::join!(place.soon(), work).0), (Ok(MODULE), true, 12.5));
}

#[tokio::test]
async fn an_error_of_the_source_is_known_and_one_of_the_platform_is_not() {
    let place = Place::new().await;
    place.offer(&["c@1"]).await;
    let broken = TaskError::new(ErrorKind::Executor, "no image");
    let wrong = TaskError::new(ErrorKind::Compile, "line 1: no");
    let work = async |error: &TaskError| {
        let claimed = place.claim().await;
        place.end(claimed, Err(error.clone())).await;
    };
    match tokio::join!(place.soon(), work(&broken)).0 {
        Soon::Failed(error) => assert_eq!(error, broken),
        other => panic!("{other:?}"),
    }
    assert_eq!(done(tokio::join!(place.soon(), work(&wrong)).0), (Err(wrong.clone()), true, 12.5));
    assert_eq!(done(place.soon().await), (Err(wrong), false, 12.5), "nobody compiles it once more");
}

#[tokio::test]
async fn nobody_waits_for_a_worker_that_is_not_there() {
    let place = Place::new().await;
    for offered in [&[][..], &["c@2", "rust@1"]] {
        place.offer(offered).await;
        assert!(matches!(place.soon().await, Soon::NoWorker), "{offered:?}");
    }
    assert_eq!(place.store.count_tasks(place.tenant, 9).await.unwrap(), 0);
    let claimed = place.store.claim(ClaimRequest::containers(Lane::HighPriority, 9, MACHINE, MACHINE)).await.unwrap();
    assert!(claimed.is_empty(), "nothing was queued");
}

#[tokio::test]
async fn a_server_that_ends_and_a_tenant_that_waits_too_often_wait_no_more() {
    let place = Place::new().await;
    place.offer(&["c@1"]).await;
    let stopping = CancellationToken::new();
    let compiling = Compiling::new(100, stopping.clone());
    let places = u32::try_from(WAITING_PER_TENANT_MAX).unwrap();
    let taken = compiling.waiting.try_enter(place.tenant, places).unwrap();
    assert!(matches!(compiling.soon(&place.store, place.asked()).await.unwrap(), Soon::Full));
    drop(taken);
    stopping.cancel();
    assert!(matches!(compiling.soon(&place.store, place.asked()).await.unwrap(), Soon::Pending));
    // It goes on without its server, and another one waits for the same.
    let claimed = place.claim().await;
    let end = place.end(claimed, Ok(MODULE));
    let (soon, ()) = tokio::join!(place.soon(), end);
    assert_eq!(done(soon).0, Ok(MODULE));
}
