//! Measures what the bench can't see through HTTP: the price of fuel and of epochs in a dispatch loop, and what
//! making and resetting a sandbox costs inside the process. Argument: the cache folder. Prints one JSON document.

use mecapy_model::{Lane, LimitsRequest, NonFinite, Outcome, TenantId};
use mecapy_python::{Interpreter, Recipe};
use mecapy_runtime::{
    Attempt, Cancel, Engine, Job, NanPayloads, Program, PythonImage, Sandboxes, SandboxesConfig, TICK, config,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    error::Error,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use wasmtime::{Instance, Module, Store, TypedFunc, UpdateDeadline};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Each loop runs so often, in turn with the others, so that a busy moment of the machine meets them all.
const ROUNDS: usize = 15;
/// Operations of one round: some 50 ms.
const OPERATIONS: i32 = 20_000_000;
const RUNS: usize = 1500;
const RUNS_WARM_UP: usize = 200;
/// Jobs that wait at any time, so that the thread never does.
const RUNS_AHEAD: usize = 4;
const SANDBOX_MEMORY_BYTES: u64 = 1 << 30;

/// A loop shaped like an interpreter's: fetch, dispatch through a table, now and then a call or a store.
const DISPATCH_LOOP: &str = r#"(module
  (memory 1)
  (data (i32.const 0) "\00\01\02\03\01\00\02\04\03\01\02\00\04\01\03\02")
  (func $mix (param i32) (result i32)
    (i32.xor (i32.shr_u (local.get 0) (i32.const 15)) (i32.mul (local.get 0) (i32.const 668265261))))
  (func (export "run") (param $left i32) (result i32)
    (local $at i32) (local $sum i32)
    (loop $next
      (block $done
        (block $store (block $call (block $xor (block $multiply (block $add
          (br_table $add $multiply $xor $call $store (i32.load8_u (i32.and (local.get $at) (i32.const 15)))))
          (local.set $sum (i32.add (local.get $sum) (local.get $at))) (br $done))
          (local.set $sum (i32.mul (local.get $sum) (i32.const 1664525))) (br $done))
          (local.set $sum (i32.xor (local.get $sum) (i32.rotl (local.get $at) (i32.const 7)))) (br $done))
          (local.set $sum (call $mix (local.get $sum))) (br $done))
        (i32.store offset=64 (i32.and (local.get $sum) (i32.const 4092)) (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.get $sum)))"#;

/// What keeps a loop in bounds.
struct Metering {
    name: &'static str,
    fuel: bool,
    epochs: bool,
}

const METERINGS: [Metering; 4] = [
    Metering { name: "neither", fuel: false, epochs: false },
    Metering { name: "fuel", fuel: true, epochs: false },
    Metering { name: "epochs", fuel: false, epochs: true },
    Metering { name: "both", fuel: true, epochs: true },
];

/// Sources whose sandboxes are timed, each with its inputs.
const SOURCES: [(&str, &str, &str); 2] = [
    ("expression", "import numpy, scipy\nresult = inputs['x'] + inputs['y']", r#"{"x": 2.5, "y": 40}"#),
    (
        "solve",
        "import numpy as np\nresult = np.linalg.solve(inputs['a'], inputs['b'])",
        r#"{"a": [[4, 1, 0], [1, 3, 1], [0, 1, 2]], "b": [1, 2, 3]}"#,
    ),
];

fn main() -> Fallible<()> {
    let cache = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: overhead CACHE_FOLDER")?;
    let loops = dispatch_loops()?;
    let sandboxes = sandboxes(&cache)?;
    println!("{}", json!({"loop_ms": loops, "sandbox_ms": sandboxes}));
    Ok(())
}

/// One compiled loop, ready to be called again and again.
struct Loop {
    name: &'static str,
    fuel: bool,
    store: Store<()>,
    run: TypedFunc<i32, i32>,
    /// Held for its drop.
    _ticker: Option<Ticker>,
}

/// Ticks like the platform's own clock until it is dropped.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

fn dispatch_loops() -> Fallible<Value> {
    let mut loops = METERINGS.iter().map(Loop::compile).collect::<Fallible<Vec<_>>>()?;
    let mut times = vec![Vec::with_capacity(ROUNDS); loops.len()];
    for round in 0..=ROUNDS {
        for (this, times) in loops.iter_mut().zip(&mut times) {
            let time = this.time()?;
            // The first round warms up.
            if round > 0 {
                times.push(milliseconds(time));
            }
        }
    }
    Ok(loops.iter().zip(times).map(|(this, times)| (this.name.to_owned(), json!(times))).collect())
}

impl Loop {
    fn compile(metering: &Metering) -> Fallible<Self> {
        let mut config = config(NanPayloads::Native);
        config.consume_fuel(metering.fuel).epoch_interruption(metering.epochs);
        let engine = wasmtime::Engine::new(&config)?;
        let module = Module::new(&engine, wat::parse_str(DISPATCH_LOOP)?)?;
        let mut store = Store::new(&engine, ());
        let mut ticker = None;
        if metering.fuel {
            store.set_fuel(u64::MAX)?;
        }
        if metering.epochs {
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
            ticker = Some(Ticker::start(engine.clone()));
        }
        let run = Instance::new(&mut store, &module, &[])?.get_typed_func(&mut store, "run")?;
        Ok(Self { name: metering.name, fuel: metering.fuel, store, run, _ticker: ticker })
    }

    fn time(&mut self) -> Fallible<Duration> {
        if self.fuel {
            self.store.set_fuel(u64::MAX)?;
        }
        let started = Instant::now();
        std::hint::black_box(self.run.call(&mut self.store, OPERATIONS)?);
        Ok(started.elapsed())
    }
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only sleeps and counts: it can't have panicked.
            let _ = thread.join();
        }
    }
}

fn sandboxes(cache: &std::path::Path) -> Fallible<Value> {
    let engine = Engine::new(NanPayloads::Native)?;
    let interpreter = Interpreter::open(&engine, cache, &Recipe::bundled()?)?;
    let imports = BTreeSet::from(["numpy".to_owned(), "scipy".to_owned()]);
    let image = interpreter.image_for(&imports)?;
    let one = SandboxesConfig {
        preview_threads: 1,
        default_threads: 1,
        long_running_threads: 1,
        ..SandboxesConfig::for_machine(1, SANDBOX_MEMORY_BYTES)
    };
    let sandboxes = Sandboxes::new(&engine, &one)?;
    let timed = SOURCES
        .iter()
        .map(|(name, source, inputs)| Ok(((*name).to_owned(), time_runs(&sandboxes, &image, (source, inputs))?)));
    timed.collect::<Fallible<serde_json::Map<_, _>>>().map(Value::Object)
}

/// Start-up and execution as the runtime reports them; turnover is the rest of a cycle on one thread: the reset of
/// the memory slot and the hand-over to the next job.
fn time_runs(sandboxes: &Sandboxes, image: &Arc<PythonImage>, run: (&str, &str)) -> Fallible<Value> {
    let (tell, told) = mpsc::channel();
    for _ in 0..RUNS_AHEAD {
        submit(sandboxes, image, run, tell.clone())?;
    }
    let (mut startup, mut execute, mut turnover) = (Vec::new(), Vec::new(), Vec::new());
    let mut before: Option<Instant> = None;
    for number in 0..RUNS_WARM_UP + RUNS {
        let (at, outcome): (Instant, Outcome) = told.recv()?;
        outcome.result.map_err(|error| error.message)?;
        submit(sandboxes, image, run, tell.clone())?;
        let cycle = before.replace(at).map_or(0.0, |before| milliseconds(at - before));
        if number >= RUNS_WARM_UP {
            startup.push(outcome.usage.startup_ms);
            execute.push(outcome.usage.execute_ms);
            turnover.push((cycle - outcome.usage.startup_ms - outcome.usage.execute_ms).max(0.0));
        }
    }
    for _ in 0..RUNS_AHEAD {
        told.recv()?;
    }
    Ok(json!({"startup": startup, "execute": execute, "turnover": turnover}))
}

fn submit(
    sandboxes: &Sandboxes,
    image: &Arc<PythonImage>,
    (source, inputs): (&str, &str),
    tell: mpsc::Sender<(Instant, Outcome)>,
) -> Fallible<()> {
    let job = Job {
        program: Program::Python { image: Arc::clone(image), source: source.into(), entry: None },
        attempt: Attempt {
            inputs: inputs.into(),
            files: Vec::new(),
            limits: LimitsRequest::default().resolve(Lane::HighPriority)?,
            seed: 1,
            non_finite: NonFinite::Reject,
            wall_clock: OffsetDateTime::UNIX_EPOCH,
        },
        lane: Lane::HighPriority,
        tenant: TenantId::from_parts(0, &[0; 10]),
        cancel: Cancel::new(),
        observer: None,
        // Whoever waits for it has gone only where the example has failed already.
        done: Box::new(move |outcome| drop(tell.send((Instant::now(), outcome)))),
    };
    Ok(sandboxes.submit(job)?)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
