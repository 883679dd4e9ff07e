//! Factorisations and what uses them, through a memory image.

use super::{
    image::{Image, Kind, Operand, Output},
    reference::{C64, Matrix, Noise, c64, is_in},
};
use crate::Scalar;

/// P L U, of the factors in one matrix and the exchanges of rows.
fn product_of_factors(factors: &Matrix, pivots: &[i32]) -> Matrix {
    let (rows, cols, inner) = (factors.rows, factors.cols, factors.rows.min(factors.cols));
    let part = |rows, cols, element: &dyn Fn(usize, usize) -> C64| Matrix::new(rows, cols, element);
    let lower = part(rows, inner, &|row, col| match row.cmp(&col) {
        std::cmp::Ordering::Less => C64::ZERO,
        std::cmp::Ordering::Equal => C64::ONE,
        std::cmp::Ordering::Greater => factors.get(row, col),
    });
    let upper = part(inner, cols, &|row, col| if row <= col { factors.get(row, col) } else { C64::ZERO });
    let mut order: Vec<usize> = (0..rows).collect();
    for (index, pivot) in pivots.iter().enumerate().rev() {
        order.swap(index, *pivot as usize - 1);
    }
    let product = lower.times(&upper);
    Matrix::new(rows, cols, |row, col| product.get(order[row], col))
}

fn info_of(image: &Image, info: &Operand) -> i32 {
    image.read_integers(info)[0]
}

#[test]
fn getrf_factorises_with_exchanges_of_rows() {
    let mut noise = Noise::new(21);
    for (kind, (m, n)) in
        Kind::ALL.into_iter().flat_map(|kind| [(1, 1), (12, 12), (9, 14), (40, 7), (37, 37)].map(|size| (kind, size)))
    {
        let a = noise.matrix(kind, m, n);
        let mut image = Image::new(kind, "getrf_");
        image.sizes([m, n]);
        let factors = image.matrix(&a, 2);
        let pivots = image.integers(&vec![-1; m.min(n)]);
        let info = image.integers(&[-7]);
        image.run_writing(&[factors.into(), pivots.into(), info.into()]);
        assert_eq!(info_of(&image, &info), 0);
        let product = product_of_factors(&image.read(&factors), &image.read_integers(&pivots));
        product.assert_close(&a, kind, &format!("getrf {m} {n}"));
    }
}

#[test]
fn getrf_tells_of_the_first_zero_pivot_and_goes_on() {
    for kind in Kind::ALL {
        let mut noise = Noise::new(22);
        let n = 10;
        // The fourth column is none: every factorisation has its zero there.
        let a = noise.matrix(kind, n, n).map(|_, col, value| if col == 3 { C64::ZERO } else { value });
        let mut image = Image::new(kind, "getrf_");
        image.sizes([n, n]);
        let factors = image.matrix(&a, 0);
        let pivots = image.integers(&vec![0; n]);
        let info = image.integers(&[0]);
        image.run_writing(&[factors.into(), pivots.into(), info.into()]);
        assert_eq!(info_of(&image, &info), 4);
        let product = product_of_factors(&image.read(&factors), &image.read_integers(&pivots));
        product.assert_close(&a, kind, "a singular matrix");
    }
}

#[test]
fn getrs_solves_by_the_factors_and_their_transposes() {
    let mut noise = Noise::new(23);
    for (kind, op) in Kind::ALL.into_iter().flat_map(|kind| ['N', 't', 'C'].map(|op| (kind, op))) {
        let (n, columns) = (12, 5);
        let (factors, b) = (noise.square(kind, n), noise.matrix(kind, n, columns));
        let pivots: Vec<i32> = (0..n as i32).map(|index| (index * 5 % n as i32).max(index) + 1).collect();
        let a = product_of_factors(&factors, &pivots);
        let mut image = Image::new(kind, "getrs_");
        image.flags(&op.to_string());
        image.sizes([n, columns]);
        image.matrix(&factors, 1);
        image.integers(&pivots);
        let x = image.matrix(&b, 2);
        let info = image.integers(&[-7]);
        image.run_writing(&[x.into(), info.into()]);
        assert_eq!(info_of(&image, &info), 0);
        a.op(op).times(&image.read(&x)).assert_close(&b, kind, &format!("getrs {op}"));
    }
}

#[test]
fn gesv_solves_and_leaves_the_factors() {
    let mut noise = Noise::new(24);
    for (kind, columns) in Kind::ALL.into_iter().flat_map(|kind| [1, 3, 30].map(|columns| (kind, columns))) {
        let n = 14;
        let (a, b) = (noise.square(kind, n), noise.matrix(kind, n, columns));
        let mut image = Image::new(kind, "gesv_");
        image.sizes([n, columns]);
        let factors = image.matrix(&a, 1);
        let pivots = image.integers(&vec![0; n]);
        let x = image.matrix(&b, 2);
        let info = image.integers(&[-7]);
        image.run_writing(&[factors.into(), pivots.into(), x.into(), info.into()]);
        assert_eq!(info_of(&image, &info), 0);
        a.times(&image.read(&x)).assert_close(&b, kind, "gesv");
        product_of_factors(&image.read(&factors), &image.read_integers(&pivots)).assert_close(
            &a,
            kind,
            "gesv's factors",
        );
    }
}

#[test]
fn gesv_of_a_singular_matrix_leaves_the_right_hand_sides_alone() {
    for kind in Kind::ALL {
        let mut noise = Noise::new(25);
        let n = 8;
        let a = noise.matrix(kind, n, n).map(|_, col, value| if col == 0 { C64::ZERO } else { value });
        let mut image = Image::new(kind, "gesv_");
        image.sizes([n, 2]);
        let factors = image.matrix(&a, 0);
        let pivots = image.integers(&vec![0; n]);
        image.matrix(&noise.matrix(kind, n, 2), 0);
        let info = image.integers(&[0]);
        image.run_writing(&[factors.into(), pivots.into(), info.into()]);
        assert_eq!(info_of(&image, &info), 1);
    }
}

/// A Hermitian positive definite matrix, and what a guest may have in its place: the other part is none of the function's
/// business, and the diagonal's imaginary parts count as zeros.
fn positive_definite(noise: &mut Noise, kind: Kind, (n, part): (usize, char)) -> (Matrix, Matrix) {
    let factor = noise.square(kind, n).triangle('L', 'N');
    let whole = factor.times(&factor.op('C'));
    let im = if kind.is_complex() { 3.0 } else { 0.0 };
    let given = whole.guarded(part, 'N').map(|row, col, value| if row == col { c64(value.re, im) } else { value });
    (whole, given)
}

/// Of a factor's part: A as `potrf` took it.
fn product_of_factor(factor: &Matrix, part: char) -> Matrix {
    let factor = factor.triangle(part, 'N');
    if part == 'L' { factor.times(&factor.op('C')) } else { factor.op('C').times(&factor) }
}

#[test]
fn potrf_factorises_one_triangle_and_leaves_the_other() {
    let mut noise = Noise::new(26);
    for ((kind, part), n) in Kind::ALL
        .into_iter()
        .flat_map(|kind| ['U', 'L'].map(|part| (kind, part)))
        .flat_map(|case| [1, 10, 41].map(|n| (case, n)))
    {
        let (a, given) = positive_definite(&mut noise, kind, (n, part));
        let mut image = Image::new(kind, "potrf_");
        image.flags(&part.to_string());
        image.size(n as i32);
        let factor = image.matrix(&given, 2);
        let info = image.integers(&[-7]);
        image.run_writing(&[Output { operand: factor, has: is_in(part) }, info.into()]);
        assert_eq!(info_of(&image, &info), 0);
        product_of_factor(&image.read(&factor), part).assert_close(&a, kind, &format!("potrf {part} {n}"));
    }
}

#[test]
fn potrf_tells_of_the_first_minor_that_is_not_positive() {
    let mut noise = Noise::new(27);
    for (kind, part) in Kind::ALL.into_iter().flat_map(|kind| ['U', 'L'].map(|part| (kind, part))) {
        let n = 12;
        let (_, given) = positive_definite(&mut noise, kind, (n, part));
        let given = given.map(|row, col, value| if (row, col) == (6, 6) { c64(-1.0, 0.0) } else { value });
        let mut image = Image::new(kind, "potrf_");
        image.flags(&part.to_string());
        image.size(n as i32);
        let factor = image.matrix(&given, 0);
        let info = image.integers(&[0]);
        image.run_writing(&[Output { operand: factor, has: is_in(part) }, info.into()]);
        assert_eq!(info_of(&image, &info), 7, "{kind:?} {part}");
    }
}

#[test]
fn potrs_solves_by_the_factor() {
    let mut noise = Noise::new(28);
    for (kind, part) in Kind::ALL.into_iter().flat_map(|kind| ['U', 'L'].map(|part| (kind, part))) {
        let (n, columns) = (13, 4);
        let (factor, b) = (noise.square(kind, n), noise.matrix(kind, n, columns));
        let mut image = Image::new(kind, "potrs_");
        image.flags(&part.to_string());
        image.sizes([n, columns]);
        image.matrix(&factor.guarded(part, 'N'), 1);
        let x = image.matrix(&b, 2);
        let info = image.integers(&[-7]);
        image.run_writing(&[x.into(), info.into()]);
        assert_eq!(info_of(&image, &info), 0);
        product_of_factor(&factor, part).times(&image.read(&x)).assert_close(&b, kind, &format!("potrs {part}"));
    }
}

#[test]
fn trtri_inverts_one_triangle() {
    let mut noise = Noise::new(29);
    let flags = ['U', 'L'].into_iter().flat_map(|part| ['N', 'U'].map(|diag| (part, diag)));
    for (kind, (part, diag)) in flags.flat_map(|flags| Kind::ALL.map(|kind| (kind, flags))) {
        let n = 15;
        let a = noise.square(kind, n);
        let mut image = Image::new(kind, "trtri_");
        image.flags(&format!("{part}{diag}"));
        image.size(n as i32);
        let inverse = image.matrix(&a.guarded(part, diag), 2);
        let info = image.integers(&[-7]);
        let has = match (part, diag) {
            ('U', 'U') => |row, col| row < col,
            ('L', 'U') => |row, col| row > col,
            _ => is_in(part),
        };
        image.run_writing(&[Output { operand: inverse, has }, info.into()]);
        assert_eq!(info_of(&image, &info), 0);
        let product = a.triangle(part, diag).times(&image.read(&inverse).triangle(part, diag));
        product.assert_close(&Matrix::identity(n), kind, &format!("trtri {part} {diag}"));
    }
}

#[test]
fn trtri_of_a_zero_on_the_diagonal_changes_nothing() {
    for kind in Kind::ALL {
        let a =
            Noise::new(30).square(kind, 9).map(|row, col, value| if (row, col) == (5, 5) { C64::ZERO } else { value });
        let mut image = Image::new(kind, "trtri_");
        image.flags("UN");
        image.size(9);
        image.matrix(&a, 0);
        let info = image.integers(&[0]);
        image.run_writing(&[info.into()]);
        assert_eq!(info_of(&image, &info), 6);
    }
}

#[test]
fn lauum_multiplies_a_triangle_by_its_adjoint() {
    let mut noise = Noise::new(31);
    for (kind, part) in Kind::ALL.into_iter().flat_map(|kind| ['U', 'L'].map(|part| (kind, part))) {
        let n = 14;
        // A factor's diagonal is real.
        let a = noise.square(kind, n);
        let factor = a.triangle(part, 'N');
        let expected = if part == 'U' { factor.times(&factor.op('C')) } else { factor.op('C').times(&factor) };
        let mut image = Image::new(kind, "lauum_");
        image.flags(&part.to_string());
        image.size(n as i32);
        let product = image.matrix(&a.guarded(part, 'N'), 2);
        let info = image.integers(&[-7]);
        image.run_writing(&[Output { operand: product, has: is_in(part) }, info.into()]);
        assert_eq!(info_of(&image, &info), 0);
        image.read(&product).assert_close_in(&expected, kind, (is_in(part), &format!("lauum {part}")));
    }
}
