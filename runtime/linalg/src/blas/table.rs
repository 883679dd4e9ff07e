//! Which functions of a guest the host has kernels for, how each is called, and from which size on it is worth asking.

use super::{Arguments, eigen, factor, level1, level2, level3};
use crate::{Complex, Context, Stop};

/// How a function takes its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Every parameter is an address; a flag is a character there, a size an `i32`.
    Fortran,
    /// The layout comes first. Flags, sizes and real scalars are values; arrays and complex scalars are addresses.
    Cblas,
}

/// Decodes the arguments of one function and runs its kernel.
pub type Kernel = for<'c, 'h, 'm> fn(&'c mut Context<'h>, Arguments<'m>) -> Result<(), Stop>;

/// One function of the guest that the host has a kernel for.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The function's name in the guest's module.
    pub symbol: &'static str,
    /// One letter for each parameter: `i` an `i32`, `f` an `f32`, `d` an `f64`.
    pub parameters: &'static str,
    /// The letter of what the function returns: `f` or `d`. The kernel writes it over the first parameter.
    pub result: Option<char>,
    pub convention: Convention,
    /// The parameters (numbered from 0) whose product says how much work a call is. A size may count twice.
    /// [`Convention::Fortran`]: addresses of `i32`s. [`Convention::Cblas`]: the `i32`s themselves.
    pub sizes: &'static [usize],
    /// The product of the sizes from which on the host is asked.
    pub least: u64,
    pub kernel: Kernel,
}

/// What the entries of one function have in common, whatever kind of numbers they are for.
struct Shape {
    parameters: &'static str,
    result: Option<char>,
    sizes: &'static [usize],
    least: u64,
}

// From where on the host is asked: a little beyond where its kernel, with some 0.5 µs for the way there and back, was
// measured to be as fast as the guest's own code.

/// Products of matrices: m·n·k, or n·n·k.
const PRODUCT_LEAST: u64 = 12 * 12 * 12;
/// A triangle or a symmetric matrix times a matrix: m·n.
const SIDE_LEAST: u64 = 12 * 12;
/// A matrix and a vector: the matrix's elements.
const VECTOR_LEAST: u64 = 512;
/// Factorisations and what uses them: the matrix's elements.
const FACTOR_LEAST: u64 = 20 * 20;
/// A norm: the vector's elements, for each of which the guest's own code divides.
const NORM_LEAST: u64 = 64;
/// A root of a secular equation: its poles, for each of which some divisions are made.
const ROOT_LEAST: u64 = 16;

const fn shape(parameters: &'static str, sizes: &'static [usize], least: u64) -> Shape {
    Shape { parameters, result: None, sizes, least }
}

const GEMM: Shape = shape("iiiiiiiiiiiii", &[2, 3, 4], PRODUCT_LEAST);
const SYMM: Shape = shape("iiiiiiiiiiii", &[2, 3], SIDE_LEAST);
const SYRK: Shape = shape("iiiiiiiiii", &[2, 2, 3], PRODUCT_LEAST);
const SYR2K: Shape = shape("iiiiiiiiiiii", &[2, 2, 3], PRODUCT_LEAST);
const TRMM: Shape = shape("iiiiiiiiiii", &[4, 5], SIDE_LEAST);
const GEMV: Shape = shape("iiiiiiiiiii", &[1, 2], VECTOR_LEAST);
const SYMV: Shape = shape("iiiiiiiiii", &[1, 1], VECTOR_LEAST);
const GER: Shape = shape("iiiiiiiii", &[0, 1], VECTOR_LEAST);
const SYR2: Shape = shape("iiiiiiiii", &[1, 1], VECTOR_LEAST);
const SYR: Shape = shape("iiiiiii", &[1, 1], VECTOR_LEAST);
const TRMV: Shape = shape("iiiiiiii", &[3, 3], VECTOR_LEAST);
const CBLAS_GEMM_S: Shape = shape("iiiiiifiiiifii", &[3, 4, 5], PRODUCT_LEAST);
const CBLAS_GEMM_D: Shape = shape("iiiiiidiiiidii", &[3, 4, 5], PRODUCT_LEAST);
const CBLAS_GEMM_COMPLEX: Shape = shape("iiiiiiiiiiiiii", &[3, 4, 5], PRODUCT_LEAST);
const CBLAS_GEMV_S: Shape = shape("iiiifiiiifii", &[2, 3], VECTOR_LEAST);
const CBLAS_GEMV_D: Shape = shape("iiiidiiiidii", &[2, 3], VECTOR_LEAST);
const CBLAS_GEMV_COMPLEX: Shape = shape("iiiiiiiiiiii", &[2, 3], VECTOR_LEAST);
const CBLAS_SYRK_S: Shape = shape("iiiiifiifii", &[3, 3, 4], PRODUCT_LEAST);
const CBLAS_SYRK_D: Shape = shape("iiiiidiidii", &[3, 3, 4], PRODUCT_LEAST);
const CBLAS_SYRK_COMPLEX: Shape = shape("iiiiiiiiiii", &[3, 3, 4], PRODUCT_LEAST);
const GETRF: Shape = shape("iiiiii", &[0, 1], FACTOR_LEAST);
const GETRS: Shape = shape("iiiiiiiii", &[1, 1], FACTOR_LEAST);
const GESV: Shape = shape("iiiiiiii", &[0, 0], FACTOR_LEAST);
const POTRF: Shape = shape("iiiii", &[1, 1], FACTOR_LEAST);
const POTRS: Shape = shape("iiiiiiii", &[1, 1], FACTOR_LEAST);
const TRTRI: Shape = shape("iiiiii", &[2, 2], FACTOR_LEAST);
const LAUUM: Shape = shape("iiiii", &[1, 1], FACTOR_LEAST);
const NRM2_S: Shape = Shape { result: Some('f'), ..shape("iii", &[0], NORM_LEAST) };
const NRM2_D: Shape = Shape { result: Some('d'), ..NRM2_S };
const LAED4: Shape = shape("iiiiiiii", &[0], ROOT_LEAST);

const fn fortran(symbol: &'static str, shape: &Shape, kernel: Kernel) -> Entry {
    let Shape { parameters, result, sizes, least } = *shape;
    Entry { symbol, parameters, result, convention: Convention::Fortran, sizes, least, kernel }
}

const fn cblas(symbol: &'static str, shape: &Shape, kernel: Kernel) -> Entry {
    Entry { convention: Convention::Cblas, ..fortran(symbol, shape, kernel) }
}

/// Every function that has a kernel. The number of an operation is its index here.
pub static TABLE: &[Entry] = &[
    fortran("sgemm_", &GEMM, level3::gemm::<f32>),
    fortran("dgemm_", &GEMM, level3::gemm::<f64>),
    fortran("cgemm_", &GEMM, level3::gemm::<Complex<f32>>),
    fortran("zgemm_", &GEMM, level3::gemm::<Complex<f64>>),
    fortran("ssymm_", &SYMM, level3::symm::<f32>),
    fortran("dsymm_", &SYMM, level3::symm::<f64>),
    fortran("csymm_", &SYMM, level3::symm::<Complex<f32>>),
    fortran("zsymm_", &SYMM, level3::symm::<Complex<f64>>),
    fortran("chemm_", &SYMM, level3::hemm::<Complex<f32>>),
    fortran("zhemm_", &SYMM, level3::hemm::<Complex<f64>>),
    fortran("ssyrk_", &SYRK, level3::syrk::<f32>),
    fortran("dsyrk_", &SYRK, level3::syrk::<f64>),
    fortran("csyrk_", &SYRK, level3::syrk::<Complex<f32>>),
    fortran("zsyrk_", &SYRK, level3::syrk::<Complex<f64>>),
    fortran("cherk_", &SYRK, level3::herk::<Complex<f32>>),
    fortran("zherk_", &SYRK, level3::herk::<Complex<f64>>),
    fortran("ssyr2k_", &SYR2K, level3::syr2k::<f32>),
    fortran("dsyr2k_", &SYR2K, level3::syr2k::<f64>),
    fortran("csyr2k_", &SYR2K, level3::syr2k::<Complex<f32>>),
    fortran("zsyr2k_", &SYR2K, level3::syr2k::<Complex<f64>>),
    fortran("cher2k_", &SYR2K, level3::her2k::<Complex<f32>>),
    fortran("zher2k_", &SYR2K, level3::her2k::<Complex<f64>>),
    fortran("strmm_", &TRMM, level3::trmm::<f32>),
    fortran("dtrmm_", &TRMM, level3::trmm::<f64>),
    fortran("ctrmm_", &TRMM, level3::trmm::<Complex<f32>>),
    fortran("ztrmm_", &TRMM, level3::trmm::<Complex<f64>>),
    fortran("strsm_", &TRMM, level3::trsm::<f32>),
    fortran("dtrsm_", &TRMM, level3::trsm::<f64>),
    fortran("ctrsm_", &TRMM, level3::trsm::<Complex<f32>>),
    fortran("ztrsm_", &TRMM, level3::trsm::<Complex<f64>>),
    fortran("sgemv_", &GEMV, level2::gemv::<f32>),
    fortran("dgemv_", &GEMV, level2::gemv::<f64>),
    fortran("cgemv_", &GEMV, level2::gemv::<Complex<f32>>),
    fortran("zgemv_", &GEMV, level2::gemv::<Complex<f64>>),
    fortran("ssymv_", &SYMV, level2::symv::<f32>),
    fortran("dsymv_", &SYMV, level2::symv::<f64>),
    fortran("csymv_", &SYMV, level2::symv::<Complex<f32>>),
    fortran("zsymv_", &SYMV, level2::symv::<Complex<f64>>),
    fortran("chemv_", &SYMV, level2::hemv::<Complex<f32>>),
    fortran("zhemv_", &SYMV, level2::hemv::<Complex<f64>>),
    fortran("sger_", &GER, level2::ger::<f32>),
    fortran("dger_", &GER, level2::ger::<f64>),
    fortran("cgeru_", &GER, level2::ger::<Complex<f32>>),
    fortran("zgeru_", &GER, level2::ger::<Complex<f64>>),
    fortran("cgerc_", &GER, level2::gerc::<Complex<f32>>),
    fortran("zgerc_", &GER, level2::gerc::<Complex<f64>>),
    fortran("ssyr2_", &SYR2, level2::syr2::<f32>),
    fortran("dsyr2_", &SYR2, level2::syr2::<f64>),
    fortran("cher2_", &SYR2, level2::her2::<Complex<f32>>),
    fortran("zher2_", &SYR2, level2::her2::<Complex<f64>>),
    fortran("ssyr_", &SYR, level2::syr::<f32>),
    fortran("dsyr_", &SYR, level2::syr::<f64>),
    fortran("csyr_", &SYR, level2::syr::<Complex<f32>>),
    fortran("zsyr_", &SYR, level2::syr::<Complex<f64>>),
    fortran("cher_", &SYR, level2::her::<Complex<f32>>),
    fortran("zher_", &SYR, level2::her::<Complex<f64>>),
    fortran("strsv_", &TRMV, level2::trsv::<f32>),
    fortran("dtrsv_", &TRMV, level2::trsv::<f64>),
    fortran("ctrsv_", &TRMV, level2::trsv::<Complex<f32>>),
    fortran("ztrsv_", &TRMV, level2::trsv::<Complex<f64>>),
    fortran("strmv_", &TRMV, level2::trmv::<f32>),
    fortran("dtrmv_", &TRMV, level2::trmv::<f64>),
    fortran("ctrmv_", &TRMV, level2::trmv::<Complex<f32>>),
    fortran("ztrmv_", &TRMV, level2::trmv::<Complex<f64>>),
    cblas("cblas_sgemm", &CBLAS_GEMM_S, level3::gemm::<f32>),
    cblas("cblas_dgemm", &CBLAS_GEMM_D, level3::gemm::<f64>),
    cblas("cblas_cgemm", &CBLAS_GEMM_COMPLEX, level3::gemm::<Complex<f32>>),
    cblas("cblas_zgemm", &CBLAS_GEMM_COMPLEX, level3::gemm::<Complex<f64>>),
    cblas("cblas_sgemv", &CBLAS_GEMV_S, level2::gemv::<f32>),
    cblas("cblas_dgemv", &CBLAS_GEMV_D, level2::gemv::<f64>),
    cblas("cblas_cgemv", &CBLAS_GEMV_COMPLEX, level2::gemv::<Complex<f32>>),
    cblas("cblas_zgemv", &CBLAS_GEMV_COMPLEX, level2::gemv::<Complex<f64>>),
    cblas("cblas_ssyrk", &CBLAS_SYRK_S, level3::syrk::<f32>),
    cblas("cblas_dsyrk", &CBLAS_SYRK_D, level3::syrk::<f64>),
    cblas("cblas_csyrk", &CBLAS_SYRK_COMPLEX, level3::syrk::<Complex<f32>>),
    cblas("cblas_zsyrk", &CBLAS_SYRK_COMPLEX, level3::syrk::<Complex<f64>>),
    fortran("sgetrf_", &GETRF, factor::getrf::<f32>),
    fortran("dgetrf_", &GETRF, factor::getrf::<f64>),
    fortran("cgetrf_", &GETRF, factor::getrf::<Complex<f32>>),
    fortran("zgetrf_", &GETRF, factor::getrf::<Complex<f64>>),
    fortran("sgetrs_", &GETRS, factor::getrs::<f32>),
    fortran("dgetrs_", &GETRS, factor::getrs::<f64>),
    fortran("cgetrs_", &GETRS, factor::getrs::<Complex<f32>>),
    fortran("zgetrs_", &GETRS, factor::getrs::<Complex<f64>>),
    fortran("sgesv_", &GESV, factor::gesv::<f32>),
    fortran("dgesv_", &GESV, factor::gesv::<f64>),
    fortran("cgesv_", &GESV, factor::gesv::<Complex<f32>>),
    fortran("zgesv_", &GESV, factor::gesv::<Complex<f64>>),
    fortran("spotrf_", &POTRF, factor::potrf::<f32>),
    fortran("dpotrf_", &POTRF, factor::potrf::<f64>),
    fortran("cpotrf_", &POTRF, factor::potrf::<Complex<f32>>),
    fortran("zpotrf_", &POTRF, factor::potrf::<Complex<f64>>),
    fortran("spotrs_", &POTRS, factor::potrs::<f32>),
    fortran("dpotrs_", &POTRS, factor::potrs::<f64>),
    fortran("cpotrs_", &POTRS, factor::potrs::<Complex<f32>>),
    fortran("zpotrs_", &POTRS, factor::potrs::<Complex<f64>>),
    fortran("strtri_", &TRTRI, factor::trtri::<f32>),
    fortran("dtrtri_", &TRTRI, factor::trtri::<f64>),
    fortran("ctrtri_", &TRTRI, factor::trtri::<Complex<f32>>),
    fortran("ztrtri_", &TRTRI, factor::trtri::<Complex<f64>>),
    fortran("slauum_", &LAUUM, factor::lauum::<f32>),
    fortran("dlauum_", &LAUUM, factor::lauum::<f64>),
    fortran("clauum_", &LAUUM, factor::lauum::<Complex<f32>>),
    fortran("zlauum_", &LAUUM, factor::lauum::<Complex<f64>>),
    fortran("snrm2_", &NRM2_S, level1::nrm2::<f32>),
    fortran("dnrm2_", &NRM2_D, level1::nrm2::<f64>),
    fortran("scnrm2_", &NRM2_S, level1::nrm2::<Complex<f32>>),
    fortran("dznrm2_", &NRM2_D, level1::nrm2::<Complex<f64>>),
    fortran("slaed4_", &LAED4, eigen::laed4::<f32>),
    fortran("dlaed4_", &LAED4, eigen::laed4::<f64>),
];

impl Entry {
    /// The parameters' letters and, after an arrow, the result's.
    pub fn signature(&self) -> String {
        let Self { parameters, result, .. } = self;
        result.map_or_else(|| (*parameters).to_owned(), |result| format!("{parameters} -> {result}"))
    }
}

/// The table as text, a line for each entry: symbol, signature, convention, sizes, least product. Equal texts mean modules
/// that were prepared alike.
pub fn table_text() -> String {
    TABLE
        .iter()
        .map(|entry| {
            let Entry { symbol, convention, sizes, least, .. } = entry;
            let convention = match convention {
                Convention::Fortran => "fortran",
                Convention::Cblas => "cblas",
            };
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            format!("{symbol} {} {convention} {} {least}\n", entry.signature(), sizes.join("*"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_symbol_is_there_once() {
        let symbols: BTreeSet<_> = TABLE.iter().map(|entry| entry.symbol).collect();
        assert_eq!(symbols.len(), TABLE.len());
    }

    #[test]
    fn sizes_are_parameters_that_are_integers_or_addresses() {
        for entry in TABLE {
            assert!(!entry.sizes.is_empty() && entry.least > 9, "{}: a 3 by 3 matrix would cross", entry.symbol);
            for &size in entry.sizes {
                assert_eq!(entry.parameters.as_bytes().get(size), Some(&b'i'), "{} {size}", entry.symbol);
            }
        }
    }

    #[test]
    fn a_real_scalar_is_a_value_in_cblas_alone() {
        for entry in TABLE {
            let letters: BTreeSet<_> = entry.parameters.chars().collect();
            let expected = match entry.symbol.strip_prefix("cblas_").and_then(|name| name.chars().next()) {
                Some('s') => "fi",
                Some('d') => "di",
                _ => "i",
            };
            assert_eq!(letters.iter().collect::<String>(), expected, "{}", entry.symbol);
            assert_eq!(entry.symbol.starts_with("cblas_"), entry.convention == Convention::Cblas);
        }
    }

    #[test]
    fn the_text_has_a_line_for_each_entry() {
        let text = table_text();
        assert_eq!(text.lines().count(), TABLE.len());
        assert!(text.starts_with("sgemm_ iiiiiiiiiiiii fortran 2*3*4 1728\n"), "{text}");
        assert!(text.contains("\ncblas_dgemv iiiidiiiidii cblas 2*3 512\n"), "{text}");
    }
}
