//! NumPy's and SciPy's own suites of linear algebra, out of their wheels: each test ends with the host's kernels as it
//! does without them. Not all pass in a sandbox: some want threads, processes or more memory than there is.
//!
//! `tests/toolchain/suites.sh` fetches the wheels; of pytest there is what they use, in `suites/pytest.py`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

mod bench;
mod opened;
mod sandboxed;

use mecapy_model::{ArtifactName, Kernels, Outcome};
use mecapy_runtime::{FileContent, InputFile};
use sandboxed::{Call, LIMITS};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, fs::File, path::PathBuf, sync::Arc};

const RUNNER: &str = include_str!("suites/runner.py");
const PYTEST: &str = include_str!("suites/pytest.py");
/// Of the lines that a sandbox printed, when it ended in the middle.
const LINES_SHOWN_MAX: usize = 3;

#[derive(Deserialize)]
struct Ends {
    ends: BTreeMap<String, String>,
}

/// One file of a suite.
struct Suite {
    module: &'static str,
    /// What its authors call slow is small.
    slow: bool,
    /// At least so many of its tests pass, with kernels and without.
    passed_min: usize,
}

macro_rules! suites {
    ($($name:ident: $module:literal, $slow:literal, $passed_min:literal;)*) => {
        $(#[test]
        fn $name() {
            Suite { module: $module, slow: $slow, passed_min: $passed_min }.check();
        })*
    };
}

suites! {
    numpy_linalg: "numpy.linalg.tests.test_linalg", false, 400;
    scipy_basic: "scipy.linalg.tests.test_basic", false, 3300;
    scipy_decomp: "scipy.linalg.tests.test_decomp", false, 1600;
    scipy_cholesky: "scipy.linalg.tests.test_decomp_cholesky", false, 200;
    scipy_lu: "scipy.linalg.tests.test_decomp_lu", false, 80;
    scipy_ldl: "scipy.linalg.tests.test_decomp_ldl", false, 10;
    scipy_solvers: "scipy.linalg.tests.test_solvers", false, 400;
    scipy_matfuncs: "scipy.linalg.tests.test_matfuncs", false, 130;
    scipy_blas: "scipy.linalg.tests.test_blas", false, 150;
    scipy_fblas: "scipy.linalg.tests.test_fblas", false, 110;
    scipy_lapack: "scipy.linalg.tests.test_lapack", false, 2200;
    sparse_solves: "scipy.sparse.linalg._dsolve.tests.test_linsolve", true, 320;
    sparse_values: "scipy.sparse.linalg._eigen.arpack.tests.test_arpack", false, 600;
    sparse_functions: "scipy.sparse.linalg.tests.test_matfuncs", false, 30;
}

impl Suite {
    fn check(&self) {
        let library = self.module.split('.').next().unwrap();
        let inputs = json!({"library": library, "module": self.module, "pytest": PYTEST, "slow": self.slow});
        let call =
            Call { source: Arc::from(RUNNER), inputs: inputs.to_string(), files: vec![wheel(library)], limits: LIMITS };
        let runs = [Kernels::Native, Kernels::Wasm].map(|kernels| call.submit(kernels));
        let [native, wasm] = runs.map(|run| self.ends(&run.outcome()));
        let passed = |ends: &BTreeMap<String, String>| ends.values().filter(|end| *end == "passed").count();
        let fault = |(name, expected): (&String, &String)| {
            let end = native.get(name).map_or("not run", String::as_str);
            // A test that rounding decides may only be won.
            let is_right = end == expected || end == "passed" && expected.starts_with("failed");
            (!is_right).then(|| format!("{name}: {end}, and without kernels: {expected}"))
        };
        let faults: Vec<String> = wasm.iter().filter_map(fault).collect();
        assert!(faults.is_empty(), "{}: {} tests differ:\n{}", self.module, faults.len(), faults.join("\n"));
        assert_eq!(native.len(), wasm.len());
        assert!(
            passed(&native).min(passed(&wasm)) >= self.passed_min,
            "{}: of {} tests {} pass, {} without kernels",
            self.module,
            wasm.len(),
            passed(&native),
            passed(&wasm)
        );
    }

    fn ends(&self, outcome: &Outcome) -> BTreeMap<String, String> {
        let result = outcome.result.as_ref().unwrap_or_else(|error| {
            let lines: Vec<&str> = outcome.stdout.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES_SHOWN_MAX)..].join(", ");
            panic!("{}: {error:?} after {last}", self.module)
        });
        serde_json::from_str::<Ends>(result.get()).unwrap().ends
    }
}

fn wheel(library: &str) -> InputFile {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../target/suites/{library}.whl"));
    let file = File::open(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run tests/toolchain/suites.sh (or `make test`)", path.display()));
    let bytes = file.metadata().unwrap().len();
    InputFile {
        name: ArtifactName::parse(&format!("{library}.whl")).unwrap(),
        content: FileContent::File { file: Arc::new(file), bytes },
    }
}
