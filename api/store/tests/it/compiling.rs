//! Sources: what they were compiled to, and tasks that go on to a sandbox with that.

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{
    COMPILE_ROOM, Code, Digest, ErrorKind, Executor, Lane, Room, SourceLanguage, Task, TaskError, TaskId, TaskState,
    TenantId, Warning,
};
use mecapy_store::{
    AfterCompile, COMPILE_ERRORS_KEPT_FOR, ClaimRequest, Claimed, Compiled, Found, Idempotency, NewModule, NewTask,
    Replayed, Submission, TaskQuery, Written,
};
use std::time::Duration;

const KEY: Digest = Digest([7; 32]);
const MODULE: Digest = Digest([9; 32]);
const TOTAL: Room = Room { cpus: 4, memory_bytes: 8 << 30 };

fn rust(module: Option<Digest>) -> Code {
    Code::of_source(SourceLanguage::Rust, "fn main() {}".to_owned(), module)
}

fn warning() -> Warning {
    Warning { code: "compiler".to_owned(), message: "unused".to_owned(), line: Some(3), pointer: None }
}

fn to_module() -> Compiled {
    Compiled { outcome: Ok(MODULE), warnings: vec![warning()], compile_ms: 1_234.5 }
}

fn to_error() -> Compiled {
    let error = TaskError { line: Some(4), ..TaskError::new(ErrorKind::Compile, "line 4: no") };
    Compiled { outcome: Err(error), warnings: Vec::new(), compile_ms: 250.0 }
}

impl Fixture {
    async fn submit_code(&self, code: Code) -> TaskId {
        let task = NewTask { code, ..new_task(self.tenant) };
        self.store.submit(Submission { task, ..self.submission() }).await.unwrap().task.id
    }

    async fn claim_compile(&self, lane: Lane) -> Claimed {
        let request = ClaimRequest::containers(lane, 1, TOTAL, TOTAL);
        self.store.claim(request).await.unwrap().pop().expect("a source to compile")
    }

    async fn keep_module(&self, tenant: TenantId) {
        let module =
            NewModule { digest: MODULE, bytes: vec![0; 8], imports: vec![], exports: vec![], warnings: vec![] };
        self.store.put_module(tenant, module).await.unwrap();
    }

    async fn task(&self, id: TaskId) -> Task {
        self.store.task(self.tenant, id).await.unwrap().expect("the task")
    }
}

/// The task as it goes on.
fn with_module(claimed: &Claimed) -> Task {
    Task { code: rust(Some(MODULE)), warnings: vec![warning()], ..claimed.task.clone() }
}

#[tokio::test]
async fn a_source_is_claimed_for_a_container_and_then_the_same_task_for_a_sandbox() {
    let fixture = Fixture::new().await;
    let id = fixture.submit_code(rust(None)).await;
    assert!(fixture.claim(Lane::Default, 9).await.is_empty(), "no sandbox can run a source");
    let tight = Room { memory_bytes: COMPILE_ROOM.memory_bytes - 1, ..COMPILE_ROOM };
    let claims = fixture.store.claim(ClaimRequest::containers(Lane::Default, 9, tight, tight)).await.unwrap();
    assert!(claims.is_empty(), "a compiler needs its room, whatever the task's limits are");
    let compiling = fixture.claim_compile(Lane::Default).await;
    fixture.keep_module(fixture.tenant).await;
    let (task, compiled) = (with_module(&compiling), to_module());
    let after = AfterCompile::Runs(&task);
    let written = fixture.store.record_compiled(&compiling.claim, (KEY, &compiled), after).await.unwrap();
    assert_eq!(written, Written::Done);
    let again = fixture.store.record_compiled(&compiling.claim, (KEY, &to_error()), AfterCompile::Ends).await.unwrap();
    assert_eq!(again, Written::Stale, "it is given back once");

    let queued = fixture.task(id).await;
    assert_eq!((queued.state, queued.attempt, queued.code.executor()), (TaskState::Queued, 0, Executor::Sandbox));
    assert_eq!(fixture.store.queue_position(&queued).await.unwrap(), Some(0));
    let nobody = ClaimRequest::containers(Lane::Default, 9, TOTAL, TOTAL);
    assert!(fixture.store.claim(nobody).await.unwrap().is_empty(), "it is compiled");
    let running = fixture.claim_one().await;
    assert_eq!((running.task.id, &running.task.code), (id, &rust(Some(MODULE))));
    assert_eq!((running.task.attempt, running.lost_attempts), (1, 0), "compiling was no attempt");
    assert!(running.claim.fence > compiling.claim.fence);
    fixture.store.finish(running.claim, finish_with("{}")).await.unwrap();
    let ended = fixture.task(id).await;
    assert_eq!(ended.usage.and_then(|usage| usage.compile_ms), Some(1_234.5));
    assert_eq!((ended.state, ended.warnings), (TaskState::Completed, vec![warning()]));
    assert_eq!(fixture.number("SELECT count(*) FROM task_usage WHERE compile_ms > 1234").await, 1);
}

#[tokio::test]
async fn what_was_compiled_is_found_until_its_module_is_deleted_and_by_its_tenant_alone() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    fixture.submit_code(rust(None)).await;
    let claimed = fixture.claim_compile(Lane::Default).await;
    fixture.keep_module(fixture.tenant).await;
    fixture.store.record_compiled(&claimed.claim, (KEY, &to_module()), AfterCompile::Ends).await.unwrap();
    assert_eq!(fixture.store.compiled(fixture.tenant, KEY).await.unwrap(), Some(to_module()));
    assert_eq!(fixture.store.compiled(fixture.tenant, MODULE).await.unwrap(), None);
    assert_eq!(fixture.store.compiled(other, KEY).await.unwrap(), None);
    fixture.keep_module(other).await;
    assert_eq!(fixture.store.compiled(other, KEY).await.unwrap(), None, "its own module of another origin");
    assert_eq!(fixture.store.delete_module(fixture.tenant, MODULE).await.unwrap(), Found::Yes);
    assert_eq!(fixture.store.compiled(fixture.tenant, KEY).await.unwrap(), None);
    // Known again once it was compiled again, and nothing of it is run twice.
    fixture.keep_module(fixture.tenant).await;
    assert_eq!(fixture.store.compiled(fixture.tenant, KEY).await.unwrap(), Some(to_module()));
}

#[tokio::test]
async fn an_error_is_believed_for_a_while_and_a_module_takes_its_place() {
    let fixture = Fixture::new().await;
    let id = fixture.submit_code(rust(None)).await;
    let claimed = fixture.claim_compile(Lane::Default).await;
    fixture.store.record_compiled(&claimed.claim, (KEY, &to_error()), AfterCompile::Ends).await.unwrap();
    let error = to_error().outcome.unwrap_err();
    let finish = mecapy_store::Finish { result: Err(error.clone()), ..finish_with("{}") };
    fixture.store.finish(claimed.claim, finish).await.unwrap();
    let ended = fixture.task(id).await;
    assert_eq!((ended.error, ended.usage.and_then(|usage| usage.compile_ms)), (Some(error), Some(250.0)));
    assert_eq!(fixture.store.compiled(fixture.tenant, KEY).await.unwrap(), Some(to_error()));
    fixture.clock.advance(COMPILE_ERRORS_KEPT_FOR + Duration::from_secs(1));
    assert_eq!(fixture.store.compiled(fixture.tenant, KEY).await.unwrap(), None);

    fixture.submit_code(rust(None)).await;
    let claimed = fixture.claim_compile(Lane::Default).await;
    fixture.keep_module(fixture.tenant).await;
    fixture.store.record_compiled(&claimed.claim, (MODULE, &to_module()), AfterCompile::Ends).await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM compiled_modules").await, 1, "old errors go");
    fixture.store.record_compiled(&claimed.claim, (KEY, &to_error()), AfterCompile::Ends).await.unwrap();
    fixture.store.record_compiled(&claimed.claim, (KEY, &to_module()), AfterCompile::Ends).await.unwrap();
    assert_eq!(fixture.store.compiled(fixture.tenant, KEY).await.unwrap(), Some(to_module()));
}

#[tokio::test]
async fn a_module_that_is_known_is_run_without_a_compilers_time() {
    let fixture = Fixture::new().await;
    let id = fixture.submit_code(rust(None)).await;
    let claimed = fixture.claim_compile(Lane::Default).await;
    assert_eq!(fixture.store.run_compiled(&claimed.claim, &with_module(&claimed)).await.unwrap(), Written::Done);
    assert_eq!(fixture.store.run_compiled(&claimed.claim, &with_module(&claimed)).await.unwrap(), Written::Stale);
    let running = fixture.claim_one().await;
    fixture.store.finish(running.claim, finish_with("{}")).await.unwrap();
    assert_eq!(fixture.task(id).await.usage.unwrap().compile_ms, None);
    // Known when it was submitted: no container ever sees it.
    let direct = fixture.submit_code(rust(Some(MODULE))).await;
    assert_eq!(fixture.claim_one().await.task.id, direct);
}

#[tokio::test]
async fn a_cancel_while_the_source_is_compiled_ends_the_task() {
    let fixture = Fixture::new().await;
    let id = fixture.submit_code(rust(None)).await;
    let claimed = fixture.claim_compile(Lane::Default).await;
    fixture.store.cancel(fixture.tenant, id).await.unwrap();
    let task = with_module(&claimed);
    let after = AfterCompile::Runs(&task);
    assert_eq!(fixture.store.record_compiled(&claimed.claim, (KEY, &to_module()), after).await.unwrap(), Written::Done);
    let ended = fixture.task(id).await;
    assert_eq!((ended.state, ended.usage.unwrap().compile_ms), (TaskState::Cancelled, Some(1_234.5)));
    assert!(fixture.claim(Lane::Default, 9).await.is_empty());
}

#[tokio::test]
async fn a_claim_that_was_lost_gives_nothing_on() {
    let fixture = Fixture::new().await;
    fixture.submit_code(rust(None)).await;
    let lost = fixture.claim_compile(Lane::Default).await;
    fixture.store.release(lost.claim.clone()).await.unwrap();
    let task = with_module(&lost);
    let written =
        fixture.store.record_compiled(&lost.claim, (KEY, &to_module()), AfterCompile::Runs(&task)).await.unwrap();
    assert_eq!(written, Written::Stale);
    assert_eq!(fixture.number("SELECT count(*) FROM compiled_modules").await, 0);
    assert!(fixture.claim(Lane::Default, 9).await.is_empty());
    assert_eq!(fixture.claim_compile(Lane::Default).await.task.code, rust(None));
}

#[tokio::test]
async fn what_compiles_for_a_preview_is_nobodys_task() {
    let fixture = Fixture::new().await;
    let code = Code::Compile { of: SourceLanguage::C, source: "int main(void) { return 0; }".to_owned() };
    let submit = async || {
        let task = NewTask { code: code.clone(), lane: Lane::HighPriority, ..new_task(fixture.tenant) };
        let idempotency = Some(Idempotency { key: "\u{1}compile 07".to_owned(), body_digest: [7; 32] });
        fixture.store.submit(Submission { task, idempotency, queued_max: 9 }).await.unwrap()
    };
    let (first, second) = (submit().await, submit().await);
    assert_eq!((second.task.id, second.replayed), (first.task.id, Replayed::Yes), "one for all who wait");
    assert_eq!(fixture.store.tasks(fixture.tenant, TaskQuery::default()).await.unwrap().tasks.len(), 0);
    assert_eq!(fixture.store.count_tasks(fixture.tenant, 9).await.unwrap(), 0);
    fixture.store.forget_compile(fixture.tenant, first.task.id).await.unwrap();
    assert_eq!(fixture.task(first.task.id).await.state, TaskState::Queued, "it is not forgotten before its end");

    let claimed = fixture.claim_compile(Lane::HighPriority).await;
    fixture.keep_module(fixture.tenant).await;
    fixture.store.record_compiled(&claimed.claim, (KEY, &to_module()), AfterCompile::Ends).await.unwrap();
    fixture.store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM tenant_events").await, 0, "nobody is told");
    fixture.store.forget_compile(fixture.tenant, first.task.id).await.unwrap();
    assert!(fixture.store.task(fixture.tenant, first.task.id).await.unwrap().is_none());
    assert_eq!(
        fixture.number("SELECT count(*) FROM task_usage WHERE compile_ms > 1234").await,
        1,
        "it is accounted for"
    );
    assert_eq!(submit().await.replayed, Replayed::No, "its key serves again");
    // An ordinary task is never forgotten like this.
    let ordinary = fixture.submit().await;
    let claimed = fixture.claim_one().await;
    fixture.store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    fixture.store.forget_compile(fixture.tenant, ordinary.id).await.unwrap();
    assert!(fixture.store.task(fixture.tenant, ordinary.id).await.unwrap().is_some());
}
