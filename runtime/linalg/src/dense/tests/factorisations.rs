//! LU, Cholesky and triangular inverses against plain loops.

use super::{
    level3::{draw_triangle, triangle_element},
    *,
};
use crate::dense::{Transpose, getrf, getrs, lauum, potrf, potrs, trtri};

/// The pivots and the factors by a plain loop over the columns, in double precision.
fn plain_pivots<T: Number>(a: &Owned<T>) -> Vec<i32> {
    let (m, n) = a.size;
    let mut rows: Vec<Vec<Complex<f64>>> =
        (0..m).map(|row| (0..n).map(|col| a.mat().get(row, col).wide()).collect()).collect();
    let mut pivots = Vec::new();
    for col in 0..m.min(n) {
        let mut pivot = col;
        for row in col..m {
            if rows[row][col].magnitude() > rows[pivot][col].magnitude() {
                pivot = row;
            }
        }
        pivots.push(pivot as i32 + 1);
        rows.swap(col, pivot);
        for row in col + 1..m {
            let factor = rows[row][col] * rows[col][col].recip();
            let pivot_row = rows[col].clone();
            for (value, other) in rows[row].iter_mut().zip(pivot_row).skip(col + 1) {
                *value -= factor * other;
            }
        }
    }
    pivots
}

fn factors_with_pivots<T: Number>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let max = if seed % 10 == 0 { 200 } else { 70 };
        let (m, n) = (draw.size(max), draw.size(max));
        let before = Owned::<T>::draw_columns(draw, (m, n));
        let mut pivots = vec![0; m.min(n)];
        let mut a = before.clone();
        let instructions = ALL_INSTRUCTIONS[draw.below(2)];
        let info = on(instructions, |cx| getrf(cx, a.view(), &mut pivots)).unwrap();
        assert_eq!(info, 0);
        assert_eq!(pivots, plain_pivots(&before), "seed {seed}");
        let mut product = before.clone();
        let factors = a.mat();
        for col in 0..n {
            for row in 0..m {
                let value = sum(0..m.min(n).min(row + 1).min(col + 1), |at| {
                    let left = triangle_element((Part::Lower, Diag::Unit), factors, row, at);
                    left * factors.get(at, col).wide()
                });
                product.view().set(row, col, T::of(value.re, value.im));
            }
        }
        for (row, pivot) in pivots.iter().enumerate().rev() {
            for col in 0..n {
                let (one, other) = (product.mat().get(row, col), product.mat().get(*pivot as usize - 1, col));
                product.view().set(row, col, other);
                product.view().set(*pivot as usize - 1, col, one);
            }
        }
        a.assert_gaps();
        assert_close(&product, 16.0 + 8.0 * n as f64, |row, col| before.mat().get(row, col).wide());
    }
}

fn systems<T: Number>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let (n, cols) = (draw.size(if seed % 10 == 0 { 200 } else { 70 }), draw.size(20));
        let mut matrix = Owned::<T>::draw_columns(draw, (n, n));
        for at in 0..n {
            // Well conditioned, and its pivots are still exchanged.
            matrix.view().set((at + 1) % n, at, T::of(n as f64, 1.0));
        }
        let (mut factors, mut pivots) = (matrix.clone(), vec![0; n]);
        on(Instructions::X86_64V3, |cx| getrf(cx, factors.view(), &mut pivots)).unwrap();
        let before = Owned::<T>::draw(draw, (n, cols));
        for transpose in [Transpose::No, Transpose::Transposed, Transpose::ConjTransposed] {
            let mut x = before.clone();
            on(Instructions::X86_64V3, |cx| getrs(cx, transpose, factors.mat(), &pivots, x.view())).unwrap();
            let a = match transpose {
                Transpose::No => matrix.mat(),
                Transpose::Transposed => matrix.mat().t(),
                Transpose::ConjTransposed => matrix.mat().h(),
            };
            assert_solves(a, &x, &before);
        }
    }
}

fn assert_solves<T: Number>(a: Mat<'_, T>, x: &Owned<T>, b: &Owned<T>) {
    let mut product = b.clone();
    for col in 0..b.size.1 {
        for row in 0..b.size.0 {
            let value = sum(0..a.cols, |at| a.get(row, at).wide() * x.mat().get(at, col).wide());
            product.view().set(row, col, T::of(value.re, value.im));
        }
    }
    x.assert_gaps();
    assert_close(&product, 64.0 + 16.0 * a.rows as f64, |row, col| b.mat().get(row, col).wide());
}

/// `g gᴴ` with more on the diagonal, in one part; the other is NaN.
fn draw_positive<T: Number>(draw: &mut Draw, part: Part, n: usize) -> Owned<T> {
    let g = Owned::<T>::draw(draw, (n, n));
    let mut a = Owned::<T>::draw(draw, (n, n));
    for col in 0..n {
        for row in 0..n {
            let value = sum(0..n, |at| g.mat().get(row, at).wide() * g.mat().get(col, at).wide().conj());
            let value = if row == col { T::of(value.re + 1.0, 0.0) } else { T::of(value.re, value.im) };
            a.view().set(row, col, if part.has(row, col) { value } else { T::of(f64::NAN, f64::NAN) });
        }
    }
    a
}

fn positive_definite<T: Number>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let (n, part) = (draw.size(if seed % 10 == 0 { 200 } else { 70 }), draw.part());
        let before = draw_positive::<T>(draw, part, n);
        let mut a = before.clone();
        let info = on(ALL_INSTRUCTIONS[draw.below(2)], |cx| potrf(cx, part, a.view())).unwrap();
        assert_eq!(info, 0);
        let factor = if part == Part::Lower { a.mat() } else { a.mat().h() };
        for col in 0..n {
            for row in col..n {
                let got = sum(0..col + 1, |at| factor.get(row, at).wide() * factor.get(col, at).wide().conj());
                let want =
                    if part == Part::Lower { before.mat().get(row, col) } else { before.mat().h().get(row, col) };
                let error = (got - want.wide()).magnitude();
                assert!(error <= (16.0 + 8.0 * n as f64) * T::EPSILON * n as f64, "({row}, {col}) is off by {error}");
            }
        }
        let b = Owned::<T>::draw(draw, (n, 3));
        let mut x = b.clone();
        on(Instructions::X86_64V3, |cx| potrs(cx, part, a.mat(), x.view())).unwrap();
        let full = Owned::<T>::by_columns((n, n), |row, col| {
            if part.has(row, col) { before.mat().get(row, col) } else { before.mat().get(col, row).conj() }
        });
        let mut product = b.clone();
        for col in 0..3 {
            for row in 0..n {
                let value = sum(0..n, |at| full.mat().get(row, at).wide() * x.mat().get(at, col).wide());
                product.view().set(row, col, T::of(value.re, value.im));
            }
        }
        assert_close(&product, (64.0 + 16.0 * n as f64) * (n as f64 + 1.0), |row, col| b.mat().get(row, col).wide());
    }
}

fn what_is_not_positive_definite<T: Number>() {
    for at in [0, 5, 31, 32, 40, 99] {
        for bad in [-1.0, 0.0, f64::NAN] {
            for part in [Part::Upper, Part::Lower] {
                let unit = |row, col| if row == col { T::ONE } else { T::ZERO };
                let mut a = Owned::<T>::by_columns((100, 100), unit);
                a.view().set(at, at, T::of(bad, 0.0));
                let info = on(Instructions::X86_64V3, |cx| potrf(cx, part, a.view())).unwrap();
                assert_eq!(info, at as i32 + 1, "{bad} at {at}");
            }
        }
    }
}

fn singular<T: Number>() {
    for at in [0, 3, 31, 40, 99] {
        let draw = &mut Draw::new(at as u64);
        let mut a = Owned::<T>::draw_columns(draw, (100, 100));
        for row in 0..100 {
            a.view().set(row, at, T::ZERO);
        }
        let mut pivots = vec![0; 100];
        let info = on(Instructions::X86_64V3, |cx| getrf(cx, a.view(), &mut pivots)).unwrap();
        assert_eq!(info, at as i32 + 1);
        let mut triangle = Owned::<T>::by_columns((100, 100), |_, _| T::ONE);
        triangle.view().set(at, at, T::ZERO);
        let info = on(Instructions::X86_64V3, |cx| trtri(cx, Part::Upper, Diag::NonUnit, triangle.view())).unwrap();
        assert_eq!(info, at as i32 + 1);
    }
}

fn inverses_and_squares<T: Number>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let (n, part, diag) = (draw.size(if seed % 10 == 0 { 200 } else { 70 }), draw.part(), draw.diag());
        let before = draw_triangle::<T>(draw, part, diag, n);
        let mut inverse = before.clone();
        let info = on(ALL_INSTRUCTIONS[draw.below(2)], |cx| trtri(cx, part, diag, inverse.view())).unwrap();
        assert_eq!(info, 0);
        let product = Owned::<T>::by_columns((n, n), |row, col| {
            let of = |a: &Owned<T>, row, col| triangle_element((part, diag), a.mat(), row, col);
            let value = sum(0..n, |at| of(&before, row, at) * of(&inverse, at, col));
            T::of(value.re, value.im)
        });
        assert_close(&product, 16.0 + 4.0 * n as f64, |row, col| Complex {
            re: f64::from(u8::from(row == col)),
            im: 0.0,
        });
        let before = draw_triangle::<T>(draw, part, Diag::NonUnit, n);
        let mut square = before.clone();
        on(Instructions::X86_64V3, |cx| lauum(cx, part, square.view())).unwrap();
        for col in 0..n {
            for row in 0..n {
                if !part.has(row, col) {
                    continue;
                }
                let of = |row, col| triangle_element((part, Diag::NonUnit), before.mat(), row, col);
                let want = match part {
                    Part::Upper => sum(0..n, |at| of(row, at) * of(col, at).conj()),
                    Part::Lower => sum(0..n, |at| of(at, row).conj() * of(at, col)),
                };
                let want = if row == col { Complex { re: want.re, im: 0.0 } } else { want };
                let error = (square.mat().get(row, col).wide() - want).magnitude();
                assert!(error <= (64.0 + 8.0 * n as f64) * T::EPSILON, "({row}, {col}) is off by {error}");
            }
        }
    }
}

for_all_numbers! {
    getrf_pivots_as_a_plain_loop_does => factors_with_pivots,
    getrs_solves => systems,
    potrf_and_potrs_solve => positive_definite,
    potrf_says_where_it_fails => what_is_not_positive_definite,
    a_zero_pivot_is_told => singular,
    trtri_inverts_and_lauum_multiplies => inverses_and_squares,
}
