//! Matrices and vectors, through a memory image.

use super::{
    image::{Image, Kind, Output},
    reference::{C64, Matrix, NAN, Noise, c64, is_in},
};
use crate::Scalar;

/// Steps of two vectors, forwards and backwards.
const STEPS: [(i32, i32); 4] = [(1, 1), (2, -1), (-1, 3), (-3, -2)];

fn scalars(kind: Kind) -> [(C64, C64); 4] {
    let im = if kind.is_complex() { 0.5 } else { 0.0 };
    [(c64(0.5, im), C64::ZERO), (c64(-1.0, 0.0), C64::ONE), (c64(2.0, -im), c64(0.25, im)), (C64::ZERO, c64(3.0, im))]
}

fn output(noise: &mut Noise, kind: Kind, rows: usize, beta: C64) -> Matrix {
    if beta == C64::ZERO { Matrix::new(rows, 1, |_, _| NAN) } else { noise.matrix(kind, rows, 1) }
}

#[test]
fn gemv_multiplies_whatever_the_transpose_the_layout_and_the_steps() {
    let mut noise = Noise::new(11);
    for (kind, (name, is_by_rows)) in Kind::ALL
        .into_iter()
        .flat_map(|kind| [("gemv_", false), ("cblas_gemv", false), ("cblas_gemv", true)].map(|call| (kind, call)))
    {
        for (((x_step, y_step), (alpha, beta)), op) in
            STEPS.into_iter().zip(scalars(kind)).flat_map(|case| ['N', 'T', 'C'].map(|op| (case, op)))
        {
            let (m, n) = (13, 9);
            let a = noise.matrix(kind, m, n);
            let factor = a.op(op);
            let x = noise.matrix(kind, factor.cols, 1);
            let y = output(&mut noise, kind, factor.rows, beta);
            let expected = factor.times(&x).scaled(alpha).plus(&y.scaled(beta));
            let mut image = Image::new(kind, name);
            image.by_rows(is_by_rows);
            image.flags(&op.to_string());
            image.sizes([m, n]);
            image.scalar(alpha);
            image.matrix(&a, 2);
            image.vector(&x, x_step);
            image.scalar(beta);
            let y = image.vector(&y, y_step);
            image.run_writing(&[y.into()]);
            image.read(&y).assert_close(&expected, kind, &format!("{name} {op} {is_by_rows} {x_step} {y_step}"));
        }
    }
}

#[test]
fn symv_and_hemv_read_one_triangle() {
    let mut noise = Noise::new(12);
    let functions = Kind::ALL.map(|kind| (kind, "symv_", 'T')).into_iter();
    for (kind, name, op) in functions.chain(Kind::COMPLEX.map(|kind| (kind, "hemv_", 'C'))) {
        for (((x_step, y_step), (alpha, beta)), part) in
            STEPS.into_iter().zip(scalars(kind)).flat_map(|case| ['U', 'L'].map(|part| (case, part)))
        {
            let n = 11;
            let a = noise.matrix(kind, n, n);
            let x = noise.matrix(kind, n, 1);
            let y = output(&mut noise, kind, n, beta);
            let expected = a.symmetric(part, op).times(&x).scaled(alpha).plus(&y.scaled(beta));
            let mut image = Image::new(kind, name);
            image.flags(&part.to_string());
            image.size(n as i32);
            image.scalar(alpha);
            image.matrix(&a.guarded(part, 'N'), 1);
            image.vector(&x, x_step);
            image.scalar(beta);
            let y = image.vector(&y, y_step);
            image.run_writing(&[y.into()]);
            image.read(&y).assert_close(&expected, kind, &format!("{name} {part} {x_step} {y_step}"));
        }
    }
}

#[test]
fn ger_geru_and_gerc_add_an_outer_product() {
    let mut noise = Noise::new(13);
    let complex = ["geru_", "gerc_"].into_iter().flat_map(|name| Kind::COMPLEX.map(|kind| (kind, name)));
    for (kind, name) in Kind::REAL.map(|kind| (kind, "ger_")).into_iter().chain(complex) {
        for ((x_step, y_step), (alpha, _)) in STEPS.into_iter().zip(scalars(kind)) {
            let (m, n) = (8, 15);
            let (x, y, a) = (noise.matrix(kind, m, 1), noise.matrix(kind, n, 1), noise.matrix(kind, m, n));
            let op = if name == "gerc_" { 'C' } else { 'T' };
            let expected = x.times(&y.op(op)).scaled(alpha).plus(&a);
            let mut image = Image::new(kind, name);
            image.sizes([m, n]);
            image.scalar(alpha);
            image.vector(&x, x_step);
            image.vector(&y, y_step);
            let a = image.matrix(&a, 3);
            image.run_writing(&[a.into()]);
            image.read(&a).assert_close(&expected, kind, &format!("{name} {x_step} {y_step}"));
        }
    }
}

#[test]
fn syr2_and_her2_update_one_triangle() {
    let mut noise = Noise::new(14);
    let functions = Kind::REAL.map(|kind| (kind, "syr2_", 'T')).into_iter();
    for (kind, name, op) in functions.chain(Kind::COMPLEX.map(|kind| (kind, "her2_", 'C'))) {
        for (((x_step, y_step), (alpha, _)), part) in
            STEPS.into_iter().zip(scalars(kind)).take(3).flat_map(|case| ['U', 'L'].map(|part| (case, part)))
        {
            let n = 10;
            let (x, y, a) = (noise.matrix(kind, n, 1), noise.matrix(kind, n, 1), noise.matrix(kind, n, n));
            let product = x.times(&y.op(op)).scaled(alpha);
            let expected = product.plus(&product.op(op)).plus(&a.symmetric(part, op));
            let mut image = Image::new(kind, name);
            image.flags(&part.to_string());
            image.size(n as i32);
            image.scalar(alpha);
            image.vector(&x, x_step);
            image.vector(&y, y_step);
            let a = image.matrix(&a.guarded(part, 'N'), 3);
            image.run_writing(&[Output { operand: a, has: is_in(part) }]);
            let what = format!("{name} {part} {x_step} {y_step}");
            image.read(&a).assert_close_in(&expected, kind, (is_in(part), &what));
        }
    }
}

#[test]
fn syr_and_her_update_one_triangle() {
    let mut noise = Noise::new(16);
    let functions = Kind::ALL.map(|kind| (kind, "syr_", 'T')).into_iter();
    for (kind, name, op) in functions.chain(Kind::COMPLEX.map(|kind| (kind, "her_", 'C'))) {
        for ((step, (alpha, _)), part) in
            [1, -1, 3].into_iter().zip(scalars(kind)).flat_map(|case| ['U', 'L'].map(|part| (case, part)))
        {
            let n = 10;
            let (x, a) = (noise.matrix(kind, n, 1), noise.matrix(kind, n, n));
            let alpha = if op == 'C' { c64(alpha.re, 0.0) } else { alpha };
            let expected = x.times(&x.op(op)).scaled(alpha).plus(&a.symmetric(part, op));
            let mut image = Image::new(kind, name);
            image.flags(&part.to_string());
            image.size(n as i32);
            if op == 'C' {
                image.real(alpha.re);
            } else {
                image.scalar(alpha);
            }
            image.vector(&x, step);
            let a = image.matrix(&a.guarded(part, 'N'), 3);
            image.run_writing(&[Output { operand: a, has: is_in(part) }]);
            image.read(&a).assert_close_in(&expected, kind, (is_in(part), &format!("{name} {part} {step}")));
        }
    }
}

/// A triangular function of a vector: its name, and what it does.
fn check_triangular(name: &str, check: impl Fn(Kind, &Matrix, (&Matrix, &Matrix), &str)) {
    let mut noise = Noise::new(15);
    let parts = Kind::ALL.into_iter().flat_map(|kind| ['U', 'L'].map(|part| (kind, part)));
    let ops = parts.flat_map(|(kind, part)| ['N', 'T', 'C'].map(|op| (kind, part, op)));
    let flags = ops.flat_map(|(kind, part, op)| ['N', 'U'].map(|diag| (kind, [part, op, diag])));
    for ((kind, [part, op, diag]), step) in flags.flat_map(|flags| [1, 2, -1, -3].map(|step| (flags, step))) {
        let n = 12;
        let (a, before) = (noise.square(kind, n), noise.matrix(kind, n, 1));
        let mut image = Image::new(kind, name);
        let flags: String = [part, op, diag].into_iter().collect();
        image.flags(&flags);
        image.size(n as i32);
        image.matrix(&a.guarded(part, diag), 1);
        let x = image.vector(&before, step);
        image.run_writing(&[x.into()]);
        let factor = a.triangle(part, diag).op(op);
        check(kind, &factor, (&before, &image.read(&x)), &format!("{name} {flags} {step}"));
    }
}

#[test]
fn trmv_multiplies_by_a_triangle() {
    check_triangular("trmv_", |kind, factor, (before, after), what| {
        after.assert_close(&factor.times(before), kind, what);
    });
}

#[test]
fn trsv_solves_with_a_triangle() {
    check_triangular("trsv_", |kind, factor, (before, after), what| {
        factor.times(after).assert_close(before, kind, what);
    });
}
