//! Opening: finding or making a node, and holding it.

use super::{
    At, Kind, Last, NodeId, Tree, TreeError,
    content::Content,
    node::{Access, Node},
    resolve::{Found, Named},
};

/// Whether a missing file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Create {
    #[default]
    Never,
    IfMissing,
    /// It must be missing.
    New,
}

/// How a path is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    pub create: Create,
    /// Only a directory will do.
    pub directory: bool,
    /// Empties a file that is there.
    pub truncate: bool,
    /// The holder means to write.
    pub write: bool,
    pub last: Last,
}

impl Tree {
    /// Opens a node and holds it: every success needs one [`Tree::release`].
    pub fn open(&mut self, at: At<'_>, options: OpenOptions, now: u64) -> Result<NodeId, TreeError> {
        if options.directory && options.create != Create::Never {
            return Err(TreeError::Invalid);
        }
        // An exclusive creation must not follow a link to somewhere else.
        let last = if options.create == Create::New { Last::FollowBeforeSlash } else { options.last };
        let id = match self.find(at, last)? {
            Found::Itself(id) => self.open_existing(id, options, now)?,
            Found::Named(Named { node: Some(id), .. }) => self.open_existing(id, options, now)?,
            Found::Named(named) => self.open_missing(&named, options, now)?,
        };
        self.hold(id)?;
        Ok(id)
    }

    fn open_existing(&mut self, id: NodeId, options: OpenOptions, now: u64) -> Result<NodeId, TreeError> {
        if options.create == Create::New {
            return Err(TreeError::Exists);
        }
        let node = self.node(id)?;
        match node.kind() {
            Kind::Directory => {
                let as_file = options.truncate || options.create != Create::Never;
                if as_file || (options.write && !options.directory) {
                    return Err(TreeError::IsDirectory);
                }
            }
            _ if options.directory => return Err(TreeError::NotDirectory),
            Kind::Symlink => return Err(TreeError::Loop),
            Kind::File => {
                if options.truncate || options.write {
                    node.check_writable()?;
                }
                if options.truncate {
                    self.set_size(id, 0, now)?;
                }
            }
        }
        Ok(id)
    }

    fn open_missing(&mut self, named: &Named, options: OpenOptions, now: u64) -> Result<NodeId, TreeError> {
        if options.create == Create::Never {
            return Err(TreeError::NotFound);
        }
        if named.slash {
            return Err(TreeError::IsDirectory);
        }
        self.check_can_add(named.parent)?;
        let node = Node::file(Content::Owned(Vec::new()), Access::ReadWrite, now);
        let id = self.attach_new(named.parent, &named.name, node)?;
        self.touch_directory(named.parent, now)?;
        Ok(id)
    }
}
