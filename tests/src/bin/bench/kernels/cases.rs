//! What is computed, and how often.

/// One computation of `tests/bench/kernels.py`.
pub(super) struct Case {
    /// Names its rows.
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    /// The program's own name of it.
    pub(super) name: &'static str,
    /// Rows of a matrix, or unknowns.
    pub(super) size: u32,
    /// Computations of one run that count, where they are quick enough.
    pub(super) times: u32,
    pub(super) rounds: usize,
    /// In so many of them a sandbox without kernels takes part, which is slow and shown for comparison only.
    pub(super) wasm_rounds: usize,
    /// In so many of them a sandbox that may use all cores takes part, for comparison too.
    pub(super) cores_rounds: usize,
}

const fn dense(key: &'static str, label: &'static str, name: &'static str, size: u32) -> Case {
    Case { key, label, name, size, times: 10, rounds: 5, wasm_rounds: 2, cores_rounds: 0 }
}

/// One that is large enough for several cores.
const fn large(case: Case) -> Case {
    Case { cores_rounds: 2, ..case }
}

pub(super) const CASES: [Case; 15] = [
    dense("kernels.matmul.600", "product 600", "matmul", 600),
    large(dense("kernels.matmul.1200", "product 1200", "matmul", 1200)),
    large(Case { wasm_rounds: 1, ..dense("kernels.matmul.3000", "product 3000", "matmul", 3000) }),
    dense("kernels.solve.600", "solve 600", "solve", 600),
    large(dense("kernels.solve.1200", "solve 1200", "solve", 1200)),
    dense("kernels.cholesky.600", "Cholesky 600", "cholesky", 600),
    large(dense("kernels.cholesky.1200", "Cholesky 1200", "cholesky", 1200)),
    dense("kernels.qr.600", "QR 600", "qr", 600),
    dense("kernels.qr.1200", "QR 1200", "qr", 1200),
    dense("kernels.eigh.300", "eigh 300", "eigh", 300),
    dense("kernels.eigh.600", "eigh 600", "eigh", 600),
    dense("kernels.svd.300", "SVD 300", "svd", 300),
    dense("kernels.svd.600", "SVD 600", "svd", 600),
    Case { times: 1, ..dense("kernels.poisson", "Poisson 2-D, 100 000", "poisson", 100_000) },
    // Ten seconds each: no round is lost for one that does not count.
    large(Case { times: 0, rounds: 3, wasm_rounds: 1, ..dense("kernels.frame", "frame 3-D, 60 000", "frame", 60_000) }),
];
