//! The elimination tree, and how many rows each column of the factor has.
//!
//! Column counts by J. R. Gilbert, E. G. Ng and B. W. Peyton, "An efficient algorithm to compute row and column counts for
//! sparse Cholesky factorization", SIAM Journal on Matrix Analysis and Applications 15 (1994), 1075–1091.

#![expect(clippy::indexing_slicing, reason = "nodes are below the number of nodes, and so are places in an order")]

use super::{
    graph::{Compressed, Graph, NONE},
    work::Work,
};
use crate::Stop;

/// Nodes by place in an order that is a postorder of its own elimination tree.
pub(super) struct Tree {
    /// The node at each place.
    pub(super) order: Vec<u32>,
    /// The place of each node.
    pub(super) places: Vec<u32>,
    /// The parent of each place, which is a later one, or [`NONE`].
    pub(super) parents: Vec<u32>,
    /// The columns of the factor at each place: how many rows they have from the first of them on.
    pub(super) rows: Vec<u32>,
}

impl Tree {
    /// Of the graph with an order of elimination, which is replaced by an equivalent postorder.
    pub(super) fn new(work: &mut Work<'_, '_>, compressed: &Compressed, mut order: Vec<u32>) -> Result<Self, Stop> {
        let size = order.len();
        let mut places: Vec<u32> = work.zeros(size)?;
        place(&order, &mut places);
        let parents = elimination_tree(work, &compressed.graph, &order, &places)?;
        let post = postorder(work, &parents)?;
        let mut renumbered: Vec<u32> = work.filled(size, NONE)?;
        let mut inverse: Vec<u32> = work.zeros(size)?;
        place(&post, &mut inverse);
        for (at, &old) in post.iter().enumerate() {
            if parents[old as usize] != NONE {
                renumbered[at] = inverse[parents[old as usize] as usize];
            }
        }
        for (at, &old) in post.iter().enumerate() {
            inverse[at] = order[old as usize];
        }
        order.copy_from_slice(&inverse);
        place(&order, &mut places);
        for vector in [post, inverse, parents] {
            work.free(vector);
        }
        let mut tree = Self { order, places, parents: renumbered, rows: Vec::new() };
        tree.rows = tree.count_rows(work, compressed)?;
        Ok(tree)
    }

    fn count_rows(&self, work: &mut Work<'_, '_>, compressed: &Compressed) -> Result<Vec<u32>, Stop> {
        let size = self.order.len();
        work.spend(8 * size)?;
        let weight = |place: usize| i64::from(compressed.weights[self.order[place] as usize]);
        // The first place of each subtree: places of a subtree are consecutive, and its root is the last.
        let mut firsts: Vec<u32> = work.zeros(size)?;
        let mut changes: Vec<i64> = work.zeros(size)?;
        let mut ancestors: Vec<u32> = work.zeros(size)?;
        for place in 0..size {
            firsts[place] = place as u32;
            ancestors[place] = place as u32;
        }
        for place in 0..size {
            if firsts[place] == place as u32 {
                changes[place] += weight(place);
            }
            let parent = self.parents[place];
            if parent != NONE {
                firsts[parent as usize] = firsts[parent as usize].min(firsts[place]);
                changes[parent as usize] -= weight(place);
            }
        }
        // Of each row: the latest first place of a subtree whose root has it, and the latest leaf of the row's subtree.
        let mut latest_firsts: Vec<u32> = work.filled(size, NONE)?;
        let mut leaves: Vec<u32> = work.filled(size, NONE)?;
        for place in 0..size {
            work.spend(8 * compressed.graph.of(self.order[place] as usize).len() + 1)?;
            for &node in compressed.graph.of(self.order[place] as usize) {
                let row = self.places[node as usize] as usize;
                let is_seen = latest_firsts[row] != NONE && firsts[place] <= latest_firsts[row];
                if row <= place || is_seen {
                    continue;
                }
                latest_firsts[row] = firsts[place];
                changes[place] += weight(row);
                let leaf = std::mem::replace(&mut leaves[row], place as u32);
                if leaf != NONE {
                    let common = root_of(&mut ancestors, leaf);
                    changes[common as usize] -= weight(row);
                }
            }
            if self.parents[place] != NONE {
                ancestors[place] = self.parents[place];
            }
        }
        let mut rows: Vec<u32> = work.zeros(size)?;
        for place in 0..size {
            if self.parents[place] != NONE {
                changes[self.parents[place] as usize] += changes[place];
            }
            rows[place] = changes[place] as u32;
        }
        for vector in [firsts, ancestors, latest_firsts, leaves] {
            work.free(vector);
        }
        work.free(changes);
        Ok(rows)
    }

    pub(super) fn free(self, work: &mut Work<'_, '_>) {
        for vector in [self.order, self.places, self.parents, self.rows] {
            work.free(vector);
        }
    }
}

/// The root of the tree that a place belongs to among those joined so far; paths are shortened on the way.
fn root_of(ancestors: &mut [u32], place: u32) -> u32 {
    let mut root = place;
    while ancestors[root as usize] != root {
        root = ancestors[root as usize];
    }
    let mut step = place;
    while step != root {
        step = std::mem::replace(&mut ancestors[step as usize], root);
    }
    root
}

fn place(order: &[u32], places: &mut [u32]) {
    for (at, &node) in order.iter().enumerate() {
        places[node as usize] = at as u32;
    }
}

/// The parent of each place: the first row below the diagonal of its column of the factor.
fn elimination_tree(work: &mut Work<'_, '_>, graph: &Graph, order: &[u32], places: &[u32]) -> Result<Vec<u32>, Stop> {
    let mut parents: Vec<u32> = work.filled(order.len(), NONE)?;
    let mut ancestors: Vec<u32> = work.filled(order.len(), NONE)?;
    for (at, &node) in order.iter().enumerate() {
        work.spend(4 * graph.of(node as usize).len() + 1)?;
        for &other in graph.of(node as usize) {
            let mut step = places[other as usize];
            while step != NONE && (step as usize) < at {
                let next = std::mem::replace(&mut ancestors[step as usize], at as u32);
                if next == NONE {
                    parents[step as usize] = at as u32;
                }
                step = next;
            }
        }
    }
    work.free(ancestors);
    Ok(parents)
}

/// A postorder of a forest in which parents come after children: the places, children before parents, each subtree
/// consecutive.
pub(super) fn postorder(work: &mut Work<'_, '_>, parents: &[u32]) -> Result<Vec<u32>, Stop> {
    let size = parents.len();
    work.spend(8 * size)?;
    // From the roots down: a subtree ends where its root is put, and its children's subtrees end before that.
    let mut sizes: Vec<u32> = work.filled(size, 1)?;
    for place in 0..size {
        if parents[place] != NONE {
            sizes[parents[place] as usize] += sizes[place];
        }
    }
    let mut ends: Vec<u32> = work.zeros(size)?;
    let mut post: Vec<u32> = work.zeros(size)?;
    let mut root_end = size as u32;
    for place in (0..size).rev() {
        let end = match parents[place] {
            NONE => &mut root_end,
            parent => &mut ends[parent as usize],
        };
        let at = *end - 1;
        *end -= sizes[place];
        ends[place] = at;
        post[at as usize] = place as u32;
    }
    work.free(sizes);
    work.free(ends);
    Ok(post)
}
