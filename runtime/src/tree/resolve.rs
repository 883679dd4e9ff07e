//! From a path to a node, never above the directory that the path starts from.

use super::{NodeId, Tree, TreeError, node::Body};
use std::borrow::Cow;

/// The longest path, and the longest target of a symbolic link, in bytes.
pub const PATH_BYTES_MAX: usize = 4_096;
/// Symbolic links that one resolution follows.
pub const SYMLINKS_FOLLOWED_MAX: u32 = 32;

/// A path as a guest gives it, and the directory that it starts from and must stay in.
#[derive(Debug, Clone, Copy)]
pub struct At<'p> {
    pub base: NodeId,
    pub path: &'p str,
}

/// What happens where the path's last part is a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    Follow,
    /// Followed only where a slash comes after it.
    FollowBeforeSlash,
    /// Never followed; a slash after it is an error.
    Keep,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) enum Found {
    /// To a directory by no name: the path is, or ends in, `.` or `..`.
    Itself(NodeId),
    /// To a name, taken or free, in a directory.
    Named(Named),
}

#[derive(Debug)]
pub(super) struct Named {
    pub(super) parent: NodeId,
    pub(super) name: String,
    pub(super) node: Option<NodeId>,
    /// A slash came after the name: only a directory may stand there.
    pub(super) slash: bool,
}

impl Found {
    /// The node, where there is one.
    pub(super) fn existing(&self) -> Result<NodeId, TreeError> {
        match self {
            Found::Itself(id) => Ok(*id),
            Found::Named(named) => named.node.ok_or(TreeError::NotFound),
        }
    }

    /// The name, for operations that need one; `.` and `..` answer `otherwise`.
    pub(super) fn named(self, otherwise: TreeError) -> Result<Named, TreeError> {
        match self {
            Found::Itself(_) => Err(otherwise),
            Found::Named(named) => Ok(named),
        }
    }
}

impl Tree {
    /// The node that a path leads to.
    pub fn resolve(&self, at: At<'_>, last: Last) -> Result<NodeId, TreeError> {
        self.find(at, last)?.existing()
    }

    pub(super) fn find(&self, at: At<'_>, last: Last) -> Result<Found, TreeError> {
        check_path(at.path)?;
        if at.path.starts_with('/') {
            return Err(TreeError::Escapes);
        }
        let mut walk = Walk { tree: self, last, chain: vec![at.base], followed: 0 };
        self.directory(at.base)?;
        let mut rest = Cow::Borrowed(at.path);
        loop {
            match walk.run(&rest)? {
                Step::Found(found) => return Ok(found),
                Step::Symlink { target, tail } => rest = Cow::Owned(walk.splice(&target, tail)?),
            }
        }
    }
}

/// One resolution. `chain` holds the directories from the base to here, each the parent of the next, so that `..`
/// needs no parent pointer and can't pass the base.
struct Walk<'t> {
    tree: &'t Tree,
    last: Last,
    chain: Vec<NodeId>,
    followed: u32,
}

enum Step<'p> {
    Found(Found),
    Symlink { target: std::sync::Arc<str>, tail: Option<&'p str> },
}

impl Walk<'_> {
    fn here(&self) -> Result<NodeId, TreeError> {
        self.chain.last().copied().ok_or(TreeError::Escapes)
    }

    /// Walks until the path's end or a symbolic link that is to be followed.
    fn run<'p>(&mut self, path: &'p str) -> Result<Step<'p>, TreeError> {
        let mut rest = path;
        loop {
            rest = rest.trim_start_matches('/');
            let (part, tail) = match rest.split_once('/') {
                Some((part, tail)) => (part, Some(tail)),
                None => (rest, None),
            };
            let here = self.here()?;
            match part {
                "" => return Ok(Step::Found(Found::Itself(here))),
                "." => {}
                ".." => {
                    self.chain.pop();
                    self.here()?;
                }
                name => {
                    if let Some(step) = self.enter(here, name, tail)? {
                        return Ok(step);
                    }
                }
            }
            rest = tail.unwrap_or_default();
        }
    }

    /// One ordinary name: `None` where it is a directory that the walk has gone into.
    fn enter<'p>(&mut self, here: NodeId, name: &str, tail: Option<&'p str>) -> Result<Option<Step<'p>>, TreeError> {
        let name_bytes = u32::try_from(name.len()).unwrap_or(u32::MAX);
        if name_bytes > self.tree.limits.name_bytes_max {
            return Err(TreeError::NameTooLong);
        }
        let is_last = tail.is_none_or(|tail| tail.trim_start_matches('/').is_empty());
        let slash = tail.is_some();
        let node = self.tree.child(here, name)?;
        let named = |node| {
            let name = name.to_owned();
            Ok(Some(Step::Found(Found::Named(Named { parent: here, name, node, slash }))))
        };
        let Some(id) = node else {
            return if is_last { named(None) } else { Err(TreeError::NotFound) };
        };
        match &self.tree.node(id)?.body {
            Body::Directory(_) if is_last => named(Some(id)),
            Body::Directory(_) => {
                self.chain.push(id);
                Ok(None)
            }
            Body::File(_) if slash => Err(TreeError::NotDirectory),
            Body::File(_) => named(Some(id)),
            Body::Symlink(target) => {
                let follow = match self.last {
                    _ if !is_last => true,
                    Last::Follow => true,
                    Last::FollowBeforeSlash => slash,
                    Last::Keep if slash => return Err(TreeError::NotDirectory),
                    Last::Keep => false,
                };
                if follow { Ok(Some(Step::Symlink { target: target.clone(), tail })) } else { named(Some(id)) }
            }
        }
    }

    /// The path that is left after a symbolic link was read.
    fn splice(&mut self, target: &str, tail: Option<&str>) -> Result<String, TreeError> {
        self.followed += 1;
        if self.followed > SYMLINKS_FOLLOWED_MAX {
            return Err(TreeError::Loop);
        }
        if target.starts_with('/') {
            // An absolute target means the tree's root, which only a grant of the root includes.
            self.chain.truncate(1);
            if self.here()? != NodeId::ROOT {
                return Err(TreeError::Escapes);
            }
        }
        let path = match tail {
            Some(tail) => format!("{target}/{tail}"),
            None => target.to_owned(),
        };
        if path.len() > 2 * PATH_BYTES_MAX { Err(TreeError::NameTooLong) } else { Ok(path) }
    }
}

fn check_path(path: &str) -> Result<(), TreeError> {
    if path.is_empty() {
        return Err(TreeError::NotFound);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(TreeError::NameTooLong);
    }
    if path.contains('\0') { Err(TreeError::Invalid) } else { Ok(()) }
}
