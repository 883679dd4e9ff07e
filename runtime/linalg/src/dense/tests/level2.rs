//! Matrices and vectors against plain loops.

use super::{
    level3::{draw_triangle, mirrored, triangle_element},
    *,
};
use crate::dense::{Product, Rank2, gemv, ger, symv, syr, syr2, trmv, trsv};

fn size(draw: &mut Draw, seed: u64) -> usize {
    if seed.is_multiple_of(20) { 900 + draw.below(400) } else { draw.size(90) }
}

fn vector<T: Number>(draw: &mut Draw, len: usize) -> Owned<T> {
    Owned::draw(draw, (len, 1))
}

fn products_with_a_vector<T: Number>() {
    for seed in 0..100 {
        let draw = &mut Draw::new(seed);
        let (m, n) = (size(draw, seed), size(draw, seed + 7));
        let a = Owned::<T>::draw(draw, (m, n));
        let a = if draw.is() { a.mat().conj() } else { a.mat() };
        let (x, before) = (vector::<T>(draw, n), vector::<T>(draw, m));
        let beta = if draw.is() { T::ZERO } else { draw.number() };
        let alpha = draw.number();
        for instructions in ALL_INSTRUCTIONS {
            let mut y = before.clone();
            on(instructions, |cx| gemv(cx, Product { alpha, a, b: x.mat(), beta }, y.view())).unwrap();
            assert_close(&y, 8.0 + 2.0 * n as f64, |row, _| {
                let product = sum(0..n, |at| a.get(row, at).wide() * x.mat().get(at, 0).wide());
                alpha.wide() * product + beta.wide() * before.mat().get(row, 0).wide()
            });
        }
    }
}

fn symmetric_products_with_a_vector<T: Number>() {
    for seed in 0..100 {
        let draw = &mut Draw::new(seed);
        let (n, part, symmetry) = (size(draw, seed + 1), draw.part(), draw.symmetry());
        let (a, x, before) = (Owned::<T>::draw(draw, (n, n)), vector::<T>(draw, n), vector::<T>(draw, n));
        let (alpha, beta) = (draw.number(), if draw.is() { T::ZERO } else { draw.number() });
        for instructions in ALL_INSTRUCTIONS {
            let mut y = before.clone();
            let product = Product { alpha, a: a.mat(), b: x.mat(), beta };
            on(instructions, |cx| symv(cx, part, symmetry, product, y.view())).unwrap();
            assert_close(&y, 8.0 + 2.0 * n as f64, |row, _| {
                let product = sum(0..n, |at| mirrored((part, symmetry), a.mat(), row, at) * x.mat().get(at, 0).wide());
                alpha.wide() * product + beta.wide() * before.mat().get(row, 0).wide()
            });
        }
    }
}

fn updates<T: Number>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let (m, n) = (size(draw, seed + 3), draw.size(60));
        let (x, y, before) = (vector::<T>(draw, m), vector::<T>(draw, n), Owned::<T>::draw(draw, (m, n)));
        let y = if draw.is() { y.mat().conj() } else { y.mat() };
        let (alpha, mut a) = (draw.number(), before.clone());
        on(Instructions::X86_64V3, |cx| ger(cx, alpha, x.mat(), y, a.view())).unwrap();
        assert_close(&a, 8.0, |row, col| {
            before.mat().get(row, col).wide() + alpha.wide() * x.mat().get(row, 0).wide() * y.get(col, 0).wide()
        });
    }
}

fn symmetric_updates<T: Number>() {
    for seed in 0..80 {
        let draw = &mut Draw::new(seed);
        let (n, part, symmetry) = (draw.size(90), draw.part(), draw.symmetry());
        let (x, y, before) = (vector::<T>(draw, n), vector::<T>(draw, n), Owned::<T>::draw(draw, (n, n)));
        let alpha: T = draw.number();
        let conj = |value: Complex<f64>| if symmetry == Symmetry::Hermitian { value.conj() } else { value };
        let want = |row: usize, col: usize, change: Complex<f64>| {
            let before = before.mat().get(row, col).wide();
            if !part.has(row, col) {
                return before;
            }
            let mut value = before + change;
            if row == col && symmetry == Symmetry::Hermitian {
                value.im = 0.0;
            }
            value
        };
        let of = |vector: &Owned<T>, at: usize| vector.mat().get(at, 0).wide();
        let mut a = before.clone();
        let rank2 = Rank2 { alpha, x: x.mat(), y: y.mat() };
        on(Instructions::X86_64V3, |cx| syr2(cx, part, symmetry, rank2, a.view())).unwrap();
        assert_close(&a, 12.0, |row, col| {
            let change =
                alpha.wide() * of(&x, row) * conj(of(&y, col)) + conj(alpha.wide()) * of(&y, row) * conj(of(&x, col));
            want(row, col, change)
        });
        let mut a = before.clone();
        on(Instructions::X86_64V3, |cx| syr(cx, part, symmetry, (alpha, x.mat()), a.view())).unwrap();
        let alpha = if symmetry == Symmetry::Hermitian { T::from_real(alpha.real()) } else { alpha };
        assert_close(&a, 12.0, |row, col| want(row, col, alpha.wide() * of(&x, row) * conj(of(&x, col))));
    }
}

fn triangles_and_a_vector<T: Number>() {
    for seed in 0..100 {
        let draw = &mut Draw::new(seed);
        let (n, part, diag) = (draw.size(150), draw.part(), draw.diag());
        let a = draw_triangle::<T>(draw, part, diag, n);
        let a = if draw.is() { a.mat().conj() } else { a.mat() };
        let before = vector::<T>(draw, n);
        let times = |x: Mat<'_, T>, row: usize| {
            sum(0..n, |at| {
                let is_inside = at == row || part.has(row, at);
                if is_inside {
                    triangle_element((part, diag), a, row, at) * x.get(at, 0).wide()
                } else {
                    Complex::default()
                }
            })
        };
        for instructions in ALL_INSTRUCTIONS {
            let mut x = before.clone();
            on(instructions, |cx| trmv(cx, part, diag, a, x.view())).unwrap();
            assert_close(&x, 16.0 + 4.0 * n as f64, |row, _| times(before.mat(), row));
            let mut x = before.clone();
            on(instructions, |cx| trsv(cx, part, diag, a, x.view())).unwrap();
            let mut product = before.clone();
            for row in 0..n {
                let value = times(x.mat(), row);
                product.view().set(row, 0, T::of(value.re, value.im));
            }
            assert_close(&product, 16.0 + 4.0 * n as f64, |row, _| before.mat().get(row, 0).wide());
        }
    }
}

for_all_numbers! {
    gemv_is_a_product => products_with_a_vector,
    symv_reads_one_part => symmetric_products_with_a_vector,
    ger_updates_all => updates,
    syr_and_syr2_update_one_part => symmetric_updates,
    trmv_and_trsv_are_each_others_inverses => triangles_and_a_vector,
}
