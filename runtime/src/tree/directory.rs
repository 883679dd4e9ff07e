//! Changing what directories hold: making, linking, renaming, removing, listing.

use super::{
    Access, At, DirectoryEntry, Kind, Last, NodeId, PATH_BYTES_MAX, Tree, TreeError,
    node::{Body, Directory, Node},
    resolve::Named,
};

impl Tree {
    pub fn create_directory(&mut self, at: At<'_>, now: u64) -> Result<(), TreeError> {
        let named = self.find(at, Last::FollowBeforeSlash)?.named(TreeError::Exists)?;
        if named.node.is_some() {
            return Err(TreeError::Exists);
        }
        self.check_can_add(named.parent)?;
        let depth = self.depth(named.parent)? + 1;
        self.check_depth(depth)?;
        let node = Node::directory(Directory::new(named.parent), Access::ReadWrite, now);
        self.attach_new(named.parent, &named.name, node)?;
        self.touch_directory(named.parent, now)
    }

    /// Makes a symbolic link. Its target may be any text: what it leads to is decided when it is followed.
    pub fn create_symlink(&mut self, target: &str, at: At<'_>, now: u64) -> Result<(), TreeError> {
        match target.len() {
            0 => return Err(TreeError::NotFound),
            bytes if bytes > PATH_BYTES_MAX => return Err(TreeError::NameTooLong),
            _ if target.contains('\0') => return Err(TreeError::Invalid),
            _ => {}
        }
        let named = self.find(at, Last::Keep)?.named(TreeError::Exists)?;
        if named.node.is_some() {
            return Err(TreeError::Exists);
        }
        if named.slash {
            return Err(TreeError::NotFound);
        }
        self.check_can_add(named.parent)?;
        if target.len() as u64 > self.room() {
            return Err(TreeError::NoSpace);
        }
        self.attach_new(named.parent, &named.name, Node::symlink(target, now))?;
        self.bytes_used += target.len() as u64;
        self.touch_directory(named.parent, now)
    }

    /// The target of a symbolic link.
    pub fn read_symlink(&self, at: At<'_>) -> Result<&str, TreeError> {
        match &self.node(self.resolve(at, Last::FollowBeforeSlash)?)?.body {
            Body::Symlink(target) => Ok(target),
            _ => Err(TreeError::Invalid),
        }
    }

    /// Gives a file or symbolic link one more name. Read-only files and directories can't have one.
    pub fn link(&mut self, old: At<'_>, old_last: Last, new: At<'_>, now: u64) -> Result<(), TreeError> {
        let id = self.resolve(old, old_last)?;
        let node = self.node(id)?;
        if node.kind() == Kind::Directory || node.access == Access::ReadOnly {
            return Err(TreeError::NotPermitted);
        }
        let named = self.find(new, Last::Keep)?.named(TreeError::Exists)?;
        if named.node.is_some() {
            return Err(TreeError::Exists);
        }
        if named.slash {
            return Err(TreeError::NotFound);
        }
        self.check_can_add(named.parent)?;
        self.charge_inode()?;
        let node = self.node_mut(id)?;
        node.links += 1;
        node.times.changed = now;
        self.directory_mut(named.parent)?.insert(&named.name, id);
        self.touch_directory(named.parent, now)
    }

    /// Removes a file's or symbolic link's name.
    pub fn unlink(&mut self, at: At<'_>, now: u64) -> Result<(), TreeError> {
        let named = self.find(at, Last::Keep)?.named(TreeError::IsDirectory)?;
        let id = named.node.ok_or(TreeError::NotFound)?;
        if self.kind(id)? == Kind::Directory {
            return Err(TreeError::IsDirectory);
        }
        self.check_can_remove(named.parent, id)?;
        self.detach(&named, id, now)
    }

    pub fn remove_directory(&mut self, at: At<'_>, now: u64) -> Result<(), TreeError> {
        // As everywhere, `.` can't be removed, and `..` is not empty.
        let busy = if at.path.trim_end_matches('/').ends_with("..") { TreeError::NotEmpty } else { TreeError::Invalid };
        let named = self.find(at, Last::Keep)?.named(busy)?;
        let id = named.node.ok_or(TreeError::NotFound)?;
        let is_empty = self.directory(id)?.is_empty();
        self.check_can_remove(named.parent, id)?;
        if !is_empty {
            return Err(TreeError::NotEmpty);
        }
        self.detach(&named, id, now)
    }

    /// Moves a name, replacing a file or an empty directory of the same kind that stands in its place.
    pub fn rename(&mut self, old: At<'_>, new: At<'_>, now: u64) -> Result<(), TreeError> {
        let from = self.find(old, Last::Keep)?.named(TreeError::Busy)?;
        let id = from.node.ok_or(TreeError::NotFound)?;
        let to = self.find(new, Last::Keep)?.named(TreeError::Busy)?;
        self.check_can_remove(from.parent, id)?;
        self.check_can_add(to.parent)?;
        if to.node == Some(id) {
            return Ok(());
        }
        let moved_directory = self.kind(id)? == Kind::Directory;
        if moved_directory {
            self.check_move(id, to.parent)?;
        } else if to.slash {
            return Err(TreeError::NotDirectory);
        }
        if let Some(replaced) = to.node {
            self.check_can_remove(to.parent, replaced)?;
            match (moved_directory, self.node(replaced)?.as_directory()) {
                (true, None) => return Err(TreeError::NotDirectory),
                (false, Some(_)) => return Err(TreeError::IsDirectory),
                (true, Some(directory)) if !directory.is_empty() => return Err(TreeError::NotEmpty),
                _ => self.detach(&to, replaced, now)?,
            }
        }
        self.directory_mut(from.parent)?.remove(&from.name);
        self.directory_mut(to.parent)?.insert(&to.name, id);
        if moved_directory {
            self.directory_mut(id)?.parent = to.parent;
        }
        self.node_mut(id)?.times.changed = now;
        self.touch_directory(from.parent, now)?;
        self.touch_directory(to.parent, now)
    }

    /// A directory's entries from a cookie on: 0 is the beginning, then each entry's `next`.
    pub fn entries(&self, id: NodeId, cookie: u64) -> Result<impl Iterator<Item = DirectoryEntry<'_>>, TreeError> {
        let directory = self.directory(id)?;
        let dots = [
            DirectoryEntry { name: ".", id, kind: Kind::Directory, next: 1 },
            DirectoryEntry { name: "..", id: directory.parent, kind: Kind::Directory, next: 2 },
        ];
        let dots = dots.into_iter().filter(move |dot| dot.next > cookie);
        let named = directory.listed_from(cookie).filter_map(|(name, id, next)| {
            let kind = self.kind(id).ok()?;
            Some(DirectoryEntry { name, id, kind, next })
        });
        Ok(dots.chain(named))
    }

    /// A directory that takes new names: one that guests may change and that still has a name itself.
    pub(super) fn check_can_add(&self, parent: NodeId) -> Result<(), TreeError> {
        let node = self.node(parent)?;
        node.check_writable()?;
        if node.links == 0 { Err(TreeError::NotFound) } else { Ok(()) }
    }

    pub(super) fn touch_directory(&mut self, id: NodeId, now: u64) -> Result<(), TreeError> {
        let times = &mut self.node_mut(id)?.times;
        times.modified = now;
        times.changed = now;
        Ok(())
    }

    fn check_can_remove(&self, parent: NodeId, id: NodeId) -> Result<(), TreeError> {
        self.node(parent)?.check_writable()?;
        self.node(id)?.check_writable()
    }

    fn detach(&mut self, named: &Named, id: NodeId, now: u64) -> Result<(), TreeError> {
        self.directory_mut(named.parent)?.remove(&named.name);
        self.touch_directory(named.parent, now)?;
        self.unlink_node(id, now)
    }

    /// A directory may go anywhere but into itself, and not so deep that what it holds exceeds the limit.
    fn check_move(&self, id: NodeId, new_parent: NodeId) -> Result<(), TreeError> {
        let mut above = new_parent;
        while above != NodeId::ROOT {
            if above == id {
                return Err(TreeError::Invalid);
            }
            above = self.directory(above)?.parent;
        }
        let depth = self.depth(new_parent)?.saturating_add(1).saturating_add(self.height(id)?);
        self.check_depth(depth)
    }

    /// Directories below this one on its longest path.
    fn height(&self, id: NodeId) -> Result<u32, TreeError> {
        let mut highest = 0;
        let mut left = vec![(id, 0u32)];
        while let Some((directory, height)) = left.pop() {
            highest = highest.max(height);
            for (_, child) in self.directory(directory)?.iter() {
                if self.kind(child)? == Kind::Directory {
                    left.push((child, height + 1));
                }
            }
        }
        Ok(highest)
    }
}
