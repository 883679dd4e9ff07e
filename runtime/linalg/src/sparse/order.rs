//! The order of elimination that keeps factors sparse: approximate minimum degree.
//!
//! The method of P. R. Amestoy, T. A. Davis and I. S. Duff, "An approximate minimum degree ordering algorithm", SIAM
//! Journal on Matrix Analysis and Applications 17 (1996), 886–905. What elimination has made of the graph is kept as a
//! quotient graph: a *variable* is a node that is not eliminated yet, an *element* the clique that one left behind.

#![expect(clippy::indexing_slicing, reason = "lists hold numbers of nodes alone, all below the number of nodes")]

mod degrees;

use super::{
    graph::{Compressed, NONE},
    work::Work,
};
use crate::Stop;
use degrees::Degrees;

/// Nodes of so many times √n neighbours, and more than [`DENSE_MIN`], come last: they would be part of every element.
const DENSE_ROOTS: f64 = 10.0;
const DENSE_MIN: f64 = 16.0;

/// What a node is by now.
const VARIABLE: u8 = 0;
const ELEMENT: u8 = 1;
/// Absorbed by another, or set aside.
const GONE: u8 = 2;

struct Quotient {
    /// The list of node i: `lists[starts[i]..][..lengths[i]]`. Of a variable, `elements[i]` elements and then variables;
    /// of an element, variables.
    lists: Vec<u32>,
    used: usize,
    starts: Vec<u32>,
    lengths: Vec<u32>,
    elements: Vec<u32>,
    kinds: Vec<u8>,
    /// Columns that a variable stands for; negative while it is in the element at hand, 0 once it is absorbed.
    weights: Vec<i32>,
    /// Of a variable, about how many columns are next to it; of an element, how many it has.
    sizes: Vec<u32>,
    degrees: Degrees,
    /// Of an element e: `stamp` plus the columns of e outside the element at hand, where that is at least `stamp`.
    outside: Vec<u64>,
    stamp: u64,
    /// Of each node, which comparison has seen it last.
    seen: Vec<u64>,
    comparison: u64,
    hashes: Vec<u32>,
    buckets: Vec<u32>,
    /// Which variable a variable was absorbed by.
    into: Vec<u32>,
    columns_left: usize,
}

/// The nodes in the order in which they are to be eliminated.
pub(super) fn order(work: &mut Work<'_, '_>, compressed: &Compressed) -> Result<Vec<u32>, Stop> {
    let mut quotient = Quotient::new(work, compressed)?;
    let mut pivots: Vec<u32> = work.zeros(compressed.graph.len())?;
    let mut count = 0;
    let dense = quotient.set_dense_aside();
    while let Some(pivot) = quotient.degrees.take_least() {
        pivots[count] = pivot;
        count += 1;
        quotient.eliminate(work, pivot as usize)?;
    }
    for &node in &dense {
        pivots[count] = node;
        count += 1;
    }
    let order = quotient.expand(work, &pivots[..count])?;
    work.free(pivots);
    quotient.free(work);
    Ok(order)
}

impl Quotient {
    fn new(work: &mut Work<'_, '_>, compressed: &Compressed) -> Result<Self, Stop> {
        let graph = &compressed.graph;
        let (size, len) = (graph.len(), graph.neighbours.len());
        work.spend(4 * len + 16 * size)?;
        let mut lists: Vec<u32> = work.zeros(len + len / 4 + size)?;
        lists[..len].copy_from_slice(&graph.neighbours);
        let mut quotient = Self {
            lists,
            used: len,
            starts: work.zeros(size)?,
            lengths: work.zeros(size)?,
            elements: work.zeros(size)?,
            kinds: work.filled(size, VARIABLE)?,
            weights: work.zeros(size)?,
            sizes: work.zeros(size)?,
            degrees: Degrees::new(work, size, compressed.columns.len())?,
            outside: work.zeros(size)?,
            stamp: 1,
            seen: work.zeros(size)?,
            comparison: 0,
            hashes: work.zeros(size)?,
            buckets: work.filled(size, NONE)?,
            into: work.filled(size, NONE)?,
            columns_left: compressed.columns.len(),
        };
        for node in 0..size {
            quotient.starts[node] = graph.starts[node];
            quotient.lengths[node] = graph.of(node).len() as u32;
            quotient.weights[node] = compressed.weights[node] as i32;
            quotient.sizes[node] = graph.of(node).iter().map(|&other| compressed.weights[other as usize]).sum();
        }
        Ok(quotient)
    }

    /// Puts the variables of moderate degree into the lists of degrees, and returns the others by degree.
    fn set_dense_aside(&mut self) -> Vec<u32> {
        let size = self.starts.len();
        let limit = (DENSE_ROOTS * (self.columns_left as f64).sqrt()).max(DENSE_MIN);
        let mut dense = Vec::new();
        for node in 0..size {
            if f64::from(self.sizes[node]) > limit {
                dense.push(node as u32);
                self.kinds[node] = GONE;
                self.columns_left -= self.weights[node] as usize;
                self.weights[node] = 0;
            } else {
                self.degrees.insert(node, self.sizes[node] as usize);
            }
        }
        dense.sort_by_key(|&node| self.sizes[node as usize]);
        dense
    }

    fn range(&self, node: usize) -> std::ops::Range<usize> {
        let start = self.starts[node] as usize;
        start..start + self.lengths[node] as usize
    }

    fn eliminate(&mut self, work: &mut Work<'_, '_>, pivot: usize) -> Result<(), Stop> {
        self.columns_left -= self.weights[pivot] as usize;
        self.gather(work, pivot)?;
        self.measure_outside(work, pivot)?;
        self.update_members(work, pivot)?;
        self.merge_twins(work, pivot)?;
        self.finish(pivot);
        self.stamp += 2 * u64::from(u32::MAX);
        Ok(())
    }

    /// Makes the pivot an element: of the variables next to it, and of those in its elements, which it absorbs.
    fn gather(&mut self, work: &mut Work<'_, '_>, pivot: usize) -> Result<(), Stop> {
        let own = self.range(pivot);
        let element_count = self.elements[pivot] as usize;
        let elements = own.start..own.start + element_count;
        let bound: usize = elements.clone().map(|at| self.lengths[self.lists[at] as usize] as usize).sum();
        let bound = bound + own.len() - element_count;
        work.spend(2 * bound + 16)?;
        self.weights[pivot] = 0;
        let is_in_place = element_count == 0;
        if !is_in_place && self.used + bound.min(self.starts.len()) > self.lists.len() {
            self.compact(work)?;
        }
        let start = if is_in_place { own.start } else { self.used };
        let (mut end, mut columns) = (start, 0);
        let own = self.range(pivot);
        for at in own.start..own.start + element_count {
            let element = self.lists[at] as usize;
            for at in self.range(element) {
                self.take_in(self.lists[at], &mut end, &mut columns);
            }
            self.kinds[element] = GONE;
        }
        for at in own.start + element_count..own.end {
            self.take_in(self.lists[at], &mut end, &mut columns);
        }
        if !is_in_place {
            self.used = end;
        }
        self.kinds[pivot] = ELEMENT;
        self.starts[pivot] = start as u32;
        self.lengths[pivot] = (end - start) as u32;
        self.sizes[pivot] = columns;
        Ok(())
    }

    /// Appends a variable to the element at hand, unless it is there already or absorbed.
    fn take_in(&mut self, variable: u32, end: &mut usize, columns: &mut u32) {
        let node = variable as usize;
        if self.weights[node] > 0 {
            *columns += self.weights[node] as u32;
            self.weights[node] = -self.weights[node];
            self.lists[*end] = variable;
            *end += 1;
            self.degrees.remove(node);
        }
    }

    /// Finds for each element that shares variables with the pivot how many columns it has outside.
    fn measure_outside(&mut self, work: &mut Work<'_, '_>, pivot: usize) -> Result<(), Stop> {
        for at in self.range(pivot) {
            let member = self.lists[at] as usize;
            let weight = u64::from(self.weights[member].unsigned_abs());
            let first = self.starts[member] as usize;
            let elements = first..first + self.elements[member] as usize;
            work.spend(elements.len() + 1)?;
            for at in elements {
                let element = self.lists[at] as usize;
                if self.kinds[element] == ELEMENT {
                    if self.outside[element] < self.stamp {
                        self.outside[element] = self.stamp + u64::from(self.sizes[element]);
                    }
                    self.outside[element] -= weight;
                }
            }
        }
        Ok(())
    }

    /// Brings the lists and degrees of the pivot's variables up to date, and finds those that it alone is next to.
    fn update_members(&mut self, work: &mut Work<'_, '_>, pivot: usize) -> Result<(), Stop> {
        for at in self.range(pivot) {
            let member = self.lists[at] as usize;
            let list = self.range(member);
            work.spend(list.len() + 4)?;
            let variables = list.start + self.elements[member] as usize;
            let (mut end, mut degree, mut hash) = (list.start, 0_u64, 0_u32);
            for at in list.start..variables {
                let element = self.lists[at] as usize;
                if self.kinds[element] != ELEMENT {
                    continue;
                }
                let outside = self.outside[element] - self.stamp;
                if outside == 0 {
                    // All of it is in the pivot.
                    self.kinds[element] = GONE;
                    continue;
                }
                degree += outside;
                hash = hash.wrapping_add(element as u32);
                self.lists[end] = element as u32;
                end += 1;
            }
            let elements_end = end;
            for at in variables..list.end {
                let other = self.lists[at];
                let weight = self.weights[other as usize];
                if weight > 0 {
                    degree += weight as u64;
                    hash = hash.wrapping_add(other);
                    self.lists[end] = other;
                    end += 1;
                }
            }
            if end == list.start {
                self.absorb(member, pivot);
                let columns = self.weights[member].unsigned_abs();
                self.sizes[pivot] -= columns;
                self.columns_left -= columns as usize;
                self.weights[member] = 0;
                continue;
            }
            self.sizes[member] = self.sizes[member].min(degree.min(u64::from(u32::MAX)) as u32);
            self.put_first(member, pivot, elements_end, end);
            let bucket = hash as usize % self.buckets.len();
            self.hashes[member] = hash;
            self.degrees.next[member] = self.buckets[bucket];
            self.buckets[bucket] = member as u32;
        }
        Ok(())
    }

    /// Puts the pivot in front of a variable's elements; what is in the way moves to the end of its kind.
    fn put_first(&mut self, member: usize, pivot: usize, elements_end: usize, end: usize) {
        let first = self.starts[member] as usize;
        self.lists[end] = self.lists[elements_end];
        self.lists[elements_end] = self.lists[first];
        self.lists[first] = pivot as u32;
        self.elements[member] = (elements_end + 1 - first) as u32;
        self.lengths[member] = (end + 1 - first) as u32;
    }

    fn absorb(&mut self, member: usize, into: usize) {
        self.kinds[member] = GONE;
        self.into[member] = into as u32;
    }

    /// Draws together the pivot's variables that have the same elements and variables next to them.
    fn merge_twins(&mut self, work: &mut Work<'_, '_>, pivot: usize) -> Result<(), Stop> {
        for at in self.range(pivot) {
            let member = self.lists[at] as usize;
            if self.weights[member] == 0 {
                continue;
            }
            let bucket = self.hashes[member] as usize % self.buckets.len();
            let mut head = std::mem::replace(&mut self.buckets[bucket], NONE);
            while head != NONE && self.degrees.next[head as usize] != NONE {
                let first = head as usize;
                let list = self.range(first);
                work.spend(list.len() + 4)?;
                self.comparison += 1;
                for at in list {
                    self.seen[self.lists[at] as usize] = self.comparison;
                }
                self.merge_into(work, first)?;
                head = self.degrees.next[first];
            }
        }
        Ok(())
    }

    /// Takes out of the bucket's chain behind `first` all that equal it, and adds them to it.
    fn merge_into(&mut self, work: &mut Work<'_, '_>, first: usize) -> Result<(), Stop> {
        let (mut before, mut other) = (first, self.degrees.next[first]);
        while other != NONE {
            let twin = other as usize;
            other = self.degrees.next[twin];
            let is_alike = self.hashes[twin] == self.hashes[first]
                && self.lengths[twin] == self.lengths[first]
                && self.elements[twin] == self.elements[first];
            work.spend(if is_alike { self.lengths[twin] as usize } else { 1 })?;
            if is_alike && self.range(twin).all(|at| self.seen[self.lists[at] as usize] == self.comparison) {
                self.weights[first] += self.weights[twin];
                self.weights[twin] = 0;
                self.absorb(twin, first);
                self.degrees.next[before] = other;
            } else {
                before = twin;
            }
        }
        Ok(())
    }

    /// Gives the pivot's variables their degrees, and keeps in its list those that are left.
    fn finish(&mut self, pivot: usize) {
        let list = self.range(pivot);
        let mut end = list.start;
        for at in list.clone() {
            let member = self.lists[at] as usize;
            if self.weights[member] == 0 {
                continue;
            }
            let weight = self.weights[member].unsigned_abs();
            self.weights[member] = weight as i32;
            let with_pivot = u64::from(self.sizes[member]) + u64::from(self.sizes[pivot] - weight);
            let all = (self.columns_left - weight as usize) as u64;
            self.sizes[member] = with_pivot.min(all) as u32;
            self.degrees.insert(member, self.sizes[member] as usize);
            self.lists[end] = member as u32;
            end += 1;
        }
        self.lengths[pivot] = (end - list.start) as u32;
        if list.end == self.used {
            self.used = end;
        }
        if end == list.start {
            self.kinds[pivot] = GONE;
        }
    }

    /// Moves the lists of all that is alive to the front.
    fn compact(&mut self, work: &mut Work<'_, '_>) -> Result<(), Stop> {
        work.spend(self.used + 32 * self.starts.len())?;
        let mut alive: Vec<u32> = work.zeros(self.starts.len())?;
        let mut count = 0;
        for (node, &kind) in self.kinds.iter().enumerate() {
            if kind != GONE {
                alive[count] = node as u32;
                count += 1;
            }
        }
        alive[..count].sort_unstable_by_key(|&node| self.starts[node as usize]);
        let mut end = 0;
        for &node in &alive[..count] {
            let list = self.range(node as usize);
            self.starts[node as usize] = end as u32;
            let len = list.len();
            self.lists.copy_within(list, end);
            end += len;
        }
        self.used = end;
        work.free(alive);
        Ok(())
    }

    /// Puts each variable that was absorbed beside the pivot that it is eliminated with.
    fn expand(&self, work: &mut Work<'_, '_>, pivots: &[u32]) -> Result<Vec<u32>, Stop> {
        let size = self.starts.len();
        work.spend(4 * size)?;
        let mut rank: Vec<u32> = work.filled(size, NONE)?;
        for (at, &pivot) in pivots.iter().enumerate() {
            rank[pivot as usize] = at as u32;
        }
        let mut counts: Vec<u32> = work.zeros(pivots.len() + 1)?;
        for node in 0..size {
            let mut last = node;
            while rank[last] == NONE {
                last = self.into[last] as usize;
            }
            let found = rank[last];
            let mut step = node;
            while rank[step] == NONE {
                rank[step] = found;
                step = self.into[step] as usize;
            }
            counts[found as usize + 1] += 1;
        }
        for at in 0..pivots.len() {
            counts[at + 1] += counts[at];
        }
        let mut order: Vec<u32> = work.zeros(size)?;
        for node in 0..size {
            let at = &mut counts[rank[node] as usize];
            order[*at as usize] = node as u32;
            *at += 1;
        }
        work.free(rank);
        work.free(counts);
        Ok(order)
    }

    fn free(self, work: &mut Work<'_, '_>) {
        for vector in
            [self.lists, self.starts, self.lengths, self.elements, self.sizes, self.hashes, self.buckets, self.into]
        {
            work.free(vector);
        }
        work.free(self.kinds);
        work.free(self.weights);
        work.free(self.outside);
        work.free(self.seen);
        self.degrees.free(work);
    }
}
