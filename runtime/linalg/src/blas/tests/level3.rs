//! Matrices and matrices, through a memory image.

use super::{
    image::{Image, Kind, Output},
    reference::{C64, Matrix, NAN, Noise, c64, is_in},
};
use crate::Scalar;

/// Alpha and beta: with beta zero the output is full of what is no number, and isn't read.
fn scalars(kind: Kind) -> Vec<(C64, C64)> {
    let im = if kind.is_complex() { 0.5 } else { 0.0 };
    vec![
        (c64(0.5, im), C64::ZERO),
        (c64(-1.0, 0.0), C64::ONE),
        (c64(2.0, -im), c64(0.25, im)),
        (C64::ZERO, c64(3.0, im)),
    ]
}

fn output(noise: &mut Noise, kind: Kind, (rows, cols): (usize, usize), beta: C64) -> Matrix {
    if beta == C64::ZERO { Matrix::new(rows, cols, |_, _| NAN) } else { noise.matrix(kind, rows, cols) }
}

fn shape_of(op: char, (rows, cols): (usize, usize)) -> (usize, usize) {
    if op.eq_ignore_ascii_case(&'N') { (rows, cols) } else { (cols, rows) }
}

/// Fortran, and both layouts of C.
const CALLS: [(&str, bool); 3] = [("", false), ("cblas_", false), ("cblas_", true)];

fn named(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { format!("{name}_") } else { format!("{prefix}{name}") }
}

#[test]
fn gemm_multiplies_whatever_the_transposes_and_layouts() {
    let mut noise = Noise::new(1);
    for (kind, (prefix, is_by_rows)) in Kind::ALL.into_iter().flat_map(|kind| CALLS.map(|call| (kind, call))) {
        for ((alpha, beta), (m, n, k)) in scalars(kind).into_iter().zip([(1, 1, 1), (3, 5, 4), (19, 7, 33), (4, 2, 1)])
        {
            for ops in ["NN", "nT", "NC", "TN", "Tt", "TC", "cN", "CT", "CC"] {
                let (of_a, of_b) = (ops.chars().next().unwrap(), ops.chars().last().unwrap());
                let (rows, cols) = shape_of(of_a, (m, k));
                let a = noise.matrix(kind, rows, cols);
                let (rows, cols) = shape_of(of_b, (k, n));
                let b = noise.matrix(kind, rows, cols);
                let c = output(&mut noise, kind, (m, n), beta);
                let expected = a.op(of_a).times(&b.op(of_b)).scaled(alpha).plus(&c.scaled(beta));
                let mut image = Image::new(kind, &named(prefix, "gemm"));
                image.by_rows(is_by_rows);
                image.flags(ops);
                image.sizes([m, n, k]);
                image.scalar(alpha);
                image.matrix(&a, 0);
                image.matrix(&b, 3);
                image.scalar(beta);
                let c = image.matrix(&c, 2);
                image.run_writing(&[c.into()]);
                image.read(&c).assert_close(&expected, kind, &format!("{prefix} {ops} {m} {n} {k} {is_by_rows}"));
            }
        }
    }
}

#[test]
fn symm_and_hemm_read_one_triangle_at_either_side() {
    let mut noise = Noise::new(2);
    let functions = Kind::ALL.map(|kind| (kind, "symm_", 'T')).into_iter();
    for (kind, name, op) in functions.chain(Kind::COMPLEX.map(|kind| (kind, "hemm_", 'C'))) {
        for (flags, (alpha, beta)) in ["LU", "lL", "RU", "Rl"].into_iter().zip(scalars(kind)) {
            let (m, n) = (9, 13);
            let is_left = flags.starts_with(['l', 'L']);
            let part = flags.chars().last().unwrap().to_ascii_uppercase();
            let size = if is_left { m } else { n };
            let a = noise.matrix(kind, size, size);
            let b = noise.matrix(kind, m, n);
            let c = output(&mut noise, kind, (m, n), beta);
            let whole = a.symmetric(part, op);
            let product = if is_left { whole.times(&b) } else { b.times(&whole) };
            let expected = product.scaled(alpha).plus(&c.scaled(beta));
            let mut image = Image::new(kind, name);
            image.flags(flags);
            image.sizes([m, n]);
            image.scalar(alpha);
            image.matrix(&a.guarded(part, 'N'), 1);
            image.matrix(&b, 0);
            image.scalar(beta);
            let c = image.matrix(&c, 2);
            image.run_writing(&[c.into()]);
            image.read(&c).assert_close(&expected, kind, &format!("{name} {flags}"));
        }
    }
}

#[test]
fn syrk_updates_one_triangle_whatever_the_layout() {
    let mut noise = Noise::new(3);
    for (kind, (prefix, is_by_rows)) in Kind::ALL.into_iter().flat_map(|kind| CALLS.map(|call| (kind, call))) {
        let flags = if kind.is_complex() { ["UN", "Ut", "LN", "LT"] } else { ["UC", "uT", "LN", "Lc"] };
        for (flags, (alpha, beta)) in flags.into_iter().zip(scalars(kind)) {
            let (part, op) = (flags.chars().next().unwrap(), flags.chars().last().unwrap());
            let (n, k) = (11, 6);
            let (rows, cols) = shape_of(op, (n, k));
            let a = noise.matrix(kind, rows, cols);
            let c = output(&mut noise, kind, (n, n), beta);
            let expected = a.op(op).times(&a.op(op).op('T')).scaled(alpha).plus(&c.scaled(beta));
            let mut image = Image::new(kind, &named(prefix, "syrk"));
            image.by_rows(is_by_rows);
            image.flags(flags);
            image.sizes([n, k]);
            image.scalar(alpha);
            image.matrix(&a, 1);
            image.scalar(beta);
            let c = image.matrix(&c.guarded(part, 'N'), 2);
            image.run_writing(&[Output { operand: c, has: is_in(part) }]);
            image.read(&c).assert_close_in(&expected, kind, (is_in(part), &format!("{prefix} {flags} {is_by_rows}")));
        }
    }
}

/// C with a diagonal whose imaginary parts count as zeros, and C as it counts.
fn hermitian_output(noise: &mut Noise, kind: Kind, n: usize, beta: f64) -> (Matrix, Matrix) {
    let c = output(noise, kind, (n, n), c64(beta, 0.0));
    let c = if beta == 0.0 { c.map(|row, col, value| if row == col { c64(f64::NAN, 4.0) } else { value }) } else { c };
    let counted = c.map(|row, col, value| if row == col { c64(value.re, 0.0) } else { value });
    (c, counted)
}

#[test]
fn herk_updates_one_triangle_and_leaves_a_real_diagonal() {
    let mut noise = Noise::new(4);
    for kind in Kind::COMPLEX {
        for (flags, (alpha, beta)) in
            ["UN", "uC", "Ln", "LC"].into_iter().zip([(1.5, 0.0), (-1.0, 1.0), (0.5, 2.0), (0.0, 3.0)])
        {
            let (part, op) = (flags.chars().next().unwrap(), flags.chars().last().unwrap());
            let (n, k) = (9, 5);
            let (rows, cols) = shape_of(op, (n, k));
            let a = noise.matrix(kind, rows, cols);
            let (c, counted) = hermitian_output(&mut noise, kind, n, beta);
            let product = a.op(op).times(&a.op(op).op('C')).scaled(c64(alpha, 0.0));
            let expected = product.plus(&counted.scaled(c64(beta, 0.0)));
            let mut image = Image::new(kind, "herk_");
            image.flags(flags);
            image.sizes([n, k]);
            image.real(alpha);
            image.matrix(&a, 1);
            image.real(beta);
            let c = image.matrix(&c.guarded(part, 'N'), 2);
            image.run_writing(&[Output { operand: c, has: is_in(part) }]);
            let found = image.read(&c);
            found.assert_close_in(&expected, kind, (is_in(part), flags));
            assert!((0..n).all(|index| found.get(index, index).im == 0.0));
        }
    }
}

#[test]
fn syr2k_updates_one_triangle() {
    let mut noise = Noise::new(5);
    for kind in Kind::ALL {
        let flags = if kind.is_complex() { ["UN", "uT", "LN", "Lt"] } else { ["UN", "uT", "LC", "Ln"] };
        for (flags, (alpha, beta)) in flags.into_iter().zip(scalars(kind)) {
            let (part, op) = (flags.chars().next().unwrap(), flags.chars().last().unwrap());
            let (n, k) = (10, 7);
            let (rows, cols) = shape_of(op, (n, k));
            let (a, b) = (noise.matrix(kind, rows, cols), noise.matrix(kind, rows, cols));
            let c = output(&mut noise, kind, (n, n), beta);
            let product = a.op(op).times(&b.op(op).op('T'));
            let expected = product.plus(&product.op('T')).scaled(alpha).plus(&c.scaled(beta));
            let mut image = Image::new(kind, "syr2k_");
            image.flags(flags);
            image.sizes([n, k]);
            image.scalar(alpha);
            image.matrix(&a, 1);
            image.matrix(&b, 0);
            image.scalar(beta);
            let c = image.matrix(&c.guarded(part, 'N'), 2);
            image.run_writing(&[Output { operand: c, has: is_in(part) }]);
            image.read(&c).assert_close_in(&expected, kind, (is_in(part), flags));
        }
    }
}

#[test]
fn her2k_updates_one_triangle_and_leaves_a_real_diagonal() {
    let mut noise = Noise::new(6);
    for kind in Kind::COMPLEX {
        for (flags, ((alpha, _), beta)) in
            ["UN", "uC", "Ln", "LC"].into_iter().zip(scalars(kind).into_iter().zip([0.0, 1.0, 2.0, 3.0]))
        {
            let (part, op) = (flags.chars().next().unwrap(), flags.chars().last().unwrap());
            let (n, k) = (8, 5);
            let (rows, cols) = shape_of(op, (n, k));
            let (a, b) = (noise.matrix(kind, rows, cols), noise.matrix(kind, rows, cols));
            let (c, counted) = hermitian_output(&mut noise, kind, n, beta);
            let product = a.op(op).times(&b.op(op).op('C')).scaled(alpha);
            let expected = product.plus(&product.op('C')).plus(&counted.scaled(c64(beta, 0.0)));
            let mut image = Image::new(kind, "her2k_");
            image.flags(flags);
            image.sizes([n, k]);
            image.scalar(alpha);
            image.matrix(&a, 1);
            image.matrix(&b, 0);
            image.real(beta);
            let c = image.matrix(&c.guarded(part, 'N'), 2);
            image.run_writing(&[Output { operand: c, has: is_in(part) }]);
            let found = image.read(&c);
            found.assert_close_in(&expected, kind, (is_in(part), flags));
            assert!((0..n).all(|index| found.get(index, index).im == 0.0));
        }
    }
}

/// Every side, part, transpose and diagonal.
fn triangular_flags() -> impl Iterator<Item = [char; 4]> {
    let sides = ['L', 'R'].into_iter();
    let parts = sides.flat_map(|side| ['U', 'L'].map(|part| (side, part)));
    let ops = parts.flat_map(|(side, part)| ['N', 'T', 'C'].map(|op| (side, part, op)));
    ops.flat_map(|(side, part, op)| ['N', 'U'].map(|diag| [side, part, op, diag]))
}

#[test]
fn trmm_multiplies_by_a_triangle_at_either_side() {
    let mut noise = Noise::new(7);
    for (kind, [side, part, op, diag]) in
        Kind::ALL.into_iter().flat_map(|kind| triangular_flags().map(move |flags| (kind, flags)))
    {
        let ((alpha, _), (m, n)) = (scalars(kind)[2], (9, 12));
        let size = if side == 'L' { m } else { n };
        let (a, b) = (noise.square(kind, size), noise.matrix(kind, m, n));
        let factor = a.triangle(part, diag).op(op);
        let expected = if side == 'L' { factor.times(&b) } else { b.times(&factor) }.scaled(alpha);
        let mut image = Image::new(kind, "trmm_");
        let flags: String = [side, part, op, diag].into_iter().collect();
        image.flags(&flags);
        image.sizes([m, n]);
        image.scalar(alpha);
        image.matrix(&a.guarded(part, diag), 1);
        let b = image.matrix(&b, 2);
        image.run_writing(&[b.into()]);
        image.read(&b).assert_close(&expected, kind, &flags);
    }
}

#[test]
fn trsm_solves_with_a_triangle_at_either_side() {
    let mut noise = Noise::new(8);
    for (kind, [side, part, op, diag]) in
        Kind::ALL.into_iter().flat_map(|kind| triangular_flags().map(move |flags| (kind, flags)))
    {
        let ((alpha, _), (m, n)) = (scalars(kind)[2], (11, 8));
        let size = if side == 'L' { m } else { n };
        let (a, b) = (noise.square(kind, size), noise.matrix(kind, m, n));
        let mut image = Image::new(kind, "trsm_");
        let flags: String = [side, part, op, diag].into_iter().collect();
        image.flags(&flags.to_lowercase());
        image.sizes([m, n]);
        image.scalar(alpha);
        image.matrix(&a.guarded(part, diag), 1);
        let x = image.matrix(&b, 2);
        image.run_writing(&[x.into()]);
        let (factor, x) = (a.triangle(part, diag).op(op), image.read(&x));
        let product = if side == 'L' { factor.times(&x) } else { x.times(&factor) };
        product.assert_close(&b.scaled(alpha), kind, &flags);
    }
}
