//! The graph of A + Aᵀ, and the same with columns that have equal patterns drawn together.

#![expect(clippy::indexing_slicing, reason = "nodes are below the number of nodes, as the matrix was checked")]

use super::{matrix::Columns, work::Work};
use crate::Stop;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// An undirected graph: the neighbours of node i are `neighbours[starts[i]..starts[i + 1]]`, without i itself.
pub(super) struct Graph {
    pub(super) starts: Vec<u32>,
    pub(super) neighbours: Vec<u32>,
}

impl Graph {
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn of(&self, node: usize) -> &[u32] {
        &self.neighbours[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The graph of A + Aᵀ, or `Declined` where that has more than `elements_max` elements off the diagonal.
    pub(super) fn of_matrix(
        work: &mut Work<'_, '_>,
        matrix: Columns<'_>,
        transpose: Columns<'_>,
        elements_max: usize,
    ) -> Result<Self, Stop> {
        let size = matrix.size();
        let capacity = elements_max.min(2 * matrix.rows.len());
        let mut starts: Vec<u32> = work.zeros(size + 1)?;
        let mut neighbours: Vec<u32> = work.zeros(capacity)?;
        let mut len = 0;
        for col in 0..size {
            let (mut above, mut below) = (matrix.column(col).0, transpose.column(col).0);
            work.spend(2 * (above.len() + below.len()) + 1)?;
            while let Some(row) = next_of_two(&mut above, &mut below) {
                if row as usize != col {
                    *neighbours.get_mut(len).ok_or(Stop::Declined)? = row;
                    len += 1;
                }
            }
            starts[col + 1] = len as u32;
        }
        neighbours.truncate(len);
        Ok(Self { starts, neighbours })
    }

    pub(super) fn free(self, work: &mut Work<'_, '_>) {
        work.free(self.starts);
        work.free(self.neighbours);
    }
}

/// The least of two ascending lists, taken off both.
fn next_of_two<'m>(first: &mut &'m [u32], second: &mut &'m [u32]) -> Option<u32> {
    let least = match (first.first(), second.first()) {
        (Some(&a), Some(&b)) => a.min(b),
        (Some(&only), None) | (None, Some(&only)) => only,
        (None, None) => return None,
    };
    let skip = |list: &mut &'m [u32]| {
        if let Some((&head, rest)) = list.split_first()
            && head == least
        {
            *list = rest;
        }
    };
    skip(first);
    skip(second);
    Some(least)
}

/// A graph whose nodes stand for several columns of equal pattern each, such as the displacements of one joint.
pub(super) struct Compressed {
    pub(super) graph: Graph,
    /// How many columns a node stands for.
    pub(super) weights: Vec<u32>,
    /// The columns of node i: `columns[starts[i]..starts[i + 1]]`.
    pub(super) column_starts: Vec<u32>,
    pub(super) columns: Vec<u32>,
}

impl Compressed {
    pub(super) fn new(work: &mut Work<'_, '_>, graph: Graph) -> Result<Self, Stop> {
        let (group_of, count) = groups(work, &graph)?;
        let size = graph.len();
        work.spend(4 * size)?;
        let mut weights: Vec<u32> = work.zeros(count)?;
        let mut column_starts: Vec<u32> = work.zeros(count + 1)?;
        let mut columns: Vec<u32> = work.zeros(size)?;
        for &group in &group_of {
            weights[group as usize] += 1;
        }
        for group in 0..count {
            column_starts[group + 1] = column_starts[group] + weights[group];
        }
        let mut filled: Vec<u32> = work.zeros(count)?;
        for (column, &group) in group_of.iter().enumerate() {
            let group = group as usize;
            columns[(column_starts[group] + filled[group]) as usize] = column as u32;
            filled[group] += 1;
        }
        work.free(filled);
        if count == size {
            work.free(group_of);
            return Ok(Self { graph, weights, column_starts, columns });
        }
        let mut starts: Vec<u32> = work.zeros(count + 1)?;
        let mut neighbours: Vec<u32> = work.zeros(graph.neighbours.len())?;
        let mut seen: Vec<u32> = work.filled(count, NONE)?;
        let mut len = 0;
        for group in 0..count {
            seen[group] = group as u32;
            let member = columns[column_starts[group] as usize] as usize;
            work.spend(2 * graph.of(member).len() + 1)?;
            for &column in graph.of(member) {
                let other = group_of[column as usize];
                if seen[other as usize] != group as u32 {
                    seen[other as usize] = group as u32;
                    neighbours[len] = other;
                    len += 1;
                }
            }
            starts[group + 1] = len as u32;
        }
        neighbours.truncate(len);
        work.free(seen);
        work.free(group_of);
        graph.free(work);
        Ok(Self { graph: Graph { starts, neighbours }, weights, column_starts, columns })
    }

    pub(super) fn free(self, work: &mut Work<'_, '_>) {
        self.graph.free(work);
        work.free(self.weights);
        work.free(self.column_starts);
        work.free(self.columns);
    }
}

/// For each node the number of its group, of nodes that have the same neighbours and each other, and how many groups.
fn groups(work: &mut Work<'_, '_>, graph: &Graph) -> Result<(Vec<u32>, usize), Stop> {
    let size = graph.len();
    let mut sums: Vec<u64> = work.zeros(size)?;
    for (node, sum) in sums.iter_mut().enumerate() {
        work.spend(4 * graph.of(node).len() + 1)?;
        *sum = graph.of(node).iter().fold(scatter(node), |sum, &other| sum.wrapping_add(scatter(other as usize)));
    }
    let mut group_of: Vec<u32> = work.filled(size, NONE)?;
    let mut seen: Vec<u32> = work.filled(size, NONE)?;
    let mut count = 0;
    for node in 0..size {
        if group_of[node] != NONE {
            continue;
        }
        group_of[node] = count;
        work.spend(2 * graph.of(node).len())?;
        let mut is_marked = false;
        for &other in graph.of(node) {
            let twin = other as usize;
            if group_of[twin] != NONE || sums[twin] != sums[node] || graph.of(twin).len() != graph.of(node).len() {
                continue;
            }
            work.spend(graph.of(node).len())?;
            if !is_marked {
                is_marked = true;
                seen[node] = node as u32;
                graph.of(node).iter().for_each(|&other| seen[other as usize] = node as u32);
            }
            if graph.of(twin).iter().all(|&other| seen[other as usize] == node as u32) {
                group_of[twin] = count;
            }
        }
        count += 1;
    }
    work.free(sums);
    work.free(seen);
    Ok((group_of, count as usize))
}

/// A number that has little to do with those of other nodes (the finaliser of SplitMix64).
fn scatter(node: usize) -> u64 {
    let mut word = (node as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}
