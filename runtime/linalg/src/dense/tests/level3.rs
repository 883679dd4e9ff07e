//! Matrices and matrices against plain loops.

use super::*;
use crate::dense::{Product, Side, Symmetric, Triangular, gemm, gemm_part, symm, trmm, trsm};

/// A view of the matrix, or its conjugate where `is_conjugated`.
fn seen<T: Number>(a: &Owned<T>, is_conjugated: bool) -> Mat<'_, T> {
    if is_conjugated { a.mat().conj() } else { a.mat() }
}

fn scalar<T: Number>(draw: &mut Draw) -> T {
    match draw.below(4) {
        0 => T::ZERO,
        1 => T::ONE,
        _ => draw.number(),
    }
}

fn products<T: Number>() {
    for seed in 0..120 {
        let draw = &mut Draw::new(seed);
        let max = if seed % 10 == 0 { 300 } else { 70 };
        let (m, n, k) = (draw.size(max), draw.size(max), draw.size(if seed % 15 == 0 { 600 } else { 70 }));
        let (a, b) = (Owned::<T>::draw(draw, (m, k)), Owned::<T>::draw(draw, (k, n)));
        let (a, b) = (seen(&a, draw.is()), seen(&b, draw.is()));
        let (alpha, beta) = (scalar::<T>(draw), scalar::<T>(draw));
        let before = Owned::<T>::draw(draw, (m, n));
        for instructions in ALL_INSTRUCTIONS {
            let mut c = before.clone();
            on(instructions, |cx| gemm(cx, Product { alpha, a, b, beta }, c.view())).unwrap();
            assert_close(&c, 4.0 + 2.0 * k as f64, |row, col| {
                let product = sum(0..k, |at| a.get(row, at).wide() * b.get(at, col).wide());
                alpha.wide() * product + beta.wide() * before.mat().get(row, col).wide()
            });
        }
    }
}

fn products_of_a_part<T: Number>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let (n, k) = (draw.size(if seed % 10 == 0 { 300 } else { 70 }), draw.size(60));
        let (a, b) = (Owned::<T>::draw(draw, (n, k)), Owned::<T>::draw(draw, (k, n)));
        let (alpha, beta, part) = (scalar::<T>(draw), scalar::<T>(draw), draw.part());
        let before = Owned::<T>::draw(draw, (n, n));
        let mut c = before.clone();
        let product = Product { alpha, a: a.mat(), b: b.mat(), beta };
        on(Instructions::X86_64V3, |cx| gemm_part(cx, part, product, c.view())).unwrap();
        assert_close(&c, 4.0 + 2.0 * k as f64, |row, col| {
            let before = before.mat().get(row, col).wide();
            if !part.has(row, col) {
                return before;
            }
            let product = sum(0..k, |at| a.mat().get(row, at).wide() * b.mat().get(at, col).wide());
            alpha.wide() * product + beta.wide() * before
        });
    }
}

/// Element (row, col) of a symmetric or Hermitian matrix.
pub(super) fn mirrored<T: Number>(
    (part, symmetry): (Part, Symmetry),
    a: Mat<'_, T>,
    row: usize,
    col: usize,
) -> Complex<f64> {
    let value = if part.has(row, col) { a.get(row, col).wide() } else { a.get(col, row).wide() };
    match symmetry {
        Symmetry::Symmetric => value,
        Symmetry::Hermitian if row == col => Complex { re: value.re, im: 0.0 },
        Symmetry::Hermitian if part.has(row, col) => value,
        Symmetry::Hermitian => value.conj(),
    }
}

fn symmetric_products<T: Number>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let max = if seed % 6 == 0 { 290 } else { 50 };
        let (m, n) = (draw.size(max), draw.size(max));
        let side = if draw.is() { Side::Left } else { Side::Right };
        let symmetric = Symmetric { side, part: draw.part(), symmetry: draw.symmetry() };
        let size = if side == Side::Left { m } else { n };
        let (a, b) = (Owned::<T>::draw(draw, (size, size)), Owned::<T>::draw(draw, (m, n)));
        let (alpha, beta) = (scalar::<T>(draw), scalar::<T>(draw));
        let before = Owned::<T>::draw(draw, (m, n));
        let mut c = before.clone();
        let product = Product { alpha, a: a.mat(), b: b.mat(), beta };
        on(Instructions::X86_64V3, |cx| symm(cx, symmetric, product, c.view())).unwrap();
        assert_close(&c, 8.0 + 2.0 * size as f64, |row, col| {
            let element = |row, col| mirrored((symmetric.part, symmetric.symmetry), a.mat(), row, col);
            let product = match side {
                Side::Left => sum(0..m, |at| element(row, at) * b.mat().get(at, col).wide()),
                Side::Right => sum(0..n, |at| b.mat().get(row, at).wide() * element(at, col)),
            };
            alpha.wide() * product + beta.wide() * before.mat().get(row, col).wide()
        });
    }
}

/// A triangular matrix that substitution is accurate with: its diagonal dominates. The other part is full of NaN.
pub(super) fn draw_triangle<T: Number>(draw: &mut Draw, part: Part, diag: Diag, n: usize) -> Owned<T> {
    let mut a = Owned::<T>::draw(draw, (n, n));
    let small = 1.0 / (n.max(1) as f64);
    for col in 0..n {
        for row in 0..n {
            let value = if row == col && diag == Diag::NonUnit {
                T::of(2.0 + draw.real(), draw.real())
            } else if part.has(row, col) && row != col {
                draw.number::<T>() * T::of(small, 0.0)
            } else {
                T::of(f64::NAN, f64::NAN)
            };
            a.view().set(row, col, value);
        }
    }
    a
}

pub(super) fn triangle_element<T: Number>(
    (part, diag): (Part, Diag),
    a: Mat<'_, T>,
    row: usize,
    col: usize,
) -> Complex<f64> {
    if row == col && diag == Diag::Unit {
        Complex { re: 1.0, im: 0.0 }
    } else if part.has(row, col) {
        a.get(row, col).wide()
    } else {
        Complex::default()
    }
}

fn triangular_products_and_systems<T: Number>() {
    for seed in 0..160 {
        let draw = &mut Draw::new(seed);
        let max = if seed % 10 == 0 { 200 } else { 70 };
        let (m, n) = (draw.size(max), draw.size(max));
        let side = if draw.is() { Side::Left } else { Side::Right };
        let triangular = Triangular { side, part: draw.part(), diag: draw.diag() };
        let size = if side == Side::Left { m } else { n };
        let a = draw_triangle::<T>(draw, triangular.part, triangular.diag, size);
        let a = seen(&a, draw.is());
        let (alpha, before) = (scalar::<T>(draw), Owned::<T>::draw(draw, (m, n)));
        let element = |row, col| triangle_element((triangular.part, triangular.diag), a, row, col);
        let times = |x: Mat<'_, T>, row, col| match side {
            Side::Left => sum(0..m, |at| {
                if at == row || triangular.part.has(row, at) {
                    element(row, at) * x.get(at, col).wide()
                } else {
                    Complex::default()
                }
            }),
            Side::Right => sum(0..n, |at| {
                if at == col || triangular.part.has(at, col) {
                    x.get(row, at).wide() * element(at, col)
                } else {
                    Complex::default()
                }
            }),
        };
        let roundings = 16.0 + 4.0 * size as f64;
        for instructions in ALL_INSTRUCTIONS {
            let mut b = before.clone();
            on(instructions, |cx| trmm(cx, triangular, alpha, a, b.view())).unwrap();
            assert_close(&b, roundings, |row, col| alpha.wide() * times(before.mat(), row, col));
            let mut x = before.clone();
            on(instructions, |cx| trsm(cx, triangular, alpha, a, x.view())).unwrap();
            let mut product = before.clone();
            for col in 0..n {
                for row in 0..m {
                    let value = times(x.mat(), row, col);
                    product.view().set(row, col, T::of(value.re, value.im));
                }
            }
            assert_close(&product, roundings, |row, col| alpha.wide() * before.mat().get(row, col).wide());
            x.assert_gaps();
        }
    }
}

fn nothing_is_read_where_beta_is_zero<T: Number>() {
    let draw = &mut Draw::new(1);
    let nan = T::of(f64::NAN, f64::NAN);
    for k in [0, 5] {
        let (a, b) = (Owned::<T>::draw(draw, (30, k)), Owned::<T>::draw(draw, (k, 9)));
        let mut c = Owned::by_columns((30, 9), |_, _| nan);
        let product = Product { alpha: T::ONE, a: a.mat(), b: b.mat(), beta: T::ZERO };
        on(Instructions::X86_64V3, |cx| gemm(cx, product, c.view())).unwrap();
        assert!(c.values().iter().all(|value| value.wide().re.is_finite()));
    }
    let mut b = Owned::by_columns((40, 9), |_, _| nan);
    let a = Owned::<T>::draw(draw, (40, 40));
    let triangular = Triangular { side: Side::Left, part: Part::Lower, diag: Diag::Unit };
    on(Instructions::X86_64V3, |cx| trsm(cx, triangular, T::ZERO, a.mat(), b.view())).unwrap();
    assert!(b.values().iter().all(|value| *value == T::ZERO));
}

fn what_is_not_a_number_is_passed_on<T: Number>() {
    let draw = &mut Draw::new(2);
    let (mut a, b) = (Owned::<T>::draw(draw, (30, 300)), Owned::<T>::draw(draw, (300, 9)));
    a.view().set(17, 299, T::of(f64::NAN, 0.0));
    let mut c = Owned::<T>::draw(draw, (30, 9));
    let product = Product { alpha: T::ONE, a: a.mat(), b: b.mat(), beta: T::ONE };
    on(Instructions::X86_64V3, |cx| gemm(cx, product, c.view())).unwrap();
    for row in 0..30 {
        for col in 0..9 {
            assert_eq!(c.mat().get(row, col).wide().re.is_nan(), row == 17, "row {row}");
        }
    }
}

/// The same numbers in other memory, by rows or by columns, give the same bits; so do more columns beside them.
fn results_do_not_depend_on_where_operands_are<T: Number>() {
    for seed in 0..30 {
        let draw = &mut Draw::new(seed);
        let (m, n, k) = (1 + draw.below(90), 1 + draw.below(90), 1 + draw.below(500));
        let (a, b) = (
            Owned::<T>::by_columns((m, k), |_, _| draw.number()),
            Owned::<T>::by_columns((k, n), |_, _| draw.number()),
        );
        let mut results = Vec::new();
        for _ in 0..3 {
            let (mut a2, mut b2, mut c) =
                (Owned::draw(draw, (m, k)), Owned::draw(draw, (k, n)), Owned::draw(draw, (m, n)));
            copy(&a, &mut a2);
            copy(&b, &mut b2);
            let product = Product { alpha: T::of(0.5, 0.25), a: a2.mat(), b: b2.mat(), beta: T::ZERO };
            on(Instructions::X86_64V3, |cx| gemm(cx, product, c.view())).unwrap();
            results.push(bits(&c.values()));
            let some = n.div_ceil(2);
            let mut c = Owned::<T>::by_columns((m, some), |_, _| T::ZERO);
            let product = Product { b: b2.mat().part((0, 0), (k, some)), ..product };
            on(Instructions::X86_64V3, |cx| gemm(cx, product, c.view())).unwrap();
            assert!(results[0].starts_with(&bits(&c.values())), "fewer columns, other results");
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}");
    }
}

pub(super) fn copy<T: Number>(from: &Owned<T>, to: &mut Owned<T>) {
    for col in 0..from.size.1 {
        for row in 0..from.size.0 {
            to.view().set(row, col, from.mat().get(row, col));
        }
    }
}

for_all_numbers! {
    gemm_is_a_product => products,
    gemm_part_writes_one_part => products_of_a_part,
    symm_reads_one_part => symmetric_products,
    trmm_and_trsm_are_each_others_inverses => triangular_products_and_systems,
    beta_zero_reads_nothing => nothing_is_read_where_beta_is_zero,
    nan_goes_where_it_belongs => what_is_not_a_number_is_passed_on,
    operands_may_lie_anywhere => results_do_not_depend_on_where_operands_are,
}
