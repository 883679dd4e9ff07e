//! Runs one guest the way the tests need it: the same grants as a task's, small limits, and every way to end told apart.
//!
//! This is the only place that knows how a guest is run.

use mecapy_model::{ErrorKind, LogStream};
use mecapy_runtime::{
    Cancel, FileContent,
    output::{Output, Sink},
    tree::{Access, Tree, TreeLimits},
    wasi::{self, Exit, HostCallLimit, Interrupted, WasiCtx},
};
use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};
use wasmtime::{Config, Engine, Linker, Module, ResourceLimiter, Store, Trap};

/// 2024-01-02T03:04:05Z, which the guests know too.
const WALL_CLOCK_NANOS: u64 = 1_704_164_645_000_000_000;
const TICK: Duration = Duration::from_millis(1);
pub(crate) const OUTPUT_BYTES_MAX: usize = 1 << 20;
const MEMORY_BYTES_MAX: usize = 64 << 20;
const STDIN: &[u8] = b"{\"x\": 1}";

/// What a test may change.
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) fuel: u64,
    pub(crate) seed: u64,
    pub(crate) cancel: Cancel,
}

impl Default for Limits {
    fn default() -> Self {
        // Ample: only the tests of the limits themselves come near.
        Self { timeout: Duration::from_secs(60), fuel: 200_000_000_000, seed: 1, cancel: Cancel::new() }
    }
}

/// How a guest ended and what it left.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code, or why the guest was ended.
    pub(crate) ended: Result<i32, ErrorKind>,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) tree: Tree,
    pub(crate) elapsed: Duration,
}

impl Run {
    /// Panics with what the guest said unless it ended well.
    pub(crate) fn passes(self) -> Self {
        assert_eq!(self.ended, Ok(0), "the guest said:\n{}", self.stderr.text);
        self
    }
}

/// Runs a guest by name, with default limits.
pub(crate) fn run(guest: &str) -> Run {
    run_with(guest, Limits::default())
}

pub(crate) fn run_with(guest: &str, limits: Limits) -> Run {
    let engine = engine();
    let module = Module::new(engine, bytes_of(guest)).unwrap();
    let mut linker: Linker<State> = Linker::new(engine);
    wasi::add_to_linker(&mut linker, |state| &mut state.wasi).unwrap();
    let started = Instant::now();
    let wasi = grants(&limits, started + limits.timeout);
    let mut store = Store::new(engine, State { wasi });
    store.limiter(|state| state);
    store.set_fuel(limits.fuel).unwrap();
    store.set_epoch_deadline((limits.timeout.as_millis() / TICK.as_millis()) as u64);
    let result = linker
        .instantiate(&mut store, &module)
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "_start"))
        .and_then(|start| start.call(&mut store, ()));
    let elapsed = started.elapsed();
    let parts = store.into_data().wasi.into_parts();
    let ended = result.map_or_else(|error| ending(&error), |()| Ok(0));
    Run { ended, stdout: parts.stdout.finish(), stderr: parts.stderr.finish(), tree: parts.tree, elapsed }
}

struct State {
    wasi: WasiCtx,
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MEMORY_BYTES_MAX)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 1 << 16)
    }
}

/// One engine for all tests of this process, and its ticks.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.consume_fuel(true).epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let ticking = engine.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(TICK);
                ticking.increment_epoch();
            }
        });
        engine
    })
}

fn bytes_of(guest: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = root.join("fixtures/conformance").join(guest).with_extension("wat");
    if text.exists() {
        return wat::parse_file(text).unwrap();
    }
    let path = root.join("target/guests").join(guest).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `make guests`", path.display()))
}

fn grants(limits: &Limits, deadline: Instant) -> WasiCtx {
    WasiCtx::builder()
        .arg("task")
        .stdin(STDIN)
        .stdout(Sink::new(LogStream::Stdout, OUTPUT_BYTES_MAX))
        .stderr(Sink::new(LogStream::Stderr, OUTPUT_BYTES_MAX))
        .tree(files())
        .preopen("/")
        .wall_clock(WALL_CLOCK_NANOS)
        .seed(limits.seed)
        .deadline(deadline)
        .cancel(limits.cancel.clone())
        .build()
        .unwrap()
}

/// The folders of a task, with a small input in memory and one that is a file of the host.
fn files() -> Tree {
    let host = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/host.txt");
    let host = File::open(host).unwrap();
    let bytes = host.metadata().unwrap().len();
    let mut tree = Tree::new(TreeLimits::default());
    tree.add_file("/work/in/canary.txt", FileContent::Bytes(b"canary".as_slice().into())).unwrap();
    tree.add_file("/work/in/host.txt", FileContent::File { file: Arc::new(host), bytes }).unwrap();
    tree.add_directory("/work/out", Access::ReadWrite).unwrap();
    tree.add_directory("/tmp", Access::ReadWrite).unwrap();
    tree
}

fn ending(error: &wasmtime::Error) -> Result<i32, ErrorKind> {
    if let Some(Exit(code)) = error.downcast_ref() {
        return Ok(*code);
    }
    Err(match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => ErrorKind::OutOfFuel,
        Some(Trap::Interrupt) => ErrorKind::Timeout,
        Some(Trap::StackOverflow) => ErrorKind::StackOverflow,
        Some(_) => ErrorKind::Trap,
        None if error.is::<Interrupted>() => ErrorKind::Timeout,
        None if error.is::<HostCallLimit>() => ErrorKind::OutOfFuel,
        None => panic!("the guest could not be run: {error:?}"),
    })
}
