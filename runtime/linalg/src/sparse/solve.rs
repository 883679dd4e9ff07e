//! Right-hand sides through factors.

#![expect(
    clippy::indexing_slicing,
    reason = "factors were checked as they were read: every index is within its bounds"
)]

use super::{
    layout::{Factors, Front, Method},
    work::Work,
};
use crate::Stop;

/// Right-hand sides that go through the factors together, so that these are read once for all.
const TOGETHER_MAX: usize = 8;

/// Which system is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A x = b.
    Plain,
    /// Aᵀ x = b.
    Transposed,
}

/// Replaces right-hand sides, columns of as many numbers as the matrix has, by solutions.
pub(super) fn solve(work: &mut Work<'_, '_>, factors: &Factors<'_>, side: Side, x: &mut [f64]) -> Result<(), Stop> {
    let size = factors.order.len();
    if size == 0 {
        return Ok(());
    }
    let longest = (0..factors.fronts.len()).filter_map(|block| factors.fronts.front(block)).map(|front| front.below);
    let together = TOGETHER_MAX.min(x.len() / size);
    let mut permuted: Vec<f64> = work.zeros(size * together)?;
    let mut gathered: Vec<f64> = work.zeros(longest.max().unwrap_or(0))?;
    for part in x.chunks_mut(size * TOGETHER_MAX) {
        work.spend(6 * part.len())?;
        let permuted = &mut permuted[..part.len()];
        for (to, from) in permuted.chunks_exact_mut(size).zip(part.chunks_exact(size)) {
            take(factors, side, from, to);
        }
        let mut sweep = Sweep { factors, side, x: permuted, gathered: &mut gathered };
        sweep.run(work)?;
        for (from, to) in permuted.chunks_exact(size).zip(part.chunks_exact_mut(size)) {
            give(factors, side, from, to);
        }
    }
    work.free(permuted);
    work.free(gathered);
    Ok(())
}

/// Scales and permutes a right-hand side.
fn take(factors: &Factors<'_>, side: Side, from: &[f64], to: &mut [f64]) {
    let scales = match side {
        Side::Plain => factors.scales[0],
        Side::Transposed => factors.scales[1],
    };
    for (to, &column) in to.iter_mut().zip(factors.order) {
        let column = column as usize;
        *to = from[column] * scales.get(column).copied().unwrap_or(1.0);
    }
}

/// Permutes and scales a solution.
fn give(factors: &Factors<'_>, side: Side, from: &[f64], to: &mut [f64]) {
    let scales = match side {
        Side::Plain => factors.scales[1],
        Side::Transposed => factors.scales[0],
    };
    for (&from, &column) in from.iter().zip(factors.order) {
        let column = column as usize;
        to[column] = from * scales.get(column).copied().unwrap_or(1.0);
    }
}

/// One front's part of the factors.
struct Block<'f> {
    first: usize,
    front: Front,
    rows: &'f [u32],
    pivots: &'f [u32],
    lower: &'f [f64],
    upper: &'f [f64],
}

impl<'f> Block<'f> {
    /// The values of block number `block` begin at `at`.
    fn of(factors: &Factors<'f>, block: usize, at: usize) -> Result<Self, Stop> {
        let front = factors.fronts.front(block).ok_or(Stop::Declined)?;
        let len = front.values(factors.method).ok_or(Stop::Declined)?;
        let (lower, upper) = factors.values[at..at + len].split_at(front.rows() * front.columns);
        let first = factors.fronts.firsts[block] as usize;
        let from = factors.fronts.row_starts[block] as usize;
        let rows = &factors.rows[from..from + front.below];
        let pivots = factors.pivots.get(first..first + front.columns).unwrap_or(&[]);
        Ok(Self { first, front, rows, pivots, lower, upper })
    }

    fn len(&self) -> usize {
        self.lower.len() + self.upper.len()
    }

    /// Column `at` of L from the diagonal on: the front's own rows, and those below.
    fn lower(&self, at: usize) -> (&'f [f64], &'f [f64]) {
        let height = self.front.rows();
        self.lower[at * height + at..(at + 1) * height].split_at(self.front.columns - at)
    }

    /// Column `at` of U to the diagonal.
    fn upper(&self, at: usize) -> &'f [f64] {
        let height = self.front.rows();
        &self.lower[at * height..=at * height + at]
    }

    /// What couples the front's own column, or row of U, to the rows below.
    fn beyond(&self, at: usize, is_upper: bool) -> &'f [f64] {
        let below = self.front.below;
        if is_upper { &self.upper[at * below..(at + 1) * below] } else { self.lower(at).1 }
    }
}

/// Right-hand sides in the order of elimination, and room for those of a front's rows below.
struct Sweep<'s> {
    factors: &'s Factors<'s>,
    side: Side,
    x: &'s mut [f64],
    gathered: &'s mut [f64],
}

impl Sweep<'_> {
    fn run(&mut self, work: &mut Work<'_, '_>) -> Result<(), Stop> {
        let size = self.factors.order.len();
        let columns = self.x.len() / size;
        let mut at = 0;
        for block in 0..self.factors.fronts.len() {
            let block = Block::of(self.factors, block, at)?;
            at += block.len();
            work.spend(2 * columns * block.len())?;
            for x in self.x.chunks_exact_mut(size) {
                forward(self.factors.method, self.side, &block, (x, self.gathered));
            }
        }
        for block in (0..self.factors.fronts.len()).rev() {
            let front = self.factors.fronts.front(block).ok_or(Stop::Declined)?;
            at -= front.values(self.factors.method).ok_or(Stop::Declined)?;
            let block = Block::of(self.factors, block, at)?;
            work.spend(2 * columns * block.len())?;
            for x in self.x.chunks_exact_mut(size) {
                backward(self.factors.method, self.side, &block, (x, self.gathered));
            }
        }
        Ok(())
    }
}

/// The triangular system that comes first: L, or for the transpose Uᵀ.
fn forward(method: Method, side: Side, block: &Block<'_>, (x, gathered): (&mut [f64], &mut [f64])) {
    let Front { columns, below } = block.front;
    let is_of_upper = method == Method::Lu && side == Side::Transposed;
    let own = &mut x[block.first..block.first + columns];
    if method == Method::Lu && side == Side::Plain {
        for (at, &pivot) in block.pivots.iter().enumerate() {
            own.swap(at, pivot as usize);
        }
    }
    for at in 0..columns {
        if is_of_upper {
            let column = block.upper(at);
            own[at] = (own[at] - dot(&column[..at], &own[..at])) / column[at];
        } else {
            let column = block.lower(at).0;
            if method == Method::Cholesky {
                own[at] /= column[0];
            }
            let value = own[at];
            subtract(&mut own[at + 1..], value, &column[1..]);
        }
    }
    if below > 0 {
        let gathered = &mut gathered[..below];
        gathered.fill(0.0);
        for at in 0..columns {
            let value = x[block.first + at];
            subtract(gathered, value, block.beyond(at, is_of_upper));
        }
        for (&row, value) in block.rows.iter().zip(gathered) {
            x[row as usize] += *value;
        }
    }
}

/// The triangular system that comes second: U or Lᵀ.
fn backward(method: Method, side: Side, block: &Block<'_>, (x, gathered): (&mut [f64], &mut [f64])) {
    let Front { columns, below } = block.front;
    let is_of_upper = method == Method::Lu && side == Side::Plain;
    let gathered = &mut gathered[..below];
    for (value, &row) in gathered.iter_mut().zip(block.rows) {
        *value = x[row as usize];
    }
    let own = &mut x[block.first..block.first + columns];
    for at in (0..columns).rev() {
        if is_of_upper {
            own[at] -= dot(block.beyond(at, true), gathered);
            continue;
        }
        let (column, beyond) = block.lower(at);
        let value = own[at] - dot(&column[1..], &own[at + 1..]) - dot(beyond, gathered);
        own[at] = if method == Method::Cholesky { value / column[0] } else { value };
    }
    if is_of_upper {
        for at in (0..columns).rev() {
            let column = block.upper(at);
            own[at] /= column[at];
            let value = own[at];
            subtract(&mut own[..at], value, &column[..at]);
        }
    } else {
        for (at, &pivot) in block.pivots.iter().enumerate().rev() {
            own.swap(at, pivot as usize);
        }
    }
}

fn subtract(sum: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum -= factor * value;
    }
}

/// The sum of products, in four lanes that are added up at the end.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_lanes, a_rest) = a.as_chunks::<4>();
    let (b_lanes, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}
