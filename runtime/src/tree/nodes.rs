//! Where a tree's nodes are: a shared part that its clones have in common, and what differs from it.
//!
//! A node of the shared part is copied when it is first changed, so a run pays for what it touches alone. Knows
//! nothing of names or quotas.

use super::node::{Node, NodeId, Times};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

/// Nodes by their place. A place may be empty.
#[derive(Debug)]
pub(super) struct Nodes {
    /// The first places, as they were when a tree with changes was cloned. Never changed.
    shared: Arc<[Option<Node>]>,
    /// The times of the shared nodes, where they are not their own.
    shared_times: Option<Times>,
    /// Shared places that hold something else now.
    changed: BTreeMap<usize, Option<Node>>,
    /// The places after the shared ones.
    added: Vec<Option<Node>>,
}

impl Nodes {
    pub(super) fn new(root: Node) -> Self {
        let mut added = Vec::with_capacity(16);
        added.push(Some(root));
        Self { shared: Arc::default(), shared_times: None, changed: BTreeMap::new(), added }
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Node> {
        self.at(id.index())
    }

    /// A node, to change it.
    pub(super) fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        let index = id.index();
        if let Some(index) = index.checked_sub(self.shared.len()) {
            return self.added.get_mut(index)?.as_mut();
        }
        match self.changed.entry(index) {
            Entry::Occupied(changed) => changed.into_mut().as_mut(),
            Entry::Vacant(unchanged) => {
                let node = with_times(self.shared.get(index)?.as_ref()?, self.shared_times);
                unchanged.insert(Some(node)).as_mut()
            }
        }
    }

    /// A node's times: a shared node doesn't know them itself.
    pub(super) fn times(&self, id: NodeId) -> Option<Times> {
        let own = self.get(id)?.times;
        Some(if self.is_shared(id.index()) { self.shared_times.unwrap_or(own) } else { own })
    }

    /// Gives every node these times.
    pub(super) fn set_all_times(&mut self, times: Times) {
        self.shared_times = Some(times);
        for node in self.changed.values_mut().chain(&mut self.added).flatten() {
            node.times = times;
        }
    }

    /// Puts a node into a new place.
    pub(super) fn push(&mut self, node: Node) -> NodeId {
        self.added.push(Some(node));
        NodeId::from_index(self.shared.len() + self.added.len() - 1)
    }

    /// Fills a place that [`Nodes::clear`] made empty.
    pub(super) fn fill(&mut self, id: NodeId, node: Node) {
        self.set(id, Some(node));
    }

    /// Makes a place empty.
    pub(super) fn clear(&mut self, id: NodeId) {
        self.set(id, None);
    }

    /// The places in order, the empty ones too.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&Node>> {
        (0..self.shared.len() + self.added.len()).map(|index| self.at(index))
    }

    fn at(&self, index: usize) -> Option<&Node> {
        self.place(index)?.as_ref()
    }

    pub(super) fn place(&self, index: usize) -> Option<&Option<Node>> {
        match index.checked_sub(self.shared.len()) {
            Some(index) => self.added.get(index),
            None => self.changed.get(&index).or_else(|| self.shared.get(index)),
        }
    }

    fn is_shared(&self, index: usize) -> bool {
        index < self.shared.len() && !self.changed.contains_key(&index)
    }

    fn set(&mut self, id: NodeId, node: Option<Node>) {
        match id.index().checked_sub(self.shared.len()) {
            Some(index) => {
                if let Some(place) = self.added.get_mut(index) {
                    *place = node;
                }
            }
            None => {
                self.changed.insert(id.index(), node);
            }
        }
    }
}

/// A clone of nodes that have not changed since they were cloned themselves shares them all. Of others every node is
/// copied, once: clones of that clone share.
impl Clone for Nodes {
    fn clone(&self) -> Self {
        let shared_times = self.shared_times;
        if self.changed.is_empty() && self.added.is_empty() {
            let shared = Arc::clone(&self.shared);
            return Self { shared, shared_times, changed: BTreeMap::new(), added: Vec::new() };
        }
        let times = |index| if self.is_shared(index) { shared_times } else { None };
        let copy = |(index, node): (usize, Option<&Node>)| node.map(|node| with_times(node, times(index)));
        let shared = self.iter().enumerate().map(copy).collect();
        Self { shared, shared_times: None, changed: BTreeMap::new(), added: Vec::new() }
    }
}

fn with_times(node: &Node, times: Option<Times>) -> Node {
    let node = node.clone();
    Node { times: times.unwrap_or(node.times), ..node }
}

#[cfg(test)]
impl Nodes {
    /// Whether both have their shared part in common, and how many nodes this one holds beside it.
    pub(super) fn shares_with(&self, other: &Self) -> (bool, usize) {
        (Arc::ptr_eq(&self.shared, &other.shared), self.changed.len() + self.added.len())
    }
}
