//! Runs one guest as the pool runs a task's, with the inputs, files, clock and seed that the guests know.
//!
//! [`run`] is the sandbox itself, and what it shows is the outcome. [`left_by`] calls the WASI host alone, for the little
//! that no outcome shows.

use mecapy_model::{ArtifactName, ErrorKind, Kernels, Lane, LogStream, NonFinite, Outcome, TenantId};
use mecapy_runtime::{
    Attempt, Cancel, Engine, FileContent, InputFile, Job, NanPayloads, Program, Sandboxes, SandboxesConfig, WasiModule,
    add_folders,
    output::Sink,
    tree::{Tree, TreeLimits},
    wasi::{self, Exit, WasiCtx},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use wasmtime::{Linker, Module, Store, UpdateDeadline, component::Component};

/// 2024-01-02T03:04:05Z, which the guests know too.
const WALL_CLOCK_NANOS: i128 = 1_704_164_645_000_000_000;
/// What the sandbox keeps of each stream's text unless it is told otherwise.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// What a test may change.
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) fuel: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) inputs: &'static str,
    pub(crate) seed: u64,
    pub(crate) cancel: Cancel,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Ample: only the tests of the limits themselves come near.
            timeout: Duration::from_secs(60),
            fuel: 200_000_000_000,
            memory_bytes: 64 << 20,
            inputs: "{\"x\": 1}",
            seed: 1,
            cancel: Cancel::new(),
        }
    }
}

/// How a guest ended, and how long that took from outside.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) elapsed: Duration,
}

impl Run {
    /// Panics with what the guest said unless it ended with exit code 0. Most guests have no result, which only shows
    /// once they have ended so: an exit code other than 0, and being ended, are told first.
    #[track_caller]
    pub(crate) fn passes(self) -> Outcome {
        match &self.outcome.result {
            Err(error) if error.kind != ErrorKind::InvalidOutput => {
                panic!("{}: {}\nthe guest said:\n{}", error.kind, error.message, self.outcome.stderr)
            }
            _ => self.outcome,
        }
    }

    /// The message of the error that it must have ended with.
    #[track_caller]
    pub(crate) fn fails(self, kind: ErrorKind) -> String {
        match self.outcome.result {
            Err(error) if error.kind == kind => error.message,
            other => panic!("not {kind}, but {other:?}\nthe guest said:\n{}", self.outcome.stderr),
        }
    }
}

/// Runs a guest by name, with default limits.
pub(crate) fn run(guest: &str) -> Run {
    run_with(guest, Limits::default())
}

pub(crate) fn run_with(guest: &str, limits: Limits) -> Run {
    run_module(WasiModule::new(engine(), &module(guest)).unwrap(), limits)
}

/// The component that `fixtures/component` is built into.
pub(crate) fn run_component(limits: Limits) -> Run {
    let component = Component::new(engine().wasm(), built("component_conformance")).unwrap();
    run_module(WasiModule::of_component(engine(), &component).unwrap().unwrap(), limits)
}

fn run_module(module: WasiModule, limits: Limits) -> Run {
    let module = Arc::new(module);
    let (tell, told) = mpsc::channel();
    let job = Job {
        program: Program::Wasi { module, function: None },
        attempt: Attempt {
            inputs: limits.inputs.into(),
            files: files(),
            limits: mecapy_model::Limits {
                timeout_ms: u64::try_from(limits.timeout.as_millis()).unwrap(),
                memory_bytes: limits.memory_bytes,
                fuel: limits.fuel,
                cpus: 1,
            },
            seed: limits.seed,
            non_finite: NonFinite::Reject,
            kernels: Kernels::default(),
            wall_clock: time::OffsetDateTime::from_unix_timestamp_nanos(WALL_CLOCK_NANOS).unwrap(),
        },
        lane: Lane::HighPriority,
        tenant: next_tenant(),
        cancel: limits.cancel,
        observer: None,
        done: Box::new(move |outcome: Outcome| tell.send((outcome, Instant::now())).unwrap()),
    };
    let sandboxes = sandboxes();
    let started = Instant::now();
    sandboxes.submit(job).unwrap();
    let (outcome, ended) = told.recv().unwrap();
    Run { outcome, elapsed: ended.duration_since(started) }
}

/// What a guest leaves that no outcome shows.
pub(crate) struct Left {
    pub(crate) tree: Tree,
    /// All that it wrote to stdout, kept or not.
    pub(crate) stdout_bytes: u64,
}

/// Runs a guest that needs no limits on the WASI host, outside of any sandbox.
pub(crate) fn left_by(guest: &str) -> Left {
    let mut tree = Tree::new(TreeLimits::default());
    add_folders(&mut tree).unwrap();
    let stdout = Sink::new(LogStream::Stdout, OUTPUT_BYTES_MAX);
    let ctx = WasiCtx::builder().arg("task").stdout(stdout).tree(tree).preopen("/").build().unwrap();
    let linker = host();
    let mut store = Store::new(engine().wasm(), ctx);
    store.set_fuel(u64::MAX).unwrap();
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
    let instance = linker.instantiate(&mut store, &module(guest)).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    if let Err(error) = start.call(&mut store, ()) {
        assert_eq!(error.downcast_ref::<Exit>(), Some(&Exit(0)), "{guest}: {error:?}");
    }
    let parts = store.into_data().into_parts();
    Left { tree: parts.tree, stdout_bytes: parts.stdout.bytes_written() }
}

/// The names of all functions that a WASI guest can import.
pub(crate) fn functions_of_the_host() -> Vec<String> {
    let linker = host();
    let mut store = Store::new(engine().wasm(), WasiCtx::builder().build().unwrap());
    let mut names = Vec::new();
    for (module, name, _) in linker.iter(&mut store) {
        assert_eq!(module, wasi::MODULE);
        names.push(name.to_owned());
    }
    names
}

/// The source of a guest, where there is one.
pub(crate) fn source_of(guest: &str) -> Option<PathBuf> {
    let path = root().join("fixtures/conformance").join(guest);
    ["c", "wat"].into_iter().map(|extension| path.with_extension(extension)).find(|path| path.exists())
}

fn host() -> Linker<WasiCtx> {
    let mut linker = Linker::new(engine().wasm());
    wasi::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
    linker
}

/// One engine and one pool for all tests of this process.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(NanPayloads::Native).unwrap())
}

fn sandboxes() -> &'static Sandboxes {
    static SANDBOXES: OnceLock<Sandboxes> = OnceLock::new();
    SANDBOXES.get_or_init(|| {
        let mut config = SandboxesConfig::for_machine(2, 8 << 30);
        (config.preview_threads, config.default_threads, config.long_running_threads) = (8, 1, 1);
        Sandboxes::new(engine(), &config).unwrap()
    })
}

/// A tenant for each run, so that none is in another's way.
fn next_tenant() -> TenantId {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    TenantId::from_parts(RUNS.fetch_add(1, Ordering::Relaxed), &[0; 10])
}

fn module(guest: &str) -> Module {
    Module::new(engine().wasm(), bytes_of(guest)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn bytes_of(guest: &str) -> Vec<u8> {
    let source = source_of(guest).unwrap_or_else(|| panic!("there is no guest {guest}"));
    if source.extension().is_some_and(|extension| extension == "wat") {
        return wat::parse_file(source).unwrap();
    }
    built(guest)
}

/// A guest that was built from its source.
fn built(guest: &str) -> Vec<u8> {
    let path = root().join("target/guests").join(guest).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `make guests`", path.display()))
}

/// A small input in memory, and one that is a file of the host.
fn files() -> Vec<InputFile> {
    let host = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/host.txt");
    let host = File::open(host).unwrap();
    let bytes = host.metadata().unwrap().len();
    let named = |name, content| InputFile { name: ArtifactName::parse(name).unwrap(), content };
    vec![
        named("canary.txt", FileContent::Bytes(b"canary".as_slice().into())),
        named("host.txt", FileContent::File { file: Arc::new(host), bytes }),
    ]
}
