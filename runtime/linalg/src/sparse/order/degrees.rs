//! Variables by degree: doubly linked lists, one for each degree.

#![expect(clippy::indexing_slicing, reason = "nodes and degrees are below the sizes that the lists were made for")]

use super::super::{graph::NONE, work::Work};
use crate::Stop;

pub(super) struct Degrees {
    heads: Vec<u32>,
    /// Of a node that is in no list, this is anybody's.
    pub(super) next: Vec<u32>,
    previous: Vec<u32>,
    degrees: Vec<u32>,
    /// No list below it has a node.
    least: usize,
}

impl Degrees {
    /// For so many nodes, with degrees up to so many columns.
    pub(super) fn new(work: &mut Work<'_, '_>, nodes: usize, columns: usize) -> Result<Self, Stop> {
        Ok(Self {
            heads: work.filled(columns + 1, NONE)?,
            next: work.filled(nodes, NONE)?,
            previous: work.filled(nodes, NONE)?,
            degrees: work.zeros(nodes)?,
            least: 0,
        })
    }

    pub(super) fn insert(&mut self, node: usize, degree: usize) {
        let head = std::mem::replace(&mut self.heads[degree], node as u32);
        self.next[node] = head;
        self.previous[node] = NONE;
        self.degrees[node] = degree as u32;
        if head != NONE {
            self.previous[head as usize] = node as u32;
        }
        self.least = self.least.min(degree);
    }

    pub(super) fn remove(&mut self, node: usize) {
        let (next, previous) = (self.next[node], self.previous[node]);
        if previous == NONE {
            self.heads[self.degrees[node] as usize] = next;
        } else {
            self.next[previous as usize] = next;
        }
        if next != NONE {
            self.previous[next as usize] = previous;
        }
    }

    /// A node of least degree, taken out.
    pub(super) fn take_least(&mut self) -> Option<u32> {
        while self.heads.get(self.least).is_some_and(|&head| head == NONE) {
            self.least += 1;
        }
        let node = self.heads.get(self.least).copied()?;
        self.remove(node as usize);
        Some(node)
    }

    pub(super) fn free(self, work: &mut Work<'_, '_>) {
        for vector in [self.heads, self.next, self.previous, self.degrees] {
            work.free(vector);
        }
    }
}
