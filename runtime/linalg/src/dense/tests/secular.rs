//! Roots of secular equations: eigenvectors that are made of them are orthogonal, and give the matrix again.

use super::*;
use crate::{
    Stop,
    dense::{Secular, nrm2, secular_root},
};

/// Poles and weights of some kind, such as deflation leaves: neither too near to each other nor too small.
fn draw_equation<T: Number<Real = T> + PartialOrd>(
    draw: &mut Draw,
    n: usize,
    kind: usize,
) -> (Owned<T>, Owned<T>, f64) {
    let least = 16.0 * n as f64 * T::EPSILON;
    let mut pole = draw.real();
    let mut poles = Vec::new();
    for _ in 0..n {
        let gap = match kind {
            0 => 0.5 + draw.real().abs(),
            // Clusters.
            1 if draw.below(4) > 0 => least * (1.0 + 9.0 * draw.real().abs()),
            1 => 1.0,
            // From gaps at the limit to gaps of 1.
            _ => least.powf(draw.real().abs()),
        };
        // Ascending in the precision in which they are kept.
        pole = T::of(pole + gap, 0.0).wide().re;
        poles.push(pole);
    }
    let weights: Vec<f64> = (0..n)
        .map(|_| match kind {
            0 => draw.real().signum() * (0.1 + draw.real().abs()),
            _ => draw.real().signum() * least.powf(draw.real().abs()),
        })
        .collect();
    let length = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    let vector = |values: &[f64], scale: f64| Owned::by_columns((n, 1), |row, _| T::of(values[row] / scale, 0.0));
    (vector(&poles, 1.0), vector(&weights, length), 0.2 + 3.0 * draw.real().abs())
}

/// What orthogonality asks of the differences from all poles, a column for each root.
fn check<T: Number<Real = T> + PartialOrd>(differences: &[Vec<f64>], poles: &Owned<T>, z: &Owned<T>, rho: f64) {
    let n = poles.size.0;
    let of = |vector: &Owned<T>, row: usize| vector.mat().get(row, 0).wide().re;
    let tolerance = 20.0 * n as f64 * T::EPSILON;
    // The weights that have exactly these roots (K. Löwner).
    let weights: Vec<f64> = (0..n)
        .map(|row| {
            let others = (0..n).filter(|other| *other != row);
            let ratio = |other: usize| differences[other][row] / (of(poles, row) - of(poles, other));
            let square = others.map(ratio).product::<f64>() * -differences[row][row] / rho;
            square.sqrt().copysign(of(z, row))
        })
        .collect();
    for (row, weight) in weights.iter().enumerate() {
        let error = (weight - of(z, row)).abs();
        assert!(error <= tolerance, "weight {row} of {n}: {weight}, not {}", of(z, row));
    }
    let vectors: Vec<Vec<f64>> = differences
        .iter()
        .map(|differences| {
            let vector: Vec<f64> = weights.iter().zip(differences).map(|(weight, by)| weight / by).collect();
            let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
            vector.into_iter().map(|value| value / length).collect()
        })
        .collect();
    for (first, second) in (0..n).flat_map(|first| (0..first).map(move |second| (first, second))) {
        let product: f64 = vectors[first].iter().zip(&vectors[second]).map(|(a, b)| a * b).sum();
        assert!(product.abs() <= tolerance, "vectors {first} and {second} of {n}: {product}");
    }
}

fn roots<T: Number<Real = T> + PartialOrd>() {
    for (seed, instructions) in (0..90).flat_map(|seed| ALL_INSTRUCTIONS.map(|set| (seed, set))) {
        let draw = &mut Draw::new(seed);
        let n = [3, 4, 9, 31, 64, 130][seed as usize % 6];
        let (poles, z, rho) = draw_equation::<T>(draw, n, seed as usize / 6 % 3);
        let rho_rounded = T::of(rho, 0.0);
        let mut differences = Vec::new();
        for index in 0..n {
            let mut to = Owned::<T>::by_columns((n, 1), |_, _| T::of(f64::NAN, 0.0));
            let equation = Secular { poles: poles.mat(), z: z.mat(), rho: rho_rounded };
            let root = on(instructions, |cx| secular_root(cx, equation, index, to.view()));
            let root = root.unwrap_or_else(|stop| panic!("root {index} of {n}, seed {seed}: {stop}")).wide().re;
            let found: Vec<f64> = to.values().iter().map(|value| value.wide().re).collect();
            assert!(found[index] < 0.0 && found.get(index + 1).is_none_or(|next| *next > 0.0), "{index} of {n}");
            let from_pole = poles.mat().get(index, 0).wide().re - root;
            assert!((from_pole - found[index]).abs() <= 4.0 * T::EPSILON * (root.abs() + found[index].abs()));
            differences.push(found);
        }
        check(&differences, &poles, &z, rho_rounded.wide().re);
    }
}

#[test]
fn roots_make_orthogonal_vectors() {
    roots::<f64>();
    roots::<f32>();
}

#[test]
fn what_is_no_secular_equation_is_declined_and_writes_nothing() {
    let spoilt = |at: usize, pole: f64, weight: f64, rho: f64| {
        let n = 40;
        let poles = Owned::<f64>::by_columns((n, 1), |row, _| if row == at { pole } else { row as f64 });
        let z = Owned::<f64>::by_columns((n, 1), |row, _| if row == at { weight } else { 0.1 });
        for index in [0, at, n - 1] {
            let mut to = Owned::<f64>::by_columns((n, 1), |_, _| 7.0);
            let equation = Secular { poles: poles.mat(), z: z.mat(), rho };
            let found = on(Instructions::default(), |cx| secular_root(cx, equation, index, to.view()));
            if found == Err(Stop::Declined) {
                assert!(to.values().iter().all(|value| *value == 7.0));
            }
            let has_sums = ![pole, weight, rho].iter().any(|value| value.is_nan()) && weight.abs() < 1e150;
            assert!(has_sums || found == Err(Stop::Declined), "{pole} {weight} {rho}: {found:?}");
        }
    };
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200, 0.0, -1.0] {
        spoilt(5, odd, 0.1, 1.0);
        spoilt(5, 5.0, odd, 1.0);
        spoilt(5, 5.0, 0.1, odd);
    }
}

fn norms<T: Number<Real: Number>>() {
    for seed in 0..60 {
        let draw = &mut Draw::new(seed);
        let n = 1 + draw.size(300);
        let x = Owned::<T>::draw(draw, (n, 1));
        let square: f64 = x.values().iter().map(|value| value.wide().re.powi(2) + value.wide().im.powi(2)).sum();
        for instructions in ALL_INSTRUCTIONS {
            let norm = on(instructions, |cx| nrm2(cx, x.mat())).unwrap().wide().re;
            assert!((norm - square.sqrt()).abs() <= 8.0 * T::EPSILON * norm, "{norm} {square}");
        }
    }
}

for_all_numbers! {
    nrm2_is_the_root_of_the_sum_of_squares => norms,
}

#[test]
fn a_norm_whose_squares_overflow_or_vanish_is_declined() {
    for value in [0.0, 1e-160, 1e160, f64::NAN, f64::INFINITY] {
        let x = Owned::<f64>::by_columns((50, 1), |_, _| value);
        assert_eq!(on(Instructions::default(), |cx| nrm2(cx, x.mat())), Err(Stop::Declined), "{value}");
    }
}
