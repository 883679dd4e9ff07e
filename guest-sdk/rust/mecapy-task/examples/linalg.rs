//! A task that calls every function of `mecapy_task::linalg` on systems whose solutions are known, for the platform's tests.

use mecapy_task::{
    Ports, Result, ensure_input,
    linalg::{self, Failure, Matrix, Sparse},
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Ports)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The matrices' order.
    n: u32,
}

/// The largest error of each answer.
#[derive(Serialize, Ports)]
struct Output {
    product: f64,
    general: f64,
    positive_definite: f64,
    singular: usize,
    indefinite: usize,
    /// `null` where there are no kernels.
    sparse: Option<f64>,
}

/// Solves systems whose solution is 1, 2, 3, …
#[mecapy_task::main]
fn systems(input: Input) -> Result<Output> {
    ensure_input!((1..=1000).contains(&input.n), "/n", "must be from 1 to 1000");
    let n = input.n as usize;
    let entry = |row: usize, col: usize| ((row * 37 + col * 101) % 97) as f64 / 97.0 - 0.5;
    let diagonal = |row: usize, col: usize| if row == col { n as f64 } else { 0.0 };
    let mut a: Vec<f64> =
        (0..n * n).map(|at| (at % n, at / n)).map(|(row, col)| entry(row, col) + diagonal(row, col)).collect();
    let matrix = Matrix::new(&a, n, n)?;
    let mut square = vec![0.0; n * n];
    linalg::multiply(1.0, matrix, matrix.t(), 0.0, &mut square)?;
    let dot = |row: usize, other: usize| -> f64 {
        let of_row = |row: usize| a.iter().skip(row).step_by(n);
        of_row(row).zip(of_row(other)).map(|(x, y)| x * y).sum()
    };
    let product = square.iter().enumerate().map(|(at, value)| (value - dot(at % n, at / n)).abs()).fold(0.0, f64::max);
    let (mut b, mut c) = (right_hand_side(&a, n), right_hand_side(&square, n));
    linalg::solve(&mut a, &mut b)?;
    linalg::solve_positive_definite(&mut square, &mut c)?;
    Ok(Output {
        product,
        general: error(&b),
        positive_definite: error(&c),
        singular: match linalg::solve(&mut [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], &mut [1.0, 2.0, 3.0]) {
            Err(Failure::Singular { pivot }) => pivot,
            _ => 0,
        },
        indefinite: match linalg::solve_positive_definite(&mut [1.0, 0.0, 0.0, -1.0], &mut [1.0, 2.0]) {
            Err(Failure::NotPositiveDefinite { order }) => order,
            _ => 0,
        },
        sparse: chain(input.n)?,
    })
}

/// The chain of springs: 2 on the diagonal and -1 beside it.
fn chain(n: u32) -> Result<Option<f64>> {
    let mut entries: Vec<(u32, u32, f64)> = (0..n).map(|row| (row, row, 2.0)).collect();
    entries.extend((1..n).flat_map(|row| [(row, row - 1, -1.0), (row - 1, row, -1.0)]));
    let mut b = vec![0.0; n as usize];
    for &(row, col, value) in &entries {
        if let Some(b) = b.get_mut(row as usize) {
            *b += value * f64::from(col + 1);
        }
    }
    match linalg::solve_sparse(&Sparse::from_entries(n as usize, entries)?, &b) {
        Ok(x) => Ok(Some(error(&x))),
        Err(Failure::NotAvailable) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

fn right_hand_side(a: &[f64], n: usize) -> Vec<f64> {
    let mut b = vec![0.0; n];
    for (col, column) in a.chunks_exact(n).enumerate() {
        for (b, value) in b.iter_mut().zip(column) {
            *b += value * (col + 1) as f64;
        }
    }
    b
}

fn error(x: &[f64]) -> f64 {
    x.iter().enumerate().map(|(row, x)| (x - (row + 1) as f64).abs()).fold(0.0, f64::max)
}
