//! An in-memory file tree with quotas: the only files that a guest of the sandbox ever sees.
//!
//! It knows paths, links, rights to change and room left. It knows nothing of WASI, of file descriptors, or of any
//! path on the host: a read-only node may be backed by a file that the host opened, and that is read by position alone.
//!
//! A path that a guest gives is resolved from a directory and never leads above it. Nothing here recurses, so no
//! depth of folders can overflow the stack, and dropping a tree is dropping a few flat tables.

mod collect;
mod content;
mod directory;
mod error;
mod node;
mod nodes;
mod open;
mod resolve;

pub use collect::{FilesUnder, NotRegular};
pub use content::HOST_READ_BYTES_MAX;
pub use error::TreeError;
pub use node::{Access, DirectoryEntry, Kind, NodeId, Stat, Times};
pub use open::{Create, OpenOptions};
pub use resolve::{At, Last, PATH_BYTES_MAX, SYMLINKS_FOLLOWED_MAX};

use crate::FileContent;
use content::Content;
use node::{Directory, Node};
use nodes::Nodes;

/// The ceilings of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Logical bytes of all writable files, holes included, and of symbolic links' targets.
    pub bytes_max: u64,
    /// Nodes, and every hard link after a file's first.
    pub inodes_max: u32,
    /// Directories below the root on one path.
    pub depth_max: u32,
    /// One part of a path, in bytes.
    pub name_bytes_max: u32,
    /// Descriptors that one guest may have open at a time, its standard streams and grants among them.
    pub open_files_max: u32,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, inodes_max: 16_384, depth_max: 64, name_bytes_max: 255, open_files_max: 1_024 }
    }
}

/// The tree. A clone shares the bytes of read-only files. It shares the nodes too, and copies one when it changes it,
/// where the tree has not changed since it was cloned itself: so a clone of the tree that somebody prepared is the
/// template of many runs, each of which costs what it touches, however many files there are.
#[derive(Debug, Clone)]
pub struct Tree {
    limits: TreeLimits,
    nodes: Nodes,
    free: Vec<NodeId>,
    bytes_used: u64,
    inodes_used: u32,
}

impl Tree {
    /// A tree of nothing but its root, which guests can't change. Time stamps begin at 0.
    pub fn new(limits: TreeLimits) -> Self {
        let root = Node::directory(Directory::new(NodeId::ROOT), Access::ReadOnly, 0);
        Self { limits, nodes: Nodes::new(root), free: Vec::new(), bytes_used: 0, inodes_used: 1 }
    }

    pub fn limits(&self) -> TreeLimits {
        self.limits
    }

    /// The logical bytes that are charged now.
    pub fn bytes_used(&self) -> u64 {
        self.bytes_used
    }

    /// The nodes and additional hard links that are charged now, the root among them.
    pub fn inodes_used(&self) -> u32 {
        self.inodes_used
    }

    /// Adds a directory by its path from the root, and the missing ones above it, which guests can't change. A directory
    /// that is there already keeps what it holds and takes the new `access`.
    pub fn add_directory(&mut self, path: &str, access: Access) -> Result<NodeId, TreeError> {
        let mut here = NodeId::ROOT;
        for name in parts(path) {
            here = match self.child(here, name)? {
                Some(id) => id,
                None => {
                    let depth = self.depth(here)? + 1;
                    self.check_depth(depth)?;
                    let node = Node::directory(Directory::new(here), Access::ReadOnly, 0);
                    self.attach_new(here, name, node)?
                }
            };
            self.directory(here)?;
        }
        self.node_mut(here)?.access = access;
        Ok(here)
    }

    /// Adds a read-only file by its path from the root. Its bytes are shared and not charged.
    pub fn add_file(&mut self, path: &str, content: FileContent) -> Result<NodeId, TreeError> {
        let (parent, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
        let parent = match self.locate(parent) {
            Ok(id) => id,
            Err(TreeError::NotFound) => self.add_directory(parent, Access::ReadOnly)?,
            Err(other) => return Err(other),
        };
        if self.child(parent, name)?.is_some() {
            return Err(TreeError::Exists);
        }
        self.attach_new(parent, name, Node::file(Content::Constant(content), Access::ReadOnly, 0))
    }

    /// A copy with further read-only files, by their paths from the root. It shares everything else with this tree, as its
    /// own clones share all of it: the template of many runs.
    pub fn with_files(&self, files: impl IntoIterator<Item = (String, FileContent)>) -> Result<Self, TreeError> {
        let mut tree = self.clone();
        for (path, content) in files {
            tree.add_file(&path, content)?;
        }
        // A clone of what has changed copies every node, once: that is not for the runs to pay.
        Ok(tree.clone())
    }

    /// Gives every node of the tree these time stamps: unix nanoseconds.
    pub fn set_all_times(&mut self, nanos: u64) {
        self.nodes.set_all_times(Times::at(nanos));
    }

    /// Finds a node by its path from the root, without following a symbolic link.
    pub fn locate(&self, path: &str) -> Result<NodeId, TreeError> {
        let mut here = NodeId::ROOT;
        for name in parts(path) {
            here = self.child(here, name)?.ok_or(TreeError::NotFound)?;
        }
        Ok(here)
    }

    pub fn kind(&self, id: NodeId) -> Result<Kind, TreeError> {
        Ok(self.node(id)?.kind())
    }

    pub fn stat(&self, id: NodeId) -> Result<Stat, TreeError> {
        let node = self.node(id)?;
        let times = self.nodes.times(id).unwrap_or(node.times);
        Ok(Stat { id, kind: node.kind(), links: node.links, bytes: node.bytes(), times })
    }

    /// Sets the times that are given, in unix nanoseconds; the time of change becomes `now`.
    pub fn set_times(&mut self, id: NodeId, times: SetTimes, now: u64) -> Result<(), TreeError> {
        let node = self.node_mut(id)?;
        node.check_writable()?;
        node.times.accessed = times.accessed.unwrap_or(node.times.accessed);
        node.times.modified = times.modified.unwrap_or(node.times.modified);
        node.times.changed = now;
        Ok(())
    }

    /// Counts one more holder of a node, which keeps it and its charge after its last name is gone.
    pub fn hold(&mut self, id: NodeId) -> Result<(), TreeError> {
        let node = self.node_mut(id)?;
        node.holders = node.holders.checked_add(1).ok_or(TreeError::NoSpace)?;
        Ok(())
    }

    /// Ends one [`Tree::hold`]; frees the node where it has no name and no holder left.
    pub fn release(&mut self, id: NodeId) -> Result<(), TreeError> {
        let node = self.node_mut(id)?;
        node.holders = node.holders.saturating_sub(1);
        self.free_if_unused(id);
        Ok(())
    }
}

/// New time stamps in unix nanoseconds; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetTimes {
    pub accessed: Option<u64>,
    pub modified: Option<u64>,
}

impl Tree {
    fn node(&self, id: NodeId) -> Result<&Node, TreeError> {
        self.nodes.get(id).ok_or(TreeError::NotFound)
    }

    fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, TreeError> {
        self.nodes.get_mut(id).ok_or(TreeError::NotFound)
    }

    fn directory(&self, id: NodeId) -> Result<&Directory, TreeError> {
        self.node(id)?.as_directory().ok_or(TreeError::NotDirectory)
    }

    fn directory_mut(&mut self, id: NodeId) -> Result<&mut Directory, TreeError> {
        self.node_mut(id)?.as_directory_mut().ok_or(TreeError::NotDirectory)
    }

    fn child(&self, directory: NodeId, name: &str) -> Result<Option<NodeId>, TreeError> {
        Ok(self.directory(directory)?.get(name))
    }

    /// Directories between a directory and the root.
    fn depth(&self, directory: NodeId) -> Result<u32, TreeError> {
        let (mut here, mut depth) = (directory, 0u32);
        while here != NodeId::ROOT {
            here = self.directory(here)?.parent;
            depth = depth.saturating_add(1);
        }
        Ok(depth)
    }

    fn check_depth(&self, depth: u32) -> Result<(), TreeError> {
        if depth > self.limits.depth_max { Err(TreeError::TooDeep) } else { Ok(()) }
    }

    fn check_name(&self, name: &str) -> Result<(), TreeError> {
        let bytes = u32::try_from(name.len()).unwrap_or(u32::MAX);
        if bytes > self.limits.name_bytes_max {
            return Err(TreeError::NameTooLong);
        }
        if matches!(name, "" | "." | "..") || name.bytes().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(TreeError::Invalid);
        }
        Ok(())
    }

    /// Charges and names a new node.
    fn attach_new(&mut self, parent: NodeId, name: &str, node: Node) -> Result<NodeId, TreeError> {
        self.check_name(name)?;
        self.charge_inode()?;
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes.fill(id, node);
                id
            }
            None => self.nodes.push(node),
        };
        self.directory_mut(parent)?.insert(name, id);
        Ok(id)
    }

    fn charge_inode(&mut self) -> Result<(), TreeError> {
        if self.inodes_used >= self.limits.inodes_max {
            return Err(TreeError::NoInode);
        }
        self.inodes_used += 1;
        Ok(())
    }

    /// Takes one name from a node; what has neither a name nor a holder is freed.
    fn unlink_node(&mut self, id: NodeId, now: u64) -> Result<(), TreeError> {
        let node = self.node_mut(id)?;
        node.links = node.links.saturating_sub(1);
        node.times.changed = now;
        if node.links > 0 {
            self.inodes_used -= 1;
        }
        self.free_if_unused(id);
        Ok(())
    }

    fn free_if_unused(&mut self, id: NodeId) {
        let unused = self.nodes.get(id).filter(|node| node.links == 0 && node.holders == 0);
        if let Some(node) = unused {
            self.bytes_used -= node.charged_bytes();
            self.inodes_used -= 1;
            self.nodes.clear(id);
            self.free.push(id);
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;
