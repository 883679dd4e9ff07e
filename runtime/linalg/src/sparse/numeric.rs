//! The numbers of the factors: fronts are assembled, eliminated, and what they leave over waits on a stack for its parent.
//!
//! The multifrontal method of I. S. Duff and J. K. Reid, "The multifrontal solution of indefinite sparse symmetric linear
//! equations", ACM Transactions on Mathematical Software 9 (1983), 302–325.

#![expect(clippy::indexing_slicing, reason = "columns and rows are those of a structure that was made of the matrix")]

use super::{
    blocks,
    layout::{FactorsMut, Front, Fronts, Method},
    matrix::Columns,
    structure::Structure,
    work::Work,
};
use crate::Stop;

/// What is factored.
pub(super) struct Problem<'m> {
    pub(super) matrix: Columns<'m>,
    pub(super) transpose: Columns<'m>,
    pub(super) structure: &'m Structure,
    pub(super) method: Method,
}

/// Factors it into `factors`, whose scales are given. `false` where a pivot is too small, or no positive number where it
/// must be.
pub(super) fn factor(work: &mut Work<'_, '_>, problem: &Problem<'_>, factors: FactorsMut<'_>) -> Result<bool, Stop> {
    let mut assembly = Assembly::new(work, problem)?;
    let FactorsMut { pivots, scales, values } = factors;
    let (mut values, mut pivots, mut is_regular) = (values, pivots, true);
    for block in 0..assembly.fronts.len() {
        let front = assembly.fronts.front(block).ok_or(Stop::Declined)?;
        let (own, others) = values.split_at_mut(front.values(problem.method).ok_or(Stop::Declined)?);
        let (lower, upper) = own.split_at_mut(front.rows() * front.columns);
        let (own_pivots, other_pivots) = pivots.split_at_mut(front.columns.min(pivots.len()));
        (values, pivots) = (others, other_pivots);
        let panels = Panels { lower, upper };
        is_regular = assembly.eliminate(work, problem, block, (panels, own_pivots), [&*scales[0], &*scales[1]])?;
        if !is_regular {
            break;
        }
    }
    assembly.free(work);
    Ok(is_regular)
}

/// Of a front, the part that is kept: its columns by columns, and for LU its rows beyond them by rows.
struct Panels<'p> {
    lower: &'p mut [f64],
    upper: &'p mut [f64],
}

struct Assembly<'m> {
    fronts: Fronts<'m>,
    /// The place of each column of the matrix.
    places: Vec<u32>,
    /// Of each row of the front at hand, which of its rows it is.
    positions: Vec<u32>,
    /// For the rows of a child, the same.
    relative: Vec<u32>,
    /// What the front at hand leaves over, by columns.
    update: Vec<f64>,
    /// What fronts left over whose parents are still to come: symmetric ones as the columns of their lower triangle.
    stack: Vec<f64>,
    stack_len: usize,
    waiting: Vec<u32>,
    waiting_len: usize,
}

impl<'m> Assembly<'m> {
    fn new(work: &mut Work<'_, '_>, problem: &Problem<'m>) -> Result<Self, Stop> {
        let structure = problem.structure;
        let fronts = Fronts { firsts: &structure.firsts, row_starts: &structure.row_starts };
        let size = structure.order.len();
        work.spend(2 * size + 4 * fronts.len())?;
        let (mut below_max, mut peak, mut len) = (0, 0, 0_usize);
        let mut waiting: Vec<u32> = work.zeros(fronts.len())?;
        let mut depth = 0;
        for block in 0..fronts.len() {
            while depth > 0 && structure.parents[waiting[depth - 1] as usize] as usize == block {
                depth -= 1;
                len -= left_over(&fronts, waiting[depth] as usize, problem.method)?;
            }
            let below = fronts.front(block).ok_or(Stop::Declined)?.below;
            below_max = below.max(below_max);
            if below > 0 {
                len = len.checked_add(left_over(&fronts, block, problem.method)?).ok_or(Stop::Declined)?;
                peak = len.max(peak);
                waiting[depth] = block as u32;
                depth += 1;
            }
        }
        let mut assembly = Self {
            fronts,
            places: work.zeros(size)?,
            positions: work.zeros(size)?,
            relative: work.zeros(below_max)?,
            update: work.zeros(below_max.checked_mul(below_max).ok_or(Stop::Declined)?)?,
            stack: work.zeros(peak)?,
            stack_len: 0,
            waiting,
            waiting_len: 0,
        };
        for (place, &column) in structure.order.iter().enumerate() {
            assembly.places[column as usize] = place as u32;
        }
        Ok(assembly)
    }

    fn eliminate(
        &mut self,
        work: &mut Work<'_, '_>,
        problem: &Problem<'_>,
        block: usize,
        (mut panels, pivots): (Panels<'_>, &mut [u32]),
        scales: [&[f64]; 2],
    ) -> Result<bool, Stop> {
        let structure = problem.structure;
        let front = self.fronts.front(block).ok_or(Stop::Declined)?;
        let first = structure.firsts[block] as usize;
        let rows = &structure.rows[structure.row_starts[block] as usize..structure.row_starts[block + 1] as usize];
        work.spend(panels.lower.len() + panels.upper.len() + front.rows())?;
        panels.lower.fill(0.0);
        panels.upper.fill(0.0);
        for at in 0..front.columns {
            self.positions[first + at] = at as u32;
        }
        for (at, &row) in rows.iter().enumerate() {
            self.positions[row as usize] = (front.columns + at) as u32;
        }
        match problem.method {
            Method::Cholesky => self.put_symmetric(work, problem, (first, front), panels.lower)?,
            Method::Lu => self.put_general(work, problem, (first, front), (&mut panels, scales))?,
        }
        let is_new = !self.add_children(work, problem, (block, front), &mut panels)?;
        let update = &mut self.update[..front.below * front.below];
        let is_regular = match problem.method {
            Method::Cholesky => {
                let limits = Diagonal { matrix: problem.matrix, columns: &structure.order[first..] };
                blocks::cholesky(work, front, panels.lower, (update, is_new), |column| limits.of(column))?
            }
            Method::Lu => {
                let panels = blocks::Panels { lower: panels.lower, upper: panels.upper, pivots };
                blocks::lu(work, front, panels, (update, is_new))?
            }
        };
        if is_regular && front.below > 0 {
            self.push(work, problem, (block, front))?;
        }
        Ok(is_regular)
    }

    /// Adds the matrix's own elements of the columns, on and below the diagonal.
    fn put_symmetric(
        &self,
        work: &mut Work<'_, '_>,
        problem: &Problem<'_>,
        (first, front): (usize, Front),
        lower: &mut [f64],
    ) -> Result<(), Stop> {
        let height = front.rows();
        for (at, column) in lower.chunks_exact_mut(height).enumerate() {
            let (rows, values) = problem.matrix.column(problem.structure.order[first + at] as usize);
            work.spend(rows.len())?;
            for (&row, &value) in rows.iter().zip(values) {
                let place = self.places[row as usize] as usize;
                if place >= first + at {
                    column[self.positions[place] as usize] = value;
                }
            }
        }
        Ok(())
    }

    /// Adds the matrix's own elements of the columns, scaled, and of the rows beyond these columns.
    fn put_general(
        &self,
        work: &mut Work<'_, '_>,
        problem: &Problem<'_>,
        (first, front): (usize, Front),
        (panels, [of_rows, of_columns]): (&mut Panels<'_>, [&[f64]; 2]),
    ) -> Result<(), Stop> {
        let height = front.rows();
        for (at, column) in panels.lower.chunks_exact_mut(height).enumerate() {
            let own = problem.structure.order[first + at] as usize;
            let (rows, values) = problem.matrix.column(own);
            work.spend(rows.len())?;
            for (&row, &value) in rows.iter().zip(values) {
                let place = self.places[row as usize] as usize;
                if place >= first {
                    column[self.positions[place] as usize] = value * of_rows[row as usize] * of_columns[own];
                }
            }
        }
        if front.below == 0 {
            return Ok(());
        }
        for (at, row) in panels.upper.chunks_exact_mut(front.below).enumerate() {
            let own = problem.structure.order[first + at] as usize;
            let (columns, values) = problem.transpose.column(own);
            work.spend(columns.len())?;
            for (&column, &value) in columns.iter().zip(values) {
                let place = self.places[column as usize] as usize;
                if place >= first + front.columns {
                    let position = self.positions[place] as usize - front.columns;
                    row[position] = value * of_rows[own] * of_columns[column as usize];
                }
            }
        }
        Ok(())
    }

    /// Adds what the children left over, and takes it off the stack. `false` where there are none; else `update` holds
    /// what they had for it.
    fn add_children(
        &mut self,
        work: &mut Work<'_, '_>,
        problem: &Problem<'_>,
        (block, front): (usize, Front),
        panels: &mut Panels<'_>,
    ) -> Result<bool, Stop> {
        let structure = problem.structure;
        let mut has_children = false;
        while self.waiting_len > 0 {
            let child = self.waiting[self.waiting_len - 1] as usize;
            if structure.parents[child] as usize != block {
                break;
            }
            if !has_children {
                has_children = true;
                work.spend(front.below * front.below)?;
                self.update[..front.below * front.below].fill(0.0);
            }
            self.waiting_len -= 1;
            let range = structure.row_starts[child] as usize..structure.row_starts[child + 1] as usize;
            let rows = &structure.rows[range];
            let relative = &mut self.relative[..rows.len()];
            for (at, &row) in relative.iter_mut().zip(rows) {
                *at = self.positions[row as usize];
            }
            let len = left_over(&self.fronts, child, problem.method)?;
            work.spend(len)?;
            self.stack_len -= len;
            let values = &self.stack[self.stack_len..self.stack_len + len];
            let target = Target { front, lower: panels.lower, upper: panels.upper, update: &mut self.update };
            match problem.method {
                Method::Cholesky => target.add_symmetric(relative, values),
                Method::Lu => target.add_general(relative, values),
            }
        }
        Ok(has_children)
    }

    /// Puts what the front at hand left over onto the stack.
    fn push(
        &mut self,
        work: &mut Work<'_, '_>,
        problem: &Problem<'_>,
        (block, front): (usize, Front),
    ) -> Result<(), Stop> {
        let below = front.below;
        let len = left_over(&self.fronts, block, problem.method)?;
        work.spend(len)?;
        let mut to = &mut self.stack[self.stack_len..self.stack_len + len];
        match problem.method {
            Method::Cholesky => {
                for (at, column) in self.update[..below * below].chunks_exact(below).enumerate() {
                    let (own, others) = to.split_at_mut(below - at);
                    own.copy_from_slice(&column[at..]);
                    to = others;
                }
            }
            Method::Lu => to.copy_from_slice(&self.update[..below * below]),
        }
        self.stack_len += len;
        self.waiting[self.waiting_len] = block as u32;
        self.waiting_len += 1;
        Ok(())
    }

    fn free(self, work: &mut Work<'_, '_>) {
        for vector in [self.places, self.positions, self.relative, self.waiting] {
            work.free(vector);
        }
        work.free(self.update);
        work.free(self.stack);
    }
}

/// How many values a front leaves over.
fn left_over(fronts: &Fronts<'_>, block: usize, method: Method) -> Result<usize, Stop> {
    let below = fronts.front(block).ok_or(Stop::Declined)?.below;
    let len = match method {
        Method::Cholesky => below.checked_mul(below + 1).map(|twice| twice / 2),
        Method::Lu => below.checked_mul(below),
    };
    len.ok_or(Stop::Declined)
}

/// The diagonal of the matrix from a front's first column on.
struct Diagonal<'m> {
    matrix: Columns<'m>,
    columns: &'m [u32],
}

impl Diagonal<'_> {
    fn of(&self, at: usize) -> f64 {
        let column = self.columns[at];
        let (rows, values) = self.matrix.column(column as usize);
        rows.binary_search(&column).map_or(0.0, |found| values[found])
    }
}

/// A front that a child is added to.
struct Target<'p> {
    front: Front,
    lower: &'p mut [f64],
    upper: &'p mut [f64],
    update: &'p mut [f64],
}

impl Target<'_> {
    /// Adds a lower triangle by columns.
    fn add_symmetric(self, relative: &[u32], values: &[f64]) {
        let Front { columns, below } = self.front;
        let height = columns + below;
        let mut rest = values;
        for (at, &position) in relative.iter().enumerate() {
            let (column, others) = rest.split_at(relative.len() - at);
            rest = others;
            let position = position as usize;
            if position < columns {
                add(&mut self.lower[position * height..][..height], &relative[at..], 0, column);
            } else {
                let to = &mut self.update[(position - columns) * below..][..below];
                add(to, &relative[at..], columns, column);
            }
        }
    }

    /// Adds a square by columns.
    fn add_general(self, relative: &[u32], values: &[f64]) {
        let Front { columns, below } = self.front;
        let height = columns + below;
        let own = relative.partition_point(|&position| (position as usize) < columns);
        for (&position, column) in relative.iter().zip(values.chunks_exact(relative.len())) {
            let position = position as usize;
            if position < columns {
                add(&mut self.lower[position * height..][..height], relative, 0, column);
                continue;
            }
            for (&row, &value) in relative[..own].iter().zip(column) {
                self.upper[row as usize * below + position - columns] += value;
            }
            let to = &mut self.update[(position - columns) * below..][..below];
            add(to, &relative[own..], columns, &column[own..]);
        }
    }
}

/// Adds `values` to the places `relative - offset`.
fn add(to: &mut [f64], relative: &[u32], offset: usize, values: &[f64]) {
    let (Some(&first), Some(&last)) = (relative.first(), relative.last()) else {
        return;
    };
    let (first, last) = (first as usize - offset, last as usize - offset);
    if last - first + 1 == values.len() {
        for (sum, value) in to[first..=last].iter_mut().zip(values) {
            *sum += value;
        }
        return;
    }
    for (&position, &value) in relative.iter().zip(values) {
        to[position as usize - offset] += value;
    }
}
