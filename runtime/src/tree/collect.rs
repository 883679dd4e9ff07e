//! Walking what a guest left behind, with nothing in it followed.

use super::{NodeId, Tree, TreeError, node::Body};
use std::sync::Arc;

/// Something that is not an ordinary file with one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is {what}, not a regular file")]
pub struct NotRegular {
    /// Relative to the directory that is walked.
    pub path: String,
    /// "a symbolic link", "a hard link", "a read-only file".
    pub what: &'static str,
}

impl Tree {
    /// Every file under a directory, in the order of paths: its path relative to that directory, and its bytes.
    /// Symbolic links, hard links and read-only files come as errors that name them. Directories are walked, not named.
    pub fn files_under(&self, path: &str) -> Result<FilesUnder<'_>, TreeError> {
        let root = self.locate(path)?;
        self.directory(root)?;
        Ok(FilesUnder { tree: self, path: String::new(), open: vec![Open { directory: root, last: None, prefix: 0 }] })
    }
}

/// The walk of [`Tree::files_under`]. It holds one path, however many files there are.
#[derive(Debug)]
pub struct FilesUnder<'t> {
    tree: &'t Tree,
    path: String,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    directory: NodeId,
    last: Option<Arc<str>>,
    /// Bytes of `path` that name this directory, its slash included.
    prefix: usize,
}

impl<'t> Iterator for FilesUnder<'t> {
    type Item = Result<(String, &'t [u8]), NotRegular>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let open = self.open.last_mut()?;
            self.path.truncate(open.prefix);
            let Some((name, id)) = self.tree.directory(open.directory).ok()?.after(open.last.as_deref()) else {
                self.open.pop();
                continue;
            };
            open.last = Some(Arc::clone(name));
            self.path.push_str(name);
            let node = self.tree.node(id).ok()?;
            let what = match &node.body {
                Body::Directory(_) => {
                    self.path.push('/');
                    self.open.push(Open { directory: id, last: None, prefix: self.path.len() });
                    continue;
                }
                Body::Symlink(_) => "a symbolic link",
                Body::File(_) if node.links > 1 => "a hard link",
                Body::File(_) => match self.tree.owned(id) {
                    Some(bytes) => return Some(Ok((self.path.clone(), bytes))),
                    None => "a read-only file",
                },
            };
            return Some(Err(NotRegular { path: self.path.clone(), what }));
        }
    }
}
