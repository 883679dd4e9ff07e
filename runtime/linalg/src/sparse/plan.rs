//! From a matrix to its factors: what is analysed once, and factored by one method or the other.

#![expect(clippy::indexing_slicing, reason = "columns are below the number of columns")]

use super::{
    graph::{Compressed, Graph, NONE},
    layout::{self, COLUMNS_MAX, Factors, Method, Sizes},
    matrix::{Columns, Owned, diagonal, may_be_positive_definite},
    numeric::{Problem, factor},
    order::order,
    structure::Structure,
    tree::Tree,
    work::{Work, bytes_mut},
};
use crate::Stop;

/// The most elements of A + Aᵀ for each ten of A: beyond, the matrix is too far from a symmetric one.
const UNSYMMETRY_TENTHS_MAX: usize = 16;

/// The exponent of a scale, at most.
const SCALE_EXPONENT_MAX: i64 = 1000;

/// A matrix with what its factors will look like.
pub(super) struct Plan<'m> {
    matrix: Columns<'m>,
    transpose: Owned,
    structure: Structure,
    may_be_positive_definite: bool,
}

/// The graph of a matrix, and an order of its nodes.
pub(super) struct Analysis<'m> {
    matrix: Columns<'m>,
    transpose: Owned,
    compressed: Compressed,
    may_be_positive_definite: bool,
}

impl<'m> Analysis<'m> {
    /// Declines a matrix without a stored diagonal, or far from symmetric in pattern.
    pub(super) fn new(work: &mut Work<'_, '_>, matrix: Columns<'m>) -> Result<Self, Stop> {
        if matrix.size() == 0 || matrix.size() > COLUMNS_MAX {
            return Err(Stop::Declined);
        }
        let transpose = Owned::transpose_of(work, matrix)?;
        let diagonal = diagonal(work, matrix)?.ok_or(Stop::Declined)?;
        let may_be_positive_definite = may_be_positive_definite(work, matrix, transpose.columns(), &diagonal)?;
        work.free(diagonal);
        let elements_max = matrix.rows.len() * UNSYMMETRY_TENTHS_MAX / 10;
        let graph = Graph::of_matrix(work, matrix, transpose.columns(), elements_max)?;
        let compressed = Compressed::new(work, graph)?;
        Ok(Self { matrix, transpose, compressed, may_be_positive_definite })
    }

    /// The matrix's columns in an order of elimination, to be handed to [`Analysis::plan`].
    pub(super) fn order(&self, work: &mut Work<'_, '_>) -> Result<Vec<u32>, Stop> {
        let nodes = order(work, &self.compressed)?;
        let mut columns: Vec<u32> = work.zeros(self.matrix.size())?;
        let mut len = 0;
        for &node in &nodes {
            let own = self.columns_of(node as usize);
            columns[len..len + own.len()].copy_from_slice(own);
            len += own.len();
        }
        work.free(nodes);
        Ok(columns)
    }

    fn columns_of(&self, node: usize) -> &[u32] {
        let starts = &self.compressed.column_starts;
        &self.compressed.columns[starts[node] as usize..starts[node + 1] as usize]
    }

    /// By an order of columns that anybody may have made: one that is no permutation is declined.
    pub(super) fn plan(self, work: &mut Work<'_, '_>, columns: &[u32]) -> Result<Plan<'m>, Stop> {
        let size = self.matrix.size();
        if columns.len() != size {
            return Err(Stop::Declined);
        }
        work.spend(4 * size)?;
        let mut node_of: Vec<u32> = work.zeros(size)?;
        for node in 0..self.compressed.graph.len() {
            self.columns_of(node).iter().for_each(|&column| node_of[column as usize] = node as u32);
        }
        let mut nodes: Vec<u32> = work.zeros(self.compressed.graph.len())?;
        let mut count = 0;
        for &column in columns {
            let node = node_of.get(column as usize).copied().ok_or(Stop::Declined)?;
            // The first column of a node stands for all.
            if self.columns_of(node as usize)[0] == column {
                *nodes.get_mut(count).ok_or(Stop::Declined)? = node;
                count += 1;
            }
        }
        if count != nodes.len() || !is_permutation(work, &nodes)? {
            return Err(Stop::Declined);
        }
        work.free(node_of);
        let Self { matrix, transpose, compressed, may_be_positive_definite } = self;
        let tree = Tree::new(work, &compressed, nodes)?;
        let structure = Structure::new(work, &compressed, &tree)?;
        tree.free(work);
        compressed.free(work);
        Ok(Plan { matrix, transpose, structure, may_be_positive_definite })
    }
}

fn is_permutation(work: &mut Work<'_, '_>, nodes: &[u32]) -> Result<bool, Stop> {
    let mut seen: Vec<u32> = work.filled(nodes.len(), NONE)?;
    let is_permutation = nodes.iter().all(|&node| std::mem::replace(&mut seen[node as usize], node) == NONE);
    work.free(seen);
    Ok(is_permutation)
}

impl Plan<'_> {
    /// The methods that may do, the better one first.
    pub(super) fn methods(&self) -> &'static [Method] {
        if self.may_be_positive_definite { &[Method::Cholesky, Method::Lu] } else { &[Method::Lu] }
    }

    pub(super) fn sizes(&self, method: Method) -> Result<Sizes, Stop> {
        Sizes::of(&self.structure, method).ok_or(Stop::Declined)
    }

    /// Factors into `bytes`, of as many as `sizes` says. `false` where the method can't.
    pub(super) fn factor(&self, work: &mut Work<'_, '_>, method: Method, bytes: &mut [u8]) -> Result<bool, Stop> {
        let sizes = self.sizes(method)?;
        work.spend(sizes.columns + sizes.rows)?;
        let mut factors = layout::write(bytes, sizes, &self.structure).ok_or(Stop::Declined)?;
        let transpose = self.transpose.columns();
        if method == Method::Lu {
            let [of_rows, of_columns] = &mut factors.scales;
            let are_regular =
                scale(work, transpose, None, of_rows)? && scale(work, self.matrix, Some(&**of_rows), of_columns)?;
            if !are_regular {
                return Ok(false);
            }
        }
        let problem = Problem { matrix: self.matrix, transpose, structure: &self.structure, method };
        factor(work, &problem, factors)
    }

    /// Factors into scratch memory by the first method that can, and hands the factors on.
    pub(super) fn with_factors<R>(
        &self,
        work: &mut Work<'_, '_>,
        then: impl FnOnce(&mut Work<'_, '_>, &Factors<'_>) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        for &method in self.methods() {
            let bytes = self.sizes(method)?.bytes().ok_or(Stop::Declined)?;
            let mut words: Vec<u64> = work.zeros(bytes / size_of::<u64>())?;
            if self.factor(work, method, bytes_mut(&mut words))? {
                let factors = layout::read(work, bytes_mut(&mut words))?;
                return then(work, &factors);
            }
            work.free(words);
        }
        Err(Stop::Declined)
    }
}

/// Powers of two by which each column's largest element becomes about 1, after its rows were scaled by `of_rows`. `false`
/// where a column is zero.
fn scale(
    work: &mut Work<'_, '_>,
    matrix: Columns<'_>,
    of_rows: Option<&[f64]>,
    scales: &mut [f64],
) -> Result<bool, Stop> {
    for (column, scale) in scales.iter_mut().enumerate() {
        let (rows, values) = matrix.column(column);
        work.spend(4 * rows.len() + 1)?;
        let largest = rows.iter().zip(values).fold(0.0, |largest: f64, (&row, value)| {
            largest.max((value * of_rows.map_or(1.0, |scales| scales[row as usize])).abs())
        });
        if largest == 0.0 {
            return Ok(false);
        }
        *scale = reciprocal_power(largest);
    }
    Ok(true)
}

/// 2⁻ᵏ for a positive number between 2ᵏ and 2ᵏ⁺¹.
fn reciprocal_power(value: f64) -> f64 {
    const BIAS: i64 = 1023;
    let exponent = (value.to_bits() >> 52) as i64 - BIAS;
    let exponent = exponent.clamp(-SCALE_EXPONENT_MAX, SCALE_EXPONENT_MAX);
    f64::from_bits(((BIAS - exponent) as u64) << 52)
}
