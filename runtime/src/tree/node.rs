//! One node of the tree: a directory, a file or a symbolic link.

use super::{TreeError, content::Content};
use std::{collections::BTreeMap, sync::Arc};

/// A node's place in its tree. A freed place is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    pub const ROOT: NodeId = NodeId(0);

    /// The number that a guest sees, never 0.
    pub fn number(self) -> u64 {
        u64::from(self.0) + 1
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    /// The quota keeps indexes far below 2^32.
    pub(super) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Whether guests may change a node: a file's bytes and times, a directory's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
    Symlink,
}

/// Unix nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Set by the guest alone: reading doesn't move it.
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

impl Times {
    pub(super) fn at(nanos: u64) -> Self {
        Self { accessed: nanos, modified: nanos, changed: nanos }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub id: NodeId,
    pub kind: Kind,
    pub links: u32,
    /// A file's logical size, a symbolic link's target's length, 0 for a directory.
    pub bytes: u64,
    pub times: Times,
}

/// One entry of a directory's listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryEntry<'t> {
    pub name: &'t str,
    pub id: NodeId,
    pub kind: Kind,
    /// Where a listing goes on after this entry, whatever was added or removed meanwhile.
    pub next: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) access: Access,
    pub(super) links: u32,
    pub(super) holders: u32,
    pub(super) times: Times,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Directory(Directory),
    File(Content),
    Symlink(Arc<str>),
}

impl Node {
    pub(super) fn directory(directory: Directory, access: Access, now: u64) -> Self {
        Self::new(Body::Directory(directory), access, now)
    }

    pub(super) fn file(content: Content, access: Access, now: u64) -> Self {
        Self::new(Body::File(content), access, now)
    }

    pub(super) fn symlink(target: &str, now: u64) -> Self {
        Self::new(Body::Symlink(target.into()), Access::ReadWrite, now)
    }

    fn new(body: Body, access: Access, now: u64) -> Self {
        Self { body, access, links: 1, holders: 0, times: Times::at(now) }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::Directory(_) => Kind::Directory,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match &self.body {
            Body::Directory(_) => 0,
            Body::File(content) => content.len(),
            Body::Symlink(target) => target.len() as u64,
        }
    }

    /// What the byte quota holds for this node.
    pub(super) fn charged_bytes(&self) -> u64 {
        match &self.body {
            Body::File(Content::Constant(_)) => 0,
            _ => self.bytes(),
        }
    }

    pub(super) fn check_writable(&self) -> Result<(), TreeError> {
        match self.access {
            Access::ReadOnly => Err(TreeError::ReadOnly),
            Access::ReadWrite => Ok(()),
        }
    }

    pub(super) fn as_directory(&self) -> Option<&Directory> {
        match &self.body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(super) fn as_directory_mut(&mut self) -> Option<&mut Directory> {
        match &mut self.body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }
}

/// A directory. A copy of it, as a tree's clone makes one to hold it, shares its entries until it changes them.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// The root's is the root.
    pub(super) parent: NodeId,
    entries: Arc<Entries>,
}

/// Entries by name, and in the order in which they came, which is what a listing's cookies count.
#[derive(Debug, Clone)]
struct Entries {
    by_name: BTreeMap<Arc<str>, Entry>,
    by_order: BTreeMap<u64, (Arc<str>, NodeId)>,
    order_next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: NodeId,
    order: u64,
}

/// Cookies 0 and 1 are the entries `.` and `..`.
const ORDER_FIRST: u64 = 2;

impl Directory {
    pub(super) fn new(parent: NodeId) -> Self {
        let entries = Entries { by_name: BTreeMap::new(), by_order: BTreeMap::new(), order_next: ORDER_FIRST };
        Self { parent, entries: Arc::new(entries) }
    }

    pub(super) fn get(&self, name: &str) -> Option<NodeId> {
        self.entries.by_name.get(name).map(|entry| entry.id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.by_name.is_empty()
    }

    /// Adds a name, which must not be there.
    pub(super) fn insert(&mut self, name: &str, id: NodeId) {
        let name: Arc<str> = name.into();
        let entries = Arc::make_mut(&mut self.entries);
        let order = entries.order_next;
        entries.order_next += 1;
        entries.by_order.insert(order, (Arc::clone(&name), id));
        entries.by_name.insert(name, Entry { id, order });
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<NodeId> {
        let entries = Arc::make_mut(&mut self.entries);
        let entry = entries.by_name.remove(name)?;
        entries.by_order.remove(&entry.order);
        Some(entry.id)
    }

    /// Names and nodes in the order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, NodeId)> + use<'_> {
        self.entries.by_name.iter().map(|(name, entry)| (name.as_ref(), entry.id))
    }

    /// The first name after `name`, in the order of names.
    pub(super) fn after(&self, name: Option<&str>) -> Option<(&Arc<str>, NodeId)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = name.map_or(Unbounded, Excluded);
        self.entries.by_name.range::<str, _>((start, Unbounded)).next().map(|(name, entry)| (name, entry.id))
    }

    /// Entries from a cookie on, each with the cookie that follows it.
    pub(super) fn listed_from(&self, cookie: u64) -> impl Iterator<Item = (&str, NodeId, u64)> + use<'_> {
        self.entries.by_order.range(cookie..).map(|(order, (name, id))| (name.as_ref(), *id, order + 1))
    }
}

#[cfg(test)]
impl Directory {
    /// Whether both have their entries in common.
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }
}
