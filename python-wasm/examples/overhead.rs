//! Measures what the bench can't see through HTTP: the price of fuel and of epochs in a dispatch loop, and what
//! making and resetting a sandbox costs inside the process. Argument: the cache folder. Prints one JSON document.

use mecapy_model::{Kernels, Lane, LimitsRequest, NonFinite, Outcome, TenantId};
use mecapy_python::{Interpreter, Recipe};
use mecapy_runtime::{
    Attempt, Cancel, Engine, FileContent, Job, NanPayloads, PACKAGE_FOLDER, Program, PythonImage, Rehearsal, Sandboxes,
    SandboxesConfig, TICK, WarmUp, config, prepare_source,
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

/// A function as a package has it: run as a task's own source, and on a warm image of the module `measured`.
const FUNCTION: &str = r#"
import math
from dataclasses import dataclass

import numpy as np

@dataclass
class Bolt:
    d: float
    pitch: float
    grade: str = "8.8"

    @property
    def stress_area(self) -> float:
        return math.pi / 4 * (self.d - 0.9382 * self.pitch) ** 2

    @property
    def proof_stress(self) -> float:
        tensile, ratio = self.grade.split(".")
        return float(tensile) * 100 * float(ratio) / 10

def preload(bolt: Bolt, torque: float, friction: float = 0.12) -> float:
    lead = bolt.pitch / (2 * math.pi)
    return torque * 1e3 / (lead + friction * (0.577 * bolt.d * 0.9 + 0.65 * bolt.d))

def main(d, pitch, torque, loads):
    bolt = Bolt(d, pitch)
    force = preload(bolt, torque)
    stress = (force + np.asarray(loads, dtype=float)) / bolt.stress_area
    return {"preload": force, "stress": stress, "safety": bolt.proof_stress / stress.max()}
"#;
const CALL: &str = "from measured import main";
const CALL_INPUTS: &str = r#"{"d": 10, "pitch": 1.5, "torque": 40, "loads": [0, 2500.5, 5000, 7500]}"#;
/// Calls before the image is kept, so that the interpreter has specialised the code.
const REHEARSALS: usize = 20;

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
    let warm = warm(&sandboxes, &image)?;
    let sources = SOURCES.iter().map(|(name, source, inputs)| (*name, &image, (*source, *inputs)));
    let functions = [("function", &image, (FUNCTION, CALL_INPUTS)), ("warm", &warm, (CALL, CALL_INPUTS))];
    let timed =
        sources.chain(functions).map(|(name, image, run)| Ok((name.to_owned(), time_runs(&sandboxes, image, run)?)));
    timed.collect::<Fallible<serde_json::Map<_, _>>>().map(Value::Object)
}

/// A warm image of a package that holds [`FUNCTION`].
fn warm(sandboxes: &Sandboxes, base: &Arc<PythonImage>) -> Fallible<Arc<PythonImage>> {
    let file = (format!("{PACKAGE_FOLDER}/measured.py"), FileContent::Bytes(FUNCTION.as_bytes().into()));
    let files = base.files.with_files([file])?;
    let prepare = prepare_source(&[PACKAGE_FOLDER], &["measured"]);
    let rehearsal = Rehearsal { source: CALL.into(), entry: None, inputs: CALL_INPUTS.into(), files: Vec::new() };
    let rehearsals = vec![rehearsal; REHEARSALS];
    let warm_up = Arc::new(WarmUp::new(Arc::clone(base), "measured".into(), files, prepare.into(), rehearsals));
    let (tell, told) = mpsc::channel();
    submit(sandboxes, Program::WarmUp(Arc::clone(&warm_up)), "{}", tell)?;
    told.recv()?.1.result.map_err(|error| error.message)?;
    Ok(Arc::new(warm_up.take().ok_or("the warm-up did not begin")?.image?))
}

/// Start-up and execution as the runtime reports them; turnover is the rest of a cycle on one thread: the reset of
/// the memory slot and the hand-over to the next job.
fn time_runs(sandboxes: &Sandboxes, image: &Arc<PythonImage>, (source, inputs): (&str, &str)) -> Fallible<Value> {
    let (tell, told) = mpsc::channel();
    let program = Program::Python { image: Arc::clone(image), source: source.into(), entry: None };
    for _ in 0..RUNS_AHEAD {
        submit(sandboxes, program.clone(), inputs, tell.clone())?;
    }
    let (mut startup, mut execute, mut turnover) = (Vec::new(), Vec::new(), Vec::new());
    let mut before: Option<Instant> = None;
    for number in 0..RUNS_WARM_UP + RUNS {
        let (at, outcome): (Instant, Outcome) = told.recv()?;
        outcome.result.map_err(|error| error.message)?;
        submit(sandboxes, program.clone(), inputs, tell.clone())?;
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
    program: Program,
    inputs: &str,
    tell: mpsc::Sender<(Instant, Outcome)>,
) -> Fallible<()> {
    let job = Job {
        program,
        attempt: Attempt {
            inputs: inputs.into(),
            files: Vec::new(),
            limits: LimitsRequest::default().resolve(Lane::HighPriority)?,
            seed: 1,
            non_finite: NonFinite::Reject,
            kernels: Kernels::default(),
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
