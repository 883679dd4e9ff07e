//! Series: items one after the other on one thread of a lane, each with its own inputs, limits and end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

use mecapy_model::{ErrorKind, Isolation, Kernels, Lane, Limits, NonFinite, Outcome, TenantId};
use mecapy_runtime::{
    Attempt, Cancel, Engine, Items, Job, NanPayloads, Program, Refused, Sandboxes, SandboxesConfig, Series, SeriesEnd,
    WasiModule,
};
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);
const PAGE_BYTES: u64 = 65_536;
/// 1024 pages, of which one tenant has 512.
const BUDGET_BYTES: u64 = 1024 * PAGE_BYTES;

/// What an item does is told by the length of its inputs.
const ANSWERS: &str = "{}";
const LOOPS: &str = r#"{"a":1}"#;
const TRAPS: &str = r#"{"ab":1}"#;
const GROWS: &str = r#"{"abc":1}"#;
const EXITS: &str = r#"{"abcd":1}"#;

struct Pool {
    engine: Engine,
    sandboxes: Sandboxes,
}

/// A series that was admitted, and what its items told.
struct Started {
    cancel: Cancel,
    told: Receiver<(Outcome, i32)>,
    end: Receiver<SeriesEnd>,
}

impl Started {
    fn end(self) -> (Vec<Outcome>, SeriesEnd) {
        let end = self.end.recv_timeout(PATIENCE).unwrap();
        (self.told.iter().map(|(outcome, _)| outcome).collect(), end)
    }
}

/// Items with these inputs, which stop after so many.
struct Listed {
    inputs: std::vec::IntoIter<&'static str>,
    limits: Limits,
    stops_after: usize,
    tell: Sender<(Outcome, i32)>,
    told: usize,
}

impl Items for Listed {
    fn next(&mut self) -> Option<Attempt> {
        Some(Attempt {
            inputs: self.inputs.next()?.into(),
            files: Vec::new(),
            limits: self.limits,
            seed: 0,
            non_finite: NonFinite::default(),
            kernels: Kernels::default(),
            wall_clock: time::OffsetDateTime::UNIX_EPOCH,
        })
    }

    fn told(&mut self, outcome: Outcome) -> ControlFlow<()> {
        self.told += 1;
        let _ = self.tell.send((outcome, nice()));
        if self.told == self.stops_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Pool {
    fn new() -> Self {
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let config = SandboxesConfig {
            preview_threads: 2,
            default_threads: 1,
            long_running_threads: 1,
            memory_budget_bytes: BUDGET_BYTES,
            ..SandboxesConfig::for_machine(2, 1 << 30)
        };
        let sandboxes = Sandboxes::new(&engine, &config).unwrap();
        Self { engine, sandboxes }
    }

    /// A module that answers with its inputs, or does what their length says.
    fn program(&self, pages: u32) -> Program {
        let text = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") {pages})
                (data (i32.const 0) "\20\00\00\00\00\01\00\00")
                (func (export "_start") (local $bytes i32)
                    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
                    (local.set $bytes (i32.load (i32.const 16)))
                    (if (i32.eq (local.get $bytes) (i32.const 7)) (then (loop $again (br $again))))
                    (if (i32.eq (local.get $bytes) (i32.const 8)) (then unreachable))
                    (if (i32.eq (local.get $bytes) (i32.const 9))
                        (then (if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1)) (then unreachable))))
                    (if (i32.eq (local.get $bytes) (i32.const 10)) (then (call $exit (i32.const 3))))
                    (i32.store (i32.const 4) (local.get $bytes))
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#
        );
        let module = wasmtime::Module::new(self.engine.wasm(), wat::parse_str(text).unwrap()).unwrap();
        Program::Wasi { module: Arc::new(WasiModule::new(&self.engine, &module).unwrap()), function: None }
    }

    fn submit(&self, lane: Lane, program: Program, items: Vec<&'static str>, stops_after: usize) -> Started {
        let ((tell, told), (tell_end, end)) = (mpsc::channel(), mpsc::channel());
        let limits = Limits { timeout_ms: 300, memory_bytes: BUDGET_BYTES / 2, fuel: u64::MAX / 2, cpus: 1 };
        let cancel = Cancel::new();
        let series = Series {
            program,
            // Modules have a fresh sandbox each, whatever is asked for.
            isolation: Isolation::Batch,
            lane,
            tenant: tenant(1),
            cancel: cancel.clone(),
            items: Box::new(Listed { inputs: items.into_iter(), limits, stops_after, tell, told: 0 }),
            done: Box::new(move |end| drop(tell_end.send(end))),
        };
        self.sandboxes.submit_series(series).unwrap();
        Started { cancel, told, end }
    }

    fn run(&self, items: Vec<&'static str>) -> (Vec<Outcome>, SeriesEnd) {
        self.submit(Lane::Default, self.program(1), items, usize::MAX).end()
    }

    /// A job that runs until it is cancelled.
    fn hold(&self, number: u8, pages: u32) -> Cancel {
        let cancel = Cancel::new();
        let attempt = Attempt {
            inputs: LOOPS.into(),
            files: Vec::new(),
            limits: Limits { timeout_ms: 20_000, memory_bytes: BUDGET_BYTES, fuel: u64::MAX / 2, cpus: 1 },
            seed: 0,
            non_finite: NonFinite::default(),
            kernels: Kernels::default(),
            wall_clock: time::OffsetDateTime::UNIX_EPOCH,
        };
        let job = Job {
            program: self.program(pages),
            attempt,
            lane: Lane::LongRunning,
            tenant: tenant(number),
            cancel: cancel.clone(),
            observer: None,
            done: Box::new(|_| ()),
        };
        let before = self.sandboxes.memory_status().used_bytes;
        self.sandboxes.submit(job).unwrap();
        until("it runs", || self.sandboxes.memory_status().used_bytes > before);
        cancel
    }

    fn is_empty_in_the_end(&self) {
        until("all memory is given back", || self.sandboxes.memory_status().used_bytes == 0);
        until("nothing runs", || self.sandboxes.lane_status(Lane::Default).running == 0);
    }
}

fn tenant(number: u8) -> TenantId {
    TenantId::from_parts(0, &[number; 10])
}

fn nice() -> i32 {
    // SAFETY: reads the nice value of the calling thread.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn kinds(outcomes: &[Outcome]) -> Vec<Option<ErrorKind>> {
    outcomes.iter().map(Outcome::error_kind).collect()
}

#[test]
fn each_item_ends_in_its_own_way_and_the_next_one_runs() {
    let pool = Pool::new();
    let (outcomes, end) = pool.run(vec![ANSWERS, LOOPS, ANSWERS, TRAPS, ANSWERS, GROWS, EXITS, ANSWERS]);
    let expected = [
        None,
        Some(ErrorKind::Timeout),
        None,
        Some(ErrorKind::Trap),
        None,
        Some(ErrorKind::OutOfMemory),
        Some(ErrorKind::ExitCode),
        None,
    ];
    assert_eq!((kinds(&outcomes), end), (expected.to_vec(), SeriesEnd::Through));
    assert_eq!(outcomes[0].result.as_ref().unwrap().get(), ANSWERS);
    assert!(outcomes[1].usage.execute_ms >= 290.0, "its own deadline: {:?}", outcomes[1].usage);
    assert!(outcomes[2].usage.execute_ms < 290.0, "and the next one's: {:?}", outcomes[2].usage);
    pool.is_empty_in_the_end();
}

#[test]
fn a_series_ends_where_its_items_do_or_say_so() {
    let pool = Pool::new();
    let (outcomes, end) = pool.run(Vec::new());
    assert_eq!((outcomes.len(), end), (0, SeriesEnd::Through));
    let (outcomes, end) = pool.submit(Lane::Default, pool.program(1), vec![ANSWERS; 10], 3).end();
    assert_eq!((outcomes.len(), end), (3, SeriesEnd::Through));
    pool.is_empty_in_the_end();
}

#[test]
fn a_cancel_ends_the_item_that_runs_and_those_that_follow() {
    let pool = Pool::new();
    let started = pool.submit(Lane::Default, pool.program(1), vec![ANSWERS, ANSWERS, LOOPS, ANSWERS], usize::MAX);
    let first: Vec<_> = started.told.iter().take(2).map(|(outcome, _)| outcome).collect();
    assert_eq!(kinds(&first), [None, None]);
    started.cancel.cancel();
    let (outcomes, end) = started.end();
    assert_eq!((outcomes.len(), end), (0, SeriesEnd::Cancelled));
    pool.is_empty_in_the_end();
}

#[test]
fn an_item_waits_for_memory_and_is_not_failed_for_want_of_it() {
    let pool = Pool::new();
    let holder = pool.hold(1, 400);
    let waits = pool.submit(Lane::Default, pool.program(200), vec![ANSWERS, ANSWERS], usize::MAX);
    thread::sleep(Duration::from_millis(100));
    assert!(waits.told.try_recv().is_err() && waits.end.try_recv().is_err());
    holder.cancel();
    let (outcomes, end) = waits.end();
    assert_eq!((kinds(&outcomes), end), (vec![None, None], SeriesEnd::Through));
    // Not for ever: its thread is needed.
    let holder = pool.hold(1, 400);
    let (outcomes, end) = pool.submit(Lane::Default, pool.program(200), vec![ANSWERS], usize::MAX).end();
    let SeriesEnd::NoRoom(error) = end else { panic!("{end:?}") };
    assert_eq!((outcomes.len(), error.kind), (0, ErrorKind::Quota));
    holder.cancel();
    pool.is_empty_in_the_end();
}

#[test]
fn a_series_of_short_items_grows_old_as_one_long_run_does() {
    let pool = Pool::new();
    let own = nice();
    let started = pool.submit(Lane::HighPriority, pool.program(1), vec![ANSWERS; 200_000], usize::MAX);
    let old = started.told.iter().find(|(_, nice)| *nice == (own + 10).min(19));
    assert!(old.is_some());
    // Another preview has its place meanwhile.
    let (outcomes, end) = pool.submit(Lane::HighPriority, pool.program(1), vec![ANSWERS], usize::MAX).end();
    assert_eq!((kinds(&outcomes), end), (vec![None], SeriesEnd::Through));
    started.cancel.cancel();
    assert_eq!(started.end().1, SeriesEnd::Cancelled);
    pool.is_empty_in_the_end();
}

/// Previews without end keep every fresh place; a series beside them still comes to its end, in its turns.
#[test]
fn a_flood_of_previews_leaves_a_series_its_turns() {
    let pool = Pool::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let program = pool.program(1);
                while !stop.load(Ordering::Relaxed) {
                    let one = pool.submit(Lane::HighPriority, program.clone(), vec![ANSWERS], usize::MAX);
                    assert_eq!(one.end().1, SeriesEnd::Through);
                }
            });
        }
        let ended = pool.submit(Lane::Default, pool.program(1), vec![ANSWERS; 500], usize::MAX);
        let end = ended.end.recv_timeout(PATIENCE);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(end, Ok(SeriesEnd::Through));
        assert_eq!(ended.told.iter().count(), 500);
    });
    pool.is_empty_in_the_end();
}

struct Panics;

impl Items for Panics {
    fn next(&mut self) -> Option<Attempt> {
        panic!("on purpose");
    }

    fn told(&mut self, _outcome: Outcome) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn a_panic_ends_one_series_and_no_thread() {
    let pool = Pool::new();
    let (tell, end) = mpsc::channel();
    let series = || Series {
        program: pool.program(1),
        isolation: Isolation::Item,
        lane: Lane::Default,
        tenant: tenant(1),
        cancel: Cancel::new(),
        items: Box::new(Panics),
        done: Box::new({
            let tell = tell.clone();
            move |end| drop(tell.send(end))
        }),
    };
    pool.sandboxes.submit_series(series()).unwrap();
    let SeriesEnd::Failed(error) = end.recv_timeout(PATIENCE).unwrap() else { panic!("it did not fail") };
    assert_eq!(error.kind, ErrorKind::Executor);
    assert_eq!(kinds(&pool.run(vec![ANSWERS]).0), [None]);
    pool.sandboxes.shut_down();
    assert_eq!(pool.sandboxes.submit_series(series()), Err(Refused::ShuttingDown));
}
