//! The numbers of the factors: fronts are assembled, eliminated, and what they leave over waits on a stack for its parent.
//!
//! The multifrontal method of I. S. Duff and J. K. Reid, "The multifrontal solution of indefinite sparse symmetric linear
//! equations", ACM Transactions on Mathematical Software 9 (1983), 302–325.

#![expect(clippy::indexing_slicing, reason = "columns and rows are those of a structure that was made of the matrix")]

use super::{
    blocks::{self, Panels},
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
    let FactorsMut { pivots, scales: [of_rows, of_columns], values } = factors;
    let mut assembly = Assembly::new(work, problem, [of_rows, of_columns])?;
    let (mut values, mut pivots, mut is_regular) = (values, pivots, true);
    for block in 0..assembly.fronts.len() {
        let front = assembly.fronts.front(block).ok_or(Stop::Declined)?;
        let (own, others) = values.split_at_mut(front.values(problem.method).ok_or(Stop::Declined)?);
        let (lower, upper) = own.split_at_mut(front.rows() * front.columns);
        let (own_pivots, other_pivots) = pivots.split_at_mut(front.columns.min(pivots.len()));
        (values, pivots) = (others, other_pivots);
        is_regular = assembly.eliminate(work, problem, block, Panels { lower, upper, pivots: own_pivots })?;
        if !is_regular {
            break;
        }
    }
    assembly.free(work);
    Ok(is_regular)
}

struct Assembly<'m> {
    fronts: Fronts<'m>,
    /// For LU: the scales of rows and of columns.
    scales: [&'m [f64]; 2],
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
    fn new(work: &mut Work<'_, '_>, problem: &Problem<'m>, scales: [&'m [f64]; 2]) -> Result<Self, Stop> {
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
            scales,
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
        mut panels: Panels<'_>,
    ) -> Result<bool, Stop> {
        let structure = problem.structure;
        let front = self.fronts.front(block).ok_or(Stop::Declined)?;
        let first = structure.firsts[block] as usize;
        let rows = &structure.rows[structure.row_starts[block] as usize..structure.row_starts[block + 1] as usize];
        work.spend(front.rows())?;
        clear(work, panels.lower)?;
        clear(work, panels.upper)?;
        for at in 0..front.columns {
            self.positions[first + at] = at as u32;
        }
        for (at, &row) in rows.iter().enumerate() {
            self.positions[row as usize] = (front.columns + at) as u32;
        }
        match problem.method {
            Method::Cholesky => self.put_symmetric(work, problem, (first, front), panels.lower)?,
            Method::Lu => self.put_general(work, problem, (first, front), &mut panels)?,
        }
        let is_new = !self.add_children(work, problem, (block, front), &mut panels)?;
        let update = &mut self.update[..front.below * front.below];
        let is_regular = match problem.method {
            Method::Cholesky => {
                let limits = Diagonal { matrix: problem.matrix, columns: &structure.order[first..] };
                blocks::cholesky(work, front, panels.lower, (update, is_new), |column| limits.of(column))?
            }
            Method::Lu => blocks::lu(work, front, panels, (update, is_new))?,
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
        panels: &mut Panels<'_>,
    ) -> Result<(), Stop> {
        let [of_rows, of_columns] = self.scales;
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
                clear(work, &mut self.update[..front.below * front.below])?;
            }
            self.waiting_len -= 1;
            let range = structure.row_starts[child] as usize..structure.row_starts[child + 1] as usize;
            let rows = &structure.rows[range];
            let relative = &mut self.relative[..rows.len()];
            for (at, &row) in relative.iter_mut().zip(rows) {
                *at = self.positions[row as usize];
            }
            let len = left_over(&self.fronts, child, problem.method)?;
            self.stack_len -= len;
            let values = &self.stack[self.stack_len..self.stack_len + len];
            let target = Target { front, lower: panels.lower, upper: panels.upper, update: &mut self.update };
            match problem.method {
                Method::Cholesky => target.add_symmetric(work, relative, values)?,
                Method::Lu => target.add_general(work, relative, values)?,
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
        let mut to = &mut self.stack[self.stack_len..self.stack_len + len];
        match problem.method {
            Method::Cholesky => {
                for (at, column) in self.update[..below * below].chunks_exact(below).enumerate() {
                    work.spend(below - at)?;
                    let (own, others) = to.split_at_mut(below - at);
                    own.copy_from_slice(&column[at..]);
                    to = others;
                }
            }
            Method::Lu => {
                for (to, column) in to.chunks_exact_mut(below).zip(self.update.chunks_exact(below)) {
                    work.spend(below)?;
                    to.copy_from_slice(column);
                }
            }
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

fn clear(work: &mut Work<'_, '_>, values: &mut [f64]) -> Result<(), Stop> {
    for part in values.chunks_mut(1 << 16) {
        work.spend(part.len())?;
        part.fill(0.0);
    }
    Ok(())
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
    fn add_symmetric(self, work: &mut Work<'_, '_>, relative: &[u32], values: &[f64]) -> Result<(), Stop> {
        let Front { columns, below } = self.front;
        let height = columns + below;
        let mut rest = values;
        for (at, &position) in relative.iter().enumerate() {
            let (column, others) = rest.split_at(relative.len() - at);
            rest = others;
            work.spend(column.len())?;
            let position = position as usize;
            if position < columns {
                add(&mut self.lower[position * height..][..height], &relative[at..], 0, column);
            } else {
                let to = &mut self.update[(position - columns) * below..][..below];
                add(to, &relative[at..], columns, column);
            }
        }
        Ok(())
    }

    /// Adds a square by columns.
    fn add_general(self, work: &mut Work<'_, '_>, relative: &[u32], values: &[f64]) -> Result<(), Stop> {
        let Front { columns, below } = self.front;
        let height = columns + below;
        let own = relative.partition_point(|&position| (position as usize) < columns);
        for (&position, column) in relative.iter().zip(values.chunks_exact(relative.len())) {
            work.spend(column.len())?;
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
        Ok(())
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
