//! The pool: one memory budget for all and a share for each tenant, turns between tenants, and every way for a run to
//! end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

use mecapy_model::{ErrorKind, Kernels, Lane, Limits, LogStream, NonFinite, Outcome, Progress, TenantId};
use mecapy_runtime::{
    Attempt, Cancel, Engine, Job, NanPayloads, Observer, Program, Refused, Sandboxes, SandboxesConfig, WasiModule,
};
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);
const PAGE_BYTES: u64 = 65_536;
/// 1024 pages: a tenant's share is 512, and what runs may grow to 768.
const BUDGET_BYTES: u64 = 1024 * PAGE_BYTES;
const QUICK: &str = "(call $answer)";
const ENDLESS: &str = "(loop $again (br $again))";

struct Pool {
    engine: Engine,
    sandboxes: Sandboxes,
}

/// A job that was admitted.
struct Started {
    cancel: Cancel,
    outcome: Receiver<Outcome>,
}

impl Started {
    fn end(self) -> Outcome {
        self.outcome.recv_timeout(PATIENCE).unwrap()
    }

    fn has_ended(&self) -> bool {
        self.outcome.try_recv().is_ok()
    }

    fn cancelled(self) {
        self.cancel.cancel();
        assert_eq!(self.end().error_kind(), Some(ErrorKind::Cancelled));
    }
}

impl Pool {
    /// Two fresh places on `preview_threads` threads.
    fn new(preview_threads: usize) -> Self {
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let config = SandboxesConfig {
            preview_threads,
            default_threads: 1,
            long_running_threads: 1,
            memory_budget_bytes: BUDGET_BYTES,
            ..SandboxesConfig::for_machine(2, 1 << 30)
        };
        let sandboxes = Sandboxes::new(&engine, &config).unwrap();
        Self { engine, sandboxes }
    }

    /// A module with so many pages of memory to start with, that does `start`.
    fn program(&self, pages: u32, start: &str) -> Program {
        self.program_with(pages, "", start)
    }

    fn program_with(&self, pages: u32, definitions: &str, start: &str) -> Program {
        let text = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") {pages})
                (data (i32.const 0) "\08\00\00\00\02\00\00\00{{}}")
                {definitions}
                (func $say (param i32) (drop (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 16))))
                (func $answer (call $say (i32.const 1)))
                (func (export "_start") {start}))"#
        );
        let module = wasmtime::Module::new(self.engine.wasm(), wat::parse_str(text).unwrap()).unwrap();
        Program::Wasi { module: Arc::new(WasiModule::new(&self.engine, &module).unwrap()), function: None }
    }

    fn submit(&self, number: u8, program: &Program) -> Started {
        let (tell, outcome) = mpsc::channel();
        let job = job(number, program, move |ended| drop(tell.send(ended)));
        let cancel = job.cancel.clone();
        self.sandboxes.submit(job).unwrap();
        Started { cancel, outcome }
    }

    fn run(&self, number: u8, program: &Program) -> Outcome {
        self.submit(number, program).end()
    }

    fn used_pages(&self) -> u64 {
        let memory = self.sandboxes.memory_status();
        assert!(memory.used_bytes <= memory.budget_bytes, "{memory:?}");
        memory.used_bytes / PAGE_BYTES
    }

    fn is_empty_in_the_end(&self) {
        until("all memory is given back", || self.sandboxes.memory_status().used_bytes == 0);
        until("no sandbox is left", || self.sandboxes.memory_status().live_sandboxes == 0);
        until("nothing runs", || self.sandboxes.lane_status(Lane::HighPriority).running == 0);
    }
}

fn job(number: u8, program: &Program, done: impl FnOnce(Outcome) + Send + 'static) -> Job {
    Job {
        program: program.clone(),
        attempt: Attempt {
            inputs: "{}".into(),
            files: Vec::new(),
            limits: Limits { timeout_ms: 20_000, memory_bytes: BUDGET_BYTES, fuel: u64::MAX / 2, cpus: 1 },
            seed: 0,
            non_finite: NonFinite::default(),
            kernels: Kernels::default(),
            wall_clock: time::OffsetDateTime::UNIX_EPOCH,
        },
        lane: Lane::HighPriority,
        tenant: TenantId::from_parts(0, &[number; 10]),
        cancel: Cancel::new(),
        observer: None,
        done: Box::new(done),
    }
}

/// Grows the memory or traps, then does `then`.
fn grows(pages: u32, then: &str) -> String {
    format!("(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable)) {then}")
}

#[track_caller]
fn completes(outcome: &Outcome) {
    assert!(outcome.result.is_ok(), "{:?}", outcome.result);
}

#[track_caller]
fn fails(outcome: &Outcome, kind: ErrorKind, because: &str) {
    let error = outcome.result.as_ref().unwrap_err();
    assert!(error.kind == kind && error.message.contains(because), "{error:?}");
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_tenant_that_takes_its_whole_share_harms_itself_alone() {
    let pool = Pool::new(8);
    let holder = pool.submit(1, &pool.program(1, &grows(400, ENDLESS)));
    until("the memory has grown", || pool.used_pages() == 401);
    let more = pool.program(1, &grows(200, QUICK));
    fails(&pool.run(1, &more), ErrorKind::OutOfMemory, "32 MiB of this server's memory that one tenant may use");
    // Not admitted for now, which waiting cures; and never, which nothing does.
    fails(&pool.run(1, &pool.program(150, QUICK)), ErrorKind::Quota, "try again");
    fails(&pool.run(1, &pool.program(600, QUICK)), ErrorKind::OutOfMemory, "this program starts with 37 MiB");
    completes(&pool.run(1, &pool.program(1, QUICK)));
    completes(&pool.run(2, &more));
    assert!(!holder.has_ended());
    holder.cancelled();
    pool.is_empty_in_the_end();
}

#[test]
fn growth_leaves_room_for_new_sandboxes_and_an_exhausted_budget_harms_nobody_who_runs() {
    let pool = Pool::new(8);
    let first = pool.submit(1, &pool.program(1, &grows(499, ENDLESS)));
    let second = pool.submit(2, &pool.program(1, &grows(250, ENDLESS)));
    until("both memories have grown", || pool.used_pages() == 751);
    let message = "the platform's memory is in use by other computations";
    fails(&pool.run(3, &pool.program(1, &grows(100, QUICK))), ErrorKind::OutOfMemory, message);
    let outcome = pool.run(3, &pool.program(200, QUICK));
    completes(&outcome);
    assert_eq!(outcome.usage.memory_peak_bytes, 200 * PAGE_BYTES);
    fails(&pool.run(3, &pool.program(300, QUICK)), ErrorKind::Quota, message);
    assert!(!first.has_ended() && !second.has_ended());
    first.cancelled();
    second.cancelled();
    pool.is_empty_in_the_end();
    completes(&pool.run(3, &pool.program(300, QUICK)));
}

#[test]
fn the_memory_and_the_heap_of_exceptions_count_together() {
    let pool = Pool::new(1);
    let values = "(i64.const 1) ".repeat(16);
    let keep = format!(
        "(local $i i32) {}
         (loop $again
           (table.set $kept (local.get $i)
             (block $caught (result exnref) (try_table (catch_all_ref $caught) (throw $e {values})) unreachable))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const 20000))))
         (call $answer)",
        grows(32, "")
    );
    let parameters = "i64 ".repeat(16);
    let definitions = format!("(tag $e (param {parameters})) (table $kept 20000 exnref)");
    let program = pool.program_with(1, &definitions, &keep);
    let outcome = pool.run(1, &program);
    completes(&outcome);
    // 33 pages of memory, and 20 000 exceptions of 128 bytes and more.
    assert!(outcome.usage.memory_peak_bytes > 33 * PAGE_BYTES + 20_000 * 128, "{:?}", outcome.usage);

    let (tell, told) = mpsc::channel();
    let mut limited = job(1, &program, move |ended| drop(tell.send(ended)));
    limited.attempt.limits.memory_bytes = 64 * PAGE_BYTES;
    pool.sandboxes.submit(limited).unwrap();
    let outcome: Outcome = told.recv_timeout(PATIENCE).unwrap();
    fails(&outcome, ErrorKind::OutOfMemory, "limits.memory_bytes");
    let peak = outcome.usage.memory_peak_bytes;
    assert!(peak > 33 * PAGE_BYTES && peak <= 64 * PAGE_BYTES, "{peak}");
    pool.is_empty_in_the_end();
}

#[test]
fn an_exception_that_nothing_catches_is_the_modules_trap() {
    let pool = Pool::new(1);
    let program = pool.program_with(1, "(tag $e)", "(throw $e)");
    fails(&pool.run(1, &program), ErrorKind::Trap, "an exception that nothing caught");
    completes(&pool.run(1, &pool.program(1, QUICK)));
}

#[test]
fn a_flood_of_short_runs_costs_another_tenant_one_turn() {
    let pool = Pool::new(1);
    let program = pool.program(1, QUICK);
    let order = Arc::new(Mutex::new(Vec::new()));
    let (open, gate) = mpsc::channel::<()>();
    // The only thread is held until everything waits.
    pool.sandboxes.submit(job(0, &program, move |_| gate.recv().unwrap_or_default())).unwrap();
    let numbers = std::iter::repeat_n(1, 300).chain([2, 2]);
    for (place, number) in numbers.enumerate() {
        let order = Arc::clone(&order);
        let done = move |_: Outcome| order.lock().unwrap().push((number, place));
        pool.sandboxes.submit(job(number, &program, done)).unwrap();
    }
    drop(open);
    until("all have run", || order.lock().unwrap().len() == 302);
    let order = order.lock().unwrap();
    assert_eq!(order[..5], [(1, 0), (2, 300), (1, 1), (2, 301), (1, 2)]);
    assert!(order[4..].is_sorted(), "a tenant's own runs start in order");
}

#[test]
fn a_flood_on_several_threads_is_overtaken() {
    let pool = Pool::new(8);
    let program = pool.program(1, QUICK);
    let order = Arc::new(Mutex::new(Vec::new()));
    let submit = |number: u8, gate: Option<Receiver<()>>| {
        let order = Arc::clone(&order);
        let done = move |_: Outcome| {
            order.lock().unwrap().push(number);
            if let Some(gate) = gate {
                gate.recv().unwrap_or_default();
            }
        };
        pool.sandboxes.submit(job(number, &program, done)).unwrap();
    };
    // Both fresh places are held while the flood comes in.
    let ((first, first_gate), (second, second_gate)) = (mpsc::channel(), mpsc::channel());
    submit(0, Some(first_gate));
    submit(0, Some(second_gate));
    (0..300).for_each(|_| submit(1, None));
    let before = order.lock().unwrap().len();
    submit(2, None);
    drop((first, second));
    until("all have run", || order.lock().unwrap().len() == 303);
    let place = order.lock().unwrap().iter().position(|number| *number == 2).unwrap();
    assert!(place - before < 20, "{before} runs had ended when it was submitted, {place} before it ended itself");
    pool.is_empty_in_the_end();
}

#[test]
fn endless_loops_delay_nobody_else_and_their_threads_are_replaced() {
    let pool = Pool::new(20);
    let (endless, quick) = (pool.program(1, ENDLESS), pool.program(1, QUICK));
    for _ in 0..2 {
        // Sixteen run, which is a tenant's cap, and the others wait.
        let loops: Vec<Started> = (0..24).map(|_| pool.submit(1, &endless)).collect();
        for _ in 0..3 {
            completes(&pool.run(2, &quick));
        }
        until("as many run as may", || pool.sandboxes.lane_status(Lane::HighPriority).running == 16);
        completes(&pool.run(2, &quick));
        assert_eq!(pool.sandboxes.lane_status(Lane::HighPriority).waiting, 8);
        assert!(loops.iter().all(|started| !started.has_ended()));
        loops.iter().for_each(|started| started.cancel.cancel());
        loops.into_iter().for_each(Started::cancelled);
        pool.is_empty_in_the_end();
    }
    completes(&pool.run(1, &quick));
}

#[test]
fn an_old_run_goes_on_at_a_lower_priority_and_the_next_at_the_lanes_own() {
    let pool = Pool::new(1);
    let (endless, quick) = (pool.program(1, ENDLESS), pool.program(1, QUICK));
    let nice_after = |program: &Program| {
        let (tell, told) = mpsc::channel();
        let mut timed = job(1, program, move |ended| tell.send((ended.error_kind(), nice())).unwrap());
        timed.attempt.limits.timeout_ms = 200;
        pool.sandboxes.submit(timed).unwrap();
        told.recv_timeout(PATIENCE).unwrap()
    };
    let own = nice();
    assert_eq!(nice_after(&endless), (Some(ErrorKind::Timeout), (own + 10).min(19)));
    // On a busy machine a short run may get old too, but not each time.
    until("a thread of the lane's own priority", || nice_after(&quick) == (None, own));
}

fn nice() -> i32 {
    // SAFETY: reads the nice value of the calling thread.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// An engine may have several pools, one after the other and at once: its clock serves them all.
#[test]
fn a_pool_goes_on_ageing_its_runs_when_another_of_its_engine_has_ended() {
    let pool = Pool::new(1);
    drop(Sandboxes::new(&pool.engine, &SandboxesConfig::for_machine(1, 1 << 30)).unwrap());
    let endless = pool.program(1, ENDLESS);
    let (tell, told) = mpsc::channel();
    let mut timed = job(1, &endless, move |ended| tell.send((ended.error_kind(), nice())).unwrap());
    timed.attempt.limits.timeout_ms = 200;
    let own = nice();
    pool.sandboxes.submit(timed).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (Some(ErrorKind::Timeout), (own + 10).min(19)));
}

/// Previews without end keep every fresh place; a `default` run beside them still ends, in its turns.
#[test]
fn a_flood_of_previews_leaves_the_default_lane_its_turns() {
    let pool = Pool::new(4);
    let quick = pool.program(1, QUICK);
    let some_work = pool.program(1, "(local $i i32) (loop $next (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50000000)))) (call $answer)");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    thread::scope(|scope| {
        for tenant in 2..6 {
            let (pool, quick, stop) = (&pool, &quick, &stop);
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    completes(&pool.run(tenant, quick));
                }
            });
        }
        let (tell, told) = mpsc::channel();
        let slow = Job { lane: Lane::Default, ..job(1, &some_work, move |ended| drop(tell.send(ended))) };
        pool.sandboxes.submit(slow).unwrap();
        let outcome = told.recv_timeout(PATIENCE);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        completes(&outcome.unwrap());
    });
    pool.is_empty_in_the_end();
}

#[test]
fn running_and_waiting_jobs_are_cancelled() {
    let pool = Pool::new(1);
    let endless = pool.program(1, ENDLESS);
    let running = pool.submit(1, &endless);
    until("it runs", || pool.used_pages() == 1);
    let waiting = pool.submit(1, &endless);
    waiting.cancel.cancel();
    assert!(!running.has_ended());
    running.cancelled();
    let outcome = waiting.end();
    fails(&outcome, ErrorKind::Cancelled, "cancelled");
    assert_eq!(outcome.usage.fuel, 0, "it never ran");
    pool.is_empty_in_the_end();
}

struct Panics;

impl Observer for Panics {
    fn log(&self, _stream: LogStream, _text: &str) {
        panic!("on purpose");
    }

    fn progress(&self, _progress: Progress) {}
}

#[test]
fn panics_end_one_run_and_no_thread() {
    let pool = Pool::new(1);
    let quick = pool.program(1, QUICK);
    let (tell, told) = mpsc::channel();
    let mut watched = job(1, &pool.program(1, "(call $say (i32.const 2))"), move |ended| drop(tell.send(ended)));
    watched.observer = Some(Arc::new(Panics));
    pool.sandboxes.submit(watched).unwrap();
    let outcome: Outcome = told.recv_timeout(PATIENCE).unwrap();
    fails(&outcome, ErrorKind::Executor, "the platform failed to run this computation");
    pool.sandboxes.submit(job(1, &quick, |_| panic!("on purpose"))).unwrap();
    completes(&pool.run(1, &quick));
    pool.is_empty_in_the_end();
}

#[test]
fn a_pool_that_shuts_down_finishes_what_it_admitted_and_takes_nothing_new() {
    let pool = Pool::new(1);
    let quick = pool.program(1, QUICK);
    let admitted: Vec<Started> = (0..20).map(|_| pool.submit(1, &quick)).collect();
    pool.sandboxes.shut_down();
    assert_eq!(pool.sandboxes.submit(job(1, &quick, |_| ())), Err(Refused::ShuttingDown));
    drop(pool);
    for started in admitted {
        completes(&started.end());
    }
}
