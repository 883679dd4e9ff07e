//! The files of the source tree, build products and other people's packages aside.

use crate::repository_root;
use anyhow::{Context, Result};
use std::{fs, path::Path};

/// Folders that hold no sources of ours (the same as `.gitignore` names, and git's own).
const SKIPPED: [&str; 6] = [".git", "target", "mecapy-data", "__pycache__", ".venv", "node_modules"];

/// One file of the tree.
#[derive(Debug, Clone)]
pub struct TreeFile {
    /// Path from the top, with `/`.
    pub path: String,
    pub bytes: u64,
}

impl TreeFile {
    /// The extension, or nothing.
    pub fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
    }

    /// The name without its folder and extension.
    pub fn stem(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// The content as text; `None` for what is not UTF-8.
    pub fn text(&self) -> Result<Option<String>> {
        let bytes = fs::read(repository_root().join(&self.path)).with_context(|| self.path.clone())?;
        Ok(String::from_utf8(bytes).ok())
    }

    pub fn is_under(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Every file, sorted by path.
pub fn tree_files() -> Result<Vec<TreeFile>> {
    let mut files = Vec::new();
    collect(repository_root(), &mut files)?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<TreeFile>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            if !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                collect(&path, files)?;
            }
        } else if kind.is_file() && path.extension().is_none_or(|extension| extension != "pyc") {
            let relative = path.strip_prefix(repository_root())?.to_string_lossy().into_owned();
            files.push(TreeFile { path: relative, bytes: entry.metadata()?.len() });
        }
    }
    Ok(())
}
