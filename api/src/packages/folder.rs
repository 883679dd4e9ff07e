//! A package as its author has it: a folder.

use super::files::{Bounds, Files, Gathering, Refused};
use cap_std::fs::Dir;
use std::io::{self, Read};

/// Why a folder can't be read as a package.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("can't read {name}")]
    Io {
        /// The file or folder, relative to the package.
        name: String,
        source: io::Error,
    },
}

/// Reads all files of `folder`, as [`read_zip`](super::read_zip) reads an archive's: with the same bounds, the same
/// names left out, and links refused, so that both give the same [`Files`]. Blocks.
///
/// # Errors
/// What a package can't hold, and what the system doesn't let us read.
pub fn read_folder(folder: &Dir, bounds: Bounds) -> Result<Files, FolderError> {
    let mut gathering = Gathering::new(bounds, None);
    let root = folder.try_clone().map_err(failed("the folder"))?;
    let mut open = vec![(root, String::new())];
    while let Some((dir, prefix)) = open.pop() {
        for entry in dir.entries().map_err(failed(&prefix))? {
            let entry = entry.map_err(failed(&prefix))?;
            let last = entry.file_name();
            let Some(last) = last.to_str() else {
                let shown = last.to_string_lossy();
                let message = format!("The name {shown:?} is not Unicode: rename the file.");
                return Err(Refused::new("invalid_file_name", message).into());
            };
            let path = format!("{prefix}{last}");
            let Some(name) = gathering.admit(&path)? else { continue };
            let kind = entry.file_type().map_err(failed(&path))?;
            if kind.is_dir() {
                open.push((entry.open_dir().map_err(failed(&path))?, format!("{path}/")));
            } else if kind.is_file() {
                let mut content = Vec::new();
                let file = entry.open().map_err(failed(&path))?;
                file.take(gathering.readable_bytes()).read_to_end(&mut content).map_err(failed(&path))?;
                gathering.put(name, content)?;
            } else {
                let message = format!("{name} is a link or a special file: put the file itself in its place.");
                return Err(Refused::new("not_a_file", message).into());
            }
        }
    }
    Ok(gathering.finish())
}

fn failed(name: &str) -> impl FnOnce(io::Error) -> FolderError + '_ {
    move |source| FolderError::Io { name: name.to_owned(), source }
}
