//! What of the interpreter's linear algebra the host does, for people to read.

use mecapy_linalg::blas::{Entry, TABLE};

/// A function of BLAS or LAPACK in the interpreter that the host has a native kernel for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KernelInfo {
    /// Its name in the interpreter's module.
    pub symbol: &'static str,
    /// What it computes, in a few words.
    pub about: &'static str,
    /// NumPy's name of the numbers that it computes with.
    pub numbers: &'static str,
    /// How many sizes of the operands are multiplied.
    pub sizes: usize,
    /// The product from which on the host is asked; below it the interpreter's own code is as quick.
    pub least_product: u64,
}

/// The native kernels, in the order of their operations' numbers.
pub fn kernels() -> Vec<KernelInfo> {
    TABLE.iter().map(info).collect()
}

impl KernelInfo {
    /// The smallest size that reaches the product where all sizes are equal.
    pub fn least_size(&self) -> u64 {
        let power = u32::try_from(self.sizes).unwrap_or(u32::MAX);
        let reaches = |size: &u64| size.checked_pow(power).is_none_or(|product| product >= self.least_product);
        let root = (self.least_product as f64).powf(1.0 / f64::from(power.max(1))) as u64;
        // The root is rounded, by less than one either way.
        (root.saturating_sub(1)..=root.saturating_add(1)).find(reaches).unwrap_or(self.least_product)
    }
}

fn info(entry: &Entry) -> KernelInfo {
    let (numbers, family) = parts(entry.symbol);
    let about = ABOUT.iter().find(|(known, _)| *known == family).map_or("", |(_, about)| about);
    KernelInfo { symbol: entry.symbol, about, numbers, sizes: entry.sizes.len(), least_product: entry.least }
}

/// `cblas_dgemm` and `dgemm_` are `gemm` of `float64`.
fn parts(symbol: &str) -> (&'static str, &str) {
    let name = symbol.strip_prefix("cblas_").unwrap_or(symbol);
    let name = name.strip_suffix('_').unwrap_or(name);
    // Two letters where the result is of another kind than the operands.
    let kinds = [
        ("sc", "complex64"),
        ("dz", "complex128"),
        ("s", "float32"),
        ("d", "float64"),
        ("c", "complex64"),
        ("z", "complex128"),
    ];
    let kind = kinds.into_iter().find_map(|(letters, numbers)| Some((numbers, name.strip_prefix(letters)?)));
    kind.unwrap_or(("", name))
}

/// Families by the names that BLAS and LAPACK have for them, without the letter for the kind of numbers.
const ABOUT: [(&str, &str); 30] = [
    ("gemm", "product of two matrices"),
    ("symm", "product with a symmetric matrix"),
    ("hemm", "product with a Hermitian matrix"),
    ("syrk", "product of a matrix and its transpose"),
    ("herk", "product of a matrix and its conjugate transpose"),
    ("syr2k", "symmetric sum of two products"),
    ("her2k", "Hermitian sum of two products"),
    ("trmm", "product with a triangular matrix"),
    ("trsm", "triangular systems, many right-hand sides"),
    ("gemv", "product of a matrix and a vector"),
    ("symv", "product of a symmetric matrix and a vector"),
    ("hemv", "product of a Hermitian matrix and a vector"),
    ("ger", "update by an outer product"),
    ("geru", "update by an outer product"),
    ("gerc", "update by a conjugate outer product"),
    ("syr", "symmetric update by a vector"),
    ("her", "Hermitian update by a vector"),
    ("syr2", "symmetric update by two outer products"),
    ("her2", "Hermitian update by two outer products"),
    ("trsv", "triangular system"),
    ("trmv", "product of a triangular matrix and a vector"),
    ("getrf", "LU factorisation"),
    ("getrs", "solution by an LU factorisation"),
    ("gesv", "solution of a linear system"),
    ("potrf", "Cholesky factorisation"),
    ("potrs", "solution by a Cholesky factorisation"),
    ("trtri", "inverse of a triangular matrix"),
    ("lauum", "product of a triangle and its transpose"),
    ("nrm2", "Euclidean norm of a vector"),
    ("laed4", "eigenvalue of a diagonal matrix that a vector updates"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_told_of_in_words() {
        for kernel in kernels() {
            assert!(!kernel.about.is_empty() && !kernel.numbers.is_empty(), "{}", kernel.symbol);
        }
    }

    #[test]
    fn a_symbol_says_the_numbers_and_the_family() {
        let rows = [
            ("dgemm_", ("float64", "gemm")),
            ("cblas_cgemm", ("complex64", "gemm")),
            ("zher2k_", ("complex128", "her2k")),
            ("ssyr2_", ("float32", "syr2")),
            ("scnrm2_", ("complex64", "nrm2")),
            ("snrm2_", ("float32", "nrm2")),
        ];
        for (symbol, expected) in rows {
            assert_eq!(parts(symbol), expected);
        }
    }

    #[test]
    fn the_least_size_is_the_first_that_reaches_the_product() {
        let rows =
            [(3, 4_096, 16), (3, 4_097, 17), (2, 2_048, 46), (2, 1_024, 32), (1, 7, 7), (2, 1, 1), (3, 999_999, 100)];
        for (sizes, least_product, expected) in rows {
            let kernel = KernelInfo { symbol: "", about: "", numbers: "", sizes, least_product };
            assert_eq!(kernel.least_size(), expected, "{sizes} {least_product}");
        }
    }
}
