//! Items of a batch on the interpreter: the same results in a sandbox of their own and in one that they share, and nothing
//! that one leaves to the next.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

mod bench;
mod opened;

use bench::bench;
use mecapy_model::{
    ArtifactName, ErrorKind, Isolation, Kernels, Lane, Limits, LimitsRequest, NonFinite, Outcome, TenantId,
};
use mecapy_runtime::{
    Attempt, Cancel, FileContent, Frozen, InputFile, Items, PACKAGE_FOLDER, Program, PythonImage, Series, SeriesEnd,
    prepare_source,
};
use std::{
    ops::ControlFlow,
    sync::{Arc, mpsc},
    time::Duration,
};
use time::macros::datetime;

const PATIENCE: Duration = Duration::from_secs(120);

fn limits() -> Limits {
    let request = LimitsRequest { timeout_ms: Some(20_000), ..LimitsRequest::default() };
    request.resolve(Lane::Default).unwrap()
}

fn image(name: &str) -> Arc<PythonImage> {
    bench().interpreter.image(name).unwrap()
}

/// Items with these inputs; each has its place as its seed.
struct Listed {
    inputs: Vec<String>,
    at: usize,
    limits: Limits,
    cancels_after: Option<(usize, Cancel)>,
    tell: mpsc::Sender<Outcome>,
}

impl Items for Listed {
    fn next(&mut self) -> Option<Attempt> {
        let inputs = Arc::from(self.inputs.get(self.at)?.as_str());
        self.at += 1;
        let name = ArtifactName::parse("mine.py").unwrap();
        let mine = FileContent::Bytes(Arc::from(&b"n = 0\n"[..]));
        let wall_clock = datetime!(2026-01-02 03:04:05 UTC);
        let (limits, seed, non_finite) = (self.limits, self.at as u64, NonFinite::Reject);
        let (files, kernels) = (vec![InputFile { name, content: mine }], Kernels::default());
        Some(Attempt { inputs, files, limits, seed, non_finite, kernels, wall_clock })
    }

    fn told(&mut self, outcome: Outcome) -> ControlFlow<()> {
        self.tell.send(outcome).unwrap();
        if let Some((after, cancel)) = &self.cancels_after
            && self.at == *after
        {
            cancel.cancel();
        }
        ControlFlow::Continue(())
    }
}

struct Asked<'a> {
    image: &'a Arc<PythonImage>,
    source: &'a str,
    isolation: Isolation,
    limits: Limits,
    cancels_after: Option<usize>,
}

impl Asked<'_> {
    fn run(&self, inputs: &[&str]) -> (Vec<Outcome>, SeriesEnd) {
        let ((tell, told), (tell_end, end)) = (mpsc::channel(), mpsc::channel());
        let (cancel, source) = (Cancel::new(), Arc::from(self.source));
        let cancels_after = self.cancels_after.map(|after| (after, cancel.clone()));
        let inputs = inputs.iter().map(|text| (*text).to_owned()).collect();
        let series = Series {
            program: Program::Python { image: Arc::clone(self.image), source, entry: None },
            isolation: self.isolation,
            lane: Lane::Default,
            tenant: TenantId::from_parts(0, &[0; 10]),
            cancel,
            items: Box::new(Listed { inputs, at: 0, limits: self.limits, cancels_after, tell }),
            done: Box::new(move |end| drop(tell_end.send(end))),
        };
        bench().sandboxes.submit_series(series).unwrap();
        let end = end.recv_timeout(PATIENCE).unwrap();
        (told.iter().collect(), end)
    }
}

fn run(image: &Arc<PythonImage>, source: &str, isolation: Isolation, inputs: &[&str]) -> Vec<Outcome> {
    let asked = Asked { image, source, isolation, limits: limits(), cancels_after: None };
    let (outcomes, end) = asked.run(inputs);
    assert_eq!(end, SeriesEnd::Through);
    outcomes
}

/// What an item answers with: its result, or the kind and message of its error.
fn answers(outcomes: &[Outcome]) -> Vec<String> {
    let answer = |outcome: &Outcome| match &outcome.result {
        Ok(result) => result.get().to_owned(),
        Err(error) => format!("{}: {}", error.kind, error.message),
    };
    outcomes.iter().map(answer).collect()
}

fn text(outcome: &Outcome) -> &str {
    outcome.result.as_ref().unwrap_or_else(|error| panic!("{error:?}")).get()
}

const ISOLATIONS: [Isolation; 2] = [Isolation::Item, Isolation::Batch];

#[test]
fn items_answer_alike_in_a_sandbox_of_their_own_and_in_a_shared_one() {
    let sources = [
        ("core", "def main(d, F=2.0):\n    return {'area': d * d, 'F': F}"),
        (
            "core",
            "import random, secrets, uuid\nresult = [random.random(), secrets.token_hex(4), str(uuid.uuid4()), inputs['d']]",
        ),
        ("core", "def main(d):\n    if d == 2: raise ValueError('d')\n    return 1 / (d - 3)"),
        ("core", "import sys\ndef main(d):\n    if d == 2: sys.exit(3)\n    if d == 3: sys.exit()\n    return d"),
        ("core", "def main(e): return e"),
        ("core", "result = (1 +"),
        ("core", "from dataclasses import dataclass\n@dataclass\nclass B:\n    d: float\nresult = B(inputs['d'])"),
        ("core", "import mine\nmine.n += 1\nresult = mine.n"),
        ("core", "import tempfile\nresult = tempfile.mktemp()"),
        (
            "sci",
            "import numpy as np\nrng = np.random.default_rng()\nresult = [np.random.rand(), np.random.normal(), rng.random(), np.linspace(0, inputs['d'], 3)]",
        ),
        ("sci", "import numpy as np\nresult = np.array([inputs['d'], float('nan')])"),
    ];
    let inputs = [r#"{"d": 1}"#, r#"{"d": 2}"#, r#"{"d": 3}"#, r#"{"d": 4}"#];
    for (name, source) in sources {
        let image = image(name);
        let [own, shared] = ISOLATIONS.map(|isolation| run(&image, source, isolation, &inputs));
        assert_eq!(answers(&own), answers(&shared), "{source}");
        let lines = |outcomes: &[Outcome]| -> Vec<_> {
            outcomes.iter().map(|outcome| outcome.result.as_ref().err().and_then(|error| error.line)).collect()
        };
        assert_eq!(lines(&own), lines(&shared), "{source}");
        let warnings = |outcomes: &[Outcome]| outcomes.iter().map(|o| o.warnings.clone()).collect::<Vec<_>>();
        assert_eq!(warnings(&own), warnings(&shared), "{source}");
    }
}

/// Each looks for what the one before has left, and leaves it itself.
const LEAVES: &str = r"
import builtins, decimal, gc, os, random, sys, warnings
import mine

def main():
    found = [name for name in ('left', 'inputs') if name in globals()]
    found += [name for name in ('left',) if hasattr(builtins, name)]
    found += os.listdir('/work/out') + os.listdir('/tmp')
    found += [mine.n] * mine.n + [key for key in os.environ if key == 'LEFT'] + [p for p in sys.path if p == 'left']
    found += [m for m in sys.modules if m == 'made']
    found.append(decimal.getcontext().prec)
    found.append(sys.getrecursionlimit())
    found.append(os.getcwd())
    found.append(sys.stdout is sys.__stdout__ and gc.isenabled() and sys.gettrace() is None)
    found.append(len(warnings.filters))
    found.append(list(sys.argv))

    globals()['left'] = builtins.left = 1
    open('/work/out/left.txt', 'w').write('x')
    open('/tmp/left', 'w').write('x')
    open('/work/out/made.py', 'w').write('')
    sys.path.insert(0, '/work/out')
    import made
    mine.n += 1
    os.environ['LEFT'] = '1'
    sys.path.append('left')
    sys.argv.append('left')
    decimal.getcontext().prec = 3
    sys.setrecursionlimit(300)
    os.chdir('/')
    sys.stdout = sys.stderr
    gc.disable()
    warnings.simplefilter('error')
    random.seed(1)

    class Cycle:
        def __init__(self):
            self.me = self
        def __del__(self):
            open('/work/out/late.txt', 'w').write('late')
    Cycle()
    builtins.len = None
    return found
";

#[test]
fn nothing_of_an_item_is_left_to_the_next() {
    let image = image("core");
    let [own, shared] = ISOLATIONS.map(|isolation| run(&image, LEAVES, isolation, &["{}"; 4]));
    assert!(own.iter().chain(&shared).all(|outcome| text(outcome) == text(&own[0])), "{:?}", answers(&shared));
    let names =
        |outcome: &Outcome| outcome.artifacts.iter().map(|file| file.name.as_str().to_owned()).collect::<Vec<_>>();
    assert!(names(&shared[3]).contains(&"left.txt".to_owned()));
}

#[test]
fn numpys_and_matplotlibs_settings_are_each_items_own() {
    let source = r"
import numpy as np
import matplotlib
import matplotlib.pyplot as plt
found = [np.geterr()['divide'], np.get_printoptions()['precision'], matplotlib.rcParams['lines.linewidth'], plt.get_fignums()]
np.seterr(all='raise')
np.set_printoptions(precision=2)
plt.rcParams['lines.linewidth'] = 7
plt.figure()
if inputs['d'] == 2: raise ValueError
result = found
";
    let inputs = [r#"{"d": 1}"#, r#"{"d": 2}"#, r#"{"d": 3}"#];
    let [own, shared] = ISOLATIONS.map(|isolation| run(&image("full"), source, isolation, &inputs));
    assert_eq!(answers(&own), answers(&shared));
    let figures = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.artifacts.len()).collect::<Vec<_>>();
    assert_eq!((figures(&own), figures(&shared)), (vec![1, 0, 1], vec![1, 0, 1]));
}

#[test]
fn what_is_changed_inside_the_library_stays_in_a_shared_sandbox_alone() {
    let source = "import statistics\nresult = getattr(statistics, 'left', 0)\nstatistics.left = result + 1";
    let [own, shared] = ISOLATIONS.map(|isolation| run(&image("core"), source, isolation, &["{}"; 3]));
    assert_eq!(answers(&own), [r#"{"result":0}"#; 3]);
    assert_eq!(answers(&shared), [r#"{"result":0}"#, r#"{"result":1}"#, r#"{"result":2}"#]);
}

#[test]
fn an_item_that_ends_its_sandbox_leaves_the_next_one_a_fresh_one() {
    let image = image("core");
    let source = r"
import os, sys, statistics
served = getattr(statistics, 'served', 0)
statistics.served = served + 1
how = inputs['how']
if how == 'loop':
    while True: pass
if how == 'grow':
    x = []
    while True: x.append(bytes(1 << 20))
if how == 'recurse':
    def f(): f()
    f()
if how == 'exit': os._exit(4)
if how == 'open': statistics.kept = open('/work/out/kept.txt', 'w')
if how == 'close': sys.stdout.close()
if how == 'closed': os.close(1)
result = served
";
    let limits = Limits { timeout_ms: 1_500, memory_bytes: 256 << 20, fuel: i64::MAX as u64, ..limits() };
    let rows = [
        ("loop", Some(ErrorKind::Timeout), true),
        ("grow", Some(ErrorKind::OutOfMemory), true),
        ("recurse", Some(ErrorKind::StackOverflow), false),
        ("exit", Some(ErrorKind::ExitCode), true),
        ("open", None, true),
        ("close", None, true),
        ("closed", None, true),
    ];
    for (how, kind, ends) in rows {
        let asked = Asked { image: &image, source, isolation: Isolation::Batch, limits, cancels_after: None };
        let inputs = format!(r#"{{"how": "{how}"}}"#);
        let (outcomes, end) = asked.run(&[r#"{"how": ""}"#, &inputs, r#"{"how": ""}"#, r#"{"how": ""}"#]);
        assert_eq!(end, SeriesEnd::Through, "{how}");
        assert_eq!(outcomes[1].error_kind(), kind, "{how}: {:?}", outcomes[1].result);
        let served = if ends { [0, 1] } else { [2, 3] };
        let expected = served.map(|number| format!(r#"{{"result":{number}}}"#));
        assert_eq!(answers(&outcomes[2..]), expected, "{how}");
    }
}

/// What earlier items hold in memory fails no later one: its outcome is that of a fresh sandbox.
#[test]
fn an_item_is_not_refused_the_memory_that_others_hold() {
    let source = "import statistics\nstatistics.kept = getattr(statistics, 'kept', []) + [bytes(40 << 20)]\nresult = len(statistics.kept)";
    let limits = Limits { memory_bytes: 256 << 20, ..limits() };
    let image = image("core");
    let asked = Asked { image: &image, source, isolation: Isolation::Batch, limits, cancels_after: None };
    let (outcomes, _) = asked.run(&["{}"; 12]);
    let held: Vec<u32> = outcomes
        .iter()
        .map(|outcome| text(outcome).trim_start_matches(r#"{"result":"#).trim_end_matches('}').parse().unwrap())
        .collect();
    assert!(held.iter().skip(1).any(|number| *number == 1), "{held:?}");
    assert!(outcomes.iter().all(|outcome| outcome.usage.memory_peak_bytes <= 256 << 20));
}

#[test]
fn each_item_has_fuel_and_time_of_its_own() {
    let source = "x = 0\nfor i in range(inputs['n']): x += i\nresult = x";
    let image = image("core");
    let one = run(&image, source, Isolation::Batch, &[r#"{"n": 200000}"#; 3]);
    let most = one.iter().map(|outcome| outcome.usage.fuel).max().unwrap();
    let limits = Limits { fuel: most + most / 10, ..limits() };
    let asked = Asked { image: &image, source, isolation: Isolation::Batch, limits, cancels_after: None };
    let (outcomes, _) = asked.run(&[r#"{"n": 200000}"#; 10]);
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{:?}", answers(&outcomes));
    let asked = Asked { limits: Limits { fuel: most / 2, ..limits }, ..asked };
    let (outcomes, _) = asked.run(&[r#"{"n": 200000}"#, r#"{"n": 1}"#]);
    assert_eq!(outcomes[0].error_kind(), Some(ErrorKind::OutOfFuel));
    assert!(outcomes[1].result.is_ok(), "{:?}", outcomes[1].result);
}

#[test]
fn a_cancel_between_items_and_within_one_ends_the_series() {
    let image = image("core");
    for isolation in ISOLATIONS {
        let asked = Asked { image: &image, source: "result = 1", isolation, limits: limits(), cancels_after: Some(3) };
        let (outcomes, end) = asked.run(&["{}"; 10]);
        assert_eq!((outcomes.len(), end), (3, SeriesEnd::Cancelled));
    }
}

/// One that has to be imported anew in each call is, whatever isolation is asked for.
#[test]
fn a_package_that_draws_numbers_when_it_is_imported_draws_each_items_own() {
    let base = image("core");
    let module = FileContent::Bytes(Arc::from(&b"import random\nR = random.random()\ndef main(): return R\n"[..]));
    let files = base.files.with_files([(format!("{PACKAGE_FOLDER}/drawn.py"), module)]).unwrap();
    let prepare = prepare_source(&[PACKAGE_FOLDER], &["drawn"]);
    let frozen = Frozen { randomness: true, wall_clock: false };
    let image = Arc::new(base.with_package(files, Arc::from(prepare.as_str()), frozen));
    let source = format!("{prepare}from drawn import main\n");
    let [own, shared] = ISOLATIONS.map(|isolation| run(&image, &source, isolation, &["{}"; 3]));
    assert_eq!(answers(&own), answers(&shared));
    assert_ne!(text(&shared[0]), text(&shared[1]));
}
