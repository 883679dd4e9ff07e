//! Linear algebra with the host's kernels and without: thousands of computations must have the same shapes, types and
//! errors, and the same values to rounding; repeated, the same bits.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

mod bench;
mod opened;
mod sandboxed;

use mecapy_model::{ErrorKind, Kernels, LimitsRequest, Outcome};
use sandboxed::{Call, LIMITS};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

const SOURCES: [&str; 4] = [
    include_str!("kernels/cases.py"),
    include_str!("kernels/dense.py"),
    include_str!("kernels/scipys.py"),
    include_str!("kernels/blas.py"),
];
const SEED: u32 = 20_261_127;
/// Of one sandbox.
const CASES_AT_ONCE: u32 = 150;
/// Shown of those that differ.
const FAULTS_SHOWN_MAX: usize = 12;

/// What is told of one computation.
#[derive(Debug, Deserialize, PartialEq)]
struct Case {
    label: String,
    error: Option<String>,
    /// Shapes, types and whatever else is no question of rounding.
    forms: Vec<String>,
    /// Each with the distance that two right ones may have.
    values: Vec<(f64, f64)>,
    /// A sum over the bytes of all results.
    bits: u64,
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// Some computations of one kind. The host's kernels must have worked for them, and for the run without them not.
struct Family {
    name: &'static str,
    cases: u32,
}

macro_rules! families {
    ($($name:ident: $cases:literal),* $(,)?) => {
        $(#[test]
        fn $name() {
            Family { name: stringify!($name), cases: $cases }.check();
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

families! {
    products: 600,
    overlaps: 150,
    einsums: 150,
    numpy_solves: 600,
    numpy_factors: 600,
    scipy_solves: 600,
    scipy_factors: 450,
    sparse_solves: 450,
    sparse_values: 150,
    blas_products: 900,
    blas_vectors: 900,
    lapack_calls: 900,
}

impl Family {
    fn check(&self) {
        let (mut faults, mut calls) = (Vec::new(), 0);
        for first in (0..self.cases).step_by(CASES_AT_ONCE as usize) {
            let inputs = json!({"family": self.name, "seed": SEED, "first": first, "count": CASES_AT_ONCE});
            let call = Call {
                source: Arc::from(SOURCES.join("\n\n")),
                inputs: inputs.to_string(),
                files: Vec::new(),
                limits: LIMITS,
            };
            let runs = [Kernels::Native, Kernels::Wasm, Kernels::Native].map(|kernels| call.submit(kernels));
            let [native, wasm, again] = runs.map(|run| self.outcome(run.outcome()));
            let of_kernels = |outcome: &Outcome| outcome.usage.kernels.map_or(0, |kernels| kernels.calls);
            calls += of_kernels(&native);
            assert_eq!(of_kernels(&wasm), 0, "{}: a kernel of the host worked", self.name);
            assert_eq!(native.usage.fuel, again.usage.fuel, "{}: fuel depends on more than the work", self.name);
            let [native, wasm, again] = [native, wasm, again].map(|outcome| cases(&outcome));
            assert_eq!(native.len(), CASES_AT_ONCE as usize);
            assert_eq!(native, again, "{}: a repeated run differs", self.name);
            faults.extend(
                native
                    .iter()
                    .zip(&wasm)
                    .filter_map(|(native, wasm)| Some((&native.label, fault(native, wasm)?)))
                    .map(|(label, fault)| format!("{label}: {fault}")),
            );
        }
        assert!(calls > 0, "{}: no kernel of the host worked", self.name);
        let shown = faults.iter().take(FAULTS_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(faults.is_empty(), "{} of {} computations differ:\n{shown}", faults.len(), self.cases);
    }

    fn outcome(&self, outcome: Outcome) -> Outcome {
        assert!(outcome.result.is_ok(), "{}: {:?}", self.name, outcome.result);
        outcome
    }
}

fn cases(outcome: &Outcome) -> Vec<Case> {
    let text = outcome.result.as_ref().unwrap().get();
    serde_json::from_str::<Cases>(text).unwrap_or_else(|error| panic!("{error}: {text}")).cases
}

/// What differs of a computation, beyond rounding.
fn fault(native: &Case, wasm: &Case) -> Option<String> {
    if native.label != wasm.label {
        return Some(format!("another computation: {}", wasm.label));
    }
    if native.error != wasm.error {
        return Some(format!("{:?} instead of {:?}", native.error, wasm.error));
    }
    if native.forms != wasm.forms || native.values.len() != wasm.values.len() {
        return Some(format!("{:?} instead of {:?}", native.forms, wasm.forms));
    }
    let apart = |((value, tolerance), (expected, other)): (&(f64, f64), &(f64, f64))| {
        // One that is not a number is not within any distance.
        let near = (value - expected).abs() <= tolerance.max(*other);
        (!near).then(|| format!("{value} instead of {expected}, which may be {tolerance} apart"))
    };
    native.values.iter().zip(&wasm.values).find_map(apart)
}

#[test]
fn every_family_of_the_sources_is_a_test() {
    let source = SOURCES.join("\n\n");
    let named: Vec<&str> =
        source.split("\n@family\ndef ").skip(1).map(|function| function.split('(').next().unwrap()).collect();
    assert_eq!(named.len(), NAMES.len());
    assert!(named.iter().all(|name| NAMES.contains(name)), "{named:?}");
}

/// Products and factorisations that are large enough for several threads; the result is a digest of their bits.
const LARGE: &str = "\
import hashlib
import numpy as np

def main(times=1):
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 640, 640))
    digest = hashlib.sha256()
    for _ in range(times):
        spd = a @ a.T + 640 * np.eye(640)
        for found in (spd, np.linalg.solve(a, b), np.linalg.cholesky(spd), (a + 1j * b) @ (b - 1j * a)):
            digest.update(found.tobytes())
    return digest.hexdigest()
";

fn large(times: u32, limits: LimitsRequest) -> Outcome {
    let inputs = json!({"times": times}).to_string();
    Call { source: Arc::from(LARGE), inputs, files: Vec::new(), limits }.submit(Kernels::Native).outcome()
}

#[test]
fn more_cores_change_no_bit_and_what_is_paid_goes_by_what_was_asked_for() {
    let [one, two, again, many] = [1, 2, 2, 16].map(|cpus| large(1, LimitsRequest { cpus: Some(cpus), ..LIMITS }));
    for outcome in [&two, &again, &many] {
        assert_eq!(outcome.result.as_ref().unwrap().get(), one.result.as_ref().unwrap().get());
    }
    assert_eq!((two.usage.fuel, two.usage.kernels), (again.usage.fuel, again.usage.kernels));
}

#[test]
fn a_limit_ends_the_threads_of_a_kernel() {
    for cpus in [1, 4] {
        let outcome = large(10_000, LimitsRequest { cpus: Some(cpus), timeout_ms: Some(600), ..LIMITS });
        assert_eq!(outcome.result.unwrap_err().kind, ErrorKind::Timeout, "{cpus}");
        let outcome = large(10_000, LimitsRequest { cpus: Some(cpus), fuel: Some(3_000_000_000), ..LIMITS });
        assert_eq!(outcome.result.unwrap_err().kind, ErrorKind::OutOfFuel, "{cpus}");
    }
}
