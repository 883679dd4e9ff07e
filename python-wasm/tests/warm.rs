//! Warm images of packages: a call on one answers as a call that imports the package itself, and a package that goes
//! wrong while it is warmed up ends with an error and nothing else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

mod bench;
mod opened;

use bench::bench;
use mecapy_model::{ArtifactName, ErrorKind, Kernels, Lane, Limits, LimitsRequest, NonFinite, Outcome, TenantId};
use mecapy_runtime::{
    Attempt, Cancel, DELTA_BYTES_MAX, DeltaError, FileContent, Frozen, InputFile, Job, PACKAGE_FOLDER, Program,
    PythonImage, Rehearsal, WarmError, WarmOutcome, WarmUp, prepare_source,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
    time::Duration,
};
use time::macros::datetime;

const PATIENCE: Duration = Duration::from_secs(120);
const SEED: u64 = 7;

/// A joint with state of its own, and with what must not be carried from one call to the next.
const THREAD: &str = "\
import math
import random
import warnings
from functools import lru_cache
from pathlib import Path

warnings.filterwarnings('ignore', message='quiet please')
TABLE = {f'M{d}': math.pi * (d - 0.9382) ** 2 / 4 for d in range(3, 60)}
calls = []

def stress_area(d: float, pitch: float = 1.0) -> dict:
    calls.append(d)
    warnings.warn('quiet please')
    if d <= 0:
        raise ValueError(f'd must be positive, not {d}')
    return {'area': math.pi * (d - 0.9382 * pitch) ** 2 / 4, 'number': len(calls), 'random': random.random()}

def count(name: str) -> dict:
    Path('/work/out/seen.txt').write_text(name)
    Path('/tmp/seen').write_text(name)
    return {'lines': len(Path(f'/work/in/{name}').read_text().splitlines()), 'tmp': len(list(Path('/tmp').iterdir()))}
";

fn limits() -> Limits {
    let request = LimitsRequest { timeout_ms: Some(60_000), ..LimitsRequest::default() };
    request.resolve(Lane::Default).unwrap()
}

fn attempt(inputs: &str, files: Vec<InputFile>, limits: Limits) -> Attempt {
    let wall_clock = datetime!(2026-01-02 03:04:05 UTC);
    let (inputs, non_finite, kernels) = (Arc::from(inputs), NonFinite::Reject, Kernels::default());
    Attempt { inputs, files, limits, seed: SEED, non_finite, kernels, wall_clock }
}

fn run(program: Program, attempt: Attempt) -> Outcome {
    let (tell, told) = mpsc::channel();
    let job = Job {
        program,
        attempt,
        lane: Lane::Default,
        tenant: TenantId::from_parts(0, &[0; 10]),
        cancel: Cancel::new(),
        observer: None,
        done: Box::new(move |outcome| drop(tell.send(outcome))),
    };
    bench().sandboxes.submit(job).unwrap();
    told.recv_timeout(PATIENCE).unwrap()
}

/// A package of one module, `joint.thread`, with this source.
struct Package {
    base: Arc<PythonImage>,
    cold: Arc<PythonImage>,
    prepare: String,
}

impl Package {
    fn new(image: &str, source: &str) -> Self {
        let base = bench().interpreter.image(image).unwrap();
        let file = |name: &str, text: &str| {
            (format!("{PACKAGE_FOLDER}/joint/{name}"), FileContent::Bytes(Arc::from(text.as_bytes())))
        };
        let files = base.files.with_files([file("__init__.py", ""), file("thread.py", source)]).unwrap();
        let prepare = prepare_source(&[PACKAGE_FOLDER], &["joint.thread"]);
        Self { cold: Arc::new(base.with_package(files, Arc::from(prepare.as_str()), Frozen::default())), base, prepare }
    }

    fn warm_up(&self, calls: &[(&str, &str)], limits: Limits) -> (Outcome, WarmOutcome) {
        let rehearsal = |(function, inputs): &(&str, &str)| Rehearsal {
            source: Arc::from(call(function)),
            entry: Some(Arc::from(*function)),
            inputs: Arc::from(*inputs),
            files: vec![text_file()],
        };
        let (base, files) = (Arc::clone(&self.base), self.cold.files.clone());
        let rehearsals = calls.iter().map(rehearsal).collect();
        let warm_up = Arc::new(WarmUp::new(base, "joint".into(), files, Arc::from(self.prepare.as_str()), rehearsals));
        let outcome = run(Program::WarmUp(Arc::clone(&warm_up)), attempt("{}", Vec::new(), limits));
        (outcome, warm_up.take().unwrap())
    }

    fn warm(&self, calls: &[(&str, &str)]) -> Arc<PythonImage> {
        let (outcome, warmed) = self.warm_up(calls, limits());
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        Arc::new(warmed.image.unwrap())
    }

    /// Why there is no image.
    fn refused(&self, limits: Limits) -> (WarmError, WarmOutcome) {
        let (outcome, mut warmed) = self.warm_up(&[("stress_area", r#"{"d": 10}"#)], limits);
        let nothing = Err(WarmError::Sandbox("taken".into()));
        let error = std::mem::replace(&mut warmed.image, nothing).err().expect("an image was made");
        assert_eq!(outcome.result.unwrap_err(), error.task_error());
        (error, warmed)
    }

    fn call_cold(&self, function: &str, inputs: &str) -> Outcome {
        let source = format!("{}{}", self.prepare, call(function));
        call_on(&self.cold, &source, function, inputs)
    }
}

fn call(function: &str) -> String {
    format!("from joint.thread import {function}\n")
}

fn call_on(image: &Arc<PythonImage>, source: &str, function: &str, inputs: &str) -> Outcome {
    let program =
        Program::Python { image: Arc::clone(image), source: Arc::from(source), entry: Some(Arc::from(function)) };
    run(program, attempt(inputs, vec![text_file()], limits()))
}

fn call_warm(image: &Arc<PythonImage>, function: &str, inputs: &str) -> Outcome {
    call_on(image, &call(function), function, inputs)
}

fn text_file() -> InputFile {
    let name = ArtifactName::parse("points.txt").unwrap();
    InputFile { name, content: FileContent::Bytes(Arc::from(&b"1\n2\n3\n"[..])) }
}

fn text(outcome: &Outcome) -> &str {
    outcome.result.as_ref().unwrap_or_else(|error| panic!("{error:?}")).get()
}

#[test]
fn a_warm_call_answers_as_one_that_imports_the_package() {
    for base in ["core", "sci"] {
        let package = Package::new(base, THREAD);
        let image = package.warm(&[]);
        assert!(image.memory.bytes() >= package.base.memory.bytes());
        assert!(image.memory.own_bytes() < package.base.memory.bytes(), "{}", image.memory.own_bytes());
        for (function, inputs) in
            [("stress_area", r#"{"d": 10, "pitch": 1.5}"#), ("count", r#"{"name": "points.txt"}"#)]
        {
            let cold = package.call_cold(function, inputs);
            for round in 0..3 {
                let warm = call_warm(&image, function, inputs);
                assert_eq!(text(&warm), text(&cold), "{base} {function} round {round}");
                assert_eq!((&warm.stderr, &warm.warnings), (&cold.stderr, &cold.warnings), "{base} {function}");
                let names =
                    |outcome: &Outcome| outcome.artifacts.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
                assert_eq!(names(&warm), names(&cold));
                assert!(warm.usage.fuel < cold.usage.fuel, "an import costs more than none");
            }
        }
        // Its base is as it was, and knows nothing of the package.
        let other = call_on(&package.base, "import sys\ndef main(): return 'joint' in sys.modules", "main", "{}");
        assert_eq!(text(&other), r#"{"result":false}"#);
    }
}

#[test]
fn what_a_call_leaves_is_gone_and_what_a_rehearsal_left_is_in_every_call() {
    let package = Package::new("core", THREAD);
    let image = package.warm(&[("stress_area", r#"{"d": 3}"#), ("count", r#"{"name": "points.txt"}"#)]);
    for round in 0..4 {
        let warm = call_warm(&image, "stress_area", r#"{"d": 10}"#);
        assert!(text(&warm).contains(r#""number":2"#), "round {round}: {}", text(&warm));
        let files = call_warm(&image, "count", r#"{"name": "points.txt"}"#);
        assert_eq!(text(&files), r#"{"lines":3,"tmp":1}"#, "round {round}");
    }
}

#[test]
fn rehearsals_are_tasks_of_their_own() {
    let package = Package::new("core", THREAD);
    let calls = [
        ("stress_area", r#"{"d": 10}"#),
        ("stress_area", r#"{"d": -1}"#),
        ("count", r#"{"name": "points.txt"}"#),
        ("count", r#"{"name": "points.txt"}"#),
    ];
    let (_, warmed) = package.warm_up(&calls, limits());
    assert!(warmed.image.is_ok() && warmed.prepared.result.is_ok());
    assert_eq!(warmed.frozen, Frozen::default());
    let [first, failed, count, again] = &warmed.rehearsed[..] else { panic!("four") };
    assert!(text(first).contains(r#""number":1"#));
    let error = failed.result.as_ref().unwrap_err();
    assert_eq!((error.kind, error.line), (ErrorKind::Exception, Some(15)));
    assert_eq!((text(count), text(again)), (r#"{"lines":3,"tmp":1}"#, r#"{"lines":3,"tmp":1}"#));
    assert_eq!((count.artifacts.len(), again.artifacts.len()), (1, 1));
    assert!(first.usage.fuel > 0 && first.usage.execute_ms > 0.0);
}

#[test]
fn errors_show_the_packages_own_lines() {
    let package = Package::new("core", THREAD);
    let image = package.warm(&[]);
    let outcomes = [package.call_cold("stress_area", r#"{"d": -1}"#), call_warm(&image, "stress_area", r#"{"d": -1}"#)];
    for outcome in outcomes {
        let error = outcome.result.unwrap_err();
        assert_eq!(error.message, "ValueError: d must be positive, not -1 (joint/thread.py, line 15)");
        assert_eq!((error.kind, error.line), (ErrorKind::Exception, Some(15)));
        assert_eq!(
            error.traceback.unwrap(),
            "Traceback (most recent call last):\n  File \"joint/thread.py\", line 15, in stress_area\n    \
             raise ValueError(f'd must be positive, not {d}')\nValueError: d must be positive, not -1\n"
        );
    }
    let missing = call_warm(&image, "stress_area", r#"{"e": 1}"#).result.unwrap_err();
    assert_eq!((missing.kind, missing.line), (ErrorKind::InvalidInput, None));
    assert!(missing.message.contains("`stress_area` has no parameter `e`"), "{}", missing.message);
    let (error, _) = Package::new("core", "import math\nx = math.sqrt(-1)\n").refused(limits());
    let WarmError::Prepare(error) = error else { panic!("{error:?}") };
    assert_eq!((error.kind, error.line), (ErrorKind::Exception, Some(2)));
    let traceback = error.traceback.unwrap();
    assert!(traceback.contains("File \"joint/thread.py\", line 2, in <module>\n    x = math.sqrt(-1)"), "{traceback}");
    assert!(!traceback.contains("mecapy") && !traceback.contains("task.py"), "{traceback}");
}

#[test]
fn what_is_too_large_is_refused() {
    let (error, _) = Package::new("core", "BIG = bytes(range(256)) * (20 << 12)\n").refused(limits());
    let WarmError::Delta(DeltaError::TooLarge { bytes, bytes_max }) = error else { panic!("{error:?}") };
    assert!(bytes_max == DELTA_BYTES_MAX && (20 << 20..30 << 20).contains(&bytes), "{bytes} of {bytes_max}");
    // Zeroes beyond the base's memory are no change, but each call would be charged with them.
    let (error, _) = Package::new("core", "BIG = bytes(400 << 20)\n").refused(limits());
    assert!(matches!(error, WarmError::Delta(DeltaError::Grown { .. })), "{error:?}");
}

/// What a package may do when it is imported, and how the warm-up ends. The base and other packages are as they were.
#[test]
fn hostile_packages_end_with_an_error() {
    let few = Limits { fuel: 3_000_000_000, ..limits() };
    let small = Limits { memory_bytes: 200 << 20, ..limits() };
    let short = Limits { timeout_ms: 500, fuel: i64::MAX as u64, ..limits() };
    let rows: [(&str, Limits, &[ErrorKind]); 7] = [
        ("while True: pass", few, &[ErrorKind::OutOfFuel]),
        ("while True: pass", short, &[ErrorKind::Timeout]),
        ("import time\ntime.sleep(1000)", short, &[ErrorKind::Timeout]),
        ("x = []\nwhile True: x.append(bytes(1 << 20))", small, &[ErrorKind::OutOfMemory]),
        ("import os\nos._exit(0)", limits(), &[ErrorKind::InvalidOutput]),
        ("import os\nos._exit(3)", limits(), &[ErrorKind::ExitCode]),
        ("def f(): f()\nf()", limits(), &[ErrorKind::StackOverflow]),
    ];
    for (source, limits, kinds) in rows {
        let (error, warmed) = Package::new("core", source).refused(limits);
        let WarmError::Prepare(error) = error else { panic!("{source}: {error:?}") };
        assert!(kinds.contains(&error.kind), "{source}: {error:?}");
        assert!(warmed.rehearsed.is_empty() && warmed.prepared.result.unwrap_err() == error, "{source}");
    }
    let package = Package::new("core", THREAD);
    assert_eq!(text(&call_warm(&package.warm(&[]), "count", r#"{"name": "points.txt"}"#)), r#"{"lines":3,"tmp":1}"#);
}

#[test]
fn a_rehearsal_that_ends_the_sandbox_is_the_last() {
    let source = "import os\ndef stress_area(d):\n    os._exit(4)\n";
    let (error, warmed) = Package::new("core", source).refused(limits());
    let WarmError::Rehearsal { index: 0, error } = error else { panic!("{error:?}") };
    assert_eq!(error.kind, ErrorKind::ExitCode);
    assert_eq!(warmed.rehearsed.len(), 1);
}

#[test]
fn an_open_file_is_refused_and_named() {
    for (name, source) in [
        ("thread.py", "def stress_area(d): return d\nmine = open(__file__)\n"),
        ("kept.txt", "def stress_area(d):\n    global f\n    f = open('/work/out/kept.txt', 'wb', buffering=0)\n"),
    ] {
        let (error, _) = Package::new("core", source).refused(limits());
        let WarmError::Settle(error) = error else { panic!("{source}: {error:?}") };
        assert!(error.message.contains(name) && error.message.contains("still open"), "{}", error.message);
    }
}

#[test]
fn an_import_that_reads_the_clock_or_draws_numbers_is_told() {
    let frozen = |line: &str| {
        let source = format!("{line}\ndef stress_area(d): return d\n");
        Package::new("core", &source).warm_up(&[], limits()).1.frozen
    };
    assert_eq!(frozen("import time; T = time.time()"), Frozen { randomness: false, wall_clock: true });
    assert_eq!(frozen("import uuid; U = uuid.uuid4()"), Frozen { randomness: true, wall_clock: false });
    // From generators that the runner seeds in the guest, which asks the host for nothing.
    for line in ["import random; R = random.random()", "import random; random.seed(1)"] {
        assert_eq!(frozen(line), Frozen { randomness: true, wall_clock: false }, "{line}");
    }
    assert_eq!(frozen("import math, json, dataclasses, random"), Frozen::default());
}

#[test]
fn each_image_has_a_digest_of_its_own() {
    let interpreter = &bench().interpreter;
    let names = ["core", "sci", "full"];
    let digests: BTreeSet<String> = names.iter().map(|name| interpreter.digest_of(name).unwrap()).collect();
    assert_eq!((digests.len(), interpreter.digest_of("none")), (3, None));
}
