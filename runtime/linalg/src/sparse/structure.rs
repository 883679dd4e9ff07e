//! Which columns are eliminated together, and which rows their front has: the plan that the numbers follow.

#![expect(clippy::indexing_slicing, reason = "places are below the number of nodes, columns below that of columns")]

use super::{
    graph::{Compressed, NONE},
    tree::Tree,
    work::Work,
};
use crate::Stop;

/// A front is drawn into its parent's where that makes at most so many columns …
const COLUMNS_ALWAYS: u64 = 4;
/// … or, up to so many columns, at most this share of zeros that are stored.
const ZEROS_MAX: [(u64, f64); 3] = [(16, 0.8), (48, 0.1), (u64::MAX, 0.05)];

/// The most rows of all fronts together.
const ROWS_MAX: u64 = 1 << 31;

/// Columns in the order of elimination, in blocks that are eliminated together.
///
/// Block b has the columns `firsts[b]..firsts[b + 1]`. Its front has these as its first rows, and then the later rows
/// `rows[row_starts[b]..row_starts[b + 1]]`, ascending.
pub(super) struct Structure {
    /// The matrix's column at each place.
    pub(super) order: Vec<u32>,
    pub(super) firsts: Vec<u32>,
    pub(super) row_starts: Vec<u32>,
    pub(super) rows: Vec<u32>,
    /// The block that takes up what a block leaves over, which comes later, or [`NONE`].
    pub(super) parents: Vec<u32>,
}

impl Structure {
    pub(super) fn new(work: &mut Work<'_, '_>, compressed: &Compressed, tree: &Tree) -> Result<Self, Stop> {
        let groups = Groups::new(work, compressed, tree)?;
        let plan = Numbering::new(work, compressed, tree, &groups)?;
        let structure = plan.structure(work, compressed, tree, &groups)?;
        plan.free(work);
        groups.free(work);
        Ok(structure)
    }
}

/// Places of the tree that are eliminated together. Each group is known by its last place, its top.
struct Groups {
    /// The top of each place's group.
    tops: Vec<u32>,
    /// By top: columns of the group, and rows of its front.
    columns: Vec<u32>,
    rows: Vec<u32>,
    /// How many groups.
    count: usize,
    /// Rows below their groups' own, all together.
    rows_below: usize,
}

impl Groups {
    fn new(work: &mut Work<'_, '_>, compressed: &Compressed, tree: &Tree) -> Result<Self, Stop> {
        let size = tree.order.len();
        work.spend(16 * size)?;
        let mut columns: Vec<u32> = work.zeros(size)?;
        let mut rows: Vec<u32> = work.zeros(size)?;
        rows.copy_from_slice(&tree.rows);
        let mut zeros: Vec<u64> = work.zeros(size)?;
        let mut child: Vec<u32> = work.filled(size, NONE)?;
        let mut sibling: Vec<u32> = work.filled(size, NONE)?;
        let mut tops: Vec<u32> = work.filled(size, NONE)?;
        let mut children = Vec::new();
        for place in 0..size {
            columns[place] = compressed.weights[tree.order[place] as usize];
            children.clear();
            let mut next = child[place];
            while next != NONE {
                children.push(next);
                next = sibling[next as usize];
            }
            children.sort_by_key(|&child| (std::cmp::Reverse(rows[child as usize] - columns[child as usize]), child));
            for &child in &children {
                let child = child as usize;
                let below = rows[child] - columns[child];
                let added = u64::from(columns[child]) * u64::from(rows[place] - below);
                let joined = zeros[child] + zeros[place] + added;
                let (all, height) = (columns[place] + columns[child], rows[place] + columns[child]);
                if is_worth_it(u64::from(all), u64::from(height), joined) {
                    (columns[place], rows[place], zeros[place]) = (all, height, joined);
                    tops[child] = place as u32;
                }
            }
            let parent = tree.parents[place];
            if parent != NONE {
                sibling[place] = std::mem::replace(&mut child[parent as usize], place as u32);
            }
        }
        let (mut count, mut rows_below) = (0, 0_u64);
        for place in (0..size).rev() {
            if tops[place] == NONE {
                tops[place] = place as u32;
                count += 1;
                rows_below += u64::from(rows[place] - columns[place]);
            } else {
                tops[place] = tops[tops[place] as usize];
            }
        }
        if rows_below > ROWS_MAX {
            return Err(Stop::Declined);
        }
        work.free(zeros);
        work.free(child);
        work.free(sibling);
        Ok(Self { tops, columns, rows, count, rows_below: rows_below as usize })
    }

    fn free(self, work: &mut Work<'_, '_>) {
        for vector in [self.tops, self.columns, self.rows] {
            work.free(vector);
        }
    }
}

fn is_worth_it(columns: u64, rows: u64, zeros: u64) -> bool {
    let stored = (columns * rows - columns * (columns - 1) / 2) as f64;
    let share = zeros as f64 / stored;
    columns <= COLUMNS_ALWAYS || ZEROS_MAX.iter().any(|&(up_to, share_max)| columns <= up_to && share <= share_max)
}

/// The groups as consecutive blocks.
struct Numbering {
    /// The block of each place.
    blocks: Vec<u32>,
    /// The first new place of each block, and one more.
    place_starts: Vec<u32>,
    /// The old place at each new one, and the other way round.
    places: Vec<u32>,
    new_places: Vec<u32>,
    /// The first column of each new place, and one more.
    column_starts: Vec<u32>,
    /// The new place of each column.
    place_of: Vec<u32>,
}

impl Numbering {
    fn new(work: &mut Work<'_, '_>, compressed: &Compressed, tree: &Tree, groups: &Groups) -> Result<Self, Stop> {
        let size = tree.order.len();
        work.spend(8 * size + compressed.columns.len())?;
        let mut numbering = Self {
            blocks: work.zeros(size)?,
            place_starts: work.zeros(groups.count + 1)?,
            places: work.zeros(size)?,
            new_places: work.zeros(size)?,
            column_starts: work.zeros(size + 1)?,
            place_of: work.zeros(compressed.columns.len())?,
        };
        // Tops in ascending order are a postorder of the groups already.
        let mut block = 0;
        for place in 0..size {
            if groups.tops[place] == place as u32 {
                numbering.blocks[place] = block;
                block += 1;
            }
        }
        for place in 0..size {
            let block = numbering.blocks[groups.tops[place] as usize];
            numbering.blocks[place] = block;
            numbering.place_starts[block as usize + 1] += 1;
        }
        for block in 0..groups.count {
            numbering.place_starts[block + 1] += numbering.place_starts[block];
        }
        let mut next: Vec<u32> = work.zeros(groups.count)?;
        for place in 0..size {
            let block = numbering.blocks[place] as usize;
            let new = numbering.place_starts[block] + next[block];
            next[block] += 1;
            numbering.places[new as usize] = place as u32;
            numbering.new_places[place] = new;
        }
        work.free(next);
        for new in 0..size {
            let weight = compressed.weights[tree.order[numbering.places[new] as usize] as usize];
            let first = numbering.column_starts[new];
            numbering.column_starts[new + 1] = first + weight;
            numbering.place_of[first as usize..(first + weight) as usize].fill(new as u32);
        }
        Ok(numbering)
    }

    fn structure(
        &self,
        work: &mut Work<'_, '_>,
        compressed: &Compressed,
        tree: &Tree,
        groups: &Groups,
    ) -> Result<Structure, Stop> {
        let mut structure = Structure {
            order: self.columns(work, compressed, tree)?,
            firsts: work.zeros(groups.count + 1)?,
            row_starts: work.zeros(groups.count + 1)?,
            rows: work.zeros(groups.rows_below)?,
            parents: work.filled(groups.count, NONE)?,
        };
        for block in 0..groups.count {
            structure.firsts[block + 1] = self.column_starts[self.place_starts[block + 1] as usize];
            let top = self.places[self.place_starts[block + 1] as usize - 1];
            let parent = tree.parents[top as usize];
            if parent != NONE {
                structure.parents[block] = self.blocks[parent as usize];
            }
        }
        let mut collector = Collector {
            found: work.zeros(tree.order.len())?,
            seen: work.filled(tree.order.len(), NONE)?,
            count: 0,
            block: 0,
            end: 0,
        };
        let mut child: Vec<u32> = work.filled(groups.count, NONE)?;
        let mut sibling: Vec<u32> = work.filled(groups.count, NONE)?;
        let mut len = 0;
        for block in 0..groups.count {
            collector.start(block, self.place_starts[block + 1]);
            for new in self.place_starts[block]..self.place_starts[block + 1] {
                let node = tree.order[self.places[new as usize] as usize] as usize;
                work.spend(compressed.graph.of(node).len() + 1)?;
                for &other in compressed.graph.of(node) {
                    collector.add(self.new_places[tree.places[other as usize] as usize]);
                }
            }
            let mut next = child[block];
            while next != NONE {
                self.collect_rows_of(work, &structure, next as usize, &mut collector)?;
                next = sibling[next as usize];
            }
            work.spend(8 * collector.count)?;
            for &new in collector.sorted() {
                for column in self.column_starts[new as usize]..self.column_starts[new as usize + 1] {
                    structure.rows[len] = column;
                    len += 1;
                }
            }
            structure.row_starts[block + 1] = len as u32;
            let parent = structure.parents[block];
            if parent != NONE {
                sibling[block] = std::mem::replace(&mut child[parent as usize], block as u32);
            }
        }
        debug_assert_eq!(len, structure.rows.len(), "the counts of rows are those of the fronts");
        for vector in [collector.found, collector.seen, child, sibling] {
            work.free(vector);
        }
        Ok(structure)
    }

    /// Adds the places of a child's rows.
    fn collect_rows_of(
        &self,
        work: &mut Work<'_, '_>,
        structure: &Structure,
        child: usize,
        collector: &mut Collector,
    ) -> Result<(), Stop> {
        let range = structure.row_starts[child] as usize..structure.row_starts[child + 1] as usize;
        work.spend(range.len())?;
        let mut at = range.start;
        while at < range.end {
            let new = self.place_of[structure.rows[at] as usize] as usize;
            collector.add(new as u32);
            at += (self.column_starts[new + 1] - self.column_starts[new]) as usize;
        }
        Ok(())
    }

    /// The matrix's columns in their new order.
    fn columns(&self, work: &mut Work<'_, '_>, compressed: &Compressed, tree: &Tree) -> Result<Vec<u32>, Stop> {
        let mut order: Vec<u32> = work.zeros(compressed.columns.len())?;
        for (new, &place) in self.places.iter().enumerate() {
            let node = tree.order[place as usize] as usize;
            let from = compressed.column_starts[node] as usize..compressed.column_starts[node + 1] as usize;
            let to = self.column_starts[new] as usize..self.column_starts[new + 1] as usize;
            order[to].copy_from_slice(&compressed.columns[from]);
        }
        Ok(order)
    }

    fn free(self, work: &mut Work<'_, '_>) {
        let vectors = [self.blocks, self.place_starts, self.places, self.new_places, self.column_starts, self.place_of];
        for vector in vectors {
            work.free(vector);
        }
    }
}

/// The new places below a block, each once.
struct Collector {
    found: Vec<u32>,
    /// Of each place, the block that it was last found for.
    seen: Vec<u32>,
    count: usize,
    block: u32,
    /// The block's last place, and one more.
    end: u32,
}

impl Collector {
    fn start(&mut self, block: usize, end: u32) {
        (self.count, self.block, self.end) = (0, block as u32, end);
    }

    fn sorted(&mut self) -> &[u32] {
        let found = &mut self.found[..self.count];
        found.sort_unstable();
        found
    }

    fn add(&mut self, place: u32) {
        if place >= self.end && self.seen[place as usize] != self.block {
            self.seen[place as usize] = self.block;
            self.found[self.count] = place;
            self.count += 1;
        }
    }
}
