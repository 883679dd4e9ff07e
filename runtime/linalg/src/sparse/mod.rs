//! Sparse linear systems: a guest names arrays in its memory, and the host factors and solves.
//!
//! A square matrix of doubles whose pattern is not far from symmetric is ordered by approximate minimum degree and factored
//! by the multifrontal method: by Cholesky's where it is symmetric and positive definite, else by LU with pivots from each
//! front's own columns. Solutions are refined, and their backward error is checked. Whatever doesn't come out as well as
//! that is declined: the guest's own solver then does it, with its own errors and warnings.
//!
//! Nothing is kept between two requests: factors live in an array of the guest's, and are checked like anything of its.

mod blocks;
mod graph;
mod layout;
mod matrix;
mod numeric;
mod order;
mod plan;
mod refine;
mod request;
mod solve;
mod structure;
mod tree;
mod work;

#[cfg(test)]
mod tests;

use crate::{Context, Stop};
use layout::{Factors, Method};
use matrix::Columns;
use plan::Analysis;
use refine::System;
use request::{Area, MatrixAt, Operation, Readable, Sides};
use solve::{Side, solve};
use work::{Plain, Work, numbers_mut};

/// The answers' first byte: done, and what the answer is to `factor` where its method can't.
const DONE: u8 = b'+';
const OTHER_METHOD: u8 = b'!';

/// Serves one request on a guest's memory. Declined, it has changed nothing there, but for the array that factors were to
/// go to.
pub fn serve(cx: &mut Context<'_>, memory: &mut [u8], request: &[u8]) -> Result<Vec<u8>, Stop> {
    let work = &mut Work::new(cx);
    match Operation::parse(request).ok_or(Stop::Declined)? {
        Operation::Solve { matrix, sides } => {
            matrix.is_apart(sides.solution, &[sides.given])?;
            let x = {
                let memory = Readable::whole(memory);
                sides.solution.numbers::<f64>(memory)?;
                let columns = matrix.columns(work, memory)?;
                solve_at_once(work, columns, &sides, sides.given.numbers(memory)?)?
            };
            write(work, memory, sides.solution, &x)?;
            Ok(vec![DONE])
        }
        Operation::Analyse { matrix, order } => analyse(work, memory, (matrix, order)),
        Operation::Factor { matrix, order, method, factors } => {
            let method = Method::from_code(method).ok_or(Stop::Declined)?;
            factor(work, memory, (matrix, order), (method, factors))
        }
        Operation::SolveWith { matrix, factors, sides } => {
            matrix.is_apart(sides.solution, &[sides.given, factors])?;
            let x = {
                let memory = Readable::whole(memory);
                sides.solution.numbers::<f64>(memory)?;
                let columns = matrix.columns(work, memory)?;
                let factors = layout::read(work, factors.numbers(memory)?)?;
                refined(work, columns, &factors, (side_of(&sides), sides.given.numbers(memory)?))?
            };
            write(work, memory, sides.solution, &x)?;
            Ok(vec![DONE])
        }
    }
}

fn side_of(sides: &Sides) -> Side {
    if sides.is_transposed { Side::Transposed } else { Side::Plain }
}

fn solve_at_once(
    work: &mut Work<'_, '_>,
    columns: Columns<'_>,
    sides: &Sides,
    given: &[f64],
) -> Result<Vec<f64>, Stop> {
    let analysis = Analysis::new(work, columns)?;
    let order = analysis.order(work)?;
    let plan = analysis.plan(work, &order)?;
    work.free(order);
    plan.with_factors(work, |work, factors| refined(work, columns, factors, (side_of(sides), given)))
}

/// Solutions that are as good as they must be.
fn refined(
    work: &mut Work<'_, '_>,
    columns: Columns<'_>,
    factors: &Factors<'_>,
    (side, given): (Side, &[f64]),
) -> Result<Vec<f64>, Stop> {
    let size = columns.size();
    if size == 0 || factors.order.len() != size {
        return Err(Stop::Declined);
    }
    let mut x: Vec<f64> = work.zeros(given.len())?;
    for (x, b) in x.chunks_mut(size).zip(given.chunks(size)) {
        work.spend(2 * size)?;
        if b.iter().any(|value| !value.is_finite()) {
            return Err(Stop::Declined);
        }
        x.copy_from_slice(b);
    }
    solve(work, factors, side, &mut x)?;
    let mut system = System::new(work, columns, side)?;
    for (x, b) in x.chunks_mut(size).zip(given.chunks(size)) {
        system.refine(work, factors, b, x)?;
    }
    system.free(work);
    Ok(x)
}

fn analyse(work: &mut Work<'_, '_>, memory: &mut [u8], (matrix, order): (MatrixAt, Area)) -> Result<Vec<u8>, Stop> {
    matrix.is_apart(order, &[])?;
    let readable = Readable::whole(memory);
    order.numbers::<u32>(readable)?;
    let columns = matrix.columns(work, readable)?;
    let analysis = Analysis::new(work, columns)?;
    let places = analysis.order(work)?;
    let plan = analysis.plan(work, &places)?;
    let mut answer = vec![DONE];
    for method in [Method::Cholesky, Method::Lu] {
        let bytes = if plan.methods().contains(&method) { plan.sizes(method)?.bytes() } else { Some(0) };
        answer.extend((bytes.ok_or(Stop::Declined)? as u64).to_le_bytes());
    }
    drop(plan);
    write(work, memory, order, &places)?;
    Ok(answer)
}

fn factor(
    work: &mut Work<'_, '_>,
    memory: &mut [u8],
    (matrix, order): (MatrixAt, Area),
    (method, factors): (Method, Area),
) -> Result<Vec<u8>, Stop> {
    matrix.is_apart(factors, &[order])?;
    let (written, memory) = Readable::but_for(memory, factors).ok_or(Stop::Declined)?;
    let columns = matrix.columns(work, memory)?;
    let plan = Analysis::new(work, columns)?.plan(work, order.numbers(memory)?)?;
    if plan.sizes(method)?.bytes() != Some(written.len()) || !plan.methods().contains(&method) {
        return Err(Stop::Declined);
    }
    if !plan.factor(work, method, written)? {
        return Ok(vec![OTHER_METHOD]);
    }
    let factors = layout::read(work, written)?;
    prove(work, columns, &factors)?;
    Ok(vec![DONE])
}

/// Declines factors that don't solve a system well whose solution is known.
fn prove(work: &mut Work<'_, '_>, columns: Columns<'_>, factors: &Factors<'_>) -> Result<(), Stop> {
    let mut sums: Vec<f64> = work.zeros(columns.size())?;
    for column in 0..columns.size() {
        let (rows, values) = columns.column(column);
        work.spend(rows.len() + 1)?;
        for (&row, value) in rows.iter().zip(values) {
            if let Some(sum) = sums.get_mut(row as usize) {
                *sum += value;
            }
        }
    }
    refined(work, columns, factors, (Side::Plain, &sums)).map(|x| work.free(x))?;
    work.free(sums);
    Ok(())
}

/// Copies what was computed into the guest's memory.
fn write<T: Plain>(work: &mut Work<'_, '_>, memory: &mut [u8], to: Area, values: &[T]) -> Result<(), Stop> {
    work.spend(values.len())?;
    let range = to.range(memory.len()).ok_or(Stop::Declined)?;
    let to = memory.get_mut(range).and_then(numbers_mut::<T>).ok_or(Stop::Declined)?;
    to.copy_from_slice(values);
    Ok(())
}
