//! A walk through a folder of objects, in the order of their keys. Each folder is read once.

use super::{Folder, info_of};
use crate::StoreError;
use crate::objects::{ObjectInfo, ObjectKey};
use std::io::ErrorKind;

/// Where a walk is.
#[derive(Debug)]
pub(in crate::objects) struct Walk {
    folder: Folder,
    /// What is still to be seen, the next last: paths of files, and of folders with a slash at their end.
    ahead: Vec<String>,
}

impl Walk {
    /// Goes through what is under the folder that `prefix` names.
    pub(in crate::objects) fn under(folder: &Folder, prefix: &ObjectKey) -> Self {
        Self { folder: folder.clone(), ahead: vec![format!("{prefix}/")] }
    }

    /// The next objects, `limit` at most; none at the end. Blocks.
    pub(in crate::objects) fn next(&mut self, limit: usize) -> Result<Vec<ObjectInfo>, StoreError> {
        let mut page = Vec::new();
        while page.len() < limit {
            let Some(path) = self.ahead.pop() else { break };
            let failed = StoreError::io(format!("listing objects at {path}"));
            match path.strip_suffix('/') {
                Some(folder) => self.enter(folder).map_err(failed)?,
                None => page.extend(self.look_at(&path).map_err(failed)?),
            }
        }
        Ok(page)
    }

    fn enter(&mut self, path: &str) -> std::io::Result<()> {
        let entries = match self.folder.root.read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let from = self.ahead.len();
        for entry in entries {
            let entry = entry?;
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            // A name that is no text is no part of a key.
            if let Ok(name) = entry.file_name().into_string() {
                self.ahead.push(format!("{path}/{name}{slash}"));
            }
        }
        if let Some(new) = self.ahead.get_mut(from..) {
            new.sort_unstable_by(|a, b| b.cmp(a));
        }
        Ok(())
    }

    fn look_at(&self, path: &str) -> std::io::Result<Option<ObjectInfo>> {
        let Ok(key) = ObjectKey::parse(path) else { return Ok(None) };
        match self.folder.root.symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => Ok(info_of(&key, &other?)),
        }
    }
}
